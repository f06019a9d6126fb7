"""The command line of `run`: what is wrong with it ends in exit code 2 and a line that names it."""

import argparse
import json
import os
import re
import subprocess
from pathlib import Path

from balancers import BALANCERS
from fleet import ROOT, Trouble
from scenarios import SCENARIOS

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def seconds(text):
    """`250ms`, `10s`, `30m`, `2h`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"expected a duration such as 500ms, 10s or 30m, and not {text!r}")
    return float(match[1]) * UNITS[match[2]]


def positive(text):
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, and not {text!r}")
    return int(text)


def url(text):
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", text):
        raise argparse.ArgumentTypeError(f"expected http://host:port, and not {text!r}")
    return text.rstrip("/")


def fault(text):
    try:
        rule = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a rule as JSON, such as {{\"status\": 503}}: {error}") from None
    if not isinstance(rule, dict):
        raise argparse.ArgumentTypeError("expected one rule, a JSON object")
    return rule


def setting(text):
    name, equals, value = text.partition("=")
    if not equals or not name.startswith("APP__"):
        raise argparse.ArgumentTypeError(f"expected APP__SECTION__KEY=VALUE, and not {text!r}")
    return name, value


def parser():
    scenarios = "\n".join(f"  {name:10} {scenario.about}" for name, scenario in SCENARIOS.items())
    parser = argparse.ArgumentParser(
        prog="load-tests/run",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"scenarios:\n{scenarios}\n  {'all':10} one after another\n  {'fleet':10} no load: a fleet to play with",
        epilog="exit codes: 0 all bounds held, 1 one did not, 2 wrong command line, 3 the run itself failed",
    )
    parser.add_argument("scenario", choices=[*SCENARIOS, "all", "fleet"], metavar="SCENARIO")
    parser.add_argument("--quick", action="store_true", help="a short form, to see that everything works")
    parser.add_argument("--duration", type=seconds, metavar="TIME", help="of the load, such as 30s")
    parser.add_argument("--rate", type=positive, metavar="N", help="requests per second (spike: before and after it)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="default: target/load/SCENARIO.html")
    local = parser.add_argument_group("a fleet on this machine")
    local.add_argument("--server", type=Path, metavar="PATH", help="the program; default: $SERVER, or cargo builds it")
    local.add_argument("--replicas", type=positive, metavar="N", help="how many start")
    local.add_argument("--to", type=positive, metavar="N", help="scale-out: how many there are in the end")
    local.add_argument("--balancer", choices=BALANCERS, help="default: haproxy (balance: haproxy-tcp)")
    local.add_argument("--algorithm", default="roundrobin", metavar="NAME", help="of the balancer; default: roundrobin")
    local.add_argument("--setting", type=setting, action="append", default=[], metavar="APP__X=Y", help="may repeat")
    local.add_argument("--fault", type=fault, metavar="JSON", help="a fault rule for replica-0, see docs/operations.md")
    local.add_argument("--lose", type=positive, default=0, metavar="N", help="the control: a relay loses every Nth request of kept connections; the run has to fail")
    local.add_argument("--age", type=seconds, metavar="TIME", help="balance: of connections, 0s is off; default: 10s, quick 2s")
    local.add_argument("--contrast", type=seconds, default=10.0, metavar="TIME", help="balance: the age that --age 0s is measured by")
    local.add_argument("--clients", type=positive, default=64, metavar="N", help="balance: persistent clients")
    parser.add_argument("--factor", type=float, default=5.0, metavar="X", help="overload: how many times the capacity")
    remote = parser.add_argument_group("a fleet elsewhere")
    remote.add_argument("--url", type=url, help="where the balancer is; no replicas are started")
    remote.add_argument("--admin", type=url, action="append", default=[], metavar="URL", help="a replica's admin listener, for metrics; may repeat")
    remote.add_argument("--during", metavar="COMMAND", help="drain, scale-out: what disturbs it, such as a kubectl rollout")
    return parser


def parse(arguments):
    """Checked options; exits with 2 where they cannot be."""
    own = parser()
    options = own.parse_args(arguments)
    options.setting = dict(options.setting)
    options.admin = {address.split("//")[1]: address for address in options.admin}
    for wrong in complaints(options):
        own.error(wrong)
    if options.age is None:
        options.age = 2.0 if options.quick else 10.0
    return options


def complaints(options):
    """What does not go together."""
    name = options.scenario
    scenario = SCENARIOS.get(name)
    if options.url:
        given = ("server", "replicas", "to", "balancer", "setting", "fault", "lose")
        for each in (each for each in given if getattr(options, each)):
            yield f"--{each} is for a fleet on this machine, and not for --url"
        if name in ("balance", "fleet", "all"):
            yield f"{name} needs a fleet on this machine: leave out --url"
        if scenario and scenario.disturbs and not options.during:
            yield f"{name} with --url needs --during COMMAND, such as 'kubectl rollout restart deployment/NAME'"
        if name == "soak" and not options.admin:
            yield "soak with --url needs the --admin URL of each replica: it compares their memory"
    for each in ("admin", "during"):
        if getattr(options, each) and not options.url:
            yield f"--{each} needs --url"
    if scenario and scenario.needs and scenario.needs not in requests():
        yield f"{name} needs {scenario.needs}() in load-tests/requests.js; this service has none"
    if options.during and not (scenario and scenario.disturbs):
        yield f"--during is for drain and scale-out, and not for {name}"
    if options.to and name != "scale-out":
        yield f"--to is for scale-out, and not for {name}"
    if name == "scale-out" and not options.url:
        start, end = options.replicas or scenario.replicas, options.to or scenario.to
        if end <= start:
            yield f"--to {end} has to be more than the {start} replicas that start"
    if name == "balance":
        if options.replicas:
            yield "balance goes from 1 replica to 2 and 8: leave out --replicas"
        if options.duration or options.rate:
            yield "balance takes its time from --age, and its rate from --clients"
    if options.age is not None and name not in ("balance", "all"):
        yield "--age is for balance; elsewhere use --setting APP__SERVER__MAX_CONNECTION_AGE=…"
    if options.age and options.age < 1:
        yield "--age has to be 1s at least, or 0s for off"
    if options.factor < 1.5:
        yield "--factor has to be 1.5 at least: less is no overload"
    balancer = BALANCERS[options.balancer or (scenario.balancer if scenario else "haproxy")]
    if options.algorithm not in balancer.algorithms:
        yield f"--algorithm {options.algorithm}: {balancer.name} takes {', '.join(balancer.algorithms)}"
    if options.report and name in ("all", "fleet"):
        yield f"--report is for one scenario, and not for {name}"
    if options.report and not options.report.absolute().parent.is_dir():
        yield f"--report: there is no folder {options.report.absolute().parent}"
    if options.server and not (options.server.is_file() and os.access(options.server, os.X_OK)):
        yield f"--server: {options.server} is no program"


def requests():
    """The functions of the service's own requests."""
    file = ROOT / "load-tests/requests.js"
    return re.findall(r"^export function (\w+)", file.read_text(), re.M) if file.exists() else []


def provide_server(options):
    """The program that the fleet runs, built where none was given."""
    given = options.server or os.environ.get("SERVER")
    if given:
        options.server = Path(given).resolve()
        return
    print("building the server", flush=True)
    if subprocess.run(["cargo", "build", "--locked", "--quiet", "--bin", "server"], cwd=ROOT).returncode:
        raise Trouble("cargo build failed")
    options.server = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug/server"

#!/usr/bin/env python3
"""What a Deployment goes through, with processes for pods and POSTs of clients that send each once: 0 may be lost.

`drills.py [--short] [--only NAME,...] [--binaries FOLDER] [--later FOLDER] [--seed N] [--write]`

Every drill has nginx, HAProxy, Envoy and a balancer of connections at once in front of one fleet, each with clients of
HTTP/1.1 and of HTTP/2. Surge, minReadySeconds, drain delay, grace and the disruption budget are those of k8s/base; each
balancer hears of a change up to 8 s late. --short scales delay, lag and minReadySeconds down alike, and runs three drills.
--later is a folder of `template/tests/balancers/later`. --write puts the table into docs/balancers.md.
"""

import argparse
import datetime
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(HERE), str(ROOT / "benches"), str(ROOT / "crates/chassis/gate/load")]
sys.dont_write_bytecode = True

import clients
import report
from deployment import Deployment, Manifest
from endpoints import FRONTS
from fleet import Trouble

PAGE = ROOT / "docs/balancers.md"
BEGIN, END = "<!-- Written by `template/tests/rollouts/drills.py --write`. -->", "<!-- End of the drills. -->"
# For each of eight groups: some hundred requests a second in all, so that a small machine has time for the rest.
CLIENTS, PAUSE_MS = 3, 40
# 0.3: a drain delay of 3 s, balancers that hear up to 2.4 s late, 1.5 s of minReadySeconds.
SHORT = 0.3
# What a platform gives before it takes a spot machine away.
NOTICE_SECONDS = 120


def upgrade(fleet):
    fleet.revision = 2
    fleet.until("the rollout is done", 240, fleet.is_settled)
    yield from kept_to_strategy(fleet)


def rollback(fleet):
    fleet.revision = 2
    fleet.until("half of it is new", 240, lambda: sum(pod.revision == 2 for pod in fleet.available()) >= 2)
    fleet.revision = 1
    fleet.until("the rollback is done", 240, fleet.is_settled)
    yield from kept_to_strategy(fleet)


def kept_to_strategy(fleet):
    if fleet.fewest < fleet.desired - fleet.manifest.unavailable:
        yield f"only {fleet.fewest} of {fleet.desired} were ready"
    if fleet.most > fleet.desired + fleet.surge():
        yield f"{fleet.most} were there, with a surge of {fleet.surge()} on {fleet.desired}"


def node_drain(fleet):
    """`kubectl drain`: evictions until the node is empty; the budget refuses some."""
    refused = empty(fleet, "a")
    fleet.until("all are elsewhere", 240, fleet.is_settled)
    if not refused:
        yield "the budget has refused no eviction"
    if fleet.fewest < fleet.desired - fleet.manifest.disrupted:
        yield f"only {fleet.fewest} of {fleet.desired} were ready"


def empty(fleet, node):
    """Until no process is left on the node; how many evictions were refused."""
    fleet.cordoned.add(node)
    refused = 0

    def is_empty():
        nonlocal refused
        for pod in fleet.on(node):
            refused += pod.is_live() and not fleet.evict(pod)
        return not fleet.on(node)

    fleet.until(f"node {node} is empty", 240, is_empty)
    fleet.cordoned.discard(node)
    return refused


def scale_down(fleet):
    fleet.desired = 2
    fleet.until("two are left", 120, fleet.is_settled)
    if fleet.fewest < 2:
        yield f"only {fleet.fewest} of 2 were ready"


def eviction(fleet):
    first, second, *_ = fleet.ready()
    if not fleet.evict(first):
        yield "the budget refuses the first eviction"
    if fleet.evict(second):
        yield "the budget allows a second eviction at once"
    fleet.until("another is there", 120, fleet.is_settled)


def spot(fleet):
    """The platform gives notice, and takes the machine with all that still runs on it."""
    noticed = time.monotonic()
    empty(fleet, "a")
    took = time.monotonic() - noticed
    print(f"  the machine is empty {took:.0f} s after the notice, of {NOTICE_SECONDS} s", flush=True)
    if took > NOTICE_SECONDS:
        yield f"the machine was not empty after {NOTICE_SECONDS} s"
    fleet.until("others are there", 120, fleet.is_settled)


# (what it is called, how, replicas at first).
DRILLS = {
    "helm upgrade": (upgrade, 3),
    "rollback in mid-rollout": (rollback, 3),
    "node drain with the disruption budget": (node_drain, 3),
    "scale 6 to 2": (scale_down, 6),
    "eviction": (eviction, 3),
    "spot machine": (spot, 3),
}
IN_SHORT = ("rollback in mid-rollout", "node drain with the disruption budget", "scale 6 to 2")


def run(name, options, manifest, folder):
    """One drill: a row of the table and what is wrong."""
    drill, replicas = DRILLS[name]
    with ExitStack() as stack:
        fronts = [kind(options.programs.get(kind.name)) for kind in FRONTS.values()]
        fleet = Deployment(manifest, options.binaries / "ledger", fronts, folder, replicas, options.seed)
        stack.callback(fleet.kill)
        for front in fronts:
            stack.callback(front.stop)
            front.start([port for port, _ in fleet.slots], folder)
        fleet.until("the fleet is there", 120, fleet.is_settled)
        groups = [(f"{front.name}-{number}", f"post{number}", CLIENTS, PAUSE_MS, port)
                  for front in fronts for number, port in front.ports.items()]  # fmt: skip
        mixed = stack.enter_context(clients.Mixed(options.binaries / "mixed", groups, folder))
        mixed.await_answers(100)
        fleet.begin()
        before, begun = len(fleet.gone), time.monotonic()
        wrong = list(drill(fleet))
        seconds, ended = time.monotonic() - begun, len(fleet.gone) - before
        seen = mixed.answered
        mixed.await_answers(seen + 100)
        told = mixed.stop()
        fleet.stop()
        wrong += fleet.complaints + [f"{pod.name} ended with {pod.code}" for pod in fleet.gone if pod.code]
        wrong += clients.mismatches(told, fleet.ledger)
        row, lost = line(name, ended, seconds, told)
        return row, wrong + lost


def line(name, ended, seconds, told):
    """The drill's row, and the losses by group."""
    cells, lost = [], []
    for front in FRONTS:
        groups = {key: told[key] for key in (f"{front}-1", f"{front}-2")}
        failed = {key: each["lost"] + each["wrong"] for key, each in groups.items()}
        cells.append(f"{clients.total(groups, 'sent'):,}: {sum(failed.values())}")
        lost += [f"{key}: {count} lost: {groups[key]['examples'][:3]}" for key, count in failed.items() if count]
        lost += [f"{key}: no request was answered" for key, each in groups.items() if not each["answered"]]
        moved = clients.total(groups, "moved")
        print(f"  {front}: {cells[-1]} lost; {moved} went to another connection, since theirs had ended before", flush=True)
    return (name, str(ended), f"{seconds:.0f} s", *cells), lost


def write(rows, said):
    page = PAGE.read_text()
    before, rest = page.split(BEGIN, 1)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(rows)}\n\n{said}\n\n{END}{rest.split(END, 1)[1]}")
    print(f"wrote {PAGE.relative_to(ROOT)}")


def table(rows):
    return report.table(["drill", "pods ended", "took", *(f"{name}: sent, lost" for name in FRONTS)], rows)


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", type=lambda text: text.split(","), metavar="NAME,...", help="; ".join(DRILLS))
    parser.add_argument("--binaries", type=Path, help="where `ledger` and `mixed` are; else cargo builds them")
    parser.add_argument("--later", type=Path, help="nginx and HAProxy of a later Debian")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="of the lags")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    unknown = set(options.only or ()) - set(DRILLS)
    if unknown:
        parser.error(f"unknown drill {', '.join(sorted(unknown))}; there are: {'; '.join(DRILLS)}")
    if options.later and not (options.later / "bin/nginx").exists():
        parser.error(f"--later: there is no {options.later}/bin/nginx; run template/tests/balancers/later sid {options.later}")
    options.programs = {} if not options.later else {
        "nginx": options.later / "bin/nginx", "haproxy": options.later / "bin/haproxy", "connections": options.later / "bin/haproxy",
    }  # fmt: skip
    return options


def main():
    options = parsed()
    os.chdir(ROOT)
    # As Ctrl-C, so that what was started ends with us.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        options.binaries = clients.build(options.binaries)
        manifest = Manifest.read(SHORT if options.short else 1.0)
        rows, failed = [], []
        for name in options.only or (IN_SHORT if options.short else DRILLS):
            folder = Path(tempfile.mkdtemp(prefix="rollout-"))
            # nginx's workers have another user where it is not told otherwise.
            folder.chmod(0o755)
            print(f"{name}: seed {options.seed}", flush=True)
            row, wrong = run(name, options, manifest, folder)
            rows.append(row)
            for each in wrong:
                print(f"drills: {name}: {each}; logs in {folder}", file=sys.stderr, flush=True)
            failed += [name] if wrong else []
            if not wrong:
                shutil.rmtree(folder)
    except Trouble as trouble:
        print(f"drills: {trouble}", file=sys.stderr)
        return 3
    said = (f"{datetime.date.today().isoformat()}, {report.machine()}; delay {manifest.drain_delay:g} s, balancers that hear up to "
            f"{manifest.lag:g} s late, minReadySeconds {manifest.min_ready:g}, seed {options.seed}; all counted by the replicas too.")  # fmt: skip
    print(f"\n{table(rows)}\n\n{said}")
    if options.write and not failed:
        write(rows, said)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""What each balancer loses as it comes, and the least change that makes it 0, over restarts of real replicas.

`restarts.py [--later FOLDER] [--binaries FOLDER] [--write]`

Three replicas of the program `ledger`, and in front of them every balancer at once, in its usual form and with the least
change; clients of the program `mixed` send POSTs, each once. The replicas restart in turn, each away for 2 s, then one stays
away for 5 s. No balancer looks at /healthz, and none is told: it meets a refused connection. --write puts the table into
docs/balancers.md.
"""

import argparse
import datetime
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(ROOT / each) for each in ("template/tests/rollouts", "benches", "crates/chassis/gate/load")]
sys.dont_write_bytecode = True

import clients
import report
from fleet import Replica, Trouble
from fronts import LEAST, Front, programs

PAGE = ROOT / "docs/balancers.md"
BEGIN, END = "<!-- Written by `template/tests/balancers/restarts.py --write`. -->", "<!-- End of what it wrote. -->"
REPLICAS = 3
# 1 s, since nobody is told: the drain only ends the connections. Short, so that nginx meets all three within its 10 s.
SETTINGS = {"APP__LIFECYCLE__DRAIN_DELAY": "1s", "APP__TELEMETRY__ACCESS_LOG": "false"}
# 2 s, as a container takes to start; 5 s: longer than the three tries of HAProxy, with a second between.
AWAY, LONG_AWAY = 2, 5
CLIENTS, PAUSE_MS = 2, 20


def restart(replica, away):
    replica.terminate()
    code = replica.ended()
    if code:
        raise Trouble(f"{replica.name} ended with {code}: {replica.tail()}")
    time.sleep(away)
    replica.start()
    replica.await_ready()


def run(binaries, later, folder, stack):
    """What became of the requests, by balancer and form."""
    ledger = folder / "ledger"
    replicas = [Replica(number, binaries / "ledger", {**SETTINGS, "APP__APP__LEDGER": str(ledger)}, folder) for number in range(REPLICAS)]
    for each in replicas:
        stack.callback(each.kill)
        each.start()
    for each in replicas:
        each.await_ready()
    fronts = []
    for name, program in programs(later).items():
        if not program:
            raise Trouble(f"{name} is missing: run `make tools`")
        for form in ("usual", "least"):
            front = Front(name, program, form, folder)
            front.start(replicas)
            stack.callback(front.stop)
            fronts.append(front)
    groups = [(f"{front.name}, {front.form}", "post1", CLIENTS, PAUSE_MS, front.port) for front in fronts]
    mixed = stack.enter_context(clients.Mixed(binaries / "mixed", groups, folder))
    mixed.await_answers(100)
    for replica in replicas:
        restart(replica, AWAY)
    restart(replicas[0], LONG_AWAY)
    told = mixed.stop()
    for replica in replicas:
        replica.terminate()
        replica.ended()
    return told, list(clients.mismatches(told, ledger))


def rows(told):
    """The table, and where the least change still loses something."""
    lines, wrong = [], []
    for name in dict.fromkeys(key.split(", ")[0] for key in told):
        usual, least = told[f"{name}, usual"], told[f"{name}, least"]
        failed = [each["lost"] + each["wrong"] for each in (usual, least)]
        lines.append((name.replace("-", " "), f"{usual['sent']:,}", f"{failed[0]:,}", LEAST[name.split("-")[0]], f"{least['sent']:,}", f"{failed[1]:,}"))
        if failed[1]:
            wrong.append(f"{name} loses {failed[1]} with the least change: {least['examples']}")
    return report.table(["balancer", "as it comes: sent", "lost", "the least change", "with it: sent", "lost"], lines), wrong


def write(text):
    page = PAGE.read_text()
    before, rest = page.split(BEGIN, 1)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END, 1)[1]}")
    print(f"wrote {PAGE.relative_to(ROOT)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--later", type=Path, help="nginx and HAProxy of a later Debian, by `later`")
    parser.add_argument("--binaries", type=Path, help="where `ledger` and `mixed` are; else cargo builds them")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="restarts-") as folder, ExitStack() as stack:
            # Workers of nginx and Apache have another user.
            Path(folder).chmod(0o755)
            told, wrong = run(clients.build(options.binaries), options.later, Path(folder), stack)
    except Trouble as trouble:
        print(f"restarts: {trouble}", file=sys.stderr)
        return 3
    table, more = rows(told)
    text = f"{table}\n\n{datetime.date.today().isoformat()}, {report.machine()}; {REPLICAS + 1} restarts, POSTs that are sent once."
    print(text)
    for each in wrong + more:
        print(f"restarts: {each}", file=sys.stderr)
    if options.write and not wrong + more:
        write(text)
    return 1 if wrong + more else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Asks a Prometheus that scrapes the service for every query of the dashboard and every expression of the rules.

Usage: served.py SERVER PROMETHEUS. A parser alone does not know what a server makes of a scrape: version 3 refuses one without
a content type that it knows, and writes `le="1"` as `le="1.0"`, so that a matcher of the former finds nothing.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from dashboard import queries
from promql import selectors
from rules import blocks

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from replica import Replica

LISTENING = re.compile(r'msg="Listening on".* address=(\S+)')
LE = re.compile(r'\ble="[^"]*"')


class Prometheus:
    """A server on a free port that scrapes `target` once a second, for as long as the `with` block does."""

    def __init__(self, program: str, target: str):
        self.folder = tempfile.TemporaryDirectory()
        config = Path(self.folder.name) / "prometheus.yaml"
        # JSON is YAML.
        static = {"targets": [target], "labels": {"namespace": "shop"}}
        config.write_text(json.dumps({"scrape_configs": [{"job_name": "quotes", "scrape_interval": "1s", "static_configs": [static]}]}))
        command = [program, f"--config.file={config}", f"--storage.tsdb.path={self.folder.name}/data", "--web.listen-address=127.0.0.1:0"]
        self.log = Path(self.folder.name) / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.address = ""

    def __enter__(self):
        try:
            self.wait("the server does not listen", self.listens)
            self.wait("the scrape is refused", lambda: self.ask("up == 1") not in ([], None))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=20)
        self.folder.cleanup()

    def listens(self) -> bool:
        found = LISTENING.search(self.log.read_text())
        self.address = found[1] if found else ""
        return bool(found)

    def wait(self, failure: str, ready):
        # A server starts within a second, and scrapes once a second; 30 s are for a busy machine.
        deadline = time.monotonic() + 30
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{failure}:\n{self.log.read_text()}")
            time.sleep(0.1)

    def ask(self, query: str) -> list | None:
        """What the query finds; None where the server refuses it, or does not answer yet."""
        try:
            with urllib.request.urlopen(f"http://{self.address}/api/v1/query?{urllib.parse.urlencode({'query': query})}", timeout=10) as answer:
                return json.load(answer)["data"]["result"]
        except OSError:
            return None


def bounds(uses: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Every matcher of a bucket's bound, as a query of its own."""
    found = [(where, use.metric, le) for where, query in uses for use in selectors(query) for le in LE.findall(use.matchers)]
    return [(where, f"{metric}{{{le}}}") for where, metric, le in found]


def main() -> int:
    uses = queries() + [(rule.get("alert") or rule["record"], rule["expr"]) for rule in blocks()]
    with Replica(sys.argv[1]) as replica:
        replica.exercise()
        with Prometheus(sys.argv[2], replica.admin.removeprefix("http://")) as prometheus:
            found = [f"{where}: refused by {sys.argv[2]}: {query}" for where, query in uses if prometheus.ask(query) is None]
            found += [f"{where}: {sys.argv[2]} finds no {query}" for where, query in bounds(uses) if not prometheus.ask(query)]
    print("\n".join(found) or f"{sys.argv[2]}: takes all of {len(uses)} queries, finds all of {len(bounds(uses))} bounds of buckets")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs k6, and reads each request's outcome while it runs."""

import csv
import json
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from array import array
from pathlib import Path

from fleet import ROOT, Trouble, find

HERE = Path(__file__).resolve().parent
REQUESTS = ROOT / "load-tests/requests.js"
# By overload.refusal_status.
REFUSED = (429, 503)


class Trace:
    """Every request and answer so far, in columns. One thread writes, others read up to a length that they took."""

    def __init__(self):
        # Of requests: when they ended (s since the epoch), how long they took (ms), status (0: none), and which scenario.
        self.at, self.took, self.status, self.scenario = array("d"), array("f"), array("H"), array("B")
        # Of answers that name a replica: when, and which.
        self.answered_at, self.answered_by = array("d"), array("B")
        self.scenarios, self.replicas = [], []
        # What the replicas have a line of too: they log no /healthz. k6 names a request by its whole URL where a script does not.
        self.answered = 0
        self.errors = {}

    def request(self, row):
        self.took.append(float(row["metric_value"]))
        self.status.append(int(row["status"] or 0))
        self.scenario.append(number(self.scenarios, row["scenario"]))
        self.answered += self.status[-1] > 0 and not row["name"].endswith("/healthz")
        if row["error_code"]:
            key = (row["name"], row["status"] or "0", row["error_code"])
            self.errors[key] = self.errors.get(key, 0) + 1
        # Last: its length is what readers go by.
        self.at.append(int(row["timestamp"]) / 1000)

    def answer(self, row):
        tags = dict(pair.split("=", 1) for pair in row["extra_tags"].split("&"))
        self.answered_by.append(number(self.replicas, tags["replica"]))
        self.answered_at.append(int(row["timestamp"]) / 1000)

    def between(self, begin, end, scenario=None):
        """(status, ms) of the requests that ended in this time."""
        wanted = None if scenario is None else self.scenarios.index(scenario) if scenario in self.scenarios else -1
        for i in range(len(self.at)):
            if begin <= self.at[i] < end and wanted in (None, self.scenario[i]):
                yield self.status[i], self.took[i]

    def shares(self, begin, end):
        """Answers of each replica in this time, by its name."""
        counts = {name: 0 for name in self.replicas}
        for i in range(len(self.answered_at)):
            if begin <= self.answered_at[i] < end:
                counts[self.replicas[self.answered_by[i]]] += 1
        return counts


def number(names, name):
    """The place of `name` in `names`, where it is put at its first use."""
    if name not in names:
        names.append(name)
    return names.index(name)


def percentile(values, share):
    """The value below which `share` of the sorted `values` lie; 0 of none."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


class K6:
    """One run of a script. Its thresholds end up in `thresholds`: (metric, bound, what was seen, whether it holds)."""

    def __init__(self, script, settings, trace, folder):
        self.script, self.trace, self.folder = script, trace, folder
        self.pipe = folder / f"{script}.samples"
        self.summary = folder / f"{script}.summary.json"
        self.log = folder / f"{script}.k6.log"
        os.mkfifo(self.pipe)
        command = [find("k6"), "run", "--quiet", "--no-color", "--no-usage-report", "--address", "127.0.0.1:0"]
        command += ["--out", f"csv={self.pipe}", "--summary-export", str(self.summary)]
        for name, value in settings.items():
            command += ["--env", f"{name}={value}"]
        environment = {**os.environ, "K6_CSV_TIME_FORMAT": "unix_milli", "K6_CSV_SAVE_INTERVAL": "500ms"}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, str(scripts(folder) / f"{script}.js")],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self.thresholds = []
        self.failure, self.ended_early = None, False
        # Not blocking: a k6 that ends before it opens its output would leave us waiting for it.
        self.source = os.open(self.pipe, os.O_RDONLY | os.O_NONBLOCK)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        try:
            self._take(csv.DictReader(wanted(lines_of(self.source, self.process))))
        except Exception as failure:  # It belongs to the main thread, which asks for it.
            self.failure = failure

    def _take(self, rows):
        for row in rows:
            if row["metric_name"] == "http_req_duration":
                self.trace.request(row)
            elif row["metric_name"] == "answers":
                self.trace.answer(row)

    def is_running(self):
        if self.failure:
            raise Trouble(f"reading what k6 measured: {self.failure!r}")
        return self.process.poll() is None

    def end(self):
        """Ends the load before its time; what k6 has seen until then counts."""
        if self.process.poll() is None:
            self.ended_early = True
            self.process.send_signal(signal.SIGINT)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def finish(self):
        """Waits for its end and reads the summary."""
        code = self.process.wait()
        self.reader.join(timeout=30)
        self.is_running()
        # 99: a threshold was crossed; 105: it was interrupted. Everything else is no verdict on the service.
        if code not in ((0, 99, 105) if self.ended_early else (0, 99)) or not self.summary.exists():
            raise Trouble(f"k6 ended with {code}: {self.log.read_text()[-1500:]}")
        metrics = json.loads(self.summary.read_text())["metrics"]
        for metric, values in sorted(metrics.items()):
            for bound, crossed in values.get("thresholds", {}).items():
                self.thresholds.append((metric, bound, seen(values, bound), not crossed))
        if code == 99 and all(holds for *_, holds in self.thresholds):
            raise Trouble(f"k6 says that a threshold was crossed, and its summary that none was: {self.summary}")


def scripts(folder):
    """A folder with the scenarios and the service's requests beside them, where they import them from."""
    place = folder / "scripts"
    place.mkdir()
    for script in HERE.glob("*.js"):
        shutil.copy(script, place)
    (place / "requests.js").write_text(REQUESTS.read_text() if REQUESTS.exists() else "export {};\n")
    return place


def lines_of(source, process):
    """The lines that come out of a pipe, as bytes, until its writer has ended."""
    rest = b""
    while True:
        # Asked before the read: what an ended writer wrote is all there.
        ended = process.poll() is not None
        select.select([source], [], [], 0.2)
        try:
            data = os.read(source, 1 << 16)
        except BlockingIOError:
            continue
        if data:
            *whole, rest = (rest + data).split(b"\n")
            yield from whole
        elif ended:
            return
        else:
            # k6 has not opened it yet, and an end of file is there at once.
            time.sleep(0.05)


def wanted(lines):
    """The header, and the one line in seven that is read: picked before it is taken apart, which costs."""
    for line in lines:
        if line.startswith((b"metric_name,", b"http_req_duration,", b"answers,")):
            yield line.decode()


def seen(values, bound):
    """What stands against `bound` in k6's summary of the metric, in words."""
    name = bound.split("<")[0].split(">")[0].split("=")[0].strip()
    if name == "rate":
        return f"{values['value']:.4%}"
    if name == "count":
        return f"{values['count']:.0f}"
    return f"{values[name]:.1f} ms" if name in values else "nothing"

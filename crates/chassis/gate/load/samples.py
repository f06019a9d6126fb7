"""Asks each replica for its metrics while the load runs."""

import re
import threading
import time

from fleet import get

LINE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)$")
# What is taken of them: a column's name, the metric, and what its labels have to hold.
COLUMNS = {
    "requests": ("http_server_request_duration_seconds_count", ""),
    "active": ("http_server_active_requests", ""),
    "connections": ("http_server_connections", ""),
    "memory": ("process_resident_memory_bytes", ""),
    "files": ("process_open_fds", ""),
    "cpu": ("process_cpu_seconds_total", ""),
    "shed": ("overload_shed_total", ""),
    "limit": ("overload_limit", 'pool="work"'),
    "admitted": ("overload_in_flight", 'pool="work"'),
}
# Counted from the first request on, so that an idle replica has none.
LATE = {"requests"}
PHASES = ("starting", "ready", "draining", "stopped")


def parse(text):
    """The columns of one answer of /metrics, sums over their series, and the phase. A missing metric is a ValueError:
    a plot of zeros would hide it."""
    sums, phase, found = dict.fromkeys(COLUMNS, 0.0), None, set()
    wanted = {}
    for column, (metric, label) in COLUMNS.items():
        wanted.setdefault(metric, []).append((column, label))
    for line in text.splitlines():
        match = LINE.match(line)
        if not match:
            continue
        name, labels, value = match[1], match[2] or "", float(match[3])
        for column, label in wanted.get(name, ()):
            if label in labels:
                sums[column] += value
                found.add(column)
        if name == "lifecycle_phase" and value == 1:
            phase = re.search(r'phase="(\w+)"', labels)[1]
    # Of a replica that starts, the server's own are not there yet.
    missing = [COLUMNS[column][0] for column in COLUMNS if phase != "starting" and column not in found | LATE]
    if missing or phase not in PHASES:
        raise ValueError(f"no {', '.join(missing) or 'lifecycle_phase'} in /metrics")
    return {**sums, "phase": phase}


class Sampler:
    """Samples of each replica as {"at": s since the epoch, column: value}; a replica that is away has only a phase
    "away". Each is asked by a thread of its own, so that a slow one does not hold up the others."""

    def __init__(self, admins, period=1.0):
        """`admins`: the admin URL of each replica by its name; each is asked every `period` seconds."""
        self.period = period
        self.of = {name: [] for name in admins}
        self.wrong = {}
        self._stop = threading.Event()
        self.threads = [threading.Thread(target=self._ask, args=pair, daemon=True) for pair in admins.items()]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self.threads:
            thread.join(timeout=5)

    def _ask(self, name, admin):
        while not self._stop.is_set():
            at = time.time()
            status, text = get(f"{admin}/metrics")
            sample = {"at": at, "phase": "away"}
            if status == 200:
                try:
                    sample.update(parse(text))
                except ValueError as error:
                    self.wrong[name] = str(error)
            self.of[name].append(sample)
            self._stop.wait(max(0.05, self.period - (time.time() - at)))

    def phases(self):
        """How many replicas are in which phase now."""
        last = [samples[-1]["phase"] for samples in self.of.values() if samples]
        return {phase: last.count(phase) for phase in dict.fromkeys(last)}

    def shares(self, begin, end):
        """How many requests each replica had in this time, as it counts itself; a restart begins at 0."""
        counts = {}
        for name in self.of:
            grown = self.growth(name, "requests")
            counts[name] = sum(more for at, more in grown if begin <= at < end)
        return counts

    def growth(self, name, column):
        """[(at, by how much a counter has grown since the sample before)]."""
        points = self.values(name, column)
        return [(at, new - old if new >= old else new) for (_, old), (at, new) in zip(points, points[1:])]

    def values(self, name, column, begin=0, end=float("inf")):
        """[(at, value)] of one replica."""
        return [(each["at"], each[column]) for each in self.of[name] if column in each and begin <= each["at"] < end]

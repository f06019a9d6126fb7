"""One HTML file of a run: verdicts, plots, events. It needs nothing beside itself, and runs no script."""

import datetime
import os
import platform
import subprocess
from html import escape

import plots
from fleet import ROOT
from k6 import REFUSED, percentile

STYLE = """
:root{color-scheme:light dark;--line:#8884;--ink:#222;--paper:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#ddd;--paper:#181818}}
body{font:15px/1.45 system-ui,sans-serif;max-width:900px;margin:2em auto;padding:0 1em;color:var(--ink);background:var(--paper)}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25em .6em;border-bottom:1px solid var(--line)}
.ok{color:#009e73;font-weight:600}.no{color:#d55e00;font-weight:600}
figure{margin:1.6em 0}svg{width:100%;height:auto;overflow:visible}.legend{font-size:13px;display:flex;flex-wrap:wrap;gap:.2em 1em}
.legend i{display:inline-block;width:.8em;height:.8em;margin-right:.3em}
svg text{font-size:12px;fill:var(--ink)}.y{text-anchor:end}svg .name{font-size:11px}.x{text-anchor:middle}
.grid{stroke:var(--line)}.line{fill:none;stroke-width:1.8;stroke-linejoin:round}.area{opacity:.85}
.mark{stroke:var(--ink);stroke-dasharray:3 3;opacity:.6}small{opacity:.75}
"""


# In order, refused, failed.
OUTCOMES = ("#009e73", "#e69f00", "#d55e00")
# Processes tell their CPU time in whole seconds: over less than this, its growth is noise.
CPU_WINDOW = 5


def render(run):
    """The whole page."""
    data = Data(run)
    verdicts = run.verdicts()
    good = all(holds for *_, holds in verdicts)
    word = '<span class="ok">passed</span>' if good else '<span class="no">failed</span>'
    parts = [
        f"<h1>{escape(run.name)}: {word}</h1><p>{escape(run.scenario.about)}</p>{facts(run)}",
        verdict_table(verdicts),
        *traffic(data),
        *(replicas(data) if run.samples.of else ["<p>No metrics of the replicas: give their --admin URLs.</p>"]),
        event_table(data),
        failures(run),
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(run.name)}</title><link rel="icon" href="data:,">'
        f"<style>{STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )


class Data:
    """The run's columns in equal steps of time, from its first request."""

    def __init__(self, run):
        self.run, trace = run, run.trace
        ends = [*trace.at, *(samples[-1]["at"] for samples in run.samples.of.values() if samples)]
        self.begin = min(trace.at, default=run.begun)
        self.span = max(max(ends, default=self.begin) - self.begin, 1)
        # At most 240 steps: more than the eye or the file needs.
        self.step = max(1.0, round(self.span / 240, 1))
        # A last step that is not whole would look like a fall.
        count = max(1, int(self.span / self.step))
        self.bins = [{"ok": 0, "refused": 0, "failed": 0, "took": []} for _ in range(count)]
        for at, took, status in zip(trace.at, trace.took, trace.status):
            if (place := int((at - self.begin) / self.step)) < count:
                kind = "refused" if status in REFUSED else "failed" if status == 0 or status >= 500 else "ok"
                self.bins[place][kind] += 1
                if kind == "ok":
                    self.bins[place]["took"].append(took)
        # As the clients saw it, where answers name their replica; else as the replicas count.
        self.names = sorted(trace.replicas or run.samples.of)
        self.shares = [dict.fromkeys(self.names, 0) for _ in range(count)]
        for at, name, more in answers(run):
            if 0 <= (place := int((at - self.begin) / self.step)) < count:
                self.shares[place][name] += more
        self.events = [(at - self.begin, text, replica) for at, text, replica in run.events]

    def over_time(self, value):
        return [((place + 0.5) * self.step, value(each)) for place, each in enumerate(self.bins)]

    def column(self, name, column, scale=1.0):
        """A sampled column of one replica; a gap where it was away."""
        samples = self.run.samples.of[name]
        points = [(each["at"] - self.begin, each[column] * scale if column in each else None) for each in samples]
        return [point for point in points if point[0] >= 0]


def answers(run):
    """(when, replica, how many) of what was answered."""
    trace = run.trace
    if trace.replicas:
        yield from ((at, trace.replicas[replica], 1) for at, replica in zip(trace.answered_at, trace.answered_by))
        return
    for name in run.samples.of:
        yield from ((at, name, more) for at, more in run.samples.growth(name, "requests"))


def traffic(data):
    """What the clients saw."""
    rate = [(kind, data.over_time(lambda each, kind=kind: each[kind] / data.step)) for kind in ("ok", "refused", "failed")]
    about = "answers per second: in order, refused with 503, failed"
    yield plots.lines("Rate", about, rate, data.span, data.events, colours=OUTCOMES)

    def slow(share):
        return data.over_time(lambda each: percentile(sorted(each["took"]), share) if each["took"] else None)

    latency = [("p50", slow(0.5)), ("p95", slow(0.95)), ("p99", slow(0.99))]
    yield plots.lines("Latency", "of what was answered in order, at the clients", latency, data.span, data.events, " ms")
    rows = [(place * data.step, list(counts.values())) for place, counts in enumerate(data.shares)]
    if data.names:
        about = "of the answers that name their replica" if data.run.trace.replicas else "of the requests, as the replicas count"
        yield plots.stacked("Share by replica", about, data.names, rows, data.step, data.span, data.events)


def replicas(data):
    """What the replicas said of themselves."""
    names = list(data.run.samples.of)
    rows = [(name, stretches(data, name)) for name in names]
    yield plots.bands("Phases", "of each replica, from its metrics; blank: away", rows, data.span, data.events)
    for title, about, column, scale, unit in (
        ("In flight", "requests between head and last byte", "active", 1, ""),
        ("Work admitted", "requests that hold a place in the pool of CPU-bound routes", "admitted", 1, ""),
        ("Limit", "of that pool", "limit", 1, ""),
        ("Refused so far", "by admission, from the replica's start", "shed", 1, ""),
        ("Connections", "open ones", "connections", 1, ""),
        ("Memory", "resident", "memory", 2**-20, " MiB"),
    ):
        series = [(name, data.column(name, column, scale)) for name in names]
        yield plots.lines(title, about, series, data.span, data.events, unit)
    series = [(name, slopes(data.column(name, "cpu"))) for name in names]
    # A run of a few seconds has none.
    if any(value is not None for _, points in series for _, value in points):
        yield plots.lines("CPU", "seconds per second, user and system, over 5 s", series, data.span, data.events)


def slopes(points):
    """Growth per second over the last CPU_WINDOW; none over a gap or a restart."""
    grown = []
    for index, (after, high) in enumerate(points):
        recent = [point for point in points[: index + 1] if point[0] >= after - CPU_WINDOW - 0.5]
        before, low = recent[0]
        values = [value for _, value in recent]
        whole = after - before >= CPU_WINDOW - 0.5 and None not in values and values == sorted(values)
        grown.append((after, (high - low) / (after - before) if whole else None))
    return grown


def stretches(data, name):
    """(from, to, phase), neighbours of one phase joined."""
    joined = []
    for sample in data.run.samples.of[name]:
        at = sample["at"] - data.begin
        if joined and joined[-1][2] == sample["phase"]:
            joined[-1][1] = at
        else:
            if joined:
                joined[-1][1] = at
            joined.append([at, at, sample["phase"]])
    return [each for each in joined if each[1] >= 0]


def facts(run):
    """What was measured, where and when."""
    fleet = run.fleet
    where = f"{run.options.url}" if run.options.url else (
        f"{run.replicas}{f' to {run.to}' if run.to > run.replicas else ''} replicas behind {fleet.balancer.name} "
        f"({fleet.balancer.algorithm}), program {relative(run.options.server)}"
    )  # fmt: skip
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    day = datetime.datetime.fromtimestamp(run.begun, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}"
    text = f"{where}. {day}, commit {commit or 'unknown'}, {machine}; the load comes from this machine too."
    return f"<p><small>{escape(text)}</small></p>"


def relative(path):
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


def verdict_table(verdicts):
    rows = "".join(
        f'<tr><td class="{"ok" if holds else "no"}">{"ok" if holds else "failed"}</td>'
        f"<td>{escape(what)}</td><td>{escape(bound)}</td><td>{escape(str(seen))}</td></tr>"
        for what, bound, seen, holds in verdicts
    )
    return f"<table><tr><th></th><th>what</th><th>bound</th><th>seen</th></tr>{rows}</table>"


def event_table(data):
    rows = "".join(f"<tr><td>{at:.1f} s</td><td>{escape(text)}</td></tr>" for at, text, _ in data.events)
    return f"<h2>What happened</h2><table>{rows}</table>" if rows else ""


def failures(run):
    rows = "".join(
        f"<tr><td>{count}</td><td>{escape(name)}</td><td>{escape(status)}</td><td>{escape(code)}</td></tr>"
        for (name, status, code), count in sorted(run.trace.errors.items())
    )
    if not rows:
        return ""
    return (
        "<h2>Answers that were not 2xx or 3xx</h2><table><tr><th>how many</th><th>request</th><th>status (0: none)</th>"
        f"<th>k6 error code</th></tr>{rows}</table>"
    )

"""What `run` prints: a line now and then while the load runs, and a table at the end."""

import threading
import time

from k6 import REFUSED, percentile


class Printer:
    """Prints a line every few seconds from a thread of its own, so that a restart does not hold it up; events at once."""

    def __init__(self, run):
        self.run = run
        # A long run in about sixty lines.
        self.every = max(2.0, run.seconds / 60)
        self.seen, self.last = 0, run.begun
        self._stop = threading.Event()
        self.thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self.thread.join()

    def line(self, text):
        print(f"  {time.time() - self.run.begun:6.1f}s  {text}", flush=True)

    def _tick(self):
        while not self._stop.wait(self.every):
            if self.run.trace.at:
                self._report(time.time())

    def _report(self, now):
        trace = self.run.trace
        span, self.last = now - self.last, now
        length = len(trace.at)
        statuses, took = trace.status[self.seen : length], sorted(trace.took[self.seen : length])
        self.seen = length
        refused = sum(status in REFUSED for status in statuses)
        failed = sum(status == 0 or status >= 500 and status not in REFUSED for status in statuses)
        # k6 tells with a delay of up to a second.
        shares = trace.shares(now - span - 1, now - 1) or self.run.samples.shares(now - span - 1, now - 1)
        total = sum(shares.values())
        phases = self.run.samples.phases()
        parts = [
            f"{len(statuses) / span:5.0f}/s",
            f"p50 {percentile(took, 0.5):.1f} ms",
            f"p99 {percentile(took, 0.99):.1f} ms",
            f"{refused} refused" if refused else "",
            f"{failed} failed",
            ", ".join(f"{count} {phase}" for phase, count in phases.items() if phase != "away"),
            "share " + " ".join(f"{count / total:.0%}" for _, count in sorted(shares.items()) if count) if total else "",
        ]
        self.line("  ".join(part for part in parts if part))


def table(run):
    """Prints the verdicts; whether all hold."""
    verdicts = run.verdicts()
    rows = [("", "what", "bound", "seen")]
    rows += [("ok" if holds else "FAIL", what, bound, str(seen)) for what, bound, seen, holds in verdicts]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())
    if run.trace.errors:
        print("  answers that were not 2xx or 3xx:")
    for (name, status, code), count in sorted(run.trace.errors.items()):
        print(f"    {count} times {name}: {f'status {status}' if status != '0' else f'none, k6 error code {code}'}")
    good = all(holds for *_, holds in verdicts)
    print(f"{run.name}: {'passed' if good else 'FAILED'}", flush=True)
    return good

"""What `run` prints: a line now and then while the load runs, and a table at the end."""

import time

from k6 import percentile


class Printer:
    """Prints at most a line in `every` seconds of its own accord; events come at once."""

    def __init__(self, run):
        self.run = run
        # A long run in about sixty lines.
        self.every = max(2.0, run.seconds / 60)
        self.next = time.time() + self.every
        self.seen = 0

    def line(self, text):
        print(f"  {time.time() - self.run.begun:6.1f}s  {text}", flush=True)

    def tick(self):
        now = time.time()
        if now < self.next:
            return
        since, self.next = now - self.every, now + self.every
        trace = self.run.trace
        length = len(trace.at)
        statuses, took = trace.status[self.seen : length], sorted(trace.took[self.seen : length])
        self.seen = length
        refused = sum(status == 503 for status in statuses)
        failed = sum(not 200 <= status < 500 and status != 503 for status in statuses)
        shares = trace.shares(since - 1, now)
        total = sum(shares.values())
        parts = [
            f"{len(statuses) / self.every:5.0f}/s",
            f"p50 {percentile(took, 0.5):.1f} ms",
            f"p99 {percentile(took, 0.99):.1f} ms",
            f"{refused} refused" if refused else "",
            f"{failed} failed" if failed else "0 failed",
            ", ".join(f"{count} {phase}" for phase, count in self.run.samples.phases().items() if phase != "away"),
            "share " + " ".join(f"{count / total:.0%}" for _, count in sorted(shares.items())) if total else "",
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
    for (name, status, code), count in sorted(run.trace.errors.items()):
        print(f"  {count} times: {name} status {status} (k6 error code {code})")
    good = all(holds for *_, holds in verdicts)
    print(f"{run.name}: {'passed' if good else 'FAILED'}", flush=True)
    return good

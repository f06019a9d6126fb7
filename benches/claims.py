"""The claims of README.md that `make bench` measures: rows of its first table."""

from names import FULL, GO_LOGS, NAIVE, USUAL

COLUMNS = (FULL, USUAL, NAIVE, GO_LOGS)

# The row, the part that tells, and how its figure is written.
ROWS = (
    ("CPU µs a request", "cpu", lambda row: f"{row['cpu'] / 1e3:.1f}"),
    ("requests a second on one CPU", "cpu", lambda row: f"{row['rate']:,.0f}"),
    ("p99 at 4,000 requests a second, µs", "latency", lambda row: f"{row['p99']:,.0f}"),
    ("bytes for an idle connection", "memory", lambda row: f"{row['each']:,.0f}"),
    ("MB idle", "memory", lambda row: f"{row['idle'] / 1e6:.1f}"),
)


def written(text, results):
    """README.md with the figures of the parts that have results; the others stay."""
    lines = text.splitlines(keepends=True)
    for title, part, figure in ROWS:
        if part not in results:
            continue
        rows = results[part]["data"]["rows"]
        cells = [figure(rows[name]) if rows.get(name) else "–" for name in COLUMNS]
        at = next(at for at, line in enumerate(lines) if line.startswith(f"| {title} |"))
        lines[at] = f"| {' | '.join([title, *cells, '`make bench`'])} |\n"
    return "".join(lines)

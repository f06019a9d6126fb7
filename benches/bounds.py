"""The bounds of issue 16, and what was seen."""

from names import BASE, FULL, GO_LOGS, HYPER2, HYPER_JSON, NGINX, SHIPPED, WHOAMI


def cpu(table, name, other):
    return table["rows"][name]["cpu"] / table["rows"][other]["cpu"]


def by(other):
    """Everything on, to `other`, in a part that is one table."""
    return lambda data: cpu(data, FULL, other)


def streams(count, other):
    return lambda data: cpu(data["tables"][str(count)], FULL, other)


def each(other):
    """A connection's memory, to `other`."""
    return lambda data: data["rows"][FULL]["each"] / data["rows"][other]["each"]


def of(*keys, unit=1):
    """A row's figure."""
    def figure(data):
        for key in keys:
            data = data[key]
        return data / unit
    return figure


def grown(data):
    row = data["rows"][FULL]
    return (row["after"] - row["before"]) / 1e6


def quarter(data):
    """Only of a control group: what starts on a free CPU says nothing of a quarter."""
    if not data["bounded"]:
        raise KeyError("bounded")
    return data["rows"][SHIPPED]["median"] / data["rows"][GO_LOGS]["median"]


def two_threads(data):
    return data["2"]["rows"][FULL]["cpu"] / data["1"]["rows"][FULL]["cpu"]


# What, the part that tells, its figure, the bound, the unit.
BOUNDS = (
    ("HTTP/1 GET, CPU, to nginx with its access log", "cpu", by(NGINX), 1.1, ""),
    ("HTTP/1 GET, CPU, to bare hyper", "cpu", by(BASE), 1.2, ""),
    ("HTTP/1 GET, CPU, to Go with metrics and access log", "cpu", by(GO_LOGS), 0.5, ""),
    ("HTTP/1 GET, instructions", "instructions", of("rows", FULL), 13_300, ""),
    ("GET /whoami of the program as it ships, instructions", "instructions", of("rows", WHOAMI), 16_000, ""),
    ("h2c, 32 streams, CPU, to nginx with its access log", "http2", streams(32, NGINX), 0.6, ""),
    ("h2c, 32 streams, CPU, to bare hyper", "http2", streams(32, HYPER2), 1.2, ""),
    ("h2c, 1 stream, CPU, to nginx with its access log", "http2", streams(1, NGINX), 0.95, ""),
    ("JSON POST, CPU, to bare hyper and serde_json", "json", by(HYPER_JSON), 1.25, ""),
    ("TLS, HTTP/1, CPU, to nginx with its access log", "tls", lambda data: cpu(data["http1"], FULL, NGINX), 1.05, ""),
    ("Two worker threads, CPU, to one", "threads", two_threads, 1.11, ""),
    ("Idle HTTP/1 connection", "memory", of("rows", FULL, "each", unit=1024), 12, "KiB"),
    ("Idle HTTP/2 connection, to bare hyper", "memory2", each(HYPER2), 1.3, ""),
    ("Memory after a peak of load, more than before", "peak", grown, 5, "MB"),
    ("Memory idle", "memory", of("rows", FULL, "idle", unit=1e6), 10, "MB"),
    ("Start to the first 200, under a quarter of a CPU, to Go with metrics and access log", "quarter",
     quarter, 1, ""),
    ("Start to the first 200", "start", of("rows", SHIPPED, "median", unit=1e-3), 3, "ms"),
    ("The program, stripped", "start", of("size", "stripped", unit=1e6), 8, "MB"),
)


def verdict(results, part, figure, limit, unit):
    """The figure and what it says of the bound; a part that was not run, or has no such row, says nothing."""
    try:
        seen = figure(results[part]["data"])
    except (KeyError, TypeError):
        return "not measured", ""
    return f"{seen:,.{0 if limit >= 1000 else 2}f} {unit}".strip(), "held" if seen <= limit else "**missed**"


def rows(results):
    return [(what, f"{limit:,} {unit}".strip(), *verdict(results, part, figure, limit, unit))
            for what, part, figure, limit, unit in BOUNDS]

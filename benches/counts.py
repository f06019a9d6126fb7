"""Instructions, by callgrind: they do not depend on what else the machine does."""

import re
import subprocess

import shapes
from chunks import load, say
from names import ALL, BASE, FULL, HTTP2_FULL, HYPER2, HYPER_JSON, JSON_FULL, NAIVE, USUAL, WHOAMI
from rows import steps
from servers import LAYERS, Server, naive, need, own, service, usual


def instructions(collector, scratch, quick):
    """Instructions per request: the difference of two runs, so that start and end cancel out."""
    few, many = (500, 2500) if quick else (1000, 9000)
    rows = {}
    for name, row in all_rows(collector, scratch).items():
        counts = [counted(name, row, requests, scratch) for requests in (few, many)]
        rows[name] = (counts[1] - counts[0]) / (many - few)
        say(f"{name}: {rows[name]:.0f} instructions a request")
    return {"rows": rows, "bases": {JSON_FULL: HYPER_JSON, HYPER_JSON: HYPER_JSON, HTTP2_FULL: HYPER2, HYPER2: HYPER2},
            "requests": many - few, "profiles": {name: profile(name, few, many, scratch) for name in (FULL, ALL, JSON_FULL, HTTP2_FULL)}}


def all_rows(collector, scratch):
    """Each with what is asked of it; None: the GET of 13 bytes."""
    gets = {"raw epoll": own("raw"), BASE: own("hyper_http1"), "bare axum": own("axum_bare"), **steps(collector),
            USUAL: usual(LAYERS, collector), NAIVE: naive(collector)}
    whoami = shapes.Shape(0, "/whoami", http1=True, data=None)
    post, streams = shapes.parcel(0, scratch), shapes.Shape(0, streams=32)
    return {**{name: (spec, None) for name, spec in gets.items()},
            WHOAMI: (service(program="server"), whoami),
            HYPER_JSON: (own("hyper_json"), post), JSON_FULL: (service(collector, program="server"), post),
            HYPER2: (own("hyper_http2"), streams), HTTP2_FULL: (service(collector), streams)}


def functions(name, requests, scratch):
    """Instructions of each function in a whole run."""
    command = [need("callgrind_annotate"), "--threshold=100", "--auto=no", counts_file(name, requests, scratch)]
    found = {}
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        row = re.match(r" *([0-9,]+) \([^)]*\)  [^:]*:(.*?)( \[[^\]]*\])?$", line)
        if row:
            found[row[2]] = found.get(row[2], 0) + int(row[1].replace(",", ""))
    return found


def profile(name, few, many, scratch):
    """The functions in which most instructions of a request are."""
    less, more = (functions(name, requests, scratch) for requests in (few, many))
    each = {function: (count - less.get(function, 0)) / (many - few) for function, count in more.items()}
    return sorted(((count, function) for function, count in each.items()), reverse=True)[:16]


def counts_file(name, requests, scratch):
    return scratch / "profiles" / f"{re.sub('[^a-z0-9]+', '-', name.lower())}.{requests}"


def counted(name, row, requests, scratch):
    """Instructions of a whole run that answers `requests`; the profile stays in the scratch directory."""
    spec, shape = row
    out = counts_file(name, requests, scratch)
    out.parent.mkdir(parents=True, exist_ok=True)
    wrap = [need("valgrind"), "--tool=callgrind", f"--callgrind-out-file={out}", "--quiet"]
    server = Server(f"{name} counted", spec, scratch, wrap, ready=shape and shape.ready)
    try:
        if shape:
            shape.ask(server, requests)
        else:
            load(server.address, "count", 8, requests)
    finally:
        server.stop()
    totals = [line for line in out.read_text().splitlines() if line.startswith(("totals:", "summary:"))]
    return int(totals[-1].split()[1])


PARTS = (instructions,)

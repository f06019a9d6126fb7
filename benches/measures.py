"""The measurements. Each gives back plain data, which `run` keeps and `report` writes down.

Here: a GET of 13 bytes on HTTP/1. `shapes` has other work, `counts` instructions, `memory` and `starts` what they say.
"""

import random
import statistics
import subprocess

import counts
import memory
import shapes
import starts
from chunks import canaried, load, running, say
from names import BASE, FULL
from rows import main_rows
from servers import OWN, own, service, usual


def cpu(collector, scratch, quick):
    """CPU per request and throughput, keep-alive GET on 32 connections."""
    specs, absent = main_rows(collector, scratch)
    return {**canaried(specs, scratch, 2 if quick else 10), "absent": absent}


def layers(collector, scratch, quick):
    """The usual stack, one layer after the other."""
    names = subprocess.run([OWN / "usual", "-", "0"], capture_output=True, text=True, check=True).stdout.splitlines()
    specs = {BASE: own("hyper_http1"), "bare axum": own("axum_bare")}
    specs |= {f"{number}: + {name}": usual(number, collector) for number, name in enumerate(names, 1)}
    return canaried(specs, scratch, 2 if quick else 6)


def scale(collector, scratch, quick):
    """CPU per request at 1, 100 and 10,000 connections, and with 1 and 200 routes."""
    specs = {BASE: own("hyper_http1"), "bare axum": own("axum_bare"), FULL: service(collector)}
    result = {}
    for connections in (1, 100, 10_000):
        say(f"{connections} connections")
        ask = lambda server, count=connections: load(server.address, "closed", count, 1)
        result[str(connections)] = canaried(specs, scratch, 1 if quick else 5, ask)
    say("1 and 200 routes")
    routes = {str(count): service(collector, routes=count) for count in (1, 200)}
    result["routes"] = canaried(routes, scratch, 2 if quick else 8)
    return result


def latency(collector, scratch, quick):
    """Percentiles at a fixed rate of requests, each measured from the instant at which it was due."""
    specs, _ = main_rows(collector, scratch)
    rate, rounds, result = 4000, 1 if quick else 4, {}
    with running(specs, scratch) as servers:
        for number in range(rounds):
            for name, server in random.sample(list(servers.items()), len(servers)):
                result.setdefault(name, []).append(load(server.address, "open", 64, 1, rate))
            say(f"round {number + 1} of {rounds}")
    keys = ("p50", "p90", "p99", "p999")
    rows = {name: {key: statistics.median(one[key] for one in all_) for key in keys} for name, all_ in result.items()}
    return {"rate": rate, "connections": 64, "rounds": rounds, "rows": rows}


PARTS = {part.__name__: part for part in (cpu, layers, scale, latency, *shapes.PARTS, *counts.PARTS, *memory.PARTS, *starts.PARTS)}

"""The measurements. Each gives back plain data, which `run` keeps and `report` writes down."""

import contextlib
import json
import pathlib
import random
import re
import shutil
import statistics
import subprocess

from servers import (LAYERS, LOAD_CPU, OWN, SERVER_CPU, SERVICE, Server, free_port, naive, need, own, peers, pinned, service,
                     steps, usual)

# A canary that is this far from the run's best says that something else was running.
NOISE = 0.06
BASE = "bare hyper http1"


def say(text):
    print(f"bench: {text}", flush=True)


def load(address, *arguments):
    """Runs the load generator; its report."""
    command = [OWN / "load", address, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=pinned(LOAD_CPU), timeout=300)
    if done.returncode:
        raise SystemExit(f"bench: load {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return json.loads(done.stdout)


@contextlib.contextmanager
def running(specs, scratch):
    """All of `specs` at once, on one CPU: those that are not asked are asleep."""
    servers = {}
    try:
        for name, spec in specs.items():
            servers[name] = Server(name, spec, scratch)
        yield servers
    finally:
        for server in servers.values():
            server.stop()


def main_rows(collector, scratch):
    there, absent = peers(scratch)
    rows = {BASE: own("hyper_http1"), "bare axum": own("axum_bare"), **steps(collector), **there}
    rows["usual stack"] = usual(LAYERS, collector)
    rows["usual stack, 100 %"] = usual(LAYERS, collector, 1)
    rows["usual stack, naive"] = naive(collector)
    return rows, absent


def chunk(server, connections, seconds):
    """Nanoseconds of server CPU and requests of one stretch of load."""
    before = server.cpu()
    report = load(server.address, "closed", connections, seconds)
    return {"cpu": (server.cpu() - before) / report["requests"], "rate": report["requests"] / report["seconds"]}


class Canary:
    """The raw responder, asked before and after each chunk."""

    def __init__(self, scratch):
        self.server = Server("raw epoll", own("raw"), scratch)
        self.seen = [chunk(self.server, 32, 0.3)["cpu"] for _ in range(5)]
        self.last = self.seen[-1]

    def around(self, measure):
        """The chunk, and whether the canaries at both its ends were quiet."""
        before, result = self.last, measure()
        self.last = chunk(self.server, 32, 0.15)["cpu"]
        self.seen.append(self.last)
        return result, (before, self.last)

    def is_quiet(self, cpu):
        best = statistics.quantiles(self.seen, n=10)[1]
        return abs(cpu / best - 1) <= NOISE

    def quiet(self, pair):
        return all(map(self.is_quiet, pair))


def interleaved(measures, rounds, canary):
    """Rounds of all `measures` in a new order each; the quiet chunks of each, and how many were not."""
    taken = []
    for number in range(rounds):
        names = list(measures)
        random.shuffle(names)
        for name in names:
            taken.append((name, *canary.around(measures[name])))
        say(f"round {number + 1} of {rounds}")
    kept = {name: [] for name in measures}
    for name, result, pair in taken:
        if canary.quiet(pair):
            kept[name].append(result)
    count = sum(map(len, kept.values()))
    say(f"{len(taken) - count} of {len(taken)} chunks discarded: the canary was disturbed")
    return kept, {"taken": len(taken), "discarded": len(taken) - count}


def middle(chunks):
    """The median of each figure, and the quartiles of the CPU time."""
    if not chunks:
        return None
    cpu = sorted(one["cpu"] for one in chunks)
    quarter = len(cpu) // 4
    return {"cpu": statistics.median(cpu), "low": cpu[quarter], "high": cpu[-1 - quarter], "chunks": len(cpu),
            "rate": statistics.median(one["rate"] for one in chunks)}


def canaried(specs, scratch, rounds, connections=32, seconds=0.5):
    with running(specs, scratch) as servers:
        canary = Canary(scratch)
        try:
            each = lambda server: lambda: chunk(server, connections, seconds)
            kept, counts = interleaved({name: each(server) for name, server in servers.items()}, rounds, canary)
            raw = {"cpu": statistics.median(filter(canary.is_quiet, canary.seen))}
        finally:
            canary.server.stop()
    return {"rows": {name: middle(chunks) for name, chunks in kept.items()}, "raw": raw, **counts}


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
    specs = {BASE: own("hyper_http1"), "bare axum": own("axum_bare"), "service, everything on": service(collector)}
    result = {}
    for connections in (1, 100, 10_000):
        say(f"{connections} connections")
        result[str(connections)] = canaried(specs, scratch, 1 if quick else 5, connections, 1)
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


def instructions(collector, scratch, quick):
    """Instructions per request by callgrind: the difference of two runs, so that start and end cancel out."""
    few, many = (500, 2500) if quick else (1000, 9000)
    specs = {"raw epoll": own("raw"), BASE: own("hyper_http1"), "bare axum": own("axum_bare"), **steps(collector),
             "usual stack": usual(LAYERS, collector), "usual stack, naive": naive(collector)}
    rows = {}
    for name, spec in specs.items():
        counts = [counted(name, spec, requests, scratch) for requests in (few, many)]
        rows[name] = (counts[1] - counts[0]) / (many - few)
        say(f"{name}: {rows[name]:.0f} instructions a request")
    shown = ("service, everything on", "service, everything on, 100 %")
    return {"rows": rows, "requests": many - few, "profiles": {name: profile(name, few, many, scratch) for name in shown}}


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


def counted(name, spec, requests, scratch):
    """Instructions of a whole run that answers `requests`; the profile stays in the scratch directory."""
    out = counts_file(name, requests, scratch)
    out.parent.mkdir(parents=True, exist_ok=True)
    wrap = [need("valgrind"), "--tool=callgrind", f"--callgrind-out-file={out}", "--quiet"]
    server = Server(f"{name} counted", spec, scratch, wrap)
    try:
        load(server.address, "count", 8, requests)
    finally:
        server.stop()
    totals = [line for line in out.read_text().splitlines() if line.startswith(("totals:", "summary:"))]
    return int(totals[-1].split()[1])


def memory(collector, scratch, quick):
    """Resident memory idle, and for each idle connection that has had one answer."""
    count, result = 1000 if quick else 10_000, {}
    specs, absent = main_rows(collector, scratch)
    for name in [one for one in specs if one.startswith("service, ") and one != "service, everything on"]:
        del specs[name]
    for name, spec in specs.items():
        server = Server(name, spec, scratch)
        try:
            idle = server.resident()
            command = [OWN / "load", server.address, "hold", str(count)]
            holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=pinned(LOAD_CPU))
            if not holder.stdout.readline():
                raise SystemExit(f"bench: {name} does not hold {count} connections")
            result[name] = {"idle": idle, "each": (server.resident() - idle) / count}
            holder.communicate()
        finally:
            server.stop()
        say(f"{name}: {idle / 1e6:.1f} MB idle, {result[name]['each']:.0f} B a connection")
    return {"rows": result, "connections": count, "absent": absent}


def start(collector, scratch, quick):
    """From the start of the program to its first 200, with a free CPU; and the size of the program."""
    specs = {BASE: own("hyper_http1"), "bare axum": own("axum_bare"),
             "service, everything on": service(collector), "server, as it ships": service(program="server")}
    rows = {}
    for name, spec in specs.items():
        times = [started(spec, "/whoami" if name.startswith("server") else "/hello") for _ in range(5 if quick else 41)]
        rows[name] = {"median": statistics.median(times), "fastest": min(times), "slowest": max(times)}
        say(f"{name}: first 200 after {rows[name]['median'] * 1e3:.2f} ms")
    return {"rows": rows, "size": size(scratch)}


class Address:
    def __init__(self):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"


def started(spec, path):
    address = Address()
    command, environment = spec(address)
    variables = [f"{key}={value}" for key, value in environment.items()]
    report = subprocess.run([OWN / "load", address.address, "start", str(SERVER_CPU), path, *map(str, command)],
                            env=dict(pair.split("=", 1) for pair in variables), capture_output=True, text=True,
                            preexec_fn=pinned(LOAD_CPU), timeout=60)
    if report.returncode:
        raise SystemExit(f"bench: start: {report.stderr.strip()}")
    return json.loads(report.stdout)["answered"]


def size(scratch):
    """Bytes of the program as it is built, and stripped of its symbols."""
    program, stripped = SERVICE / "server", scratch / "server-stripped"
    shutil.copy(program, stripped)
    subprocess.run([need("strip"), stripped], check=True)
    return {"built": program.stat().st_size, "stripped": pathlib.Path(stripped).stat().st_size}


PARTS = {part.__name__: part for part in (cpu, layers, scale, latency, instructions, memory, start)}

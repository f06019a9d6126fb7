"""Stretches of load, in turn, with a canary beside them."""

import contextlib
import json
import random
import statistics
import subprocess

from servers import LOAD_CPU, OWN, SERVER_CPU, Server, own, pinned

# A canary that is this far from the run's best says that something else was running.
NOISE = 0.06


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
def running(specs, scratch, ready=None, cpus=(SERVER_CPU,)):
    """All of `specs` at once, on one CPU: those that are not asked are asleep."""
    servers = {}
    try:
        for name, spec in specs.items():
            servers[name] = Server(name, spec, scratch, ready=ready, cpus=cpus)
        yield servers
    finally:
        for server in servers.values():
            server.stop()


def costs(server, ask):
    """Nanoseconds of server CPU and requests of one stretch of load; `ask` makes it and gives back its report."""
    before = server.cpu()
    report = ask(server)
    return {"cpu": (server.cpu() - before) / report["requests"], "rate": report["requests"] / report["seconds"]}


def chunk(server, connections, seconds):
    """A keep-alive GET on so many connections."""
    return costs(server, lambda server: load(server.address, "closed", connections, seconds))


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


def canaried(specs, scratch, rounds, ask=None, ready=None, cpus=(SERVER_CPU,)):
    """Rounds of all `specs`: 32 connections with a keep-alive GET for half a second, or what `ask` does."""
    ask = ask or (lambda server: load(server.address, "closed", 32, 0.5))
    with running(specs, scratch, ready, cpus) as servers:
        canary = Canary(scratch)
        try:
            each = lambda server: lambda: costs(server, ask)
            kept, counts = interleaved({name: each(server) for name, server in servers.items()}, rounds, canary)
            raw = {"cpu": statistics.median(filter(canary.is_quiet, canary.seen))}
        finally:
            canary.server.stop()
    return {"rows": {name: middle(chunks) for name, chunks in kept.items()}, "raw": raw, **counts}

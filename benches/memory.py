"""Resident memory: idle, for each idle connection, and after a peak of load."""

import contextlib
import subprocess
import time
from ctypes.util import find_library

import shapes
from chunks import load, say
from names import BASE, FULL, GO, GO_LOGS, HYPER2, NGINX
from peers import go, nginx, peers
from rows import main_rows
from servers import LOAD_CPU, OWN, Server, own, pinned, service


def memory(collector, scratch, quick):
    """Resident memory idle, and for each idle connection that has had one answer."""
    specs, absent = main_rows(collector, scratch)
    for name in [one for one in specs if one.startswith("service, ") and one != FULL]:
        del specs[name]
    return {**idle(specs, scratch, "hold", 1000 if quick else 10_000), "absent": absent}


def memory2(collector, scratch, quick):
    """The same of HTTP/2, without TLS."""
    specs = {HYPER2: own("hyper_http2"), FULL: service(collector)}
    absent = shapes.beside(specs, {"nginx": lambda: {NGINX: nginx(how=" http2")},
                                   GO: lambda: go(scratch, h2c=True)})
    return {**idle(specs, scratch, "hold2", 1000 if quick else 10_000, shapes.Shape(1).ready), "base": HYPER2, "absent": absent}


def idle(specs, scratch, mode, count, ready=None):
    rows = {}
    for name, spec in specs.items():
        server = Server(name, spec, scratch, ready=ready)
        try:
            before = server.resident()
            with holding(server, mode, count):
                rows[name] = {"idle": before, "each": (server.resident() - before) / count}
        finally:
            server.stop()
        say(f"{name}: {before / 1e6:.1f} MB idle, {rows[name]['each']:.0f} B a connection")
    return {"rows": rows, "connections": count}


@contextlib.contextmanager
def holding(server, mode, count):
    """So many connections, each after one answer."""
    command = [OWN / "load", server.address, mode, str(count)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=pinned(LOAD_CPU))
    if not holder.stdout.readline():
        raise SystemExit(f"bench: {server.name} does not hold {count} connections")
    yield
    holder.communicate()


def peak(collector, scratch, quick):
    """Resident memory before a peak of load, in it, and after it; the service also on other allocators."""
    there, absent = peers(scratch)
    specs = {BASE: own("hyper_http1"), FULL: service(collector)}
    for name in ("jemalloc", "mimalloc"):
        if library := find_library(name):
            specs[f"{FULL}, {name}"] = service(collector, LD_PRELOAD=library)
        else:
            absent.append(name)
    specs |= {name: there[name] for name in (NGINX, GO_LOGS) if name in there}
    count, rows = 1000 if quick else 10_000, {}
    for name, spec in specs.items():
        server = Server(name, spec, scratch)
        try:
            load(server.address, "closed", 32, 0.5)
            before = server.resident()
            with holding(server, "hold", count):
                load(server.address, "closed", count // 5, 1 if quick else 3)
                top = server.resident()
            rows[name] = {"before": before, "peak": top, "after": settled(server)}
        finally:
            server.stop()
        say(f"{name}: " + ", ".join(f"{key} {value / 1e6:.1f} MB" for key, value in rows[name].items()))
    return {"rows": rows, "connections": count + count // 5, "absent": absent}


def settled(server):
    """Resident bytes, when they have been the same for twelve seconds, or after 40: what is given back late counts."""
    seen = [server.resident()]
    while len(seen) < 80 and (len(seen) < 25 or len(set(seen[-25:])) > 1):
        time.sleep(0.5)
        seen.append(server.resident())
    return seen[-1]


PARTS = (memory, memory2, peak)

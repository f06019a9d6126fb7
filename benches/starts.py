"""From the start of a program to its first 200, and the size of the program."""

import json
import os
import pathlib
import shutil
import statistics
import subprocess

import shapes
from chunks import say
from groups import Quarter
from names import BASE, FULL, GO, SHIPPED
from peers import go
from servers import LOAD_CPU, OWN, SERVER_CPU, SERVICE, free_port, need, own, pinned, service


def start(collector, scratch, quick):
    """From the start of the program to its first 200, with a free CPU; and the size of the program."""
    specs = {BASE: own("hyper_http1"), "bare axum": own("axum_bare"),
             FULL: service(collector), SHIPPED: service(program="server")}
    return {"rows": starts(specs, 5 if quick else 41, scratch), "size": size(scratch)}


def quarter(collector, scratch, quick):
    """The same under a quarter of a CPU."""
    specs = {BASE: own("hyper_http1"), FULL: service(collector), SHIPPED: service(program="server")}
    absent = shapes.beside(specs, {GO: lambda: go(scratch)})
    with Quarter() as group:
        return {"rows": starts(specs, 3 if quick else 21, scratch, group.path), "bounded": bool(group.path), "absent": absent}


def starts(specs, count, scratch, group=None):
    rows = {}
    for name, spec in specs.items():
        seen = [started(spec, "/whoami" if name == SHIPPED else "/hello", scratch, group) for _ in range(count)]
        times = [one["answered"] for one in seen]
        rows[name] = {"median": statistics.median(times), "fastest": min(times), "slowest": max(times),
                      "cpu": statistics.median(one["cpu"] for one in seen)}
        say(f"{name}: first 200 after {rows[name]['median'] * 1e3:.2f} ms")
    return rows


class Address:
    """What a spec asks of a server that the load generator starts."""

    def __init__(self, scratch):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.directory = scratch


def started(spec, path, scratch, group):
    address = Address(scratch)
    command, environment = spec(address)
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("APP__", "OTEL_"))}
    report = subprocess.run([OWN / "load", address.address, "start", str(SERVER_CPU), group or "-", path, *map(str, command)],
                            env={**clean, **environment}, capture_output=True, text=True, preexec_fn=pinned(LOAD_CPU), timeout=60)
    if report.returncode:
        raise SystemExit(f"bench: start: {report.stderr.strip()}")
    return json.loads(report.stdout)


def size(scratch):
    """Bytes of the program as it is built, and stripped of its symbols."""
    program, stripped = SERVICE / "server", scratch / "server-stripped"
    shutil.copy(program, stripped)
    subprocess.run([need("strip"), stripped], check=True)
    return {"built": program.stat().st_size, "stripped": pathlib.Path(stripped).stat().st_size}


PARTS = (start, quarter)

"""The servers that are measured: how each is started, and what it is called in the tables."""

import os
import pathlib
import shutil
import socket
import subprocess
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
OWN = ROOT / "target/benches/release"
SERVICE = ROOT / "target/release"
SERVER_CPU, LOAD_CPU = 0, 1
LAYERS, NAIVE_LAYERS = 8, 9  # of the usual stacks, see src/bin/usual.rs and src/bin/usual_naive.rs


def find(name):
    """Where a program is, or None."""
    own = [ROOT / ".tools/bin", ROOT / ".tools/rotel/rotel"]
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", *map(str, own)])
    return shutil.which(name, path=path)


def need(name, packages="make bench"):
    """Where a program is; ends the run with what to do where it is missing."""
    found = find(name)
    if not found:
        raise SystemExit(f"bench: {name} is missing: scripts/gate tools/install bench, then again {packages}")
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pinned(*cpus):
    return lambda: os.sched_setaffinity(0, set(cpus))


def answers(server):
    """Whether `/hello` answers by HTTP/1."""
    try:
        with urllib.request.urlopen(f"http://{server.address}/hello", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


class Server:
    """A running server, pinned to `cpus`; `spec` gets its address, and `ready` tells when it answers."""

    def __init__(self, name, spec, scratch, wrap=(), ready=None, cpus=(SERVER_CPU,)):
        self.name, self.port, self.ready = name, free_port(), ready or answers
        self.address = f"127.0.0.1:{self.port}"
        self.directory = scratch / name.replace(" ", "-").replace("/", "-").replace("%", "")
        self.directory.mkdir(parents=True, exist_ok=True)
        command, environment = spec(self)
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("APP__", "OTEL_"))}
        log = open(self.directory / "log", "w")
        self.process = subprocess.Popen(
            [*wrap, *map(str, command)], env={**clean, **environment}, stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, preexec_fn=pinned(*cpus), cwd=self.directory)
        self.wait_ready()

    def wait_ready(self):
        for _ in range(1200):
            if self.process.poll() is not None:
                break
            if self.ready(self):
                return
            time.sleep(0.05)
        tail = (self.directory / "log").read_text()[-2000:]
        self.stop()
        raise SystemExit(f"bench: {self.name} did not start:\n{tail}")

    def processes(self):
        """Its process and what that started (nginx's worker)."""
        mine, seen = [self.process.pid], []
        while mine:
            pid = mine.pop()
            seen.append(pid)
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                mine += map(int, (task / "children").read_text().split())
        return seen

    def cpu(self):
        """Nanoseconds on a CPU so far, user and system, of all its threads (proc(5), schedstat)."""
        tasks = (task for pid in self.processes() for task in pathlib.Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)

    def resident(self):
        """Resident bytes."""
        lines = (line for pid in self.processes() for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Collector:
    """Rotel, a live OpenTelemetry collector, on the load's CPU."""

    def __init__(self, scratch):
        directory = scratch / "collector"
        directory.mkdir(parents=True, exist_ok=True)
        grpc, http = free_port(), free_port()
        self.url = f"http://127.0.0.1:{grpc}"
        with open(directory / "output", "w") as output:
            self.process = subprocess.Popen(
                [need("rotel-agent"), "start", "--exporter", "blackhole", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}",
                 "--otlp-http-endpoint", f"127.0.0.1:{http}", "--pid-file", "pid", "--log-file", "log"],
                cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=pinned(LOAD_CPU))
        for _ in range(400):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", grpc)) == 0:
                    return
            time.sleep(0.05)
        raise SystemExit("bench: the collector did not start: " + (directory / "output").read_text()[-2000:])

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


def service(collector=None, ratio=None, access_log=True, overload=True, routes=1, program="hello", scheme="http", **more):
    """The service: everything on but what is turned off here; `more` are further variables."""
    def spec(server):
        environment = {
            "APP__SERVER__LISTEN": f"{scheme}://{server.address}", "APP__ADMIN__LISTEN": "127.0.0.1:0",
            "APP__LIFECYCLE__DRAIN_DELAY": "0s",
            "APP__TELEMETRY__LOG_FORMAT": "json",
            "APP__TELEMETRY__ACCESS_LOG": str(access_log).lower(), "APP__OVERLOAD__ENABLED": str(overload).lower(),
        }
        if program.startswith("hello"):
            environment["APP__APP__ROUTES"] = str(routes)
        if collector:
            environment["APP__TELEMETRY__OTLP_ENDPOINT"] = collector.url
        if ratio is not None:
            environment["APP__TELEMETRY__SAMPLE_RATIO"] = str(ratio)
        return [SERVICE / program], {**environment, **{key: str(value) for key, value in more.items()}}
    return spec


def own(name, *arguments, **variables):
    return lambda server: ([OWN / name, server.address, *arguments], {key: str(value) for key, value in variables.items()})


def usual(layers, collector, ratio=0.1, program="usual"):
    return lambda server: ([OWN / program, server.address, layers, server.directory / "lines", collector.url, ratio], {})


def naive(collector, ratio=0.1):
    return usual(NAIVE_LAYERS, collector, ratio, "usual_naive")

"""Replicas on this machine: started, asked, faulted, restarted and stopped as a platform would."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import app_env

# `scripts/gate` calls from the service's folder.
ROOT = Path.cwd()
# A debug build on a busy machine is ready well within this.
START_SECONDS = 30
# How the load names itself (`userAgent` in lib.js), in a line of the access log.
CLIENT = b'"user_agent.original":"load-tests"'
# What the local fleet differs in from the defaults.
LOCAL = {
    # HAProxy and Envoy look ten times a second; the default waits for the endpoints of a cluster.
    "APP__LIFECYCLE__DRAIN_DELAY": "1s",
    "APP__ADMIN__MUTABLE": "true",
    # What the replicas answered is counted by their own lines.
    "APP__TELEMETRY__ACCESS_LOG": "true",
    "APP__TELEMETRY__LOG_FORMAT": "json",
    # Believes the deadlines of the clients, which come through the balancer here.
    "APP__SERVER__TRUSTED_PEERS": "127.0.0.1/32",
}


class Trouble(Exception):
    """Something outside the service does not work; the text names it and says what to do."""


def find(program):
    """Where `program` is: on PATH, where Debian keeps daemons, or where `make tools` puts things."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", str(ROOT / ".tools/bin")])
    found = shutil.which(program, path=path)
    if not found:
        raise Trouble(f"{program} not found: run `make tools`")
    return found


def free_port(taken=set()):
    """A port that is free now. Below those that the kernel gives to clients (32768 and up), so that no client takes it
    while its server restarts; all of this process's are different."""
    start = os.getpid() * 64 % 10_000
    for step in range(10_000):
        port = 20_000 + (start + step) % 10_000
        if port in taken:
            continue
        with socket.socket() as probe:
            # As the servers do, or a closed connection's TIME_WAIT would look like a user.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        taken.add(port)
        return port
    raise Trouble("no free port between 20000 and 30000")


def get(url, timeout=2.0):
    """Status and body; (0, reason) where there is no answer."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except (OSError, ValueError) as error:
        return 0, str(error)


def until(what, bound, probe):
    """Polls `probe` until it gives something true, and gives that."""
    deadline = time.monotonic() + bound
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Trouble(f"not within {bound} s: {what}")
        time.sleep(0.02)


class Replica:
    """One server process. It keeps its ports over restarts."""

    def __init__(self, number, program, settings, folder):
        self.name = f"replica-{number}"
        self.number = number
        self.program = program
        self.port, self.admin_port = free_port(), free_port()
        self.admin = f"http://127.0.0.1:{self.admin_port}"
        self.log = folder / f"{self.name}.log"
        self.process = None
        self.environment = {
            "POD_NAME": self.name,
            "APP__SERVER__LISTEN": f"http://127.0.0.1:{self.port}",
            "APP__ADMIN__LISTEN": f"127.0.0.1:{self.admin_port}",
            **app_env.read(),
            **LOCAL,
            **settings,
        }

    def start(self):
        """Starts it; `await_ready` tells when it serves."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [self.program], env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def await_ready(self):
        until(f"{self.name} is ready; its log is {self.log}", START_SECONDS, self._ready)

    def _ready(self):
        if self.process.poll() is not None:
            raise Trouble(f"{self.name} ended with {self.process.returncode} at its start:\n{self.tail()}")
        return get(f"{self.admin}/readyz")[0] == 200

    def tail(self):
        return "\n".join(self.log.read_text().splitlines()[-8:])

    def unmatched(self):
        """How many requests for no route it has answered."""
        counts = re.findall(r'^http_server_request_duration_seconds_count{[^}]*http_route=""[^}]*} (\d+)', get(f"{self.admin}/metrics")[1], re.M)
        return sum(map(int, counts))

    def served(self):
        """How many requests of the load it has answered, over all its restarts: its own lines, which outlive it."""
        if not self.log.exists():
            return 0
        with self.log.open("rb") as log:
            return sum(b'"target":"access"' in line and CLIENT in line for line in log)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def terminate(self):
        """What a platform does first."""
        self.process.send_signal(signal.SIGTERM)

    def ended(self):
        """Waits for the end of a drain, and gives the exit code."""
        try:
            return self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            raise Trouble(f"{self.name} still drains after 60 s; its log is {self.log}") from None

    def kill(self):
        if self.is_running():
            self.process.kill()
            self.process.wait()

    def strike(self, rule):
        """Sets a fault rule, as `PUT /faults` takes it."""
        body = json.dumps({"rules": [{"expires_in": "1h", **rule}]}).encode()
        request = urllib.request.Request(f"{self.admin}/faults", body, method="PUT")
        try:
            with urllib.request.urlopen(request, timeout=5):
                pass
        except urllib.error.HTTPError as error:
            raise Trouble(f"{self.name} refused the fault {rule}: {error.read().decode()}") from None


class Fleet:
    """Replicas behind a balancer. `size` start; up to `most` can."""

    def __init__(self, program, size, most, balancer, settings, folder, nth=0):
        """With `nth`, a relay in front of it loses every so-manieth request of kept connections."""
        self.folder = folder
        self.nth, self.relay = nth, None
        self.all = [Replica(number, program, settings, folder) for number in range(most)]
        self.size = size
        self.balancer = balancer
        self.exit_codes = []

    def __enter__(self):
        try:
            for replica in self.all[: self.size]:
                replica.start()
            for replica in self.all[: self.size]:
                replica.await_ready()
            self.balancer.start(self.all, self.size, self.folder)
            for replica in self.all[: self.size]:
                self.answers(replica)
            if self.nth:
                self._lose()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _lose(self):
        port = free_port()
        command = [sys.executable, "-B", Path(__file__).with_name("relay.py"), str(port), str(self.balancer.port), str(self.nth)]
        with (self.folder / "relay.log").open("w") as log:
            self.relay = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.relay_url = f"http://127.0.0.1:{port}"
        until(f"the relay passes requests; its log is {log.name}", 15, lambda: get(f"{self.relay_url}/healthz")[0] == 200)

    def __exit__(self, *_):
        if self.relay:
            self.relay.kill()
            self.relay.wait()
        self.balancer.stop()
        for replica in self.all:
            replica.kill()

    @property
    def url(self):
        """Where the load goes."""
        return self.relay_url if self.relay else self.balancer.url

    def running(self):
        return [replica for replica in self.all if replica.is_running()]

    def answers(self, replica):
        """Waits until `replica` answers through the balancer: it counts one more request for no route."""
        before = replica.unmatched()
        asked = lambda: get(f"{self.balancer.url}/no-such-route") and replica.unmatched() > before
        until(f"{replica.name} answers through {self.balancer.name}; logs are in {self.folder}", 15, asked)

    def served(self):
        return sum(replica.served() for replica in self.all)

    def restart(self, replica, note):
        """As a rollout does: SIGTERM, the balancer notices, the end, a new process, and on when it is ready."""
        note(f"SIGTERM {replica.name}", replica)
        replica.terminate()
        self.balancer.take_out(replica)
        code = replica.ended()
        self.exit_codes.append(code)
        note(f"{replica.name} ended with {code}", replica)
        replica.start()
        replica.await_ready()
        self.balancer.put_back(replica)
        self.answers(replica)
        note(f"{replica.name} is back", replica)

    def add(self, count, note):
        """Starts `count` more at once; returns when all are ready, and gives when the last one was."""
        new = self.all[self.size : self.size + count]
        for replica in new:
            replica.start()
        for replica in new:
            replica.await_ready()
            note(f"{replica.name} is ready", replica)
        ready = time.time()
        self.size += len(new)
        self.balancer.resize(self.size)
        return ready

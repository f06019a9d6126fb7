"""Envoy and HAProxy that weigh replicas by what those report, and replicas with a CPU quota; for `template/scripts/measure-fleet`."""

import csv
import os
import re
import socket
import subprocess

import balancers
from fleet import Replica, Trouble, free_port, get
from groups import Quota


class Envoy(balancers.Envoy):
    """As docs/operations.md has it: the policy's own defaults."""

    POLICIES = {"in turn": "round_robin.v3.RoundRobin", "fewest in flight": "least_request.v3.LeastRequest",
                "weighted": "client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin"}  # fmt: skip

    def _config(self):
        config = super()._config()
        self.stats = free_port()
        config["admin"] = {"address": balancers.address(self.stats)}
        cluster, name = config["static_resources"]["clusters"][0], self.POLICIES[self.algorithm]
        del cluster["lb_policy"]
        typed = {"@type": f"type.googleapis.com/envoy.extensions.load_balancing_policies.{name}"}
        cluster["load_balancing_policy"] = {"policies": [{"typed_extension_config": {
            "name": f"envoy.load_balancing_policies.{name.split('.')[0]}", "typed_config": typed,
        }}]}  # fmt: skip
        return config

    def sent(self):
        """Requests so far, of each replica in their order."""
        _, text = get(f"http://127.0.0.1:{self.stats}/clusters")
        found = {int(port): int(count) for port, count in re.findall(r"^fleet::127\.0\.0\.1:(\d+)::rq_total::(\d+)", text, re.M)}
        return [found[each.port] for each in self.replicas]


class HAProxy(balancers.HAProxy):
    """As docs/operations.md has it, and asked once a second."""

    POLICIES = {"in turn": "roundrobin", "fewest in flight": "leastconn", "weighted": "roundrobin"}

    def __init__(self, algorithm):
        super().__init__(self.POLICIES[algorithm])
        self.is_weighted = algorithm == "weighted"

    def server(self, replica):
        agent = f" weight 100 agent-check agent-port {replica.agent} agent-inter 1s" if self.is_weighted else ""
        return super().server(replica) + agent

    def sent(self):
        with socket.create_connection(("127.0.0.1", self.stats), timeout=5) as asked:
            asked.sendall(b"show stat -1 4 -1\n")
            table = b"".join(iter(lambda: asked.recv(65536), b"")).decode()
        header, *rows = csv.reader(table.strip().lstrip("# ").splitlines())
        found = {row["svname"]: int(row["stot"]) for row in (dict(zip(header, row)) for row in rows)}
        return [found[each.name] for each in self.replicas]


FRONTS = {"envoy": Envoy, "haproxy": HAProxy}


class Pod(Replica):
    """A replica with a CPU quota, on one CPU of the machine."""

    def __init__(self, number, program, quota, cpu, folder):
        self.agent, self.cpu = free_port(), cpu
        told = {"APP__AGENT__LISTEN": f"127.0.0.1:{self.agent}", "APP__SERVER__LOAD_REPORT": "text",
                "APP__TELEMETRY__ACCESS_LOG": "false", "APP__RUNTIME__WORK_THREADS": "1", "APP__RUNTIME__WORKER_THREADS": "1",
                "APP__LIFECYCLE__DRAIN_DELAY": "0s"}  # fmt: skip
        super().__init__(number, program, told, folder)
        self.group = Quota(quota, f"fleet-{number}")
        if not self.group.path:
            raise Trouble("no control group with a CPU quota can be made here: run it as root, where /sys/fs/cgroup is writable")

    def start(self):
        def confined():
            os.sched_setaffinity(0, {self.cpu})
            self.group.enter()

        with self.log.open("a") as log:
            self.process = subprocess.Popen([self.program], env=self.environment, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, preexec_fn=confined)  # fmt: skip

    def kill(self):
        super().kill()
        self.group.__exit__()

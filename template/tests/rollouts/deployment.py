"""A Deployment with processes for pods: surge, minReadySeconds, grace and the disruption budget as k8s/base has them, and
endpoints that reach each balancer late, in order, up to `LAG_SECONDS` after the fact."""

import math
import os
import random
import re
import signal
import subprocess
import time
from dataclasses import dataclass

from fleet import ROOT, Trouble, free_port, get

# 8 s: what is left of the chart's drain delay of 10 s for the slowest balancer to hear of it.
LAG_SECONDS = 8
# Between two looks of the controller.
TICK = 0.05
# A debug build on a busy machine is ready well within this.
START_SECONDS = 60
# As many pods as may be there at once: of six, or of three with their surge and those that drain.
SLOTS = 9
NODES = ("a", "b")


@dataclass
class Manifest:
    """What k8s/base says; times may be scaled down, all by the same factor."""

    min_ready: float
    drain_delay: float
    lag: float
    surge: float
    unavailable: int
    grace: float
    disrupted: int

    @classmethod
    def read(cls, scale=1.0):
        base = ROOT / "k8s/base"
        deployment, budget = (base / "deployment.yaml").read_text(), (base / "poddisruptionbudget.yaml").read_text()
        return cls(
            min_ready=number(deployment, r"minReadySeconds: (\d+)") * scale,
            drain_delay=number(deployment, r"drain_delay: (\d+)s") * scale,
            lag=LAG_SECONDS * scale,
            surge=number(deployment, r"maxSurge: (\d+)%") / 100,
            unavailable=number(deployment, r"maxUnavailable: (\d+)"),
            grace=number(deployment, r"terminationGracePeriodSeconds: (\d+)"),
            disrupted=number(budget, r"maxUnavailable: (\d+)"),
        )


def number(text, pattern):
    found = re.search(pattern, text)
    if not found:
        raise Trouble(f"k8s/base has no {pattern!r}: the drills read it there")
    return int(found[1])


class Pod:
    """One process of a revision, on a node."""

    def __init__(self, number, slot, revision, node):
        self.name, self.slot, self.revision, self.node = f"pod-{number}", slot, revision, node
        self.ready_at = self.ended_at = self.killed_by = None
        self.code = None

    def is_ready(self):
        return self.ready_at is not None and self.ended_at is None

    def is_live(self):
        return self.ended_at is None


class Deployment:
    """Reconciled by `tick`; what the drills do is set from outside."""

    def __init__(self, manifest, program, fronts, folder, replicas, seed, settings=None):
        self.manifest, self.program, self.fronts, self.folder = manifest, program, fronts, folder
        self.desired, self.revision, self.settings = replicas, 1, settings or {}
        self.slots = [(free_port(), free_port()) for _ in range(SLOTS)]
        self.ledger = folder / "ledger"
        self.pods, self.gone, self.cordoned, self.events = [], [], set(), []
        self.random, self.count = random.Random(seed), 0
        self.complaints = []
        self.begin()

    # What is there.

    def live(self):
        return [pod for pod in self.pods if pod.is_live()]

    def ready(self):
        return [pod for pod in self.pods if pod.is_ready()]

    def available(self):
        return [pod for pod in self.ready() if time.monotonic() - pod.ready_at >= self.manifest.min_ready]

    def on(self, node):
        return [pod for pod in self.pods if pod.node == node]

    def is_settled(self):
        """All are of this revision and available, none is on its way out, and every balancer has heard."""
        mine = [pod for pod in self.available() if pod.revision == self.revision]
        return len(mine) == len(self.pods) == self.desired and not self.events

    def surge(self):
        return math.ceil(self.desired * self.manifest.surge)

    # What happens.

    def begin(self):
        """From here on `fewest` and `most` are what was ready and what was there."""
        self.fewest, self.most = math.inf, 0

    def tick(self):
        for pod in list(self.pods):
            self._look(pod)
        self._propagate()
        self._reconcile()
        self.fewest, self.most = min(self.fewest, len(self.ready())), max(self.most, len(self.live()))

    def until(self, what, bound, probe):
        deadline = time.monotonic() + bound
        while not probe():
            if time.monotonic() > deadline:
                states = [(pod.name, pod.revision, pod.node, pod.is_ready(), pod.is_live()) for pod in self.pods]
                raise Trouble(f"not within {bound:.0f} s: {what}; {states}, logs in {self.folder}")
            self.tick()
            time.sleep(TICK)

    def evict(self, pod):
        """As the eviction API: refused while the budget allows no more disruption."""
        allowed = len(self.ready()) - (self.desired - self.manifest.disrupted) > 0
        if pod.is_ready() and not allowed:
            return False
        self.terminate(pod)
        return True

    def terminate(self, pod):
        """SIGTERM at once; the balancers hear later."""
        was_ready = pod.is_ready()
        pod.ended_at = time.monotonic()
        pod.process.send_signal(signal.SIGTERM)
        if was_ready:
            self._announce(pod, "remove")

    def stop(self):
        """All at once, without a delay: nobody asks any more."""
        for pod in self.pods:
            pod.process.send_signal(signal.SIGINT)
        for pod in self.pods:
            try:
                pod.code = pod.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                pod.process.kill()
                pod.code = pod.process.wait()
            self.gone.append(pod)
        self.pods = []

    def kill(self):
        for pod in self.pods:
            pod.process.kill()
            pod.process.wait()

    def _start(self):
        used = {pod.slot for pod in self.pods} | {slot for _, _, _, slot in self.events}
        free = [slot for slot in range(SLOTS) if slot not in used]
        nodes = [node for node in NODES if node not in self.cordoned]
        if not free:
            return
        node = min(nodes, key=lambda node: len([pod for pod in self.on(node) if pod.is_live()]))
        self.count += 1
        pod = Pod(self.count, free[0], self.revision, node)
        port, admin = self.slots[pod.slot]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("APP__", "OTEL_"))} | {
            "POD_NAME": pod.name,
            "APP__SERVER__LISTEN": f"http://127.0.0.1:{port}",
            "APP__ADMIN__LISTEN": f"127.0.0.1:{admin}",
            "APP__LIFECYCLE__DRAIN_DELAY": f"{self.manifest.drain_delay * 1000:.0f}ms",
            "APP__TELEMETRY__LOG_FORMAT": "json",
            "APP__TELEMETRY__ACCESS_LOG": "false",
            "APP__APP__LEDGER": str(self.ledger),
            **self.settings,
        }  # fmt: skip
        with (self.folder / f"{pod.name}.log").open("w") as log:
            pod.process = subprocess.Popen([self.program], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        pod.started_at = time.monotonic()
        self.pods.append(pod)

    def _look(self, pod):
        pod.code = pod.process.poll()
        if pod.code is not None:
            if pod.is_live():
                raise Trouble(f"{pod.name} ended by itself with {pod.code}: {self.tail(pod)}")
            self.pods.remove(pod)
            self.gone.append(pod)
        elif not pod.is_live():
            if time.monotonic() - pod.ended_at > self.manifest.grace:
                self.complaints.append(f"{pod.name} was killed after its grace period of {self.manifest.grace} s")
                pod.process.kill()
        elif pod.ready_at is None:
            if get(f"http://127.0.0.1:{self.slots[pod.slot][1]}/readyz", timeout=1)[0] == 200:
                pod.ready_at = time.monotonic()
                self._announce(pod, "add")
            elif time.monotonic() - pod.started_at > START_SECONDS:
                raise Trouble(f"{pod.name} is not ready after {START_SECONDS} s: {self.tail(pod)}")

    def tail(self, pod):
        return "\n".join((self.folder / f"{pod.name}.log").read_text().splitlines()[-5:])

    def _announce(self, pod, verb):
        """To each balancer after a time of its own: half of them as late as it may be. In order, as a watch delivers."""
        for front in self.fronts:
            lag = self.random.choice([self.manifest.lag, self.random.uniform(0, self.manifest.lag)])
            before = [due for due, other, _, _ in self.events if other is front]
            self.events.append((max([time.monotonic() + lag, *before]), front, verb, pod.slot))

    def _propagate(self):
        now = time.monotonic()
        due, self.events = [each for each in self.events if each[0] <= now], [each for each in self.events if each[0] > now]
        for _, front, verb, slot in due:
            getattr(front, verb)(slot)

    def _reconcile(self):
        """As the Deployment controller, whose ReplicaSets are the pods of each revision."""
        live, available = self.live(), len(self.available())
        new = [pod for pod in live if pod.revision == self.revision]
        old = [pod for pod in live if pod.revision != self.revision]
        if len(new) > self.desired:
            # Those that are not ready go first, then the youngest.
            for pod in sorted(new, key=lambda pod: (pod.is_ready(), -pod.started_at))[: len(new) - self.desired]:
                self.terminate(pod)
            return
        for _ in range(min(self.desired - len(new), self.desired + self.surge() - len(live))):
            self._start()
        least = self.desired - self.manifest.unavailable
        # An old pod that does not serve is no loss.
        for pod in sorted(old, key=lambda pod: (pod.is_ready(), pod.started_at)):
            if not pod.is_ready():
                self.terminate(pod)
            elif available - 1 >= least:
                self.terminate(pod)
                available -= 1

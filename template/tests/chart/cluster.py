"""The script of `make e2e-cluster` with a service, and stand-ins for helm and kubectl: what it waits for, and what it counts.

Pods go on ending for a while after each step, and objects after the uninstallation. A server that drops one kept request
in a hundred is the negative control: each step under load has to see it.
"""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import chart
from check import Report
from rollout import TARGET

RUN = chart.ROOT / "crates/chassis/gate/cluster/run"
STEPS = ["restart", "scale_out", "change_settings", "scale_in", "roll_back", "autoscale"]
# Both note what they are asked. kubectl has a pod that ends for two more questions, and twice something left.
HELM = '#!/bin/sh\necho "helm $*" >>"$CALLS"\n'
KUBECTL = """#!/bin/sh
[ "$1" != apply ] && [ "$3" != apply ] || cat >>"$CALLS"
echo "kubectl $*" >>"$CALLS"
count() { grep -c -- "$1" "$CALLS"; }
case "$*" in
  "get namespace "*) exit 1 ;;
  *go-template=*) [ $(($(count go-template=) % 3)) = 0 ] || echo "service-abc " ;;
  *jsonpath=*) echo 3 ;;
  *deployment,replicaset*) [ "$(count deployment,replicaset)" -gt 2 ] || echo pod/service-abc ;;
esac
"""
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def serve(started, drop_every):
    """HTTP/1.1 that drops each n-th request of all, in the middle of a connection."""
    seen = 0

    async def connection(reader, writer):
        nonlocal seen
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(int((re.search(rb"Content-Length: (\d+)", head) or [b"", b"0"])[1]))
                seen += 1
                if seen % drop_every == 0:
                    break
                writer.write(ANSWER)
        except (EOFError, OSError):
            pass
        writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    started(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def dropping(drop_every):
    """The URL of a server that drops requests, until this program ends."""
    ready, port = threading.Event(), []

    def started(number):
        port.append(number)
        ready.set()

    threading.Thread(target=lambda: asyncio.run(serve(started, drop_every)), daemon=True).start()
    ready.wait(10)
    return f"http://127.0.0.1:{port[0]}"


class Service:
    """The service on free ports, for as long as the `with` lasts."""

    def __enter__(self):
        environment = {"APP__SERVER__LISTEN": "http://127.0.0.1:0", "APP__ADMIN__LISTEN": "127.0.0.1:0"}
        self.process = subprocess.Popen([TARGET / "server", "run"], env=environment, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if found := re.search(r'"listener":"app","url":"(http://[^"]+)"', line):
                threading.Thread(target=self.process.stdout.read, daemon=True).start()
                return found.group(1)
        sys.exit("cluster: the service does not start")

    def __exit__(self, *_):
        self.process.send_signal(2)
        self.process.wait(60)


def script(url, folder):
    """What the script says, its exit code, and what it asked helm and kubectl."""
    for name, text in {"helm": HELM, "kubectl": KUBECTL}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    calls = folder / "calls"
    calls.write_text("")
    # Its own tools come first in its PATH: it runs where there are none.
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(calls), "URL": url, "RATE": "200"}
    (folder / "tests").mkdir()
    (folder / "tests/app.env").write_text("")
    run = subprocess.run([RUN, "e2e"], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300)
    return run.stdout + run.stderr, run.returncode, calls.read_text()


def passes(folder):
    with Service() as url:
        said, code, calls = script(url, folder)
    if code or "cluster: done" not in said:
        yield f"exit code {code}: {said[-1000:]}"
    for step in STEPS:
        if not re.search(rf'cluster: {step}: .*"HTTP/2".*"status 200"', said) or "lost" in said:
            yield f"{step} is not seen under load: {said[-1000:]}"
    if calls.count("go-template=") != 3 * len(STEPS):
        yield f"it does not wait for the last pod: {calls.count('go-template=')} questions"
    if calls.count("deployment,replicaset") != 3:
        yield "it does not wait for what is left"
    if '"replicas": 3' not in calls or "--field-manager=replicas-handover" not in calls:
        yield "the number of replicas is not handed over"


def sees_a_loss(folder):
    said, code, _ = script(dropping(100), folder)
    if code == 0 or "restart: requests were lost" not in said:
        yield f"exit code {code}: {said[-1000:]}"


def main():
    report = Report()
    for name, function in {"a run": passes, "a server that drops requests": sees_a_loss}.items():
        with tempfile.TemporaryDirectory(prefix="cluster-") as folder:
            report.record(name, function(Path(folder)))
    print(f"cluster: {report.passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())

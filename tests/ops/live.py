"""A replica on free ports, that has an upstream and has seen traffic."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

QUOTE = {
    "from": "DE", "to": "FR", "weight_g": 800, "service": "standard",
    "dimensions_mm": {"length": 300, "width": 200, "height": 100},
}  # fmt: skip


class Replica:
    """Runs the program at `path` for as long as the `with` block does."""

    def __init__(self, path: str):
        self.app, self.admin = free_ports(2)
        settings = {
            "APP__SERVER__LISTEN": f"http://127.0.0.1:{self.app}",
            "APP__ADMIN__LISTEN": f"127.0.0.1:{self.admin}",
            "APP__ADMIN__MUTABLE": "true",
            # Its own upstream: all that matters is that there is one.
            "APP__APP__RATES_URL": f"http://127.0.0.1:{self.app}",
        }
        self.process = subprocess.Popen([path], env=os.environ | settings, stdout=subprocess.DEVNULL)

    def __enter__(self):
        deadline = time.monotonic() + 20
        while self.ask(self.admin, "/readyz") != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the server does not become ready")
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)

    def exercise(self):
        """Good requests, bad ones, unknown ones, and one that a fault turns into a 503."""
        for path in ("/whoami", "/v1/rates", "/v1/work?cpu_ms=1", "/healthz", "/nope"):
            self.ask(self.app, path)
        self.ask(self.app, "/v1/quotes", QUOTE)
        self.ask(self.admin, "/faults", {"rules": [{"route": "/whoami", "status": 503, "expires_in": "1m"}]}, "PUT")
        if self.ask(self.app, "/whoami") != 503:
            raise RuntimeError("the fault did not strike")

    def exported(self) -> dict[str, set[str]]:
        """Every metric of /metrics, a histogram's parts each by itself, with its labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        found: dict[str, set[str]] = {}
        for line in lines:
            match = re.match(r"([a-zA-Z_:]\w*)(?:\{(.*)\})? ", line)
            if match:
                found.setdefault(match[1], set()).update(re.findall(r'(\w+)="', match[2] or ""))
        return found

    def ask(self, port: int, path: str, body=None, method=None) -> int:
        """The status, or 0 where there was no answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports

"""A replica on free ports that has seen traffic on its own routes."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request

import app_env
import description

PORTS = {
    "APP__SERVER__LISTEN": "http://127.0.0.1:0",
    "APP__ADMIN__LISTEN": "127.0.0.1:0",
    "APP__TELEMETRY__LOG_FORMAT": "json",
}


class Replica:
    """Runs the program at `path`, with the settings of tests/app.env, for as long as the `with` block does."""

    def __init__(self, path: str):
        settings = {**PORTS, "APP__ADMIN__MUTABLE": "true", "APP__TELEMETRY__ACCESS_LOG": "false"}
        self.process = subprocess.Popen([path], env=app_env.read() | os.environ | settings, stdout=subprocess.PIPE, text=True)
        self.app, self.admin = "", ""

    def __enter__(self):
        for line in self.process.stdout:
            said = json.loads(line)
            if said.get("message") == "listening":
                setattr(self, said["listener"], said["url"])
            if self.app and self.admin:
                break
        deadline = time.monotonic() + 20
        while self.ask(f"{self.admin}/readyz") != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the server does not become ready")
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)

    def exercise(self):
        """Its own routes, an unknown one, and one that a fault turns into a 503."""
        routes = description.simple(json.loads(self.read(f"{self.app}/openapi.json")))
        for path in [*routes, "/nope"]:
            self.ask(self.app + path)
        struck = routes[0]
        self.ask(f"{self.admin}/faults", {"rules": [{"route": struck, "status": 503, "expires_in": "1m"}]}, "PUT")
        if self.ask(self.app + struck) != 503:
            raise RuntimeError(f"the fault in {struck} did not strike")

    def exported(self) -> dict[str, set[str]]:
        """Every metric of /metrics, a histogram's parts each by itself, with its labels."""
        found: dict[str, set[str]] = {}
        for line in self.read(f"{self.admin}/metrics").splitlines():
            match = re.match(r"([a-zA-Z_:]\w*)(?:\{(.*)\})? ", line)
            if match:
                found.setdefault(match[1], set()).update(re.findall(r'(\w+)="', match[2] or ""))
        return found

    @staticmethod
    def read(url: str) -> str:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()

    @staticmethod
    def ask(url: str, body=None, method=None) -> int:
        """The status, or 0 where there was no answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

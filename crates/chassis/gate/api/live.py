"""schemathesis against a live server: every operation of its document, with good requests and with bad ones.

SERVER is the program. The seed is fixed, so that a failure comes again, or SCHEMATHESIS_SEED; SCHEMATHESIS_EXAMPLES asks
for more requests.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SETTINGS = {
    "APP__SERVER__LISTEN": "http://127.0.0.1:0",
    "APP__ADMIN__LISTEN": "127.0.0.1:0",
    "APP__TELEMETRY__LOG_FORMAT": "json",
    "APP__TELEMETRY__ACCESS_LOG": "false",
}


def address(server: subprocess.Popen) -> str:
    """Where the app listens: port 0 is known from the log only."""
    for line in server.stdout:
        said = json.loads(line)
        if said.get("message") == "listening" and said.get("listener") == "app":
            return said["url"]
    raise SystemExit("the server ended before it listened")


def main() -> int:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("APP__", "OTEL_"))}
    server = subprocess.Popen([os.environ["SERVER"]], env=own | SETTINGS, stdout=subprocess.PIPE, text=True)
    try:
        url = address(server)
        with tempfile.TemporaryFile("w+") as log, tempfile.TemporaryDirectory() as folder:
            command = [
                pathlib.Path(sys.executable).parent / "schemathesis", "--config-file", HERE / "schemathesis.toml",
                "run", f"{url}/openapi.json", "--checks", "all", "--no-color",
                "--seed", os.environ.get("SCHEMATHESIS_SEED", "1"),
                "--max-examples", os.environ.get("SCHEMATHESIS_EXAMPLES", "30"),
            ]  # fmt: skip
            # In a folder of its own: it keeps a database of what it found where it runs.
            done = subprocess.run(command, cwd=folder, env=own | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE)}, stdout=log, stderr=log)
            log.seek(0)
            print(log.read())
        if server.poll() is not None:
            print(f"the server ended with {server.returncode}")
            return 1
        return done.returncode
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    sys.exit(main())

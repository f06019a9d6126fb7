"""schemathesis against the live service: every operation of its document, with good requests and with bad ones.

SERVER is the program. The seed is fixed, so that a failure comes again, or SCHEMATHESIS_SEED; SCHEMATHESIS_EXAMPLES asks
for more requests. What the document cannot say of the service's routes stands in its tests/api/hooks.py, if it has one.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from replica import Replica

HOOKS = Path.cwd() / "tests/api"


def ask(url: str) -> int:
    """schemathesis's exit code."""
    environment = dict(os.environ)
    if (HOOKS / "hooks.py").exists():
        environment |= {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HOOKS)}
    command = [
        Path(sys.executable).parent / "schemathesis", "--config-file", HERE / "schemathesis.toml",
        "run", f"{url}/openapi.json", "--checks", "all", "--no-color",
        "--seed", os.environ.get("SCHEMATHESIS_SEED", "1"),
        "--max-examples", os.environ.get("SCHEMATHESIS_EXAMPLES", "30"),
    ]  # fmt: skip
    with tempfile.TemporaryFile("w+") as log, tempfile.TemporaryDirectory() as folder:
        # In a folder of its own: it keeps a database of what it found where it runs.
        done = subprocess.run(command, cwd=folder, env=environment, stdout=log, stderr=log, check=False)
        log.seek(0)
        print(log.read())
    return done.returncode


def main() -> int:
    with Replica(os.environ["SERVER"]) as replica:
        if not json.loads(replica.read(f"{replica.app}/openapi.json"))["paths"]:
            print("check-api: the service has no operation yet, so there is nothing to ask")
            return 0
        code = ask(replica.app)
        if replica.process.poll() is not None:
            print(f"the service ended with {replica.process.returncode}")
            return 1
    return code


if __name__ == "__main__":
    sys.exit(main())

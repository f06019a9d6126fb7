"""A Postgres of a page's own, on a port of its own: `<!-- postgres: USER -->` asks for it."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

MISSING = "Postgres is not installed: run `make tools`"


class Postgres:
    """Runs, with a database for `user` of that name, until `stop`."""

    def __init__(self, user, port):
        # Postgres refuses root, and the tree may be where nobody else can read.
        self.folder = tempfile.mkdtemp()
        self.account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        if self.account:
            os.chown(self.folder, self.account.pw_uid, self.account.pw_gid)
        data = f"{self.folder}/data"
        self.run("initdb", "--username", user, "--auth=trust", "--no-sync", "--locale=C.UTF-8", "-D", data)
        options = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        command = [program("postgres"), "-D", data, "-p", str(port), "-k", self.folder, *options]
        self.process = subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.identity())
        deadline = time.monotonic() + 30
        while subprocess.run(
            [program("createdb"), "-h", self.folder, "-p", str(port), "-U", user, user], cwd="/", capture_output=True, check=False
        ).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("Postgres does not start")
            time.sleep(0.05)

    def identity(self):
        """Whom to be instead of root."""
        account = self.account
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}

    def run(self, name, *arguments):
        subprocess.run([program(name), *arguments], cwd="/", stdout=subprocess.DEVNULL, check=True, **self.identity())

    def stop(self):
        # SIGQUIT: without waiting for its clients.
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(timeout=60)
        shutil.rmtree(self.folder, ignore_errors=True)


def program(name):
    """Debian has a folder for each version, outside of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    if not path:
        raise FileNotFoundError(MISSING)
    return path

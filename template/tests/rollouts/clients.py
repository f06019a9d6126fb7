"""The program `mixed` as a process: clients that send each request once, and what became of their requests."""

import json
import os
import subprocess
import threading

from fleet import ROOT, Trouble, until

# Kinds whose answers the replicas count, and their name in a replica's ledger.
COUNTED = {"post1": "post", "post2": "post", "upload1": "upload", "upload2": "upload", "download1": "download",
           "download2": "download", "socket": "socket", "grpc": "grpc"}  # fmt: skip
HOSTILE = ("slow-head", "slow-body", "stalled-reader")
# For the last requests, each of which has a minute.
END_SECONDS = 90


class Mixed:
    """`groups`: (name, kind, clients, milliseconds of pause, port)."""

    def __init__(self, program, groups, folder):
        self.command = [str(program)]
        self.command += [f"{name}={kind}*{count}/{pause}@127.0.0.1:{port}" for name, kind, count, pause, port in groups]
        self.log = folder / "clients.log"
        self.answered, self.result, self.process = 0, None, None

    def __enter__(self):
        with self.log.open("w") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def _read(self):
        for line in self.process.stdout:
            told = json.loads(line)
            self.answered = told.get("answered", self.answered)
            self.result = told.get("groups")

    def await_answers(self, count):
        until(f"{count} answers; the clients' log is {self.log}", 60, lambda: self._lives() and self.answered >= count)

    def _lives(self):
        if self.process.poll() is not None:
            raise Trouble(f"the clients ended with {self.process.returncode}: {self.log.read_text()[-800:]}")
        return True

    def stop(self):
        """What became of the requests, by group."""
        self.process.stdin.close()
        self.reader.join(END_SECONDS)
        if self.result is None:
            raise Trouble(f"the clients told nothing within {END_SECONDS} s: {self.log.read_text()[-800:]}")
        return self.result


def total(groups, field):
    return sum(each[field] for each in groups.values() if each["kind"] not in HOSTILE)


def counted(ledger):
    """What the replicas counted over all their lives, and how many lives there are."""
    lives = [json.loads(line) for line in ledger.read_text().splitlines()] if ledger.exists() else []
    return {name: sum(life[name] for life in lives) for name in set(COUNTED.values())}, len(lives)


def mismatches(groups, ledger):
    """Where what the clients were answered is not what the replicas counted."""
    seen, _ = counted(ledger)
    for name in sorted(set(COUNTED.values())):
        answered = sum(each["answered"] for each in groups.values() if COUNTED.get(each["kind"]) == name)
        if answered != seen[name]:
            yield f"{name}: the clients were answered {answered}, the replicas counted {seen[name]}"


def build(binaries=None, release=False):
    """The folder with `ledger` and `mixed`."""
    if binaries:
        return binaries
    command = ["cargo", "build", "--locked", "--quiet", "--package", "chassis", "--package", "chassis-tests",
               "--bin", "ledger", "--bin", "mixed"]  # fmt: skip
    if subprocess.run(command + (["--release"] if release else []), cwd=ROOT).returncode:
        raise Trouble("cargo build failed")
    return ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / ("release" if release else "debug")

"""A copy of the tree in which a page's commands run, one after another, as a reader would type them."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3] / "crates/chassis/gate"))
import app_env
from postgres import Postgres

# 15 minutes: a build of this package is the longest, and the machine may be busy.
LIMIT = 900
SERVER = re.compile(r"^((?:[A-Z_0-9]+=\S* )*)cargo run$")
# What differs from run to run. Both sides are compared with these in place.
VOLATILE = [
    (r'"replica":"[^"]*"', '"replica":"…"'),
    (r'"(uptime_seconds|requests)":\d+', r'"\1":0'),
    (r"\d+\.\d+s\b", "0.00s"),
    (r"\d+ filtered out", "0 filtered out"),
]
# Cargo's own lines, which no page shows.
CARGO = re.compile(r"^\s*(Compiling|Finished|Running|Blocking|Updating|Downloading|Downloaded|Locking|Adding) ")


class Failed(Exception):
    """What a command did other than its page says."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Session:
    """A tree, an environment, at most one server, and a Postgres where the page wants one."""

    def __init__(self, root, tree, target, postgres_user=None):
        self.tree, self.server, self.postgres = Path(tree), None, None
        shutil.rmtree(self.tree, ignore_errors=True)
        self.tree.mkdir(parents=True)
        files = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=root, capture_output=True, text=True, check=True
        ).stdout.split("\n")
        for name in filter(None, files):
            if (root / name).exists():
                (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
                # With its time, so that pages that edit nothing share one build.
                shutil.copy2(root / name, self.tree / name)
        if (root / ".tools").exists():
            (self.tree / ".tools").symlink_to((root / ".tools").resolve())
        # curl shows no progress, and fails with a text.
        (self.tree / ".home").mkdir()
        (self.tree / ".home/.curlrc").write_text("silent\nshow-error\n")
        # What pages call 8080, 8081 and 5432.
        self.ports = {name: str(free_port()) for name in ("8080", "8081", "5432")}
        if postgres_user:
            self.postgres = Postgres(postgres_user, self.ports["5432"])
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(("APP__", "OTEL_"))}
        self.environment |= app_env.read() | {
            "APP__SERVER__LISTEN": f"http://127.0.0.1:{self.ports['8080']}",
            "APP__ADMIN__LISTEN": f"127.0.0.1:{self.ports['8081']}",
            "CARGO_TARGET_DIR": str(target),
            "CARGO_TERM_COLOR": "never",
            "CURL_HOME": str(self.tree / ".home"),
            "PATH": f"{target}/debug:{os.environ['PATH']}",
        }

    def write(self, file, lines):
        """A whole file."""
        (self.tree / file).parent.mkdir(parents=True, exist_ok=True)
        (self.tree / file).write_text(self.with_postgres("\n".join(lines) + "\n"))

    def edit(self, file, lines):
        """A diff without line numbers: its parts, apart by a line of dots, have to stand in the file once each."""
        path = self.tree / file
        if not path.is_file():
            raise Failed(f"there is no {file}")
        text = path.read_text()
        for part in "\n".join(lines).split("\n ...\n"):
            part = part.split("\n")
            old, new = (
                self.with_postgres("".join(line[1:] + "\n" for line in part if line[:1] != left_out)) for left_out in "+-"
            )
            if text.count(old) != 1:
                raise Failed(f"{file} has this {text.count(old)} times, not once:\n{old}")
            text = text.replace(old, new)
        path.write_text(text)

    def run(self, command, code):
        """Runs a command; complains where its exit code or output is another one."""
        server = SERVER.match(command.text)
        if server:
            self.start(self.local(server[1]).split())
            return
        try:
            run = subprocess.run(
                ["bash", "-c", self.local(command.text)], cwd=self.tree, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Failed(f"is not done after {LIMIT} s") from None
        said = [line for line in run.stdout.splitlines() if not CARGO.match(line)]
        if run.returncode != code:
            raise Failed(f"exits with {run.returncode}, not {code}:\n" + "\n".join(said[-30:]))
        if command.output and not fits(command.output, said):
            raise Failed("says\n" + "\n".join(said) + "\nand not\n" + "\n".join(command.output))

    def local(self, text):
        """The text with this session's ports."""
        return re.sub(r"localhost:(8080|8081|5432)\b", lambda match: f"127.0.0.1:{self.ports[match[1]]}", text)

    def with_postgres(self, text):
        """A file's text, whose other ports are its own."""
        return text.replace("localhost:5432", f"127.0.0.1:{self.ports['5432']}") if self.postgres else text

    def start(self, settings):
        """Builds and starts the server, in place of the one that runs."""
        self.stop()
        build = subprocess.run(
            ["cargo", "build", "--locked", "--quiet"], cwd=self.tree, env=self.environment, capture_output=True, text=True, check=False
        )
        if build.returncode:
            raise Failed(f"does not build:\n{build.stderr[-3000:]}")
        environment = self.environment | dict(setting.split("=", 1) for setting in settings)
        program = Path(environment["CARGO_TARGET_DIR"]) / "debug/server"
        log = open(self.tree / ".home/log", "w", encoding="utf-8")  # noqa: SIM115
        self.server = subprocess.Popen([program], cwd=self.tree, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not self.ready():
            if self.server.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"does not become ready:\n{(self.tree / '.home/log').read_text()[-3000:]}")
            time.sleep(0.05)

    def ready(self):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.ports['8081']}/readyz", timeout=5).close()
        except OSError:
            return False
        return True

    def stop(self):
        """As a reader does, with Ctrl-C."""
        if self.server and self.server.poll() is None:
            self.server.send_signal(signal.SIGINT)
            code = self.server.wait(timeout=60)
            if code:
                raise Failed(f"the server ends with {code}")
        self.server = None

    def end(self):
        """Leaves nothing running, however the page ended."""
        if self.server:
            self.server.kill()
        if self.postgres:
            self.postgres.stop()


def fits(wanted, said):
    """Whether the output is the page's; a line of dots stands for any lines, dots in a line for any text."""
    pattern = ""
    for line in wanted:
        if line.strip() in ("...", "…"):
            pattern += r"(?:.*\n)*?"
        else:
            pattern += re.escape(steady(line)).replace("…", ".*?") + r"\n"
    return re.fullmatch(pattern, "".join(steady(line) + "\n" for line in said)) is not None


def steady(line):
    for pattern, text in VOLATILE:
        line = re.sub(pattern, text, line)
    return line.rstrip()

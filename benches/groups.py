"""Control groups with a part of a CPU, as the limits of small pods."""

import os
import pathlib

# 100 ms: the period that the kubelet sets.
PERIOD = 100_000


class Quota:
    """A control group that may use so many CPUs. `path` is its directory, or None where none can be made here."""

    def __init__(self, cpus, name="bench"):
        self.name, self.files = f"{name}-{os.getpid()}", None
        self.path = self.first(cpus) or self.second(cpus)

    def first(self, cpus):
        """By version 1 of control groups."""
        return self.made(pathlib.Path("/sys/fs/cgroup/cpu"), first, cpus)

    def second(self, cpus):
        """By version 2, where the root may give its CPU away."""
        return self.made(pathlib.Path("/sys/fs/cgroup"), second, cpus)

    def made(self, root, files, cpus):
        path = root / self.name
        try:
            path.mkdir()
            self.path, self.files = path, files
            self.set(cpus)
            return path
        except OSError:
            if path.is_dir():
                path.rmdir()
            return None

    def set(self, cpus):
        """Changes it while processes run in it."""
        for name, value in self.files(cpus).items():
            (self.path / name).write_text(str(value))

    def enter(self):
        """The calling process, and what it starts, goes into it."""
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.path:
            self.path.rmdir()


def first(cpus):
    return {"cpu.cfs_period_us": PERIOD, "cpu.cfs_quota_us": round(cpus * PERIOD)}


def second(cpus):
    return {"cpu.max": f"{round(cpus * PERIOD)} {PERIOD}"}


class Quarter(Quota):
    """A quarter of a CPU, the limit that small pods have."""

    def __init__(self):
        super().__init__(0.25)

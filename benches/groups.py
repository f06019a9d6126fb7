"""A control group with a quarter of a CPU, the limit that small pods have."""

import os
import pathlib

# Of 100 ms, the period that the kubelet sets.
QUOTA, PERIOD = 25_000, 100_000


class Quarter:
    """Its directory, or None where none can be made here."""

    def __init__(self):
        self.path = self.first() or self.second()

    def first(self):
        """By version 1 of control groups."""
        return self.made(pathlib.Path("/sys/fs/cgroup/cpu"), {"cpu.cfs_period_us": PERIOD, "cpu.cfs_quota_us": QUOTA})

    def second(self):
        """By version 2, where the root may give its CPU away."""
        return self.made(pathlib.Path("/sys/fs/cgroup"), {"cpu.max": f"{QUOTA} {PERIOD}"})

    @staticmethod
    def made(root, values):
        path = root / f"bench-{os.getpid()}"
        try:
            path.mkdir()
            for name, value in values.items():
                (path / name).write_text(str(value))
            return path
        except OSError:
            if path.is_dir():
                path.rmdir()
            return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.path:
            self.path.rmdir()

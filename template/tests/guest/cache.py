"""gate/tools/cache: a tool is installed once per user, whole, whoever asks for it at the same time."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

CACHE = Path(__file__).resolve().parents[3] / "crates/chassis/gate/tools/cache"
# Leaves its mark in the log, waits until the test lets it go on, and fills the folder.
MAKE = 'make() { echo made >>"$LOG"; read -r go <"$GATE"; [ "$go" = good ] && echo tool >"$1/tool"; }'
RUN = f'set -euo pipefail; source "{CACHE}"; {MAKE}; cached tool-1 make; linked tool-1/tool bin/tool; cat .tools/bin/tool'


class Cache(unittest.TestCase):
    """One user with two checkouts."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = Path(folder.name)
        self.log, self.gate = self.home / "log", self.home / "gate"
        os.mkfifo(self.gate)
        self.log.touch()

    def start(self, checkout, cache="cache"):
        tree = self.home / checkout
        tree.mkdir(exist_ok=True)
        environment = os.environ | {"XDG_CACHE_HOME": str(self.home / cache), "LOG": str(self.log), "GATE": str(self.gate)}
        return subprocess.Popen(
            ["bash", "-c", RUN], cwd=tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def go(self, word):
        """Lets an installation go on; waits for one that has come so far."""
        self.gate.write_text(word + "\n")

    def test_two_checkouts_at_once_install_it_once(self):
        first = self.start("first")
        self.wait_until_made(1)
        second = self.start("second")
        self.assertIn("waiting for another checkout", second.stdout.readline())
        self.go("good")
        self.assertEqual(first.communicate()[0], "tool\n")
        self.assertEqual(second.communicate()[0], "tool\n")
        self.assertEqual((first.returncode, second.returncode, self.log.read_text()), (0, 0, "made\n"))

    def test_one_that_failed_is_installed_anew(self):
        first = self.start("first")
        self.go("bad")
        first.communicate()
        self.assertNotEqual(first.returncode, 0)
        second = self.start("second")
        self.go("good")
        self.assertEqual(second.communicate()[0], "tool\n")

    def test_a_home_that_cannot_be_written_to_gives_each_checkout_its_own(self):
        (self.home / "file").touch()
        first = self.start("first", cache="file")
        self.go("good")
        self.assertEqual(first.communicate()[0], "tool\n")
        self.assertTrue((self.home / "first/.tools/cache/tool-1/tool").exists())

    def wait_until_made(self, times):
        while self.log.read_text().count("made") < times:
            os.sched_yield()


if __name__ == "__main__":
    unittest.main()

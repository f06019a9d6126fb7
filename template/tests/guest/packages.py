"""gate/tools/packages leaves no daemon enabled that was not, in a system and with an apt-get made for the test."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ROOT / "crates/chassis/gate/tools/packages"
# What Debian's maintainer scripts do with a daemon, an alias and an init script; then the exit code.
APT_GET = """#!/bin/sh
[ "$1" = install ] || exit 0
cd "$ROOT"
cat usr/sbin/policy-rc.d >policy-seen
ln -s /lib/systemd/system/new.service etc/systemd/system/multi-user.target.wants/new.service
ln -s /lib/systemd/system/new.service etc/systemd/system/alias.service
ln -s ../init.d/new etc/rc2.d/S01new
ln -s ../init.d/new etc/rc0.d/K01new
exit {code}
"""


class Packages(unittest.TestCase):
    """A system with one daemon of its owner's, and one that its owner has masked."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for each in ("etc/systemd/system/multi-user.target.wants", "etc/rc0.d", "etc/rc2.d", "usr/sbin"):
            (self.root / each).mkdir(parents=True)
        self.wants = self.root / "etc/systemd/system/multi-user.target.wants"
        (self.wants / "old.service").symlink_to("/lib/systemd/system/old.service")
        (self.root / "etc/systemd/system/masked.service").symlink_to("/dev/null")
        (self.root / "etc/rc2.d/S01old").symlink_to("../init.d/old")

    def install(self, code=0):
        apt_get = self.root / "apt-get"
        apt_get.write_text(APT_GET.format(code=code))
        apt_get.chmod(0o755)
        return subprocess.run(
            [PACKAGES, "new"], env=os.environ | {"ROOT": str(self.root), "APT_GET": str(apt_get)}, capture_output=True, text=True, check=False
        )

    def enabled(self):
        """What starts at boot."""
        units = [path.name for path in (self.root / "etc/systemd").rglob("*") if path.is_symlink()]
        return sorted(units + [path.name for path in self.root.glob("etc/rc?.d/S*")])

    def test_a_new_daemon_is_not_enabled_and_an_old_one_stays(self):
        done = self.install()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.enabled(), ["S01old", "masked.service", "old.service"])
        self.assertTrue((self.root / "etc/rc2.d/K01new").is_symlink(), "an init script that is off has a link of the other letter")

    def test_no_daemon_may_start_meanwhile_and_the_policy_goes(self):
        self.install()
        self.assertIn("exit 101", (self.root / "policy-seen").read_text())
        self.assertFalse((self.root / "usr/sbin/policy-rc.d").exists())

    def test_a_policy_of_the_machines_own_stays(self):
        policy = self.root / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 0\n")
        self.install()
        self.assertEqual(policy.read_text(), "#!/bin/sh\nexit 0\n")

    def test_a_failed_installation_leaves_nothing_enabled_either(self):
        done = self.install(code=100)
        self.assertEqual(done.returncode, 1)
        self.assertIn("packages: could not install new", done.stderr)
        self.assertEqual(self.enabled(), ["S01old", "masked.service", "old.service"])


if __name__ == "__main__":
    unittest.main()

"""gate/steps: numbered steps, a summary, the first failure's code and its reason."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

STEPS = Path(__file__).resolve().parents[3] / "crates/chassis/gate/steps"
MAKEFILE = """
tools: ; @echo tools ran >>ran
good: tools ; @echo good ran >>ran
script: ; @echo 'check-load: drain did not pass' >&2; exit 1
cargo: ; @cat ../test-output; exit 101
compiler: ; @cat ../compiler-output; exit 101
silent: ; @exit 3
leaves: ; @sleep 1000 & echo $$! >pid
"""
TEST_OUTPUT = """\
running 2 tests
test drain::open_request_is_finished ... FAILED

failures:

---- drain::open_request_is_finished stdout ----

thread 'drain::open_request_is_finished' (12) panicked at crates/chassis/tests/it/drain.rs:88:5:
assertion `left == right` failed: the request is answered
  left: 0
 right: 1

error: test failed, to rerun pass `-p chassis-tests --test it`
"""
COMPILER_OUTPUT = """\
   Compiling service v0.1.0
error[E0425]: cannot find value `rates` in this scope
  --> src/app/mod.rs:12:5
error: could not compile `service` (lib) due to 1 previous error
"""


class Steps(unittest.TestCase):
    """A folder with a Makefile."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = Path(folder.name) / "tree"
        self.tree.mkdir()
        (self.tree / "Makefile").write_text(MAKEFILE)
        (self.tree.parent / "test-output").write_text(TEST_OUTPUT)
        (self.tree.parent / "compiler-output").write_text(COMPILER_OUTPUT)

    def run_steps(self, *targets):
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "CARGO_TARGET_DIR"))}
        return subprocess.run([STEPS, *targets], cwd=self.tree, env=environment, capture_output=True, text=True, check=False, timeout=60)

    def reason(self, target):
        done = self.run_steps(target)
        self.assertNotEqual(done.returncode, 0)
        return done.stdout.partition(f"{target} failed: ")[2].splitlines()[0]

    def test_steps_are_numbered_and_summed_up(self):
        done = self.run_steps("tools", "good")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("step 2/2: good\n", done.stdout)
        self.assertRegex(done.stdout, r"\nstep   result   seconds\ntools  passed +0\ngood   passed +0\n$")

    def test_what_an_earlier_step_made_is_not_made_again(self):
        self.run_steps("tools", "good")
        self.assertEqual((self.tree / "ran").read_text(), "tools ran\ngood ran\n")

    def test_the_first_failure_ends_the_run_with_its_code(self):
        done = self.run_steps("tools", "silent", "good")
        self.assertEqual(done.returncode, 2, "the code of make")
        self.assertRegex(done.stdout, r"tools   passed +0\nsilent  FAILED +0\ngood    not run\n")
        self.assertNotIn("good ran", (self.tree / "ran").read_text())

    def test_a_failed_test_is_the_reason(self):
        self.assertEqual(
            self.reason("cargo"),
            "drain::open_request_is_finished: assertion `left == right` failed: the request is answered (crates/chassis/tests/it/drain.rs:88:5)",
        )

    def test_an_error_of_the_compiler_is_the_reason(self):
        self.assertEqual(self.reason("compiler"), "error[E0425]: cannot find value `rates` in this scope (src/app/mod.rs:12:5)")

    def test_what_a_script_says_is_the_reason(self):
        self.assertEqual(self.reason("script"), "check-load: drain did not pass")

    def test_a_process_that_a_step_leaves_holds_nothing_up(self):
        done = self.run_steps("leaves")
        os.kill(int((self.tree / "pid").read_text()), 9)
        self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()

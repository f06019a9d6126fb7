"""shellcheck on the scripts of workflows: `shell.py FILE…`. Expressions of GitHub's become plain words first."""

import re
import subprocess
import sys
from pathlib import Path

import yaml


def scripts(workflow):
    """Where it stands, and its text, of each `run:`."""
    for job, content in workflow["jobs"].items():
        for number, step in enumerate(content.get("steps", []), 1):
            if "run" in step:
                yield f"{job}, step {number}", step["run"]


def main(files):
    failed = 0
    for file in files:
        for place, text in scripts(yaml.safe_load(Path(file).read_text())):
            # As the runner calls it.
            script = "#!/usr/bin/env bash\nset -eo pipefail\n" + re.sub(r"\$\{\{.*?\}\}", "expression", text)
            run = subprocess.run(
                ["shellcheck", "-"], input=script, capture_output=True, text=True, check=False
            )
            if run.returncode:
                failed += 1
                print(f"{file}: {place}:\n{run.stdout}{run.stderr}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

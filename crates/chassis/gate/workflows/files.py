"""Files for GitHub and editors: by their schemas, and where they name the same thing as other files."""

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

# `scripts/gate` calls from the service's folder.
ROOT = Path.cwd()
# Schemas that check-jsonschema brings along.
SCHEMAS = {
    "vendor.github-workflows": ".github/workflows/*.yaml",
    "vendor.dependabot": ".github/dependabot.yaml",
    "vendor.github-issue-forms": ".github/ISSUE_TEMPLATE/*.yaml",
    "vendor.github-issue-config": ".github/ISSUE_TEMPLATE/config.yml",
    "vendor.compose-spec": "compose.yaml",
}
# Where the version of Rust stands, besides rust-toolchain.toml.
RUST = {
    "Dockerfile": r"^ARG RUST_IMAGE=rust:([0-9.]+)-",
    ".devcontainer/devcontainer.json": r'"image": "docker\.io/library/rust:([0-9.]+)-',
}


def schema(name, files):
    """Complaints of a schema about files."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", name, *map(str, files)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return [f"{name}: {run.stdout}{run.stderr}"] if run.returncode else []


def complaints():
    for name, pattern in SCHEMAS.items():
        files = sorted(ROOT.glob(pattern))
        # A new service has no forms for issues.
        if files or (ROOT / pattern).parent.exists():
            yield from schema(name, files) if files else [f"no file is {pattern}"]
    if not schema("vendor.github-workflows", [Path(__file__).parent / "faulty.yaml"]):
        yield "the schema of workflows finds nothing in faulty.yaml"
    for file in sorted((ROOT / ".github/workflows").glob("*.yaml")):
        # The default shell has no pipefail.
        if yaml.safe_load(file.read_text()).get("defaults") != {"run": {"shell": "bash"}}:
            yield f"{file.name}: defaults.run.shell is not bash"
    json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    wanted = re.search(r'^channel = "(.*)"$', (ROOT / "rust-toolchain.toml").read_text(), re.M)[1]
    for file, pattern in RUST.items():
        found = re.search(pattern, (ROOT / file).read_text(), re.M)
        if not found or found[1] != wanted:
            yield f"{file} has Rust {found and found[1]}, rust-toolchain.toml has {wanted}"


def main():
    found = list(complaints())
    print("\n".join(found) or f"files: {len(SCHEMAS)} schemas, {len(RUST)} versions of Rust", file=sys.stderr if found else sys.stdout)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

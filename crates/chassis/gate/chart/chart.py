"""Runs helm on the service's chart, and reads what it renders."""

import json
import subprocess
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
# `scripts/gate` calls from the service's folder.
ROOT = Path.cwd()
CHART = ROOT / "helm"

# The C loader where there is one: the sets come to a few MB.
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def sets():
    """Name and values of every value set: the defaults, the environments, and the service's own in tests/chart."""
    found = {"defaults": {}}
    for path in sorted((ROOT / "tests/chart").glob("*.yaml")):
        found[path.stem] = yaml.safe_load(path.read_text())
    for path in sorted((ROOT / "helm/environments").glob("*.yaml")):
        found[f"environment {path.stem}"] = yaml.safe_load(path.read_text())
    return found


def template(chart, values, release="demo", arguments=()):
    """The exit code, what is rendered, and the error of `helm template`."""
    run = subprocess.run(
        ["helm", "template", release, str(chart), "--namespace", "quotes", "--values", "-", *arguments],
        input=json.dumps(values, ensure_ascii=False),
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout, run.stderr


def documents(text):
    return [document for document in yaml.load_all(text, Loader) if document]


def only(objects, kind):
    return [item for item in objects if item["kind"] == kind]

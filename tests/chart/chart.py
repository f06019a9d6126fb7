"""Runs helm on the chart, and reads what it renders."""

import json
import subprocess
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SETS = HERE / "values"
CHART = ROOT / "helm"

# The C loader where there is one: the sets come to a few MB.
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def sets():
    """Name and values of every value set: the files, and those that are large because they repeat."""
    found = {"defaults": {}}
    for path in sorted(SETS.glob("*.yaml")):
        found[path.stem] = yaml.safe_load(path.read_text())
    for path in sorted((ROOT / "helm/environments").glob("*.yaml")):
        found[f"environment {path.stem}"] = yaml.safe_load(path.read_text())
    found["big"] = {
        "config": {"app": {"cors_origins": [f"https://shop-{n}.example" for n in range(3000)]}},
        "extraEnv": [{"name": f"VARIABLE_{n}", "value": "x" * 100} for n in range(500)],
        "ingress": {
            "enabled": True,
            "hosts": [
                {"host": f"h{n}.example", "paths": [{"path": "/", "pathType": "Prefix"}]} for n in range(300)
            ],
        },
        "replicaCount": 5000,
        "resources": {"requests": {"cpu": 64, "memory": "256Gi"}, "limits": {"memory": "256Gi"}},
    }
    found["long-names"] = {"fullnameOverride": "a" + "b" * 61 + "c", "nameOverride": "a" + "-b" * 31}
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

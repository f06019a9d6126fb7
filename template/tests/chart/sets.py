"""Checks the chart beyond a service's own gate. `template/tests/chart/check` sets up what it needs.

What: every value set of `values/` passes the gate's checks; every wrong value is refused with its key; every warning of
NOTES.txt comes when it should; every key of values.yaml is documented, makes a difference, and is in a value set.
"""

import copy
import json
import subprocess
import sys
from pathlib import Path

import chart
import values
import yaml
from check import CUSTOM, Report, custom, each, value_set

HERE = Path(__file__).resolve().parent


def sets():
    """Name and values of every value set: the gate's, the files, and those that are large because they repeat."""
    found = chart.sets()
    for path in sorted((HERE / "values").glob("*.yaml")):
        found[path.stem] = yaml.safe_load(path.read_text())
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


def refusal(case):
    code, _, error = chart.template(chart.CHART, case["values"])
    if code == 0:
        return ["is not refused"]
    return [] if case["says"] in error else [f"says: {error}"]


def notes(case):
    """NOTES.txt, which only an installation shows."""
    run = subprocess.run(
        ["helm", "install", "demo", str(chart.CHART), "--dry-run=client", "--values", "-"],
        input=json.dumps(case["values"]),
        capture_output=True,
        text=True,
        check=False,
    )
    text = run.stdout.partition("\nNOTES:\n")[2]
    if run.returncode or not text:
        return [f"shows no notes: {run.stderr}"]
    warnings = [line for line in text.splitlines() if line.startswith("WARNING")]
    if case["warns"] is None:
        return warnings
    return [] if any(case["warns"] in warning for warning in warnings) else [f"warns of {warnings}"]


def set_in(given, parts):
    """Whether `given` sets the key."""
    for part in parts:
        if not isinstance(given, dict) or part not in given:
            return False
        given = given[part]
    return True


def without(given, parts):
    rest = copy.deepcopy(given)
    inner = rest
    for part in parts[:-1]:
        inner = inner[part]
    del inner[parts[-1]]
    return rest


def makes_a_difference(sets, key):
    """A key that some value set gives, and whose absence there changes what is rendered."""
    parts = key.split(".")
    covering = [given for given in sets.values() if set_in(given, parts)]
    if not covering:
        return ["is in no value set"]
    for given in covering:
        if chart.template(chart.CHART, given)[:2] != chart.template(chart.CHART, without(given, parts))[:2]:
            return []
    return ["makes no difference in any value set"]


def main():
    report, every, rendered = Report(), sets(), {}
    file = chart.ROOT / "helm/values.yaml"
    each(report, "value set", value_set, [(name, name, given, rendered) for name, given in every.items()])
    kinds = custom(report, rendered)
    report.record("custom resources", [f"no {kind} in any value set" for kind in CUSTOM if kind not in kinds])
    cases = yaml.safe_load((HERE / "refused.yaml").read_text())
    each(report, "refusal", refusal, [(str(case["values"]), case) for case in cases])
    cases = yaml.safe_load((HERE / "notes.yaml").read_text())
    each(report, "warning", notes, [(str(case["values"]), case) for case in cases])
    report.record("values.yaml", [f"{key} has no comment that begins with # --" for key in values.undocumented(file)])
    keys = [key for key, _ in values.leaves(file)]
    each(report, "key", makes_a_difference, [(key, every, key) for key in keys])
    print(f"value sets: {report.passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())

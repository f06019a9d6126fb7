#!/usr/bin/env python3
"""Checks the samples of canaries: `check.py SERVER`.

Their objects are valid; their queries name metrics and labels that the server exports; and in rollouts that promtool plays,
each look says what it has to: drains are no failures, 5 % of errors, slow responses, refusals, a full replica and silence are.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import yaml

import dashboard
from scenes import SCENES, STEP, series

sys.path.insert(0, "crates/chassis/gate")
from replica import Replica

ROOT = Path.cwd()
SAMPLES = ROOT / "template/canary"
HERE = Path(__file__).parent
MODELS = {"argoproj.io": ".tools/canary-node", "gateway.networking.k8s.io": ".tools/chart-node", "monitoring.coreos.com": ".tools/chart-node"}
# What the controllers put in place of their variables. The canary's pods are quotes-6f7d8-….
VARIABLES = {"{{ namespace }}": "shop", "{{ target }}": "quotes", "{{ interval }}": "1m", "{{args.hash}}": "6f7d8"}


class Look:
    """One query of an analysis: `verdict` is an expression that is 1 where the canary passes, and 0 where it does not."""

    def __init__(self, sample, name, query, verdict):
        self.sample, self.name, self.query, self.verdict = sample, name, query, verdict


def documents(name):
    return list(yaml.safe_load_all((SAMPLES / name).read_text()))


def filled(query):
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    if "{{" in query:
        raise ValueError(f"a variable that is not known here: {query}")
    return query


def flagger():
    objects = documents("flagger.yaml")
    templates = {each["metadata"]["name"]: each["spec"]["query"] for each in objects if each["kind"] == "MetricTemplate"}
    canary = next(each for each in objects if each["kind"] == "Canary")
    for metric in canary["spec"]["analysis"]["metrics"]:
        query, bounds = filled(templates.pop(metric["templateRef"]["name"])), metric["thresholdRange"]
        (bound, value), = bounds.items()
        yield Look("flagger", metric["name"], query, f"({query}) {'>=' if bound == 'min' else '<='} bool {value}")
    if templates:
        raise ValueError(f"flagger.yaml: no metric uses {sorted(templates)}")


def argo():
    template = next(each for each in documents("argo-rollouts.yaml") if each["kind"] == "AnalysisTemplate")
    for metric in template["spec"]["metrics"]:
        query = filled(metric["provider"]["prometheus"]["query"])
        condition = re.fullmatch(r"len\(result\) > 0 && result\[0\] (>=|<=) ([0-9.]+)", metric["successCondition"])
        yield Look("argo", metric["name"], query, f"({query}) {condition[1]} bool {condition[2]}")


def rules():
    """An alert with a value is the opposite of a pass."""
    for rule in documents("rules.yaml")[0]["groups"][0]["rules"]:
        yield Look("rules", rule["alert"], rule["expr"], f"1 - (count({rule['expr']}) or vector(0))")


def validated():
    """Complaints of the schemas; an object with an unknown field has to be refused, or nothing was looked at."""
    own = json.loads((HERE / "flagger.json").read_text())
    items = {group: [] for group in MODELS}
    for name in ("flagger.yaml", "argo-rollouts.yaml", "httproute.yaml"):
        for each in documents(name):
            group = each["apiVersion"].split("/")[0]
            if group in items:
                faulty = {**each, "spec": {**each["spec"], "ofNoVersion": 1}}
                items[group] += [[f"{name} {each['kind']}", each], [f"faulty {name} {each['kind']}", faulty]]
            elif group == "flagger.app":
                schema = jsonschema.Draft7Validator(own[each["kind"]])
                yield from (f"{name} {each['kind']}: {error.message}" for error in schema.iter_errors(each["spec"]))
    for group, objects in items.items():
        command = ["node", "crates/chassis/gate/chart/custom.mjs", f"{MODELS[group]}/node_modules"]
        run = subprocess.run(command, input=json.dumps(objects), capture_output=True, text=True, check=True)
        # A plugin's settings are its own: no schema has them.
        complaints = [(name, text) for name, text in json.loads(run.stdout) if ".plugins." not in text]
        refused = {name for name, _ in complaints}
        yield from (f"{name}: {text}" for name, text in complaints if not name.startswith("faulty"))
        yield from (f"{name} is not refused" for name, _ in objects if name.startswith("faulty") and name not in refused)


def unknown(looks, server):
    """What the queries name and the live service does not export."""
    with Replica(server) as replica:
        replica.exercise()
        exported = replica.exported()
    return dashboard.unknown([(f"{look.sample} {look.name}", look.query) for look in looks], exported)


def played(looks):
    """Each look in each scene, at its end, by both versions of Prometheus."""
    tests = []
    for name, scene in SCENES.items():
        for sample in ("flagger", "argo", "rules"):
            cases = [
                {"expr": look.verdict, "eval_time": "10m", "exp_samples": [{"labels": "{}", "value": int(look.name not in scene["fails"])}]}
                for look in looks
                if look.sample == sample
            ]
            tests.append({"name": f"{name}, {sample}", "interval": STEP, "input_series": series(scene, sample), "promql_expr_test": cases})
    tests.append(contrast(looks))
    # JSON is YAML.
    text = json.dumps({"evaluation_interval": STEP, "tests": tests}, indent=1)
    for version in (2, 3):
        run = subprocess.run([f"promtool-{version}", "test", "rules", "/dev/stdin"], input=text, capture_output=True, text=True, check=False)
        if run.returncode:
            yield f"promtool {version}: {run.stdout}{run.stderr}"


def contrast(looks):
    """Were /healthz counted, a drain would be a failure."""
    success = next(look for look in looks if (look.sample, look.name) == ("flagger", "success"))
    naive = success.verdict.replace('http_route!~"|/healthz"', 'http_route!~""')
    case = {"expr": naive, "eval_time": "10m", "exp_samples": [{"labels": "{}", "value": 0}]}
    return {"name": "contrast", "interval": STEP, "input_series": series(SCENES["drains"], "flagger"), "promql_expr_test": [case]}


def main():
    looks = [*flagger(), *argo(), *rules()]
    subprocess.run(["promtool-3", "check", "rules", str(SAMPLES / "rules.yaml")], check=True, stdout=subprocess.DEVNULL)
    found = [*validated(), *unknown(looks, sys.argv[1]), *played(looks)]
    print("\n".join(found) or f"canary: {len(looks)} looks, each as it has to be in {len(SCENES)} rollouts")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

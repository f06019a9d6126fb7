"""Checks the service's chart. `chart/check` sets up what it needs.

What: `helm lint --strict`; the defaults, the environments and the service's own value sets (tests/chart/*.yaml) render, fit
the Kubernetes schemas of each supported minor and the rules of `shape`; the program accepts their settings, beside the
required ones of tests/app.env.
"""

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import chart
import kubernetes_validate
import shape
import yaml

sys.path.insert(0, str(chart.HERE.parent))
import app_env

# The chart's kubeVersion up to the newest that there are schemas for.
MINORS = ["1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37"]
CUSTOM = ("ServiceMonitor", "PodMonitor", "PrometheusRule", "ScaledObject", "Certificate", "HTTPRoute", "GRPCRoute")

kubernetes_validate.utils.schema_contents = functools.lru_cache(None)(kubernetes_validate.utils.schema_contents)


class Report:
    """Counts, and remembers what is wrong."""

    def __init__(self):
        self.passed, self.failed = 0, 0

    def record(self, name, complaints):
        complaints = list(complaints)
        self.passed, self.failed = self.passed + (not complaints), self.failed + bool(complaints)
        for complaint in complaints:
            print(f"check-chart: {name}: {complaint}", file=sys.stderr)


def lint(report):
    run = subprocess.run(["helm", "lint", "--strict", str(chart.CHART)], capture_output=True, text=True, check=False)
    report.record("helm lint --strict", [run.stdout] if run.returncode else [])


def schemas(objects):
    """Complaints of the Kubernetes schemas, of each minor. Custom resources have none there."""
    for item in objects:
        if item["kind"] in CUSTOM:
            continue
        for minor in MINORS:
            try:
                kubernetes_validate.validate(item, minor, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{minor}: {item['kind']}: {error.message[:300]} at {list(error.path)}"
            except kubernetes_validate.SchemaNotFoundError:
                yield f"{minor}: there is no schema for {item['kind']}"


def custom(report, rendered):
    """Custom resources of all value sets, by the models of their projects; and one of each kind with an unknown field."""
    items = [(name, item) for name, objects in rendered.items() for item in objects if item["kind"] in CUSTOM]
    kinds = {item["kind"]: item for _, item in items}
    faulty = [(f"faulty {kind}", {**item, "spec": {**item["spec"], "ofNoVersion": 1}}) for kind, item in kinds.items()]
    run = subprocess.run(
        ["node", str(chart.HERE / "custom.mjs"), str(chart.ROOT / ".tools/chart-node/node_modules")],
        input=json.dumps(items + faulty),
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = json.loads(run.stdout) if run.returncode == 0 else [["all", run.stderr]]
    refused = {name for name, _ in complaints}
    report.record("custom resources", [f"{name} is not refused" for name, _ in faulty if name not in refused])
    report.record("custom resources", [": ".join(each) for each in complaints if not each[0].startswith("faulty")])
    print(f"check-chart: {len(items)} custom resources of {len(kinds)} kinds")
    return kinds


def accepted(objects):
    """What the service says to the settings that the pod would get."""
    program = os.environ.get("SERVER", str(chart.ROOT / "target/debug/server"))
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "settings.yaml"
        metadata = chart.only(objects, "Deployment")[0]["spec"]["template"]["metadata"]
        text = metadata["annotations"]["service/settings"]
        settings.write_text(text)
        command = [program, "check", "--config", str(settings)]
        for overlay in (item for item in chart.only(objects, "ConfigMap") if "overlay.yaml" in item["data"]):
            # As a plain file, since an overlay that does not fit is only noted.
            (Path(folder) / "overlay.yaml").write_text(overlay["data"]["overlay.yaml"])
            command += ["--config", str(Path(folder) / "overlay.yaml")]
        run = subprocess.run(command, capture_output=True, text=True, env=app_env.beside(yaml.safe_load(text)), check=False)
    return [f"the service refuses: {run.stderr}"] if run.returncode else []


def value_set(name, given, rendered):
    code, text, error = chart.template(chart.CHART, given)
    if code:
        return [error]
    objects = rendered[name] = chart.documents(text)
    return [*schemas(objects), *shape.complaints(objects, given), *accepted(objects)]


def each(report, label, function, cases):
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=2) as pool:
        for name, complaints in zip([case[0] for case in cases], pool.map(lambda case: function(*case[1:]), cases)):
            report.record(f"{label} {name}", complaints)
    print(f"check-chart: {len(cases)} {label}s in {time.monotonic() - began:.0f} s")


def main():
    report, rendered = Report(), {}
    lint(report)
    each(report, "value set", value_set, [(name, name, given, rendered) for name, given in chart.sets().items()])
    custom(report, rendered)
    print(f"chart: {report.passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())

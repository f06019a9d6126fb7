"""What the chart says of a running release, which it looks up: an API server of few answers stands for the cluster.

Switching an autoscaler on must not set a running number of replicas to 1.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import chart
from check import Report

KINDS = {
    "v1": ["Pod", "Service", "ServiceAccount"],
    "apps/v1": ["Deployment"],
    "autoscaling/v2": ["HorizontalPodAutoscaler"],
    "keda.sh/v1alpha1": ["ScaledObject"],
    "networking.k8s.io/v1": ["NetworkPolicy"],
    "policy/v1": ["PodDisruptionBudget"],
}


def resources(version):
    found = [{"name": f"{kind.lower()}s", "kind": kind, "namespaced": True, "verbs": ["get"]} for kind in KINDS[version]]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": found}


def group(version):
    name, _, number = version.partition("/")
    served = {"groupVersion": version, "version": number}
    return {"name": name, "versions": [served], "preferredVersion": served}


ANSWERS = {
    "/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.2"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group(version) for version in KINDS if "/" in version]},
    **{f"/apis/{version}" if "/" in version else "/api/v1": resources(version) for version in KINDS},
}
MISSING = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
DEPLOYMENT = "/apis/apps/v1/namespaces/quotes/deployments/demo-"
ON = {"autoscaling": {"enabled": True}}
KEDA = {"keda": {"enabled": True, "prometheusAddress": "http://prometheus"}}


def owner(manager, operation, field="f:replicas"):
    return {"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {field: {}}}}


HELM, PATCHED = owner("helm", "Apply"), owner("helm", "Update")
SCALED, HANDED = owner("kube-controller-manager", "Update"), owner("replicas-handover", "Apply")
OTHER = owner("helm", "Apply", "f:template")
# (what, values, replicas, owners of fields, the text that is to be there, or None)
CASES = [
    ("Helm alone owns 30", ON, 30, [HELM], "autoscaling.enabled: the 30 running replicas would fall to 1"),
    ("Helm alone owns 3, with KEDA", KEDA, 3, [HELM], "keda.enabled: the 3 running replicas would fall to 1"),
    ("handed over", ON, 30, [HELM, HANDED], None),
    ("the autoscaler has scaled", ON, 30, [OTHER, SCALED], None),
    ("nobody owns it, as after an installation", ON, 3, [OTHER], None),
    ("one replica", ON, 1, [HELM], None),
    ("no autoscaler", {}, 30, [HELM], None),
    ("patched by Helm 3", ON, 30, [PATCHED], "WARNING: the number of replicas is set from 30 to 1"),
]


class Cluster(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.partition("?")[0]
        found = ANSWERS.get(path) or (self.server.deployment if path.startswith(DEPLOYMENT) else None)
        body = json.dumps(found or MISSING).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def says(values, folder):
    """What `helm install --dry-run=server` prints; it looks up, and changes nothing."""
    command = ["helm", "install", "demo", str(chart.CHART), "--namespace", "quotes", "--dry-run=server", "--disable-openapi-validation"]
    environment = {**os.environ, "KUBECONFIG": str(folder / "config"), "HELM_CACHE_HOME": str(folder), "HOME": str(folder)}
    run = subprocess.run(
        [*command, "--values", "-"], input=json.dumps(values), capture_output=True, text=True, env=environment, check=False
    )
    return run.stdout + run.stderr


def complaints(server, folder, values, replicas, owners, wanted):
    release = {"meta.helm.sh/release-name": "demo", "meta.helm.sh/release-namespace": "quotes"}
    labels = {"app.kubernetes.io/managed-by": "Helm"}
    metadata = {"name": "demo", "namespace": "quotes", "annotations": release, "labels": labels, "managedFields": owners}
    server.deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"replicas": replicas}}
    text = says(values, folder)
    if wanted and wanted not in text:
        yield f"does not say {wanted!r}: {text[-600:]}"
    if not wanted and ("would fall to 1" in text or "to 1 until" in text or "kind: Deployment" not in text):
        yield text[-600:]


def main():
    report, server = Report(), ThreadingHTTPServer(("127.0.0.1", 0), Cluster)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="live-") as folder:
        cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        context = {"name": "c", "context": {"cluster": "c", "user": "c"}}
        config = {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "contexts": [context], "current-context": "c"}
        (Path(folder) / "config").write_text(json.dumps({**config, "users": [{"name": "c", "user": {}}]}))
        for name, *case in CASES:
            report.record(name, complaints(server, Path(folder), *case))
    server.shutdown()
    print(f"running release: {report.passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())

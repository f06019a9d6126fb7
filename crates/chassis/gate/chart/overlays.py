"""What people do with k8s/: overlays of their own that rename and relabel, and patches, which are silent where nothing matches.

Each check yields complaints; `files` is every file of k8s/ by its path.
"""

import tempfile
from pathlib import Path

import kustomize
import manual
import yaml

NAMED = {"Deployment": "spec/scaleTargetRef/name", "Service": "spec/rules/*/backendRefs/*/name"}


def write(folder, files):
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def build(files, top):
    """What the overlay `top` makes of the files."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), {**files, "top/kustomization.yaml": kustomize.dump(top)})
        return kustomize.built(Path(folder) / "top")


def on_base(components):
    return {"resources": ["../base"], "components": [f"../components/{name}" for name in components]}


def idle_patches(files):
    """Each patch changes something: without it, what is built is another."""
    for path, text in files.items():
        folder, _, file = path.rpartition("/")
        whole = yaml.safe_load(text) if file == "kustomization.yaml" else {}
        top = on_base([Path(folder).name]) if whole.get("kind") == "Component" else {"resources": [f"../{folder}"]}
        for patch in whole.get("patches", []):
            rest = {**whole, "patches": [other for other in whole["patches"] if other is not patch]}
            if build(files, top) == build({**files, path: kustomize.dump(rest)}, top):
                yield f"{folder}/{patch['path']} changes nothing"


def renamed(files, name):
    """An overlay with a prefix, a suffix and a label that selects: everything still finds each other."""
    extra = {
        "scaledobject.yaml": custom("keda.sh/v1alpha1", "ScaledObject", {"scaleTargetRef": {"name": name}}),
        "grpcroute.yaml": custom("gateway.networking.k8s.io/v1", "GRPCRoute", {"rules": [{"backendRefs": [{"name": name, "port": 80}]}]}),
        "podmonitor.yaml": custom("monitoring.coreos.com/v1", "PodMonitor", {"selector": {"matchLabels": selecting(name)}}),
    }
    top = {
        **on_base(kustomize.COMPONENTS),
        "namePrefix": "eu-",
        "nameSuffix": "-2",
        "labels": [{"pairs": {"app.kubernetes.io/instance": "eu"}, "includeSelectors": True}],
    }
    top["resources"] = [*top["resources"], *extra]
    objects, error = build({**files, **{f"top/{file}": kustomize.dump(item) for file, item in extra.items()}}, top)
    if error:
        yield f"renamed: {error}"
        return
    for (kind, _), item in objects.items():
        for target, path in NAMED.items():
            for used in found(item, path.split("/")):
                if (target, used) not in objects:
                    yield f"renamed: {kind} refers to the {target} {used}, which is not there"
        wanted = found(item, ["spec", "selector", "matchLabels"]) if kind.endswith("Monitor") else []
        labels = [other["metadata"].get("labels", {}) for other in objects.values()]
        if any(not any(selector.items() <= each.items() for each in labels) for selector in wanted):
            yield f"renamed: {kind} selects nothing: {wanted}"
    [deployment] = [item for (kind, _), item in objects.items() if kind == "Deployment"]
    if "replicas" in deployment["spec"]:
        yield "renamed: the component autoscaling leaves replicas in the Deployment"


def without_custom(files):
    """The page's overlay for a cluster without custom resources: none is left, and the rest is."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), {**files, "overlays/own/kustomization.yaml": manual.WITHOUT})
        objects, error = kustomize.built(Path(folder) / "overlays/own")
    kinds = {kind for kind, _ in objects or {}}
    if error or not kinds >= {"Deployment", "Service"} or kinds & {"ServiceMonitor", "PrometheusRule", "HTTPRoute"}:
        yield f"without custom resources: {error or sorted(kinds)}"


def selecting(name):
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": name}


def custom(version, kind, spec):
    return {"apiVersion": version, "kind": kind, "metadata": {"name": f"own-{kind.lower()}"}, "spec": spec}


def found(value, path):
    """Every value at the path; `*` is each item of a list."""
    if not path:
        return [value]
    if isinstance(value, list):
        return [inner for item in value for inner in found(item, path[1:] if path[0] == "*" else path)]
    return found(value[path[0]], path[1:]) if isinstance(value, dict) and path[0] in value else []

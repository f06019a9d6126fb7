"""What has to hold for every rendered value set, beyond the API's own schemas. Each check yields complaints."""

import json
import re
from collections import Counter

import chart
import rules
import yaml

# The extra objects are the user's own.
OURS = ("Deployment", "Service", "Pod")


def complaints(objects, values):
    deployment = chart.only(objects, "Deployment")[0]
    yield from names(objects)
    yield from rules.complaints(objects)
    yield from settings(deployment, values)
    workers = [item for item in objects if component(item) == "worker"]
    for part in filter(None, ([item for item in objects if item not in workers], workers)):
        yield from fleet(part, values)
    for rule in chart.only(objects, "PrometheusRule"):
        if '=~".+"' in str(rule):
            yield "a rule looks at other services, too"
    for test in chart.only(objects, "Pod"):
        yield from pod(test["spec"], test["metadata"]["name"])
    yield from migration(objects, deployment)


def component(item):
    return item["metadata"].get("labels", {}).get("app.kubernetes.io/component")


def fleet(objects, values):
    """The serving pods or the workers: a Deployment, and what selects and scales its pods."""
    deployment = chart.only(objects, "Deployment")[0]
    yield from selectors(objects, deployment)
    yield from replicas(objects, deployment, values)
    yield from pod(deployment["spec"]["template"]["spec"], "Deployment")
    yield from grace(deployment)


def names(objects):
    keys = Counter((item["kind"], item["metadata"]["name"]) for item in objects)
    yield from (f"{key} is there twice" for key, count in keys.items() if count > 1)
    for item in objects:
        name = item["metadata"]["name"]
        if not isinstance(name, str) or not re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", name):
            yield f"{item['kind']} has the name {name!r}"
        for key, value in item["metadata"].get("labels", {}).items():
            if not isinstance(value, str) or len(value) > 63:
                yield f"{item['kind']} {name}: label {key} is {value!r}"


def selectors(objects, deployment):
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    wanted = deployment["spec"]["selector"]["matchLabels"]
    selecting = [("Deployment", wanted)]
    selecting += [(s["metadata"]["name"], s["spec"]["selector"]) for s in chart.only(objects, "Service")]
    for kind, path in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        others = of_hook(objects, kind)
        selecting += [(kind, item["spec"][path]["matchLabels"]) for item in chart.only(objects, kind) if item not in others]
    jobs = [job["spec"]["template"] for job in chart.only(objects, "Job")]
    for name, selector in selecting:
        if not selector.items() <= labels:
            yield f"{name} does not select the pods"
        for other in [*chart.only(objects, "Pod"), *jobs]:
            if selector.items() <= other["metadata"]["labels"].items():
                yield f"{name} selects a pod of a hook"
    for policy in of_hook(objects, "NetworkPolicy"):
        if not all(policy["spec"]["podSelector"]["matchLabels"].items() <= job["metadata"]["labels"].items() for job in jobs):
            yield "the Job's NetworkPolicy does not select its pods"


def migration(objects, deployment):
    """A Job with what the Deployment's pods have: image, settings, environment; and with names of its own."""
    server = deployment["spec"]["template"]
    for job in chart.only(objects, "Job"):
        name, template = job["metadata"]["name"], job["spec"]["template"]
        yield from pod(template["spec"], name)
        migrating, serving = template["spec"]["containers"][0], server["spec"]["containers"][0]
        for key in ("image", "env", "envFrom", "volumeMounts", "securityContext"):
            if migrating.get(key) != serving.get(key):
                yield f"{name}: another {key} than the Deployment's"
        if migrating["args"] != ["migrate", *serving["args"][1:]]:
            yield f"{name}: other arguments than the Deployment's"
        if template["metadata"]["annotations"]["service/settings"] != server["metadata"]["annotations"]["service/settings"]:
            yield f"{name}: other settings than the Deployment's"
        if template["spec"]["serviceAccountName"] not in [item["metadata"]["name"] for item in of_hook(objects, "ServiceAccount")]:
            yield f"{name}: its ServiceAccount is not there before it"
        if not {"pre-install", "pre-upgrade"} <= set(job["metadata"]["annotations"].get("helm.sh/hook", "").split(",")):
            yield f"{name}: is no hook"


def of_hook(objects, kind):
    return [item for item in chart.only(objects, kind) if "helm.sh/hook" in item["metadata"].get("annotations", {})]


def replicas(objects, deployment, values):
    scaled = chart.only(objects, "HorizontalPodAutoscaler") + chart.only(objects, "ScaledObject")
    if scaled and "replicas" in deployment["spec"]:
        yield "replicas is rendered beside an autoscaler"
    for scaler in chart.only(objects, "ScaledObject"):
        if "fallbackBehavior" not in values.get("keda", {}) and scaler["spec"]["fallback"].get("behavior") != "currentReplicasIfHigher":
            yield "a fleet above fallbackReplicas falls to them when Prometheus is away"
    for scaler in scaled:
        if scaler["spec"]["scaleTargetRef"]["name"] != deployment["metadata"]["name"]:
            yield "the autoscaler scales something else"


def pod(spec, name):
    """The restricted Pod Security profile, and what a pod of ours never has."""
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield f"{name}: {key}"
    if spec.get("automountServiceAccountToken") is not False or spec.get("enableServiceLinks") is not False:
        yield f"{name}: has a token or service links"
    container = spec["containers"][0]
    context = {**spec.get("securityContext", {}), **container["securityContext"]}
    profile = (
        context.get("allowPrivilegeEscalation") is False
        and context.get("capabilities", {}).get("drop") == ["ALL"]
        and context.get("runAsNonRoot") is True
        and context.get("readOnlyRootFilesystem") is True
        and context.get("seccompProfile", {}).get("type") == "RuntimeDefault"
        and context.get("runAsUser", 0) > 0
    )
    if not profile:
        yield f"{name}: is outside the restricted profile"
    if name == "Deployment" and spec["containers"][0].get("terminationMessagePolicy") != "FallbackToLogsOnError":
        yield f"{name}: the reason of an exit is in no pod's status"
    for each in spec["containers"]:
        if with_version(each.get("env", [])) != each.get("env", []):
            yield f"{name}: a fieldRef without apiVersion: server-side apply conflicts with a plain apply before it"
    variables = [variable["name"] for variable in container.get("env", [])]
    yield from (f"{name}: {key} is set twice" for key, count in Counter(variables).items() if count > 1)
    for index, variable in enumerate(container.get("env", [])):
        if variable["name"] == "OTEL_RESOURCE_ATTRIBUTES":
            for used in re.findall(r"\$\((\w+)\)", variable["value"]):
                if used not in variables[:index]:
                    yield f"{name}: {used} is not set before it is used"
    volumes = [volume["name"] for volume in spec.get("volumes", [])]
    for volume in spec.get("volumes", []):
        if volume["name"] == "settings" and with_version(volume) != volume:
            yield f"{name}: the settings' fieldRef is without apiVersion"
        if volume["name"] == "settings" and "downwardAPI" not in volume:
            yield f"{name}: its settings are not its revision's own"
        if volume["name"] == "overlay" and volume["configMap"].get("optional") is not True:
            yield f"{name}: cannot start without its overlay"
    for mount in container.get("volumeMounts", []):
        if mount["name"] not in volumes:
            yield f"{name}: mounts {mount['name']}, which is no volume"


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h)?", str(text)).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, None: 1}[unit]


def grace(deployment):
    spec = deployment["spec"]["template"]["spec"]
    lifecycle = settings_of(deployment)["lifecycle"]
    needed = sum(seconds(lifecycle[key]) for key in ("drain_delay", "drain_timeout", "flush_timeout")) + 1
    sleep = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    if spec["terminationGracePeriodSeconds"] < needed + sleep:
        yield f"the grace period is below the {needed + sleep} s that are needed"
    if seconds(lifecycle["grace_period"]) + sleep != spec["terminationGracePeriodSeconds"]:
        yield "the service is told another grace period"


def settings_of(deployment):
    return yaml.safe_load(deployment["spec"]["template"]["metadata"]["annotations"]["service/settings"])


def settings(deployment, values):
    """What was asked for arrives, character for character."""
    yield from missing(values.get("config", {}), settings_of(deployment), "config")
    metadata = deployment["spec"]["template"]["metadata"]
    given = {key: as_text(value) for key, value in values.get("podAnnotations", {}).items()}
    yield from missing(given, metadata["annotations"], "podAnnotations")
    variables = {item["name"]: item for item in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}
    for item in values.get("extraEnv", []):
        wanted = {**item, "value": as_text(item["value"])} if "value" in item else with_version(item)
        if variables.get(item["name"]) != wanted:
            yield f"extraEnv {item['name']} arrives as {variables.get(item['name'])}"


def with_version(value):
    """Each fieldRef with the apiVersion that the API would put there."""
    if isinstance(value, list):
        return [with_version(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: with_version(inner) for key, inner in value.items()}
    return {"apiVersion": "v1", **found} if "fieldPath" in found else found


def as_text(value):
    return value if isinstance(value, str) else json.dumps(value)


def missing(wanted, got, path):
    for key, value in wanted.items():
        if isinstance(value, dict):
            yield from missing(value, got.get(key, {}), f"{path}.{key}")
        elif isinstance(value, float) and float(got.get(key)) == value:
            continue  # As 1e-05, which YAML 1.1 takes for a text; the service does not.
        elif value is not None and got.get(key) != value:
            yield f"{path}.{key} arrives as {got.get(key)!r}"

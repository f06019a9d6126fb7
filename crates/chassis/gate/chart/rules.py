"""The API server's own rules for names, labels, images, bounds and enumerations, which its schemas do not have.

From the validation of Kubernetes (apimachinery/pkg/util/validation, pkg/apis/*/validation) and the grammar of image
references (distribution/reference). Each check yields complaints.
"""

import re

LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
SUBDOMAIN = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
# RFC 1035: names of Services become names in DNS.
SERVICE = r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
QUALIFIED = r"([A-Za-z0-9][A-Za-z0-9_.-]{0,61})?[A-Za-z0-9]"
VALUE = rf"({QUALIFIED})?"
PORT_NAME = r"(?=.*[a-z])(?!.*--)[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?"
HOST_PART = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
PATH_PART = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
IMAGE = (
    rf"((({HOST_PART})(\.{HOST_PART})*|\[[0-9a-fA-F:]+\])(:[0-9]+)?/)?{PATH_PART}(/{PATH_PART})*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)
# A key of a ConfigMap or Secret, which is a file's name.
FILE_KEY = r"(?!\.\.)(?!\.$)[-._A-Za-z0-9]+"
INT32 = 2**31 - 1
# The API's bound on all annotations of an object.
ANNOTATIONS = 256 * 1024
ENUMS = {
    "imagePullPolicy": ("Always", "IfNotPresent", "Never"),
    "pathType": ("Exact", "Prefix", "ImplementationSpecific"),
    "protocol": ("TCP", "UDP", "SCTP"),
    "restartPolicy": ("Always", "OnFailure", "Never"),
    "whenUnsatisfiable": ("DoNotSchedule", "ScheduleAnyway"),
    "unhealthyPodEvictionPolicy": ("IfHealthyBudget", "AlwaysAllow"),
    "terminationMessagePolicy": ("File", "FallbackToLogsOnError"),
    "externalTrafficPolicy": ("Cluster", "Local"),
    "ipFamilyPolicy": ("SingleStack", "PreferDualStack", "RequireDualStack"),
    "dnsPolicy": ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
    "effect": ("NoSchedule", "PreferNoSchedule", "NoExecute"),
}
# In a container's resizePolicy the name has another meaning.
RESTARTS = ("NotRequired", "RestartContainer")
# Lowest and highest of fields wherever they are.
BOUNDS = {
    "replicas": (0, INT32),
    "minReplicas": (1, INT32),
    "maxReplicas": (1, INT32),
    "minReadySeconds": (0, INT32),
    "progressDeadlineSeconds": (1, INT32),
    "revisionHistoryLimit": (0, INT32),
    "terminationGracePeriodSeconds": (0, 2**63 - 1),
    "periodSeconds": (1, INT32),
    "timeoutSeconds": (1, INT32),
    "failureThreshold": (1, INT32),
    "containerPort": (1, 65535),
    "nodePort": (1, 65535),
    "averageUtilization": (1, INT32),
    "runAsUser": (0, INT32),
    "runAsGroup": (0, INT32),
    "fsGroup": (0, INT32),
}


def complaints(objects):
    for item in objects:
        label = f"{item['kind']} {item['metadata']['name']}"
        yield from (f"{label}: {text}" for text in of_object(item))


def of_object(item):
    kind, name = item["kind"], item["metadata"]["name"]
    yield from wrong(SERVICE if kind == "Service" else SUBDOMAIN, name, "name", 63 if kind == "Service" else 253)
    yield from fields(item)
    if kind == "ConfigMap":
        for key in item.get("data", {}):
            yield from wrong(FILE_KEY, key, "key", 253)
    if kind == "Service":
        for port in item["spec"].get("ports", []):
            yield from within(port["port"], 1, 65535, "port")
            yield from wrong(PORT_NAME.replace("{0,13}", "{0,61}"), port["name"], "port's name", 63)
            yield from qualified(port.get("appProtocol", "a"), "appProtocol")
    if kind == "Ingress":
        for rule in item["spec"]["rules"]:
            yield from wrong(rf"(\*\.)?{SUBDOMAIN}", rule["host"], "host", 253)
    if pod := item["spec"] if kind == "Pod" else item.get("spec", {}).get("template", {}).get("spec"):
        yield from of_pod(pod)


def of_pod(pod):
    yield from wrong(SUBDOMAIN, pod.get("serviceAccountName", "default"), "serviceAccountName", 253)
    for volume in pod.get("volumes", []):
        yield from wrong(LABEL, volume["name"], "volume", 63)
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        yield from wrong(LABEL, container["name"], "container", 63)
        yield from wrong(IMAGE, container.get("image", "a"), "image", 255 + 129 + 72)
        for port in container.get("ports", []):
            yield from wrong(PORT_NAME, port.get("name", "a"), "port's name", 15)
        for variable in container.get("env", []):
            yield from wrong(r"[A-Za-z_.-][A-Za-z0-9_.-]*", variable["name"], "variable", 2**31)
            yield from text(variable.get("value", ""), f"variable {variable['name']}")
        for argument in [*container.get("args", []), *container.get("command", [])]:
            yield from text(argument, "argument")
    for option in pod.get("dnsConfig", {}).get("options", []):
        yield from text(option.get("value", ""), f"DNS option {option['name']}")


def fields(value, path=""):
    """What holds for a field wherever it is."""
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from fields(inner, f"{path}[{index}]")
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        at = f"{path}.{key}".removeprefix(".")
        if key in ("labels", "matchLabels", "nodeSelector") and isinstance(inner, dict):
            yield from labels(inner, at)
        elif key == "annotations" and isinstance(inner, dict):
            yield from annotations(inner, at)
        elif key in BOUNDS and path.count("metadata") == 0:
            yield from within(inner, *BOUNDS[key], at)
        elif key in ENUMS and isinstance(inner, str):
            named = RESTARTS if key == "restartPolicy" and ".resizePolicy[" in path else ENUMS[key]
            if inner not in named:
                yield f"{at} is {inner!r}, which is none of {named}"
        elif at != "data":
            yield from fields(inner, at)


def labels(found, at):
    for key, value in found.items():
        yield from qualified(key, at)
        yield from wrong(VALUE, value, f"{at}.{key}", 63)


def annotations(found, at):
    for key, value in found.items():
        yield from qualified(key.lower(), at)
        yield from text(value, f"{at}.{key}")
    if sum(len(key) + len(str(value).encode()) for key, value in found.items()) > ANNOTATIONS:
        yield f"{at}: more than {ANNOTATIONS} bytes"


def qualified(key, at):
    prefix, slash, name = key.rpartition("/")
    yield from wrong(QUALIFIED, name, f"{at}: key", 63)
    if slash:
        yield from wrong(SUBDOMAIN, prefix, f"{at}: prefix", 253)


def wrong(pattern, value, at, longest):
    if not isinstance(value, str) or len(value) > longest or not re.fullmatch(pattern, value):
        yield f"{at} is {value!r}"


def text(value, at):
    if not isinstance(value, str):
        yield f"{at} is {value!r}, and no text"


def within(value, lowest, highest, at):
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        yield f"{at} is {value!r}, and not within {lowest} and {highest}"

"""Null keys: `key:` with nothing behind it. Helm drops them before the schema and the templates see them.

A null key means its default, as files/defaults.yaml has it, or is refused with its name. Where the schema names null, it means that the key is left out;
inside an object that Kubernetes defines, it removes the key. All keys of one depth are null at once, which takes one
rendering; where that fails, each is tried by itself, so that the complaint names it.
"""

import sys

import chart
import yaml
from check import Report, each

DEFAULTS = chart.ROOT / "helm/values.yaml"
# Everything on, so that every key is read; two autoscalers, and two ways to scrape, exclude each other.
ON = {
    "autoscaling": {"enabled": True},
    "certificate": {"enabled": True, "issuerRef": {"name": "issuer"}},
    "dashboard": {"enabled": True},
    "database": {"maxConnections": 10_000},
    "grpcRoute": {"enabled": True, "parentRefs": [{"name": "gateway"}]},
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "gateway"}]},
    "ingress": {"enabled": True},
    "migrate": {"enabled": True},
    "networkPolicy": {"egress": {"enabled": True}},
    "prometheusRule": {"enabled": True},
    "service": {"appProtocol": "kubernetes.io/h2c"},
    "serviceMonitor": {"enabled": True},
    "worker": {"enabled": True, "autoscaling": {"enabled": True}},
}
OTHER = {
    "keda": {"enabled": True, "prometheusAddress": "http://prometheus"},
    "podMonitor": {"enabled": True},
    "worker": {"enabled": True, "keda": {"enabled": True}},
}


def paths(tree, prefix=()):
    for name, value in tree.items():
        yield (*prefix, name)
        if isinstance(value, dict):
            yield from paths(value, (*prefix, name))


def with_null(given, keys):
    """`given`, with each of the keys null that it does not set itself."""
    for path in keys:
        place = given
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place.setdefault(path[-1], None)
    return given


def copy(base):
    return yaml.safe_load(yaml.safe_dump(base))


def same_as(base, keys):
    """Complaints where null keys render another chart than `base` alone."""
    wanted = chart.template(chart.CHART, base)
    got = chart.template(chart.CHART, with_null(copy(base), keys))
    if got[:2] == wanted[:2]:
        return
    if len(keys) == 1:
        yield f"{'.'.join(keys[0])}: {got[2].strip() or 'renders another chart than its default'}"
        return
    for path in keys:
        yield from same_as(base, [path])


def means_default(base, keys):
    return list(same_as(base, keys))


def left_out(path):
    """A key whose null is a value of its own: rendered, or refused with its name."""
    code, _, error = chart.template(chart.CHART, with_null(copy(ON), [path]))
    own = [".".join(path), "/".join(path), path[0]]
    return [error] if code and not any(f"{name}{end}" in error for name in own for end in (": ", "' ", ".", " ")) else []


def main():
    report, tree = Report(), yaml.safe_load(DEFAULTS.read_text())
    keys = {tuple(key.split(".")) for key in yaml.safe_load((chart.CHART / "files/defaults.yaml").read_text())}
    by_depth = [sorted(path for path in keys if len(path) == depth) for depth in (1, 2, 3)]
    for name, base in {"defaults": {}, "on": ON, "other": OTHER}.items():
        each(report, f"{name} null depth", means_default, [(len(at[0]), base, at) for at in by_depth if at])
    others = [path for path in paths(tree) if path not in keys]
    each(report, "absent key", left_out, [(".".join(path), path) for path in others])
    print(f"null keys: {len(keys)} mean their default, {len(others)} are left out, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Large numbers in values files, which Helm holds as float64: printed as they are, a million is 1e+06.

Every key that the schema lets be a number gets one of its own, as large as its bounds allow, all in one rendering; each has
to be there as it was written. So has each number in a place that Kubernetes defines and where the API wants a text.
"""

import itertools
import json
import re
import sys

import chart
from check import Report
from kustomize import merge
from nulls import ON, OTHER, copy

LARGE, OF_32_BITS = 123_456_789_012, 1_000_000_000
# A key for maps that have any.
ANY_KEY = "any_key"
# What a number needs beside it.
BESIDE = {
    "extraEnv": [{"name": "LARGE"}],
    "service": {"type": "NodePort"},
}
# Numbers that the API wants as texts, in what Kubernetes and KEDA define.
TEXTS = {
    "dnsConfig": {"options": [{"name": "timeout", "value": 1_000_000}]},
    "initContainers": [{"name": "a", "image": "a", "command": [1_000_001], "args": ["-n", 1_000_002]}],
    "sidecars": [{"name": "b", "image": "b", "args": [1_000_003], "env": [{"name": "A", "value": 1_000_004}, {"name": "B"}]}],
    "tolerations": [{"key": "a", "value": 1_000_005}],
}
TRIGGERS = [{"type": "cron", "metadata": {"desiredReplicas": 1_000_006}}]


def numeric(schema, defs, path=()):
    """(path, the part of the schema) of every key that may be a number."""
    schema = {**schema, **defs.get(schema.get("$ref", "").removeprefix("#/$defs/"), {})}
    for choice in [schema, *schema.get("anyOf", [])]:
        # Where there are only some numbers to choose from, none is large.
        if "enum" not in choice and {"integer", "number"} & set([choice["type"]] if isinstance(choice.get("type"), str) else choice.get("type", [])):
            yield path, choice
    for name, part in schema.get("properties", {}).items():
        yield from numeric(part, defs, (*path, name))
    for part in [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties"), schema.get("items")]:
        if isinstance(part, dict):
            yield from numeric(part, defs, (*path, 0 if part is schema.get("items") else ANY_KEY))


def number(schema, counter):
    """One that no other key has."""
    highest = schema.get("maximum", LARGE * 2)
    if highest <= 1:
        return highest - next(counter) / 10_000
    base = LARGE if highest > LARGE else OF_32_BITS if highest > OF_32_BITS else highest - 300
    return base + next(counter)


def put(given, path, value):
    for part, following in itertools.pairwise(path):
        if isinstance(part, str):
            given = given.setdefault(part, [{}] if following == 0 else {})
        else:
            given = given[part]
    given[path[-1]] = value


def largest(base, found):
    """`base` with a large number for each key, and these numbers by their path."""
    given, numbers, counter = merge(copy(BESIDE), copy(base)), {}, itertools.count(1)
    given.pop("database", None)
    for path, schema in found:
        # The grace period follows from others; one is enough where two exclude each other; no server is for so many pods.
        if path[0] in ("terminationGracePeriodSeconds", "database") or path[-1] == "minAvailable":
            continue
        numbers[path] = number(schema, counter)
        put(given, path, numbers[path])
    # The highest of them comes last.
    for scaler in (("keda",), ("worker", "keda")):
        order = [(*scaler, name) for name in ("minReplicas", "fallbackReplicas", "maxReplicas")]
        for path, value in zip(order, sorted(numbers[path] for path in order)):
            numbers[path] = value
            put(given, path, value)
    return given, numbers


def texts(value):
    """Every text of a rendered object, and every number as text."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    else:
        yield value if isinstance(value, str) else json.dumps(value)


def check(report):
    schema = json.loads((chart.CHART / "values.schema.json").read_text())
    found = [(path, part) for path, part in numeric(schema, schema["$defs"]) if path]
    rendered, numbers = "", {}
    for base in (ON, OTHER, {"worker": {"enabled": True}}):
        given, numbers = largest(base, found)
        given["keda"]["triggers"] = TRIGGERS
        code, text, error = chart.template(chart.CHART, {**given, **TEXTS})
        report.record("large numbers", [error] if code else [])
        report.record("large numbers", [f"{each} is rendered" for each in re.findall(r"[\w.]+e\+\d+", text)])
        rendered += "\n".join(itertools.chain.from_iterable(texts(item) for item in chart.documents(text)))
    # A trigger's metadata and the like are quoted: YAML reads them as texts.
    numbers |= {("TEXTS", str(index)): 1_000_000 + index for index in range(7)}
    for path, value in numbers.items():
        there = re.search(rf"(?<![\d.]){re.escape(str(value))}(?![\d.])", rendered)
        report.record("large numbers", [] if there else [f"{'.'.join(map(str, path))}: {value} is not rendered as written"])
    return len(numbers)


def main():
    report = Report()
    count = check(report)
    print(f"large numbers: {count} keys, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())

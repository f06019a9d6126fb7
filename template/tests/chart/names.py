"""Names, labels and images for every release name, alias, chart version and appVersion: a property test.

A parent chart has the chart under several aliases. Releases, aliases and versions come from a generator with a fixed seed,
and from a list of those that were wrong once; what is rendered fits the API's rules (`rules`), and the parts fit together.
"""

import json
import random
import re
import shutil
import sys
import tempfile
from pathlib import Path

import chart
import rules
import shape
import yaml
from check import Report, each

ROUNDS, ALIASES = 16, 6
# Cut at each of these, a name or label once ended in what it may not end in.
RELEASES = ["a" * 53, "a" * 49 + "--b", "9lives", "a.b.c", "0", "a" * 40 + "." + "b" * 12, "1-2"]
NAMES = ["Web", "web_1", "_x", "x_", "9", "A--", "-", "w" * 70, "w" * 47 + "--" + "w" * 9, "W" * 30 + "_" * 30]
VERSIONS = ["1.0.0+build.5", "1.0.0-" + "a" * 60, "0.1.0-rc.1+" + "b" * 80, "1.2.3-alpha." + "1" * 40 + ".-"]
APP_VERSIONS = ["1.0.0+build", "v1.0 beta", "2026-01-01T00:00:00Z", "." * 3 + "x", "-x-", "x" * 62 + ".y", "Ü", "a/b:c", "1e3", ""]


def text(dice, first, others, longest):
    return dice.choice(first) + "".join(dice.choice(others) for _ in range(dice.randrange(longest)))


def release(dice):
    """What Helm takes as a release's name: at most 53 characters, of RFC 1123."""
    while True:
        found = text(dice, "az09", "az09--.", 53)
        if re.fullmatch(rules.SUBDOMAIN, found):
            return found


def one(dice, list_of, make, at):
    """The list first, each once; then what is made."""
    return list_of[at] if at < len(list_of) else make()


def case(dice, at):
    letters, digits = "abzABZ", "019"
    aliases = [NAMES[index] if (index := at * ALIASES + offset) < len(NAMES) else None for offset in range(ALIASES)]
    return {
        "release": one(dice, RELEASES, lambda: release(dice), at),
        "aliases": {alias or text(dice, letters + digits + "_-", letters + digits + "_-", 64) for alias in aliases},
        "version": one(dice, VERSIONS, lambda: f"1.0.{dice.randrange(10**9)}-{text(dice, 'ab', 'ab1-', 70)}+{text(dice, 'ab', 'ab1-', 70)}", at),
        "appVersion": one(dice, APP_VERSIONS, lambda: text(dice, "ab1Ü._-+ ", "ab1._-+ :/", 130), at),
    }


def write(folder, given):
    """The parent; its part is the service's chart with another version."""
    part = folder / "charts/part"
    shutil.copytree(chart.CHART, part)
    described = yaml.safe_load((part / "Chart.yaml").read_text())
    version, app_version = given["version"], given["appVersion"]
    (part / "Chart.yaml").write_text(yaml.safe_dump({**described, "name": "part", "version": version, "appVersion": app_version}))
    uses = [{"name": "part", "version": version, "alias": alias, "repository": ""} for alias in sorted(given["aliases"])]
    head = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": uses}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(head))


def values(given):
    """Everything that has a name of its own; a key that is null in a parent as well."""
    part = {
        "podAnnotations": None,
        "resources": None,
        "image": {"tag": "" if given["appVersion"].strip(".-") else "none"},
        "dashboard": {"enabled": True},
        "ingress": {"enabled": True},
        "overlay": {"values": {"overload": {"enabled": False}}},
        "autoscaling": {"enabled": True},
    }
    return {alias: part for alias in given["aliases"]}


def rendered(given):
    with tempfile.TemporaryDirectory(prefix="names-") as folder:
        write(Path(folder), given)
        code, out, error = chart.template(folder, values(given), given["release"])
    if code:
        return [error]
    objects = chart.documents(out)
    found = [*rules.complaints(objects), *shape.names(uniq(objects))]
    deployments = chart.only(objects, "Deployment")
    if len(deployments) != len(given["aliases"]):
        found.append(f"{len(deployments)} Deployments")
    for deployment in deployments:
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        if not deployment["spec"]["selector"]["matchLabels"].items() <= labels.items():
            found.append("a Deployment does not select its pods")
    return [f"{text} of {json.dumps({**given, 'aliases': sorted(given['aliases'])})}" for text in found]


def uniq(objects):
    """Two long or odd aliases of one release may come to one name, which Helm refuses."""
    return list({(item["kind"], item["metadata"]["name"]): item for item in objects}.values())


def patterns():
    """(a pattern of the schema, what the API takes of it) for each kind of name that values have."""
    schema = json.loads((chart.CHART / "values.schema.json").read_text())
    defs, image = schema["$defs"], schema["properties"]["image"]["properties"]
    [label_key] = defs["labels"]["patternProperties"]
    [annotation_key] = defs["annotations"]["patternProperties"]
    qualified = rf"({rules.SUBDOMAIN}/)?{rules.QUALIFIED}"
    return {
        "name": (defs["name"]["pattern"], rules.SUBDOMAIN),
        "maybeName": (defs["maybeName"]["pattern"], rf"({rules.SUBDOMAIN})?"),
        "label": (defs["label"]["pattern"], rules.LABEL),
        "labelText": (defs["labelText"]["pattern"], rules.VALUE),
        "host": (defs["host"]["pattern"], rf"(\*\.)?{rules.SUBDOMAIN}"),
        "fileKey": (defs["fileKey"]["pattern"], rules.FILE_KEY),
        "maybeQualified": (defs["maybeQualified"]["pattern"], rf"({qualified})?"),
        "label's key": (label_key, qualified),
        "annotation's key": (annotation_key, rf"(?i:{rules.SUBDOMAIN}/)?{rules.QUALIFIED}"),
        "image.repository": (image["repository"]["pattern"], rules.IMAGE),
        "image.tag": (image["tag"]["pattern"], r"([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"),
    }


def takes_no_other(dice, pattern, rule):
    """Complaints where the schema takes a text that the API would refuse; and where it takes none at all."""
    made = {text(dice, "ab1", "ab1A-._/:*[]", 9) for _ in range(5_000)}
    taken = [each for each in made if re.search(pattern, each)]
    refused = [each for each in taken if not re.fullmatch(rule, each)]
    return [f"takes {each!r}" for each in refused[:3]] + ([] if taken else ["takes nothing"])


def main():
    report, dice = Report(), random.Random(16)
    for name, (pattern, rule) in patterns().items():
        report.record(name, takes_no_other(dice, pattern, rule))
    cases = [case(dice, at) for at in range(ROUNDS)]
    each(report, "parent", rendered, [(str(at), given) for at, given in enumerate(cases)])
    count = sum(len(given["aliases"]) for given in cases)
    print(f"names: {count} aliases in {len(cases)} releases, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())

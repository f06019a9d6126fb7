#!/usr/bin/env python3
"""Holds helm/files/rules.yaml to what promtool cannot know.

Every selector can be narrowed to one service, every alert has its labels and a runbook.
Usage: rules.py (checks), rules.py tested FOLDER (checks that each alert fires in a test there), or rules.py narrow
NAMESPACE JOB TEAM (prints the copy that the chart installs).
"""

import re
import sys
from pathlib import Path

from promql import selectors

# `scripts/gate` calls from the service's folder.
ROOT = Path.cwd()
RULES = ROOT / "helm/files/rules.yaml"
PAGE = "docs/runbooks.md"
AGGREGATE = re.compile(r"(?<!:)\b(?:sum|avg|count|max|min|group)\b(?! by \(namespace, job\b)")
WIDE = 'namespace=~".+",job=~".+"'


def narrowed(namespace: str, job: str, team: str) -> str:
    """What the chart makes of the rules: one text for another."""
    text = RULES.read_text().replace(WIDE, f'namespace="{namespace}",job="{job}"')
    return text.replace("team: service", f"team: {team}")


def blocks() -> list[dict[str, str]]:
    """The rules as flat maps. The file is kept in a form that needs no YAML parser: one rule a dash, six spaces in."""
    rules = []
    for chunk in re.split(r"\n      - (?=record:|alert:)", RULES.read_text())[1:]:
        rule, key = {}, ""
        for line in re.sub(r"^\s*#.*$", "", chunk, flags=re.M).splitlines():
            named = re.match(r"(?: {8})?([a-z_]+): ?(.*)", line)
            inner = re.match(r" {10}([a-z_]+): (.*)", line)
            if named and not line.startswith(" " * 9):
                key = named.group(1)
                rule[key] = named.group(2).removeprefix(">-")
            elif inner and key == "annotations":
                rule[inner.group(1)] = inner.group(2)
            elif key == "expr":
                rule[key] += " " + line.strip()
        rules.append(rule)
    return rules


def problems() -> list[str]:
    found, sections = [], runbooks()
    alerts = {rule["alert"] for rule in blocks() if "alert" in rule}
    for rule in blocks():
        name = rule.get("alert") or rule["record"]
        uses = selectors(rule["expr"])
        found += [f"{name}: {use.metric} is not keyed by {WIDE}" for use in uses if not use.matchers.startswith(WIDE)]
        if not uses:
            found.append(f"{name}: no metric found in its expression")
        if AGGREGATE.search(rule["expr"]):
            found.append(f"{name}: an aggregation that is not by (namespace, job, …)")
        if "alert" in rule:
            found += alert_problems(rule, sections)
    found += [f"{PAGE}: no alert has the name {name}" for name in sorted(set(sections) - alerts)]
    return found


def runbooks() -> dict[str, str]:
    """The sections of the runbooks' page, by their titles."""
    parts = re.split(r"^## (.*)$", (ROOT / PAGE).read_text(), flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def alert_problems(rule: dict[str, str], sections: dict[str, str]) -> list[str]:
    name, found = rule["alert"], []
    labels = rule.get("labels", "")
    if not re.search(r"severity: (page|ticket)\b", labels):
        found.append(f"{name}: severity is page or ticket")
    if "team: service" not in labels:
        found.append(f"{name}: no team for the chart to replace")
    page, expected = rule.get("runbook_url", ""), f"{PAGE}#{name.lower()}"
    if page != expected:
        found.append(f"{name}: its runbook_url is {page!r}, not {expected!r}")
    elif not all(f"\n### {heading}\n" in sections.get(name, "") for heading in ("Meaning", "Look", "Do")):
        found.append(f"{name}: its section of {PAGE} lacks one of Meaning, Look, Do")
    return found


def untested(folder: str) -> list[str]:
    """The alerts that fire in no test of promtool's in the folder."""
    tests = "\n".join(path.read_text() for path in sorted(Path(folder).glob("*.yaml")))
    return [complaint for rule in blocks() if "alert" in rule for complaint in unfired(rule, tests)]


def unfired(rule: dict[str, str], tests: str) -> list[str]:
    name, window = rule["alert"], re.search(r"window: (\w+)", rule.get("labels", ""))
    fires = rf'\{{labels: \'ALERTS\{{alertname="{name}",alertstate="firing"' + (rf'[^\n]*window="{window[1]}"' if window else "")
    if re.search(fires, tests):
        return []
    return [f"{name}: no test in which it fires" + (f" over {window[1]}" if window else "")]


def main() -> int:
    if sys.argv[1:2] == ["narrow"]:
        sys.stdout.write(narrowed(*sys.argv[2:5]))
        return 0
    found = untested(sys.argv[2]) if sys.argv[1:2] == ["tested"] else problems()
    said = "alerts each fire in a test" if sys.argv[1:] else "each keyed by namespace and job; alerts have runbook and team"
    print("\n".join(found) or f"rules: {len(blocks())} rules; {said}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

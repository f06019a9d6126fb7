#!/usr/bin/env python3
"""Holds helm/files/dashboard.json to what the service exports.

Usage: dashboard.py rules (prints a rules file that has every query as a recording rule, for promtool to parse), or
dashboard.py live SERVER (starts it, sends traffic, and looks up every metric and label that queries and rules name).
A service that makes no calls has no metrics of calls; with `--all` those have to be there, too.
"""

import json
import re
import sys
from pathlib import Path

from promql import grouping_labels, selectors
from rules import ROOT, blocks

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from replica import Replica

DASHBOARD = ROOT / "helm/files/dashboard.json"
# What Prometheus adds to each series.
SCRAPED = {"namespace", "job", "instance", "pod"}
# Metrics of what a service need not have: background tasks, which the template's own has none of either,
TASKS = {"tasks_ended_total": {"task", "outcome"}}
# and checks and calls, which that has.
OPTIONAL = TASKS | {
    "health_check_up": {"check"},
    "upstream_request_duration_seconds_count": {"upstream", "outcome"},
    "upstream_request_duration_seconds_bucket": {"upstream", "outcome", "le"},
    "upstream_retries_total": {"upstream"},
    "upstream_circuit_open": {"upstream"},
}
VARIABLES = {"$__rate_interval": "5m", "$namespace": "shop", "$job": "quotes", "$instance": "a"}


def queries() -> list[tuple[str, str]]:
    """Every query: where it stands, and its text with Grafana's variables replaced."""
    dashboard = json.loads(DASHBOARD.read_text())
    found = [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", [])]
    found += [("annotation " + a["name"], a["expr"]) for a in dashboard["annotations"]["list"]]
    for variable in dashboard["templating"]["list"]:
        values = re.fullmatch(r"label_values\((.*), *(\w+)\)", variable.get("definition", ""))
        if values:
            found.append(("variable " + variable["name"], f"count by ({values[2]}) ({values[1]})"))
    return [(where, replaced(query)) for where, query in found]


def replaced(query: str) -> str:
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    if "$" in query:
        raise ValueError(f"a variable that is not known here: {query}")
    return query


def as_rules() -> str:
    """JSON is YAML, so promtool reads it. The record's name only tells queries apart."""
    rules = [{"record": f"query:{n}", "expr": query} for n, (_, query) in enumerate(queries())]
    return json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}, indent=1)


def recorded() -> dict[str, set[str]]:
    """The metrics that the rules make, and ALERTS, with no look at their labels but those they are grouped by."""
    made = {"ALERTS": {"alertname", "alertstate", "severity", "team", "window"}}
    for rule in blocks():
        if "record" in rule:
            made[rule["record"]] = grouping_labels(rule["expr"])
    return made


def unknown(uses: list[tuple[str, str]], exported: dict[str, set[str]]) -> list[str]:
    found = []
    for where, query in uses:
        labels = set(SCRAPED)
        for use in selectors(query):
            if use.metric not in exported:
                found.append(f"{where}: nobody exports {use.metric}")
                continue
            labels |= exported[use.metric]
            found += [f"{where}: {use.metric} has no label {name}" for name in use.labels - exported[use.metric] - SCRAPED]
        found += [f"{where}: no metric in it has the label {name}" for name in grouping_labels(query) - labels]
    return found


def main() -> int:
    if sys.argv[1] == "rules":
        print(as_rules())
        return 0
    with Replica(sys.argv[2]) as replica:
        replica.exercise()
        exported = replica.exported()
    exported = (TASKS if sys.argv[3:] == ["--all"] else OPTIONAL) | exported
    uses = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in blocks()]
    found = unknown(queries() + uses, exported | recorded())
    shown = {use.metric for _, query in queries() for use in selectors(query)}
    print("\n".join(found) or f"dashboard: {len(queries())} queries and {len(uses)} rules name {len(shown)} metrics, all of them there")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

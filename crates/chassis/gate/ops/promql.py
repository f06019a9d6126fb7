"""The names in PromQL: enough of its grammar to find metrics, their matchers and their labels. promtool checks the rest."""

import re
from dataclasses import dataclass, field

KEYWORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\})?")


@dataclass
class Selector:
    """One use of a metric: its name, the text between its braces, and the labels named there."""

    metric: str
    matchers: str
    labels: set[str] = field(default_factory=set)


def selectors(expression: str) -> list[Selector]:
    """Every use of a metric in an expression."""
    text = re.sub(r"\[[^\]]*\]", " ", GROUPING.sub(" ", expression))
    found = []
    for match in SELECTOR.finditer(text):
        name, matchers = match.group(1), (match.group(2) or "")[1:-1]
        is_call = not match.group(2) and text[match.end() :].lstrip().startswith("(")
        in_number = match.start() > 0 and text[match.start() - 1].isdigit()
        if is_call or in_number or name.lower() in KEYWORDS:
            continue
        found.append(Selector(name, matchers, set(re.findall(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)", strip_strings(matchers)))))
    return found


def grouping_labels(expression: str) -> set[str]:
    """Every label that an expression groups or matches by."""
    return {name for group in GROUPING.findall(expression) for name in NAME.findall(group)}


def strip_strings(text: str) -> str:
    return re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)

"""Reads tests/app.env: the settings without which the service does not start, with values for tests."""

import sys
from pathlib import Path

FILE = "tests/app.env"


def read():
    """Name and value of each setting; none where there is no such file."""
    file, found = Path.cwd() / FILE, {}
    for number, line in enumerate(file.read_text().splitlines() if file.exists() else [], 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.startswith("APP__"):
            sys.exit(f"{FILE}:{number}: expected APP__SECTION__KEY=VALUE")
        found[name] = value
    return found


def beside(settings):
    """Those that `settings`, a tree, does not have: a value of the environment would hide what the chart gives."""
    return {name: value for name, value in read().items() if not has(settings, name.lower().split("__")[1:])}


def has(tree, path):
    for part in path:
        if not isinstance(tree, dict) or part not in tree:
            return False
        tree = tree[part]
    return True

"""Reads values.yaml: its keys, and the comments that document them."""

import functools
import re
from pathlib import Path

import yaml


@functools.lru_cache
def documented(path):
    """(key, default, meaning) of every key that has a comment beginning with `# --`, in the file's order."""
    tree = yaml.safe_load(Path(path).read_text())
    found, comment, parents = [], None, []
    for line in Path(path).read_text().splitlines():
        text = line.strip()
        if text.startswith("# --"):
            comment = text.removeprefix("# --").strip()
        elif text.startswith("#") and comment is not None:
            comment += " " + text.removeprefix("#").strip()
        elif match := re.match(r"^( *)([A-Za-z_]\w*):", line):
            depth = len(match[1]) // 2
            parents = [*parents[:depth], match[2]]
            if comment is not None:
                found.append((".".join(parents), at(tree, parents), comment))
            comment = None
        else:
            comment = None
    return found


def at(tree, parts):
    for part in parts:
        tree = tree[part]
    return tree


@functools.lru_cache
def has_documented_children(path, key):
    return any(other.startswith(key + ".") for other, _, _ in documented(path))


def undocumented(path):
    """Keys without a comment of their own, above which no comment stands for the whole."""
    known = {key for key, _, _ in documented(path)}

    def walk(tree, prefix, covered):
        for name, value in tree.items():
            key = f"{prefix}{name}"
            parent = any(other.startswith(key + ".") for other in known)
            if isinstance(value, dict) and parent:
                yield from walk(value, key + ".", False)
            elif key not in known and not covered:
                yield key

    return list(walk(yaml.safe_load(Path(path).read_text()), "", False))


def leaves(path):
    """(key, default) of every documented key that has no documented part."""
    return [(key, value) for key, value, _ in documented(path) if not has_documented_children(path, key)]


def is_nullable(schema):
    """Whether null is one of the key's own values, such as a probe that is left out."""
    kinds = schema.get("type", [])
    return "null" in (kinds if isinstance(kinds, list) else [kinds]) or any(map(is_nullable, schema.get("anyOf", [])))


def never_null(tree, schema, prefix=""):
    """(key, default) of every key, parents first, whose null means its default. Inside an object that Kubernetes defines,
    such as a security context, null removes a key, as Helm has it."""
    for name, value in tree.items():
        part = schema["properties"].get(name)
        if part is None or is_nullable(part):
            continue
        yield prefix + name, value
        if isinstance(value, dict) and "properties" in part:
            yield from never_null(value, part, f"{prefix}{name}.")

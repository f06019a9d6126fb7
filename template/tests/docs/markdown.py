"""Reads the parts of a Markdown page that can be wrong: commands with their outputs, edits of files, links, named things."""

import re
import shlex
from dataclasses import dataclass, field

FENCE = re.compile(r"^```(\S*) ?(.*)$")
MARK = re.compile(r"^<!-- (not run|exit|server):? ?(.*?) ?-->$")
# What people type into, whatever it is called.
SHELLS = ("sh", "bash", "shell", "zsh", "terminal")


@dataclass
class Command:
    """What is typed, and what the page says comes back."""

    line: int
    text: str
    output: list[str] = field(default_factory=list)


@dataclass
class Block:
    """A fenced block: its language, the file that it is of, the mark before it, its lines."""

    line: int
    language: str
    file: str
    mark: str
    reason: str
    lines: list[str]


class Wrong(Exception):
    """A page that cannot be read, with its line."""


def blocks(text):
    """The fenced blocks of a page, each with the mark on the line before it."""
    lines, found, index, mark = text.splitlines(), [], 0, ("", "")
    while index < len(lines):
        opening = FENCE.match(lines[index])
        if not opening:
            marked = MARK.match(lines[index])
            mark = (marked[1], marked[2]) if marked else mark if not lines[index].strip() else ("", "")
            index += 1
            continue
        end = next((n for n in range(index + 1, len(lines)) if lines[n].startswith("```")), None)
        if end is None:
            raise Wrong(f"{index + 1}: a block without an end")
        file = re.fullmatch(r"file=(\S+)", opening[2])
        found.append(Block(index + 1, opening[1], file[1] if file else "", *mark, lines[index + 1 : end]))
        index, mark = end + 1, ("", "")
    return found


def servers(text):
    """Settings of the server that a page takes for granted: `<!-- server: NAME=value … -->`."""
    found = re.findall(r"^<!-- server: (.*?) -->$", text, re.M)
    return found[0].split() if found else None


def postgres_user(text):
    """The user of the Postgres that a page takes for granted at localhost:5432: `<!-- postgres: USER -->`."""
    found = re.findall(r"^<!-- postgres: (\w+) -->$", text, re.M)
    return found[0] if found else None


def commands(block):
    """The commands of a console block; one goes on while a quote is open or its line ends with a backslash."""
    found = []
    for number, line in enumerate(block.lines, block.line + 1):
        if found and not complete(found[-1].text):
            found[-1].text += "\n" + line
        elif line.startswith("$ "):
            found.append(Command(number, line[2:]))
        elif found:
            found[-1].output.append(line)
        else:
            raise Wrong(f"{number}: a console block begins with a command, after `$ `")
    return found


def complete(text):
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return False
    return not text.endswith("\\")


def prose(text):
    """The page without its fenced blocks and comments."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    return re.sub(r"<!--.*?-->", "", text, flags=re.S)


def links(text):
    return re.findall(r"\]\(([^)\s]+)\)", prose(text))


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def named(text):
    """What stands in backquotes in the prose."""
    return re.findall(r"`([^`\n]+)`", prose(text))

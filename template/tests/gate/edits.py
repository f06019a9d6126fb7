"""Makes the edits of a page, or those of a required setting, in a service: edits.py SERVICE page PAGE | required."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "template/tests/docs"))

from markdown import blocks
from session import Session

# A database's URL: the smallest change that leaves a service without its settings unable to start.
REQUIRED = {
    "src/app/config.rs": [
        ("pub struct Settings {", "pub struct Settings {\n    /// Where the database is, such as `postgres://host/name`.\n    pub database_url: String,"),
        ("        Self {\n", "        Self {\n            database_url: String::new(),\n"),
    ],
}  # fmt: skip


def page(session, name):
    for block in blocks((ROOT / name).read_text()):
        if block.file:
            (session.edit if block.language == "diff" else session.write)(block.file, block.lines)


# The first line of `check`, with what it collects errors in.
CHECK = re.compile(r"fn check\(&self, (\w+): &mut (\w+)s\) \{\n")
REFUSES = """        if self.database_url.is_empty() {{
            {0}.push({1}::new("database_url", "must not be empty"));
        }}
"""


def required(tree):
    config = tree / "src/app/config.rs"
    text, count = CHECK.subn(lambda match: match[0] + REFUSES.format(*match.groups()), config.read_text())
    assert count == 1, f"{config} has {count} functions check"
    config.write_text(text)
    for file, changes in REQUIRED.items():
        text = (tree / file).read_text()
        for old, new in changes:
            assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times"
            text = text.replace(old, new)
        (tree / file).write_text(text)
    with (tree / "tests/app.env").open("a") as file:
        file.write("APP__APP__DATABASE_URL=postgres://localhost/test\n")


def main(service, what, *names):
    # Only for its edits: nothing is copied and nothing runs.
    session = Session.__new__(Session)
    session.tree, session.postgres = Path(service), None
    if what == "page":
        page(session, *names)
    else:
        required(session.tree)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Runs what the pages tell a reader to type, makes the edits that they show, and follows their links.

A command of a ```console block runs, in a copy of the tree that its page has for itself, and its output has to be the
page's. What cannot run here stands under `<!-- not run: REASON -->`; another exit code than 0 under `<!-- exit: N -->`.
A block with `file=PATH` behind its language is that file; with the language `diff`, an edit of it.
Usage: check.py TARGET [PAGE…], where TARGET is a cargo target directory to build in. With `--links` for TARGET, nothing
runs: links are followed, and the names of make targets and scripts.
"""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from markdown import SHELLS, Wrong, anchors, blocks, commands, links, named, postgres_user, servers
from session import Failed, Session

ROOT = Path(__file__).resolve().parents[3]
# Pages that are made from others, or that only tell of the past.
LEFT_OUT = {"CHANGELOG.md"}
# `server SUBCOMMAND` and `cargo run -- SUBCOMMAND`, as the program knows them.
SUBCOMMAND = re.compile(r"^(?:cargo run (?:--quiet )?-- |server )([a-z]+)\b")


class Report:
    """Counts, and remembers what is wrong."""

    def __init__(self):
        self.ran, self.left, self.edits, self.links, self.wrong = 0, [], 0, 0, []

    def complain(self, place, text):
        self.wrong.append(f"{place}: {text}")
        print(f"check-docs: {self.wrong[-1]}", file=sys.stderr)


def pages(chosen):
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    found = [name for name in tracked if (ROOT / name).exists() and name not in LEFT_OUT and not name.startswith(("tests/", "template/tests/", ".github/", "crates/clone/"))
            and (not chosen or name in chosen)]  # fmt: skip
    # Those that edit come last, so that none of the others sees their builds.
    return sorted(found, key=lambda name: " file=" in (ROOT / name).read_text())


def play(report, page, target):
    """The blocks of a page, in their order."""
    text = (ROOT / page).read_text()
    found = blocks(text)
    edits = any(block.file for block in found)
    # One that edits has a tree for itself, and a build: cargo takes packages that differ in their place only for one.
    tree = Path(target) / "trees" / (page.replace("/", "-") if edits else "plain")
    if edits:
        forget(target)
    session = None
    try:
        for block in found:
            if block.language in SHELLS or (block.language == "" and any(line.startswith("$ ") for line in block.lines)):
                report.complain(f"{page}:{block.line}", "commands stand in a block of the language `console`, so that they run")
            elif (block.language == "console" and block.mark != "not run") or block.file:
                if session is None:
                    session = Session(ROOT, tree, target, postgres_user(text))
                    if servers(text) is not None:
                        session.start(servers(text))
                step(report, page, session, block)
            elif block.mark == "not run":
                if len(block.reason) < 10:
                    report.complain(f"{page}:{block.line}", "`not run` needs a reason")
                report.left += [f"{page}:{command.line}: {command.text} ({block.reason})" for command in commands(block)]
        if session:
            session.stop()
    except Failed as failed:
        report.complain(page, failed)
    finally:
        if session:
            session.end()


def forget(target):
    """Makes cargo build this package anew."""
    package = re.search(r'^name = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    for fingerprint in (Path(target) / "debug/.fingerprint").glob(f"{package}-*"):
        shutil.rmtree(fingerprint)


def step(report, page, session, block):
    """One block; a page ends with its first failure, since what follows builds on it."""
    if block.file:
        report.edits += 1
        place = block.line
        try:
            (session.edit if block.language == "diff" else session.write)(block.file, block.lines)
        except Failed as failed:
            raise Failed(f"line {place}: {failed}") from None
        return
    for command in commands(block):
        try:
            session.run(command, int(block.reason) if block.mark == "exit" else 0)
        except Failed as failed:
            raise Failed(f"line {command.line}: `{command.text}` {failed}") from None
        report.ran += 1


def subcommands():
    """What the program knows."""
    return set(re.findall(r"^  ([a-z]+) ", subprocess.run(["server", "--help"], capture_output=True, text=True, check=True).stdout, re.M))


def follow(report, page, known=None):
    """Links to files and headings; names of make targets, scripts and, where they are known, subcommands."""
    text = (ROOT / page).read_text()
    # A clone, whose pages the tests of crates/clone have checked, has the first only.
    makefiles = "".join((ROOT / name).read_text() for name in ("Makefile", "crates/chassis/engine.mk") if (ROOT / name).exists())
    targets = set(re.findall(r"^([a-z0-9-]+):", makefiles, re.M))
    for link in links(text):
        if re.match(r"[a-z]+:", link):
            continue
        report.links += 1
        file, _, anchor = link.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        if not path.exists():
            report.complain(page, f"links to {link}, which is not there")
        elif anchor and path.suffix == ".md" and anchor not in anchors(path.read_text()):
            report.complain(page, f"links to {link}, which has no such heading")
    for name in named(text):
        for target in re.findall(r"^(?:[A-Z_]+=\S+ )*make ((?:[a-z0-9-]+ ?)+)", name)[:1]:
            for each in target.split():
                if each not in targets:
                    report.complain(page, f"names `make {each}`, which is no target")
        if re.fullmatch(r"(template/)?scripts/[\w-]+", name) and not (ROOT / name).exists():
            report.complain(page, f"names {name}, which is not there")
        subcommand = SUBCOMMAND.match(name)
        if subcommand and known is not None and subcommand[1] not in known:
            report.complain(page, f"names `{name}`, which the program does not know ({sorted(known)})")


def main(target, *chosen):
    report, began, only_links = Report(), time.monotonic(), target == "--links"
    known = None if only_links else subcommands()
    for page in pages(chosen):
        start = time.monotonic()
        try:
            follow(report, page, known)
            if not only_links:
                play(report, page, target)
        except Wrong as wrong:
            report.complain(page, wrong)
        if time.monotonic() - start > 1:
            print(f"check-docs: {page} in {time.monotonic() - start:.0f} s")
    for command in report.left:
        print(f"check-docs: not run: {command}")
    if not chosen and (report.ran < 10 and not only_links or report.links < 50):
        report.complain("all pages", f"only {report.ran} commands and {report.links} links; is anything read?")
    print(f"docs: {report.ran} commands ran, {len(report.left)} not, {report.edits} edits, {report.links} links, "
          f"{len(report.wrong)} complaints, {time.monotonic() - began:.0f} s")  # fmt: skip
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

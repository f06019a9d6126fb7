"""Pages with one fault each, every one of which check.py has to find; and one without."""

import contextlib
import io
import sys
import tempfile
from pathlib import Path

import check
from check import Report
from markdown import Wrong

GOOD = """# A page

See [itself](#a-page), `make test`, `scripts/tools` and `server check`.

```console
$ echo 'two
> lines'; echo 12; echo "finished in 1.23s"
two
> lines
…2
finished in 9.99s
$ seq 5
1
...
5
```

<!-- exit: 3 -->
```console
$ exit 3
```

<!-- not run: needs the moon in the right phase -->
```console
$ rm -rf everything
```

```text file=made/by/a-page
first
last
```

```diff file=made/by/a-page
 first
+middle
 ...
-last
+end
```

```console
$ cat made/by/a-page
first
middle
end
```
"""
# What is wrong with a page, and what it says.
FAULTS = {
    "```console\n$ echo one\ntwo\n```": "says\none\nand not\ntwo",
    "```console\n$ echo one; echo two\none\n```": "says\none\ntwo",
    "```console\n$ seq 5\n1\n...\n6\n```": "and not",
    "```console\n$ false\n```": "exits with 1, not 0",
    "<!-- exit: 3 -->\n```console\n$ true\n```": "exits with 0, not 3",
    "```sh\nmake test\n```": "so that they run",
    "```\n$ make test\n```": "so that they run",
    "<!-- not run: no -->\n```console\n$ true\n```": "needs a reason",
    "<!-- not run -->\n```console\n$ true\n```": "needs a reason",
    "<!-- not run: a comment that stands too far away -->\n\nWords.\n\n```console\n$ false\n```": "exits with 1",
    "```console\noutput\n```": "begins with a command",
    "```console\n$ true": "without an end",
    "```diff file=README.md\n+new\n no such line\n```": "has this 0 times",
    "```diff file=no-such-file\n+new\n old\n```": "there is no no-such-file",
    "[a](no-such-page.md)": "is not there",
    "[a](#no-such-heading)": "no such heading",
    "`make no-such-target`": "is no target",
    "`scripts/no-such-script`": "is not there",
    "`server no-such-thing`": "does not know",
    "`cargo run -- no-such-thing`": "does not know",
}


def complaints(folder, text, target):
    page = Path(folder) / "page.md"
    page.write_text(text + "\n")
    report = Report()
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            check.follow(report, str(page), check.subcommands())
            check.play(report, str(page), target)
        except Wrong as wrong:
            report.complain("page", wrong)
    return report.wrong


def main(target):
    with tempfile.TemporaryDirectory() as folder:
        found = complaints(folder, GOOD, target)
        assert not found, f"the page without a fault: {found}"
        for text, says in FAULTS.items():
            found = complaints(folder, text, target)
            assert len(found) == 1 and says in found[0], f"{text!r}: {found}"
    print(f"docs: {len(FAULTS)} faults found")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

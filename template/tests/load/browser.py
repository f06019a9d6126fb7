"""Opens reports in a real browser: every plot is drawn and inside its frame, and the console is silent.

Usage: browser.py REPORT... [--failed REPORT...]; those after --failed have to say that the run failed.
"""

import json
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "crates/chassis/gate/load"))
sys.dont_write_bytecode = True

from fleet import Trouble, find, free_port, get, until

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--window-size=1000,1000",
]  # fmt: skip
ALWAYS = {"Rate", "Latency", "Phases", "In flight", "Connections", "Memory", "Refused so far", "Limit"}
# Replicas have these from their start, so a plot of them that lies on the floor shows nothing.
NEVER_ZERO = {"Rate", "Latency", "Connections", "Memory", "Limit"}

# Of each figure: how many shapes have a size, how far the highest line is above the floor, and the words that hang out.
LOOK = """
return [...document.querySelectorAll('figure')].map(figure => {
  const svg = figure.querySelector('svg'), frame = svg.getBoundingClientRect();
  const shapes = [...svg.querySelectorAll('path, rect')].map(shape => shape.getBoundingClientRect());
  const floor = Math.max(...[...svg.querySelectorAll('.grid')].map(line => line.getBoundingClientRect().bottom));
  const drawn = shapes.filter(box => box.width > 0 || box.height > 0);
  return {
    title: figure.querySelector('b').textContent,
    drawn: drawn.length,
    rise: floor - Math.min(...drawn.map(box => box.top)),
    clipped: [...svg.querySelectorAll('text')].filter(text => {
      const box = text.getBoundingClientRect();
      return box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1;
    }).map(text => text.textContent),
  };
});
"""


class Browser:
    """A headless Chromium behind its driver."""

    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = Path(folder) / "chromedriver.log"
        self.profile = Path(folder) / "profile"
        self.process = None

    def __enter__(self):
        with self.log.open("w") as log:
            self.process = subprocess.Popen([find("chromedriver"), f"--port={self.port}"], stdout=log, stderr=log)
        try:
            until("chromedriver answers", 20, lambda: get(f"{self.url}/status")[0] == 200)
            chrome = {"binary": find("chromium"), "args": [*ARGUMENTS, f"--user-data-dir={self.profile}"]}
            wanted = {"goog:chromeOptions": chrome, "goog:loggingPrefs": {"browser": "ALL"}}
            session = self.ask("/session", {"capabilities": {"alwaysMatch": wanted}})
        except BaseException:
            self.process.kill()
            raise
        self.session = f"/session/{session['sessionId']}"
        return self

    def __exit__(self, *_):
        try:
            self.ask(self.session, method="DELETE")
        finally:
            self.process.terminate()
            self.process.wait(timeout=20)

    def ask(self, path, body=None, method=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise Trouble(f"chromedriver: {error.read().decode()[:500]}") from None

    def open(self, path):
        """The figures of a page, its text, and what its console said."""
        self.ask(f"{self.session}/url", {"url": path.resolve().as_uri()})
        figures = self.ask(f"{self.session}/execute/sync", {"script": LOOK, "args": []})
        text = self.ask(f"{self.session}/execute/sync", {"script": "return document.body.innerText", "args": []})
        return figures, text, self.ask(f"{self.session}/se/log", {"type": "browser"})


def complaints(figures, text, console, failed):
    """What is wrong with one report."""
    titles = {figure["title"] for figure in figures}
    if ALWAYS - titles:
        yield f"no plot {', '.join(sorted(ALWAYS - titles))}"
    for figure in figures:
        if not figure["drawn"]:
            yield f"{figure['title']}: nothing is drawn"
        elif figure["title"] in NEVER_ZERO and figure["rise"] < 5:
            yield f"{figure['title']}: lies on the floor"
        if figure["clipped"]:
            yield f"{figure['title']}: words hang out of the picture: {figure['clipped']}"
    word = "failed" if failed else "passed"
    if f": {word}" not in text.splitlines()[0]:
        yield f"says {text.splitlines()[0]!r} and not {word}"
    yield from (f"console: {entry['message']}" for entry in console)


def main(arguments):
    at = arguments.index("--failed") if "--failed" in arguments else len(arguments)
    reports = [(path, False) for path in arguments[:at]] + [(path, True) for path in arguments[at + 1 :]]
    if not reports:
        sys.exit("browser: name the reports")
    wrong = 0
    # The driver leaves files of its own in the profile for a moment longer.
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as folder, Browser(folder) as browser:
        for path, failed in reports:
            figures, text, console = browser.open(Path(path))
            found = list(complaints(figures, text, console, failed))
            wrong += len(found)
            for complaint in found:
                print(f"browser: {path}: {complaint}", file=sys.stderr)
            print(f"browser: {Path(path).name}: {len(figures)} plots, {len(found)} complaints")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Trouble as trouble:
        sys.exit(f"browser: {trouble}")

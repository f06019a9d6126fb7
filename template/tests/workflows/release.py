"""scripts/release in a copy of the files that it reads: what it takes, what it refuses, and the chart that it packages."""

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n- Later.\n\n## [1.2.3] - 2030-01-02\n\n- A thing.\n\n## [1.2.2] - 2030-01-01\n\n- Older.\n"


def replace(file, pattern, text):
    changed, count = re.subn(pattern, text, file.read_text(), count=1, flags=re.M)
    assert count == 1, f"{file}: no {pattern}"
    file.write_text(changed)


class Copy:
    """A tree whose version is 1.2.3."""

    def __init__(self, folder):
        self.folder = Path(folder)
        (self.folder / "scripts").mkdir()
        shutil.copy(ROOT / "scripts/release", self.folder / "scripts")
        shutil.copy(ROOT / "Cargo.toml", self.folder)
        shutil.copytree(ROOT / "helm", self.folder / "helm")
        (self.folder / "CHANGELOG.md").write_text(CHANGELOG)
        replace(self.folder / "Cargo.toml", r'^version = ".*"', 'version = "1.2.3"')
        replace(self.folder / "helm/Chart.yaml", r"^appVersion: .*", 'appVersion: "1.2.3"')

    def release(self, *arguments):
        command = [self.folder / "scripts/release", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def takes(self, *arguments):
        run = self.release(*arguments)
        assert run.returncode == 0, f"release {arguments}: {run.stderr}"
        return run.stdout

    def refuses(self, says, *arguments):
        run = self.release(*arguments)
        assert run.returncode and says in run.stderr, f"release {arguments}: {run.returncode}, {run.stderr!r}"


def versions(copy):
    copy.takes("check", "v1.2.3")
    assert copy.takes("notes", "v1.2.3").strip() == "- A thing."
    copy.refuses("Cargo.toml has version '1.2.3'", "check", "v1.2.4")
    for tag in ("1.2.3", "v1.2", "v1.2.3 ", "v1.2.3;true"):
        copy.refuses("is not v and a version", "check", tag)
    copy.refuses("nothing under '## [1.2]'", "notes", "v1.2")
    copy.refuses("release check TAG", "check")


def disagreements(copy):
    replace(copy.folder / "helm/Chart.yaml", r"^appVersion: .*", 'appVersion: "1.2.2"')
    copy.refuses("appVersion '1.2.2'", "check", "v1.2.3")
    replace(copy.folder / "helm/Chart.yaml", r"^appVersion: .*", 'appVersion: "1.2.3"')
    replace(copy.folder / "CHANGELOG.md", r"^- A thing\.\n", "")
    copy.refuses("CHANGELOG.md has nothing under", "check", "v1.2.3")


def chart(copy):
    copy.takes("chart", "v1.2.3", "registry.example/team/orders", str(copy.folder / "out"))
    [package] = (copy.folder / "out").iterdir()
    with tarfile.open(package) as packed:
        [values] = [name for name in packed.getnames() if name.count("/") == 1 and name.endswith("/values.yaml")]
        values = yaml.safe_load(packed.extractfile(values).read())
        [described] = [name for name in packed.getnames() if name.count("/") == 1 and name.endswith("/Chart.yaml")]
        described = yaml.safe_load(packed.extractfile(described).read())
    assert values["image"] == {**values["image"], "repository": "registry.example/team/orders", "tag": ""}, values["image"]
    assert (described["version"], described["appVersion"]) == ("1.2.3", "1.2.3"), described


def main():
    for test in (versions, chart, disagreements):
        with tempfile.TemporaryDirectory() as folder:
            test(Copy(folder))
    print("release: 3 tests")


if __name__ == "__main__":
    sys.exit(main())

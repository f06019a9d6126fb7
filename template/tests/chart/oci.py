"""The chart as people get it: packaged, pushed to an OCI registry, and rendered from there.

The registry is a real one (`docker-registry` of Debian) on a loopback port, with its data in a folder that goes again.
"""

import hashlib
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import chart
import yaml

CONFIG = "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {folder}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=5).status == 200
    except OSError:
        return False


class Registry:
    """A registry for as long as the `with` lasts."""

    def __init__(self, folder):
        self.port = free_port()
        config = folder / "registry.yaml"
        config.write_text(CONFIG.format(folder=folder / "registry", port=self.port))
        program = shutil.which("docker-registry") or sys.exit("oci: docker-registry is missing; run: make tools")
        self.process = subprocess.Popen([program, "serve", str(config)], stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        deadline = time.monotonic() + 30
        while not answers(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"oci: the registry does not answer: {self.process.communicate(timeout=5)[1]}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()


def helm(*arguments):
    run = subprocess.run(["helm", *map(str, arguments)], capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(f"oci: helm {arguments[0]}: {run.stderr}")
    return run


def rendered(*source):
    return chart.documents(helm("template", "demo", *source).stdout)


def check(folder):
    """What is wrong; nothing where the chart from the registry is the chart."""
    described = yaml.safe_load((chart.ROOT / "helm/Chart.yaml").read_text())
    name, version = described["name"], described["version"]
    helm("package", chart.ROOT / "helm", "--destination", folder)
    package = folder / f"{name}-{version}.tgz"
    with Registry(folder) as registry:
        repository = f"oci://127.0.0.1:{registry.port}/charts"
        pushed = helm("push", package, repository, "--plain-http")
        digest = re.search(r"sha256:[0-9a-f]{64}", pushed.stdout + pushed.stderr)
        if not digest:
            yield f"helm push names no digest: {pushed}"
        source = [f"{repository}/{name}", "--version", version, "--plain-http"]
        (folder / "pulled").mkdir()
        helm("pull", *source, "--destination", folder / "pulled")
        pulled = folder / "pulled" / package.name
        if hashlib.sha256(pulled.read_bytes()).digest() != hashlib.sha256(package.read_bytes()).digest():
            yield "the chart that is pulled is another than the one pushed"
        for values in sorted((chart.ROOT / "helm/environments").glob("*.yaml")):
            if rendered(*source, "--values", values) != rendered(chart.ROOT / "helm", "--values", values):
                yield f"rendered from the registry, {values.stem} differs from the working tree"
        if digest:
            if rendered(f"{repository}/{name}@{digest.group()}", "--plain-http") != rendered(chart.ROOT / "helm"):
                yield "rendered by its digest, the chart differs from the working tree"
        notes = helm("install", "demo", *source, "--dry-run=client").stdout
        if "NOTES:" not in notes:
            yield f"an installation from the registry shows no notes: {notes[-300:]}"
        with urllib.request.urlopen(f"http://127.0.0.1:{registry.port}/v2/charts/{name}/tags/list") as tags:
            if json.load(tags)["tags"] != [version]:
                yield "the registry has other tags than the chart's version"


def main():
    folder = Path(tempfile.mkdtemp(prefix="oci-"))
    try:
        complaints = list(check(folder))
    finally:
        shutil.rmtree(folder)
    for complaint in complaints:
        print(f"oci: {complaint}", file=sys.stderr)
    print(f"oci: pushed, pulled and rendered, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())

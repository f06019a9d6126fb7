"""Pods of two revisions in mid-rollout, as processes with the files that their rendered Deployment lays out.

Two programs whose settings differ stand for two versions of a service: `server`, and an example on the same chassis that
has no settings of its own. In both orders each pod has to start: the old ones, the new ones, an old one that restarts when
the new revision's overlay is there already, and after a rollback. What would go wrong without the settings in the pod
template is shown too: the old program refuses the new settings.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import chart
import yaml

TARGET = chart.ROOT / "target/debug"
PROGRAMS = {"server": TARGET / "server", "example": TARGET / "streams"}
# A setting that only one of the programs knows.
OWN = {"config": {"app": {"cors_origins": ["https://shop.example"]}}}
OVERLAY = {"overlay": {"values": {"overload": {"max_in_flight": 100}}}}
# What a later version of the service might add to the overlay.
LATER = {"overload": {"max_in_flight": 100, "of_a_later_version": 1}}


class Revision:
    """What one `helm upgrade` renders, and the program that its image would have."""

    def __init__(self, program, values):
        code, text, error = chart.template(chart.ROOT / "helm", values)
        if code:
            sys.exit(f"rollout: {error}")
        objects = chart.documents(text)
        self.program = PROGRAMS[program]
        self.template = chart.only(objects, "Deployment")[0]["spec"]["template"]
        overlays = [item for item in chart.only(objects, "ConfigMap") if "overlay.yaml" in item["data"]]
        self.overlay = overlays[0]["data"]["overlay.yaml"] if overlays else None


def lay_out(revision, overlay, folder):
    """The container's files below `folder`, and its arguments, which name them there."""
    [container] = [item for item in revision.template["spec"]["containers"] if item["name"] == "server"]
    volumes = {volume["name"]: volume for volume in revision.template["spec"]["volumes"]}
    arguments = list(container["args"])
    for mount in container["volumeMounts"]:
        place = folder / mount["name"]
        place.mkdir()
        arguments = [argument.replace(mount["mountPath"] + "/", f"{place}/") for argument in arguments]
        volume = volumes[mount["name"]]
        for item in volume.get("downwardAPI", {}).get("items", []):
            annotation = re.fullmatch(r"metadata\.annotations\['(.*)'\]", item["fieldRef"]["fieldPath"]).group(1)
            (place / item["path"]).write_text(revision.template["metadata"]["annotations"][annotation])
        if "configMap" in volume and overlay is not None:
            (place / "overlay.yaml").write_text(overlay)
    return arguments


def pod(revision, overlay):
    """Starts a pod and ends it; its exit code, whether it was ready, and its log."""
    with tempfile.TemporaryDirectory(prefix="pod-") as folder:
        arguments = lay_out(revision, overlay, Path(folder))
        environment = {"APP__SERVER__LISTEN": "http://127.0.0.1:0", "APP__ADMIN__LISTEN": "127.0.0.1:0"}
        log = Path(folder) / "log"
        with log.open("w") as file:
            process = subprocess.Popen([revision.program, *arguments], env=environment, stdout=file, stderr=file)
        ready = becomes_ready(process, log)
        # SIGINT: without the delay for endpoints.
        process.send_signal(2)
        return process.wait(timeout=60), ready, log.read_text()


def becomes_ready(process, log):
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        admin = re.search(r'"listener":"admin","url":"(http://[^"]+)"', log.read_text())
        try:
            if admin and urllib.request.urlopen(f"{admin.group(1)}/readyz", timeout=5).status == 200:
                return True
        except OSError:
            pass
        time.sleep(0.02)
    return False


def starts(name, revision, overlay, noted=None):
    code, ready, log = pod(revision, overlay)
    if not ready or code != 0:
        yield f"{name}: ready {ready}, exit code {code}: {log[-500:]}"
    if noted and noted not in log:
        yield f"{name}: its log does not say {noted!r}"


def rollout(old, new):
    """All pods of a rollout from `old` to `new` and back; the overlay is shared, the settings are not."""
    later = yaml.safe_dump(LATER)
    yield from starts("old", old, old.overlay)
    yield from starts("new", new, new.overlay)
    yield from starts("old, restarted in mid-rollout", old, new.overlay)
    yield from starts("old, with a later overlay", old, later, "overlay ignored: overload.of_a_later_version")
    yield from starts("old, after the rollback", old, old.overlay)


def main():
    for program in PROGRAMS.values():
        if not os.access(program, os.X_OK):
            sys.exit(f"rollout: there is no {program.relative_to(chart.ROOT)}; run: cargo build --package chassis-tests --bins")
    plain, own = Revision("example", {}), Revision("server", {**OWN, **OVERLAY})
    complaints = [f"the key comes: {text}" for text in rollout(plain, own)]
    complaints += [f"the key goes: {text}" for text in rollout(own, plain)]
    mixed = Revision("example", OWN)
    code, _, log = pod(mixed, None)
    if code != 78 or "app.cors_origins: unknown key" not in log:
        complaints.append(f"an old program takes a new key: exit code {code}: {log}")
    for complaint in complaints:
        print(f"rollout: {complaint}", file=sys.stderr)
    print(f"rollout: 11 pods of two revisions in both orders, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())

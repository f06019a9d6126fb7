// Checks custom resources by the models of their projects. Standard input: [[name, object], …]; output: [[name, complaint], …].
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [modules] = process.argv.slice(2);
// The package that brings the models of a group.
const packages = {
  "gateway.networking.k8s.io": "gateway-api",
  "monitoring.coreos.com": "prometheus-operator",
  "keda.sh": "keda",
  "cert-manager.io": "cert-manager",
  "argoproj.io": "argo-rollouts",
};

async function model({ apiVersion, kind }) {
  const [group] = apiVersion.split("/");
  const file = `${modules}/@kubernetes-models/${packages[group]}/${apiVersion}/${kind}.js`;
  return (await import(pathToFileURL(file)))[kind];
}

// A view of `value` that notes which of its fields are read: a validator never asks for a field that it does not know.
function watched(value, path, unread) {
  if (value === null || typeof value !== "object") return value;
  const inner = new Map();
  for (const key of Object.keys(value)) {
    inner.set(key, watched(value[key], `${path}.${key}`, unread));
    if (!Array.isArray(value)) unread.add(`${path}.${key}`);
  }
  return new Proxy(value, {
    get(target, key) {
      unread.delete(`${path}.${String(key)}`);
      return inner.has(key) ? inner.get(key) : target[key];
    },
  });
}

const complaints = [];
for (const [name, object] of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    const fields = await model(object);
    new fields(object).validate();
    const unread = new Set();
    fields.prototype.validate.call(watched(object, "", unread));
    for (const path of unread) complaints.push([name, `${object.kind}: unknown field ${path.slice(1)}`]);
  } catch (error) {
    complaints.push([name, `${object.kind}: ${error.message}`]);
  }
}
console.log(JSON.stringify(complaints));

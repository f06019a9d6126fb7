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
};

async function model({ apiVersion, kind }) {
  const [group] = apiVersion.split("/");
  const file = `${modules}/@kubernetes-models/${packages[group]}/${apiVersion}/${kind}.js`;
  return (await import(pathToFileURL(file)))[kind];
}

const complaints = [];
for (const [name, object] of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    new (await model(object))(object).validate();
  } catch (error) {
    complaints.push([name, `${object.kind}: ${error.message}`]);
  }
}
console.log(JSON.stringify(complaints));

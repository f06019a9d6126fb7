// Shows an OpenAPI 3.1 document, and sends requests. All text is inserted as text: nothing of the document is HTML.
"use strict";

const METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
// The document.
let api;
// The keys that the reader typed, by scheme: in memory only, so they are gone with the page.
const keys = new Map();

// An element; `parts` are elements, texts, or nothing.
function make(name, attributes = {}, ...parts) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...parts.flat().filter((part) => part !== undefined && part !== null && part !== "" && part !== false));
  return element;
}

const find = (id) => document.getElementById(id);

// The target of a reference, overridden by keys beside it.
function resolve(node) {
  let depth = 0;
  while (node && typeof node === "object" && typeof node.$ref === "string" && depth++ < 16) {
    const { $ref, ...beside } = node;
    if (!$ref.startsWith("#/")) return beside;
    const steps = $ref.slice(2).split("/").map((step) => decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~"));
    node = { ...steps.reduce((at, step) => at?.[step], api), ...beside };
  }
  return node;
}

// A schema without references and `allOf` at its top.
function flat(schema) {
  if (typeof schema === "boolean" || !schema) return {};
  const { allOf, ...own } = resolve(schema);
  if (!allOf) return own;
  return allOf.map(flat).reduce((all, part) => ({
    ...all, ...part,
    properties: merge(all.properties, part.properties),
    required: [...(all.required ?? []), ...(part.required ?? [])],
  }), own);
}

// Merges properties that both have.
function merge(a = {}, b = {}) {
  const all = { ...a };
  for (const [name, schema] of Object.entries(b)) all[name] = name in a ? { ...flat(a[name]), ...flat(schema) } : schema;
  return all;
}

const choices = (schema) => schema.oneOf ?? schema.anyOf ?? [];
const types = (schema) => [schema.type ?? []].flat();
const named = (schema) => schema?.$ref?.split("/").pop();

// A schema's type in a few words.
function kind(raw, depth = 0) {
  const schema = flat(raw);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const other = choices(schema);
  if (other.length) return depth > 3 ? "…" : other.map((choice) => kind(choice, depth + 1)).join(" | ");
  const words = types(schema).map((type) => {
    if (type === "array") return `array of ${schema.items ? kind(schema.items, depth + 1) : "any"}`;
    if (type === "object" && depth > 0 && named(raw)) return named(raw);
    return type;
  });
  return words.join(" | ") || "any";
}

// The constraints of a value, as text.
function bounds(schema) {
  const words = [];
  const { minimum, maximum, minLength, maxLength, minItems, maxItems, pattern, default: usual, format } = schema;
  if (schema.exclusiveMinimum !== undefined) words.push(`above ${schema.exclusiveMinimum}`);
  if (schema.exclusiveMaximum !== undefined) words.push(`below ${schema.exclusiveMaximum}`);
  if (schema.multipleOf !== undefined) words.push(`a multiple of ${schema.multipleOf}`);
  if (schema.uniqueItems) words.push("no item twice");
  if (minimum !== undefined || maximum !== undefined) words.push(`${minimum ?? "…"} to ${maximum ?? "…"}`);
  if (minLength !== undefined || maxLength !== undefined) words.push(`length ${minLength ?? 0} to ${maxLength ?? "…"}`);
  if (minItems !== undefined || maxItems !== undefined) words.push(`${minItems ?? 0} to ${maxItems ?? "…"} items`);
  if (pattern) words.push(`matches ${pattern}`);
  if (format && !/^u?int\d+$/.test(format)) words.push(format);
  if (usual !== undefined) words.push(`default ${JSON.stringify(usual)}`);
  return words.join(", ");
}

// Markdown, as far as descriptions use it: paragraphs, lists, code, links.
function words(text) {
  if (!text) return null;
  const blocks = text.split(/\n\s*\n/).map((block) => {
    const lines = block.split("\n");
    if (lines.every((line) => /^[-*] /.test(line))) return make("ul", {}, lines.map((line) => make("li", {}, inline(line.slice(2)))));
    return make("p", {}, inline(lines.join(" ")));
  });
  return make("div", { class: "words" }, blocks);
}

function inline(text) {
  return text.split(/(`[^`]+`|\[[^\]]+\]\(https?:[^)\s]+\))/).map((part) => {
    const link = /^\[([^\]]+)\]\((.+)\)$/.exec(part);
    if (link) return make("a", { href: link[2] }, link[1]);
    return part.startsWith("`") && part.length > 2 ? make("code", {}, part.slice(1, -1)) : part;
  });
}

// A name, its type, and what is below it.
function entry(name, raw, needed, seen) {
  const schema = flat(raw);
  const limits = bounds(schema);
  // A constant has only its name.
  const type = schema.const === undefined ? kind(raw, 1) + (limits ? `, ${limits}` : "") : "";
  const term = make("dt", {}, make("code", {}, name), make("span", { class: "faint" }, type));
  if (needed) term.append(make("span", { class: "needed" }, "required"));
  return [term, make("dd", {}, words(schema.description), tree(raw, seen))];
}

// The content of a schema, below its own line.
function tree(raw, seen = []) {
  const schema = flat(raw);
  const name = named(raw);
  if (name && seen.includes(name)) return null;
  const inside = name ? [...seen, name] : seen;
  const parts = [];
  for (const choice of choices(schema)) {
    const option = flat(choice);
    if (option.const !== undefined && option.description) parts.push(entry(String(option.const), { description: option.description, const: option.const }, false, inside));
    else if (types(option).includes("object")) parts.push(tree(choice, inside));
  }
  for (const [property, value] of Object.entries(schema.properties ?? {})) {
    parts.push(entry(property, value, schema.required?.includes(property), inside));
  }
  for (const [pattern, value] of Object.entries(schema.patternProperties ?? {})) parts.push(entry(`/${pattern}/`, value, false, inside));
  if (schema.additionalProperties && typeof schema.additionalProperties === "object") parts.push(entry("*", schema.additionalProperties, false, inside));
  if (schema.items) parts.push(tree(schema.items, inside));
  const found = parts.flat().filter(Boolean);
  return found.length ? make("dl", {}, found) : null;
}

// A value that fits a schema.
function example(raw, depth = 0) {
  const schema = flat(raw);
  if (schema.examples?.length) return schema.examples[0];
  for (const known of [schema.example, schema.default, schema.const, schema.enum?.[0]]) if (known !== undefined) return known;
  if (depth > 8) return null;
  if (choices(schema).length) return example(choices(schema)[0], depth + 1);
  switch (types(schema)[0]) {
    case "object": return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, value]) => [name, example(value, depth + 1)]));
    case "array": return schema.items ? [example(schema.items, depth + 1)] : [];
    case "integer": case "number": return typeof schema.minimum === "number" ? schema.minimum : 0;
    case "boolean": return false;
    case "string": return "";
    default: return null;
  }
}

const pretty = (value) => JSON.stringify(value, null, 2);

function response(status, raw) {
  const answer = resolve(raw);
  const [first, ...rest] = (answer.description ?? "").split("\n\n");
  const parts = [words(rest.join("\n\n"))];
  const headers = Object.entries(answer.headers ?? {});
  if (headers.length) parts.push(make("h3", {}, "Headers"), make("dl", {}, headers.flatMap(([name, header]) => {
    const { schema, description } = resolve(header);
    return entry(name, { ...flat(schema), description }, false, []);
  })));
  for (const [type, { schema, examples }] of Object.entries(answer.content ?? {})) {
    parts.push(make("h3", {}, type, make("span", { class: "faint" }, ` ${named(schema) ?? kind(schema)}`)), tree(schema));
    for (const [name, { value }] of Object.entries(examples ?? {})) {
      parts.push(make("details", {}, make("summary", {}, "Example: ", make("code", {}, name)), make("pre", {}, pretty(value))));
    }
  }
  return make("details", {}, make("summary", {}, make("b", {}, status), first), parts.filter(Boolean));
}

function parameters(list) {
  if (!list.length) return null;
  return [make("h3", {}, "Parameters"), make("dl", {}, list.flatMap(({ name, in: place, schema, description, required }) => {
    const [term, detail] = entry(name, { ...flat(schema), description }, required, []);
    term.append(make("span", { class: "faint" }, `in ${place}`));
    return [term, detail];
  }))];
}

function requestBody(body) {
  if (!body) return null;
  return Object.entries(body.content ?? {}).flatMap(([type, { schema }]) => [
    make("h3", {}, "Body", make("span", { class: "faint" }, ` ${type} ${named(schema) ?? ""}`)),
    words(flat(schema).description), tree(schema),
  ]);
}

// A form that sends the request, and the response.
function attempt(method, path, list, body, security) {
  const form = make("form", { autocomplete: "off" });
  const inputs = list.map((parameter) => {
    const input = make("input", { name: parameter.name, spellcheck: "false" });
    const usual = flat(parameter.schema).default;
    if (usual !== undefined) input.placeholder = String(usual);
    if (parameter.required) input.required = true;
    form.append(make("label", {}, `${parameter.name} (${parameter.in})`, input));
    return { ...parameter, input };
  });
  const [type, content] = Object.entries(body?.content ?? {})[0] ?? [];
  const text = type && make("textarea", { name: "body", spellcheck: "false" });
  if (text) {
    const value = content.schema ? example(content.schema) : "";
    text.value = typeof value === "string" ? value : pretty(value);
    form.append(make("label", {}, `body (${type})`, text));
  }
  const button = make("button", { type: "submit" }, "Send");
  const answer = make("div", { class: "answer", "aria-live": "polite" });
  form.append(button, answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    answer.replaceChildren(...await send(method, path, inputs, type, text?.value, security));
    button.disabled = false;
  });
  return make("details", { class: "try" }, make("summary", {}, "Try it"), form);
}

// A field for each key; a cookie is sent by the browser itself.
function keyFields(schemes) {
  const fields = Object.entries(schemes).filter(([, scheme]) => resolve(scheme).in !== "cookie" && resolve(scheme).type !== "mutualTLS").map(([name, raw]) => {
    const scheme = resolve(raw);
    const place = scheme.type === "apiKey" ? `${scheme.name}, in ${scheme.in}` : scheme.scheme === "basic" ? "user:password" : scheme.scheme ?? scheme.type;
    const input = make("input", { type: "password", name, autocomplete: "off", spellcheck: "false" });
    input.addEventListener("input", () => keys.set(name, input.value));
    return make("label", {}, `${name} (${place})`, input);
  });
  const form = find("keys");
  form.replaceChildren(...fields);
  form.hidden = fields.length === 0;
  form.addEventListener("submit", (event) => event.preventDefault());
}

// Adds the keys that an operation needs, as far as they were typed.
function prove(security, headers, query) {
  for (const name of (security ?? []).flatMap(Object.keys)) {
    const { type, scheme, in: place, name: parameter } = resolve(api.components.securitySchemes[name]);
    const key = keys.get(name);
    if (!key) continue;
    if (type === "http") headers.authorization = scheme === "basic" ? `Basic ${btoa(key)}` : `Bearer ${key}`;
    if (place === "header") headers[parameter] = key;
    if (place === "query") query.append(parameter, key);
  }
}

async function send(method, path, inputs, type, text, security) {
  const query = new URLSearchParams();
  const headers = text === undefined ? {} : { "content-type": type };
  let target = path;
  for (const { name, in: place, schema, input } of inputs) {
    if (place === "path") target = target.replace(`{${name}}`, encodeURIComponent(input.value));
    if (input.value === "") continue;
    const values = types(flat(schema)).includes("array") ? input.value.split(",") : [input.value];
    if (place === "query") values.forEach((value) => query.append(name, value));
    if (place === "header") headers[name] = input.value;
  }
  prove(security, headers, query);
  const begun = performance.now();
  try {
    const found = await fetch(`.${target}${query.size ? `?${query}` : ""}`, { method: method.toUpperCase(), headers, body: text, cache: "no-store" });
    const body = await found.text();
    const took = Math.round(performance.now() - begun);
    const lines = [...found.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    const status = make("p", {}, make("b", { class: found.ok ? "post" : "failed" }, `${found.status} ${found.statusText}`), make("span", { class: "faint" }, `${took} ms`));
    return [status, make("pre", {}, lines), body && make("pre", {}, readable(body))].filter(Boolean);
  } catch (error) {
    return [make("p", { class: "failed" }, `No response: ${error.message}`)];
  }
}

function readable(body) {
  try {
    return pretty(JSON.parse(body));
  } catch {
    return body.length > 20000 ? `${body.slice(0, 20000)}…` : body;
  }
}

function operation(method, path, raw, common) {
  const list = [...common, ...(raw.parameters ?? [])].map(resolve);
  const body = resolve(raw.requestBody);
  const id = raw.operationId ?? `${method}${path}`;
  const security = raw.security ?? api.security;
  const needed = (security ?? []).map((schemes) => Object.keys(schemes).join(" and "));
  return make("article", { id, "data-words": `${method} ${path} ${raw.summary ?? ""}`.toLowerCase() },
    make("h2", {}, make("span", { class: `method ${method}` }, method), make("a", { class: "path", href: `#${id}` }, path)),
    raw.summary && make("p", {}, raw.summary), words(raw.description),
    needed.length > 0 && make("p", { class: "faint" }, `Needs ${needed.join(", or ")}.`),
    parameters(list), requestBody(body), attempt(method, path, list, body, security),
    make("h3", {}, "Answers"), answers(raw.responses ?? {}));
}

// The responses; those shared by all operations are grouped below the others.
function answers(responses) {
  const all = Object.entries(responses);
  const common = all.filter(([status, { $ref }]) => $ref && shared.get(status) === operations().length);
  const own = all.filter((entry) => !common.includes(entry)).map(([status, answer]) => response(status, answer));
  if (common.length < 2) return all.map(([status, answer]) => response(status, answer));
  const statuses = common.map(([status]) => status).join(", ");
  const line = make("summary", {}, "As every operation: ", make("span", { class: "faint" }, statuses));
  return [...own, make("details", {}, line, common.map(([status, answer]) => response(status, answer)))];
}

// Number of operations with a response of each status.
const shared = new Map();

const operations = () => Object.values(api.paths).flatMap((item) => METHODS.flatMap((method) => item[method] ?? []));

function show() {
  const { title, version, description } = api.info;
  document.title = title;
  find("title").textContent = title;
  find("version").textContent = version;
  find("description").replaceChildren(words(description) ?? "");
  keyFields(api.components?.securitySchemes ?? {});
  shared.clear();
  for (const { responses } of operations()) {
    for (const status of Object.keys(responses ?? {})) shared.set(status, (shared.get(status) ?? 0) + 1);
  }
  const articles = [];
  const links = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((method) => item[method])) {
      const article = operation(method, path, item[method], item.parameters ?? []);
      const link = make("a", { href: `#${article.id}` }, make("span", { class: `method ${method}` }, method), make("span", { class: "path" }, path));
      articles.push(article);
      links.set(article, make("li", {}, link));
    }
  }
  find("operations").replaceChildren(...articles);
  find("index").replaceChildren(...links.values());
  find("filter").addEventListener("input", ({ target }) => {
    const wanted = target.value.trim().toLowerCase().split(/\s+/);
    for (const [article, item] of links) article.hidden = item.hidden = !wanted.every((word) => article.dataset.words.includes(word));
  });
  if (location.hash) find(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

// JavaScript's numbers are exact up to 2⁵³: longer bounds stay text, so that they print as they are.
const exact = (text) => text.replace(/("(?:minimum|maximum|exclusiveMinimum|exclusiveMaximum)":\s*)(-?\d{16,})(?=\s*[,}])/g, '$1"$2"');

async function load() {
  try {
    const answer = await fetch("openapi.json");
    if (!answer.ok) throw new Error(`openapi.json returned ${answer.status}`);
    api = JSON.parse(exact(await answer.text()));
    show();
    document.documentElement.dataset.state = "shown";
  } catch (error) {
    find("operations").replaceChildren(make("p", { class: "failed" }, `The document cannot be shown: ${error.message}`));
    document.documentElement.dataset.state = "failed";
  }
}

load();

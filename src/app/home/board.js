// Requests /whoami at a steady rate, and shows which replica responds.
"use strict";

// Time windows of shares and latencies, and of the drawings, in milliseconds.
const WINDOW = 30_000;
const DRAWN = 60_000;
// A replica without a response for this long is gone; it is removed from the table after the second time.
const GONE = 5_000;
const FORGOTTEN = 60_000;
// A slower response is a failure.
const PATIENCE = 5_000;
const COLOURS = 8;
const EVENTS = 100;

const find = (id) => document.getElementById(id);
let replicas, asked, samples, failures, totals;

function reset() {
  replicas = new Map();
  asked = 0;
  samples = [];
  failures = [];
  totals = { answers: 0, failed: 0 };
  find("events").replaceChildren();
  find("replicas").replaceChildren();
  show();
}

async function ask() {
  const begun = performance.now();
  try {
    const answer = await fetch("whoami", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    seen(await answer.json(), performance.now(), performance.now() - begun);
  } catch (error) {
    totals.failed++;
    failures.push(performance.now());
    tell(`A request failed: ${error.message}`);
  }
}

// Processes a response, and logs changes of its replica.
function seen({ replica, zone, version, uptime_seconds: up, phase }, now, took) {
  totals.answers++;
  samples.push({ replica, at: now, took });
  const known = replicas.get(replica);
  if (!known) {
    replicas.set(replica, { colour: asked++ % COLOURS, zone, version, up, phase, last: now });
    return tell(`${replica} answers`);
  }
  if (up < known.up) tell(`${replica} restarted`);
  else if (known.phase === "gone") tell(`${replica} is back`);
  if (version !== known.version) tell(`${replica} is now version ${version}`);
  if (phase === "draining" && known.phase !== "draining") tell(`${replica} drains`);
  Object.assign(known, { zone, version, up, phase, last: now });
}

// Adds an event; a repeated one only increments its count.
function tell(text) {
  const list = find("events");
  const newest = list.firstChild;
  if (newest?.dataset.text === text) {
    const times = Number(newest.dataset.times ?? 1) + 1;
    newest.dataset.times = times;
    newest.lastChild.textContent = `${text} (${times} times)`;
    return;
  }
  const now = new Date();
  const time = document.createElement("time");
  time.dateTime = now.toISOString();
  time.textContent = now.toLocaleTimeString([], { hour12: false });
  const item = document.createElement("li");
  item.dataset.text = text;
  item.append(time, text);
  list.prepend(item);
  while (list.children.length > EVENTS) list.lastChild.remove();
}

// Drops old data, and detects replicas that are gone.
function forget(now) {
  samples = samples.filter(({ at }) => now - at < DRAWN);
  failures = failures.filter((at) => now - at < DRAWN);
  // Only if others still respond: otherwise the connection to all of them may be down.
  const heard = Math.max(0, ...[...replicas.values()].map(({ last }) => last));
  for (const [name, known] of replicas) {
    if (known.phase !== "gone" && heard - known.last > GONE) {
      known.phase = "gone";
      tell(`${name} is gone`);
    }
    if (heard - known.last > FORGOTTEN) {
      replicas.delete(name);
      rows.get(name)?.remove();
      rows.delete(name);
    }
  }
}

const rows = new Map();

function percentile(sorted, share) {
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] : undefined;
}

function milliseconds(value) {
  if (value === undefined) return "–";
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}

function duration(seconds) {
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
}

const sorted = (list) => list.map(({ took }) => took).sort((a, b) => a - b);

function show() {
  const now = performance.now();
  forget(now);
  const recent = samples.filter(({ at }) => now - at < WINDOW);
  const all = sorted(recent);
  find("present").textContent = [...replicas.values()].filter(({ phase }) => phase !== "gone").length;
  find("answers").textContent = totals.answers;
  find("failed").textContent = totals.failed;
  find("failed").classList.toggle("failing", totals.failed > 0);
  find("median").textContent = milliseconds(percentile(all, 0.5));
  find("p95").textContent = milliseconds(percentile(all, 0.95));
  for (const [name, known] of replicas) fill(row(name, known), known, recent.filter(({ replica }) => replica === name), recent.length);
  drawShares(now);
  drawLatency(now);
}

// The row of a replica, created when it is first seen; rows are sorted by name.
function row(name, { colour }) {
  const found = rows.get(name);
  if (found?.isConnected) return found;
  const made = document.createElement("tr");
  made.dataset.replica = name;
  for (const [part, label] of [["name", ""], ["state", ""], ["share", ""], ["count", "answers"], ["median", "median"], ["p95", "p95"], ["up", "up"]]) {
    const cell = document.createElement("td");
    cell.className = label ? `number ${part}` : part;
    if (label) cell.dataset.label = label;
    made.append(cell);
  }
  const title = document.createElement("span");
  title.textContent = name;
  made.querySelector(".name").append(title, document.createElement("small"));
  made.querySelector(".state").append(document.createElement("span"));
  const bar = document.createElement("div");
  bar.className = "bar";
  bar.append(document.createElement("i"), document.createElement("span"));
  made.querySelector(".share").append(bar);
  for (const part of [".name", ".bar"]) made.querySelector(part).classList.add(`c${colour}`);
  const body = find("replicas");
  const after = [...body.children].find((other) => other.dataset.replica.localeCompare(name, [], { numeric: true }) > 0);
  body.insertBefore(made, after ?? null);
  rows.set(name, made);
  return made;
}

function fill(made, known, own, all) {
  const share = all ? own.length / all : 0;
  const took = sorted(own);
  const text = (part, value) => { made.querySelector(part).textContent = value; };
  made.classList.toggle("away", known.phase === "gone");
  text(".name small", [known.zone, known.version].filter(Boolean).join(" "));
  text(".state span", known.phase);
  made.querySelector(".state span").className = `phase ${known.phase}`;
  made.querySelector(".bar i").style.width = `${share * 70}%`;
  text(".bar span", `${Math.round(share * 100)} %`);
  text(".count", own.length);
  text(".median", milliseconds(percentile(took, 0.5)));
  text(".p95", milliseconds(percentile(took, 0.95)));
  text(".up", known.phase === "gone" ? "–" : duration(known.up));
}

// A canvas at the screen's own resolution, cleared.
function pen(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = window.devicePixelRatio || 1;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const drawing = canvas.getContext("2d");
  drawing.scale(scale, scale);
  drawing.font = "12px system-ui, sans-serif";
  return { drawing, width, height };
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return { of: (replica) => read(`--c${replicas.get(replica)?.colour ?? 7}`), bad: read("--bad"), faint: read("--faint"), line: read("--line") };
}

// A column per second, split by the replicas' shares.
function drawShares(now) {
  const { drawing, width, height } = pen(find("shares"));
  const colour = colours();
  const seconds = DRAWN / 1000;
  const column = width / seconds;
  const newest = Math.floor(now / 1000);
  const names = [...replicas.keys()].sort((a, b) => a.localeCompare(b, [], { numeric: true }));
  for (let back = 0; back < seconds; back++) {
    const within = ({ at }) => Math.floor(at / 1000) === newest - back;
    const own = samples.filter(within);
    const failed = failures.filter((at) => within({ at })).length;
    const all = own.length + failed;
    let top = height;
    const part = (count, fill) => {
      if (!count) return;
      const tall = (count / all) * height;
      top -= tall;
      drawing.fillStyle = fill;
      drawing.fillRect(width - (back + 1) * column, top, Math.max(1, column - 1), tall);
    };
    for (const name of names) part(own.filter(({ replica }) => replica === name).length, colour.of(name));
    part(failed, colour.bad);
  }
}

// A dot per response, a vertical line per failure. The scale is logarithmic.
function drawLatency(now) {
  const { drawing, width, height } = pen(find("latency"));
  const colour = colours();
  const across = (at) => width * (1 - (now - at) / DRAWN);
  const [least, most] = [0.5, Math.max(100, ...samples.map(({ took }) => took))];
  const down = (took) => height - 6 - (Math.log(Math.max(took, least) / least) / Math.log(most / least)) * (height - 22);
  for (const mark of [1, 10, 100, 1000].filter((mark) => mark <= most)) {
    drawing.fillStyle = colour.line;
    drawing.fillRect(0, Math.round(down(mark)), width, 1);
    drawing.fillStyle = colour.faint;
    drawing.fillText(`${mark} ms`, 6, down(mark) - 3);
  }
  for (const { replica, at, took } of samples) {
    drawing.fillStyle = colour.of(replica);
    drawing.fillRect(across(at) - 1.5, down(took) - 1.5, 3, 3);
  }
  drawing.fillStyle = colour.bad;
  for (const at of failures) drawing.fillRect(across(at) - 1, 0, 2, height);
}

let paused = false;
let latest = 0;
find("pause").addEventListener("click", ({ target }) => {
  paused = !paused;
  target.setAttribute("aria-pressed", paused);
  target.textContent = paused ? "Go on" : "Pause";
});
find("reset").addEventListener("click", reset);

// A hidden page sends no requests: its timers are slow, and it is not visible.
function beat() {
  if (!paused && !document.hidden) {
    const now = performance.now();
    // After a pause, no replica counts as gone because of missing requests.
    if (now - latest > GONE / 2) for (const known of replicas.values()) if (known.phase !== "gone") known.last = now;
    latest = now;
    ask();
  }
  setTimeout(beat, 1000 / find("pace").value);
}

reset();
beat();
window.addEventListener("resize", show);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
setInterval(() => { if (!document.hidden) show(); }, 250);

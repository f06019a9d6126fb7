// What scenarios and requests share: settings, the shapes of load, and the bounds that fail a run.
//
// Settings come from the environment (`-e NAME=value`); `load-tests/run` sets them. Times are in seconds, rates in
// requests per second. Go's client, which k6 uses, sends a GET again when the kept connection closes under it, and no POST:
// only POSTs show a lost request. Every scenario sends them, and those that are about losses send nothing else.
import http from 'k6/http';
import { check } from 'k6';
import { Counter } from 'k6/metrics';

// Which replica answered, as the clients saw it.
const answers = new Counter('answers');

export const target = setting('TARGET', 'http://localhost:8080');
const p99 = number('P99_MS', 500);

// Few tags: every sample is written out for the report.
const systemTags = ['status', 'method', 'name', 'scenario', 'error_code'];

export function setting(name, usual) {
  const value = __ENV[name] === undefined ? usual : __ENV[name];
  if (value === undefined) throw new Error(`set ${name} (-e ${name}=...)`);
  return value;
}

export function number(name, usual) {
  const value = Number(setting(name, usual));
  if (!(value > 0)) throw new Error(`${name} has to be a number above 0`);
  return value;
}

// Options of a run: its scenarios, and its bounds beside the usual ones.
export function plan(scenarios, thresholds = {}) {
  // The replicas' own lines are counted by this name.
  return { scenarios, thresholds, systemTags, userAgent: 'load-tests', summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'] };
}

// No request fails. For what is about losses: how fast a busy machine is meanwhile proves nothing.
export function lossless() {
  return { http_req_failed: ['rate==0'], checks: ['rate==1'] };
}

// Nor is any slow: the slowest hundredth stays below P99_MS, and the load was offered in full.
export function flawless(expected) {
  return {
    ...lossless(),
    http_req_duration: [`p(99)<${p99}`],
    // Not asked, as no client was free. A twentieth: the machine that makes the load may stutter.
    dropped_iterations: [`count<=${Math.ceil(expected / 20)}`],
  };
}

// So many requests each second, whatever the answers take.
export function arrivals(rate, seconds, more = {}) {
  return {
    executor: 'constant-arrival-rate',
    rate: Math.max(1, Math.round(rate)),
    timeUnit: '1s',
    duration: `${seconds}s`,
    // Clients for half a second's requests, and for two seconds' where answers take long: more take time to make.
    preAllocatedVUs: Math.max(10, Math.ceil(rate / 2)),
    maxVUs: Math.max(50, Math.ceil(2 * rate)),
    gracefulStop: '10s',
    ...more,
  };
}

// A GET that has to succeed.
export function get(path, checks = {}, more = {}) {
  const name = path.split('?')[0];
  const response = http.get(`${target}${path}`, { tags: { name }, ...more });
  check(response, {
    [`${name}: answered`]: (r) => more.responseCallback || (r.status >= 200 && r.status < 400),
    'a request id': (r) => !!r.headers['X-Request-Id'],
    ...checks,
  });
  return response;
}

// Notes which replica answered.
export function answeredBy(replica) {
  answers.add(1, { replica });
}

export function problem(response) {
  return response.headers['Content-Type'] === 'application/problem+json' && !!response.json('code');
}

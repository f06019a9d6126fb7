// Does it answer at all? Every route once in a while, right and wrong requests, a few seconds.
import http from 'k6/http';
import { check, sleep } from 'k6';
import { number, plan, quote, quoteIsGood, rates, target, whoami } from './lib.js';

const refused = { responseCallback: http.expectedStatuses(404, 422, 400) };

export const options = plan(
  { smoke: { executor: 'constant-vus', vus: 3, duration: `${number('DURATION', 5)}s` } },
  { checks: ['rate==1'], http_req_failed: ['rate==0'], http_req_duration: ['p(95)<1000'], iterations: ['count>=3'] },
);

export default function () {
  whoami();
  quoteIsGood();
  rates();
  get('/healthz', { 'healthz: 200': (r) => r.status === 200 });
  get('/', { 'the board: 200': (r) => r.status === 200 });
  get('/v1/work?cpu_ms=1&bytes=1000', {
    'work: 200': (r) => r.status === 200,
    'work: 1,000 bytes': (r) => r.body.length === 1000,
  });
  get('/nothing-here', { 'unknown path: 404': (r) => r.status === 404, 'unknown path: a problem': problem }, refused);
  http.setResponseCallback(http.expectedStatuses({ min: 400, max: 499 }));
  const wrong = quote({ weight_g: -1 });
  http.setResponseCallback(http.expectedStatuses({ min: 200, max: 399 }));
  check(wrong, { 'wrong quote: 4xx': (r) => r.status >= 400 && r.status < 500, 'wrong quote: a problem': problem });
  // An odd number of requests, so that a balancer that takes turns shows all replicas.
  whoami();
  sleep(0.1);
}

function get(path, checks, more = {}) {
  const response = http.get(`${target}${path}`, { tags: { name: path.split('?')[0] }, ...more });
  check(response, { ...checks, 'a request id': (r) => !!r.headers['X-Request-Id'] });
}

function problem(response) {
  return response.headers['Content-Type'] === 'application/problem+json' && !!response.json('code');
}

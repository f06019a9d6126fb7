// Does it answer at all? Every route once in a while, right and wrong requests, a few seconds.
import http from 'k6/http';
import { check, sleep } from 'k6';
import { get, number, plan, problem, target } from './lib.js';
import { every, once } from './own.js';

const refused = { responseCallback: http.expectedStatuses(404), tags: { name: 'no route' } };

export const options = plan(
  { smoke: { executor: 'constant-vus', vus: 3, duration: `${number('DURATION', 5)}s` } },
  { checks: ['rate==1'], http_req_failed: ['rate==0'], http_req_duration: ['p(95)<1000'], iterations: ['count>=3'] },
);

export default function () {
  every();
  get('/healthz');
  const unknown = http.post(`${target}/nothing-here`, null, refused);
  check(unknown, { 'unknown path: 404': (r) => r.status === 404, 'unknown path: a problem': problem });
  // As the last one: k6 sends a GET again whose kept connection was closed, so only these show that one was lost. An odd
  // number of requests, so that a balancer that takes turns shows all replicas.
  once();
  sleep(0.1);
}

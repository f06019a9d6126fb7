// The requests of the scenarios: the service's own, and for what it does not have, those that any service can be asked.
import http from 'k6/http';
import { check } from 'k6';
import { get, setting, target } from './lib.js';
import * as own from './requests.js';

// The runner takes them from the API's description.
const paths = setting('PATHS', '').split(',').filter((path) => path);

const mine = own.usual || (paths.length ? () => get(paths[Math.floor(Math.random() * paths.length)]) : unmatched);
export const once = own.once || unmatched;
export const who = own.who || mine;
export const every = own.every || (() => paths.forEach((path) => get(path)));
export const work = own.work;

let asked = 0;

// What users do, and for each tenth a request that k6 sends once, so that a lost one shows.
export function usual() {
  if (asked++ % 10 === 0) once();
  else mine();
}

// The same where the service refuses most of its requests: this one costs no work, but may be refused too.
export function witness() {
  const answer = { tags: { name: 'no route' }, responseCallback: http.expectedStatuses(404, 503) };
  const response = http.post(`${target}/no-such-route`, null, answer);
  check(response, { 'no route: answered': (r) => r.status === 404 || r.status === 503 });
}

// Every service answers this with 404, and k6 sends no POST again.
function unmatched() {
  const answer = { tags: { name: 'no route' }, responseCallback: http.expectedStatuses(404) };
  check(http.post(`${target}/no-such-route`, null, answer), { 'no route: 404': (r) => r.status === 404 });
}

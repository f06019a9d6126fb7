// The requests of the scenarios: the service's own, and for what it does not have, those that any service can be asked.
import http from 'k6/http';
import { check } from 'k6';
import { get, setting, target } from './lib.js';
import * as own from './requests.js';

// The runner takes them from the API's description.
const paths = setting('PATHS', '').split(',').filter((path) => path);

export const usual = own.usual || (paths.length ? () => get(paths[Math.floor(Math.random() * paths.length)]) : unmatched);
export const once = own.once || unmatched;
export const who = own.who || usual;
export const every = own.every || (() => paths.forEach((path) => get(path)));
export const work = own.work;

// Every service answers this with 404, and k6 repeats no POST.
function unmatched() {
  const answer = { tags: { name: 'no route' }, responseCallback: http.expectedStatuses(404) };
  check(http.post(`${target}/no-such-route`, null, answer), { 'no route: 404': (r) => r.status === 404 });
}

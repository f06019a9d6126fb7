// This service's requests, for the scenarios of `load-tests/run`. Without this file, or without one of its functions, the
// scenarios ask the routes of the API's description that a plain GET can ask; README.md says who needs what.
import http from 'k6/http';
import { check } from 'k6';
import { answeredBy, get, problem, target } from './lib.js';

const parcel = {
  from: 'DE', to: 'FR', weight_g: 800, service: 'standard',
  dimensions_mm: { length: 300, width: 200, height: 100 },
};

// What users do: six of ten ask who answers, three want a quote, one the rates.
export function usual() {
  const draw = Math.random();
  if (draw < 0.6) who();
  else if (draw < 0.9) once();
  else get('/v1/rates');
}

// A request that k6 does not repeat by itself, so that a lost one shows.
export function once() {
  check(quote(), { 'quotes: 200': (r) => r.status === 200 });
}

// A request whose answer names the replica.
export function who() {
  const response = get('/whoami');
  if (response.status === 200) answeredBy(response.json('replica'));
}

// Every route, right and wrong requests.
export function every() {
  who();
  once();
  get('/v1/rates');
  get('/');
  get('/v1/work?cpu_ms=1&bytes=1000', { 'work: 1,000 bytes': (r) => r.body.length === 1000 });
  const wrong = quote({ weight_g: -1 }, { responseCallback: http.expectedStatuses({ min: 400, max: 499 }) });
  check(wrong, { 'wrong quote: 4xx': (r) => r.status >= 400 && r.status < 500, 'wrong quote: a problem': problem });
}

// CPU-bound work, of which there can be too much.
export function work(headers) {
  return http.get(`${target}/v1/work?cpu_ms=20`, { headers, tags: { name: '/v1/work' } });
}

function quote(changes = {}, more = {}) {
  const parameters = { headers: { 'content-type': 'application/json' }, tags: { name: '/v1/quotes' }, ...more };
  return http.post(`${target}/v1/quotes`, JSON.stringify({ ...parcel, ...changes }), parameters);
}

// Far more CPU-bound work than there is CPU. The runner runs this twice: PHASE=capacity measures what the fleet does
// with just enough clients, PHASE=flood then offers FACTOR times as much, and half of it once the flood is over.
import http from 'k6/http';
import { check } from 'k6';
import { arrivals, number, plan, setting } from './lib.js';
import * as own from './own.js';

const phase = setting('PHASE', 'capacity');
const seconds = number('DURATION', 20);
const capacity = number('CAPACITY', 50);
const factor = number('FACTOR', 5);
// What an answer may take to be of use, ms. The service gives up by itself then, where it trusts the balancer.
const deadline = number('DEADLINE_MS', 250);
// How long the fleet has to recover before it is asked for half of its capacity, which it has to answer, s.
const recovery = number('RECOVERY', 5);

http.setResponseCallback(http.expectedStatuses(200, 429, 503, 504));

export const options = phase === 'capacity' ? asMuchAsGoes() : flood();

function asMuchAsGoes() {
  const clients = { executor: 'constant-vus', vus: number('CLIENTS', 8), duration: `${seconds}s` };
  return plan({ capacity: clients }, { checks: ['rate==1'], iterations: ['count>0'] });
}

function flood() {
  const half = arrivals(capacity / 2, number('AFTER', 10), { startTime: `${seconds + recovery}s`, exec: 'served' });
  return plan(
    // Ten a second show a lost request, which the GETs of the flood do not.
    { flood: arrivals(factor * capacity, seconds, { exec: 'asked' }), after: half, witness: arrivals(10, seconds, { exec: 'witness' }) },
    {
      'checks{scenario:flood}': ['rate==1'],
      // All of it, with a twentieth for a machine that makes the load too. A fleet that does not recover stays far below.
      'checks{scenario:after}': ['rate>=0.95'],
      'http_req_failed{scenario:flood}': ['rate==0'],
      'checks{scenario:witness}': ['rate==1'],
    },
  );
}

export const witness = own.witness;

function work() {
  return own.work({ 'x-request-timeout': String(deadline) });
}

export default function () {
  asked();
}

// By overload.refusal_status.
function isRefusal(r) {
  return r.status === 503 || r.status === 429;
}

// Answered, or refused in the way that was promised.
export function asked() {
  check(work(), {
    'answered or refused': (r) => r.status === 200 || isRefusal(r) || r.status === 504,
    'a refusal says when to come back': (r) => !isRefusal(r) || Number(r.headers['Retry-After']) >= 1,
  });
}

export function served() {
  check(work(), { 'answered: 200': (r) => r.status === 200 });
}

// Clients that keep their connections, each asking at its own steady pace: behind a balancer of connections (layer 4)
// only the replicas can spread them, by connection age. The runner adds replicas, and looks at the shares.
import { sleep } from 'k6';
import { lossless, number, plan } from './lib.js';
import { once, who } from './own.js';

const clients = number('CLIENTS', 64);
const seconds = number('DURATION', 60);
// Ten a second from each: shares of a tenth of an age can be told at an age of 2 s.
const pause = number('PAUSE', 0.1);

export const options = plan(
  { balance: { executor: 'constant-vus', vus: clients, duration: `${seconds}s`, gracefulStop: '10s' } },
  lossless(),
);

export default function () {
  // Not in step with the others.
  if (__ITER === 0) sleep(Math.random() * pause);
  const begun = Date.now();
  who();
  // A fifth of them are requests that no client sends again.
  if (__ITER % 4 === 0) once();
  sleep(Math.max(0, pause - (Date.now() - begun) / 1000));
}

// Ten times the load within a second, for a while, and back. Nothing fails, and afterwards all is as before.
import { arrivals, flawless, number, plan } from './lib.js';
import { usual } from './own.js';

const before = number('RATE', 60);
const seconds = number('DURATION', 60);
// A quarter before, half of it the spike, a quarter after.
const [quarter, half] = [seconds / 4, seconds / 2 - 2];
const height = 10 * before;

export const options = plan(
  {
    spike: {
      executor: 'ramping-arrival-rate',
      startRate: before,
      timeUnit: '1s',
      preAllocatedVUs: Math.ceil(height / 2),
      maxVUs: 2 * height,
      stages: [
        { target: before, duration: `${quarter}s` },
        { target: height, duration: '1s' },
        { target: height, duration: `${half}s` },
        { target: before, duration: '1s' },
      ],
    },
    after: arrivals(before, quarter, { startTime: `${quarter + half + 2}s` }),
  },
  { ...flawless(height * half), 'http_req_duration{scenario:after}': ['p(95)<100'] },
);

export default usual;

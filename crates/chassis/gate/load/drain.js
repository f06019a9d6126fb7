// Restarts under load lose nothing. The runner does them; half of the requests are such that no client repeats them.
import { arrivals, lossless, number, plan } from './lib.js';
import { once, who } from './own.js';

const rate = number('RATE', 200);
const seconds = number('DURATION', 60);

export const options = plan({ drain: arrivals(rate, seconds) }, lossless());

export default function () {
  if (Math.random() < 0.5) who();
  else once();
}

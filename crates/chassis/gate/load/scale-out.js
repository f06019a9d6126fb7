// Replicas that join under load get their share of it. The runner starts them, and looks at the shares.
import { arrivals, lossless, number, plan } from './lib.js';
import { once, who } from './own.js';

const rate = number('RATE', 300);
const seconds = number('DURATION', 60);

export const options = plan({ 'scale-out': arrivals(rate, seconds) }, lossless());

export default function () {
  if (Math.random() < 0.8) who();
  else once();
}

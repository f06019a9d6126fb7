// Restarts under load lose nothing. The runner does them; all requests are such that no client sends them again.
import { arrivals, lossless, number, plan } from './lib.js';
import { once } from './own.js';

const rate = number('RATE', 200);
const seconds = number('DURATION', 60);

export const options = plan({ drain: arrivals(rate, seconds) }, lossless());

export default once;

// Replicas that join under load get their share of it, and nothing is lost. The runner starts them, and looks at the shares
// as they count them; all requests are such that no client sends them again.
import { arrivals, lossless, number, plan } from './lib.js';
import { once } from './own.js';

const rate = number('RATE', 300);
const seconds = number('DURATION', 60);

export const options = plan({ 'scale-out': arrivals(rate, seconds) }, lossless());

export default once;

// Hours of little load: what leaks, grows or wears out. The runner compares memory and open files at both ends.
import { arrivals, flawless, number, plan } from './lib.js';
import { usual } from './own.js';

const rate = number('RATE', 100);
const seconds = number('DURATION', 1800);

export const options = plan({ soak: arrivals(rate, seconds) }, flawless(rate * seconds));

export default usual;

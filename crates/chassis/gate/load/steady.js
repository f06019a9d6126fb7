// The load of a usual day: an even rate, open loop.
import { arrivals, flawless, number, plan } from './lib.js';
import { usual } from './own.js';

const rate = number('RATE', 300);
const seconds = number('DURATION', 120);

export const options = plan({ steady: arrivals(rate, seconds) }, flawless(rate * seconds));

export default usual;

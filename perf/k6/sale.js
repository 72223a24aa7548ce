// A sale's opening: from next to nobody to RATE new buyers within a second, who stay for a while and
// then thin out. Eight in ten want one of the first tenth of the items.
// Environment: RATE (200 at the peak), DURATION (10), and what shop.js names.

import {
  anyItem, checkout, newUser, number, openSale, options as optionsOf, purchase, whole,
} from './shop.js';

const rate = whole('RATE', 200);
const duration = number('DURATION', 10);
const part = (share) => `${Math.ceil(duration * share * 1000)}ms`;

export const options = optionsOf({
  buyers: {
    executor: 'ramping-arrival-rate',
    startRate: Math.ceil(rate / 20),
    stages: [
      { target: Math.ceil(rate / 20), duration: part(0.1) },
      { target: rate, duration: part(0.1) },
      { target: rate, duration: part(0.4) },
      { target: Math.ceil(rate / 10), duration: part(0.4) },
    ],
    preAllocatedVUs: Math.ceil(rate / 2),
    maxVUs: 2 * rate,
  },
});

export const setup = openSale;

export default function (sale) {
  const item = Math.random() < 0.8 ? anyItem(sale, 0.1) : anyItem(sale);
  const code = checkout(newUser(), item);
  if (code) {
    purchase(code);
  }
}

// New users at a steady rate, each of whom checks one item out. Nobody buys, so that all are accepted.
// Environment: RATE (200 a second), DURATION (10), and what shop.js names.

import { anyItem, checkout, newUser, number, openSale, options as optionsOf, whole } from './shop.js';

const rate = whole('RATE', 200);

export const options = optionsOf({
  checkout: {
    executor: 'constant-arrival-rate',
    rate,
    duration: `${number('DURATION', 10)}s`,
    preAllocatedVUs: Math.ceil(rate / 4),
    maxVUs: rate,
  },
});

export const setup = openSale;

export default function (sale) {
  checkout(newUser(), anyItem(sale));
}

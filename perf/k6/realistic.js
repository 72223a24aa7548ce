// Three kinds of people at once: 10 % grab everything that the limit allows and pay at once, 60 % choose
// one or two items, think and pay, 30 % only look.
// Environment: RATE (100 people a second), DURATION (10), THINK (seconds to think, 1), and what shop.js
// names.

import { sleep } from 'k6';
import {
  anyItem, checkout, look, newUser, number, openSale, options as optionsOf, purchase,
  whole,
} from './shop.js';

const rate = whole('RATE', 100);
const think = number('THINK', 1);
// More than a user may have.
const GRABBED = 12;

function kind(share, exec) {
  const people = Math.max(1, Math.round(rate * share));
  return {
    executor: 'constant-arrival-rate',
    exec,
    rate: people,
    duration: `${number('DURATION', 10)}s`,
    preAllocatedVUs: Math.ceil(people * (1 + 2 * think)),
    maxVUs: Math.ceil(people * (4 + 8 * think)),
  };
}

export const options = optionsOf({
  aggressive: kind(0.1, 'grab'),
  normal: kind(0.6, 'choose'),
  browsing: kind(0.3, 'browse'),
});

export const setup = openSale;

function pause() {
  sleep(think * (0.5 + Math.random()));
}

function pay(codes) {
  // One checkout, one code, however many items are in it.
  const code = codes.find((code) => code);
  if (code) {
    purchase(code);
  }
}

export function grab(sale) {
  const user = newUser();
  pay(Array.from({ length: GRABBED }, () => checkout(user, anyItem(sale))));
}

export function choose(sale) {
  const user = newUser();
  look('/sales/active', 'active');
  const codes = [checkout(user, anyItem(sale))];
  if (Math.random() < 0.5) {
    codes.push(checkout(user, anyItem(sale)));
  }
  pause();
  pay(codes);
}

export function browse(sale) {
  look('/', 'page');
  pause();
  look('/sales/active', 'active');
  look(`/sales/${sale.id}/items?available=true&limit=20`, 'items');
}

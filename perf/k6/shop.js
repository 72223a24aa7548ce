// What the scripts share: the server, its sale, buying and looking, and what counts as a failure.
//
//   BASE_URL   the server (http://127.0.0.1:8080)
//   SALE       number of the sale, which must be one of generated items (the active one that started last)
//   RATE       iterations a second, a whole number
//   DURATION   of the test, in seconds
//   P99_MS     longest 99th percentile of accepted requests, in milliseconds (500)
//   PREFIX     of the user ids; another one lets a second run begin with fresh users (k6)

import { fail } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter, Trend } from 'k6/metrics';

const baseUrl = __ENV.BASE_URL || 'http://127.0.0.1:8080';
const prefix = __ENV.PREFIX || 'k6';

// A refusal is an answer, too; what is none of these is a failed request.
http.setResponseCallback(http.expectedStatuses(200, 400, 409));

const REFUSED = [
  'user_limit_exceeded',
  'item_already_in_checkout',
  'item_sold_out',
  'item_held',
  'all_items_sold',
  'checkout_expired',
];
const OUTCOMES = ['accepted', 'sold', 'shown', ...REFUSED];

// Answers by outcome; those that the interface does not know; and units that were sold.
const answers = new Counter('answers');
const unknownAnswers = new Counter('unknown_answers');
const unitsSold = new Counter('units_sold');
const acceptedTime = new Trend('accepted_time', true);

// A number of the environment.
export function number(name, byDefault) {
  const value = Number(__ENV[name] || byDefault);
  if (!(value > 0)) {
    throw new Error(`${name} must be a number above 0, not ${__ENV[name]}`);
  }
  return value;
}

// A whole number of the environment, which the rates of k6 must be.
export function whole(name, byDefault) {
  const value = number(name, byDefault);
  if (!Number.isInteger(value)) {
    throw new Error(`${name} must be a whole number, not ${value}`);
  }
  return value;
}

// The options that all tests have, with the scenarios of this one.
export function options(scenarios) {
  const thresholds = {
    http_req_failed: ['rate==0'],
    dropped_iterations: ['count==0'],
    unknown_answers: ['count==0'],
    accepted_time: [`p(99)<${number('P99_MS', 500)}`],
  };
  // Always true; named here, the figures of each outcome are in the summary.
  for (const outcome of OUTCOMES) {
    thresholds[`answers{outcome:${outcome}}`] = ['count>=0'];
  }
  return {
    scenarios,
    thresholds,
    summaryTrendStats: ['avg', 'p(50)', 'p(90)', 'p(99)', 'p(99.9)', 'max'],
  };
}

// Begins a test: the sale that is asked for. The result of `setup`, for every virtual user.
export function openSale() {
  const asked = __ENV.SALE ? `sale ${__ENV.SALE}` : 'a sale';
  const response = shopGet(`/sales/${encodeURIComponent(__ENV.SALE || 'active')}`);
  if (response.status !== 200 || !response.json('active')) {
    fail(`${asked} is not open at ${baseUrl}: ${response.status} ${response.body}`);
  }
  const { id, total_items } = response.json();
  const [first] = shopGet(`/sales/${id}/items?limit=1`).json();
  if (first.id !== `ITM-${id}-0`) {
    fail(`sale ${id} has items of its own, such as ${first.id}: these scripts buy generated items `
      + `(ITM-${id}-0 and so on); name a sale that was created with total_items in SALE`);
  }
  return { id, items: total_items };
}

// Asks what the sale is. A refusal is no failed request of the test.
function shopGet(path) {
  return http.get(`${baseUrl}${path}`, { responseCallback: http.expectedStatuses({ min: 200, max: 599 }) });
}

// A user who has not been here before.
export function newUser() {
  return `${prefix}-${exec.scenario.name}-${exec.scenario.iterationInTest}`;
}

// An item at random, of the first `share` of the sale.
export function anyItem(sale, share = 1) {
  return `ITM-${sale.id}-${Math.floor(Math.random() * Math.max(1, sale.items * share))}`;
}

function outcomeOf(response, success) {
  if (response.status === 200) {
    return success;
  }
  const error = response.status === 0 ? response.error : response.json('error');
  return REFUSED.includes(error) ? error : 'unknown';
}

function counted(response, success) {
  const outcome = outcomeOf(response, success);
  answers.add(1, { outcome });
  unknownAnswers.add(outcome === 'unknown' ? 1 : 0);
  if (outcome === 'unknown') {
    console.error(`${response.request.url}: ${response.status} ${response.body}`);
  } else if (outcome === success) {
    acceptedTime.add(response.timings.duration, { outcome });
  }
  return outcome === success;
}

function post(path, name) {
  return http.post(`${baseUrl}${path}`, null, { tags: { name } });
}

// Checks an item out; the checkout's code, or `undefined` when it was refused.
export function checkout(user, item) {
  const response = post(`/checkout?user_id=${user}&id=${item}`, 'checkout');
  return counted(response, 'accepted') ? response.json('code') : undefined;
}

// Purchases what the checkout contains; units that were sold.
export function purchase(code) {
  const response = post(`/purchase?code=${code}`, 'purchase');
  const units = counted(response, 'sold') ? response.json('total_purchased') : 0;
  unitsSold.add(units);
  return units;
}

// Looks at a page.
export function look(path, name) {
  counted(http.get(`${baseUrl}${path}`, { tags: { name } }), 'shown');
}

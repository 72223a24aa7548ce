// A shop from basket to parcel, with openapi-fetch and the types that openapi-typescript made of /openapi.json (`./api`).
//
// sell.js ADDRESS ADMIN_TOKEN SHOP_TOKEN

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import createClient from 'openapi-fetch';
import type { components, paths } from './api';

const [baseUrl = '', adminToken = '', shopToken = ''] = process.argv.slice(2);
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
const buyer = createClient<paths>({ baseUrl });
const admin = createClient<paths>({ baseUrl, headers: bearer(adminToken) });
const systems = createClient<paths>({ baseUrl, headers: bearer(shopToken) });

type Told = components['schemas']['Error'];
type NewSale = components['schemas']['NewSale'];

function refused(answer: { error?: Told }, name: string): Told {
  assert.equal(answer.error?.error, name);
  assert.ok(answer.error);
  return answer.error;
}

async function create(sale: NewSale): Promise<string> {
  const { data } = await admin.POST('/admin/sales', { body: sale });
  assert.ok(data);
  return data.data.id;
}

const choose = (sale_id: string, user_id: string, id: string, quantity = 1, key?: string) => {
  const header = key === undefined ? {} : { 'Idempotency-Key': key };
  return buyer.POST('/checkout', { params: { query: { user_id, id, sale_id, quantity }, header } });
};

async function basketOf(sale: string, user: string, ...items: string[]): Promise<string> {
  let code = '';
  for (const item of items) {
    const { data } = await choose(sale, user, item);
    assert.ok(data);
    code = data.code;
  }
  return code;
}

const pay = (code: string) => buyer.POST('/payment', { params: { query: { code } } });

/** A payment provider, as a shop sees it: what was authorised is captured, or voided. Whatever is asked again does nothing. */
const provider = {
  payments: new Map<string, string>(),
  refunds: new Set<string>(),
  authorise(): string {
    const name = `pay_${this.payments.size + 1}`;
    this.payments.set(name, 'authorised');
    return name;
  },
  capture(name: string, units: number) {
    this.payments.set(name, `captured ${units}`);
  },
  void(name: string) {
    this.payments.set(name, 'voided');
  },
};

/** A payment that is refused so buys nothing. */
const final = new Set(['all_items_sold', 'checkout_expired', 'checkout_not_found', 'sale_not_active']);

/** Confirms a payment until it is answered. No answer, 503 and 504 do not say whether it was recorded: the same reference asks again. */
async function confirm(code: string, payment_ref: string, late: boolean) {
  const params = { path: { code }, query: { payment_ref, late } };
  for (let attempt = 0; attempt < 8; attempt += 1) {
    const told = await systems.POST('/admin/checkouts/{code}/confirm', { params }).catch(() => undefined);
    if (told?.data) return told;
    const refusal = told?.error?.error;
    const boughtByAnother = refusal === 'already_processed' && told?.error?.payment_ref !== undefined;
    if (told && refusal && (final.has(refusal) || boughtByAnother)) return told;
    await sleep(100 * 2 ** attempt);
  }
  // Neither captured nor voided: the shop goes on with it when it reads the events.
  throw new Error(`nobody knows what became of ${payment_ref}`);
}

/** The provider tells that a payment has succeeded: at once, late, or twice. */
async function succeeded(code: string, payment_ref: string) {
  let told = await confirm(code, payment_ref, false);
  // What is still free of it.
  if (told.error?.error === 'checkout_expired') told = await confirm(code, payment_ref, true);
  if (told.data) provider.capture(payment_ref, told.data.total_purchased);
  else provider.void(payment_ref);
  return told;
}

/** A sale whose buyers purchase by themselves. */
async function sellAtOnce(): Promise<string> {
  // Who runs the sale creates it: everybody may have two lamps.
  const items = [
    { id: 'lamp', name: 'Desk lamp', stock: 20, max_per_user: 2 },
    { id: 'chair', name: 'Chair', stock: 1 },
  ];
  const sale = await create({ items, max_items_per_user: 5, hold_seconds: 600 });

  // A buyer chooses. The key makes it safe to ask again when an answer was lost.
  const { data: basket } = await choose(sale, 'ada', 'lamp', 2, 'choice-1');
  assert.ok(basket);
  assert.deepEqual((await choose(sale, 'ada', 'lamp', 2, 'choice-1')).data, basket);
  const code = basket.code;
  await choose(sale, 'ada', 'chair');
  assert.equal(refused(await choose(sale, 'bob', 'lamp', 3), 'item_limit_exceeded').limit, 2);
  refused(await choose(sale, 'bob', 'chair'), 'item_held');

  // They look at it again, and change their mind about one lamp.
  const { data: contents } = await buyer.GET('/checkout', { params: { query: { code } } });
  assert.deepEqual(contents?.items.map((line) => line.quantity), [2, 1]);
  const { data: rest } = await buyer.POST('/release', { params: { query: { code, id: 'lamp', quantity: 1 } } });
  assert.equal(rest?.items_count, 2);

  // It is paid: they purchase, and ask again because no answer came.
  const buy = (header: { 'Idempotency-Key'?: string }) =>
    buyer.POST('/purchase', { params: { query: { code }, header } });
  const { data: order } = await buy({ 'Idempotency-Key': 'order-1' });
  assert.equal(order?.total_purchased, 2);
  assert.deepEqual((await buy({ 'Idempotency-Key': 'order-1' })).data, order);
  assert.deepEqual(refused(await buy({}), 'already_processed').result, order);
  refused(await choose(sale, 'bob', 'chair'), 'item_sold_out');
  return sale;
}

/** A sale in which the shop purchases, once the provider says that it is paid. */
async function sellByPayments(): Promise<string> {
  const items = [
    { id: 'vase', name: 'Vase', stock: 6 },
    { id: 'clock', name: 'Clock', stock: 1 },
  ];
  const sale = await create({ items, payment_seconds: 900, purchase_by: 'shop' });
  // Two buyers want the same clock. Whoever pays first has it reserved; only what is reserved is to be authorised.
  const bea = await basketOf(sale, 'bea', 'vase', 'clock');
  const cleo = await basketOf(sale, 'cleo', 'vase', 'clock');
  const { data: begun } = await pay(bea);
  assert.deepEqual(begun?.items.map((line) => line.reserved), [true, true]);
  assert.deepEqual((await pay(bea)).data, begun);
  refused(await buyer.POST('/purchase', { params: { query: { code: bea } } }), 'shop_confirms');
  const { data: second } = await pay(cleo);
  assert.deepEqual(second?.items.map((line) => line.reserved), [true, false]);

  // The payments succeed. The provider tells of one of them twice, and of another payment of the same basket.
  const payment = provider.authorise();
  const { data: order } = await succeeded(bea, payment);
  assert.equal(order?.total_purchased, 2);
  assert.deepEqual((await succeeded(bea, payment)).data, order);
  assert.equal((await succeeded(cleo, provider.authorise())).data?.failed_count, 1);
  assert.equal(refused(await succeeded(bea, provider.authorise()), 'already_processed').payment_ref, payment);

  // The vase comes back. The reference serves for the refund, too: first it is cancelled, then the events have it refunded.
  const cancel = () =>
    systems.POST('/admin/checkouts/{code}/cancel', {
      params: { path: { code: bea }, query: { ref: 'return-1', id: 'vase' } },
    });
  const { data: cancelled } = await cancel();
  assert.equal(cancelled?.total_cancelled, 1);
  assert.deepEqual((await cancel()).data, cancelled);
  return sale;
}

/** A sale whose payments are over before anybody hears of them: a late one gets what nobody else has bought. */
async function sellLate(): Promise<string> {
  const items = [
    { id: 'poster', name: 'Poster', stock: 1 },
    { id: 'frame', name: 'Frame', stock: 5 },
  ];
  const sale = await create({ items, payment_seconds: 1, purchase_by: 'shop' });
  const eve = await basketOf(sale, 'eve', 'poster', 'frame');
  assert.ok((await pay(eve)).data);
  const payment = provider.authorise();
  const look = () => buyer.GET('/checkout', { params: { query: { code: eve } } });
  let seen = await look();
  for (const until = Date.now() + 60_000; seen.data; seen = await look()) {
    assert.ok(Date.now() < until);
    await sleep(100);
  }
  refused(seen, 'checkout_expired');
  const fay = await basketOf(sale, 'fay', 'poster');
  assert.equal((await succeeded(fay, provider.authorise())).data?.total_purchased, 1);
  const { data: order } = await succeeded(eve, payment);
  assert.deepEqual(order?.purchased_items.map((line) => [line.id, line.sold]), [
    ['poster', false],
    ['frame', true],
  ]);
  return sale;
}

async function main() {
  const own = new Set([await sellAtOnce(), await sellByPayments(), await sellLate()]);
  for (const id of own) await admin.POST('/admin/sales/{id}/close', { params: { path: { id } } });

  // The systems of the shop follow the events from the place that they have kept: they send out what was purchased, and refund what was
  // cancelled.
  const sent: [string, string, number][] = [];
  const paid = new Set<string>();
  const closed = new Set<string>();
  for (let after = '0'; closed.size < own.size; ) {
    const { data: events, response } = await systems.GET('/admin/events', { params: { query: { after, wait: 10 } } });
    assert.ok(Array.isArray(events));
    for (const { type, data } of events) {
      if (!own.has(data.sale_id)) continue;
      if (type === 'purchase.completed') {
        const path = { code: data.code ?? '' };
        const { data: record } = await systems.GET('/admin/checkouts/{code}', { params: { path } });
        assert.equal(record?.status, 'purchased');
        for (const line of data.items ?? []) {
          if (line.sold) sent.push([data.user_id ?? '', line.id, line.quantity]);
        }
        if (data.payment_ref !== undefined) paid.add(data.payment_ref);
      } else if (type === 'purchase.cancelled') {
        provider.refunds.add(data.ref ?? '');
      } else if (type === 'sale.closed') {
        closed.add(data.sale_id);
      }
    }
    // Kept together with what is done, in one transaction where that can be. A page without events moves on, too.
    const next = /[?&]after=(\d+)/.exec(response.headers.get('Link') ?? '');
    assert.ok(next?.[1]);
    after = next[1];
  }
  assert.deepEqual(sent, [
    ['ada', 'lamp', 1],
    ['ada', 'chair', 1],
    ['bea', 'vase', 1],
    ['bea', 'clock', 1],
    ['cleo', 'vase', 1],
    ['fay', 'poster', 1],
    ['eve', 'frame', 1],
  ]);

  // The books agree: captured is what the events know, and nothing else.
  const captured = [...provider.payments].filter(([, state]) => state.startsWith('captured'));
  assert.deepEqual(new Set(captured.map(([name]) => name)), paid);
  assert.deepEqual([...provider.refunds], ['return-1']);
  console.log('sent out:', sent, 'payments:', provider.payments, 'refunded:', provider.refunds);
}

void main();

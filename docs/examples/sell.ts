// A shop from basket to parcel, with openapi-fetch and the types that openapi-typescript made of /openapi.json (`./api`).
//
// sell.js ADDRESS ADMIN_TOKEN SHOP_TOKEN

import assert from 'node:assert/strict';
import createClient from 'openapi-fetch';
import type { components, paths } from './api';

const [baseUrl = '', adminToken = '', shopToken = ''] = process.argv.slice(2);
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
const buyer = createClient<paths>({ baseUrl });
const admin = createClient<paths>({ baseUrl, headers: bearer(adminToken) });
const systems = createClient<paths>({ baseUrl, headers: bearer(shopToken) });

type Told = components['schemas']['Error'];

function refused(answer: { error?: Told }, name: string): Told {
  assert.equal(answer.error?.error, name);
  assert.ok(answer.error);
  return answer.error;
}

async function main() {
  // Who runs the sale creates it: everybody may have two lamps.
  const items = [
    { id: 'lamp', name: 'Desk lamp', stock: 20, max_per_user: 2 },
    { id: 'chair', name: 'Chair', stock: 1 },
  ];
  const created = await admin.POST('/admin/sales', { body: { items, max_items_per_user: 5, hold_seconds: 600 } });
  assert.ok(created.data);
  const sale_id = created.data.data.id;

  // A buyer chooses. The key makes it safe to ask again when an answer was lost.
  const choose = (user_id: string, id: string, quantity = 1, key?: string) => {
    const header = key === undefined ? {} : { 'Idempotency-Key': key };
    return buyer.POST('/checkout', { params: { query: { user_id, id, sale_id, quantity }, header } });
  };
  const { data: basket } = await choose('ada', 'lamp', 2, 'choice-1');
  assert.ok(basket);
  assert.deepEqual((await choose('ada', 'lamp', 2, 'choice-1')).data, basket);
  const code = basket.code;
  await choose('ada', 'chair');
  assert.equal(refused(await choose('bob', 'lamp', 3), 'item_limit_exceeded').limit, 2);
  refused(await choose('bob', 'chair'), 'item_held');

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
  refused(await choose('bob', 'chair'), 'item_sold_out');
  await admin.POST('/admin/sales/{id}/close', { params: { path: { id: sale_id } } });

  // The systems of the shop follow the events from the place that they have kept, and send out what was purchased.
  const sent: [string, string, number][] = [];
  for (let after = '0', isClosed = false; !isClosed; ) {
    const query = { after, sale_id, wait: 10 };
    const { data: events } = await systems.GET('/admin/events', { params: { query } });
    assert.ok(Array.isArray(events));
    for (const { id, type, data } of events) {
      if (type === 'purchase.completed') {
        const path = { code: data.code ?? '' };
        const { data: record } = await systems.GET('/admin/checkouts/{code}', { params: { path } });
        assert.equal(record?.status, 'purchased');
        for (const line of data.items ?? []) {
          if (line.sold) sent.push([data.user_id ?? '', line.id, line.quantity]);
        }
      }
      isClosed ||= type === 'sale.closed';
      // Kept together with what was done, in one transaction where that can be.
      after = id;
    }
  }
  assert.deepEqual(sent, [
    ['ada', 'lamp', 1],
    ['ada', 'chair', 1],
  ]);
  console.log('sent out:', sent);
}

void main();

// Makes events of most types, and reads them with the JavaScript SDK of CloudEvents, which holds each against the schema of the specification.

import assert from 'node:assert/strict';
import { HTTP, type CloudEvent } from 'cloudevents';

const [address = '', token = ''] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };

async function post(path: string, body: object = {}): Promise<any> {
  const answer = await fetch(`${address}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  const text = await answer.text();
  assert.ok(answer.ok, `${path}: ${text}`);
  return JSON.parse(text);
}

async function choose(user_id: string, id: string): Promise<string> {
  return (await post('/checkout', { user_id, id })).code;
}

async function sell(): Promise<void> {
  const items = [{ id: 'vase \u{fc} "A"', name: 'Vase', stock: 9 }];
  const sale = (await post('/admin/sales', { items, payment_seconds: 900 })).data.id;
  const id = items[0]?.id ?? '';
  const paid = await choose('ada', id);
  await post('/payment', { code: paid });
  await post(`/admin/checkouts/${paid}/confirm`, { payment_ref: 'payment-1' });
  await post(`/admin/checkouts/${paid}/cancel`, { ref: 'refund-1' });
  await post('/purchase', { code: await choose('b\u{f6}b "B"', id) });
  await post('/release', { code: await choose('cleo', id) });
  await post(`/admin/sales/${sale}/stock`, { item_id: id, add: 4, ref: 'delivery-1' });
  await post(`/admin/sales/${sale}/pause`);
  await post(`/admin/sales/${sale}/resume`);
  await post(`/admin/sales/${sale}/close`);
}

async function main() {
  await sell();
  const answer = await fetch(`${address}/admin/events`, { headers });
  const body = await answer.text();
  const read = HTTP.toEvent<unknown>({ headers: Object.fromEntries(answer.headers), body });
  const events = Array.isArray(read) ? read : [read];
  // It throws where one is not as the schema has it.
  for (const event of events as CloudEvent<unknown>[]) assert.ok(event.validate());
  assert.deepEqual(new Set(events.map((event) => event.type)), new Set([
    'sale.created', 'payment.begun', 'purchase.completed', 'purchase.cancelled', 'checkout.released', 'stock.changed',
    'sale.paused', 'sale.resumed', 'sale.closed',
  ]));
}

void main();

// Buys with the client that @hey-api/openapi-ts made, and meets every kind of refusal.

import assert from 'node:assert/strict';
import { createClient } from './hey/client';
import { adminCheckout, adminSales, checkout, health, purchase, saleItems, salesActive } from './hey/sdk.gen';
import type { _Error as Told } from './hey/types.gen';

const [baseUrl = '', token = ''] = process.argv.slice(2);
const client = createClient({ baseUrl });
const shop = createClient({ baseUrl, auth: token });

function choose(user_id: string, id: string, more: { quantity?: number; sale_id?: string } = {}) {
  return checkout({ client, query: { user_id, id, ...more } });
}

function refused(answer: { error?: Told; response: Response }, status: number, name: string): Told {
  const { error, response } = answer;
  assert.ok(error, `${response.status} instead of ${name}`);
  assert.deepEqual([response.status, error.error], [status, name]);
  assert.ok(error.message);
  return error;
}

// All items of a sale, page by page.
async function items(id: string, available?: boolean): Promise<string[]> {
  const found: string[] = [];
  for (let cursor: string | undefined; ; ) {
    const { data, response } = await saleItems({ client, path: { id }, query: { limit: 5, cursor, available } });
    assert.ok(data);
    found.push(...data.map((item) => item.id));
    const next = /<[^>]*[?&]cursor=([^&>]+)/.exec(response.headers.get('link') ?? '');
    if (!next) return found;
    cursor = decodeURIComponent(next[1] ?? '');
  }
}

async function main() {
  const { data: sale } = await salesActive({ client });
  assert.ok(sale?.active);
  const ids = await items(sale.id);
  assert.equal(ids.length, 12);
  const item = (index: number) => ids[index] ?? '';

  // Two items, and no more: the sale allows two.
  const { data: first } = await choose('ada', item(0), { quantity: 1, sale_id: sale.id });
  assert.ok(first);
  refused(await choose('ada', item(0)), 400, 'item_already_in_checkout');
  const { data: second } = await choose('ada', item(1));
  assert.deepEqual([second?.code, second?.items_count], [first.code, 2]);
  assert.equal(refused(await choose('ada', item(2)), 400, 'user_limit_exceeded').limit, 2);

  // Held by ada, and then hers.
  const held = await choose('bob', item(0));
  refused(held, 409, 'item_held');
  assert.ok(Number(held.response.headers.get('retry-after')) > 0);
  const query = { code: first.code };
  const headers = { 'Idempotency-Key': 'k-1' };
  const { data: bought } = await purchase({ client, query, headers });
  assert.equal(bought?.total_purchased, 2);
  refused(await choose('bob', item(0)), 409, 'item_sold_out');
  assert.deepEqual(await items(sale.id, true), ids.slice(2));

  const again = refused(await purchase({ client, query }), 409, 'already_processed');
  assert.ok(again.result && 'success' in again.result);
  refused(await purchase({ client, query: { code: 'user_limit_exceeded' } }), 404, 'checkout_not_found');
  const wrong = refused(await choose('', item(3)), 400, 'validation_failed');
  assert.ok(wrong.errors?.['user_id']);

  // Administration, and what goes with it.
  refused(await adminSales({ client, body: { total_items: 1 } }), 401, 'unauthorized');
  const { data: made } = await adminSales({ client: shop, body: { items: [{ name: 'Lamp', stock: 3 }] } });
  assert.equal(made?.data.total_items, 3);
  const { data: record } = await adminCheckout({ client: shop, path: { code: first.code } });
  assert.equal(record?.status, 'purchased');
  const { data: state } = await health({ client });
  assert.ok(state?.conserved);
}

void main();

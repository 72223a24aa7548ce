// What was bought in the sale of a checkout, and what has become of it since.
//
// An order is `{ code, lines, isLate, isNews }`. It has no lines as long as it `isLate`: its payment came to no end in time,
// and may still arrive. It `isNews` while the visitor has not dismissed that the shop has cancelled something of it.

import { ask } from "./server.js";

// Answers after which nothing of a late payment will be heard any more.
const FORGOTTEN = ["checkout_not_found", "sale_not_active", "sale_not_found", "validation_failed"];

export const orders = {
  // Units that are the visitor's.
  units: (checkout, isMeant = () => true) =>
    checkout.orders
      .flatMap(({ lines }) => lines.filter(isMeant))
      .reduce((sum, { quantity, cancelled }) => sum + quantity - cancelled, 0),

  find: (checkout, code) => checkout.orders.find((each) => each.code === code),

  add(checkout, code, outcomes, cancelled) {
    if (orders.find(checkout, code)) return;
    const lines = bought(outcomes, cancelled);
    if (lines.length > 0) checkout.orders.push({ code, lines, isLate: false, isNews: unitsCancelled(lines) > 0 });
  },

  // The payment of a checkout has not come in time.
  addLate(checkout, code) {
    if (!orders.find(checkout, code)) checkout.orders.push({ code, lines: [], isLate: true, isNews: false });
  },

  remove(checkout, code) {
    checkout.orders = checkout.orders.filter((each) => each.code !== code);
  },
};

// Asks the shop for a checkout.
export const fetchCheckout = (code) => ask(`checkout?${new URLSearchParams({ code })}`);

// Writes down what the shop says of an order; returns "late" where a late payment has come, "cancelled" where something was
// cancelled, "forgotten" where nothing more will be heard of one, or nothing where all is as before.
export function updateOrder(checkout, code, { error, body }) {
  const order = orders.find(checkout, code);
  if (!order) return null;
  if (order.isLate && FORGOTTEN.includes(error)) {
    orders.remove(checkout, code);
    return "forgotten";
  }
  if (error !== "already_processed") return null;
  const lines = bought(body.result.purchased_items, body.cancelled);
  // What is cancelled stays so: this answer is older than one that came before it.
  if (unitsCancelled(lines) < unitsCancelled(order.lines)) return null;
  const isOther = JSON.stringify(lines) !== JSON.stringify(order.lines);
  const { isLate } = order;
  if (isOther || isLate) Object.assign(order, { lines, isLate: false, isNews: unitsCancelled(lines) > 0 });
  if (lines.length === 0) orders.remove(checkout, code);
  if (isLate) return "late";
  return isOther ? "cancelled" : null;
}

const unitsCancelled = (lines) => lines.reduce((sum, { cancelled }) => sum + cancelled, 0);

function bought(outcomes, cancelled = []) {
  const units = new Map(cancelled.map(({ id, quantity }) => [id, quantity]));
  const sold = outcomes.filter((line) => line.sold);
  return sold.map(({ id, name, quantity = 1 }) => ({ id, name, quantity, cancelled: units.get(id) ?? 0 }));
}

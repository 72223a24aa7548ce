// The checkouts of whoever uses this browser, one for each sale and visitor, with what was bought there, and the purchases
// that were asked for and have no answer yet. Both outlive a reload, and another sale in the place of the one shown.

import { kept } from "./kept.js";
import { now } from "./server.js";

// More than anybody has at once. The oldest makes room.
const CHECKOUTS_MAX = 32;
const PURCHASES_MAX = 32;

// For so long behind its end the shop is asked what has become of a payment. Whoever has no answer by then asks the shop.
const AWAITED_MS = 86_400_000;

// Nothing is chosen.
const empty = () => ({ code: null, count: 0, lines: [], held_until_ms: null, paid_until_ms: null });

const all = (name) => {
  const found = kept.get(name);
  return Array.isArray(found) ? found : [];
};
// Whether the shop has yet to say what has become of a payment: of one that reserves what is paid, or of one that it only hears of.
export const isPaying = ({ code, paid_until_ms, pays, reserves }) => Boolean(code && (paid_until_ms || (pays && !reserves)));

// A payment may outlive its sale, and may come late.
const isAwaited = (checkout) => isPaying(checkout) || checkout.orders.some(({ isLate }) => isLate);

// Only the shop says that a payment has come to an end: no clock does.
function isOver(checkout) {
  const end_ms = Math.max(checkout.ends_ms, checkout.paid_until_ms);
  return end_ms + (isAwaited(checkout) ? AWAITED_MS : 0) <= now();
}

// The checkouts. One that an older page has kept may lack something.
const known = () => all("checkouts").map((each) => ({ ...empty(), orders: [], ...each }));

// What is in the checkout of a visitor, and what they have bought in its sale.
export const checkouts = {
  find: (sale, user) => known().find((each) => each.sale === sale && each.user === user),

  of({ id, ends_ms }, user) {
    const found = checkouts.find(id, user) ?? { ...empty(), sale: id, user, orders: [] };
    return { ...found, ends_ms };
  },

  // Those of a visitor whose sales are not over.
  all: (user) => known().filter((each) => each.user === user && !isOver(each)),

  // Those of other sales in which there is something to buy.
  besides(sale, user) {
    return checkouts.all(user).filter((each) => each.sale !== sale?.id && each.code);
  },

  keep(checkout) {
    const { sale, user } = checkout;
    const isOther = (each) => each.sale !== sale || each.user !== user;
    const others = known().filter((each) => isOther(each) && !isOver(each));
    kept.set("checkouts", [...others.slice(1 - CHECKOUTS_MAX), checkout]);
  },

  // The sale is over. What is awaited of it is kept.
  forget(sale, user) {
    const isMeant = (each) => each.sale === sale && each.user === user && !isAwaited(each);
    kept.set(
      "checkouts",
      known().filter((each) => !isMeant(each)),
    );
  },

  // Writes down what the shop says is in a checkout; nothing, where it is over.
  fill(checkout, { items: lines, items_count: count, held_until }) {
    if (lines.length === 0) return checkouts.clear(checkout);
    checkout.lines = lines;
    checkout.count = count ?? lines.reduce((sum, { quantity }) => sum + quantity, 0);
    checkout.held_until_ms = held_until ? Date.parse(held_until) : null;
    return checkout;
  },

  clear: (checkout) => Object.assign(checkout, empty()),
};

// `{ code, key, sale, user }` each.
export const purchases = {
  find: (code) => all("purchases").find((each) => each.code === code),
  of: (user) => all("purchases").filter((each) => each.user === user),

  add(purchase) {
    if (purchases.find(purchase.code)) return;
    kept.set("purchases", [...all("purchases").slice(1 - PURCHASES_MAX), purchase]);
  },

  // Whether it was there still.
  remove(code) {
    const before = all("purchases");
    const after = before.filter((each) => each.code !== code);
    if (after.length < before.length) kept.set("purchases", after);
    return after.length < before.length;
  },
};

// The checkouts of whoever uses this browser, one for each sale and visitor, with what was bought there, and the purchases
// that were asked for and have no answer yet. Both outlive a reload, and another sale in the place of the one shown.

import { kept } from "./kept.js";
import { now } from "./server.js";

// More than anybody has at once. The oldest makes room.
const CHECKOUTS_MAX = 32;
const PURCHASES_MAX = 32;

// Nothing is chosen.
const empty = () => ({ code: null, count: 0, lines: [], held_until_ms: null, paid_until_ms: null });

const all = (name) => {
  const found = kept.get(name);
  return Array.isArray(found) ? found : [];
};
// A sale waits for its last payment.
const isOver = ({ ends_ms, paid_until_ms }) => Math.max(ends_ms, paid_until_ms) <= now();

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

  // The sale is over.
  forget(sale) {
    kept.set(
      "checkouts",
      all("checkouts").filter((each) => each.sale !== sale),
    );
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

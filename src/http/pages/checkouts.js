// The checkouts of whoever uses this browser, one for each sale and visitor, and the purchases that were
// asked for and have no answer yet. Both outlive a reload, and another sale in the place of the one shown.

import { kept } from "./kept.js";
import { now } from "./server.js";

// More than anybody has at once. The oldest makes room.
const CHECKOUTS_MAX = 32;
const PURCHASES_MAX = 32;

// Nothing is chosen.
const empty = () => ({ code: null, count: 0, lines: [], held_until_ms: null });

// The name under which something of `id` is kept: not one that every object has already.
const slot = (id) => `:${id}`;

const all = (name) => {
  const found = kept.get(name);
  return Array.isArray(found) ? found : [];
};
const isOver = ({ ends_ms }) => ends_ms <= now();

// What is in the checkout of a visitor, and what they have bought in its sale.
export const checkouts = {
  find: (sale, user) =>
    all("checkouts").find((each) => each.sale === sale && each.user === user),

  of({ id, ends_ms }, user) {
    const found = checkouts.find(id, user) ?? { sale: id, user, bought: {}, ...empty() };
    return { ...found, ends_ms };
  },

  // Those of other sales in which there is something to buy.
  besides(sale, user) {
    const isOther = (each) => each.user === user && each.sale !== sale?.id;
    return all("checkouts").filter((each) => isOther(each) && each.code && !isOver(each));
  },

  keep(checkout) {
    const { sale, user } = checkout;
    const isOther = (each) => each.sale !== sale || each.user !== user;
    const others = all("checkouts").filter((each) => isOther(each) && !isOver(each));
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

export const bought = {
  of: (checkout, id) => checkout.bought[slot(id)] ?? 0,
  sum: (checkout) => Object.values(checkout.bought).reduce((sum, units) => sum + units, 0),

  add(checkout, outcomes) {
    for (const { id, sold, quantity = 1 } of outcomes) {
      if (sold) checkout.bought[slot(id)] = bought.of(checkout, id) + quantity;
    }
  },
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

// The visitor's checkout: what is in it, buying or paying it, and what has become of that.

import { checkouts, purchases } from "./checkouts.js";
import { learn, lookAt, orders } from "./orders.js";
import { Result, row } from "./result.js";
import { insist, isLost, lasts, now, random, scattered } from "./server.js";
import { clock, items, number, wordsFor } from "./words.js";

const BUY_ATTEMPTS = 6;
const CHOOSE_ATTEMPTS = 3;
// After so many attempts without an answer a purchase rests for a while.
const REST_MS = 20_000;
// It grows up to this: what has no answer for long will not have one soon.
const REST_MS_MAX = 600_000;
// How often the shop is asked for a payment that is under way; up to twice as long, so that not all ask at once.
const PAYMENT_MS = 2_000;
// Answers after which a checkout is no more, or never was one.
const ENDINGS = [
  "all_items_sold",
  "checkout_expired",
  "checkout_not_found",
  "already_processed",
  "sale_not_active",
  "sale_not_found",
  "validation_failed",
];

// Answers to who gives an item back that is not in the checkout any more: an answer was lost, or another tab was faster.
const GONE = ["item_not_in_checkout", "checkout_not_found"];

const NO_SALE = { id: null, ends_ms: null };

const $ = (id) => document.getElementById(id);

export class Basket {
  // `pay_page` is where buyers pay, if anywhere. `notify` is called whenever items have changed for this visitor; with
  // `true`, when some were bought or cancelled.
  constructor(user, pay_page, notify) {
    [this.pay_page, this.notify] = [pay_page, notify];
    [this.sale, this.user] = [null, user];
    this.state = checkouts.of(NO_SALE, user);
    this.result = new Result((code) => this.dismiss(code));
    // Purchases and payments that are being asked for, by code.
    this.running = new Map();
    this.again_ms = 0;
    this.rest_ms = REST_MS;
    this.follow_ms = 0;
    // Items that are being given back, by id.
    this.returning = new Set();
    // Orders of which the visitor has been told that something was cancelled.
    this.told = new Set();
    // Choices that had no answer, `{ key, quantity }` by item: nobody knows whether they are in the checkout.
    this.unanswered = new Map();
    $("buy").addEventListener("click", () => this.buyOrPay(this.state));
    $("give-all").addEventListener("click", () => this.giveBack(null));
    $("message-close").addEventListener("click", () => this.say(null));
    // Another tab of the same visitor.
    addEventListener("storage", () => this.sale && this.load());
  }

  // Turns to a sale, or to none, and a visitor.
  open(sale, user) {
    [this.sale, this.user] = [sale, user];
    this.unanswered.clear();
    // The page may have been left before an answer came.
    this.again_ms = 0;
    this.load();
    this.look(this.state);
    this.review();
  }

  load() {
    this.state = checkouts.of(this.sale ?? NO_SALE, this.user);
    this.state.pays = this.sale?.pays;
    this.show();
    this.notify();
  }

  save() {
    checkouts.keep(this.state);
    this.show();
    this.notify();
  }

  // The checkout of a sale and a visitor, as it was written down last; another tab may have done that.
  kept(sale, user) {
    if (this.state.sale !== sale || this.state.user !== user) return checkouts.find(sale, user);
    Object.assign(this.state, checkouts.find(sale, user));
    return this.state;
  }

  has = (id) => this.state.lines.some((line) => line.id === id);
  bought = (id) => orders.units(this.state, (line) => line.id === id);

  own = () => this.state.lines.reduce((sum, line) => sum + line.quantity, 0);
  // Units of the checkout that are not among the lines: they were chosen elsewhere, or unheard.
  besides = () => Math.max(0, this.state.count - this.own());

  // Puts an item into the checkout; the problem, when it was refused.
  async choose(item, units) {
    const [sale, user] = [this.sale, this.user];
    const hasTurned = () => sale !== this.sale || user !== this.user;
    // A purchase without an answer comes first: the item could become a part of it, unasked.
    for (const purchase of purchases.of(user).filter((each) => each.sale === sale.id)) {
      const answer = await this.settle(purchase);
      if (hasTurned()) return null;
      if (purchases.find(purchase.code)) return answer;
    }
    // One that had no answer is asked for again as it was: the shop may have done it.
    const choice = this.unanswered.get(item.id) ?? { key: random(), quantity: units };
    this.unanswered.set(item.id, choice);
    const { key } = choice;
    let { quantity } = choice;
    const wanted = { user_id: user, id: item.id, sale_id: sale.id };
    if (quantity > 1) wanted.quantity = quantity;
    const answer = await insist(`checkout?${new URLSearchParams(wanted)}`, key, {
      attempts: CHOOSE_ATTEMPTS,
      onWait: (problem) => this.say(problem),
    });
    if (hasTurned()) return null;
    if (lasts(answer)) this.unanswered.delete(item.id);
    // It was chosen elsewhere, or before this page was loaded: one unit at least.
    const isThere = answer.error === "item_already_in_checkout" && answer.body.code;
    if (isThere) quantity = 1;
    this.say(answer.ok || isThere ? null : answer);
    if (!answer.ok && !isThere) return answer;
    // A look at the checkout may have found it there already.
    this.state.lines = this.state.lines.filter((line) => line.id !== item.id);
    this.begin(answer.body, quantity);
    this.state.lines.push({ id: item.id, name: item.name, quantity });
    // Who sees the page sees it in the checkout.
    $("spoken").textContent = `${item.name} is in your checkout: ${items(this.state.count)}.`;
    this.save();
    return null;
  }

  // Gives an item of the checkout back, so that others can have it, or `units` of it; with `null` all that is in it.
  async giveBack(item, units = item?.quantity) {
    const { code } = this.state;
    const isPart = units < item?.quantity;
    const given = item ? { code, id: item.id } : { code };
    if (isPart) given.quantity = units;
    const marked = item ? [item.id] : this.state.lines.map((line) => line.id);
    marked.forEach((id) => this.returning.add(id));
    this.show();
    // Asked again, other units of the same item would go.
    const attempts = isPart ? 1 : CHOOSE_ATTEMPTS;
    const answer = await insist(`release?${new URLSearchParams(given)}`, random(), {
      attempts,
      onWait: (problem) => this.say(problem),
    });
    marked.forEach((id) => this.returning.delete(id));
    // The page may be about another checkout by now.
    if (this.state.code !== code) return this.show();
    this.say(answer.ok || GONE.includes(answer.error) ? null : answer);
    if (answer.ok) fill(this.state, answer.body);
    else if (answer.error === "item_not_in_checkout") this.state.lines = this.state.lines.filter(({ id }) => id !== item.id);
    else if (ENDINGS.includes(answer.error)) this.end(this.state, answer);
    if (answer.ok || GONE.includes(answer.error)) {
      $("spoken").textContent = `${item?.name ?? "All of it"} is given back.`;
      if (document.activeElement === document.body) $("basket-title").focus();
    }
    this.save();
    if (isPart && isLost(answer)) await this.look(this.state);
  }

  // The checkout that an answer is about, into which units have come.
  begin({ code, items_count = 0, held_until }, quantity) {
    const { state } = this;
    if (state.code !== code) Object.assign(checkouts.clear(state), { code });
    // An answer that was lost at first is older than others.
    state.count = Math.max(state.count, items_count, this.own() + quantity);
    if (held_until) state.held_until_ms = Date.parse(held_until);
  }

  buyOrPay(checkout) {
    if (checkout.pays) this.pay(checkout);
    else this.buy(checkout);
  }

  // Buys what is in a checkout.
  buy({ code, sale, user }) {
    if (!code) return;
    // With the key an answer that was lost can be asked for again: nothing is bought twice.
    const purchase = purchases.find(code) ?? { code, key: random(), sale, user };
    purchases.add(purchase);
    this.settle(purchase);
  }

  // Asks for what becomes of a purchase until it is known. Whoever comes meanwhile waits for the same answer.
  settle(purchase) {
    const { code } = purchase;
    if (!this.running.has(code)) this.running.set(code, this.insist(purchase));
    this.show();
    return this.running.get(code);
  }

  async insist(purchase) {
    const { code, key } = purchase;
    const answer = await insist(
      `purchase?code=${encodeURIComponent(code)}`,
      key,
      { attempts: BUY_ATTEMPTS, onWait: (problem) => this.say(problem) },
    );
    this.running.delete(code);
    this.say(answer.ok ? null : answer);
    if (answer.ok || ENDINGS.includes(answer.error)) this.conclude(purchase, answer);
    else this.again_ms = performance.now() + this.rest() + scattered(REST_MS);
    this.show();
    this.notify(answer.ok);
    return answer;
  }

  // How long is waited before purchases without an answer are asked for again.
  rest() {
    const rest_ms = this.rest_ms;
    this.rest_ms = Math.min(2 * rest_ms, REST_MS_MAX);
    return rest_ms;
  }

  // The answer to a purchase is there. By now this page may be about something else than what was bought.
  conclude(purchase, answer) {
    this.rest_ms = REST_MS;
    // What had no answer has been bought with it, or is no more.
    this.unanswered.clear();
    purchases.remove(purchase.code);
    this.end(purchase, answer);
  }

  // Begins the payment of a checkout, which reserves what is in it for a while, and goes where it is paid.
  async pay(checkout) {
    const { code } = checkout;
    if (!code || this.running.has(code)) return;
    const answered = insist(`payment?code=${encodeURIComponent(code)}`, random(), {
      attempts: BUY_ATTEMPTS,
      onWait: (problem) => this.say(problem),
    });
    this.running.set(code, answered);
    this.show();
    const answer = await answered;
    this.running.delete(code);
    this.say(answer.ok ? null : answer);
    this.heed(checkout, answer, true);
    this.show();
    if (answer.ok && this.pay_page) location.assign(addressToPay(this.pay_page, code));
  }

  // Asks the shop what is in a checkout, or what has become of it.
  async look(checkout) {
    const { code, sale, user } = checkout;
    if (!code || purchases.find(code)) return;
    const seen = () => JSON.stringify(this.kept(sale, user));
    const before = seen();
    const answer = await lookAt(code);
    // It has changed meanwhile, or is about to: the answer may be older than that.
    if (this.running.has(code) || this.returning.size > 0 || seen() !== before) return;
    const isLate = answer.error === "checkout_expired" && checkout.paid_until_ms;
    if (isLate) this.say({ error: "payment_expired" });
    else if (ENDINGS.includes(answer.error) && answer.error !== "already_processed") this.say(answer);
    this.heed(checkout, answer, false);
  }

  // What an answer says of a checkout as it is now.
  heed({ code, sale, user }, answer, isPaid) {
    const checkout = this.kept(sale, user);
    if (checkout?.code !== code) return;
    const before = JSON.stringify(checkout);
    if (ENDINGS.includes(answer.error)) {
      this.end(checkout, answer);
    } else {
      if (answer.ok) fill(checkout, answer.body);
      if (answer.ok && isPaid) checkout.paid_until_ms = checkout.held_until_ms;
      if (JSON.stringify(checkout) === before) return;
      checkouts.keep(checkout);
    }
    this.show();
    this.notify(answer.error === "already_processed");
  }

  // A checkout is over, as an answer says.
  end({ code, sale, user }, { error, body }) {
    const result = error === "already_processed" ? body.result : body;
    const outcomes = result?.purchased_items ?? [];
    if (outcomes.length > 0) this.result.show(result, code);
    const checkout = this.kept(sale, user);
    if (!checkout) return;
    orders.add(checkout, code, outcomes);
    if (checkout.code === code) {
      if (error === "checkout_expired" && checkout.paid_until_ms) orders.addLate(checkout, code);
      checkouts.clear(checkout);
    }
    checkouts.keep(checkout);
  }

  // Asks what has become of what was bought: the shop may have cancelled it, and a late payment may have come.
  async review() {
    const { user } = this;
    for (const { sale, orders: known } of checkouts.all(user)) {
      for (const { code } of known) {
        const answer = await lookAt(code);
        const checkout = this.kept(sale, user);
        if (checkout) this.tellOf(checkout, code, answer);
      }
    }
  }

  tellOf(checkout, code, answer) {
    const change = learn(checkout, code, answer);
    if (change) checkouts.keep(checkout);
    if (change === "late") {
      this.result.show(answer.body.result, code);
      this.say(null);
    }
    const order = orders.find(checkout, code);
    // Once, until the page is loaded again.
    if (order?.isNews && (change || !this.told.has(code))) {
      this.told.add(code);
      this.result.showCancelled(order);
    }
    if (!change) return;
    this.show();
    this.notify(true);
  }

  // The visitor has read what has become of an order.
  dismiss(code) {
    for (const { sale, user } of checkouts.all(this.user)) {
      const checkout = this.kept(sale, user);
      const order = orders.find(checkout, code);
      if (!order?.isNews) continue;
      order.isNews = false;
      if (order.lines.every(({ quantity, cancelled }) => cancelled === quantity)) orders.remove(checkout, code);
      checkouts.keep(checkout);
    }
  }

  // Whether a payment that ran out may still come.
  awaitsLate = () => checkouts.all(this.user).some((each) => each.orders.some(({ isLate }) => isLate));

  show() {
    const { code, count, lines, paid_until_ms } = this.state;
    const had = orders.units(this.state);
    const empty = !code;
    $("checkout").dataset.empty = empty;
    $("basket").replaceChildren(
      ...lines.map((line) => this.line(line)),
    );
    const besides = this.besides();
    if (besides > 0) $("basket").append(row(`and ${items(besides)} besides`, ""));
    $("basket-count").textContent = empty ? "" : items(count);
    $("basket-code").textContent = code ?? "";
    $("basket-full").hidden = empty;
    $("basket-empty").hidden = !empty;
    $("basket-panel").hidden = !this.sale;
    $("basket-panel").dataset.paid = Boolean(paid_until_ms);
    const limit = `At most ${items(this.sale?.limit)} for each person in this sale`;
    $("basket-limit").textContent =
      had > 0 ? `${limit}; you have bought ${number(had)}.` : `${limit}.`;
    this.label($("buy"), this.state);
    $("give-all").hidden = count < 2;
    $("give-all").disabled = this.isFixed();
    const others = checkouts.besides(this.sale, this.user);
    $("others").hidden = others.length === 0;
    $("others-lines").replaceChildren(...others.map((each) => this.other(each)));
    this.tick();
  }

  // What is being bought cannot be given back.
  isFixed = () => this.returning.size > 0 || this.running.has(this.state.code) || Boolean(purchases.find(this.state.code));

  // An item of the checkout, with the buttons that give it back.
  line(item) {
    const { id, name, quantity, reserved } = item;
    const isGone = this.state.paid_until_ms && reserved === false;
    const line = row(name, isGone ? "gone" : quantity > 1 ? `× ${quantity}` : "");
    line.dataset.gone = Boolean(isGone);
    const add = (text, what, units) => {
      const button = document.createElement("button");
      button.className = "close";
      button.textContent = text;
      button.setAttribute("aria-label", `Give ${what} back`);
      button.title = units === quantity ? "Give back" : "Give one back";
      button.disabled = this.isFixed();
      button.addEventListener("click", () => this.giveBack(item, units));
      line.lastChild.append(" ", button);
    };
    if (quantity > 1) add("−", `one ${name}`, 1);
    add("×", name, quantity);
    line.dataset.item = id;
    return line;
  }

  // What a button that buys a checkout says.
  label(button, { code, count, lines, pays, paid_until_ms }) {
    const isRunning = this.running.has(code);
    button.disabled = isRunning || !code;
    const reserved = lines.filter((line) => line.reserved).reduce((sum, { quantity }) => sum + quantity, 0);
    if (isRunning) button.textContent = pays ? "One moment…" : "Buying…";
    else if (purchases.find(code)) button.textContent = "Ask again";
    else if (pays) button.textContent = `Pay for ${items(paid_until_ms ? reserved : count)}`;
    else button.textContent = `Buy ${items(count)}`;
  }

  // A checkout in another sale, which goes on while this one is shown.
  other(checkout) {
    const line = row(`Sale ${checkout.sale}`, "");
    const button = document.createElement("button");
    button.className = "button";
    button.addEventListener("click", () => this.buyOrPay(checkout));
    this.label(button, checkout);
    line.lastChild.append(button);
    return line;
  }

  // Once a second: how long things are held, and what still has no answer.
  tick() {
    if (performance.now() >= this.again_ms) {
      this.again_ms = Infinity;
      purchases.of(this.user).forEach((purchase) => this.settle(purchase));
    }
    if (performance.now() >= this.follow_ms && !document.hidden) {
      this.follow_ms = performance.now() + PAYMENT_MS + scattered(PAYMENT_MS);
      checkouts.all(this.user).filter((each) => each.paid_until_ms).forEach((each) => this.look(each));
    }
    if (this.sale && this.state.code) $("basket-hold").textContent = this.holdWords();
  }

  // For how long the checkout has its items; the time is not known at first. All of it is as short as the time: a second line
  // would move the button under a finger.
  holdWords() {
    const { held_until_ms, paid_until_ms } = this.state;
    const paid_ms = paid_until_ms - now();
    if (paid_until_ms && paid_ms > 0) return `Reserved for you for ${clock(paid_ms / 1000)}.`;
    if (paid_until_ms) return paid_ms <= 0 ? "The time to pay is over." : "";
    const left_ms = Math.min(held_until_ms, this.sale.ends_ms) - now();
    if (!this.sale.hold && this.state.pays) return "Reserved as soon as you pay.";
    if (!this.sale.hold) return "Nothing is reserved: an item belongs to whoever buys it first.";
    if (Number.isNaN(left_ms)) return "";
    if (!held_until_ms) return "Held for you for a while.";
    if (left_ms > 0) return `Held for you for ${clock(left_ms / 1000)}.`;
    return "Your items may be gone by now.";
  }

  // The sale is over. A purchase without an answer still gets it, and so does a payment.
  close() {
    const { code, sale, paid_until_ms } = this.state;
    if (code && !purchases.find(code) && !paid_until_ms) this.say({ error: "ended_before_purchase" });
    if (!paid_until_ms) checkouts.forget(sale);
    this.open(null, this.user);
  }

  // What is wrong, or nothing any more.
  say(problem) {
    $("message").hidden = !problem;
    if (problem) $("checkout").hidden = false;
    const { title, advice } = problem ? wordsFor(problem) : {};
    $("message-title").textContent = title ?? "";
    $("message-advice").textContent = advice ?? "";
  }
}

// Writes down what the shop says is in a checkout; nothing, where it is over.
function fill(checkout, { items: lines, items_count: count, held_until }) {
  if (lines.length === 0) return checkouts.clear(checkout);
  checkout.lines = lines;
  checkout.count = count ?? lines.reduce((sum, { quantity }) => sum + quantity, 0);
  checkout.held_until_ms = held_until ? Date.parse(held_until) : null;
  return checkout;
}

// Whoever has paid comes back to this page.
function addressToPay(page, code) {
  const address = new URL(page);
  address.searchParams.set("code", code);
  address.searchParams.set("return", new URL("./", document.baseURI).href);
  return address.href;
}

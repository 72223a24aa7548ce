// The visitor's checkout: what is in it, buying it, and what came of that.

import { bought, checkouts, purchases } from "./checkouts.js";
import { insist, lasts, now, random, scattered } from "./server.js";
import { clock, items, number, wordsFor } from "./words.js";

const BUY_ATTEMPTS = 6;
const CHOOSE_ATTEMPTS = 3;
// After so many attempts without an answer a purchase rests for a while.
const REST_MS = 20_000;
// It grows up to this: what has no answer for long will not have one soon.
const REST_MS_MAX = 600_000;
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
  // `notify` is called whenever items have changed for this visitor; with `true`, when some were bought.
  constructor(user, notify) {
    this.notify = notify;
    [this.sale, this.user] = [null, user];
    this.state = checkouts.of(NO_SALE, user);
    // Purchases that are being asked for, by code.
    this.running = new Map();
    this.again_ms = 0;
    this.rest_ms = REST_MS;
    // Items that are being given back, by id.
    this.returning = new Set();
    // Choices that had no answer, `{ key, quantity }` by item: nobody knows whether they are in the checkout.
    this.unanswered = new Map();
    $("buy").addEventListener("click", () => this.buy(this.state));
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
  }

  load() {
    this.state = checkouts.of(this.sale ?? NO_SALE, this.user);
    this.show();
    this.notify();
  }

  save() {
    checkouts.keep(this.state);
    this.show();
    this.notify();
  }

  has = (id) => this.state.lines.some((line) => line.id === id);
  bought = (id) => bought.of(this.state, id);

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
    this.begin(answer.body, quantity);
    this.state.lines.push({ id: item.id, name: item.name, quantity });
    // Who sees the page sees it in the checkout.
    $("spoken").textContent = `${item.name} is in your checkout: ${items(this.state.count)}.`;
    this.save();
    return null;
  }

  // Gives an item of the checkout back, so that others can have it.
  async giveBack(item) {
    const { code } = this.state;
    this.returning.add(item.id);
    this.show();
    const answer = await insist(`release?${new URLSearchParams({ code, id: item.id })}`, random(), {
      attempts: CHOOSE_ATTEMPTS,
      onWait: (problem) => this.say(problem),
    });
    this.returning.delete(item.id);
    // The page may be about another checkout by now.
    if (this.state.code !== code) return this.show();
    const isGone = GONE.includes(answer.error);
    if (answer.ok || isGone) this.remove(item, answer);
    else if (ENDINGS.includes(answer.error)) checkouts.clear(this.state);
    this.say(answer.ok || isGone ? null : answer);
    this.save();
  }

  // The item is in the checkout no longer, in which there is what the answer says.
  remove(item, { body, error }) {
    const { state } = this;
    state.lines = state.lines.filter((line) => line.id !== item.id);
    state.count = body.items_count ?? state.count - item.quantity;
    if (state.count <= 0 || error === "checkout_not_found") checkouts.clear(state);
    $("spoken").textContent = `${item.name} is given back.`;
    if (document.activeElement === document.body) $("basket-title").focus();
  }

  // The checkout that an answer is about, into which units have come.
  begin({ code, items_count = 0, held_until }, quantity) {
    const { state } = this;
    if (state.code !== code) Object.assign(checkouts.clear(state), { code });
    // An answer that was lost at first is older than others.
    state.count = Math.max(state.count, items_count, this.own() + quantity);
    if (held_until) state.held_until_ms = Date.parse(held_until);
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
    const result = answer.error === "already_processed" ? answer.body.result : answer.body;
    const outcomes = result?.purchased_items ?? [];
    if (outcomes.length > 0) this.showResult(result, code);
    this.say(answer.ok ? null : answer);
    if (answer.ok || ENDINGS.includes(answer.error)) this.conclude(purchase, outcomes);
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
  conclude({ code, sale, user }, outcomes) {
    this.rest_ms = REST_MS;
    // What had no answer has been bought with it, or is no more.
    this.unanswered.clear();
    const isFirst = purchases.remove(code);
    // Another tab has written it down.
    if (!isFirst) return this.load();
    const isShown = this.state.sale === sale && this.state.user === user;
    const checkout = isShown ? this.state : checkouts.find(sale, user);
    if (!checkout) return;
    bought.add(checkout, outcomes);
    if (checkout.code === code) checkouts.clear(checkout);
    checkouts.keep(checkout);
  }

  show() {
    const { code, count, lines } = this.state;
    const had = bought.sum(this.state);
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
    const limit = `At most ${items(this.sale?.limit)} for each person in this sale`;
    $("basket-limit").textContent =
      had > 0 ? `${limit}; you have bought ${number(had)}.` : `${limit}.`;
    this.label($("buy"), this.state);
    const others = checkouts.besides(this.sale, this.user);
    $("others").hidden = others.length === 0;
    $("others-lines").replaceChildren(...others.map((each) => this.other(each)));
    this.tick();
  }

  // An item of the checkout, with the button that gives it back.
  line(item) {
    const line = row(item.name, item.quantity > 1 ? `× ${item.quantity}` : "");
    const button = document.createElement("button");
    button.className = "close";
    button.textContent = "×";
    button.setAttribute("aria-label", `Give ${item.name} back`);
    button.title = "Give back";
    // What is being bought cannot be given back.
    button.disabled = this.returning.has(item.id) || Boolean(purchases.find(this.state.code));
    button.addEventListener("click", () => this.giveBack(item));
    line.lastChild.append(" ", button);
    return line;
  }

  // What a button that buys a checkout says.
  label(button, { code, count }) {
    const isRunning = this.running.has(code);
    button.disabled = isRunning || !code;
    if (isRunning) button.textContent = "Buying…";
    else button.textContent = purchases.find(code) ? "Ask again" : `Buy ${items(count)}`;
  }

  // A checkout in another sale, which goes on while this one is shown.
  other(checkout) {
    const line = row(`Sale ${checkout.sale}`, "");
    const button = document.createElement("button");
    button.className = "button";
    button.addEventListener("click", () => this.buy(checkout));
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
    const { code, held_until_ms } = this.state;
    if (!this.sale || !code) return;
    const left_ms = Math.min(held_until_ms, this.sale.ends_ms) - now();
    // What takes the place of the time is as short as it: a second line would move the button under a finger.
    let words = "Your items may be gone by now.";
    if (!this.sale.hold) words = "Nothing is reserved: an item belongs to whoever buys it first.";
    // The time is not known at first.
    else if (Number.isNaN(left_ms)) words = "";
    else if (!held_until_ms) words = "Held for you for a while.";
    else if (left_ms > 0) words = `Held for you for ${clock(left_ms / 1000)}.`;
    $("basket-hold").textContent = words;
  }

  // The sale is over. A purchase without an answer still gets it.
  close() {
    const { code, sale } = this.state;
    if (code && !purchases.find(code)) this.say({ error: "ended_before_purchase" });
    checkouts.forget(sale);
    this.open(null, this.user);
  }

  showResult(result, code) {
    const outcome = (item) => {
      const yours = item.quantity > 1 ? `${item.quantity} are yours` : "yours";
      const line = row(item.name, item.sold ? yours : "somebody else was faster");
      line.dataset.sold = item.sold;
      return line;
    };
    const { total_purchased: sold, failed_count: failed } = result;
    let title = `${sold} of ${sold + failed} are yours.`;
    if (failed === 0) title = sold === 1 ? "It is yours." : "All of it is yours.";
    if (sold === 0) title = "Nothing was left.";
    $("result-title").textContent = title;
    $("result-lines").replaceChildren(...result.purchased_items.map(outcome));
    $("result-code").textContent = code;
    $("result").hidden = $("checkout").hidden = false;
    // The button that was pressed is gone.
    if ([$("buy"), document.body].includes(document.activeElement)) $("result-title").focus();
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

function row(name, note) {
  const line = document.createElement("li");
  const [what, how] = [document.createElement("span"), document.createElement("span")];
  [what.textContent, how.textContent] = [name, note];
  line.append(what, how);
  return line;
}

// The visitor's checkout: what is in it, buying or paying it, and what has become of that.

import { checkouts, isPaying, purchases } from "./checkouts.js";
import { fetchCheckout, orders, updateOrder } from "./orders.js";
import { addressToPay, Polls } from "./payments.js";
import { Result, row } from "./result.js";
import { insist, isLost, lasts, now, random, scattered } from "./server.js";
import { holdWords, items, number, wordsFor } from "./words.js";

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
    this.polls = new Polls();
    // A review of the orders that is under way, and whether another is to follow it.
    [this.isReviewing, this.isReviewDue] = [false, false];
    // Items that are being given back, by id.
    this.returning = new Set();
    // Codes of orders whose cancellation this page has shown.
    this.announced = new Set();
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
    this.polls.hasten();
    this.load();
    this.readCheckout(this.state);
    this.review();
  }

  load() {
    this.state = checkouts.of(this.sale ?? NO_SALE, this.user);
    [this.state.pays, this.state.reserves] = [this.sale?.pays, this.sale?.reserves];
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

  // Returns a function that tells whether the page has turned to another sale or visitor since.
  watchTurn() {
    const [sale, user] = [this.sale, this.user];
    return () => sale !== this.sale || user !== this.user;
  }

  // Puts an item into the checkout; the problem, when it was refused.
  async choose(item, units) {
    const [sale, user, hasTurned] = [this.sale, this.user, this.watchTurn()];
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
    if (answer.ok) checkouts.fill(this.state, answer.body);
    else if (answer.error === "item_not_in_checkout") this.state.lines = this.state.lines.filter(({ id }) => id !== item.id);
    else if (ENDINGS.includes(answer.error)) this.end(this.state, answer);
    if (answer.ok || GONE.includes(answer.error)) {
      $("spoken").textContent = `${item?.name ?? "All of it"} is given back.`;
      if (document.activeElement === document.body) $("basket-title").focus();
    }
    this.save();
    if (isPart && isLost(answer)) await this.readCheckout(this.state);
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
    if (!checkout.reserves) return this.goToPay(code);
    const hasTurned = this.watchTurn();
    const answered = insist(`payment?code=${encodeURIComponent(code)}`, random(), {
      attempts: BUY_ATTEMPTS,
      onWait: (problem) => this.say(problem),
    });
    this.running.set(code, answered);
    this.show();
    const answer = await answered;
    this.running.delete(code);
    if (!hasTurned()) this.say(answer.ok ? null : answer);
    this.applyAnswer(checkout, answer, true);
    this.polls.hasten();
    this.show();
    // Somebody else may sit here by now, whose payment it is not.
    if (answer.ok && !hasTurned()) this.goToPay(code);
  }

  goToPay(code) {
    if (this.pay_page) location.assign(addressToPay(this.pay_page, code));
  }

  // The provider has led the visitor back, whose payment it says has failed. What is over by now needs no second one.
  async reportFailure() {
    const { user } = this;
    const paying = () => checkouts.all(user).filter(isPaying);
    await Promise.all(paying().map((each) => this.readCheckout(each)));
    if (user === this.user && paying().length > 0) this.say({ error: "payment_failed" });
  }

  // Asks the shop what is in a checkout, or what has become of it.
  async readCheckout(checkout) {
    const { code, sale, user } = checkout;
    if (!code || purchases.find(code)) return;
    const seen = () => JSON.stringify(this.kept(sale, user));
    const before = seen();
    const answer = await fetchCheckout(code);
    // It has changed meanwhile, or is about to: the answer may be older than that.
    if (user !== this.user || this.running.has(code) || this.returning.size > 0 || seen() !== before) return;
    const isLate = answer.error === "checkout_expired" && checkout.paid_until_ms;
    if (isLate) this.say({ error: "payment_expired" });
    else if (ENDINGS.includes(answer.error) && answer.error !== "already_processed") this.say(answer);
    this.applyAnswer(checkout, answer, false);
  }

  // Writes down what an answer says of a checkout as it is now.
  applyAnswer({ code, sale, user }, answer, isPaid) {
    const checkout = this.kept(sale, user);
    if (checkout?.code !== code) return;
    const before = JSON.stringify(checkout);
    if (ENDINGS.includes(answer.error)) {
      this.end(checkout, answer);
    } else {
      if (answer.ok) checkouts.fill(checkout, answer.body);
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
    orders.add(checkout, code, outcomes, body?.cancelled);
    this.showCancelled(checkout, code);
    if (checkout.code === code) {
      if (error === "checkout_expired" && checkout.paid_until_ms) orders.addLate(checkout, code);
      checkouts.clear(checkout);
    }
    checkouts.keep(checkout);
  }

  // Asks what has become of what was bought: the shop may have cancelled it, and a late payment may have come. One review
  // at a time, so that no answer is overtaken by an older one.
  async review() {
    this.isReviewDue = true;
    if (this.isReviewing) return;
    this.isReviewing = true;
    try {
      while (this.isReviewDue) {
        this.isReviewDue = false;
        await this.reviewOrders(this.user);
      }
    } finally {
      this.isReviewing = false;
    }
  }

  async reviewOrders(user) {
    for (const { sale, orders: known } of checkouts.all(user)) {
      for (const { code } of known) {
        const answer = await fetchCheckout(code);
        if (user !== this.user) return;
        const checkout = this.kept(sale, user);
        if (checkout) this.applyReview(checkout, code, answer);
      }
    }
  }

  applyReview(checkout, code, answer) {
    const change = updateOrder(checkout, code, answer);
    if (change) checkouts.keep(checkout);
    if (change === "late") {
      this.result.show(answer.body.result, code);
      this.say(null);
    }
    // Once, until the page is loaded again.
    if (change || !this.announced.has(code)) this.showCancelled(checkout, code);
    if (!change) return;
    this.show();
    this.notify(true);
  }

  // Shows what the shop has cancelled of an order, unless the visitor has read it.
  showCancelled(checkout, code) {
    const order = orders.find(checkout, code);
    if (!order?.isNews) return;
    this.announced.add(code);
    this.result.showCancelled(order);
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
  label(button, { code, count, lines, pays, reserves, paid_until_ms }) {
    const isRunning = this.running.has(code);
    const reserved = lines.filter((line) => line.reserved).reduce((sum, { quantity }) => sum + quantity, 0);
    const units = paid_until_ms ? reserved : count;
    // Where nothing is reserved, and there is no page to pay at, a buyer has nothing to do here.
    const isNowhere = pays && !reserves && !this.pay_page;
    button.disabled = isRunning || !code || units === 0 || isNowhere;
    if (isRunning) button.textContent = pays ? "One moment…" : "Buying…";
    else if (purchases.find(code)) button.textContent = "Ask again";
    else if (isNowhere) button.textContent = "The shop sells it once you have paid";
    else if (pays) button.textContent = units > 0 ? `Pay for ${items(units)}` : "Nothing is left to pay";
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
    if (this.polls.areDue() && !document.hidden) this.readPayments();
    if (this.sale && this.state.code) $("basket-hold").textContent = holdWords(this.sale, this.state, now());
  }

  // Asks for the payments that are under way.
  readPayments() {
    const paying = checkouts.all(this.user).filter(isPaying);
    paying.forEach((each) => this.readCheckout(each));
    this.polls.putOff(paying.map(({ paid_until_ms }) => paid_until_ms - now()));
  }

  // The sale is over. A purchase without an answer still gets it, and so does a payment.
  close() {
    const { code, sale, user } = this.state;
    if (code && !purchases.find(code) && !isPaying(this.state)) this.say({ error: "ended_before_purchase" });
    checkouts.forget(sale, user);
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

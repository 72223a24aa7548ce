// The items of a sale as cards, a page of them at a time.

import { ask } from "./server.js";
import { duration, number, wordsFor } from "./words.js";

const PAGE_ITEMS = 60;
const QUANTITIES_MAX = 10;
// After this time an item that is held may be asked for again in any case.
const HELD_SECONDS_MAX = 3_600;
const LABELS = {
  chosen: "Chosen",
  yours: "Yours",
  sold: "Sold",
  held: "Held",
  busy: "Choosing…",
  free: "Choose",
};

const $ = (id) => document.getElementById(id);

export class Items {
  constructor(basket) {
    this.basket = basket;
    this.cards = new Map();
    this.clear();
    $("more").addEventListener("click", () => this.more());
    $("available").addEventListener("change", () => this.open(this.sale));
  }

  clear() {
    this.sale = null;
    this.pages = [];
    this.next = null;
    this.cards.clear();
    $("list").replaceChildren();
    $("items").hidden = true;
  }

  // Shows the first items of a sale.
  async open(sale) {
    if (sale !== this.sale) $("available").checked = false;
    this.clear();
    this.sale = sale;
    const only = $("available").checked ? "&available=true" : "";
    this.next = `sales/${sale.id}/items?limit=${PAGE_ITEMS}${only}`;
    $("items").hidden = false;
    await this.more();
  }

  async more() {
    const [sale, path] = [this.sale, this.next];
    const focused = document.activeElement === $("more");
    this.setMore("Loading…", true);
    const answer = await ask(path);
    if (sale !== this.sale || path !== this.next) return;
    if (!answer.ok) {
      $("items-note").textContent = wordsFor(answer).title;
      this.setMore("Ask again", false);
      return;
    }
    const cards = answer.body.map((item) => this.cards.get(item.id) ?? new Card(item, this));
    cards.forEach((card) => this.cards.set(card.item.id, card));
    this.pages.push({ path, cards });
    $("list").append(...cards.map((card) => card.element));
    if (focused) cards[0]?.button.focus();
    this.next = answer.next;
    // Whoever comes late is shown what they can still have.
    const gone =
      this.pages.length === 1 && cards.length > 0 && cards.every((card) => card.item.sold);
    if (gone && sale.remaining > 0 && !$("available").checked) {
      $("available").checked = true;
      return this.open(sale);
    }
    this.setMore("Show more", false);
    $("more").hidden = !this.next;
    const shown = this.cards.size === 0 ? "Nothing is left." : "These are all.";
    $("items-note").textContent = this.next ? `${number(this.cards.size)} shown` : shown;
  }

  setMore(text, disabled) {
    $("more").hidden = false;
    $("more").textContent = text;
    $("more").disabled = disabled;
  }

  // Looks again at what is visible.
  async refresh() {
    // Where nothing was left there is nothing to look at again.
    if (this.sale?.remaining > 0 && this.cards.size === 0 && this.pages.length > 0) return this.open(this.sale);
    const box = (card) => card.element.getBoundingClientRect();
    const filled = this.pages.filter(({ cards }) => cards.length > 0);
    const visible = filled.filter(
      ({ cards }) => box(cards[0]).top < innerHeight && box(cards.at(-1)).bottom > 0,
    );
    for (const { path, cards } of visible) {
      const answer = await ask(path);
      if (!answer.ok || cards[0].element.parentElement === null) return;
      const news = new Map(answer.body.map((item) => [item.id, item]));
      const last = cards.findLastIndex((card) => news.has(card.item.id));
      cards.forEach((card, place) => {
        const found = news.get(card.item.id);
        if (found) card.update(found);
        // In a list of what is left, what is missing has gone. What lies behind the last one may have been
        // pushed off the page by something that came back.
        else if (place < last || !answer.next) card.lose();
      });
    }
  }

  // Shows again what this visitor has.
  redraw() {
    this.cards.forEach((card) => card.draw());
  }
}

class Card {
  constructor(item, list) {
    [this.item, this.list] = [item, list];
    this.element = $("card").content.firstElementChild.cloneNode(true);
    const find = (name) => this.element.querySelector(name);
    [this.stock, this.quantity, this.button] = [find(".stock"), find("select"), find("button")];
    find(".name").textContent = item.name;
    this.picture = find("img");
    this.picture.addEventListener("error", () => this.setPicture(drawn(item)), { once: true });
    this.setPicture(picture(item));
    this.button.addEventListener("click", () => this.choose());
    this.offerQuantities();
    this.draw();
  }

  // The quantities to choose from; the stock may change.
  offerQuantities() {
    const { stock, max_per_user = Infinity } = this.item;
    const most = Math.max(1, Math.min(stock, max_per_user, this.list.sale.limit, QUANTITIES_MAX));
    const { options } = this.quantity;
    for (let units = options.length + 1; units <= most; units += 1) this.quantity.add(new Option(String(units)));
    options.length = most;
    this.quantity.parentElement.hidden = most === 1;
  }

  setPicture(address) {
    this.picture.src = address;
  }

  update(news) {
    // What somebody held or bought comes back without a word; what was sold out is worth one.
    this.isBack = this.isBack ? news.remaining > 0 : this.item.sold && news.remaining > 0;
    Object.assign(this.item, news);
    this.offerQuantities();
    this.isLost = false;
    this.draw();
  }

  // Nothing of it is left. Where nobody can hold it, it is sold.
  lose() {
    const sold = this.item.sold || this.list.sale.hold + this.list.sale.payment === 0;
    Object.assign(this.item, { remaining: 0, sold });
    this.isLost = true;
    this.draw();
  }

  state() {
    const { basket } = this.list;
    const { id, stock, sold } = this.item;
    if (basket.has(id)) return "chosen";
    if (basket.bought(id) > 0 && stock === 1) return "yours";
    if (sold) return "sold";
    if (this.held) return "held";
    return this.busy ? "busy" : "free";
  }

  // What there is of the item.
  left(state) {
    const { id, stock, remaining, sold, max_per_user: limit } = this.item;
    if (stock !== 1) {
      const bought = this.list.basket.bought(id);
      const yours = bought > 0 ? ` · ${bought} yours` : "";
      const back = this.isBack ? " · back in stock" : "";
      const each = limit ? ` · at most ${number(limit)} each` : "";
      return `${number(remaining)} of ${number(stock)} left${back}${each}${yours}`;
    }
    if (state === "yours") return "Bought by you";
    if (sold) return "Gone";
    if (remaining > 0) return this.isBack ? "Back in stock" : "The only one";
    if (state === "chosen") return "Held for you";
    return this.isLost ? "Held or sold" : "Held by somebody";
  }

  draw() {
    const state = this.state();
    this.element.dataset.state = state;
    this.stock.textContent = this.left(state);
    const name = document.createElement("span");
    name.className = "unseen";
    name.textContent = ` ${this.item.name}`;
    this.button.replaceChildren(LABELS[state], name);
    // Not `disabled`, which would take the focus away from who has just pressed it.
    this.button.setAttribute("aria-disabled", String(state !== "free"));
    this.quantity.disabled = state !== "free";
  }

  async choose() {
    if (this.state() !== "free") return;
    this.busy = true;
    this.draw();
    const problem = await this.list.basket.choose(this.item, Number(this.quantity.value));
    this.busy = false;
    if (problem?.error === "item_held") this.hold(problem.retry_after_seconds ?? 5);
    this.draw();
    if (problem?.error === "item_sold_out") this.list.refresh();
  }

  // Somebody else has it for so long at least.
  hold(seconds) {
    this.held = true;
    if (this.item.stock === 1) this.item.remaining = 0;
    this.button.title = `It may come back in ${duration(seconds)}.`;
    setTimeout(
      () => {
        this.held = false;
        this.button.title = "";
        this.draw();
      },
      Math.min(seconds, HELD_SECONDS_MAX) * 1000,
    );
  }
}

const drawn = (item) => `images/${encodeURIComponent(item.id)}.svg`;

// The item's picture where it is on this server, or else one that the server draws.
function picture(item) {
  try {
    // What the server draws is beside this page, below whatever prefix that is.
    const named = item.image_url.replace(/^\/images\//, "images/");
    const address = new URL(named, document.baseURI);
    if (
      item.image_url &&
      address.origin === location.origin &&
      address.protocol === location.protocol
    )
      return address.href;
  } catch {
    // No address at all.
  }
  return drawn(item);
}

// Which sale is looked at, where several are open at once.

import { whole } from "./ops-format.js";

const PREFIX = "#sale=";

/** The sales that are open in a second, the one that began last first. */
export function salesOf({ sale, others }) {
  return sale ? [sale, ...others] : [];
}

/**
 * The choice: the sale that began last, until somebody chooses another one. The address remembers it, so that
 * it can be sent to somebody. A sale that is over cannot be looked at any more.
 */
export class Choice {
  #root = document.getElementById("sale");
  #select = this.#root.querySelector("select");
  #id = null;

  constructor(changed) {
    const read = () => {
      this.#id = location.hash.startsWith(PREFIX) ? location.hash.slice(PREFIX.length) : null;
      changed();
    };
    read();
    addEventListener("hashchange", read);
    this.#select.addEventListener("change", () => {
      this.#choose(this.#select.value || null);
      changed();
    });
  }

  /** The same seconds, each with the chosen sale as its sale. */
  of(seconds) {
    const last = seconds.at(-1);
    if (this.#id !== null && last && !salesOf(last).some(({ id }) => id === this.#id)) this.#choose(null);
    if (this.#id === null) return seconds;
    return seconds.map((second) => ({
      ...second,
      sale: salesOf(second).find(({ id }) => id === this.#id) ?? null,
      others: salesOf(second).filter(({ id }) => id !== this.#id),
    }));
  }

  draw({ last }) {
    const sales = last ? salesOf(last) : [];
    this.#root.hidden = sales.length < 2;
    this.#root.dataset.sales = String(sales.length);
    sales.sort((one, other) => Number(other.id) - Number(one.id));
    const shown = [...this.#select.options].slice(1);
    // What somebody is about to choose from moves only when it must.
    if (shown.map(({ value }) => value).join() !== sales.map(({ id }) => id).join()) {
      const options = sales.map(({ id }) => new Option("", id));
      this.#select.replaceChildren(new Option("the one that began last", ""), ...options);
    }
    sales.forEach(({ total, sold, id }, place) => {
      this.#select.options[place + 1].text = `${id} · ${whole(total - sold)} unsold`;
    });
    this.#select.value = this.#id ?? "";
  }

  #choose(id) {
    this.#id = id;
    history.replaceState(null, "", id === null ? location.pathname : `${PREFIX}${id}`);
  }
}

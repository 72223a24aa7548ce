// Why buyers are told no.

import { classOf, FAULTS, REFUSALS } from "./ops-class.js";
import { amount, counted, whole } from "./ops-format.js";
import { answers, covered } from "./ops-history.js";
import { bar, row, Rows, setBar } from "./ops-table.js";

/** Refusals by reason, the most frequent first. */
export class Refusals {
  #root = document.getElementById("refusals");
  #rows = new Rows(this.#root.querySelector("tbody"));
  #note = this.#root.querySelector(".note");
  #table = this.#root.querySelector("table");

  draw(view) {
    const reasons = refusals(view.seconds, view.recent);
    const sum = reasons.reduce((total, reason) => total + reason.count, 0);
    const most = reasons[0]?.count ?? 1;
    this.#rows.show(reasons, makeRow, (parts, reason) => {
      parts.words.textContent = REFUSALS[reason.code] ?? "Other";
      parts.code.textContent = reason.code;
      parts.element.dataset.state = FAULTS.has(reason.code) ? "bad" : "calm";
      setBar(parts.share, reason.count / most);
      parts.cells[1].textContent = amount(reason.rate);
      parts.cells[2].textContent = whole(reason.count);
    });
    this.#table.hidden = reasons.length === 0;
    this.#note.textContent =
      sum > 0 ? `${counted(sum, "refusal")} in the last ${view.windowName}` : `none in the last ${view.windowName}`;
    this.#root.dataset.points = String(reasons.length);
  }
}

/** The reasons within `seconds`: `{code, count, rate}`, the rate per second within `recent` alone. */
export function refusals(seconds, recent) {
  const counts = byCode(seconds);
  const now = byCode(recent);
  const length = covered(recent) || 1;
  return [...counts]
    .map(([code, count]) => ({ code, count, rate: (now.get(code) ?? 0) / length }))
    .sort((one, other) => other.count - one.count || one.code.localeCompare(other.code));
}

function byCode(seconds) {
  const counts = new Map();
  for (const [key, count] of answers(seconds)) {
    const [route, outcome] = key.split(" ");
    if (classOf(route, outcome) === "refused") counts.set(outcome, (counts.get(outcome) ?? 0) + count);
  }
  return counts;
}

function makeRow() {
  const parts = row(3);
  const [words, code] = [document.createElement("span"), document.createElement("code")];
  parts.heading.append(words, " ", code);
  return { ...parts, words, code, share: bar(parts.cells[0]) };
}

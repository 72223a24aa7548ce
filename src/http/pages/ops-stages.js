// Where the time goes: the stages of a request, and of what follows it.

import { decade, latency } from "./ops-format.js";
import { decadesAround, logarithmic } from "./ops-scale.js";
import { row, Rows } from "./ops-table.js";

const STAGES = {
  parse: "Parse",
  decide: "Decide",
  commit_wait: "Wait for commit",
  fsync: "fsync",
  apply_database: "Apply to Postgres",
  apply_redis: "Apply to Redis",
};
const FROM_US = 0.1;
/** The scale reaches this far at least. */
const TO_US_MIN = 1e6;

/** The stages, a row each, with median, tail and slowest on a common logarithmic scale. */
export class Stages {
  #root = document.getElementById("stages");
  #rows = new Rows(this.#root.querySelector("tbody"));
  #scale = this.#root.querySelector(".scale");

  draw({ last }) {
    const stages = last?.stages ?? {};
    const [, slowest] = decadesAround(Object.values(stages).map((figures) => figures.max), [FROM_US, TO_US_MIN]);
    const toUs = Math.max(TO_US_MIN, slowest);
    const part = logarithmic(FROM_US, toUs, 0, 100);
    this.#root.style.setProperty("--decade", `${part(FROM_US * 10)}%`);
    this.#scale.replaceChildren(...[FROM_US, toUs].map(end));
    this.#rows.show(Object.keys(STAGES), makeRow, (parts, stage) => {
      const figures = stages[stage];
      parts.heading.textContent = STAGES[stage];
      parts.range.hidden = !figures;
      if (figures) place(parts, figures, part);
      const [, p50, p99, max] = parts.cells;
      p50.textContent = latency(figures?.p50);
      p99.textContent = latency(figures?.p99);
      max.textContent = latency(figures?.max);
    });
    this.#root.dataset.points = String(Object.keys(stages).length);
  }
}

function end(us) {
  return Object.assign(document.createElement("span"), { textContent: decade(us) });
}

function place({ span, median, tail, slowest }, { p50, p99, max }, part) {
  span.style.left = `${part(p50)}%`;
  span.style.width = `${part(max) - part(p50)}%`;
  median.style.left = `${part(p50)}%`;
  tail.style.left = `${part(p99)}%`;
  slowest.style.left = `${part(max)}%`;
}

function makeRow() {
  const parts = row(4);
  const range = document.createElement("span");
  range.className = "range";
  const marks = ["span", "median", "tail", "slowest"].map((name) => {
    const mark = document.createElement("span");
    mark.className = name;
    range.append(mark);
    return [name, mark];
  });
  parts.cells[0].className = "graphic";
  parts.cells[0].append(range);
  return { ...parts, range, ...Object.fromEntries(marks) };
}

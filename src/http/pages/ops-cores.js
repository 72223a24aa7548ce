// What every core does: a worker has one of its own.

import { amount, percent, whole } from "./ops-format.js";
import { Lanes } from "./ops-lanes.js";
import { bar, row, Rows, setBar } from "./ops-table.js";

/** From here on a core is nearly at its end. */
const BUSY = 0.9;

/** How busy the cores were, and what each of them does now. */
export class Cores extends Lanes {
  lanes = [
    {
      title: "Busy",
      format: percent,
      lines: [
        { name: "mean", colour: "second", value: meanBusy },
        { name: "busiest", colour: "shown", value: mostBusy },
      ],
    },
    {
      title: "Answers a second",
      format: amount,
      least: 10,
      lines: [{ colour: "shown", value: requestRate }],
    },
  ];

  constructor(id, page) {
    super(id, page);
    this.rows = new Rows(this.root.querySelector("tbody"));
  }

  draw(view) {
    super.draw(view);
    const workers = view.last?.workers ?? [];
    const items = workers.map((worker, number) => ({ ...worker, number, seconds: view.last.seconds }));
    this.rows.show(items, makeRow, fillRow);
    const busy = workers.filter((worker) => worker.busy >= BUSY).length;
    this.note.textContent = busy > 0 ? `${busy} of ${workers.length} nearly at the end` : "";
    this.publish({ cores: workers.length });
  }
}

function makeRow() {
  const parts = row(4);
  return { ...parts, length: bar(parts.cells[0]) };
}

function fillRow({ heading, cells, length }, { number, busy, requests, seconds, connections }) {
  heading.textContent = String(number);
  setBar(length, busy);
  length.dataset.state = busy >= BUSY ? "warn" : "calm";
  cells[1].textContent = percent(busy);
  cells[2].textContent = amount(requests / seconds);
  cells[3].textContent = whole(connections);
}

function meanBusy({ workers }) {
  return workers.reduce((sum, { busy }) => sum + busy, 0) / (workers.length || 1);
}

function mostBusy({ workers }) {
  return Math.max(0, ...workers.map(({ busy }) => busy));
}

function requestRate({ workers, seconds }) {
  return workers.reduce((sum, { requests }) => sum + requests, 0) / seconds;
}

// How the journal gets onto the disk: batches, what is in one, and how long that takes.

import { amount, latency } from "./ops-format.js";
import { Lanes } from "./ops-lanes.js";

/** Commit and sync over time. */
export class Commit extends Lanes {
  lanes = [
    { title: "Batches a second", format: amount, least: 10, lines: [{ colour: "stock", value: batchRate }] },
    { title: "Records a batch", format: amount, least: 2, lines: [{ colour: "stock", value: batchSize }] },
    { title: "Commit wait", format: latency, scale: "log", lines: percentiles("commit_wait") },
    { title: "fsync", format: latency, scale: "log", lines: percentiles("fsync") },
  ];

  paint(view) {
    super.paint(view);
    const journal = view.last?.journal;
    const waiting = journal ? journal.appended_lsn - journal.durable_lsn : 0;
    this.note.textContent = waiting > 0 ? `${amount(waiting)} wait for the disk` : "nothing waits for the disk";
  }
}

function batchRate({ journal, seconds }) {
  return journal.batches / seconds;
}

function batchSize({ journal }) {
  return journal.batches > 0 ? journal.records / journal.batches : null;
}

/** The median and the tail of a stage, over ten seconds each. */
function percentiles(stage) {
  return [
    { name: "p50", colour: "second", value: ({ stages }) => stages[stage]?.p50 },
    { name: "p99", colour: "confirmed", value: ({ stages }) => stages[stage]?.p99 },
  ];
}

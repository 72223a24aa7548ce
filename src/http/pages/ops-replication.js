// The replicated log: who leads, how far this server is, and how long an append takes.

import { amount, counted, duration, latency } from "./ops-format.js";
import { Lanes } from "./ops-lanes.js";

/** A leader that has not heard the log for so long answers nothing. */
const FRESH_SECONDS = 2;
/** A standby that is so far behind deserves a look. */
const LAG_RECORDS = 10_000;

/** The lag and the appends over time. Hidden where nothing is replicated. */
export class Replication extends Lanes {
  constructor(page) {
    super("replication", page);
    this.light = this.root.querySelector(".light");
    this.story = this.root.querySelector(".story");
    const of = (figure) => [{ colour: "stock", value: ({ replication }) => replication?.[figure] }];
    this.lanes = [
      { title: "Records behind", format: amount, least: 10, lines: of("lag_records") },
      { title: "Append", format: latency, scale: "log", lines: of("append_us") },
    ];
  }

  draw(view) {
    const state = view.last?.replication;
    this.root.hidden = !state;
    if (!state) return;
    this.light.dataset.state = lightOf(state);
    this.light.textContent = replicationWords(state);
    this.story.textContent = state.error ?? `record ${state.acknowledged_lsn} is here and in the log`;
    super.draw(view);
  }

  words(view) {
    const state = view.last?.replication;
    return state ? `${replicationWords(state)}. ${super.words(view)}` : "Nothing is replicated.";
  }
}

/** Whether this server follows a leader. */
export function isStandby({ replication }) {
  return replication?.role === "standby";
}

/** The colour of the light. */
export function lightOf(state) {
  if (state.role === "fenced" || (state.role === "leader" && !answers(state))) return "bad";
  return state.role === "starting" || !answers(state) || state.lag_records > LAG_RECORDS ? "warn" : "good";
}

/** The part of this server, in words. */
export function replicationWords(state) {
  const { role, epoch, leader, lag_records: lag } = state;
  const epochWords = `epoch ${epoch}`;
  if (role === "leader") return answers(state) ? `leads, ${epochWords}` : `leads, ${epochWords}: the log does not answer`;
  if (role === "fenced") return `fenced, ${epochWords}: another server leads`;
  if (role === "starting") return "starting";
  const whom = leader === "" ? "while nobody leads" : `for ${leader}`;
  const behind = lag === 0 ? "nothing behind" : `${counted(lag, "record")} behind`;
  return answers(state) ? `stands by ${whom}, ${epochWords}, ${behind}` : `stands by ${whom}: the log does not answer`;
}

/** What is wrong, as in the verdict. */
export function replicationProblems({ last }) {
  const state = last.replication;
  if (!state || lightOf(state) === "good") return [];
  const problem = (words) => [{ about: "replication", state: lightOf(state), words }];
  if (state.role === "fenced") return problem("Another server leads: this one sells nothing, and starts again as a standby");
  if (state.role === "starting") return problem("This server finds its place in the replicated log");
  if (answers(state)) return problem(`This standby is ${counted(state.lag_records, "record")} behind: a takeover takes longer`);
  const why = state.error ?? `nothing for ${duration(state.heard_seconds_ago)}`;
  const cost = state.role === "leader" ? "buyers are turned away" : "this server cannot take over";
  return problem(`The replicated log does not answer (${why}): ${cost}`);
}

function answers({ error, heard_seconds_ago: heard }) {
  return !error && (heard === null || heard <= FRESH_SECONDS);
}

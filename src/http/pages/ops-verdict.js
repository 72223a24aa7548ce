// Is all well? The worst first, in words.

import { FAULTS, REFUSALS } from "./ops-class.js";
import { amount, clock, counted, duration } from "./ops-format.js";
import { downFor, nameOf, outages, SINKS, stateOf } from "./ops-sinks.js";
import { refusals } from "./ops-refusals.js";
import { replicationProblems } from "./ops-replication.js";

/** A sink that is so far behind deserves a look, though it is up. */
const LAG_SECONDS = 10;

/** What is wrong: `{about, state: "bad" or "warn", words}` each. */
export function problems(view, feed) {
  const found = connection(view, feed);
  const { last } = view;
  if (!last) return found;
  found.push(...sale(last), ...stock(last), ...journal(last), ...replicationProblems(view), ...faults(view));
  for (const sink of Object.keys(SINKS)) found.push(...sinkProblems(view, sink));
  const weight = { bad: 0, warn: 1 };
  return found.sort((one, other) => weight[one.state] - weight[other.state]);
}

function connection({ last }, { state, sinceMs }) {
  const from = last ? `; what is shown is from ${clock(last.at_ms)}` : "";
  const since = `since ${clock(sinceMs)}${from}`;
  if (state === "draining") {
    return [{ about: "draining", state: "warn", words: `The server has been shutting down ${since}` }];
  }
  if (state !== "reconnecting") return [];
  return [{ about: "stream", state: "bad", words: `The server has not been heard ${since}` }];
}

function sale({ sale }) {
  const none = "No sale is open: whoever wants to buy is turned away until the next one begins";
  if (!sale) return [{ about: "sale", state: "warn", words: none }];
  const paused = `Sale ${sale.id} is paused: nothing can be chosen until it is resumed`;
  return sale.paused ? [{ about: "sale", state: "warn", words: paused }] : [];
}

function stock({ conserved }) {
  const words = "Stock does not add up: sold + held + free is not the stock. Stop the server, keep a copy of its journal and run flashsale journal verify";
  return conserved ? [] : [{ about: "stock", state: "bad", words }];
}

function journal({ journal: { writable, disk_full: isFull } }) {
  const problem = (words) => [{ about: "journal", state: "bad", words }];
  if (isFull && writable) return problem("The disk is full: what is left of the journal's segment is still sold, then buyers are turned away");
  if (isFull) return problem("The disk is full: buyers are turned away until there is room");
  return writable ? [] : problem("The journal cannot be written: buyers are turned away");
}

/** Buyers who were refused for no fault of their own. */
function faults({ recent }) {
  const own = refusals(recent, recent).filter(({ code }) => FAULTS.has(code) && code !== "journal_unavailable");
  return own.map(({ code, rate }) => ({
    about: code,
    state: "warn",
    words: `${amount(rate)} buyers a second are turned away: ${REFUSALS[code].toLowerCase()}`,
  }));
}

function sinkProblems({ last, known }, sink) {
  const state = stateOf(last, sink);
  const name = nameOf(sink, state);
  if (state?.status === "DOWN") {
    const since = downFor(outages(known, sink).at(-1));
    const wait = state.lag_records === 1 ? "waits" : "wait";
    const waiting = state.lag_records > 0 ? `; ${counted(state.lag_records, "record")} ${wait} in the journal` : "";
    const down = since ? `has been down${since}` : "is down";
    const words = `${name} ${down}${state.reason ? `: ${state.reason}` : ""}${waiting}. The sale goes on`;
    return [{ about: sink, state: "warn", words }];
  }
  if (state?.status === "UP" && state.lag_seconds > LAG_SECONDS) {
    const words = `${name} is ${duration(state.lag_seconds)} behind, ${counted(state.lag_records, "record")}`;
    return [{ about: sink, state: "warn", words }];
  }
  return [];
}

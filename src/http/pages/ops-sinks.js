// How far Postgres, Redis and the webhooks are behind the journal, and when they were away.

import { amount, clock, counted, duration } from "./ops-format.js";
import { spells } from "./ops-history.js";
import { Lanes } from "./ops-lanes.js";
import { isStandby } from "./ops-replication.js";

const TOLD_MAX = 2;

/** The sinks, by their names in the stream. All webhooks together are one. */
export const SINKS = { database: "Postgres", redis: "Redis", webhooks: "Webhooks" };

/**
 * The state of a sink in a second, or nothing where there is none. That of the webhooks is the worst of theirs: of one that is
 * down, or else of the one that is the farthest behind; `endpoint` is its number.
 */
export function stateOf(second, sink) {
  if (sink !== "webhooks") return second?.sinks[sink];
  const states = (second?.webhooks ?? []).map((state, place) => ({ ...state, endpoint: place + 1 }));
  const weight = ({ status, lag_records: lag }) => (status === "DOWN" ? Infinity : (lag ?? 0));
  return states.reduce((worst, state) => (worst && weight(worst) >= weight(state) ? worst : state), undefined);
}

/** What a sink is called while it is in `state`. */
export function nameOf(sink, state) {
  return state?.endpoint ? `Webhook ${state.endpoint}` : SINKS[sink];
}

/** The lag of one sink over time, with its outages. */
export class SinkLag extends Lanes {
  outages = [];

  constructor(sink, page) {
    super(`sink-${sink}`, page);
    this.sink = sink;
    this.light = this.root.querySelector(".light");
    this.story = this.root.querySelector(".story");
    const of = (figure) => [{ colour: "stock", value: (second) => stateOf(second, sink)?.[figure] }];
    this.lanes = [
      { title: "Records behind", format: amount, least: 10, lines: of("lag_records") },
      { title: "Seconds behind", format: amount, least: 5, lines: of("lag_seconds") },
    ];
  }

  draw(view) {
    const state = stateOf(view.last, this.sink);
    // Databases are named also where there are none.
    this.root.hidden = this.sink === "webhooks" && !state;
    if (this.root.hidden) return;
    this.outages = outages(view.known, this.sink);
    const isOff = state?.status === "DISABLED";
    this.canvas.hidden = isOff;
    this.light.dataset.state = lightOf(state);
    this.light.textContent = sinkWords(view.last, this.sink, this.outages.at(-1));
    this.story.textContent = isOff ? "" : this.outages.slice(-TOLD_MAX).map(story).join("; ");
    this.publish({ status: state?.status ?? "unknown", outages: this.outages.length });
    super.draw(view);
  }

  backdrop(frame, lane) {
    const word = lane === this.lanes[0] ? "down" : null;
    this.outages.forEach((outage) => frame.band(outage, word));
  }

  words(view) {
    const state = stateOf(view.last, this.sink);
    const now = sinkWords(view.last, this.sink, this.outages.at(-1));
    const told = this.outages.map(story).join("; ");
    const lag = state?.status === "DISABLED" ? "" : ` ${super.words(view)}`;
    return `${SINKS[this.sink]}: ${now}.${lag}${told ? ` Outages: ${told}.` : ""}`;
  }
}

/**
 * The times through which a sink was down: `{from, to, reason, isCut, isOpen}`. One is cut when its
 * beginning is not known any more, and open when it has not ended.
 */
export function outages(seconds, sink) {
  const isDown = (second) => stateOf(second, sink)?.status === "DOWN";
  return spells(seconds, isDown).map(({ from, to, seconds: piece }) => {
    const reasons = piece.map((second) => stateOf(second, sink).reason).filter(Boolean);
    return {
      from,
      to,
      reason: reasons.at(-1) ?? "",
      isCut: piece[0] === seconds[0],
      isOpen: piece.at(-1) === seconds.at(-1),
    };
  });
}

/** How long the last outage has lasted: " for 12 s", or nothing where there is none. */
export function downFor(outage) {
  if (!outage?.isOpen) return "";
  return ` for ${outage.isCut ? "more than " : ""}${duration((outage.to - outage.from) / 1000)}`;
}

/** The colour of a sink's light. */
export function lightOf(state) {
  return { UP: "good", DOWN: "bad", DISABLED: "off" }[state?.status] ?? "unknown";
}

/** How a sink is at the second `last`, in words. */
export function sinkWords(last, sink, outage) {
  const state = stateOf(last, sink);
  if (!state) return "unknown";
  if (state.status === "DISABLED") return isStandby(last) ? "off while this server stands by" : "off: not configured";
  if (state.status === "DOWN") {
    const which = state.endpoint && last.webhooks.length > 1 ? `endpoint ${state.endpoint} ` : "";
    return `${which}DOWN${downFor(outage)}${state.reason ? `: ${state.reason}` : ""}`;
  }
  if (state.lag_records === null) return "up, lag unknown";
  if (state.lag_seconds < 1) return "up, within a second";
  return `up, ${counted(state.lag_records, "record")} behind`;
}

function story({ from, to, reason, isCut, isOpen }) {
  const since = isCut ? `before ${clock(from)}` : clock(from);
  const length = isCut ? "" : ` (${duration((to - from) / 1000)})`;
  const when = isOpen ? `down since ${since}` : `was down from ${since} to ${clock(to)}${length}`;
  return reason ? `${when}: ${reason}` : when;
}

// The first thing to see: whether all is well, and the lights that say why.

import { amount, bytes, clock, duration, whole } from "./ops-format.js";
import { isStandby, lightOf as replicationLight, replicationWords } from "./ops-replication.js";
import { lightOf, outages, SINKS, sinkWords, stateOf } from "./ops-sinks.js";
import { problems } from "./ops-verdict.js";

const PAGE_TITLE = "Operations";
const CALM = { state: "good", words: "All is well" };
const STANDING_BY = { state: "good", words: "All is well: this server stands by" };
const WAITING = { state: "unknown", words: "Waiting for the server" };
const STATES = {
  connecting: ["unknown", () => "connecting"],
  live: ["good", () => "live"],
  reconnecting: ["bad", (since) => `reconnecting since ${since}`],
  draining: ["warn", () => "server says draining"],
};

/** The header of the page. */
export class Header {
  #verdict = document.getElementById("verdict");
  #others = document.getElementById("others");
  #facts = document.getElementById("facts");
  #announcement = document.getElementById("announcement");
  #announced = null;
  #body = document.body;

  draw(view, feed) {
    this.#connection(view, feed);
    this.#judge(view, feed);
    if (!view.last) return;
    this.#stock(view.last);
    this.#journal(view.last);
    this.#replication(view.last);
    Object.keys(SINKS).forEach((sink) => this.#sink(sink, view));
    this.#tell(view.last);
  }

  #connection({ last }, { state, sinceMs }) {
    const [light, words] = STATES[state];
    setLight("stream", light, words(clock(sinceMs)));
    document.getElementById("clock").textContent = last ? `${clock(last.at_ms)} UTC` : "";
    this.#body.dataset.stream = state;
  }

  /** One sentence for the worst, and one each for what else there is. */
  #judge(view, feed) {
    const found = problems(view, feed);
    const [worst, ...others] = found;
    const { state, words } = worst ?? calm(view.last);
    setText(this.#verdict, words);
    setText(this.#others, others.map((problem) => `Also: ${problem.words}.`).join(" "));
    this.#others.hidden = others.length === 0;
    this.#body.dataset.verdict = state;
    this.#announce(found, words);
    const left = view.last?.sale ? `${whole(view.last.sale.total - view.last.sale.sold)} left` : "no sale";
    document.title = worst ? `${state === "bad" ? "✖" : "▲"} ${words}` : `${left} · ${PAGE_TITLE}`;
  }

  /** Lets a screen reader say what is wrong when that changes, not when a number in it does. */
  #announce(found, words) {
    const about = found.map((problem) => problem.about).join(" ");
    if (about === this.#announced) return;
    this.#announced = about;
    this.#announcement.textContent = found.length > 0 ? found.map((problem) => problem.words).join(". ") : words;
  }

  #stock({ conserved, sale }) {
    if (!conserved) return setLight("stock", "bad", "DOES NOT ADD UP");
    const sum = sale && `${whole(sale.sold)} sold + ${whole(sale.held)} held + ${whole(sale.free)} free`;
    setLight("stock", "good", sale ? `${sum} = ${whole(sale.total)}` : "no sale is open");
  }

  #journal({ journal }) {
    const isGood = journal.writable && !journal.disk_full;
    const words = journal.disk_full ? "DISK FULL" : journal.writable ? "writable" : "FAILED";
    setLight("journal", isGood ? "good" : "bad", words);
  }

  #sink(sink, { last, known }) {
    const state = stateOf(last, sink);
    // Databases are named also where there are none.
    if (sink === "webhooks") document.getElementById("light-webhooks").hidden = !state;
    setLight(sink, lightOf(state), sinkWords(last, sink, outages(known, sink).at(-1)));
  }

  #replication({ replication }) {
    document.getElementById("light-replication").hidden = !replication;
    if (replication) setLight("replication", replicationLight(replication), replicationWords(replication));
  }

  #tell(last) {
    const facts = {
      uptime: duration(last.uptime_seconds),
      sale: saleWords(last),
      rate: last.sale ? `${amount(last.sale.rate)}/s` : "–",
      connections: whole(last.connections),
      viewers: whole(last.viewers),
      memory: bytes(last.resident_bytes),
    };
    for (const [name, words] of Object.entries(facts)) {
      setText(this.#facts.querySelector(`[data-fact="${name}"]`), words);
    }
  }
}

/** What there is to say when nothing is wrong. */
function calm(last) {
  if (!last) return WAITING;
  return isStandby(last) ? STANDING_BY : CALM;
}

function saleWords({ sale, others }) {
  if (!sale) return "none open";
  const which = others.length > 0 ? `${sale.id}, one of ${others.length + 1}` : sale.id;
  return `${which}, until ${clock(Date.parse(sale.ended_at))}`;
}

function setLight(name, state, words) {
  const light = document.getElementById(`light-${name}`);
  light.dataset.state = state;
  setText(light.querySelector(".words"), words);
}

/** Sets a text only when it is another one: what is read aloud is not read again. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

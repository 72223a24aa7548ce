// The operations page: one connection, one history, and what is drawn from it.

import { Burndown } from "./ops-burndown.js";
import { Choice } from "./ops-choice.js";
import { Commit } from "./ops-commit.js";
import { Cores } from "./ops-cores.js";
import { Feed } from "./ops-feed.js";
import { Figures } from "./ops-figures.js";
import { Header } from "./ops-header.js";
import { Heatmap } from "./ops-heatmap.js";
import { History } from "./ops-history.js";
import { Refusals } from "./ops-refusals.js";
import { Replication } from "./ops-replication.js";
import { SINKS, SinkLag } from "./ops-sinks.js";
import { Spectrum } from "./ops-spectrum.js";
import { Stages } from "./ops-stages.js";
import { Theme } from "./ops-theme.js";

const KEEP_MS = 300_000;
const RECENT_MS = 10_000;
/** What is read aloud must not change faster than it can be listened to. */
const SPEAK_MS = 5_000;

/** The page: draws at most once a frame, and nothing while nobody can see it. */
class Page {
  #history = new History(KEEP_MS);
  #isDue = false;
  #focusMs = null;
  #window = document.querySelector("#window input:checked");
  #spokeMs = -Infinity;

  constructor() {
    this.redraw = this.redraw.bind(this);
    this.theme = new Theme(this.redraw);
    this.choice = new Choice(this.redraw);
    this.feed = new Feed(this.#history, this.redraw);
    this.header = new Header();
    this.plots = [
      new Burndown("burndown", this),
      new Heatmap("heatmap", this),
      new Spectrum("spectrum", this),
      new Commit("commit", this),
      new Cores("cores", this),
      new Replication(this),
      ...Object.keys(SINKS).map((sink) => new SinkLag(sink, this)),
    ];
    this.panels = [this.choice, new Figures(this), ...this.plots, new Refusals(), new Stages()];
    document.addEventListener("visibilitychange", this.redraw);
    document.getElementById("window").addEventListener("change", (event) => {
      this.#window = event.target;
      this.redraw();
    });
  }

  run() {
    this.redraw();
    this.feed.run();
  }

  /** Draws with the next frame. */
  redraw() {
    if (this.#isDue || document.hidden) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#draw();
    });
  }

  /** Marks a time in all plots, or none. */
  focus(atMs) {
    if (atMs === this.#focusMs) return;
    this.#focusMs = atMs;
    this.redraw();
  }

  #draw() {
    const view = this.#view();
    this.header.draw(view, this.feed);
    this.panels.forEach((panel) => panel.draw(view));
    document.body.dataset.seconds = String(view.seconds.length);
    const nowMs = performance.now();
    if (nowMs - this.#spokeMs < SPEAK_MS) return;
    this.#spokeMs = nowMs;
    this.plots.forEach((plot) => plot.speak(view));
  }

  /** What is drawn now. */
  #view() {
    const windowMs = Number(this.#window.value) * 1000;
    const known = this.choice.of(this.#history.seconds);
    const last = known.at(-1);
    const endMs = last?.at_ms ?? Date.now();
    const within = (lengthMs) => known.filter((second) => second.at_ms > endMs - lengthMs);
    return {
      theme: this.theme,
      known,
      seconds: within(windowMs),
      recent: within(RECENT_MS),
      last,
      endMs,
      windowMs,
      windowName: this.#window.dataset.name,
      focusMs: this.#focusMs,
    };
  }
}

new Page().run();

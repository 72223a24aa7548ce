// Latency over time: how many answers took how long, second by second.

import { CLASSES } from "./ops-class.js";
import { amount, clock, counted, decade, latency, whole } from "./ops-format.js";
import { startMs } from "./ops-history.js";
import { decades, logarithmic } from "./ops-scale.js";
import { Plot } from "./ops-plot.js";
import { TimeFrame } from "./ops-time.js";

const MARGINS = { left: 50, top: 8, right: 14, bottom: 22 };
/** Bucket b holds latencies from 2^(b/4) microseconds on. */
const BUCKETS_PER_DOUBLING = 4;
const FROM_US = 1;
/** The scale reaches this far at least, so that it does not jump when little happens. */
const TO_US_MIN = 10_000;

const edgeUs = (bucket) => 2 ** (bucket / BUCKETS_PER_DOUBLING);
const bucketOf = (us) => Math.floor(Math.log2(us) * BUCKETS_PER_DOUBLING);

/** Latency heat map of one class at a time. */
export class Heatmap extends Plot {
  constructor(id, page) {
    super(id, page);
    this.chosen = "purchases";
    this.legendMax = this.root.querySelector(".legend-max");
    this.root.querySelector(".switch").addEventListener("change", (event) => {
      this.chosen = event.target.value;
      page.redraw();
    });
  }

  paint(view) {
    const { surface } = this;
    const box = surface.box(MARGINS);
    this.frame = new TimeFrame(surface, box, view);
    const toUs = this.#reach(view.seconds);
    this.y = logarithmic(FROM_US, toUs, box.bottom, box.top);
    this.latencyAt = (y) => FROM_US * (toUs / FROM_US) ** ((box.bottom - y) / (box.bottom - box.top));
    this.stride = { x: this.frame.secondPx, y: this.y(1) - this.y(edgeUs(1)), right: MARGINS.right + 2 };
    const most = this.#most(view.seconds);
    this.frame.axis();
    surface.scaleLines(box, this.y, decades(FROM_US, toUs).map((us) => [us, decade(us)]));
    const gapCount = this.frame.gaps();
    const cells = view.seconds.reduce((sum, second) => sum + this.#column(second, most), 0);
    this.frame.focus(view.focusMs);
    this.#outline(view);
    this.legendMax.textContent = counted(most, "answer");
    this.note.textContent = cells === 0 ? `none in the last ${view.windowName}` : CLASSES[this.chosen].about;
    this.publish({ points: cells, cells, columns: view.seconds.length, gaps: gapCount, class: this.chosen });
  }

  /** One second, a cell for each bucket that has something; says how many. */
  #column(second, most) {
    const { surface, frame, y } = this;
    const left = surface.snap(Math.max(frame.x(startMs(second)), frame.box.left));
    const right = surface.snap(frame.x(second.at_ms));
    const cells = this.#cells(second);
    for (const [bucket, count] of cells) {
      const [top, bottom] = [surface.snap(y(edgeUs(bucket + 1))), surface.snap(y(edgeUs(bucket)))];
      const part = most > 1 ? Math.log(count) / Math.log(most) : 1;
      surface.fill(left, top, right, bottom, surface.theme.shade(part));
    }
    return cells.length;
  }

  /** A frame around the cell that somebody points at. */
  #outline(view) {
    const { surface, frame, y, pointed } = this;
    const second = pointed && frame.secondAt(frame.x(view.focusMs ?? Infinity));
    if (!second || !surface.canvas.matches(":hover, :focus")) return;
    const { context } = surface;
    const [left, top] = [frame.x(startMs(second)), y(edgeUs(pointed + 1))];
    context.strokeStyle = view.theme.ink;
    context.lineWidth = 1;
    context.strokeRect(left - 1, top - 1, frame.x(second.at_ms) - left + 2, y(edgeUs(pointed)) - top + 2);
  }

  #cells(second) {
    return second.heat[this.chosen] ?? [];
  }

  /** The power of ten above every latency, of all classes: the scale stays when the class changes. */
  #reach(seconds) {
    const slowest = (second) => Object.values(second.heat).map((cells) => cells.at(-1)?.[0] ?? 0);
    const bucket = Math.max(0, ...seconds.flatMap(slowest));
    const reach = 10 ** Math.ceil(Math.log10(edgeUs(bucket + 1)) - 1e-9);
    return Math.max(TO_US_MIN, reach);
  }

  /** The power of ten above every count: colours stay while counts vary. */
  #most(seconds) {
    const counts = seconds.flatMap((second) => this.#cells(second).map(([, count]) => count));
    const most = counts.reduce((one, other) => Math.max(one, other), 1);
    return 10 ** Math.max(1, Math.ceil(Math.log10(most)));
  }

  look(x, y) {
    const second = this.frame?.secondAt(x);
    const { box } = this.frame ?? {};
    if (!second || y < box.top || y > box.bottom) return null;
    const bucket = bucketOf(this.latencyAt(y));
    this.pointed = bucket;
    const cells = this.#cells(second);
    const count = cells.find(([place]) => place === bucket)?.[1] ?? 0;
    const all = cells.reduce((sum, [, each]) => sum + each, 0);
    const range = `${latency(edgeUs(bucket))} to ${latency(edgeUs(bucket + 1))}`;
    const lines = [clock(second.at_ms), range, `${whole(count)} of ${counted(all, "answer")}`];
    return { lines, atMs: second.at_ms };
  }

  words(view) {
    const title = CLASSES[this.chosen].title;
    const figures = view.last?.percentiles[this.chosen];
    if (!figures) return `Latency of ${title.toLowerCase()} answers: none in the last 10 seconds.`;
    return (
      `Latency of ${title.toLowerCase()} answers in the last 10 seconds: ${counted(figures.count, "answer")}, ` +
      `median ${latency(figures.p50)}, 99 % within ${latency(figures.p99)}, slowest ${latency(figures.max)}; ` +
      `${amount(this.#most(view.seconds))} answers have the strongest colour.`
    );
  }
}

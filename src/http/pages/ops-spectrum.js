// The percentile spectrum: how latency grows towards the tail, since the last sale began.

import { CLASSES } from "./ops-class.js";
import { decade, latency, quantileName } from "./ops-format.js";
import { Labels } from "./ops-labels.js";
import { decades, decadesAround, linear, logarithmic, nines } from "./ops-scale.js";
import { Plot } from "./ops-plot.js";

/** What time the latencies are of. */
const SINCE = "since the last sale began";
/** What so long a time hides. */
const HIDES = "a short stall late in a long sale hardly shows here: see Latency over time";
const MARGINS = { left: 50, top: 10, right: 16, bottom: 22 };
const DRAWN = ["checkouts", "purchases", "refused"];
const LABELLED = [0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999];
/** How far after the last quantile the slowest answer lies, in nines. */
const LAST_STEP = 0.5;
const NINES_MIN = 3;
const NEAR_PX = 40;
const LABEL_GAP_PX = 6;
/** So much above the slowest there is room for what is said of it. */
const HEADROOM = 1.6;

/** Percentile spectrum of checkouts, purchases and refusals. */
export class Spectrum extends Plot {
  paint(view) {
    const { surface } = this;
    const box = surface.box(MARGINS);
    const curves = DRAWN.map((name) => [name, view.last?.spectrum[name] ?? []]);
    const points = curves.flatMap(([, curve]) => curve);
    const known = points.filter(([quantile]) => quantile < 1).map(([quantile]) => nines(quantile));
    const width = Math.max(NINES_MIN, ...known) + LAST_STEP;
    const [fromUs, toUs] = decadesAround(points.flatMap(([, us]) => [us, us * HEADROOM]), [10, 10_000]);
    this.x = linear(0, width, box.left, box.right);
    this.y = logarithmic(fromUs, toUs, box.bottom, box.top);
    surface.scaleLines(box, this.y, decades(fromUs, toUs).map((us) => [us, decade(us)]));
    this.#quantiles(box, width);
    this.places = curves.map(([name, curve]) => this.#curve(name, curve));
    this.#slowest(box);
    this.note.textContent = points.length === 0 ? "no answer to a buyer yet" : `${SINCE}; ${HIDES}`;
    this.publish({
      points: points.length,
      ...Object.fromEntries(curves.map(([name, curve]) => [name, curve.length])),
    });
  }

  #quantiles(box, width) {
    const { surface } = this;
    let labelledTo = 0;
    for (const quantile of LABELLED.filter((each) => nines(each) < width)) {
      const x = this.x(nines(quantile));
      surface.rule(x, box.top, x, box.bottom, surface.theme.grid);
      const text = quantile === 0 ? "0" : quantileName(quantile).slice(1);
      const half = surface.widthOf(text) / 2;
      if (x - half < labelledTo) continue;
      surface.text(text, x, box.bottom + 15, { align: "center" });
      labelledTo = x + half + LABEL_GAP_PX;
    }
  }

  /** Draws a curve; where its points are. The slowest answer has a ring: its place is not to scale. */
  #curve(name, curve) {
    const { surface } = this;
    const colour = surface.theme[name];
    const last = Math.max(0, ...curve.filter(([quantile]) => quantile < 1).map(([quantile]) => nines(quantile)));
    const places = curve.map(([quantile, us]) => ({
      name,
      quantile,
      us,
      x: this.x(quantile < 1 ? nines(quantile) : last + LAST_STEP),
      y: this.y(us),
    }));
    surface.line(places.map(({ x, y }) => [x, y]), colour, { width: 2 });
    for (const { x, y, quantile } of places) {
      surface.dot(x, y, colour, quantile < 1 ? 2.5 : 4);
      if (quantile === 1) surface.dot(x, y, surface.theme.surface, 2.25);
    }
    return places;
  }

  /** Says of each curve how long its slowest answer took, once all curves are drawn. */
  #slowest({ bottom }) {
    const { surface } = this;
    const lines = this.places.map((places) => places.map(({ x, y }) => [x, y]));
    const labels = new Labels(lines, 0, bottom);
    for (const { name, x, y, us } of this.places.flat().filter(({ quantile }) => quantile === 1)) {
      const text = `max ${latency(us)}`;
      const right = Math.min(x + 5, surface.width);
      const height = labels.place(right - surface.widthOf(text), right, y - 9);
      surface.text(text, right, height, { colour: surface.theme[name], align: "right", halo: true });
    }
  }

  look(x) {
    const all = (this.places ?? []).flat();
    const away = (place) => Math.abs(place.x - x);
    const nearest = all.toSorted((one, other) => away(one) - away(other))[0];
    if (!nearest || away(nearest) > NEAR_PX) return null;
    const here = all.filter(({ quantile }) => quantile === nearest.quantile);
    const lines = here.map(({ name, us }) => `${CLASSES[name].title} ${latency(us)}`);
    return { lines: [quantileName(nearest.quantile), ...lines] };
  }

  words(view) {
    const said = DRAWN.map((name) => {
      const curve = view.last?.spectrum[name] ?? [];
      const each = curve.map(([quantile, us]) => `${quantileName(quantile)} ${latency(us)}`);
      return `${CLASSES[name].title}: ${each.join(", ") || "none"}.`;
    });
    return `Latency by percentile, ${SINCE}; ${HIDES}. ${said.join(" ")}`;
  }
}

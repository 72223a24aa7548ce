// Small plots one above the other, which share their time.

import { clock } from "./ops-format.js";
import { decadesAround, linear, logarithmic, roundUp } from "./ops-scale.js";
import { Plot } from "./ops-plot.js";
import { TimeFrame } from "./ops-time.js";

const MARGINS = { left: 50, top: 0, right: 14, bottom: 22 };
const TITLE_PX = 18;
const PADDING_PX = 6;

/**
 * Plots of a kind each, from above: `{title, format, lines, scale, least}`. A line is `{name, colour,
 * value}`: the colour by its name in the theme, the value of a second or nothing. A logarithmic scale
 * spans the powers of ten around what there is; a linear one begins at 0 and reaches `least` at least.
 */
export class Lanes extends Plot {
  lanes = [];

  paint(view) {
    const { surface } = this;
    const all = surface.box(MARGINS);
    const height = (all.bottom - all.top) / this.lanes.length;
    let points = 0;
    this.lanes.forEach((lane, place) => {
      const top = all.top + place * height;
      const isLast = place === this.lanes.length - 1;
      const box = { ...all, top: top + TITLE_PX, bottom: top + height - (isLast ? 0 : PADDING_PX) };
      points += this.#lane(lane, box, view, isLast);
    });
    this.publish({ points, gaps: this.gapCount });
  }

  /** Draws what lies behind the lines of `lane`, in its `frame`. */
  backdrop(_frame, _lane) {}

  #lane(lane, box, view, isLast) {
    const { surface } = this;
    const { theme } = surface;
    const frame = new TimeFrame(surface, box, view);
    this.frame = frame;
    this.stride = { x: frame.secondPx, y: 0, right: MARGINS.right + 2 };
    const values = view.seconds.flatMap((second) => lane.lines.map(({ value }) => value(second) ?? 0));
    const [from, to] = reach(lane, values);
    const scale = lane.scale === "log" ? logarithmic : linear;
    const y = scale(from, to, box.bottom, box.top);
    frame.axis({ labels: isLast });
    this.backdrop(frame, lane);
    this.gapCount = frame.gaps({ labels: false });
    surface.scaleEnds(box, lane.format(from), lane.format(to));
    this.#title(lane, box, view);
    const counts = lane.lines.map(({ value, colour, width = 1.5 }) => frame.line(value, y, theme[colour], { width }));
    frame.focus(view.focusMs);
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** What a lane shows, and on the right its present values. */
  #title(lane, box, view) {
    const { surface } = this;
    const { theme } = surface;
    const y = box.top - 6;
    surface.text(lane.title, box.left, y, { colour: theme.ink });
    let right = box.right;
    for (const { name, colour, value } of lane.lines.toReversed()) {
      const text = lane.format(view.last ? value(view.last) : null);
      surface.text(text, right, y, { colour: theme.ink, align: "right" });
      right -= surface.widthOf(text) + 5;
      if (!name) continue;
      surface.text(name, right, y, { align: "right" });
      right -= surface.widthOf(name) + 5;
      surface.fill(right - 10, y - 5, right, y - 3, theme[colour]);
      right -= 22;
    }
  }

  look(x) {
    const second = this.frame?.secondAt(x);
    if (!second) return null;
    return { lines: [clock(second.at_ms), ...this.#said(second)], atMs: second.at_ms };
  }

  /** The values of a second, a text for each lane. */
  #said(second) {
    return this.lanes.map(({ title, lines, format }) => {
      const values = lines.map(({ name, value }) => `${name ? `${name} ` : ""}${format(value(second))}`);
      return `${title}: ${values.join(", ")}`;
    });
  }

  words(view) {
    return view.last ? `${this.#said(view.last).join("; ")}.` : "Nothing is known yet.";
  }
}

function reach({ scale, least = 1 }, values) {
  if (scale === "log") return decadesAround(values, [100, 10_000], 1);
  return [0, roundUp(Math.max(0, ...values), least)];
}

// The time that a plot shows, from left to right. What is not known is hatched, and never bridged.

import { clock } from "./ops-format.js";
import { cut, gaps, isApart, startMs } from "./ops-history.js";
import { linear, timeStepMs } from "./ops-scale.js";

const LABEL_PX = 64;
/** Room for a word in a gap or in a band. */
const WORD_PX = 8;

/** The time of a view within the box of a surface, and `futureMs` that have yet to come. */
export class TimeFrame {
  constructor(surface, box, view, futureMs = 0) {
    this.surface = surface;
    this.box = box;
    this.seconds = view.seconds;
    this.fromMs = view.endMs - view.windowMs;
    this.toMs = view.endMs + futureMs;
    this.x = linear(this.fromMs, this.toMs, box.left, box.right);
    this.at = linear(box.left, box.right, this.fromMs, this.toMs);
    this.secondPx = this.x(1000) - this.x(0);
  }

  /** The second that covers the time at `x`. */
  secondAt(x) {
    const atMs = this.at(x);
    return this.seconds.find((second) => startMs(second) <= atMs && atMs <= second.at_ms);
  }

  /** The places of a value through time, cut where a second is missing or `changes` between two. */
  points(value, y, changes = () => false) {
    const known = (second) => value(second) !== null && value(second) !== undefined;
    const isCut = (earlier, later) =>
      isApart(earlier, later) || known(earlier) !== known(later) || changes(earlier, later);
    return cut(this.seconds, isCut)
      .filter(([first]) => known(first))
      .map((piece) => piece.map((second) => [this.x(second.at_ms), y(value(second))]));
  }

  /** Draws a value through time, and says how many points it has. */
  line(value, y, colour, style) {
    const pieces = this.points(value, y);
    pieces.forEach((points) => this.surface.line(points, colour, style));
    return pieces.reduce((sum, points) => sum + points.length, 0);
  }

  /** Lines at round times, and the times below them. */
  axis({ labels = true } = {}) {
    const { surface, box } = this;
    const stepMs = timeStepMs(this.toMs - this.fromMs, (box.right - box.left) / LABEL_PX);
    const shown = stepMs % 60_000 === 0 ? 5 : 8;
    for (let atMs = Math.ceil(this.fromMs / stepMs) * stepMs; atMs <= this.toMs; atMs += stepMs) {
      const x = this.x(atMs);
      surface.rule(x, box.top, x, box.bottom, surface.theme.grid);
      if (!labels) continue;
      const text = clock(atMs).slice(0, shown);
      const half = surface.widthOf(text) / 2;
      if (x + half > surface.width) continue;
      surface.text(text, x, box.bottom + 15, { align: "center" });
    }
  }

  /** Hatches the times of which nothing is known, and says how many there are. */
  gaps({ labels = true } = {}) {
    const { surface, box } = this;
    const { theme } = surface;
    const found = gaps(this.seconds);
    for (const gap of found) {
      const [left, right] = [this.x(gap.from), this.x(gap.to)];
      surface.hatch(left, box.top, right, box.bottom, theme.gap);
      if (gap.restart) surface.rule(right, box.top, right, box.bottom, labels ? theme.muted : theme.gap);
      const word = gap.restart ? "restart" : "no data";
      const beside = gap.restart ? right + 4 : left + 4;
      if (labels && (gap.restart || right - left > surface.widthOf(word) + WORD_PX)) {
        surface.text(word, beside, box.top + 11, { halo: true });
      }
    }
    return found.length;
  }

  /** Colours the time from `from` to `to`, with a line on top and, where there is room, a word. */
  band({ from, to }, word) {
    const { surface, box } = this;
    const { theme } = surface;
    const left = Math.max(this.x(from), box.left);
    const right = Math.min(this.x(to), box.right);
    surface.fill(left, box.top, right, box.bottom, theme.badSoft);
    surface.fill(left, box.top, right, box.top + 2, theme.bad);
    if (word && right - left > surface.widthOf(word) + WORD_PX) {
      surface.text(word, left + 4, box.top + 14, { colour: theme.bad });
    }
  }

  /** Marks the time that somebody points at, in this plot or in another one. */
  focus(atMs) {
    if (atMs === null || atMs < this.fromMs || atMs > this.toMs) return;
    const x = this.x(atMs);
    this.surface.rule(x, this.box.top, x, this.box.bottom, this.surface.theme.muted);
  }
}

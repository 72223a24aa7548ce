// The stock of the sale as it goes: what is free, what is held, and when nothing will be left.

import { forecast } from "./ops-forecast.js";
import { amount, clock, whole } from "./ops-format.js";
import { cut, isApart, isOtherSale } from "./ops-history.js";
import { linear, roundUp, ticks } from "./ops-scale.js";
import { Plot } from "./ops-plot.js";
import { TimeFrame } from "./ops-time.js";

const MARGINS = { left: 44, top: 12, right: 14, bottom: 22 };
/** The part of the time that is left free for what is expected. */
const FUTURE = 0.2;

/** Stock burn-down. */
export class Burndown extends Plot {
  paint(view) {
    const { surface } = this;
    const box = surface.box(MARGINS);
    this.frame = new TimeFrame(surface, box, view, view.windowMs * FUTURE);
    this.stride = { x: this.frame.secondPx, y: 0, right: surface.width - this.frame.x(view.endMs) };
    const totals = view.seconds.map((second) => second.sale?.total ?? 0);
    const top = roundUp(Math.max(1, ...totals), 10);
    this.y = linear(0, top, box.bottom, box.top);
    surface.scaleLines(box, this.y, ticks(top, 5).map((value) => [value, amount(value)]));
    this.frame.axis();
    const gapCount = this.frame.gaps();
    const pieces = salePieces(view.seconds);
    pieces.forEach((piece, place) => this.#stock(piece, pieces[place - 1]));
    this.#now(view);
    const expected = forecast(view.known);
    if (expected.rate) this.#expected(view, expected);
    this.frame.focus(view.focusMs);
    const isOneOfMany = view.last?.others.length > 0;
    this.note.textContent = isOneOfMany ? `sale ${view.last.sale.id}: ${expected.words}` : expected.words;
    const points = pieces.reduce((sum, piece) => sum + piece.length, 0);
    this.publish({ points, gaps: gapCount, forecast: expected.words, projected: Boolean(expected.rate) });
  }

  /** What is free, with what is held on top; the line is what is not sold. */
  #stock(piece, before) {
    const { surface } = this;
    const { theme } = surface;
    const places = (value) => piece.map((second) => [this.frame.x(second.at_ms), this.y(value(second.sale))]);
    const unsold = places((sale) => sale.total - sale.sold);
    const free = places((sale) => sale.free);
    const nothing = places(() => 0);
    surface.area(free, nothing, theme.stock, 0.16);
    surface.area(unsold, free, theme.held, 0.55);
    surface.line(unsold, theme.stock, { width: 2 });
    const { id } = piece[0].sale;
    if (!before || before[0].sale.id === id) return;
    surface.text(`sale ${id}`, unsold[0][0] + 4, this.frame.box.top + 24, { halo: true });
  }

  #now(view) {
    if (!view.last) return;
    const x = this.frame.x(view.endMs);
    const { box } = this.frame;
    this.surface.rule(x, box.top, x, box.bottom, this.surface.theme.line);
    // Above the plot, where no line is.
    this.surface.text("now", x, box.top - 2, { align: "center" });
  }

  /** The way down from here at the present rate. */
  #expected(view, { rate, unsold, atMs }) {
    const { surface } = this;
    const { theme } = surface;
    const { box, toMs, x } = this.frame;
    const endMs = Math.min(atMs ?? toMs, toMs);
    const left = Math.max(0, unsold - (rate * (endMs - view.endMs)) / 1000);
    const start = [x(view.endMs), this.y(unsold)];
    surface.line([start, [x(endMs), this.y(left)]], theme.stock, { width: 1.5, dash: [5, 4] });
    surface.dot(...start, theme.stock, 3.5);
    if (atMs === undefined || atMs > toMs) return;
    surface.dot(x(atMs), box.bottom, theme.stock, 3.5);
    const text = clock(atMs);
    const place = Math.min(x(atMs) + 6, box.right - surface.widthOf(text));
    surface.text(text, place, box.bottom - 8, { colour: theme.ink, halo: true });
  }

  look(x) {
    const second = this.frame?.secondAt(x);
    if (!second) return null;
    const { sale } = second;
    const lines = [clock(second.at_ms)];
    if (sale) {
      lines.push(`${whole(sale.free)} free, ${whole(sale.held)} held`);
      lines.push(`${whole(sale.sold)} of ${whole(sale.total)} sold, ${amount(sale.rate)}/s`);
    } else {
      lines.push("no sale is open");
    }
    return { lines, atMs: second.at_ms };
  }

  words(view) {
    const sale = view.last?.sale;
    if (!sale) return "Stock: no sale is open.";
    const { words } = forecast(view.known);
    return (
      `Stock of sale ${sale.id}: ${whole(sale.free)} of ${whole(sale.total)} units free, ` +
      `${whole(sale.held)} held, ${whole(sale.sold)} sold, ${amount(sale.rate)} a second; ${words}.`
    );
  }
}

/** The stretches of one sale each in which no second is missing. */
function salePieces(seconds) {
  const isCut = (earlier, later) => isApart(earlier, later) || isOtherSale(earlier, later);
  return cut(seconds, isCut).filter(([first]) => first?.sale);
}

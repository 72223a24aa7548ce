// What the mouse, a finger or the arrow keys point at, told in a small box beside it.

const AWAY_PX = 14;
const MARGIN_PX = 8;

/** The box; there is one for all plots. */
class Tip {
  #element = document.getElementById("tip");

  show(lines, x, y) {
    const element = this.#element;
    const rows = lines.map((line) => Object.assign(document.createElement("div"), { textContent: line }));
    element.replaceChildren(...rows);
    element.hidden = false;
    const { offsetWidth: width, offsetHeight: height } = element;
    const [viewWidth, viewHeight] = [document.documentElement.clientWidth, window.innerHeight];
    const left = x + AWAY_PX + width + MARGIN_PX > viewWidth ? x - AWAY_PX - width : x + AWAY_PX;
    const top = Math.min(Math.max(y - height / 2, MARGIN_PX), viewHeight - height - MARGIN_PX);
    element.style.left = `${Math.max(left, MARGIN_PX)}px`;
    element.style.top = `${top}px`;
  }

  hide() {
    this.#element.hidden = true;
  }
}

/**
 * Lets somebody point at a plot. `plot.look(x, y)` says what is there: `{lines, atMs}`, or nothing;
 * `plot.stride` how far an arrow key goes. The time is shared: every plot over time marks it.
 */
export class Pointer {
  static #tip = new Tip();
  #plot;
  #page;
  #place = null;

  constructor(plot, page) {
    this.#plot = plot;
    this.#page = page;
    const { canvas } = plot;
    const at = (event) => this.#point(event.offsetX, event.offsetY);
    canvas.addEventListener("pointermove", at);
    canvas.addEventListener("pointerdown", at);
    canvas.addEventListener("pointerleave", () => this.leave());
    canvas.addEventListener("blur", () => this.leave());
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Looks again: under the same place there is something else by now. */
  refresh() {
    if (this.#place) this.#point(this.#place.x, this.#place.y);
  }

  leave() {
    if (!this.#place) return;
    this.#place = null;
    Pointer.#tip.hide();
    this.#page.focus(null);
  }

  #point(x, y) {
    this.#place = { x, y };
    this.#page.focus(this.#show()?.atMs ?? null);
  }

  #show() {
    const { x, y } = this.#place;
    const seen = this.#plot.look(x, y);
    if (!seen) {
      Pointer.#tip.hide();
      return null;
    }
    const rectangle = this.#plot.canvas.getBoundingClientRect();
    Pointer.#tip.show(seen.lines, rectangle.left + x, rectangle.top + y);
    return seen;
  }

  #key(event) {
    if (event.key === "Escape") return this.leave();
    const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!direction) return;
    event.preventDefault();
    const { width, height } = this.#plot.surface;
    const { stride } = this.#plot;
    const { x, y } = this.#place ?? { x: width - stride.right, y: height / 2 };
    const within = (place, length) => Math.min(Math.max(place, 0), length - 1);
    this.#point(within(x + direction[0] * stride.x, width), within(y + direction[1] * stride.y, height));
  }
}

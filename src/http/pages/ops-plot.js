// What all plots have in common: a place on the page, a canvas, and words that say the same.

import { Surface } from "./ops-canvas.js";
import { Pointer } from "./ops-pointer.js";

/**
 * A plot in the element `id`. A kind of plot says how it paints a view, `paint(view)`, what is at a
 * place, `look(x, y)`, and what it shows, in words, `words(view)`.
 */
export class Plot {
  /** How far the arrow keys go, and how far from the right edge they begin, in pixels. */
  stride = { x: 8, y: 8, right: 16 };

  constructor(id, page) {
    this.root = document.getElementById(id);
    this.canvas = this.root.querySelector("canvas");
    this.note = this.root.querySelector(".note");
    this.speech = document.getElementById(this.canvas.getAttribute("aria-describedby"));
    this.surface = new Surface(this.canvas, page.redraw);
    this.pointer = new Pointer(this, page);
  }

  draw(view) {
    this.view = view;
    if (!this.surface.begin(view.theme)) return;
    this.paint(view);
    this.pointer.refresh();
  }

  /** Says in words what the plot shows. */
  speak(view) {
    this.speech.textContent = this.words(view);
  }

  /** Tells what was painted, for whoever cannot see it. */
  publish(figures) {
    for (const [name, figure] of Object.entries(figures)) this.root.dataset[name] = String(figure);
  }
}

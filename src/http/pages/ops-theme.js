// The colours of plots: they are custom properties of the page, and change with its colour scheme.

const NAMES = ["surface", "ink", "muted", "line", "bad", "bad-soft"];
const PLOT_NAMES = ["confirmed", "checkouts", "purchases", "refused", "shown", "stock", "held", "grid", "gap", "second"];
const HEAT_STEPS = 6;
const HEAT_SHADES = 64;

/** Reads the colours once, and again when the colour scheme changes; `changed` is called then. */
export class Theme {
  constructor(changed) {
    this.#read();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#read();
      changed();
    });
  }

  #read() {
    const style = getComputedStyle(document.documentElement);
    const property = (name) => style.getPropertyValue(`--${name}`).trim();
    for (const name of NAMES) this[camel(name)] = property(name);
    for (const name of PLOT_NAMES) this[name] = property(`plot-${name}`);
    this.font = `11px ${property("sans") || "sans-serif"}`;
    const steps = Array.from({ length: HEAT_STEPS }, (_, place) => channels(property(`heat-${place + 1}`)));
    this.heat = Array.from({ length: HEAT_SHADES }, (_, shade) => between(steps, shade / (HEAT_SHADES - 1)));
  }

  /** The colour of a part of a whole on the heat map's scale, 0 to 1. */
  shade(part) {
    return this.heat[Math.round(Math.min(Math.max(part, 0), 1) * (HEAT_SHADES - 1))];
  }
}

function camel(name) {
  return name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());
}

/** "#1d4e89" → [29, 78, 137] */
function channels(colour) {
  return [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
}

/** The colour at `part` of the way along `steps`. */
function between(steps, part) {
  const way = part * (steps.length - 1);
  const place = Math.min(Math.floor(way), steps.length - 2);
  const mixed = steps[place].map((from, channel) => {
    const to = steps[place + 1][channel];
    return Math.round(from + (to - from) * (way - place));
  });
  return `rgb(${mixed.join(" ")})`;
}

// A canvas that is as sharp as the screen, and what every plot draws on it.

/** A canvas measured in CSS pixels. */
export class Surface {
  constructor(canvas, resized) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    new ResizeObserver(resized).observe(canvas);
  }

  /** Empties the canvas and fits it to its place on the page; `false` where there is nothing to see. */
  begin(theme) {
    const { canvas, context } = this;
    this.ratio = window.devicePixelRatio || 1;
    [this.width, this.height] = [canvas.clientWidth, canvas.clientHeight];
    const size = [this.width, this.height].map((length) => Math.round(length * this.ratio));
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    this.theme = theme;
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    context.font = theme.font;
    return this.width > 0 && this.height > 0;
  }

  /** What is left within margins. */
  box({ left = 0, top = 0, right = 0, bottom = 0 }) {
    return { left, top, right: this.width - right, bottom: this.height - bottom };
  }

  /** The nearest edge between two pixels of the screen: what ends there is sharp. */
  snap(place) {
    return Math.round(place * this.ratio) / this.ratio;
  }

  /** A line one pixel wide. */
  rule(fromX, fromY, toX, toY, colour) {
    const width = 1 / this.ratio;
    const { context } = this;
    context.fillStyle = colour;
    const [left, top] = [this.snap(Math.min(fromX, toX)), this.snap(Math.min(fromY, toY))];
    context.fillRect(left, top, Math.max(Math.abs(toX - fromX), width), Math.max(Math.abs(toY - fromY), width));
  }

  fill(left, top, right, bottom, colour) {
    this.context.fillStyle = colour;
    this.context.fillRect(left, top, right - left, bottom - top);
  }

  /** A path through `points`, `[x, y]` each. A single point is a dot, so that it can be seen. */
  line(points, colour, { width = 1.5, dash = [] } = {}) {
    if (points.length === 0) return;
    if (points.length === 1) return this.dot(points[0][0], points[0][1], colour, width);
    const { context } = this;
    context.beginPath();
    points.forEach(([x, y], place) => (place === 0 ? context.moveTo(x, y) : context.lineTo(x, y)));
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.lineJoin = "round";
    context.setLineDash(dash);
    context.stroke();
    context.setLineDash([]);
  }

  /** The area between two lines of the same length. */
  area(upper, lower, colour, opacity) {
    if (upper.length < 2) return;
    const { context } = this;
    context.beginPath();
    const around = [...upper, ...lower.toReversed()];
    around.forEach(([x, y], place) => (place === 0 ? context.moveTo(x, y) : context.lineTo(x, y)));
    context.globalAlpha = opacity;
    context.fillStyle = colour;
    context.fill();
    context.globalAlpha = 1;
  }

  dot(x, y, colour, radius) {
    const { context } = this;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.fill();
  }

  text(text, x, y, { colour = this.theme.muted, align = "left", baseline = "alphabetic", halo = false } = {}) {
    const { context } = this;
    context.textAlign = align;
    context.textBaseline = baseline;
    if (halo) {
      context.lineJoin = "round";
      context.lineWidth = 4;
      context.strokeStyle = this.theme.surface;
      context.strokeText(text, x, y);
    }
    context.fillStyle = colour;
    context.fillText(text, x, y);
  }

  widthOf(text) {
    return this.context.measureText(text).width;
  }

  /** Oblique lines: here nothing is known. */
  hatch(left, top, right, bottom, colour) {
    const { context } = this;
    context.save();
    context.beginPath();
    context.rect(left, top, right - left, bottom - top);
    context.clip();
    context.beginPath();
    const height = bottom - top;
    for (let x = left - height; x < right; x += 6) {
      context.moveTo(x, bottom);
      context.lineTo(x + height, top);
    }
    context.strokeStyle = colour;
    context.lineWidth = 1;
    context.stroke();
    context.restore();
  }

  /** The lines of a scale: `[value, text]` each. */
  scaleLines(box, scale, lines) {
    for (const [value, text] of lines) {
      const y = scale(value);
      this.rule(box.left, y, box.right, y, this.theme.grid);
      this.text(text, box.left - 6, y, { align: "right", baseline: "middle" });
    }
  }

  /** The ends of a scale, with the texts between them: there is no room above and below. */
  scaleEnds(box, from, to) {
    this.rule(box.left, box.bottom, box.right, box.bottom, this.theme.grid);
    this.rule(box.left, box.top, box.right, box.top, this.theme.grid);
    this.text(from, box.left - 6, box.bottom + 1, { align: "right", baseline: "bottom" });
    this.text(to, box.left - 6, box.top - 1, { align: "right", baseline: "top" });
  }
}

// Rows of a table that follow what they show, without being made anew each second.

/** Fills a table's body: `cells(item)` gives what is in each cell, a text, or an element that stays. */
export class Rows {
  #body;
  #rows = [];

  constructor(body) {
    this.#body = body;
  }

  /** Lets the table have a row for each of `items`; `make()` makes one, `fill(row, item)` fills it. */
  show(items, make, fill) {
    while (this.#rows.length < items.length) {
      const row = make();
      this.#rows.push(row);
      this.#body.append(row.element);
    }
    while (this.#rows.length > items.length) this.#rows.pop().element.remove();
    items.forEach((item, place) => fill(this.#rows[place], item));
  }
}

/** A row with a heading and cells: `{element, heading, cells}`. */
export function row(cellCount) {
  const element = document.createElement("tr");
  const heading = document.createElement("th");
  heading.scope = "row";
  const cells = Array.from({ length: cellCount }, () => document.createElement("td"));
  element.append(heading, ...cells);
  return { element, heading, cells };
}

/** A bar in `cell`, whose length `setBar` sets. */
export function bar(cell) {
  const track = document.createElement("span");
  track.className = "bar";
  const filled = document.createElement("span");
  track.append(filled);
  cell.className = "graphic";
  cell.append(track);
  return filled;
}

/** Sets the length of a bar as a part of its track. */
export function setBar(filled, part) {
  filled.style.width = `${Math.min(Math.max(part, 0), 1) * 100}%`;
}

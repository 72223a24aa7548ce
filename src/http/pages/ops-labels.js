// Where the labels of a plot go, so that they cover neither lines nor each other.

const HEIGHT_PX = 13;
/** How much of the height is below the line that the letters stand on. */
const BELOW_PX = 3;

/** Places labels among `lines`, each a list of `[x, y]` from left to right, between `top` and `bottom`. */
export class Labels {
  #taken = [];

  constructor(lines, top, bottom) {
    this.lines = lines;
    this.top = top;
    this.bottom = bottom;
  }

  /**
   * The height for a label from `left` to `right`: as near to `y` as it covers nothing; where there is no such height,
   * one at which it covers lines alone.
   */
  place(left, right, y) {
    const boxAt = (height) => ({ left, right, top: height - HEIGHT_PX + BELOW_PX, bottom: height + BELOW_PX });
    const boxes = this.#heights(y).map(boxAt);
    const free = boxes.filter((box) => !this.#taken.some((other) => overlap(box, other)));
    const clear = free.find((box) => !this.lines.some((line) => crosses(line, box)));
    const box = clear ?? free[0];
    if (!box) return y;
    this.#taken.push(box);
    return box.bottom - BELOW_PX;
  }

  /** The heights to try, the nearest first, and the one above before the one below. */
  #heights(y) {
    const [highest, lowest] = [this.top + HEIGHT_PX - BELOW_PX, this.bottom - BELOW_PX];
    const start = Math.min(Math.max(y, highest), lowest);
    const found = [start];
    for (let step = HEIGHT_PX; step < lowest - highest + HEIGHT_PX; step += HEIGHT_PX) {
      found.push(...[start - step, start + step].filter((height) => height >= highest && height <= lowest));
    }
    return found;
  }
}

function overlap(one, other) {
  return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
}

/** Whether a line, from left to right, runs through a box. */
function crosses(line, box) {
  return line.some(([toX, toY], place) => {
    const [fromX, fromY] = line[place - 1] ?? [toX, toY];
    if (toX < box.left || fromX > box.right) return false;
    const at = (x) => (toX === fromX ? toY : fromY + ((toY - fromY) * (x - fromX)) / (toX - fromX));
    const heights = [at(Math.max(fromX, box.left)), at(Math.min(toX, box.right))];
    return Math.min(...heights) < box.bottom && Math.max(...heights) > box.top;
  });
}

// The seconds that the server has told of, oldest first.

/** How far apart the end of a second and the beginning of the next may be without one missing. */
const SLACK_MS = 750;

/** The last seconds, each of them once. */
export class History {
  #seconds = [];
  #keepMs;

  constructor(keepMs) {
    this.#keepMs = keepMs;
  }

  /** Adds seconds in any order; those that are known already or too old change nothing. */
  add(seconds) {
    const known = new Set(this.#seconds.map((second) => second.at_ms));
    for (const second of seconds) {
      if (known.has(second.at_ms)) continue;
      known.add(second.at_ms);
      this.#forgetFuture(second);
      this.#seconds.push(second);
    }
    this.#seconds.sort((one, other) => one.at_ms - other.at_ms);
    const end = this.last?.at_ms ?? 0;
    this.#seconds = this.#seconds.filter((second) => second.at_ms > end - this.#keepMs);
  }

  /** A server whose clock was set back tells of times again that it told of before. */
  #forgetFuture(second) {
    const last = this.last;
    const isNewer = last !== undefined && last.at_ms > second.at_ms && last.uptime_seconds < second.uptime_seconds;
    if (isNewer) this.#seconds = this.#seconds.filter((known) => known.at_ms < second.at_ms);
  }

  /** The newest second; none before the first. */
  get last() {
    return this.#seconds.at(-1);
  }

  /** Whether something is missing between the newest second and this one. */
  misses(second) {
    return this.last !== undefined && isApart(this.last, second);
  }

  /** All that are kept. */
  get seconds() {
    return [...this.#seconds];
  }
}

/** Where the time begins that a second covers. */
export function startMs(second) {
  return second.at_ms - second.seconds * 1000;
}

/** Whether time is missing between two seconds, or another server process told the later one. */
export function isApart(earlier, later) {
  return startMs(later) - earlier.at_ms > SLACK_MS || isRestart(earlier, later);
}

/** Whether the server was started anew between two seconds. */
function isRestart(earlier, later) {
  return later.uptime_seconds < earlier.uptime_seconds;
}

/** Whether another sale, or none, was the active one in the later of two seconds. */
export function isOtherSale(earlier, later) {
  return earlier.sale?.id !== later.sale?.id;
}

/** Cuts seconds where `isCut(earlier, later)` holds: nothing is drawn across a cut. */
export function cut(seconds, isCut = isApart) {
  const pieces = [];
  seconds.forEach((second, place) => {
    if (place === 0 || isCut(seconds[place - 1], second)) pieces.push([]);
    pieces.at(-1).push(second);
  });
  return pieces;
}

/** The times of which nothing is known: `{from, to, restart}`. */
export function gaps(seconds) {
  const found = [];
  for (let place = 1; place < seconds.length; place += 1) {
    const [earlier, later] = [seconds[place - 1], seconds[place]];
    if (!isApart(earlier, later)) continue;
    const to = Math.max(startMs(later), earlier.at_ms);
    found.push({ from: earlier.at_ms, to, restart: isRestart(earlier, later) });
  }
  return found;
}

/** The times through which `holds(second)` did: `{from, to, seconds}`; time that is missing ends one. */
export function spells(seconds, holds) {
  const held = cut(seconds, (earlier, later) => isApart(earlier, later) || holds(earlier) !== holds(later));
  return held
    .filter(([first]) => holds(first))
    .map((piece) => ({ from: startMs(piece[0]), to: piece.at(-1).at_ms, seconds: piece }));
}

/** A second's count of answers by `[route, outcome]`, summed over `seconds`: `{"route outcome": count}`. */
export function answers(seconds) {
  const sums = new Map();
  for (const { counts } of seconds) {
    for (const [route, outcomes] of Object.entries(counts)) {
      for (const [outcome, count] of Object.entries(outcomes)) {
        const key = `${route} ${outcome}`;
        sums.set(key, (sums.get(key) ?? 0) + count);
      }
    }
  }
  return sums;
}

/** The time that seconds cover, in seconds. */
export function covered(seconds) {
  return seconds.reduce((sum, second) => sum + second.seconds, 0);
}

// From values to places, and the values that are worth a line on an axis.

/** A linear scale: `from` lies at `start`, `to` at `end`. */
export function linear(from, to, start, end) {
  const length = to - from || 1;
  return (value) => start + ((value - from) / length) * (end - start);
}

/** A logarithmic scale; what is below `from` lies where `from` does. */
export function logarithmic(from, to, start, end) {
  const scale = linear(Math.log10(from), Math.log10(to), start, end);
  return (value) => scale(Math.log10(Math.max(value, from)));
}

/** How many nines a quantile has, the usual scale of tails: 0 → 0, 0.9 → 1, 0.99 → 2. */
export function nines(quantile) {
  return -Math.log10(1 - quantile);
}

/** The smallest of 1, 2 and 5 times a power of ten that is not below `value`. */
export function roundUp(value, least = 1) {
  if (value <= least) return least;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= value * (1 - 1e-9));
}

/** Round values from 0 to `to`, about `count` of them. */
export function ticks(to, count) {
  const step = roundUp(to / count, 1e-9);
  const found = [];
  for (let place = 0; place * step <= to * (1 + 1e-9); place += 1) found.push(place * step);
  return found;
}

/** The powers of ten from `from` to `to`. */
export function decades(from, to) {
  const found = [];
  for (let power = Math.ceil(Math.log10(from) - 1e-9); 10 ** power <= to * (1 + 1e-9); power += 1) {
    found.push(10 ** power);
  }
  return found;
}

/** The powers of ten next to the least and the greatest of `values`, at least `decadesMin` apart. */
export function decadesAround(values, fallback, decadesMin = 2) {
  const known = values.filter((value) => value > 0);
  if (known.length === 0) return fallback;
  const from = Math.floor(Math.log10(Math.min(...known)));
  const to = Math.ceil(Math.log10(Math.max(...known)) + 1e-9);
  return [10 ** from, 10 ** Math.max(to, from + decadesMin)];
}

/** The first step of time, in milliseconds, that gives at most `count` lines on `lengthMs`. */
export function timeStepMs(lengthMs, count) {
  const steps = [5, 10, 15, 30, 60, 120, 300].map((seconds) => seconds * 1000);
  return steps.find((step) => lengthMs / step <= count) ?? steps.at(-1);
}

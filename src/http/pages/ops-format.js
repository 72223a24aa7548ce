// Numbers as an operator reads them.

const GROUPED = new Intl.NumberFormat("en-GB");
const NOTHING = "–";

/** 9985 → "9,985" */
export function whole(number) {
  return number === null || number === undefined ? NOTHING : GROUPED.format(Math.round(number));
}

/** How much of something, in at most five characters: "0.4", "12.5", "840", "12.4k", "1.2M". */
export function amount(number) {
  if (number === null || number === undefined) return NOTHING;
  if (number >= 999_500) return `${significant(number / 1e6)}M`;
  if (number >= 9_999.5) return `${significant(number / 1e3)}k`;
  if (number >= 99.5 || Number.isInteger(number)) return whole(number);
  return number.toFixed(1);
}

/** "1 record", "2 records" */
export function counted(number, noun) {
  return `${whole(number)} ${noun}${Math.round(number) === 1 ? "" : "s"}`;
}

/** Microseconds with the unit that suits: "81 µs", "1.24 ms", "2.1 s". */
export function latency(us) {
  if (us === null || us === undefined) return NOTHING;
  if (us < 999.5) return `${significant(us)} µs`;
  if (us < 999_500) return `${significant(us / 1e3)} ms`;
  return `${significant(us / 1e6)} s`;
}

/** A latency on an axis: one of 1, 10 and 100 of a unit. */
export function decade(us) {
  if (us < 1e3) return `${us} µs`;
  return us < 1e6 ? `${us / 1e3} ms` : `${us / 1e6} s`;
}

/** Three digits that count, and no zeros after them. */
function significant(number) {
  const digits = number >= 100 ? 0 : number >= 10 ? 1 : 2;
  return String(Number(number.toFixed(digits)));
}

/** Seconds in words, two units at most: "14 s", "2 min 5 s", "3 h 12 min", "2 d 4 h". */
export function duration(seconds) {
  const rounded = Math.max(0, Math.round(seconds));
  const units = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, length]) => rounded >= length);
  if (first < 0) return "0 s";
  const [unit, length] = units[first];
  const [nextUnit, nextLength] = units[first + 1] ?? ["", 1];
  const rest = Math.floor((rounded % length) / nextLength);
  const text = `${Math.floor(rounded / length)} ${unit}`;
  return rest > 0 && nextUnit ? `${text} ${rest} ${nextUnit}` : text;
}

/** A moment in UTC, as the server's log has it: "10:00:07". */
export function clock(atMs) {
  return new Date(atMs).toISOString().slice(11, 19);
}

/** "24.8 MiB" */
export function bytes(count) {
  if (count === null || count === undefined) return NOTHING;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(count, 1)) / 10));
  return `${significant(count / 1024 ** power)} ${units[power]}`;
}

/** 0.834 → "83 %" */
export function percent(share) {
  return `${Math.round(share * 100)} %`;
}

/** 0.9995 → "p99.95", 1 → "max" */
export function quantileName(quantile) {
  if (quantile >= 1) return "max";
  return quantile <= 0 ? "min" : `p${Number((quantile * 100).toFixed(5))}`;
}

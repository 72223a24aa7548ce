// When a sale will be sold out, or when it was.

import { clock, duration, whole } from "./ops-format.js";
import { isApart } from "./ops-history.js";

/**
 * What is to be expected after `seconds`: `words` for people; with `rate` and `unsold` where there is
 * a line to draw, and `atMs` where it reaches zero before the sale ends.
 */
export function forecast(seconds) {
  const last = seconds.at(-1);
  if (!last?.sale) return { words: "no sale is open" };
  const { sale } = last;
  const unsold = sale.total - sale.sold;
  if (unsold <= 0) return { words: soldOut(seconds.filter((second) => second.sale?.id === sale.id)) };
  if (!(sale.rate > 0)) return { words: standing(sale, unsold) };
  const leftSeconds = unsold / sale.rate;
  const atMs = last.at_ms + leftSeconds * 1000;
  const endMs = Date.parse(sale.ended_at);
  if (atMs <= endMs) {
    const free = sale.free === 0 ? "none is free, " : "";
    return { words: `${free}sold out in about ${duration(leftSeconds)}`, rate: sale.rate, unsold, atMs };
  }
  return { words: "not at this rate before the end", rate: sale.rate, unsold };
}

function standing(sale, unsold) {
  if (sale.free === 0) return `none is free: ${whole(sale.held)} held`;
  return unsold === sale.total ? "nothing is sold yet" : "nothing of this sale is selling now";
}

/** When the last unit was sold, as far as it was seen. Units may have come back before that. */
function soldOut(seconds) {
  const place = seconds.findLastIndex(({ sale }) => sale.sold < sale.total) + 1;
  const at = clock(seconds[place].at_ms);
  if (place === 0) return `sold out before ${at}`;
  const before = seconds[place - 1];
  return isApart(before, seconds[place]) ? `sold out between ${clock(before.at_ms)} and ${at}` : `sold out ${at}`;
}

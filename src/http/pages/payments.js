// When the shop is asked for payments that are under way, and where a buyer pays.

import { scattered } from "./server.js";

// After this time at first; up to twice as long, so that not all ask at once.
const WAIT_MS = 2_000;
// It doubles up to this: who has just come from paying waits for an answer, who left it undone does not.
const WAIT_MS_MAX = 15_000;

export class Polls {
  constructor() {
    this.hasten();
  }

  // From now on the shop is asked as often as at first.
  hasten() {
    [this.next_ms, this.wait_ms] = [0, WAIT_MS];
  }

  areDue = () => performance.now() >= this.next_ms;

  // The payments have been asked for, which have `left_ms` each: the next time comes later, but not long behind the end of one.
  putOff(left_ms) {
    const ends_ms = left_ms.filter((ms) => ms > 0).map((ms) => ms + scattered(WAIT_MS));
    this.next_ms = performance.now() + Math.min(this.wait_ms + scattered(this.wait_ms), ...ends_ms);
    if (left_ms.length > 0) this.wait_ms = Math.min(2 * this.wait_ms, WAIT_MS_MAX);
  }
}

// The page at which the checkout with this code is paid. Whoever has paid comes back to this page.
export function addressToPay(page, code) {
  const address = new URL(page);
  address.searchParams.set("code", code);
  address.searchParams.set("return", new URL("./", document.baseURI).href);
  return address.href;
}

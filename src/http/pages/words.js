// What visitors are told when something is refused: what it means, and what to do next.

const WORDS = {
  validation_failed: ["The shop did not understand this.", "{errors}"],
  item_not_found: ["There is no such item.", "Reload the page to see what is on sale now."],
  sale_not_active: [
    "This sale is not open.",
    "It is over, or has not begun. Nothing was sold to you here.",
  ],
  sale_paused: [
    "The sale is paused.",
    "Nothing can be chosen until it goes on. What you have chosen you can still buy.",
  ],
  user_limit_exceeded: [
    "That would be over your limit.",
    "Everybody gets at most {limit} in this sale. What you have chosen counts, and what you have bought.",
  ],
  item_limit_exceeded: [
    "That would be over the limit of this item.",
    "Everybody gets at most {limit} of this kind in this sale. What you have bought of it counts.",
  ],
  item_already_in_checkout: [
    "You have this one already.",
    "It is in your checkout, or you bought it in this sale.",
  ],
  item_sold_out: ["Sold out.", "Somebody else was faster. Choose another item."],
  item_held: [
    "Somebody else has it in a checkout.",
    "Unless they buy it, it comes back. Try again in {wait}.",
  ],
  checkout_not_found: ["The shop does not know this checkout.", "Choose your items again."],
  payment_under_way: ["You are paying.", "Nothing can be added until the payment is over."],
  payment_not_offered: ["This sale takes no such payments.", "Purchase at once."],
  payment_failed: [
    "The provider says that the payment has failed.",
    "Pay again, or give back what you chose.",
  ],
  payment_expired: [
    "The time to pay is over.",
    "What was reserved for you can be had by others again. Have you paid all the same, ask the shop: it may sell you what is still there.",
  ],
  shop_confirms: ["The shop purchases for you.", "It does once you have paid."],
  unauthorized: [
    "The shop does not know who you are.",
    "Sign in, or sign in again if that was a while ago, and try again.",
  ],
  user_mismatch: ["This is somebody else's checkout.", "Choose your items yourself."],
  not_invited: ["This is not for everybody.", "You are not invited to this item or this sale."],
  item_not_in_checkout: ["This is not in your checkout.", "It was given back before."],
  all_items_sold: [
    "Somebody else was faster.",
    "Everything that you chose is gone. You paid for nothing; choose again.",
  ],
  checkout_expired: [
    "Your checkout has run out.",
    "What was held for you can be had by everybody again. Choose anew, and buy a little sooner.",
  ],
  already_processed: [
    "This checkout was used before.",
    "What came of it then is shown here; it counts once.",
  ],
  sale_not_found: [
    "The shop does not know this sale any more.",
    "Reload the page to see what is on sale now.",
  ],
  rate_limited: ["That was a lot at once.", "Nothing is lost. Try again in {wait}."],
  overloaded: ["Very many people are here at once.", "Nothing is lost. Try again in {wait}."],
  draining: [
    "The shop is just being restarted.",
    "What was confirmed stays yours. Try again in {wait}.",
  ],
  journal_unavailable: [
    "The shop cannot write anything down at the moment.",
    "So it sells nothing that it could forget. Try again in {wait}.",
  ],
  standby: [
    "The shop is just moving to another machine.",
    "What was confirmed stays yours. Try again in {wait}.",
  ],
  archive_unavailable: [
    "The shop cannot read what that sale consisted of at the moment.",
    "Try again in {wait}.",
  ],
  payload_too_large: ["That was too long for the shop.", "A shorter user id will do."],
  headers_too_large: [
    "Your browser sent more than the shop takes.",
    "Clear what it keeps for this site, its cookies, and try again.",
  ],
  uri_too_long: ["That was too long for the shop.", "A shorter user id will do."],
  malformed_request: [
    "Something between you and the shop garbled this.",
    "Try again in {wait}; nothing is bought twice.",
  ],
  https_required: [
    "The shop speaks over encrypted connections only.",
    "Open its address with https:// in front.",
  ],
  idempotency_key_reused: ["This page and the shop do not fit together.", "Reload the page."],
  unsupported_media_type: ["This page and the shop do not fit together.", "Reload the page."],
  method_not_allowed: ["This page and the shop do not fit together.", "Reload the page."],
  internal_error: ["Something went wrong in the shop.", "It was not you. Try again in {wait}."],
  network_down: [
    "The shop does not answer.",
    "Your connection may be down, or the shop just restarts. Ask again: nothing is bought twice.",
  ],
  ended_before_purchase: [
    "The sale ended before you bought.",
    "What was in your checkout was not sold to you.",
  ],
  not_understood: [
    "Something between you and the shop answered in its place.",
    "Try again in {wait}; nothing is bought twice.",
  ],
};

// A title and some advice about a problem, as `ask` returns it.
export function wordsFor(problem) {
  const [title, advice] = WORDS[problem.error] ?? WORDS.not_understood;
  const errors = Object.entries(problem.body?.errors ?? {});
  const values = {
    errors: errors.map(([field, wrong]) => `${field} ${wrong}.`).join(" "),
    limit: items(problem.body?.limit),
    wait: duration(problem.retry_after_seconds ?? 5),
  };
  return { title, advice: advice.replace(/{(\w+)}/g, (_, name) => values[name]) };
}

export const number = (value) => Number(value).toLocaleString("en");

export const items = (count) => (count === 1 ? "1 item" : `${number(count ?? 0)} items`);

// Seconds in words.
export function duration(seconds) {
  const whole = Math.max(1, Math.ceil(seconds));
  if (whole < 100) return whole === 1 ? "a second" : `${whole} seconds`;
  const minutes = Math.round(whole / 60);
  return minutes < 100 ? `${minutes} minutes` : `${Math.round(minutes / 60)} hours`;
}

// For how long a checkout has its items; the time is not known at first. All of it is as short as the time: a second line
// would move the button under a finger.
export function holdWords(sale, { held_until_ms, paid_until_ms, pays, reserves }, now_ms) {
  const paid_ms = paid_until_ms - now_ms;
  if (paid_until_ms && paid_ms > 0) return `Reserved for you for ${clock(paid_ms / 1000)}.`;
  if (paid_until_ms) return paid_ms <= 0 ? "The time to pay is over." : "";
  const left_ms = Math.min(held_until_ms, sale.ends_ms) - now_ms;
  if (!sale.hold && pays && reserves) return "Reserved as soon as you pay.";
  if (!sale.hold) return "Nothing is reserved: an item belongs to whoever buys it first.";
  if (Number.isNaN(left_ms)) return "";
  if (!held_until_ms) return "Held for you for a while.";
  if (left_ms > 0) return `Held for you for ${clock(left_ms / 1000)}.`;
  return "Your items may be gone by now.";
}

// Seconds as a clock shows them.
export function clock(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  const two = (value) => String(value).padStart(2, "0");
  const [days, hours] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24];
  const rest = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  if (days > 0) return `${days} d ${two(hours)}:${rest}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}

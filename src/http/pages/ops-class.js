// The classes of answers, which are never mixed: each has a latency of its own kind.

/** What each class is called, and what belongs to it. */
export const CLASSES = {
  checkouts: { title: "Checkouts", about: "accepted, and on the disk before the answer" },
  purchases: { title: "Purchases", about: "sold, and on the disk before the answer" },
  repeated: { title: "Repeated", about: "purchases answered before" },
  refused: { title: "Refused", about: "buyers who were told no" },
  shown: { title: "Shown", about: "pages, lists, all else" },
};

const BUYING = new Set(["checkout", "purchase"]);
const CLASS_OF = { accepted: "checkouts", sold: "purchases", replayed: "repeated" };

/** The class of an answer. */
export function classOf(route, outcome) {
  if (!BUYING.has(route)) return "shown";
  return CLASS_OF[outcome] ?? "refused";
}

/** How many answers of each class there were within a second, for each second of time. */
export function ratesOf(second) {
  const rates = { checkouts: 0, purchases: 0, repeated: 0, refused: 0, shown: 0 };
  for (const [route, outcomes] of Object.entries(second.counts)) {
    for (const [outcome, count] of Object.entries(outcomes)) {
      rates[classOf(route, outcome)] += count / second.seconds;
    }
  }
  return rates;
}

/** The outcomes that refuse a buyer, in words. */
export const REFUSALS = {
  item_sold_out: "Sold out",
  all_items_sold: "All gone at purchase",
  item_held: "Held by others",
  user_limit_exceeded: "Over the user's limit",
  item_limit_exceeded: "Over the item's limit",
  item_already_in_checkout: "Chosen already",
  already_processed: "Code used before",
  checkout_expired: "Hold ran out",
  checkout_not_found: "No such code",
  payment_under_way: "Being paid",
  payment_not_offered: "No such payments",
  shop_confirms: "Only the shop purchases",
  unauthorized: "No right token",
  user_mismatch: "Token of another user",
  not_invited: "Not invited",
  item_not_in_checkout: "Given back before",
  idempotency_key_reused: "Key used for another",
  item_not_found: "No such item",
  sale_not_active: "Sale not open",
  sale_paused: "Sale paused",
  sale_not_found: "No such sale",
  validation_failed: "Malformed request",
  payload_too_large: "Body too large",
  method_not_allowed: "Wrong method",
  unsupported_media_type: "Encoded body",
  rate_limited: "Over the rate limit",
  overloaded: "Too busy",
  draining: "Shutting down",
  journal_unavailable: "Journal not writable",
  standby: "Another server sells",
  archive_unavailable: "Archive not readable",
  internal_error: "Internal error",
};

/** The server's own fault, not the buyers' bad luck. */
export const FAULTS = new Set([
  "overloaded",
  "draining",
  "journal_unavailable",
  "standby",
  "archive_unavailable",
  "internal_error",
]);

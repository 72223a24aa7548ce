// Asking the server, and its clock.

const PATIENCE_MS = 10_000;
const WAIT_MS_MAX = 8_000;

// The server's time is known to lie between `low_ms` and `high_ms` ahead of this page's own steady clock.
// Every answer says a whole second in which it was given; together they tell the time more exactly.
let [low_ms, high_ms] = [-Infinity, Infinity];
let isAnswered = false;

// The server's time, in milliseconds since 1970: visitors' clocks are often wrong. `NaN`, as long as there is no
// answer that tells it; where somebody takes the time out of answers, a visitor's clock is all there is.
export function now() {
  if (Number.isFinite(low_ms)) return performance.now() + (low_ms + high_ms) / 2;
  return isAnswered ? Date.now() : NaN;
}

function setClock(response, sent_ms) {
  isAnswered = true;
  const date_ms = Date.parse(response.headers.get("date"));
  if (Number.isNaN(date_ms)) return;
  const [low, high] = [date_ms - performance.now(), date_ms + 1000 - sent_ms];
  [low_ms, high_ms] = [Math.max(low_ms, low), Math.min(high_ms, high)];
  // One of the clocks has stood still or was set.
  if (low_ms > high_ms) [low_ms, high_ms] = [low, high];
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// A time of up to `ms`: what everybody does at the same moment, nobody should do in the same instant.
export const scattered = (ms) => Math.random() * ms;

// The answer's text and headers. Throws when there is none.
export async function load(path, options = {}) {
  const sent_ms = performance.now();
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const response = await fetch(path, {
    cache: "no-store",
    credentials: "same-origin",
    signal,
    ...options,
  });
  setClock(response, sent_ms);
  return { response, text: await response.text() };
}

// Asks for JSON. Gives `{ ok: true, body, next }`, or `{ ok: false, error, body, retry_after_seconds }`;
// `next` is the address of a list's next page.
export async function ask(path, options) {
  let answer;
  try {
    answer = await load(path, options);
  } catch {
    return { ok: false, error: "network_down" };
  }
  const { response, text } = answer;
  const seconds = Number.parseInt(response.headers.get("retry-after"), 10);
  const retry_after_seconds = Number.isNaN(seconds) ? undefined : seconds;
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    return { ok: false, error: "not_understood", retry_after_seconds };
  }
  if (!response.ok)
    return { ok: false, error: body.error, body, status: response.status, retry_after_seconds };
  const next = /<([^>]+)>;\s*rel="next"/.exec(response.headers.get("link") ?? "")?.[1];
  return { ok: true, body, next: next && new URL(next, response.url).href };
}

// No answer of the shop: nobody knows whether the request has come there.
export const isLost = ({ error }) => error === "network_down" || error === "not_understood";

// An answer that stays the same when it is asked for again.
export const lasts = (answer) => !isLost(answer) && answer.status !== 503;

// Asks until there is an answer that lasts, `attempts` times at most: with `key`, under which the shop does once what
// is asked for many times, and gives the first answer again.
export async function insist(path, key, { attempts, onWait = () => {} }) {
  const options = { method: "POST", headers: { "Idempotency-Key": key } };
  for (let attempt = 1; ; attempt += 1) {
    const answer = await ask(path, options);
    if (lasts(answer) || attempt >= attempts) return answer;
    const wait_ms = (answer.retry_after_seconds ?? 2 ** (attempt - 1)) * 1000;
    onWait(answer);
    await pause(Math.min(wait_ms, WAIT_MS_MAX) + scattered(1000));
  }
}

// Something nobody can guess. Not `crypto.randomUUID`, which pages without TLS do not have.
export function random() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

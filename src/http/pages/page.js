// The sale page: what is on, how much of it is left, and what comes next.

import { Basket } from "./basket.js";
import { Items } from "./items.js";
import { kept } from "./kept.js";
import { load, now, random, scattered } from "./server.js";
import { SharedStream } from "./shared-stream.js";
import { clock, duration, number } from "./words.js";

// Everybody learns of a sale's end in the same instant, and comes for the next one within this time.
const SCATTER_MS = 3_000;
const LOOK_AGAIN_MS = 5_000;
// As long as the next sale is known, only another one could come before it.
const ANNOUNCED_MS = 30_000;
const ITEMS_MS = 10_000;
// How often whoever watches one sale learns of the others.
const OTHERS_MS = 60_000;
const SPOKEN_MS = 30_000;
// A stream that says nothing for so long from its beginning is refused, or kept back on its way.
const STREAM_PATIENCE_MS = 10_000;
// Where the page to pay at leads whoever could not.
const PAYMENT_FAILED = "#payment-failed";

const $ = (id) => document.getElementById(id);

let sale = null;
let next_ms = NaN;
let stream = null;
let followed_ms = 0;
// Whether the stream tells how much is left.
let heard = false;
let timer = null;
let changed = false;
// Whether units came back that were sold: some of this visitor's may be among them.
let cancelled = false;
let spoken_ms = 0;

let visitor = user();
const basket = new Basket(visitor, $("main").dataset.pay, (bought) => (bought ? list.refresh() : list.redraw()));
const list = new Items(basket);

// What `main` says of the sale, in this page or in a newer one.
function read({ dataset }) {
  const { sale: id, ends, next, paused, by, pay } = dataset;
  if (!id) return { sale: null, next_ms: Date.parse(next) };
  const names = ["limit", "hold", "payment", "total", "sold", "remaining"];
  const [limit, hold, payment, total, sold, remaining] = names.map((name) => Number(dataset[name]));
  const [ends_ms, held] = [Date.parse(ends), total - sold - remaining];
  // Buyers pay where only the shop purchases, or where it has said where to pay; otherwise they purchase at once.
  const [reserves, pays] = [payment > 0, by === "shop" || Boolean(payment > 0 && pay)];
  return {
    sale: { id, ends_ms, limit, hold, payment, pays, reserves, total, sold, held, remaining, rate: 0, paused: Boolean(paused) },
    next_ms: NaN,
  };
}

// Asks which sale is on now, and how much of it is left.
async function look() {
  timer = null;
  if (document.hidden) return;
  const mine = sale;
  const state = await ofNow();
  // Its end may have been heard of meanwhile.
  if (sale !== mine) return;
  if (state && (!mine || state.sale?.id !== mine.id)) return show(state);
  const words = state ? "Connecting again…" : "The shop does not answer; this page goes on asking";
  if (!heard) setLive(false, words);
  if (!heard && state) update(state.sale);
  if (!heard || sale.ends_ms <= now()) lookLater();
}

// What the server's page says now: of this sale as long as it is on, then of the one that began last.
async function ofNow() {
  try {
    const path = sale ? addressOf(sale) : `./${location.search}`;
    const { response, text } = await load(path, { cache: "no-cache" });
    const main = new DOMParser().parseFromString(text, "text/html").querySelector("main");
    if (!response.ok || !main) return null;
    showSales(main.querySelector("#sales"));
    $("asked").textContent = main.querySelector("#asked").textContent;
    return read(main);
  } catch {
    return null;
  }
}

const addressOf = ({ id }) => `?sale_id=${id}`;

// The links between the sales; whoever is at one of them stays there.
function showSales(newer) {
  const shown = $("sales");
  const focused = shown.contains(document.activeElement) && document.activeElement.getAttribute("href");
  shown.replaceChildren(...newer.childNodes);
  if (focused) shown.querySelector(`[href="${focused}"]`)?.focus({ preventScroll: true });
}

function lookSoon(scatter_ms) {
  clearTimeout(timer);
  timer = null;
  lookLater(0, scatter_ms);
}

// Looks in a while, once. Whoever cannot see the page looks when they come back.
function lookLater(after_ms = LOOK_AGAIN_MS, scatter_ms = SCATTER_MS) {
  timer ??= setTimeout(look, after_ms + scattered(scatter_ms));
}

function show(state) {
  if (sale) leave();
  [sale, next_ms] = [state.sale, state.next_ms];
  $("status").hidden = true;
  $("stock").hidden = !sale;
  $("live").hidden = false;
  if (sale) {
    document.title = `Sale ${sale.id} · Flash sale`;
    $("checkout").hidden = false;
    basket.open(sale, visitor);
    list.open(sale);
    drawStock();
    follow();
  } else {
    $("headline").textContent = "No sale is open at the moment";
    document.title = "Flash sale";
    setLive(false, "The next one opens here by itself");
    lookLater(Number.isNaN(next_ms) ? LOOK_AGAIN_MS : ANNOUNCED_MS, LOOK_AGAIN_MS);
  }
  tick();
}

// Follows the stock of the sale as it changes, while somebody can see it.
function follow() {
  rest();
  if (document.hidden) return;
  followed_ms = performance.now();
  const mine = (stream = new SharedStream(`sales/${sale.id}/stream`, ["stock", "closed"]));
  mine.addEventListener("stock", (event) => {
    const { total, remaining, sold, held, rate, ends_at, paused = false } = JSON.parse(event.data);
    if (!heard) setLive(true, "Live");
    heard = true;
    update({ total, remaining, sold, held, rate, paused, ends_ms: Date.parse(ends_at) });
  });
  mine.addEventListener("closed", (event) => end(JSON.parse(event.data)));
  mine.addEventListener("error", () => {
    heard = false;
    setLive(false, "Connecting again…");
    // It comes again by itself, unless it was refused: the sale may be another one by now.
    if (mine.readyState !== EventSource.CLOSED) return;
    lookLater();
    setTimeout(() => stream === mine && follow(), LOOK_AGAIN_MS + scattered(SCATTER_MS));
  });
}

function rest() {
  stream?.close();
  stream = null;
  heard = false;
}

// What is left of the sale by now.
function update(figures) {
  changed ||= ["total", "sold", "held"].some((name) => figures[name] !== sale[name]);
  cancelled ||= figures.sold < sale.sold;
  Object.assign(sale, figures);
  drawStock();
}

// The sale is over.
function end({ sold, total }) {
  $("headline").textContent = `Sale ${sale.id} is over`;
  $("stock").hidden = $("countdown").hidden = true;
  $("status").hidden = false;
  $("status").textContent = `${number(sold)} of ${number(total)} were sold.`;
  setLive(false, "The next one opens here by itself");
  leave();
  lookLater(500);
}

function leave() {
  rest();
  // Whoever asked for this sale has seen it; a later look is for what is on by then.
  if (location.search) history.replaceState(null, "", "./");
  [sale, next_ms] = [null, NaN];
  basket.close();
  list.clear();
}

function setLive(isLive, text) {
  $("live").dataset.live = isLive;
  $("live").textContent = text;
}

function drawStock() {
  const { id, paused, total, remaining, sold, held, rate } = sale;
  const headline = `Sale ${id} is ${paused ? "paused" : "open"}`;
  // Only what is new is spoken.
  if ($("headline").textContent !== headline) $("headline").textContent = headline;
  $("remaining").textContent = number(remaining);
  $("total").textContent = `of ${number(total)} left`;
  const link = document.querySelector(`#sales [href="${addressOf(sale)}"] span`);
  if (link) link.textContent = `${number(total - sold)} unsold`;
  const heldWords = held > 0 ? ` · ${number(held)} held` : "";
  const rateWords = rate > 0 ? ` · ${number(Math.max(1, Math.round(rate)))} a second` : "";
  $("figures").textContent =
    remaining === 0 && held === 0 ? "Sold out" : `${number(sold)} sold${heldWords}${rateWords}`;
  [
    ["meter-sold", sold],
    ["meter-held", held],
    ["meter-free", remaining],
  ].forEach(([id, units]) => {
    $(id).style.flexGrow = String(units);
  });
}

// Once a second.
function tick() {
  const target_ms = sale ? sale.ends_ms : next_ms;
  const left_s = (target_ms - now()) / 1000;
  $("countdown").hidden = Number.isNaN(left_s);
  $("countdown-word").textContent = sale ? "Ends in" : "Begins in";
  if (!Number.isNaN(left_s)) $("countdown-time").textContent = clock(left_s);
  basket.tick();
  if (left_s <= 0 && !sale) {
    next_ms = NaN;
    lookSoon(SCATTER_MS);
  }
  // The end has not been heard of: the stream may be down.
  if (left_s <= -2 && sale) lookLater();
  if (sale && !heard && performance.now() - followed_ms > STREAM_PATIENCE_MS) lookLater();
  if (sale && !Number.isNaN(left_s) && !document.hidden && performance.now() - spoken_ms > SPOKEN_MS) speak(left_s);
}

// What those hear who do not see the figures.
function speak(left_s) {
  spoken_ms = performance.now();
  $("spoken").textContent =
    `${number(sale.remaining)} of ${number(sale.total)} left; the sale ends in ${duration(left_s)}.`;
}

function user() {
  const known = kept.get("user");
  if (known) return known;
  const made = `guest-${random().slice(0, 12)}`;
  kept.set("user", made);
  return made;
}

function showUser() {
  $("user-shown").textContent = visitor;
  $("user").value = visitor;
}

$("user-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("user").value.trim();
  if (!name) return;
  visitor = name;
  kept.set("user", name);
  showUser();
  $("who").open = false;
  basket.say(null);
  basket.open(sale, name);
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return rest();
  if (sale) follow();
  basket.polls.hasten();
  basket.review();
  lookSoon(1000);
});

setInterval(tick, 1000);
setInterval(
  () => {
    if (document.hidden) return;
    if (cancelled) basket.review();
    cancelled = false;
    if (!changed || !sale) return;
    changed = false;
    list.refresh();
  },
  ITEMS_MS + scattered(SCATTER_MS),
);

setInterval(() => {
  if (document.hidden) return;
  basket.review();
  if (sale) ofNow();
}, OTHERS_MS + scattered(SCATTER_MS));

$("who").hidden = false;
$("terminal").open = false;
showUser();
// How this page was reached is how a terminal reaches the server, too.
const commands = document.querySelector("#terminal pre");
commands.textContent = commands.textContent.replaceAll(/https?:\/\/[^/']+\//g, new URL("./", document.baseURI).href);
show(read($("main")));
if (location.hash === PAYMENT_FAILED) {
  history.replaceState(null, "", `./${location.search}`);
  basket.reportFailure();
}
// Nothing else would tell the time before the next sale begins.
if (!sale) lookSoon(0);

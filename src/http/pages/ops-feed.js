// The connection to the server: what has been, then every second as it comes.

import { SharedStream } from "./shared-stream.js";

const HISTORY = "ops/history";
const STREAM = "ops/stream";
/** A stream that says nothing for so long is dead, whatever the network says. */
const SILENCE_MS = 5_000;
const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 8_000;

/**
 * Fills a history. `state` is "connecting" before the first second, "live", "reconnecting" or
 * "draining" (the server said that it is shutting down); `sinceMs` is when it became so, in the
 * browser's time.
 */
export class Feed {
  #history;
  #changed;
  #retryMs = RETRY_MS_MIN;

  constructor(history, changed) {
    this.#history = history;
    this.#changed = changed;
    this.state = "connecting";
    this.sinceMs = Date.now();
  }

  /** Connects, again and again, as long as the page is open and somebody can see it. */
  async run() {
    for (;;) {
      await visible();
      try {
        await this.#fill();
        await this.#follow();
      } catch (reason) {
        if (reason instanceof Hidden) {
          this.#turn("connecting");
          continue;
        }
        this.#lost(reason);
      }
      await pause(this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
    }
  }

  /** Asks for the seconds that the server remembers. */
  async #fill() {
    const answer = await fetch(HISTORY, { cache: "no-store" });
    if (!answer.ok) throw new Error(`${HISTORY} answers ${answer.status}`);
    this.#history.add(await answer.json());
    this.#changed();
  }

  /** Takes seconds from the stream; ends with an error, when it breaks. */
  #follow() {
    return new Promise((_, failed) => {
      if (document.hidden) throw new Hidden();
      const stream = new SharedStream(STREAM, ["second", "draining"]);
      let heardMs = Date.now();
      const fail = (error) => {
        clearInterval(watch);
        document.removeEventListener("visibilitychange", hide);
        stream.close();
        failed(error);
      };
      // A stream that nobody sees would keep a connection from other pages.
      const hide = () => fail(new Hidden());
      document.addEventListener("visibilitychange", hide);
      const watch = setInterval(() => {
        if (Date.now() - heardMs > SILENCE_MS) fail(new Error("silence"));
      }, 1_000);
      stream.addEventListener("second", (event) => {
        heardMs = Date.now();
        this.#take(JSON.parse(event.data)).catch(fail);
      });
      stream.addEventListener("draining", () => fail(new Draining()));
      stream.addEventListener("error", () => fail(new Error("the stream broke")));
    });
  }

  async #take(second) {
    this.#retryMs = RETRY_MS_MIN;
    this.#turn("live");
    // What came between the history's answer and the stream's beginning.
    if (this.#history.misses(second)) await this.#fill();
    this.#history.add([second]);
    this.#changed();
  }

  #lost(reason) {
    // Once it has said that it is draining, the silence that follows is no news.
    const isDraining = this.state === "draining" || reason instanceof Draining;
    this.#turn(isDraining ? "draining" : "reconnecting");
    this.#changed();
  }

  #turn(state) {
    if (this.state === state) return;
    this.state = state;
    this.sinceMs = Date.now();
  }
}

/** The server says that it is shutting down. */
class Draining extends Error {}

/** Nobody can see the page. */
class Hidden extends Error {}

function visible() {
  return new Promise((done) => {
    const check = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", check);
      done();
    };
    document.addEventListener("visibilitychange", check);
    check();
  });
}

function pause(lengthMs) {
  return new Promise((done) => setTimeout(done, lengthMs));
}

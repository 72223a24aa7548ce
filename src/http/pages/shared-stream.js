// A stream of the server's events that the windows of one browser share.
//
// A browser opens six connections to a host over HTTP/1.1, and a stream keeps one: seven windows with a stream each
// would leave none to buy with. So one of the windows that follow the same stream leads: it has the connection, and
// passes the events on. Windows elect it by messages, not by Web Locks, which pages without TLS do not have.

import { random, scattered } from "./server.js";

// Windows of every shop at this address: the connections are those of the address.
const CHANNEL = "flashsale.streams";
// Different streams at the same time. The other windows do without, and leave connections to ask and buy with.
const STREAMS_MAX = 4;
const HEARTBEAT_MS = 1_000;
// A leader that says nothing for so long is closed, frozen, or has crashed.
const SILENCE_MS = 3_000;
// So long a new window waits for a leader to answer.
const GREETING_MS = 150;
const SCATTER_MS = 150;

/**
 * Follows the stream at `path` like an `EventSource`, for events of these `types` and "error". A new window is
 * given the last event of each type at once.
 */
export class SharedStream extends EventTarget {
  #id = random();
  #url;
  #types;
  #channel = open();
  #source = null;
  // The last event of each type, for new windows.
  #last = new Map();
  // Who leads which stream, as far as others do, and when that was heard.
  #leaders = new Map();
  #heartbeat;

  constructor(path, types) {
    super();
    this.#url = new URL(path, document.baseURI).href;
    this.#types = types;
    this.readyState = EventSource.CONNECTING;
    this.#channel?.addEventListener("message", ({ data }) => this.#hear(data));
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
    this.#post("hello");
    this.#electLater(this.#channel ? GREETING_MS : 0);
  }

  close() {
    if (this.readyState === EventSource.CLOSED) return;
    this.readyState = EventSource.CLOSED;
    clearInterval(this.#heartbeat);
    if (this.#source) this.#post("bye");
    this.#source?.close();
    this.#source = null;
    this.#channel?.close();
  }

  #post(kind, more = {}) {
    this.#channel?.postMessage({ kind, from: this.#id, url: this.#url, ...more });
  }

  #beat() {
    if (this.#source) this.#post("lead");
    else this.#elect();
  }

  #electLater(after_ms) {
    setTimeout(() => this.#elect(), after_ms + scattered(SCATTER_MS));
  }

  #elect() {
    if (this.readyState === EventSource.CLOSED || this.#source) return;
    const now_ms = performance.now();
    for (const [url, { heard_ms }] of this.#leaders) {
      if (now_ms - heard_ms > SILENCE_MS) this.#leaders.delete(url);
    }
    if (!this.#leaders.has(this.#url) && this.#leaders.size < STREAMS_MAX) this.#lead();
  }

  #lead() {
    const mine = (this.#source = new EventSource(this.#url));
    this.#post("lead");
    for (const type of this.#types) {
      mine.addEventListener(type, ({ data }) => {
        this.#last.set(type, data);
        this.#post("event", { type, data });
        this.#tell(type, data);
      });
    }
    mine.addEventListener("error", () => {
      const { readyState } = mine;
      this.#last.clear();
      this.#post("error", { readyState });
      this.#fail(readyState);
    });
  }

  // Another window leads.
  #follow(leader) {
    this.#source?.close();
    this.#source = null;
    const isNew = this.#leaders.get(this.#url)?.id !== leader;
    this.#leaders.set(this.#url, { id: leader, heard_ms: performance.now() });
    // It has the last events for whoever asks.
    if (isNew) this.#post("hello");
  }

  #hear({ kind, from, url, to, type, data, readyState }) {
    if (this.readyState === EventSource.CLOSED || (to && to !== this.#id)) return;
    if (kind === "hello") return this.#welcome(from, url);
    if (url !== this.#url) {
      if (kind === "lead") this.#leaders.set(url, { id: from, heard_ms: performance.now() });
      if (kind === "bye") this.#leaders.delete(url);
      return;
    }
    if (kind === "lead") {
      // Of two that lead, one goes on.
      if (this.#source && this.#id < from) this.#post("lead");
      else this.#follow(from);
      return;
    }
    if (this.#leaders.get(url)?.id !== from) return;
    if (kind === "event") this.#tell(type, data);
    if (kind === "error") this.#fail(readyState);
    if (kind === "bye") {
      this.#leaders.delete(url);
      this.#electLater(0);
    }
  }

  #welcome(to, url) {
    if (!this.#source) return;
    this.#post("lead", { to });
    if (url !== this.#url) return;
    this.#last.forEach((data, type) => this.#post("event", { to, type, data }));
  }

  #tell(type, data) {
    if (this.readyState === EventSource.CLOSED) return;
    this.readyState = EventSource.OPEN;
    this.dispatchEvent(new MessageEvent(type, { data }));
  }

  #fail(readyState) {
    if (readyState === EventSource.CLOSED) this.close();
    else this.readyState = readyState;
    this.dispatchEvent(new Event("error"));
  }
}

// None, where the browser may keep nothing for this address: the window is on its own.
function open() {
  try {
    return new BroadcastChannel(CHANNEL);
  } catch {
    return null;
  }
}

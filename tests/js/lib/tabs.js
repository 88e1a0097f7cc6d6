// tabs.js - one browser with many tabs, whose pages run in a World
//
// Each tab has its own timers, fetch and WebSocket, and shares Web Locks and
// BroadcastChannels with the others. What happens to a tab:
//
//     kill()    it is gone between two instructions: connections are cut, locks
//               free, and nothing of it runs any more
//     freeze()  nothing of it runs; what is for it waits: timers, messages,
//               answers, locks
//     thaw()    all of that comes, kind by kind and in no certain order of kinds
//
// Messages between tabs take their time, each pair keeps its order, and they are
// cloned as a browser does: what cannot be cloned throws.
import { createHash } from "node:crypto";
import { setMaxListeners } from "node:events";
import { Page } from "./page.js";

setMaxListeners(1000); // a leader waits for the end of every tab

// the real one answers whenever it likes; a schedule has to come out the same
Object.defineProperty(globalThis.crypto.subtle, "digest", {
  configurable: true,
  value: async (_name, bytes) => {
    const { buffer } = new Uint8Array(createHash("sha256").update(bytes).digest());
    return buffer;
  },
});

const abortError = () => new DOMException("the request was aborted", "AbortError");

export class Browser {
  tabs = new Set();
  posted = []; // [channel name, data] of every message between tabs
  channels = new Set();
  locks = new Map(); // name -> { held: [], queue: [] }

  constructor(world) {
    this.world = world;
    this.delay = () => 0.2 + world.random();
  }

  open() {
    const tab = new Tab(this);
    this.tabs.add(tab);
    return tab;
  }

  /** Who holds a lock whose name ends so; in tests: who leads. */
  holder(suits) {
    for (const [name, { held }] of this.locks)
      if (suits(name) && held.length > 0) return held[0].tab;
    return null;
  }

  // --- locks --------------------------------------------------------------

  #entry(name) {
    if (!this.locks.has(name)) this.locks.set(name, { held: [], queue: [] });
    return this.locks.get(name);
  }

  request(tab, name, options, callback) {
    if (typeof options === "function") [options, callback] = [{}, options];
    const { mode = "exclusive", steal = false, signal } = options;
    if (steal && signal) return Promise.reject(new DOMException("steal and signal", "NotSupportedError"));
    if (signal?.aborted) return Promise.reject(abortError());
    const entry = this.#entry(name);
    return new Promise((resolve, reject) => {
      const ask = { tab, mode, callback, resolve, reject };
      signal?.addEventListener("abort", () => {
        if (!entry.queue.includes(ask)) return;
        entry.queue = entry.queue.filter((other) => other !== ask);
        reject(abortError());
        this.#grant(entry);
      });
      if (steal) {
        for (const lost of entry.held.splice(0)) lost.tab.run("lock", () => lost.reject(abortError()));
        entry.queue.unshift(ask);
      } else entry.queue.push(ask);
      this.#grant(entry);
    });
  }

  query(tab) {
    return new Promise((resolve) => {
      const look = ([name, { held }]) => held.map((one) => ({ name, clientId: one.tab.clientId }));
      const answer = () => resolve({ held: [...this.locks].flatMap(look) });
      this.world.later(() => tab.run("lock", answer), this.delay());
    });
  }

  #grant(entry) {
    for (;;) {
      const [first] = entry.queue;
      const free = entry.held.length === 0;
      const together = first?.mode === "shared" && entry.held.every((one) => one.mode === "shared");
      if (!first || !(free || together)) return;
      entry.queue.shift();
      entry.held.push(first);
      this.world.later(() => first.tab.run("lock", () => this.#granted(entry, first)), this.delay());
    }
  }

  async #granted(entry, ask) {
    try {
      ask.resolve(await ask.callback({ mode: ask.mode }));
    } catch (error) {
      ask.reject(error);
    }
    this.#release(entry, ask);
  }

  #release(entry, ask) {
    if (!entry.held.includes(ask)) return;
    entry.held = entry.held.filter((other) => other !== ask);
    this.#grant(entry);
  }

  dropLocks(tab) {
    for (const entry of this.locks.values()) {
      entry.queue = entry.queue.filter((ask) => ask.tab !== tab);
      entry.held = entry.held.filter((ask) => ask.tab !== tab);
      this.#grant(entry);
    }
  }

  // --- messages between tabs ----------------------------------------------

  post(from, data) {
    const copy = structuredClone(data);
    this.posted.push([from.name, copy]);
    for (const to of this.channels) {
      if (to === from || to.name !== from.name) continue;
      to.arrives = Math.max(to.arrives, this.world.now + this.delay());
      const deliver = () => !to.closed && to.onmessage?.({ data: structuredClone(copy) });
      this.world.later(() => to.tab.run("message", deliver), to.arrives - this.world.now);
    }
  }
}

let clients = 0;

export class Tab {
  clientId = `client ${++clients}`;
  page = new Page();
  dead = false;
  #frozen = null; // kind -> what waits
  #sockets = new Set();
  #gone = new AbortController();

  constructor(browser) {
    this.browser = browser;
    const tab = this;
    const { world } = browser;
    this.page.BroadcastChannel = this.#channelClass();
    this.page.navigator.locks = {
      request: (...args) => browser.request(this, ...args),
      query: () => browser.query(this),
    };
    this.options = {
      clock: {
        ...world.clock,
        setTimeout: (callback, ms) => {
          const timer = { callback };
          const due = () => this.run("timer", () => timer.callback?.());
          timer.no = world.clock.setTimeout(due, ms);
          return timer;
        },
        clearTimeout: (timer) => {
          if (!timer) return;
          timer.callback = null; // it may wait in a frozen tab
          world.clock.clearTimeout(timer.no);
        },
      },
      fetch: (url, options) => this.#fetch(url, options),
      page: this.page,
      WebSocket: class extends world.WebSocket {
        constructor(...args) {
          super(...args);
          tab.#sockets.add(this);
          for (const name of ["onopen", "onmessage", "onclose"]) tab.#guard(this, name);
        }
      },
    };
  }

  #channelClass() {
    const tab = this;
    const { browser } = this;
    return class {
      arrives = 0;
      closed = false;
      onmessage = null;

      constructor(name) {
        this.name = name;
        this.tab = tab;
        browser.channels.add(this);
      }

      postMessage(data) {
        if (tab.dead) return;
        if (this.closed) throw new DOMException("closed", "InvalidStateError");
        browser.post(this, data);
      }

      close() {
        this.closed = true;
        browser.channels.delete(this);
      }
    };
  }

  // What the network tells this page comes when the page runs.
  #guard(socket, name) {
    let handler = null;
    Object.defineProperty(socket, name, {
      get: () => handler && ((event) => this.run("network", () => handler?.(event))),
      set: (callback) => (handler = callback),
    });
  }

  run(kind, callback) {
    if (this.dead) return;
    if (!this.#frozen) return callback();
    if (!this.#frozen.has(kind)) this.#frozen.set(kind, []);
    this.#frozen.get(kind).push(callback);
  }

  get frozen() {
    return this.#frozen !== null;
  }

  freeze() {
    this.#frozen ??= new Map();
  }

  thaw() {
    const { world } = this.browser;
    const kinds = [...(this.#frozen?.entries() ?? [])].map((kind) => [world.random(), ...kind]);
    this.#frozen = null;
    kinds.sort((a, b) => a[0] - b[0]);
    for (const [, kind, waiting] of kinds)
      for (const callback of waiting) world.later(() => this.run(kind, callback), 0);
  }

  kill() {
    this.dead = true;
    this.browser.tabs.delete(this);
    this.#gone.abort();
    for (const socket of this.#sockets) if (socket.readyState < 3) socket.close();
    for (const channel of [...this.browser.channels]) if (channel.tab === this) channel.close();
    this.browser.dropLocks(this);
  }

  #fetch(url, options) {
    const abort = new AbortController();
    for (const { signal } of [options, this.#gone])
      signal.addEventListener("abort", () => abort.abort(), { once: true });
    return new Promise((resolve, reject) => {
      this.browser.world.fetch(url, { ...options, signal: abort.signal }).then(
        (response) => this.run("network", () => resolve(response)),
        (error) => this.run("network", () => reject(error)),
      );
    });
  }
}

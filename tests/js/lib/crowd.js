// crowd.js - pages that listen to one topic, with our client or a stock one
//
// Rows are {"n": 1}, {"n": 2}, ...; each page notes the numbers it hears. Kinds:
//
//     ours     www/holdfast.js
//     since    phoenix, with join params that name the last cursor
//     plain    phoenix as it comes: a new session begins with what is then new
import assert from "node:assert/strict";
import { Socket } from "../../../www/holdfast.js";
import { answer, connect, disconnect, WebSocket } from "./phoenix.js";
import { until } from "./wait.js";

class Page {
  constructor(kind, transport) {
    Object.assign(this, { kind, transport, heard: [], joins: 0, gaps: 0 });
  }

  get name() {
    return `${this.kind} by ${this.transport}`;
  }

  // Which of `from` to `to` it has not heard.
  missing(from, to) {
    const heard = new Set(this.heard);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i).filter((n) => !heard.has(n));
  }

  // Never a number twice, never one before an earlier one.
  assertOrder() {
    this.heard.forEach((n, i) => assert.ok(i === 0 || n > this.heard[i - 1], `${this.name}: ${n} after ${this.heard[i - 1]}`));
  }

  // Every number since the first it heard, once.
  assertWhole(last) {
    assert.ok(this.heard.length > 0, `${this.name}: has heard something`);
    const [first] = this.heard;
    const all = Array.from({ length: last - first + 1 }, (_, i) => first + i);
    assert.deepEqual(this.heard, all, `${this.name}, after ${this.joins} joins and ${this.gaps} gaps`);
    assert.equal(this.gaps, 0, `${this.name}: gaps`);
  }
}

class OurPage extends Page {
  constructor(host, topic, transport, options = {}) {
    super("ours", transport);
    this.socket = new Socket(host.endpoint, { transport, WebSocket, ...options });
    this.channel = this.socket.channel(topic);
    this.channel.on("n", ({ n }) => this.heard.push(n));
    this.channel.onGap(() => this.gaps++);
    const push = this.channel.join();
    push.receive("ok", () => this.joins++);
    this.joined = answer(push, 20000);
    this.joined.catch(() => {}); // whoever waits for it is told
    this.socket.connect();
  }

  end() {
    this.socket.disconnect();
  }
}

class StockPage extends Page {
  constructor(host, topic, transport, { kind = "since", version = "1.8.16", ...options } = {}) {
    super(kind, transport);
    let since = "";
    this.socket = connect(version, transport, host.endpoint, options);
    this.channel = this.socket.channel(topic, () => (kind === "since" ? { since } : {}));
    this.channel.on("n", ({ n }, ref, joinRef) => {
      if (kind === "since" && joinRef !== this.channel.joinRef()) return;
      if (kind === "since") since = ref;
      this.heard.push(n);
    });
    const push = this.channel.join();
    push.receive("ok", ({ cursor, gap }) => {
      this.joins++;
      if (gap) this.gaps++;
      since = cursor;
    });
    this.joined = answer(push, 20000);
    this.joined.catch(() => {}); // whoever waits for it is told
  }

  end() {
    return disconnect(this.socket);
  }
}

export const listen = (host, topic, kind, transport, options) =>
  kind === "ours" ? new OurPage(host, topic, transport, options) : new StockPage(host, topic, transport, { kind, ...options });

// So many pages of each kind, over each transport of the host; they are joined.
export class Crowd {
  static async gather(host, topic, { ours = 8, since = 8, plain = 4 } = {}) {
    const crowd = new Crowd();
    for (const [kind, many] of Object.entries({ ours, since, plain }))
      for (let i = 0; i < many; i++) {
        const transport = host.transports[i % host.transports.length];
        const version = i % 4 < 2 ? "1.8.16" : "1.7.23";
        crowd.pages.push(listen(host, topic, kind, transport, kind === "ours" ? {} : { version }));
      }
    try {
      for (const page of crowd.pages) assert.equal((await page.joined).status, "ok", page.name);
    } catch (error) {
      await crowd.leave();
      throw error;
    }
    return crowd;
  }

  pages = [];

  // Those that resume have heard it all; of the others, what was lost. A web
  // server that answered one of ours 503 meanwhile has halved the budget, and stock
  // clients then wait until it has grown again, by one in five seconds.
  async heard(last, ms = 90000) {
    const resuming = this.pages.filter(({ kind }) => kind !== "plain");
    const behind = () => resuming.filter((page) => page.heard.at(-1) !== last);
    await until(ms, `all have heard ${last}`, () => {
      const late = behind();
      if (late.length === 0) return true;
      throw new Error(late.map((page) => `${page.name} is at ${page.heard.at(-1)}`).join(", "));
    });
    for (const page of resuming) page.assertWhole(last);
    const plain = this.pages.filter(({ kind }) => kind === "plain");
    for (const page of plain) page.assertOrder();
    const lost = plain.map((page) => page.missing(page.heard[0], last).length);
    return { pages: plain.length, lost, of: last - Math.min(...plain.map(({ heard }) => heard[0])) + 1 };
  }

  async leave() {
    await Promise.all(this.pages.map((page) => page.end()));
  }
}

// replay.js - plays a recording of a Phoenix server against Holdfast
//
// The format and the rules of comparison are those of tests/transcripts/
// README.md. Tokens of Holdfast change with every answer, so wherever the
// recording has a client's token the newest one of that client is meant.
// A recording may speak to several mounts: `site.at(path)` says which port a
// path belongs to, and what it is called there.
import assert from "node:assert/strict";
import { request } from "./http.js";
import { OP, RawWs } from "./rawws.js";
import { sleep, within } from "./wait.js";

// "<8000100 times a>" stands for a long text
const generated = (text) =>
  text.replace(/<(\d+) times (.)>/g, (_, count, what) => what.repeat(Number(count)));

const lowerKeys = (headers = {}) =>
  Object.fromEntries(Object.entries(headers).map(([k, v]) => [k.toLowerCase(), v]));

// How long what is recorded may take to come, and how long nothing more may
// come after the last step.
const PATIENCE = 15000;
const SETTLE = 150;

// Values of placeholders such as {{phx_ref.1}} and {{cursor.1}}: bound where
// they come first; equal ones are equal from then on, different ones different.
class Bindings {
  values = new Map();

  // In what is sent.
  use(text) {
    return text?.replace(/\{\{cursor\.\d+\}\}/g, (placeholder) => this.values.get(placeholder));
  }

  fill(expected, got) {
    if (typeof expected === "string" && /^\{\{(phx_ref|cursor)\.\d+\}\}$/.test(expected))
      return this.bound(expected, got);
    if (Array.isArray(expected)) return expected.map((item, i) => this.fill(item, got?.[i]));
    if (expected === null || typeof expected !== "object") return expected;
    return Object.fromEntries(
      Object.entries(expected).map(([key, value]) => [key, this.fill(value, got?.[key])]),
    );
  }

  bound(placeholder, got) {
    const taken = [...this.values.values()].includes(got);
    if (!this.values.has(placeholder) && typeof got === "string" && got !== "" && !taken)
      this.values.set(placeholder, got);
    return this.values.get(placeholder) ?? placeholder;
  }

  // Values, not spelling: key order and the form of numbers do not count.
  same(got, expected, where) {
    if (!/^[[{]/.test(expected)) return assert.equal(got, expected, where); // raw bytes
    const value = JSON.parse(got);
    assert.deepEqual(value, this.fill(JSON.parse(expected), value), where);
  }
}

const isPoll = ({ method, path }) => method === "GET" && path.includes("/longpoll");

class LongPollClient {
  constructor({ site, bindings, patience }, name) {
    Object.assign(this, { site, bindings, patience, name });
    this.token = null;
    this.before = null; // the token before that
    this.newest = null; // the request that brought it
    this.requests = new Map();
    this.messages = []; // received, not yet accounted for
  }

  fill(text) {
    return text
      .replace(/\{\{token\.\w+!tampered\}\}/, () =>
        encodeURIComponent(`${this.token.slice(0, -2)}${this.token.endsWith("AA") ? "BB" : "AA"}`),
      )
      .replace(/\{\{token\.\w+!before\}\}/, () => encodeURIComponent(this.before))
      .replace(/\{\{token\.\w+(\.\d+)?\}\}/, () => encodeURIComponent(this.token));
  }

  send(step) {
    const headers = { ...step.headers };
    for (const [key, value] of Object.entries(headers)) headers[key] = this.fill(value);
    const body =
      step.body_hex !== undefined
        ? Buffer.from(step.body_hex, "hex")
        : step.body_generated
          ? generated(step.body_generated)
          : this.bindings.use(step.body);
    const { port, path } = this.site.at(this.fill(step.path));
    const abort = new AbortController();
    const answer = request({
      port,
      method: step.method,
      path,
      headers,
      body,
      signal: abort.signal,
    });
    // what it says is looked at when it is due; its token counts from now on
    answer.then((got) => this.arrived(step, got.body)).catch(() => {});
    this.requests.set(step.n, { step, path, answer, abort });
  }

  async receive(step) {
    const { step: asked, path, answer } = this.requests.get(step.to);
    const got = await within(this.patience, `the answer to step ${step.to}`, answer);
    const where = `step ${step.n}, answer to ${asked.method} ${path}: ${got.body}`;
    assert.equal(got.status, step.http_status, where);
    const json = step.body?.startsWith("{") ? JSON.parse(step.body) : null;
    if (json && !("status" in json)) return; // an error page of the recorded application
    this.compareHeaders(step, got, where);
    if (json) await this.compareBody(asked, json, got.body, where);
    else if (step.body === "") assert.equal(got.body, "", where);
  }

  compareHeaders(step, got, where) {
    const json = step.body?.startsWith("{");
    if (json) assert.match(got.headers["cache-control"] ?? "", /no-store/, where);
    for (const [name, value] of Object.entries(lowerKeys(step.headers))) {
      const header = got.headers[name] ?? ""; // lighttpd leaves an empty one out
      if (name === "access-control-allow-methods")
        assert.equal(header.toLowerCase(), value, where); // 6.8, H
      else if (name.startsWith("access-control-")) assert.equal(header, value, `${where} ${name}`);
      if (name === "content-type" && json) assert.equal(header, value, where);
    }
  }

  async compareBody(asked, expected, text, where) {
    const got = JSON.parse(text);
    const poll = isPoll(asked);
    if (poll) this.take(got);
    if ("token" in expected) assert.ok(got.token, `${where}: a token`);
    else assert.ok(!("token" in got), `${where}: no token`);
    if (!poll || expected.status !== 200) {
      assert.equal(got.status, expected.status, where);
      if (poll) this.nothingMore(where);
      return;
    }
    // Only the concatenation counts: poll on for what is missing. What came
    // with an earlier answer already leaves this one with nothing to say.
    assert.ok(got.status === 200 || got.status === 204, where);
    const until = performance.now() + this.patience;
    while (this.messages.length < expected.messages.length) {
      assert.ok(performance.now() < until, `${where}: only ${JSON.stringify(this.messages)} came`);
      await this.poll(asked);
    }
    for (const message of expected.messages)
      this.bindings.same(this.messages.shift(), message, where);
  }

  arrived(asked, text) {
    if (!isPoll(asked) || !text.startsWith("{")) return;
    const { status, token } = JSON.parse(text);
    if (token) Object.assign(this, { before: this.token, token, newest: asked });
    else if (status !== 204) this.token = null; // refused, or told to start anew
  }

  take({ status, messages }) {
    if (status === 200) this.messages.push(...messages);
  }

  // One request beside the recorded ones, with the newest token.
  async ask({ path, headers, ...rest }) {
    const filled = Object.entries(headers ?? {}).map(([key, value]) => [key, this.fill(value)]);
    const { body } = await request({
      ...this.site.at(this.fill(path)),
      headers: Object.fromEntries(filled),
      ...rest,
    });
    return body;
  }

  async poll(asked) {
    const { path, headers } = asked;
    const text = await this.ask({ path, headers });
    const got = JSON.parse(text);
    assert.ok(got.status === 200 || got.status === 204, text);
    this.arrived({ ...asked, method: "GET" }, text);
    this.take(got);
  }

  nothingMore(where) {
    assert.deepEqual(this.messages, [], `${this.name} got more than was recorded: ${where}`);
  }

  // A heartbeat, answered behind all that waits: nothing else may come.
  async settle() {
    this.nothingMore("at the end");
    if (this.token === null) return;
    const [path, query = ""] = this.newest.path.split("?");
    const kept = query.split("&").filter((pair) => pair && !pair.startsWith("token="));
    const asked = {
      path: `${path}?${[...kept, "token={{token.a}}"].join("&")}`,
      headers: this.newest.headers,
    };
    const body = query.includes("vsn=2")
      ? '[null,"settle","phoenix","heartbeat",{}]'
      : '{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"settle"}';
    const headers = { ...asked.headers, "content-type": "application/json" };
    const sent = await this.ask({ path: asked.path, headers, method: "POST", body });
    assert.equal(JSON.parse(sent).status, 200, "the last heartbeat");
    const until = performance.now() + this.patience;
    while (this.messages.length === 0) {
      assert.ok(performance.now() < until, "the last heartbeat is answered");
      await this.poll(asked);
    }
    const [last, ...more] = this.messages;
    assert.ok(last.includes('"settle"') && more.length === 0, `more came: ${this.messages}`);
  }

  async abort(step) {
    const { abort, answer } = this.requests.get(step.to);
    abort.abort();
    await answer.catch(() => {});
  }

  async close() {
    for (const { abort, answer } of this.requests.values()) {
      abort.abort();
      await answer.catch(() => {});
    }
  }
}

class WebSocketClient {
  constructor({ site, bindings, patience }, name) {
    Object.assign(this, { site, bindings, patience, name });
    this.ws = null;
    this.aside = []; // came before what was waited for
    this.inside = false;
  }

  async open(step) {
    const headers = { ...step.headers };
    if (step.subprotocols) headers["Sec-WebSocket-Protocol"] = step.subprotocols.join(", ");
    this.ws = await RawWs.open({ ...this.site.at(step.path), headers });
  }

  upgraded(step) {
    assert.equal(this.ws.status, 101, `step ${step.n}: ${this.ws.body}`);
    const expected = lowerKeys(step.headers);
    for (const name of [
      "sec-websocket-protocol",
      "sec-websocket-accept",
      "sec-websocket-extensions",
    ]) {
      if (name === "sec-websocket-accept" && !(name in expected)) continue; // of a random key
      assert.equal(this.ws.headers[name], expected[name], `step ${step.n}: ${name}`);
    }
  }

  refusedWith(step) {
    assert.equal(this.ws.status, step.http_status, `step ${step.n}: ${this.ws.body}`);
    if (step.body === "") assert.equal(this.ws.body, "", `step ${step.n}`);
    else assert.ok(!this.ws.body.startsWith("{"), `step ${step.n}: a page, no JSON`);
  }

  send(step) {
    const bytes = step.hex ?? step.text_hex;
    const text = step.text_generated
      ? generated(step.text_generated)
      : this.bindings.use(step.text);
    const data = bytes === undefined ? Buffer.from(text) : Buffer.from(bytes, "hex");
    const first = step.hex === undefined ? OP.text : OP.binary;
    this.ws.send(this.inside ? OP.more : first, data, {
      fin: step.fin ?? true,
      masked: step.masked ?? true,
    });
    this.inside = step.fin === false; // of a fragmented message
  }

  async receive(step) {
    const got = await this.next(step);
    const where = `step ${step.n}: ${JSON.stringify(got)}`;
    if (step.hex !== undefined) {
      assert.equal(got.kind, "binary", where);
      assert.equal(got.data.toString("hex"), step.hex);
    } else {
      assert.equal(got.kind, "text", where);
      const expected = step.text_generated ? generated(step.text_generated) : step.text;
      this.bindings.same(got.data.toString(), expected, where);
    }
  }

  // The next message; or where the order of topics is nobody's promise, the next
  // one of the step's topic.
  async next(step) {
    const topic = step.any_topic ? JSON.parse(step.text)[2] : undefined;
    const wanted = ({ kind, data }) =>
      topic === undefined || (kind === "text" && JSON.parse(String(data))[2] === topic);
    for (;;) {
      const at = this.aside.findIndex(wanted);
      if (at >= 0) return this.aside.splice(at, 1)[0];
      this.aside.push(
        await this.ws.inbox.next(this.patience, `step ${step.n}: ${JSON.stringify(step)}`),
      );
    }
  }

  async pong(step) {
    const got = await this.ws.inbox.next(this.patience, `step ${step.n}: a pong`);
    assert.deepEqual([got.kind, String(got.data)], ["pong", step.text], `step ${step.n}`);
  }

  async closed(step) {
    const got = await this.ws.inbox.next(this.patience, `step ${step.n}: the close`);
    assert.deepEqual([got.kind, got.code], ["close", step.code], `step ${step.n}`);
    if (step.reason !== undefined) assert.equal(got.reason, step.reason, `step ${step.n}`);
  }

  nothingMore(where) {
    const more = [...this.aside, ...(this.ws?.inbox.items ?? [])];
    assert.deepEqual(more, [], `${this.name} got more than was recorded: ${where}`);
  }

  async settle() {
    if (this.ws && !this.ws.closed) await sleep(SETTLE);
    this.nothingMore("at the end");
  }

  async close() {
    this.ws?.destroy();
  }
}

const RECEIVED = new Set(["ws-upgraded", "ws-refused", "ws-recv", "ws-pong-recv", "ws-closed"]);
export const isReceived = (step) => RECEIVED.has(step.do) || step.do === "http-response";

// Steps in order. `broadcast(step)` publishes.
export async function replay({ site, steps, broadcast, patience = PATIENCE }) {
  const context = { site, bindings: new Bindings(), patience };
  const clients = new Map();
  const of = (step) => {
    const kind = step.do.startsWith("http") ? LongPollClient : WebSocketClient;
    const key = `${kind.name} ${step.client}`;
    if (!clients.has(key)) clients.set(key, new kind(context, step.client));
    return clients.get(key);
  };
  const actions = {
    "ws-open": (step) => of(step).open(step),
    "ws-upgraded": (step) => of(step).upgraded(step),
    "ws-refused": (step) => of(step).refusedWith(step),
    "ws-send": (step) => of(step).send(step),
    "ws-recv": (step) => of(step).receive(step),
    "ws-ping-send": (step) => of(step).ws.send(OP.ping, step.text),
    "ws-pong-recv": (step) => of(step).pong(step),
    "ws-close-send": (step) => of(step).ws.sendClose(step.code, step.reason),
    "ws-closed": (step) => of(step).closed(step),
    drop: async ({ client }) => {
      for (const [key, gone] of clients) {
        if (gone.name !== client) continue;
        await gone.close();
        clients.delete(key);
      }
    },
    "http-request": (step) => of(step).send(step),
    "http-response": (step) => of(step).receive(step),
    "http-abort": (step) => of(step).abort(step),
    "server-broadcast": broadcast,
    sleep: (step) => sleep(step.ms),
    silence: async (step) => {
      await sleep(step.ms);
      clients.get(`WebSocketClient ${step.client}`).nothingMore(`step ${step.n}`);
    },
    note: () => {},
  };
  try {
    for (const step of steps) {
      const action = actions[step.do];
      assert.ok(action, `unknown step ${step.do}`);
      await action(step);
    }
    await Promise.all([...clients.values()].map((client) => client.settle()));
  } finally {
    for (const client of clients.values()) await client.close();
  }
}

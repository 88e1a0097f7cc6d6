// replay.js - plays a recording of a Phoenix server against Holdfast
//
// The format and the rules of comparison are those of tests/transcripts/
// README.md. Tokens of Holdfast change with every answer, so wherever the
// recording has a client's token the newest one of that client is meant.
import assert from "node:assert/strict";
import { request } from "./http.js";
import { OP, RawWs } from "./rawws.js";
import { sleep, within } from "./wait.js";

// "<8000100 times a>" stands for a long text
const generated = (text) =>
  text.replace(/<(\d+) times (.)>/g, (_, count, what) => what.repeat(Number(count)));

// The recorded mounts differ in their settings; we have one, and servers with
// other settings. Paths that are no transport stay as they are.
const ourPath = (path) =>
  path.replace(/^\/(fast|small|crypto|auth)\/(longpoll|websocket)\b/, "/socket/$2");

const lowerKeys = (headers = {}) =>
  Object.fromEntries(Object.entries(headers).map(([k, v]) => [k.toLowerCase(), v]));

// Values, not spelling: key order and the form of numbers do not count.
const parsed = (text) => JSON.parse(text);

function sameMessages(got, expected, where) {
  assert.deepEqual(got.map(parsed), expected.map(parsed), where);
}

class LongPollClient {
  constructor(server, name) {
    this.server = server;
    this.name = name;
    this.token = null;
    this.requests = new Map();
    this.messages = []; // received, not yet accounted for
  }

  fill(text) {
    return text
      .replace(/\{\{token\.\w+!tampered\}\}/, () =>
        encodeURIComponent(`${this.token.slice(0, -2)}${this.token.endsWith("AA") ? "BB" : "AA"}`),
      )
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
          : step.body;
    const path = ourPath(this.fill(step.path));
    const abort = new AbortController();
    const answer = request({
      port: this.server.port,
      method: step.method,
      path,
      headers,
      body,
      signal: abort.signal,
    });
    answer.catch(() => {}); // looked at when its answer is due
    this.requests.set(step.n, { step, path, answer, abort });
  }

  async receive(step) {
    const { step: asked, path, answer } = this.requests.get(step.to);
    const got = await within(15000, `the answer to step ${step.to}`, answer);
    const where = `step ${step.n}, answer to ${asked.method} ${path}: ${got.body}`;
    assert.equal(got.status, step.http_status, where);
    this.compareHeaders(step, got, where);
    if (step.body !== undefined && step.body.startsWith("{")) {
      await this.compareBody(asked, JSON.parse(step.body), JSON.parse(got.body), where);
    } else if (step.body === "") {
      assert.equal(got.body, "", where);
    }
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

  async compareBody(asked, expected, got, where) {
    const poll = asked.method === "GET" && asked.path.includes("/longpoll");
    if (poll) this.take(got);
    if ("token" in expected) assert.ok(got.token, `${where}: a token`);
    else assert.ok(!("token" in got), `${where}: no token`);
    if (!poll || expected.status !== 200) {
      assert.equal(got.status, expected.status, where);
      assert.deepEqual(this.messages, [], where);
      return;
    }
    // Only the concatenation counts: poll on for what is missing. What came
    // with an earlier answer already leaves this one with nothing to say.
    assert.ok(got.status === 200 || got.status === 204, where);
    const until = performance.now() + 10000;
    while (this.messages.length < expected.messages.length) {
      assert.ok(performance.now() < until, `${where}: only ${JSON.stringify(this.messages)} came`);
      const next = await request({
        port: this.server.port,
        path: ourPath(this.fill(asked.path)),
        headers: asked.headers,
      });
      const body = JSON.parse(next.body);
      assert.ok(body.status === 200 || body.status === 204, next.body);
      this.take(body);
    }
    sameMessages(this.messages.splice(0, expected.messages.length), expected.messages, where);
  }

  take(body) {
    if (body.token) this.token = body.token;
    if (body.status === 200) this.messages.push(...body.messages);
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
  constructor(server, name) {
    this.server = server;
    this.name = name;
    this.ws = null;
    this.inside = false;
  }

  async open(step) {
    const headers = { ...step.headers };
    if (step.subprotocols) headers["Sec-WebSocket-Protocol"] = step.subprotocols.join(", ");
    this.ws = await RawWs.open({ port: this.server.port, path: ourPath(step.path), headers });
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
    const text = step.text_generated ? generated(step.text_generated) : step.text;
    const data = bytes === undefined ? Buffer.from(text) : Buffer.from(bytes, "hex");
    const first = step.hex === undefined ? OP.text : OP.binary;
    this.ws.send(this.inside ? OP.more : first, data, {
      fin: step.fin ?? true,
      masked: step.masked ?? true,
    });
    this.inside = step.fin === false; // of a fragmented message
  }

  async receive(step) {
    const got = await this.ws.inbox.next(8000, `step ${step.n}: ${JSON.stringify(step)}`);
    const where = `step ${step.n}: ${JSON.stringify(got)}`;
    if (step.hex !== undefined) {
      assert.equal(got.kind, "binary", where);
      assert.equal(got.data.toString("hex"), step.hex);
    } else {
      assert.equal(got.kind, "text", where);
      assert.deepEqual(
        parsed(got.data.toString()),
        parsed(step.text_generated ? generated(step.text_generated) : step.text),
        where,
      );
    }
  }

  async pong(step) {
    const got = await this.ws.inbox.next(8000, `step ${step.n}: a pong`);
    assert.deepEqual([got.kind, String(got.data)], ["pong", step.text], `step ${step.n}`);
  }

  async closed(step) {
    const got = await this.ws.inbox.next(8000, `step ${step.n}: the close`);
    assert.deepEqual([got.kind, got.code], ["close", step.code], `step ${step.n}`);
    if (step.reason !== undefined) assert.equal(got.reason, step.reason, `step ${step.n}`);
  }

  async close() {
    this.ws?.destroy();
  }
}

// Steps in order. `hooks.broadcast` publishes; `hooks.policy` sets echo.
export async function replay(server, steps, hooks) {
  const clients = new Map();
  const of = (step) => {
    const kind = step.do.startsWith("http") ? LongPollClient : WebSocketClient;
    const key = `${kind.name} ${step.client}`;
    if (!clients.has(key)) clients.set(key, new kind(server, step.client));
    return clients.get(key);
  };
  const quiet = (name) => {
    const ws = clients.get(`WebSocketClient ${name}`);
    return ws
      ? assert.deepEqual(ws.ws.inbox.items, [], `${name} got more than was recorded`)
      : undefined;
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
    "http-request": (step) => of(step).send(step),
    "http-response": (step) => of(step).receive(step),
    "http-abort": (step) => of(step).abort(step),
    "server-broadcast": (step) => hooks.broadcast(step),
    policy: (step) => hooks.policy(step),
    sleep: (step) => sleep(step.ms),
    silence: async (step) => {
      await sleep(step.ms);
      quiet(step.client);
    },
    note: () => {},
  };
  try {
    for (const step of steps) {
      const action = actions[step.do];
      assert.ok(action, `unknown step ${step.do}`);
      await action(step);
    }
    for (const { name } of clients.values()) quiet(name);
  } finally {
    for (const client of clients.values()) await client.close();
  }
}

// Nothing lost, nothing doubled: what stock clients do with `since`, pushes that
// are repeated until they are answered, and clients that change their transport
// while everything around them is killed. The checker of tests/model judges.
import { after, afterEach, before, it } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { RealtimeClient } from "@supabase/realtime-js";
import { answer, connect, disconnectAll, hear, hears, WebSocket } from "./lib/phoenix.js";
import { Poller } from "./lib/poll.js";
import { RawWs } from "./lib/rawws.js";
import { Server, sleep, told, until } from "./lib/server.js";
import { check, parseCursor, Trace } from "./lib/trace.js";

let server;
const test = (name, body) =>
  it(
    name,
    told(() => server, body),
  );

before(async () => {
  server = await Server.start({
    gateways: 2,
    conf: { gateway: { hold: "2s" } },
    allow: [
      ["room:*", "join,publish"],
      ["realtime:*", "join,publish"],
    ],
  });
});
after(() => server?.stop());
afterEach(disconnectAll);

const tick = (where, from, to) => {
  const lines = [];
  for (let i = from; i <= to; i++)
    lines.push(JSON.stringify({ topic: where, event: "tick", payload: { i } }));
  return server.holdfast("publish", { input: `${lines.join("\n")}\n` });
};
const numbers = (heard) => heard.map(([, { i }]) => i);
const upTo = (n) => Array.from({ length: n }, (_, i) => i + 1);

// --- the recipe of docs/PROTOCOL.md, word for word ---------------------------

const PROTOCOL = readFileSync(new URL("../../docs/PROTOCOL.md", import.meta.url), "utf8");
const [, RECIPE] = /## 5\. Resuming[^]*?```js\n([^]*?)```/.exec(PROTOCOL);

function recipe(socket, topic, start) {
  const code = RECIPE.replace('let since = "";', "let since = start;").replace('"room:1"', "topic");
  assert.notEqual(code, RECIPE);
  return new Function(
    "socket",
    "topic",
    "start",
    `${code}; return { channel, get since() { return since; } };`,
  )(socket, topic, start);
}

for (const version of ["1.8.16", "1.7.23", "1.6.16", "1.5.14"]) {
  test(`the recipe for ${version} goes from WebSocket to long-poll and back`, async () => {
    const topic = `room:recipe-${version}`;
    const all = [];
    let since = "";
    let n = 0;
    for (const transport of ["websocket", "longpoll", "websocket", "longpoll", "longpoll"]) {
      const socket = connect(version, transport, server.endpoint);
      const client = recipe(socket, topic, since);
      const heard = hear(client.channel, "tick");
      await until(8000, "it is joined", () => client.channel.state === "joined");
      const missed = since === "" ? 0 : 3;
      await tick(topic, n + missed + 1, n + missed + 2);
      await hears(heard, missed + 2);
      n += missed + 2;
      all.push(...numbers(heard));
      await disconnectAll();
      since = client.since;
      await tick(topic, n + 1, n + 3); // nobody is there
    }
    assert.deepEqual(all, upTo(n));
  });
}

test("the recipe goes on over kills of side-car and gateway", async () => {
  const topic = "room:recipe-killed";
  const clients = ["websocket", "longpoll"].map((transport) => {
    const client = recipe(connect("1.8.16", transport, server.endpoint), topic, "");
    return { ...client, heard: hear(client.channel, "tick") };
  });
  for (const { channel } of clients)
    await until(8000, "it is joined", () => channel.state === "joined");
  await tick(topic, 1, 3);
  await Promise.all([server.sidecar.kill(), server.gateways[0].kill()]);
  await tick(topic, 4, 6);
  await Promise.all([server.startSidecar(), server.startGateway(0)]);
  await tick(topic, 7, 9);
  for (const { heard } of clients) {
    await hears(heard, 9, 20000);
    assert.deepEqual(numbers(heard), upTo(9));
  }
});

// --- a replay as Supabase has it ----------------------------------------------

test("realtime-js is shown the newest broadcasts, marked, and then live ones", async () => {
  const topic = "realtime:replay";
  for (let i = 1; i <= 4; i++) {
    const payload = { type: "broadcast", event: "note", payload: { i } };
    await server.publish(topic, "broadcast", payload);
  }
  const client = new RealtimeClient(server.endpoint, {
    params: { apikey: "none" },
    transport: WebSocket,
  });
  try {
    const config = { private: true, broadcast: { replay: { since: 1, limit: 3 } } };
    const channel = client.channel("replay", { config });
    const heard = [];
    channel.on("broadcast", { event: "note" }, (message) => heard.push(message));
    await new Promise((done, fail) =>
      channel.subscribe((status, error) => {
        if (status === "SUBSCRIBED") done();
        else if (error) fail(error);
      }),
    );
    await until(8000, "the replay", () => heard.length >= 3);
    await server.publish(topic, "broadcast", {
      type: "broadcast",
      event: "note",
      payload: { i: 5 },
    });
    await until(8000, "the live one", () => heard.length >= 4);
    assert.deepEqual(
      heard.map(({ payload, meta }) => [payload.i, meta?.replayed]),
      [
        [2, true],
        [3, true],
        [4, true],
        [5, undefined],
      ],
    );
    assert.match(heard[0].meta.id, /^j:[\w-]{11}\.\d+$/);
  } finally {
    await client.disconnect();
  }
});

// --- too often ------------------------------------------------------------------

const LIMITED = ({ status, response }) => status === "error" && response.reason === "rate_limited";

test("who pushes too often is told so, and nobody else waits", async () => {
  const flood = upTo(600).map((i) => ["1", `f${i}`, "room:flood", "tick", { i }]);
  const ws = await RawWs.open({ port: server.port });
  const poller = await new Poller(server.port).open();
  await poller.join("room:flood");
  ws.text(JSON.stringify(["1", "1", "room:flood", "phx_join", {}]));
  await ws.json();
  const other = connect("1.8.16", "websocket", server.endpoint).channel("room:calm", {});
  await answer(other.join());
  const flooding = poller.post(flood);
  for (const frame of flood) ws.text(JSON.stringify(frame));
  const start = performance.now();
  assert.equal((await answer(other.push("tick", { i: 1 }))).status, "ok");
  const took = performance.now() - start;
  assert.ok(took < 2000, `it took ${took} ms`);
  assert.deepEqual(await flooding, { status: 200 });
  const replies = [];
  while (replies.length < 600) {
    const frame = await ws.json();
    if (frame[3] === "phx_reply") replies.push(frame);
  }
  // in order, each with its answer; some of the 50 per second came in between
  assert.deepEqual(
    replies.map(([, ref]) => ref),
    flood.map(([, ref]) => ref),
  );
  const limited = replies.filter(([, , , , payload]) => LIMITED(payload));
  assert.ok(limited.length > 250 && limited.length <= 400, `${limited.length} were limited`);
  assert.ok(limited.every(([, , , , { response }]) => response.retry_ms > 0));
  ws.destroy();
});

// --- a client as exact as can be --------------------------------------------------

// An answer that the protocol does not know; all else may go wrong.
class Wrong extends Error {}

const limited = ({ reason }) => {
  if (reason !== "rate_limited") throw new Wrong(`refused: ${reason}`);
};

// Kind a of the model: keyed pushes, repeated until they are answered; since;
// heads. It changes its transport, loses answers, joins over itself.
class Exact {
  constructor(trace, name, topic, random) {
    Object.assign(this, { trace, name, topic, random });
    this.me = { client: name, topic };
    trace.clients[name] = "a";
    this.since = "";
    this.began = new Set(); // cursors of the replies of this connection
    this.joinRef = 0;
    this.ref = 0;
    this.sess = 0;
    this.state = "idle";
    this.got = [];
    this.pushes = new Map(); // key -> uid, not answered yet
    this.inFlight = new Map(); // ref -> key, on this connection
    this.number = 0;
  }

  frame(event, payload, options) {
    const ref = `${++this.ref}`;
    const frame = [`${this.joinRef}`, ref, this.topic, event, payload];
    if (options) frame.push(options);
    return [ref, frame];
  }

  joinFrame() {
    this.joinRef = ++this.ref;
    this.asked = this.since;
    this.state = "joining";
    const ref = `${this.joinRef}`;
    return [ref, ref, this.topic, "phx_join", { since: this.since }];
  }

  push(uid) {
    this.pushes.set(`${this.name} ${uid} `.padEnd(24, "x"), uid);
  }

  pushFrames() {
    const frames = [];
    for (const [key, uid] of this.pushes) {
      const [ref, frame] = this.frame("note", { uid }, { key });
      this.inFlight.set(ref, key);
      frames.push(frame);
    }
    return frames;
  }

  heads() {
    return [null, `h${++this.ref}`, "phoenix", "heartbeat", { heads: true }];
  }

  take([joinRef, ref, topic, event, payload]) {
    if (topic === "phoenix") {
      const head = payload.response.heads?.[this.topic];
      // where its stream began is no row
      if (head && !this.began.has(head))
        this.trace.add("heads", { ...this.me, sess: this.sess, cursor: parseCursor(head).id });
      return;
    }
    if (event === "note") return this.row(joinRef, ref, payload);
    if (event === "phx_error") this.state = "idle";
    if (event !== "phx_reply") return;
    if (ref === `${this.joinRef}`) return this.joined(payload);
    const key = this.inFlight.get(ref);
    if (!key) return;
    this.inFlight.delete(ref);
    const { status, response } = payload;
    if (status !== "ok") {
      limited(response); // it tries again later
      return;
    }
    this.trace.add("acked", { uid: this.pushes.get(key), cursor: parseCursor(response.cursor).id });
    this.pushes.delete(key);
  }

  joined({ status, response }) {
    if (status !== "ok") {
      limited(response);
      this.state = "idle";
      return;
    }
    const { cursor, gap } = response;
    const { epoch, id } = parseCursor(cursor);
    this.trace.epoch ??= epoch;
    this.state = "joined";
    this.since = cursor;
    this.began.add(cursor);
    const since = this.asked;
    this.trace.add("joined", { ...this.me, sess: this.sess, cursor: id, gap: !!gap, since, epoch });
  }

  row(joinRef, cursor, { uid }) {
    const { epoch, id } = parseCursor(cursor);
    this.trace.add("recv", { ...this.me, sess: this.sess, what: "row", id, jr: joinRef });
    if (joinRef !== `${this.joinRef}` || this.state !== "joined") return; // of an older join
    this.since = cursor;
    this.got.push(uid);
    this.trace.add("deliver", { ...this.me, sess: this.sess, id, uid, epoch });
  }

  // For a while on one transport; whatever goes wrong, the next one goes on.
  async live(transport, busy) {
    this.inFlight.clear();
    this.began.clear();
    this.state = "idle";
    this.sess++;
    try {
      await (transport === "ws" ? this.liveWs(busy) : this.livePoll(busy));
    } catch (error) {
      if (error instanceof Wrong) throw error;
    }
  }

  async liveWs(busy) {
    const ws = await RawWs.open({ port: server.port });
    try {
      const say = (frame) => ws.text(JSON.stringify(frame));
      say(this.joinFrame());
      while (this.state !== "joined") this.take(await ws.json(3000));
      for (const frame of this.pushFrames()) say(frame);
      if (this.random() < 0.3) say(this.joinFrame()); // in doubt
      say(this.heads());
      const end = performance.now() + busy();
      while (performance.now() < end) {
        const frame = await ws.json(Math.max(1, end - performance.now())).catch(() => null);
        if (!frame) break;
        this.take(frame);
      }
    } finally {
      ws.destroy(); // what is on its way is lost
    }
  }

  async livePoll(busy) {
    const gate = () => server.ports[Math.floor(this.random() * 2)];
    const poller = await new Poller(gate()).open();
    const post = (frames) => {
      poller.port = gate();
      return poller.post(frames).then(({ status }) => assert.equal(status, 200));
    };
    const join = this.joinFrame();
    await post([join]);
    const end = performance.now() + busy();
    let pushed = false;
    while (performance.now() < end) {
      const token = poller.token;
      poller.port = gate();
      if (this.random() < 0.2) {
        // an answer that is lost; the same token must bring the same again
        const lost = await poller.peek();
        if (lost.status === 200) this.seen("answer", token, lost);
      }
      const { status, messages, ...rest } = await poller.get();
      assert.ok(status === 200 || status === 204, `status ${status}`);
      this.seen("got", token, { status, messages, ...rest });
      for (const message of messages) this.take(message);
      if (this.state === "joined" && !pushed) {
        pushed = true;
        const frames = this.pushFrames();
        // two POSTs at once, by two gateways
        const half = Math.ceil(frames.length / 2);
        const parts = [frames.slice(0, half), frames.slice(half)].filter((part) => part.length > 0);
        const again = this.random() < 0.3 ? [[this.joinFrame()]] : [];
        await Promise.all([...parts, ...again, [this.heads()]].map(post));
      }
    }
  }

  seen(ev, token, { status, messages }) {
    const ids = messages.map(([, ref, , event]) =>
      event === "note" ? ["row", parseCursor(ref).id] : [event, ref],
    );
    this.trace.add(ev, { client: this.name, token, status, ids });
  }
}

// Small, and the same for the same seed.
function randomOf(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

for (const seed of [1, 2]) {
  test(`clients that repeat and resume lose and double nothing, seed ${seed}`, async () => {
    const topic = `room:exact-${seed}`;
    const trace = new Trace();
    const random = randomOf(seed);
    const clients = ["a1", "a2", "a3"].map((name) => new Exact(trace, name, topic, random));
    const published = new Set();
    let done = false;
    const play = async (client) => {
      while (!done) {
        for (let n = 0; n < 3; n++) {
          const uid = `${client.name}-${++client.number}`;
          published.add(uid);
          client.push(uid);
        }
        await client.live(random() < 0.5 ? "ws" : "lp", () => 50 + random() * 500);
      }
    };
    const playing = clients.map(play);
    const scripts = (async () => {
      for (let i = 1; !done; i++) {
        await server.publish(topic, "note", { uid: `s-${i}` });
        published.add(`s-${i}`);
        await sleep(50);
      }
    })();
    for (let kill = 0; kill < 3; kill++) {
      await sleep(700);
      const n = Math.floor(random() * 3);
      const victim = n === 2 ? server.sidecar : server.gateways[n];
      await victim.kill();
      await sleep(100);
      await (n === 2 ? server.startSidecar() : server.startGateway(n));
      trace.add("kill", { proc: victim.name });
    }
    done = true;
    await Promise.all([...playing, scripts]);

    // calm: every push is answered, and everybody comes to the end
    const settled = async () => {
      const [{ n }] = await server.sql(
        `SELECT count(*) AS n FROM messages WHERE topic = '${topic}'`,
      );
      return clients.every(({ pushes, got }) => pushes.size === 0 && got.length === n);
    };
    for (let round = 0; round < 10 && !(await settled()); round++)
      await Promise.all(clients.map((c, i) => c.live((round + i) % 2 ? "lp" : "ws", () => 1000)));
    const lines = await trace.lines(server, topic);
    for (const line of lines.filter(({ ev }) => ev === "end"))
      line.pushes = clients.find(({ name }) => name === line.client).pushes.size;
    assert.deepEqual(await check(lines), []);
    const rows = lines.filter(({ ev }) => ev === "commit").map(({ uid }) => uid);
    assert.deepEqual([...rows].sort(), [...published].sort());
    for (const { got } of clients) assert.ok(got.length > rows.length / 2, `${got.length} rows`);
    console.log(`${rows.length} rows, ${lines.length} events`);
  });
}

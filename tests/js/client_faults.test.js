// www/holdfast.js beside others' mistakes: answers that are none, functions of
// the application that throw, options of strange values. Nothing of it leaves
// the page without a connection for good, or makes a storm of requests.
import { afterEach, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import { Socket } from "../../www/holdfast.js";
import { Page } from "./lib/page.js";
import { generator } from "./lib/random.js";
import { World, WORKS } from "./lib/world.js";

const TOPIC = "demo:lobby";
const MINUTE = 60000;

let sockets = [];
let reported; // what the application's functions threw
const { reportError } = globalThis;

beforeEach(() => {
  reported = [];
  globalThis.reportError = (error) => reported.push(error.message);
});

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.disconnect();
  globalThis.reportError = reportError;
});

// A page with one channel, which notes what it is told.
function visit(world, options = {}, params) {
  const page = new Page();
  const socket = new Socket("http://host.example/socket", { ...world.options, page, ...options });
  const heard = [];
  const changes = [];
  sockets.push(socket);
  socket.onChange((state, reason, transport) => changes.push([state, reason.number, transport]));
  const channel = socket.channel(TOPIC, params);
  channel.on("n", ({ n }) => heard.push(n));
  return { socket, channel, heard, changes };
}

let last = 0;
const publish = (world) => world.publish(TOPIC, "n", { n: ++last });
const all = (world) => world.rows.map(({ payload }) => payload.n);

describe("an answer that is none", () => {
  const frames = ["[]", "[1,2,3,4,5]", '[null,null,{},[],{}]', '["1",null,7,null,null]'];
  const NONE = [7, null, {}, "", "x".repeat(1e6), ...frames];

  it("in the list of a poll's messages is passed over", async () => {
    const world = new World();
    let more = [];
    const fetch = async (url, options) => {
      const answer = await (await world.fetch(url, options)).json();
      const messages = answer.messages && [...more.splice(0), ...answer.messages];
      return { json: async () => ({ ...answer, messages }) };
    };
    const { socket, channel, heard } = visit(world, { transport: "longpoll", fetch });
    channel.join();
    socket.connect();
    await world.pass(1000);
    for (const text of NONE) {
      more = [text];
      publish(world);
      await world.pass(1000);
    }
    more = [JSON.stringify([channel.joinRef(), null, TOPIC, 7, {}])]; // nor is that an event
    channel.rejoin();
    await world.pass(1000);
    publish(world);
    await world.pass(1000);
    assert.deepEqual(heard, all(world));
    assert.equal(socket.state, "open");
  });

  for (const next_ms of ["soon", "-5", -1e9, {}, [], NaN, Infinity, 1e300, true]) {
    it(`about when to come back, ${JSON.stringify(next_ms)}, is of no consequence`, async () => {
      const world = new World();
      const fetch = async (url, options) => {
        const answer = await (await world.fetch(url, options)).json();
        return { json: async () => ({ ...answer, next_ms }) };
      };
      const { socket, channel, heard } = visit(world, { transport: "longpoll", fetch });
      channel.join();
      socket.connect();
      await world.pass(1000);
      publish(world);
      await world.pass(MINUTE);
      assert.deepEqual(heard, all(world));
      assert.ok(world.gets.length < 100, `${world.gets.length} polls`);
    });
  }

  for (const retry_ms of [-1, -1e9, 0, "soon", "-5", 1e300, {}, [], null]) {
    it(`about when to try again, ${JSON.stringify(retry_ms)}, makes no storm`, async () => {
      const world = new World();
      const options = { transport: "websocket", rejoinAfterMs: () => 1000 };
      const { socket, channel } = visit(world, options);
      const answers = [];
      world.refuse = { reason: "rate_limited", retry_ms };
      channel.join();
      socket.connect();
      await world.pass(MINUTE);
      assert.ok(world.joins.length > 1 && world.joins.length < 70, `${world.joins.length} joins`);
      world.refuse = null;
      await world.pass(MINUTE);
      assert.equal(channel.state, "joined");

      let pushes = 0;
      let free = false;
      world.limit = () => (free || pushes++ < 0 ? null : { reason: "busy", retry_ms });
      channel.push("n", { n: ++last }, 9 * MINUTE).receive("ok", () => answers.push("ok"));
      await world.pass(MINUTE);
      assert.ok(pushes > 1 && pushes < 70, `${pushes} pushes`);
      free = true;
      await world.pass(MINUTE);
      assert.deepEqual(answers, ["ok"]);
    });
  }
});

describe("a function of the application that fails", () => {
  const fail = () => {
    throw new Error("of the application");
  };

  for (const transport of ["websocket", "longpoll"]) {
    it(`params of the socket (${transport}): it connects again all the same`, async () => {
      const world = new World();
      let params = () => ({});
      const { socket, channel, heard } = visit(world, { transport, params: () => params() });
      channel.join();
      socket.connect();
      await world.pass(1000);
      params = fail;
      world.cutSockets();
      world.endSessions();
      await world.pass(MINUTE);
      params = () => ({});
      await world.pass(MINUTE);
      publish(world);
      await world.pass(1000);
      assert.equal(socket.state, "open");
      assert.deepEqual(heard, all(world));
      assert.ok(reported.includes("of the application"));
      assert.ok(world.dialled.length < 30, `${world.dialled.length} attempts`);
    });

    it(`params of a channel (${transport}): the others are joined, and it is`, async () => {
      const world = new World();
      let params = () => ({});
      const { socket, channel, heard } = visit(world, { transport }, () => params());
      const other = socket.channel("demo:other");
      const others = [];
      other.on("n", ({ n }) => others.push(n));
      channel.join();
      other.join();
      params = fail;
      socket.connect();
      await world.pass(1000);
      assert.equal(other.state, "joined");
      world.publish("demo:other", "n", { n: ++last });
      await world.pass(1000);
      assert.deepEqual(others, [last]);
      assert.equal(socket.state, "open");
      params = () => ({});
      await world.pass(MINUTE);
      const { payload } = publish(world);
      await world.pass(1000);
      assert.deepEqual(heard, [payload.n]);
      assert.ok(reported.includes("of the application"));
    });

    it(`the logger (${transport}): nothing is different`, async () => {
      const world = new World();
      const { socket, channel, heard } = visit(world, { transport, logger: fail });
      channel.join();
      socket.connect();
      await world.pass(1000);
      world.cutSockets();
      world.endSessions();
      publish(world);
      await world.pass(MINUTE);
      assert.equal(socket.state, "open");
      assert.deepEqual(heard, all(world));
      assert.ok(reported.includes("of the application"));
    });

    for (const [what, reconnectAfterMs] of [
      ["throws", fail],
      ["says nothing", () => {}],
      ["knows but two", (tries) => [100, 200][tries - 1]],
    ])
      it(`reconnectAfterMs (${transport}) ${what}: it comes back without a storm`, async () => {
        const world = new World();
        const { socket, channel } = visit(world, { transport, reconnectAfterMs });
        world.net.websocket = world.net.longpoll = "refuse";
        channel.join();
        socket.connect();
        await world.pass(5 * MINUTE);
        const { length } = world.dialled;
        assert.ok(length > 3 && length < 300, `${length} attempts`);
        world.net.websocket = world.net.longpoll = "ok";
        await world.pass(MINUTE);
        assert.equal(channel.state, "joined");
      });
  }
});

describe("disconnect() in a function of the application", () => {
  const functions = {
    params: (stop) => ({ params: stop }),
    authToken: (stop) => ({ authToken: stop }),
    reconnectAfterMs: (stop) => ({ reconnectAfterMs: stop }),
    logger: (stop) => ({ logger: stop }),
  };
  for (const [name, option] of Object.entries(functions))
    for (const transport of ["websocket", "longpoll"])
      it(`${name} (${transport}) ends it`, async () => {
        const world = new World();
        let ends = false;
        const stop = () => {
          if (ends) sockets[0].disconnect();
          return name === "reconnectAfterMs" ? 10 : {};
        };
        const { socket, channel } = visit(world, { transport, ...option(stop) });
        channel.join();
        socket.connect();
        await world.pass(10000);
        assert.equal(channel.state, "joined");
        ends = true;
        world.cutSockets();
        world.endSessions();
        await world.pass(MINUTE);
        assert.equal(socket.state, "closed");
        assert.equal(world.timers, 0);
        assert.equal(world.connections + world.parked, 0);
        ends = false;
        socket.connect();
        await world.pass(10000);
        assert.equal(channel.state, "joined");
      });
});

describe("an option of a strange value", () => {
  for (const [name, value] of [
    ["longPollFallbackMs", 0],
    ["longPollFallbackMs", Infinity],
    ["heartbeatIntervalMs", Infinity],
    ["timeout", Infinity],
    ["timeout", 1e12],
    ["longPollFallbackMs", null],
  ])
    it(`${name}: ${value} neither keeps the page from WebSocket nor makes a storm`, async () => {
      const world = new World();
      world.net.delay = () => 20;
      const { socket, channel, heard } = visit(world, { [name]: value });
      const answers = [];
      channel.join();
      socket.connect();
      await world.pass(1000);
      const push = channel.push("n", { n: ++last });
      for (const status of ["ok", "error", "timeout"])
        push.receive(status, () => answers.push(status));
      await world.pass(10 * MINUTE);
      assert.deepEqual(answers, ["ok"]);
      assert.deepEqual(heard, all(world));
      assert.equal(socket.transportName, "websocket");
      assert.deepEqual(world.dialled, ["websocket"]);
      assert.ok(world.heartbeats < 30, `${world.heartbeats} heartbeats`);
    });
});

it("that a web server asked to wait once is not believed of what comes after", async () => {
  const world = new World();
  const at = [];
  let busy = 0;
  const fetch = (url, options) => {
    if (options.method === "GET") at.push(world.now);
    const headers = new Map([["retry-after", "30"]]);
    if (options.method === "GET" && busy-- > 0) {
      if (busy === 3) return { status: 503, headers, json: async () => null };
      throw new TypeError("no network");
    }
    return world.fetch(url, options);
  };
  const { socket, channel, heard } = visit(world, { transport: "longpoll", fetch });
  channel.join();
  socket.connect();
  await world.pass(1000);
  busy = 4;
  at.length = 0;
  publish(world); // ends the poll that is held
  publish(world);
  await world.pass(60000);
  assert.ok(at[1] - at[0] >= 30000, `${at}`);
  assert.ok(at[4] - at[1] < 8000, `${at}`);
  assert.deepEqual(heard, all(world));
});

// Whatever befalls the page, its machine, its network and its tokens, in any
// order: when all is well again it is joined and has heard everything once.
const TURNS = 25;
const BACK_MS = 95000;
const b64 = (object) => Buffer.from(JSON.stringify(object)).toString("base64url");

function fate({ world, page, socket, channel, random, visitor }) {
  const pick = (list) => list[Math.floor(random() * list.length)];
  const there = (act) => () => visitor.away || visitor.closed || act();
  return {
    hide: there(() => page.hide()),
    show: there(() => page.show()),
    freeze: () => world.freeze(),
    async thaw() {
      await world.thaw();
      page.resume();
    },
    sleep: () => world.sleep(random() * 4e6),
    "set the clock": () => (world.skew += (random() - 0.5) * 8e7),
    offline: there(() => page.offline()),
    online: there(() => page.online()),
    leave: there(() => {
      visitor.away = true;
      page.leave();
    }),
    back() {
      if (visitor.away && !visitor.closed) page.back();
      visitor.away = false;
    },
    disconnect() {
      visitor.closed = true;
      socket.disconnect();
    },
    connect() {
      visitor.closed = false;
      socket.connect();
    },
    websocket: () => (world.net.websocket = pick(["ok", "refuse", "hang", "mute"])),
    longpoll: () => (world.net.longpoll = pick(["ok", "refuse", "html", "lose answer", "swallow"])),
    get: () => (world.net.get = pick([null, "refuse", "lose answer", "swallow"])),
    post: () => (world.net.post = pick([null, "refuse", "lose answer", "swallow"])),
    up: () => (world.net.up = pick(["ok", "swallow"])),
    down: () => (world.net.down = pick(["ok", "swallow"])),
    well: () => Object.assign(world.net, WORKS),
    cut: () => world.cutSockets(pick([undefined, { code: 1012, reason: "retry_ms=3000" }])),
    end: () => world.endSessions(pick([500, 410, 403])),
    silence: () => world.silence(),
    replace: () => socket.replaceTransport(pick(["websocket", "longpoll", undefined])),
    token: () => (visitor.gives = pick(["a token", "fails", "hangs", "nothing", "no JWT"])),
    refuse: () => (world.takes = () => false) && world.expire(),
    take: () => (world.takes = () => true),
    throttle: () => (world.throttle = pick([1, 1000, 60000])),
    deaf: () => (world.deaf = !world.deaf),
    rejoin: () => channel.rejoin(),
  };
}

async function live(seed) {
  const random = generator(seed);
  const world = new World(random);
  const page = new Page();
  const visitor = { away: false, closed: false, gives: "a token" };
  world.net.delay = () => 1 + random() * 200;
  if (random() < 0.5) page.localStorage = {};
  let tokens = 0;
  const authToken = () => {
    const iat = Math.floor(world.clock.wall() / 1000);
    if (visitor.gives === "fails") throw new Error("no token");
    if (visitor.gives === "hangs") return new Promise(() => {});
    if (visitor.gives === "nothing") return null;
    if (visitor.gives === "no JWT") return `opaque${++tokens}`;
    return `${b64({ alg: "x" })}.${b64({ sub: "ann", iat, exp: iat + 600, n: ++tokens })}.x`;
  };
  const options = { page, ...(random() < 0.5 && { authToken }) };
  const { socket, channel, heard } = visit(world, options);
  const acts = Object.entries(fate({ world, page, socket, channel, random, visitor }));
  const story = [];
  channel.join();
  socket.connect();
  for (let turn = 0; turn < TURNS; turn++) {
    const [name, act] = acts[Math.floor(random() * acts.length)];
    story.push(`${Math.round(world.now)} ${name}`);
    await act();
    if (random() < 0.3) publish(world);
    await world.pass([0, 1, 50, 300, 2000, 12000, 70000][Math.floor(random() * 7)] * random());
  }
  const told = () => `${seed}: ${story.join(", ")}`;
  Object.assign(world, { deaf: false, throttle: 1, takes: () => true });
  Object.assign(world.net, WORKS);
  Object.assign(page.navigator, { onLine: true });
  visitor.gives = "a token";
  await world.thaw();
  if (visitor.closed) socket.connect();
  if (visitor.away) page.back();
  await world.pass(BACK_MS);
  assert.equal(channel.state, "joined", told());
  publish(world);
  await world.pass(1000);
  const numbers = all(world);
  assert.deepEqual(heard, numbers.slice(numbers.indexOf(heard[0])), told());
  const storm = world.dialledAt.some((at, i) => world.dialledAt[i + 40] - at < 30000);
  assert.ok(!storm, told());
  socket.disconnect();
  await world.pass(MINUTE);
  assert.equal(world.timers + world.connections + world.parked, 0, told());
}

it("a random life ends well", { timeout: 60000 }, async () => {
  const seeds = Number(process.env.SEEDS ?? 500);
  for (let seed = 1; seed <= seeds; seed++) await live(seed);
});

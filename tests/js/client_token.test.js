// www/holdfast.js and the visitor's token: a text or a function, shown, renewed
// and refused, with a server and a clock of the test's own; and against the real
// programs, which judge.
import { after, afterEach, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import WebSocket from "ws";
import { REASONS, Socket } from "../../www/holdfast.js";
import { Page } from "./lib/page.js";
import { Server, told, until } from "./lib/server.js";
import { mint, readKeys } from "./lib/tokens.js";
import { World } from "./lib/world.js";

const TOPIC = "demo:lobby";
const transports = ["websocket", "longpoll"];

let sockets = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.disconnect();
});

function visit({ endPoint = "http://host.example/socket", ...options }, topic = TOPIC) {
  const socket = new Socket(endPoint, options);
  const changes = []; // since the last look
  const heard = [];
  const errors = [];
  sockets.push(socket);
  socket.onChange((state, reason) => changes.push(state === "waiting" ? -reason.number : reason.number));
  const channel = socket.channel(topic);
  channel.on("n", ({ n }) => heard.push(n));
  channel.onError((reason) => errors.push(reason));
  channel.join();
  socket.connect();
  return { socket, channel, heard, errors, changes };
}

// A token that nobody has signed, for a world that believes anything.
const unsigned = (claims) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;

// An application that makes them, each for so many seconds from now.
function shop(world, ttl = 3600, { iat = true } = {}) {
  const made = [];
  const make = () => {
    const now = Math.floor((1.7e12 + world.now) / 1000); // by the application's clock
    made.push({ at: world.now, text: unsigned({ exp: now + ttl, ...(iat && { iat: now }), n: made.length }), ends: world.now + ttl * 1000 });
    return made[made.length - 1].text;
  };
  world.takes = (text) => made.some((token) => token.text === text && world.now < token.ends);
  return { made, make };
}

for (const transport of transports) {
  describe(`a token over ${transport}`, () => {
    for (const [kind, give] of [
      ["a text", (text) => text],
      ["a function", (text) => () => text],
      ["a function that takes its time", (text) => async () => text],
    ]) {
      it(`may be ${kind}`, async () => {
        const world = new World();
        const text = "any~text?ü>.x";
        world.takes = (shown) => shown === text;
        const { channel, socket } = visit({ ...world.options, transport, authToken: give(text) });
        await world.pass(100);
        assert.equal(channel.state, "joined");
        assert.deepEqual(world.shown, [text]);
        socket.disconnect();
        await world.pass(100);
        assert.equal(world.timers, 0);
      });
    }

    it("is in no URL", async () => {
      const world = new World();
      const urls = [];
      const { fetch, WebSocket: Plain } = world.options;
      visit({
        ...world.options,
        transport,
        authToken: "secret-token",
        fetch: (url, options) => fetch((urls.push(url), url), options),
        WebSocket: class extends Plain {
          constructor(url, protocols) {
            super((urls.push(url), url), protocols);
            assert.deepEqual(protocols, ["phoenix", "base64url.bearer.phx.c2VjcmV0LXRva2Vu"]);
          }
        },
      });
      await world.pass(100);
      assert.ok(urls.length > 0);
      for (const url of urls) assert.doesNotMatch(url, /secret|c2VjcmV0|undefined/);
    });

    it("is none for who gives none", async () => {
      for (const nothing of [undefined, null, "", () => null, async () => undefined]) {
        const world = new World();
        const { channel } = visit({ ...world.options, transport, authToken: nothing });
        await world.pass(100);
        assert.equal(channel.state, "joined");
        assert.deepEqual(world.shown, [undefined]);
      }
    });

    it("is renewed before it ends, and nothing is interrupted", async () => {
      const world = new World();
      const { made, make } = shop(world);
      const { socket, channel, errors, changes, heard } = visit({ ...world.options, transport, authToken: async () => make() });
      await world.pass(1000);
      changes.length = 0;
      for (let hour = 0; hour < 10; hour++) {
        for (let i = 0; i < 12; i++) {
          world.publish(TOPIC, "n", { n: world.seq });
          await world.pass(300000);
          world.expire();
        }
      }
      assert.deepEqual(changes, []);
      assert.deepEqual(errors, []);
      assert.equal(heard.length, 120);
      assert.deepEqual(world.renewals, made.slice(1).map(({ text }) => text));
      assert.equal(made.length, 13, "one in 48 minutes");
      assert.equal(channel.state, "joined");
      assert.equal(socket.state, "open");
    });

    for (const hours of [-30, -7, -0.1, 0.1, 7, 30]) {
      it(`is renewed in time by a machine whose clock is ${hours} h off`, async () => {
        const world = new World();
        world.skew = hours * 3600000;
        const { made, make } = shop(world);
        const { changes } = visit({ ...world.options, transport, authToken: make });
        for (let i = 0; i < 72; i++) {
          await world.pass(300000);
          world.expire();
        }
        assert.deepEqual(changes, [REASONS.connect.number, REASONS.useful.number]);
        assert.ok(made.length >= 7 && made.length <= 9, `${made.length} in six hours`);
      });
    }

    it("is renewed in time when it was not new when we got it", async () => {
      const world = new World();
      const { made, make } = shop(world);
      const first = make();
      world.now += 3000000; // ten minutes are left
      let asked = 0;
      const authToken = () => (asked++ ? make() : first);
      const { channel, errors } = visit({ ...world.options, transport, authToken });
      for (let i = 0; i < 20; i++) {
        await world.pass(60000);
        world.expire();
      }
      assert.equal(channel.state, "joined");
      assert.deepEqual(errors, []);
      assert.equal(made.length, 2);
    });

    it("is asked for again when the fresher one is not taken, and the former serves on", async () => {
      const world = new World();
      const { made, make } = shop(world, 60);
      const authToken = () => (made.length === 1 ? (made.push({ ends: 0 }), "somebody else's") : make());
      const { errors, changes } = visit({ ...world.options, transport, authToken });
      await world.pass(55000);
      world.expire();
      await world.pass(10000);
      world.expire();
      assert.deepEqual(world.renewals.slice(0, 2), ["somebody else's", made[2].text]);
      assert.deepEqual(errors, []);
      assert.deepEqual(changes, [REASONS.connect.number, REASONS.useful.number]);
    });

    it("is asked for again until there is one", async () => {
      const world = new World();
      const { make } = shop(world);
      const asked = [];
      const authToken = () => {
        asked.push(world.now);
        if (asked.length === 3) return new Promise(() => {}); // hangs
        if (asked.length < 5) throw new Error("no");
        return make();
      };
      const { channel, changes } = visit({ ...world.options, transport, authToken });
      await world.pass(1);
      assert.deepEqual(changes, [REASONS.connect.number, -REASONS.noToken.number]);
      await world.pass(30000);
      assert.equal(channel.state, "joined");
      assert.equal(asked.length, 5);
      assert.ok(asked[3] - asked[2] >= 10000 && asked[3] - asked[2] < 12000);
      assert.deepEqual(world.shown.length, 1);
    });

    it("is asked for again when it could not be renewed, with full jitter", async () => {
      const world = new World();
      const { made, make } = shop(world);
      const asked = [];
      let broken = false;
      const authToken = async () => {
        asked.push(Math.round(world.now / 1000));
        if (broken) throw new Error("no");
        return make();
      };
      const { errors } = visit({ ...world.options, transport, authToken });
      await world.pass(1000);
      broken = true;
      await world.pass(3000000);
      broken = false;
      world.random = () => 0;
      await world.pass(300000);
      assert.deepEqual(asked.slice(0, 8), [0, 2880, 2881, 2882, 2884, 2888, 2896, 2912]);
      assert.equal(made.length, 2);
      assert.deepEqual(errors, []);
    });

    it("is asked for anew at once when it has expired, whatever our clock says", async () => {
      const world = new World();
      const { make } = shop(world, 60, { iat: false });
      world.skew = -7200000; // we take it for good for hours
      let asked = 0;
      const { channel, errors } = visit({
        ...world.options,
        transport,
        authToken: () => (asked++, make()),
        reconnectAfterMs: () => 10000,
      });
      for (let minute = 1; minute <= 5; minute++) {
        await world.pass(61000);
        world.expire();
        await world.pass(100);
        assert.equal(channel.state, "joined", `minute ${minute}`);
        assert.equal(errors.length, minute);
      }
      assert.equal(asked, 6);
    });

    it("is asked for anew at once when a connection was refused", async () => {
      const world = new World();
      const { made, make } = shop(world);
      const { channel, socket } = visit({ ...world.options, transport, authToken: make, reconnectAfterMs: () => 10000 });
      await world.pass(60000);
      for (const token of made) token.ends = 0; // the key was exchanged
      if (transport === "longpoll") world.endSessions();
      else world.cutSockets();
      await world.pass(10500);
      assert.equal(socket.state, "open");
      assert.equal(channel.state, "joined");
      assert.equal(made.length, 2);
    });

    it("is asked for ever more seldom when no token is taken", async () => {
      const world = new World();
      world.takes = () => false;
      const asked = [];
      visit({ ...world.options, transport: "longpoll", authToken: () => (asked.push(world.now), unsigned({ exp: 2e9, iat: 1.7e9 - 9 })) });
      await world.pass(3600000);
      assert.ok(asked[1] - asked[0] < 1000);
      assert.ok(asked.length > 10 && asked.length < 30, `${asked.length} times in an hour`);
    });

    it("that allows more is shown when a join is refused, and the join is said again", async () => {
      for (const joined of [false, true]) {
        const world = new World();
        const { make } = shop(world);
        let asked = 0;
        const { channel, socket } = visit({ ...world.options, transport, authToken: () => (asked++, make()) });
        world.refuse = { reason: "unauthorized" };
        if (joined) {
          world.refuse = null;
          await world.pass(100);
          world.refuse = { reason: "unauthorized" };
          socket.channel("demo:other").join();
        }
        await world.pass(700);
        assert.equal(asked, 2);
        world.refuse = null;
        await world.pass(2000);
        assert.equal(socket.channels.every(({ state }) => state === "joined"), true);
        assert.equal(channel.state, "joined");
        if (joined) assert.equal(world.renewals.length, asked - 1);
        else assert.equal(world.shown.length, asked);
      }
    });

    it("is not to blame for a push that is not allowed", async () => {
      const world = new World();
      let asked = 0;
      const { socket, channel } = visit({ ...world.options, transport, authToken: () => (asked++, unsigned({ exp: 2e9 })) });
      await world.pass(100);
      let answer;
      world.forbid = true;
      channel.push("n", {}).receive("error", (response) => (answer = response));
      await world.pass(100);
      assert.deepEqual(answer, { reason: "unauthorized" });
      await world.pass(60000);
      assert.equal(asked, 1);
      assert.equal(socket.state, "open");
    });

    it("is not asked for in a page that was left, nor after the end", async () => {
      const world = new World();
      const { make } = shop(world, 60);
      const page = new Page();
      let asked = 0;
      let give;
      const authToken = () => (asked++ ? new Promise((resolve) => (give = resolve)) : make());
      const { socket } = visit({ ...world.options, page, transport, authToken });
      await world.pass(47000);
      assert.equal(asked, 1);
      await world.pass(2000);
      assert.equal(asked, 2, "it is due");
      page.leave();
      await world.pass(100);
      give(make());
      await world.pass(2000);
      assert.equal(socket.state, "waiting");
      assert.equal(world.connections + world.parked, 0);
      page.back();
      await world.pass(100);
      assert.equal(socket.state, "open");
      socket.disconnect();
      await world.pass(600000);
      assert.equal(asked, 2);
      assert.equal(world.timers, 0);
    });

    it("that comes after the end is not shown", async () => {
      const world = new World();
      const { make } = shop(world);
      const gives = [];
      const { socket } = visit({ ...world.options, transport, authToken: () => new Promise((resolve) => gives.push(resolve)) });
      await world.pass(100);
      socket.disconnect();
      socket.connect();
      gives[1](make());
      await world.pass(100);
      gives[0](make());
      await world.pass(10000);
      assert.equal(world.shown.length, 1);
      assert.deepEqual(world.renewals, []);
      socket.disconnect();
      await world.pass(100);
      assert.equal(world.timers, 0);
    });
  });
}

describe("a token", () => {
  it("is asked for once, for both transports", async () => {
    const world = new World();
    world.net.websocket = "hang";
    let asked = 0;
    const { channel } = visit({ ...world.options, authToken: () => `token ${++asked}` });
    await world.pass(3000);
    assert.equal(channel.state, "joined");
    assert.equal(asked, 1);
    assert.deepEqual(world.shown, ["token 1", "token 1"]);
  });

  it("that is not to be had is no mark against WebSocket, and is asked for once in each attempt", async () => {
    const world = new World();
    let asked = 0;
    const authToken = async () => {
      if (++asked < 6) throw new Error("no");
      return "x";
    };
    const { channel, changes } = visit({ ...world.options, authToken, reconnectAfterMs: () => 1000 });
    await world.pass(4500);
    assert.equal(asked, 5);
    await world.pass(1000);
    assert.equal(channel.state, "joined");
    assert.deepEqual(world.dialled, ["websocket"]);
    const { connect, noToken, retry, useful } = REASONS;
    const tries = Array.from({ length: 5 }, () => [-noToken.number, retry.number]).flat();
    assert.deepEqual(changes, [connect.number, ...tries, useful.number]);
  });

  it("that is slow to come is no mark against WebSocket", async () => {
    const world = new World();
    const authToken = () => new Promise((resolve) => world.later(() => resolve("x"), 8000));
    const { channel, changes } = visit({ ...world.options, authToken });
    await world.pass(8100);
    assert.equal(channel.state, "joined");
    assert.deepEqual(changes, [REASONS.connect.number, REASONS.useful.number]);
    assert.deepEqual(world.dialled, ["websocket"]);
  });
});

// What judges here are the programs as they are, with keys of the journal.
describe("a token shown to the real programs", () => {
  let server;
  let key;
  let names = 0;
  before(async () => {
    server = await Server.start({ conf: { gateway: { hold: "3s" } } });
    [key] = readKeys(server);
  });
  after(() => server?.stop());

  const rights = (topic) => ({ sub: `user-${++names}`, topics: { [topic]: ["join", "publish"] } });
  const real = (transport, authToken, more) => ({ WebSocket, transport, authToken, endPoint: server.endpoint, ...more });
  const test = (name, body) => it(name, told(() => server, body));

  function enter(options, topic) {
    const made = visit(options, topic);
    made.said = [];
    made.channel.on("say", ({ n }) => made.said.push(n));
    return made;
  }

  // Numbers as rows of a program, until the last one is heard.
  async function talk(topic, from, to, { said }) {
    for (let n = from; n <= to; n++) await server.sql(`INSERT INTO messages(topic, event, payload) VALUES ('${topic}', 'say', '{"n":${n}}')`);
    await until(10000, `all up to ${to}, in order`, () => {
      assert.deepEqual(said, Array.from({ length: to }, (_, i) => i + 1));
      return true;
    });
  }

  for (const transport of transports) {
    test(`opens what it allows, and is renewed without an interruption (${transport})`, async () => {
      const topic = `private:${transport}`;
      const claims = rights(topic);
      let asked = 0;
      const authToken = async () => {
        asked++;
        return mint(key, claims, { ttl: 4 });
      };
      const visitor = enter(real(transport, authToken), topic);
      await until(5000, "joined", () => visitor.channel.state === "joined");
      const begun = performance.now();
      for (let n = 1; performance.now() - begun < 11000; n += 5) await talk(topic, n, n + 4, visitor);
      assert.deepEqual(visitor.errors, []);
      assert.deepEqual(visitor.changes, [REASONS.connect.number, REASONS.useful.number]);
      assert.ok(asked >= 4 && asked <= 7, `asked ${asked} times`);
      const answer = await new Promise((done) => {
        const push = visitor.channel.push("say", { n: visitor.said.length + 1 });
        for (const status of ["ok", "error", "timeout"]) push.receive(status, () => done(status));
      });
      assert.equal(answer, "ok");
    });

    for (const hours of [-5, 5]) {
      test(`comes back when it has expired, though our clock is ${hours} h off (${transport})`, async () => {
        const topic = `private:${transport}${hours}`;
        const claims = rights(topic);
        let asked = 0;
        // without iat nothing tells us that our clock is wrong
        const authToken = () => (asked++, mint(key, { ...claims, iat: undefined }, { ttl: 2 }));
        const clock = { wall: () => Date.now() + hours * 3600000 };
        const visitor = enter(real(transport, authToken, { clock }), topic);
        await until(5000, "joined", () => visitor.channel.state === "joined");
        await talk(topic, 1, 3, visitor);
        await until(5000, "it has expired", () => visitor.errors.length > 0);
        assert.deepEqual(visitor.errors[0], { reason: "token_expired" });
        await talk(topic, 4, 6, visitor);
        assert.equal(visitor.channel.state, "joined");
        assert.ok(asked <= 4, `asked ${asked} times`);
      });
    }

    test(`is asked for anew at once when the server refuses it (${transport})`, async () => {
      const topic = `private:refused-${transport}`;
      const claims = rights(topic);
      let asked = 0;
      const authToken = () => mint(key, claims, { ttl: asked++ ? 60 : -60 });
      const begun = performance.now();
      const { channel } = enter(real(transport === "longpoll" ? transport : undefined, authToken), topic);
      await until(5000, "joined", () => channel.state === "joined");
      assert.ok(performance.now() - begun < 3000);
      assert.equal(asked, 2);
    });

    test(`that allows more is shown when a join is refused (${transport})`, async () => {
      const topic = `private:more-${transport}`;
      const claims = rights(topic);
      const allowed = ["room:1"];
      const authToken = () => mint(key, { ...claims, topics: Object.fromEntries(allowed.map((t) => [t, ["join"]])) });
      await server.holdfast("allow", topic, "publish");
      const { channel, socket } = enter(real(transport, authToken), "room:1");
      await until(5000, "joined", () => channel.state === "joined");
      allowed.push(topic);
      const other = socket.channel(topic);
      const answers = [];
      other.join().receive("error", ({ reason }) => answers.push(reason)).receive("ok", () => answers.push("ok"));
      await until(10000, "joined", () => other.state === "joined");
      assert.equal(answers[0], "unauthorized");
      assert.equal(channel.state, "joined");
    });
  }
});

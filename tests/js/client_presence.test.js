// Presence of www/holdfast.js: beside that of phoenix.js, with keys that mean
// harm, and while the line changes under it.
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { Presence as Theirs } from "phoenix-1.8";
import { Presence } from "../../www/holdfast.js";
import { TOPIC, complaints, connect } from "./lib/client.js";
import { generator } from "./lib/random.js";
import { World } from "./lib/world.js";

// What both have in common with a channel: on() and joinRef().
class FakeChannel {
  bindings = {};
  ref = "1";
  on(event, callback) {
    this.bindings[event] = callback;
  }
  joinRef() {
    return this.ref;
  }
  tell(event, payload, joinRef = this.ref) {
    this.bindings[event](structuredClone(payload), null, joinRef);
  }
}

function watch(Kind, channel) {
  const presence = new Kind(channel);
  const log = [];
  const copy = (...args) => structuredClone(args);
  presence.onJoin((...args) => log.push(["join", ...copy(...args)]));
  presence.onLeave((...args) => log.push(["leave", ...copy(...args)]));
  presence.onSync(() => log.push(["sync", presence.list((key) => key)]));
  return { presence, log };
}

const meta = (ref, more) => ({ phx_ref: ref, ...more });
const plain = (state) => JSON.parse(JSON.stringify(state));

describe("Presence", () => {
  it("says what phoenix.js' own says, whatever is told", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = generator(seed);
      const pick = (list) => list[Math.floor(random() * list.length)];
      const keys = ["ann", "bob", "__proto__", "constructor", "toString"];
      const some = () => {
        const chosen = {};
        for (const key of keys.filter(() => random() < 0.4)) {
          const metas = ["1", "2", "3"].filter(() => random() < 0.6).map((n) => meta(key + n));
          const value = { metas: metas.length > 0 ? metas : [meta(`${key}1`)] };
          Object.defineProperty(chosen, key, { value, enumerable: true, configurable: true });
        }
        return chosen;
      };
      const channel = [new FakeChannel(), new FakeChannel()];
      const ours = watch(Presence, channel[0]);
      const theirs = watch(Theirs, channel[1]);
      for (let i = 0; i < 12; i++) {
        const state = some();
        const diff = { joins: some(), leaves: some() };
        // what comes before the first state is another test's
        const event = i === 0 ? "presence_state" : pick(["presence_diff", "presence_diff", "presence_state"]);
        if (event === "presence_state" && random() < 0.5) for (const c of channel) c.ref += "+";
        for (const c of channel) c.tell(event, event === "presence_state" ? state : diff);
        assert.deepEqual(ours.presence.state, theirs.presence.state, `seed ${seed}`);
        // the order between keys of one change is nobody's business
        const sorted = (log) => log.map((entry) => JSON.stringify(entry)).sort();
        assert.deepEqual(sorted(ours.log), sorted(theirs.log), `seed ${seed}`);
        ours.log.length = theirs.log.length = 0;
        assert.equal(ours.presence.inPendingSyncState(), theirs.presence.inPendingSyncState());
      }
      assert.deepEqual(ours.presence.list(), theirs.presence.list());
    }
  });

  it("has the static functions of phoenix.js, which leave their arguments as they were", () => {
    const state = { ann: { metas: [meta("1")] }, bob: { metas: [meta("2")] } };
    const next = { ann: { metas: [meta("1"), meta("3", { on: "tv" })] }, cy: { metas: [meta("4")] } };
    const diff = { joins: { dee: { metas: [meta("5")] } }, leaves: { ann: { metas: [meta("1")] } } };
    const calls = [[], []];
    const results = [Presence, Theirs].map((Kind, i) => {
      const note = (...args) => calls[i].push(plain(args));
      return [
        Kind.syncState(structuredClone(state), structuredClone(next), note, note),
        Kind.syncDiff(structuredClone(next), structuredClone(diff), note, note),
        Kind.syncDiff(structuredClone(next), structuredClone(diff)),
        Kind.list(next, (key, { metas: [first] }) => [key, first]),
        Kind.list(next),
      ];
    });
    assert.deepEqual(plain(results[0]), plain(results[1]));
    assert.deepEqual(calls[0], calls[1]);
    const kept = structuredClone([state, next]);
    Presence.syncState(state, next);
    assert.deepEqual([state, next], kept);
  });

  it("takes other events for state and diff", () => {
    const channel = new FakeChannel();
    const presence = new Presence(channel, { events: { state: "here", diff: "moved" } });
    channel.tell("here", { ann: { metas: [meta("1")] } });
    channel.tell("moved", { joins: { bob: { metas: [meta("2")] } }, leaves: {} });
    assert.deepEqual(presence.list((key) => key), ["ann", "bob"]);
  });

  it("keeps a diff for the state of its own join", () => {
    const channel = new FakeChannel();
    const { presence } = watch(Presence, channel);
    const joins = (key) => ({ joins: { [key]: { metas: [meta(key)] } }, leaves: {} });
    channel.tell("presence_diff", joins("early"), "1");
    channel.tell("presence_diff", joins("other"), "0");
    assert.equal(presence.inPendingSyncState(), true);
    channel.tell("presence_state", { ann: { metas: [meta("a")] } }, "1");
    assert.deepEqual(presence.list((key) => key), ["ann", "early"]);
    assert.equal(presence.inPendingSyncState(), false);
    channel.tell("presence_diff", joins("later"), "1");
    assert.deepEqual(presence.list((key) => key), ["ann", "early", "later"]);
  });

  it("is not led astray by keys that others chose, or callbacks that throw", () => {
    const channel = new FakeChannel();
    const { presence } = watch(Presence, channel);
    presence.onJoin((key) => {
      if (key === "bob") throw new Error("page");
    });
    const hostile = JSON.parse(
      `{"__proto__":{"metas":[{"phx_ref":"1","polluted":true}]},"hasOwnProperty":{"metas":[{"phx_ref":"2"}]}}`,
    );
    channel.tell("presence_state", {});
    channel.tell("presence_diff", { joins: hostile, leaves: {} });
    channel.tell("presence_diff", { joins: { bob: { metas: [meta("3")] } }, leaves: {} });
    assert.deepEqual(presence.list((key) => key), ["__proto__", "hasOwnProperty", "bob"]);
    assert.equal({}.polluted, undefined);
    assert.equal({}.metas, undefined);
    channel.tell("presence_diff", { joins: {}, leaves: hostile });
    assert.deepEqual(presence.list((key) => key), ["bob"]);
    assert.deepEqual(complaints.splice(0), ["page"]);
  });
});

describe("Presence on a line", () => {
  const names = (world) => Object.keys(world.present.get(TOPIC)).sort();

  async function visit(world, options) {
    const socket = connect(world, options);
    const channel = socket.channel(TOPIC);
    const visitor = { socket, channel, ...watch(Presence, channel) };
    channel.join();
    await world.pass(200);
    visitor.log.length = 0;
    return visitor;
  }

  for (const transport of ["websocket", "longpoll"]) {
    it(`follows who comes and goes over ${transport}, and through a rejoin`, async () => {
      const world = new World();
      world.enter(TOPIC, "ann");
      const { presence, channel, log } = await visit(world, { transport });
      assert.deepEqual(presence.list((key) => key), ["ann"]);
      world.enter(TOPIC, "bob");
      world.exit(TOPIC, "ann");
      await world.pass(50);
      assert.deepEqual(presence.list((key) => key), ["bob"]);
      if (transport === "websocket") world.cutSockets();
      else world.endSessions();
      world.exit(TOPIC, "bob");
      world.enter(TOPIC, "cy");
      await world.pass(2000);
      assert.equal(channel.state, "joined");
      assert.deepEqual(presence.list((key) => key), ["cy"]);
      const told = log.filter(([what]) => what !== "sync").map(([what, key]) => `${what} ${key}`);
      assert.deepEqual(told.sort(), ["join bob", "join cy", "leave ann", "leave bob"]);
    });
  }

  it("is that of the newest join, whatever an older one still brings", async () => {
    const world = new World();
    let line;
    const Wire = class extends world.WebSocket {
      constructor(url) {
        super(url);
        line = this;
      }
    };
    world.enter(TOPIC, "ann");
    const { channel, presence } = await visit(world, { WebSocket: Wire });
    const heard = [];
    channel.on("n", ({ n }) => heard.push(n));
    const older = channel.joinRef();
    const say = (ref, event, payload) =>
      line.onmessage({ data: JSON.stringify([older, ref, TOPIC, event, payload]) });
    const ghost = { ghost: { metas: [meta("g")] } };
    channel.rejoin();
    await world.pass(100);
    say(null, "presence_state", ghost);
    say(world.cursor(50), "presence_diff", { joins: ghost, leaves: {} });
    say(world.cursor(51), "n", { n: 1 });
    await world.pass(1);
    assert.deepEqual(presence.list((key) => key), ["ann"]);
    assert.deepEqual(heard, [1], "other messages of it are as good as any");
  });

  it("has neither ghosts nor holes after any change of links", async () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = generator(seed);
      const world = new World(random);
      world.net.delay = () => random() * 120;
      for (const key of ["a", "b", "c"]) world.enter(TOPIC, key);
      const { socket, presence } = await visit(world);
      let next = 0;
      for (let i = 0; i < 60; i++) {
        if (random() < 0.5) world.enter(TOPIC, `k${next++}`);
        else if (names(world).length > 1) world.exit(TOPIC, names(world)[Math.floor(random() * names(world).length)]);
        if (i % 10 === 5) socket.replaceTransport(random() < 0.5 ? "longpoll" : "websocket");
        if (random() < 0.03) world.cutSockets();
        await world.pass(random() * 100);
      }
      await world.pass(10000);
      assert.deepEqual(presence.list((key) => key).sort(), names(world), `seed ${seed}`);
    }
  });
});

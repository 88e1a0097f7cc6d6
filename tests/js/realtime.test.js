// @supabase/realtime-js 2.109.0, unmodified: what it makes of its options, of
// presence, of tokens, and of servers that die, with both its serializers.
import { after, afterEach, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { RealtimeClient } from "@supabase/realtime-js";
import { Line } from "./lib/line.js";
import { WebSocket } from "./lib/phoenix.js";
import { Server, told, until } from "./lib/server.js";
import { mint, readKeys } from "./lib/tokens.js";

let server;
const clients = new Set();
const lines = new Set();

before(async () => {
  server = await Server.start({
    allow: [["realtime:open*", "join,publish,presence"]],
  });
});
after(() => server?.stop());
afterEach(async () => {
  for (const client of clients) client.disconnect();
  clients.clear();
  for (const line of lines) await line.end();
  lines.clear();
});

const test = (name, body) =>
  it(
    name,
    told(() => server, body),
  );

async function client(vsn, options = {}) {
  const line = await Line.open(server);
  lines.add(line);
  const made = new RealtimeClient(line.endpoint, {
    params: { apikey: "anything" },
    transport: WebSocket,
    vsn,
    ...options,
  });
  clients.add(made);
  return Object.assign(made, { line });
}

// A channel of it, with all that it says of itself and all that it hears.
function subscribe(from, name, { config = { broadcast: { self: true, ack: true } }, presence } = {}) {
  const channel = from.channel(name, { config });
  const states = [];
  const heard = [];
  channel.on("broadcast", { event: "*" }, ({ event, payload }) => heard.push([event, payload]));
  if (presence) channel.on("presence", { event: "sync" }, () => {});
  channel.subscribe((state) => states.push(state));
  const subscribed = (times = 1, ms = 15000) =>
    until(
      ms,
      `subscribed ${times} times (${states})`,
      () => states.filter((s) => s === "SUBSCRIBED").length >= times,
    );
  const send = (event, payload) => channel.send({ type: "broadcast", event, payload });
  return { channel, states, heard, subscribed, send };
}

let topics = 0;

for (const vsn of ["2.0.0", "1.0.0"]) {
  describe(`realtime-js with serializer ${vsn}`, () => {
    for (const ack of [true, false]) {
      test(`a broadcast with ack ${ack} is there once, in order`, async () => {
        const name = `open-${++topics}`;
        const config = { broadcast: { self: true, ack } };
        const [a, b] = [await client(vsn), await client(vsn)].map((c) => subscribe(c, name, { config }));
        await a.subscribed();
        await b.subscribed();
        const sent = Array.from({ length: 20 }, (_, i) => ["shout", { i }]);
        for (const what of await Promise.all(sent.map((each) => a.send(...each)))) {
          assert.equal(what, "ok");
        }
        await until(8000, "both heard all", () => [a, b].every(({ heard }) => heard.length >= 20));
        assert.deepEqual(a.heard, sent);
        assert.deepEqual(b.heard, sent);
      });
    }

    test("with self false it is not sent its own, and others are", async () => {
      const name = `open-${++topics}`;
      const config = { broadcast: { self: false, ack: true } };
      const a = subscribe(await client(vsn), name, { config });
      const b = subscribe(await client(vsn), name);
      await a.subscribed();
      await b.subscribed();
      assert.equal(await a.send("shout", { i: 1 }), "ok");
      assert.equal(await b.send("shout", { i: 2 }), "ok");
      await until(8000, "both heard", () => a.heard.length >= 1 && b.heard.length >= 2);
      assert.deepEqual(a.heard, [["shout", { i: 2 }]]);
      assert.deepEqual(b.heard, [
        ["shout", { i: 1 }],
        ["shout", { i: 2 }],
      ]);
    });

    test("presence: who comes and who goes", async () => {
      const name = `open-${++topics}`;
      const of = (key) => ({ config: { presence: { key } }, presence: true });
      const a = subscribe(await client(vsn), name, of("ann"));
      const b = subscribe(await client(vsn), name, of("bob"));
      await a.subscribed();
      await b.subscribed();
      assert.equal(await a.channel.track({ at: "desk" }), "ok");
      assert.equal(await b.channel.track({ at: "door" }), "ok");
      const there = (who) =>
        Object.fromEntries(
          Object.entries(who.channel.presenceState()).map(([key, metas]) => [
            key,
            metas.map(({ at }) => at),
          ]),
        );
      const both = { ann: ["desk"], bob: ["door"] };
      for (const each of [a, b]) {
        await until(8000, "both are there", () => Object.keys(there(each)).length === 2);
        assert.deepEqual(there(each), both);
      }
      assert.equal(await b.channel.untrack(), "ok");
      await until(8000, "one has gone", () => !there(a).bob);
      assert.deepEqual(there(a), { ann: ["desk"] });
    });

    test("its token gives it rights, and a fresher one is taken", async () => {
      const [key] = readKeys(server);
      const claims = { sub: `user-${vsn}`, topics: { "realtime:vip-*": ["join", "publish"] } };
      const tokens = [await mint(key, claims, { ttl: 4 }), await mint(key, claims, { ttl: 60 })];
      const from = await client(vsn, { params: { apikey: tokens[0] } });
      await from.setAuth(tokens[0]);
      const vip = subscribe(from, `vip-${vsn}`);
      await vip.subscribed();
      assert.equal(await vip.send("shout", { i: 1 }), "ok");
      await from.setAuth(tokens[1]);
      await new Promise((done) => setTimeout(done, 4500));
      assert.equal(await vip.send("shout", { i: 2 }), "ok");
      await until(8000, "it heard both", () => vip.heard.length >= 2);
      assert.deepEqual(vip.states, ["SUBSCRIBED"]);

      const stranger = subscribe(await client(vsn), `vip-${vsn}`);
      await until(8000, "it is refused", () => stranger.states.includes("CHANNEL_ERROR"));
    });

    test("comes back from a kill, a planned restart and a cut line", async () => {
      const name = `open-${++topics}`;
      const from = await client(vsn, { reconnectAfterMs: () => 100 });
      const a = subscribe(from, name);
      await a.subscribed();
      const trouble = [
        () => from.line.cut(),
        () => server.sidecar.stop().then(() => server.startSidecar()),
        () => server.sidecar.kill().then(() => server.startSidecar()),
      ];
      for (const [i, happens] of trouble.entries()) {
        await happens();
        await a.subscribed(i + 2, 20000);
        assert.equal(await a.send("shout", { i }), "ok");
      }
      await until(8000, "it heard all", () => a.heard.length >= trouble.length);
      assert.deepEqual(
        a.heard.map(([, { i }]) => i),
        [0, 1, 2],
      );
    });

    test("asks for what was broadcast before, and is told that it is old", async () => {
      const name = `open-${++topics}`;
      const a = subscribe(await client(vsn), name);
      await a.subscribed();
      for (const i of [1, 2, 3]) assert.equal(await a.send("shout", { i }), "ok");
      const since = Date.now() - 60000;
      const config = { private: true, broadcast: { self: true, replay: { since, limit: 2 } } };
      const b = (await client(vsn)).channel(name, { config });
      const heard = [];
      b.on("broadcast", { event: "*" }, ({ payload, meta }) => heard.push([payload.i, meta?.replayed]));
      b.subscribe();
      await until(8000, "it heard two", () => heard.length >= 2);
      assert.equal(await a.send("shout", { i: 4 }), "ok");
      await until(8000, "it heard three", () => heard.length >= 3);
      assert.deepEqual(heard, [
        [2, true],
        [3, true],
        [4, undefined],
      ]);
    });
  });
}

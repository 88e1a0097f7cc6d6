// Who is there, as the npm clients' own class Presence understands it, through a
// real lighttpd; and what is left when somebody dies.
import { after, afterEach, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { answer, clients, connect, disconnectAll, transports, versions } from "./lib/phoenix.js";
import { RawWs } from "./lib/rawws.js";
import { Server, sleep, told, until } from "./lib/server.js";

const LEASE = 4000;
let server;

before(async () => {
  server = await Server.start({
    allow: [["room:*", "join,publish,presence"]],
    conf: { http: { lease: "4s" } },
  });
});
after(() => server?.stop());
afterEach(disconnectAll);

const test = (name, body) =>
  it(
    name,
    told(() => server, body),
  );

let topicNo = 0;

// A page: its channel, and what its Presence believes.
async function enter(version, transport, topic, key, options) {
  const socket = connect(version, transport, server.endpoint, options);
  const channel = socket.channel(topic, { presence: { key, meta: { from: transport } } });
  const presence = new clients[version].Presence(channel);
  const log = [];
  presence.onJoin((id) => log.push(`+${id}`));
  presence.onLeave((id, current) => log.push(current.metas.length ? `~${id}` : `-${id}`));
  const joined = await answer(channel.join());
  assert.equal(joined.status, "ok");
  const here = () => presence.list((id, { metas }) => `${id}${metas.length}`).sort().join(" ");
  return { socket, channel, presence, log, here };
}

const is = (page, wanted, ms = 6000) =>
  until(ms, `present: ${wanted}`, () => page.here() === wanted);

for (const version of versions) {
  for (const transport of transports) {
    describe(`Presence of phoenix ${version} over ${transport}`, () => {
      const other = transports.find((name) => name !== transport);

      test("knows who comes and goes, on either transport", async () => {
        const topic = `room:${++topicNo}`;
        const ann = await enter(version, transport, topic, "ann");
        await is(ann, "ann1");
        const bob = await enter(version, other, topic, "bob");
        await is(ann, "ann1 bob1");
        await is(bob, "ann1 bob1");
        const tab = await enter(version, transport, topic, "bob");
        await is(ann, "ann1 bob2");
        await answer(
          bob.channel.push("presence", { type: "presence", event: "track", payload: { n: 2 } }),
        );
        await until(6000, "bob's meta has changed", () =>
          JSON.stringify(ann.presence.state.bob).includes('"n":2'),
        );
        await is(ann, "ann1 bob2");
        tab.channel.leave();
        await is(ann, "ann1 bob1");
        bob.channel.leave();
        await is(ann, "ann1");
        assert.equal(ann.log.at(-1), "-bob");
      });
    });
  }
}

describe("who dies without a word", () => {
  const version = versions[0];

  test("a long-poll client is gone after its lease, and not before", async () => {
    const topic = `room:${++topicNo}`;
    const ann = await enter(version, "websocket", topic, "ann");
    const bob = await enter(version, "longpoll", topic, "bob");
    await is(ann, "ann1 bob1");
    await sleep(2 * LEASE); // bob polls
    assert.equal(ann.here(), "ann1 bob1");
    assert.deepEqual(ann.log, ["+ann", "+bob"]);
    bob.socket.disconnect(); // tells the server nothing
    await is(ann, "ann1", 2 * LEASE);
  });

  // Whose host is cut off: its connection stands, and nothing comes of it. The
  // web server in between is told nothing either.
  for (const query of ["", "&client_id=0123456789abcdefghijklmnop"]) {
    test(`a WebSocket that has gone silent is gone after its lease (${query || "nameless"})`, async () => {
      const topic = `room:${++topicNo}`;
      const ann = await enter(version, "websocket", topic, "ann"); // her WebSocket answers pings
      const path = `/socket/websocket?vsn=2.0.0${query}`;
      const bob = await RawWs.open({ port: server.port, path });
      try {
        bob.text(JSON.stringify(["1", "1", topic, "phx_join", { presence: { key: "bob", meta: {} } }]));
        const silentSince = performance.now();
        await is(ann, "ann1 bob1");
        bob.socket.pause();
        await sleep(LEASE / 2 - (performance.now() - silentSince));
        assert.equal(ann.here(), "ann1 bob1");
        await is(ann, "ann1", LEASE);
        const after = performance.now() - silentSince;
        assert.ok(after < LEASE + 1000, `gone after ${after} ms`);
        bob.socket.resume();
        const kinds = [];
        for (let got; got?.kind !== "close"; kinds.push(got.kind)) got = await bob.inbox.next();
        assert.deepEqual(kinds.filter((kind) => kind !== "text"), ["ping", "close"]);
        await sleep(LEASE);
        assert.equal(ann.here(), "ann1");
        assert.deepEqual(ann.log, ["+ann", "+bob", "-bob"]);
      } finally {
        bob.destroy();
      }
    });
  }

  test("a killed side-car's members are gone after its lease", async () => {
    const topic = `room:${++topicNo}`;
    const ann = await enter(version, "longpoll", topic, "ann");
    const bob = await enter(version, "websocket", topic, "bob");
    await is(ann, "ann1 bob1");
    bob.socket.reconnectTimer.reset();
    bob.socket.disconnect = (done) => done?.();
    bob.socket.connect = () => {};
    await server.sidecar.kill();
    assert.equal(ann.here(), "ann1 bob1");
    await is(ann, "ann1", 2 * LEASE);
    await server.startSidecar();
  });

  test("a gateway killed and started again makes nobody leave", async () => {
    const topic = `room:${++topicNo}`;
    const ann = await enter(version, "websocket", topic, "ann");
    const params = { client_id: "0123456789abcdefghijklmnop" };
    await enter(version, "longpoll", topic, "bob", { params });
    await is(ann, "ann1 bob1");
    await server.gateways[0].kill();
    await server.startGateway(0);
    await sleep(2 * LEASE); // bob comes back with a new session
    assert.equal(ann.here(), "ann1 bob1");
    assert.deepEqual(ann.log, ["+ann", "+bob"]);
  });
});

// www/holdfast.js against the real programs: keys, heads, bytes, presence and what
// is left of them when a program is killed or the transport changes.
import { after, afterEach, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import WebSocket from "ws";
import { LongPoll, Presence, REASONS, Socket } from "../../www/holdfast.js";
import { clients, connect as connectTheirs, disconnectAll, answer } from "./lib/phoenix.js";
import { Server, sleep, told, until } from "./lib/server.js";

const TRANSPORTS = ["websocket", "longpoll"];
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

let server;
let topicNo = 0;
const sockets = [];

before(async () => {
  server = await Server.start({
    allow: [["room:*", "join,publish,presence"]],
    // less at once than a page here pushes
    conf: { http: { lease: "4s", push_rate: 50, push_burst: 30 } },
  });
});
after(() => server?.stop());
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.disconnect();
  await disconnectAll();
});

const test = (name, body) => it(name, told(() => server, body));

// A page: its channel, what it hears and why its channel changed.
async function visit(topic, options, params) {
  const socket = new Socket(server.endpoint, { WebSocket, ...options });
  const channel = socket.channel(topic, params);
  const presence = new Presence(channel);
  const page = { socket, channel, presence, heard: [], reasons: [], errors: [] };
  sockets.push(socket);
  socket.logger = (kind, _text, reason) => kind === "channel" && page.reasons.push(reason?.number);
  channel.on("n", ({ n }) => page.heard.push(n));
  channel.onError((reason) => page.errors.push(reason));
  socket.connect();
  channel.join();
  await until(10000, "the page has joined", () => channel.state === "joined");
  return page;
}

const statusOf = (push) =>
  new Promise((done) => {
    for (const status of ["ok", "error", "timeout"])
      push.receive(status, (response) => done([status, response]));
  });

const numbersOf = async (topic) => {
  const rows = await server.sql(
    `SELECT json_extract(payload, '$.n') AS n FROM messages WHERE topic = '${topic}' AND event = 'n' ORDER BY id`,
  );
  return rows.map(({ n }) => n);
};

for (const transport of TRANSPORTS) {
  describe(`the client over ${transport}`, () => {
    const program = () => (transport === "websocket" ? server.sidecar : server.gateways[0]);
    const again = () => (transport === "websocket" ? server.startSidecar() : server.startGateway(0));

    test("says each push once, whatever is killed meanwhile", async () => {
      const topic = `room:${++topicNo}`;
      const { channel, heard } = await visit(topic, { transport, timeout: 40000 });
      const answers = [];
      for (let n = 1; n <= 60; n++) {
        answers.push(statusOf(channel.push("n", { n })));
        if (n % 20 === 10) {
          await sleep(n % 3); // some have been answered, some have not, some were not sent
          await program().kill();
          await again();
        }
        await sleep(5);
      }
      for (const [status, { cursor }] of await Promise.all(answers)) {
        assert.equal(status, "ok");
        assert.match(cursor, /^j:/);
      }
      assert.deepEqual(await numbersOf(topic), range(1, 60));
      await until(5000, "all is heard", () => heard.length >= 60);
      assert.deepEqual(heard, range(1, 60));
    });

    test("keeps the order of pushes that the server refuses for their rate", async () => {
      const topic = `room:${++topicNo}`;
      const { channel, heard } = await visit(topic, { transport });
      const answers = [];
      for (let n = 1; n <= 100; n++) {
        answers.push(statusOf(channel.push("n", { n }, 60000)));
        if (n % 7 === 0) await sleep(n % 4); // some in one turn, some while others are under way
      }
      for (const [status, response] of await Promise.all(answers))
        assert.equal(status, "ok", JSON.stringify(response));
      assert.deepEqual(await numbersOf(topic), range(1, 100));
      await until(5000, "all is heard", () => heard.length >= 100);
      assert.deepEqual(heard, range(1, 100));
    });

    test("notices nothing where nothing is lost, and what is lost", async () => {
      const topic = `room:${++topicNo}`;
      let losing = false;
      // what is on the way to the page: rows may get lost, answers do not
      const Lossy = class extends WebSocket {
        set onmessage(callback) {
          super.onmessage = (event) =>
            losing && /"j:/.test(event.data) && !/"heads"/.test(event.data) ? null : callback(event);
        }
      };
      const page = await visit(topic, { transport, WebSocket: Lossy, heartbeatIntervalMs: 300 });
      for (const n of range(1, 60)) {
        page.channel.push("n", { n });
        await sleep(20);
      }
      await until(5000, "all is heard", () => page.heard.length === 60);
      assert.ok(!page.reasons.includes(REASONS.loss.number));
      if (transport === "longpoll") return; // whose answers are sent again until they are there
      losing = true;
      await server.publish(topic, "n", { n: 61 });
      await until(5000, "the loss is noticed", () => page.reasons.includes(REASONS.loss.number));
      losing = false;
      await until(5000, "what was lost is there", () => page.heard.length === 61);
      assert.deepEqual(page.errors, []);
    });

    test("passes bytes on, to and from anybody", async () => {
      const topic = `room:${++topicNo}`;
      const bytes = Uint8Array.from(range(0, 255));
      const { channel } = await visit(topic, { transport });
      const other = await visit(topic, { transport: TRANSPORTS.find((name) => name !== transport) });
      const theirs = connectTheirs("1.8.16", transport, server.endpoint).channel(topic);
      const heard = { ours: [], others: [], theirs: [] };
      channel.on("bytes", (payload) => heard.ours.push(payload));
      other.channel.on("bytes", (payload) => heard.others.push(payload));
      theirs.on("bytes", (payload) => heard.theirs.push(payload));
      await answer(theirs.join());
      const [status] = await statusOf(channel.push("bytes", bytes.buffer));
      assert.equal(status, "ok");
      theirs.push("bytes", bytes.buffer);
      await server.sql(`INSERT INTO messages(topic, event, payload, kind) VALUES ('${topic}', 'bytes', X'ff00', 1)`);
      await until(5000, "all have all", () => Object.values(heard).every(({ length }) => length === 3));
      const plain = (payload) =>
        payload instanceof ArrayBuffer ? [...new Uint8Array(payload)] : [...Buffer.from(payload._binary, "base64")];
      const wanted = [[...bytes], [...bytes], [255, 0]];
      for (const payloads of [heard.ours, heard.others]) {
        assert.ok(payloads.every((payload) => payload instanceof ArrayBuffer));
        assert.deepEqual(payloads.map(plain).sort(), wanted.sort());
      }
      assert.deepEqual(heard.theirs.map(plain).sort(), wanted.sort());
      const kinds = await server.sql(`SELECT DISTINCT kind FROM messages WHERE topic = '${topic}' AND event = 'bytes'`);
      assert.deepEqual(kinds, [{ kind: 1 }]);
    });
  });
}

describe("who is present", () => {
  async function watch(topic) {
    const channel = connectTheirs("1.8.16", "websocket", server.endpoint).channel(topic);
    const presence = new clients["1.8.16"].Presence(channel);
    const log = [];
    presence.onJoin((key, before) => log.push(`${before ? "~" : "+"}${key}`));
    presence.onLeave((key, { metas }) => log.push(`${metas.length ? "~" : "-"}${key}`));
    await answer(channel.join());
    return { log, here: () => presence.list((key) => key).sort().join(" ") };
  }
  const params = { presence: { key: "ann", meta: { from: "here" } } };

  test("does not leave by a change of transport, in either direction", async () => {
    const topic = `room:${++topicNo}`;
    const { log, here } = await watch(topic);
    const { socket, presence } = await visit(topic, {}, params);
    await until(5000, "others see the page", () => here() === "ann");
    for (const name of [LongPoll, "websocket", LongPoll]) {
      socket.replaceTransport(name);
      await until(10000, `it came to ${name}`, () => socket.transportName === name);
      await sleep(500);
    }
    await sleep(5000); // longer than the lease of what it left behind
    assert.deepEqual(log, ["+ann"]);
    assert.equal(presence.list((key) => key).join(), "ann");
    socket.disconnect();
    await until(2000, "others see it go at once", () => here() === "");
    assert.deepEqual(log, ["+ann", "-ann"]);
  });

  test("does not leave when a program is killed, and is seen by all of its kind", async () => {
    const topic = `room:${++topicNo}`;
    const { presence } = await visit(topic, { transport: "longpoll" }, params);
    const log = [];
    presence.onJoin((key) => log.push(`+${key}`));
    presence.onLeave((key, { metas }) => metas.length || log.push(`-${key}`));
    const bob = await visit(topic, { transport: "websocket" }, { presence: { key: "bob", meta: {} } });
    await until(5000, "both are there", () => presence.list().length === 2);
    await server.sidecar.kill();
    await server.startSidecar();
    await until(10000, "bob is back", () => bob.channel.state === "joined");
    await sleep(5000);
    assert.deepEqual(log.filter((entry) => entry.startsWith("-")), []);
    assert.equal(presence.list().length, 2);
    bob.channel.leave();
    await until(2000, "bob has gone", () => presence.list().length === 1);
  });
});

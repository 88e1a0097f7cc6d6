// Bytes as payload, messages as objects and the binary frames of realtime-js,
// with the clients that send them, through the real programs.
import { after, afterEach, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { RealtimeClient } from "@supabase/realtime-js";
import {
  answer,
  can,
  connect,
  disconnectAll,
  hear,
  hears,
  uncaught,
  versions,
  WebSocket,
} from "./lib/phoenix.js";
import { Server, told, until, within } from "./lib/server.js";

let server;
const realtime = new Set();

before(async () => {
  server = await Server.start({
    allow: [
      ["room:*", "join,publish"],
      ["realtime:*", "join,publish"],
    ],
  });
});
after(() => server?.stop());
afterEach(async () => {
  for (const client of realtime) client.disconnect();
  realtime.clear();
  await disconnectAll();
});

const test = (name, body) =>
  it(
    name,
    told(() => server, body),
  );

const BYTES = [0xff, 0, 1, 0x5b, 0x80];
const AS_JSON = { _binary: Buffer.from(BYTES).toString("base64") };
const buffer = () => new Uint8Array(BYTES).buffer;
const seen = (payload) => (payload instanceof ArrayBuffer ? [...new Uint8Array(payload)] : payload);

async function joined(socket, topic, params = {}) {
  const channel = socket.channel(topic, params);
  assert.equal((await answer(channel.join())).status, "ok");
  return channel;
}

const sendsBytes = (version, transport) =>
  (transport === "longpoll" ? can.bytesByPoll : can.bytes)[version];

describe("bytes as payload", () => {
  for (const version of versions) {
    for (const transport of ["websocket", "longpoll"]) {
      if (!sendsBytes(version, transport)) continue; // the next tests
      test(`phoenix ${version} sends them over ${transport}, and each gets what it can`, async () => {
        const topic = `room:${version}-${transport}`;
        const a = await joined(connect(version, transport, server.endpoint), topic);
        const b = await joined(connect(version, "websocket", server.endpoint), topic);
        const c = await joined(connect(version, "longpoll", server.endpoint), topic);
        const d = await joined(connect(version, "websocket", server.endpoint), topic, {
          since: "",
        });
        const heard = [a, b, c, d].map((channel) => hear(channel, "say"));
        assert.deepEqual(await answer(a.push("say", buffer())), { status: "ok", response: {} });
        for (const each of heard) await hears(each, 1);
        assert.deepEqual(
          heard.map(([[, payload]]) => seen(payload)),
          [transport === "websocket" ? BYTES : AS_JSON, BYTES, AS_JSON, AS_JSON],
        );
        assert.match(heard[3][0][2], /^j:/); // what asked for cursors has one
        assert.equal(heard[1][0][2], null); // and there is none in a binary frame
      });
    }
  }

  // 1.5 and 1.6 post a frame as it is, as application/json.
  for (const version of versions.filter((v) => can.bytes[v] && !can.bytesByPoll[v])) {
    test(`phoenix ${version} cannot send them by long-poll, and starts anew`, async () => {
      const topic = `room:${version}-unable`;
      const socket = connect(version, "longpoll", server.endpoint);
      const a = await joined(socket, topic);
      const heard = hear(a, "say");
      const first = a.joinRef();
      assert.equal((await answer(a.push("say", buffer(), 1000))).status, "timeout");
      await until(8000, "it joined again", () => a.state === "joined" && a.joinRef() !== first);
      assert.equal((await answer(a.push("say", { n: 1 }))).status, "ok");
      await hears(heard, 1);
      assert.deepEqual(heard[0][1], { n: 1 });
    });
  }

  for (const version of versions.filter((v) => !can.bytes[v])) {
    test(`phoenix ${version} reads them as JSON only`, async () => {
      const topic = `room:${version}-reads`;
      const plain = await joined(connect(version, "websocket", server.endpoint), topic);
      const since = { since: "" };
      const resumes = await joined(connect(version, "websocket", server.endpoint), topic, since);
      const polls = await joined(connect(version, "longpoll", server.endpoint), topic);
      const heard = [plain, resumes, polls].map((channel) => hear(channel, "say"));
      const sender = await joined(connect("1.8.16", "websocket", server.endpoint), topic);
      assert.equal((await answer(sender.push("say", buffer()))).status, "ok");
      assert.equal((await answer(sender.push("say", { n: 2 }))).status, "ok");
      await hears(heard[0], 1);
      await hears(heard[1], 2);
      await hears(heard[2], 2);
      assert.deepEqual(
        heard.map((each) => each.map(([, payload]) => payload)),
        [[{ n: 2 }], [AS_JSON, { n: 2 }], [AS_JSON, { n: 2 }]],
      );
      // it takes a binary message for a text, throws, and goes on with the next
      assert.deepEqual(
        uncaught.splice(0).map(({ name }) => name),
        ["SyntaxError"],
      );
      // and what it pushes is an empty object
      assert.equal((await answer(plain.push("say", buffer()))).status, "ok");
      await hears(heard[2], 3);
      assert.deepEqual(heard[2][2][1], {});
    });
  }

  test("a row of kind 1 that a program inserted comes as them", async () => {
    const channel = await joined(connect("1.8.16", "websocket", server.endpoint), "room:rows");
    const heard = hear(channel, "say");
    server.sql(
      "INSERT INTO messages (topic, event, payload, kind) " +
        "VALUES ('room:rows', 'say', x'ff00015b80', 1)",
    );
    await hears(heard, 1);
    assert.deepEqual(seen(heard[0][1]), BYTES);
  });
});

// --- version 1 ---------------------------------------------------------------

function object(topic, event, payload, ref, more = {}) {
  return JSON.stringify({ topic, event, payload, ref, ...more });
}
const okay = (topic, ref) => ({
  topic,
  event: "phx_reply",
  payload: { status: "ok", response: {} },
  ref,
});

describe("messages as objects", () => {
  for (const query of ["", "?vsn=1.0.0", "?vsn=1.0.7"]) {
    test(`are served over WebSocket to '${query}'`, async () => {
      const topic = `room:v1${query.length}`;
      const ws = new WebSocket(`${server.endpoint}/websocket${query}`);
      const got = [];
      ws.on("message", (data) => got.push(JSON.parse(data)));
      await within(8000, "it is open", new Promise((done) => ws.once("open", done)));
      const other = await joined(connect("1.8.16", "longpoll", server.endpoint), topic);
      const heard = hear(other, "say");
      ws.send(object(topic, "phx_join", {}, "1", { join_ref: "1" }));
      ws.send(object(topic, "say", { n: 1 }, "2", { join_ref: "1" }));
      ws.send(object("phoenix", "heartbeat", {}, "3"));
      await hears(heard, 1);
      assert.deepEqual(heard[0], ["say", { n: 1 }, null]);
      await until(8000, "four messages", () => got.length >= 4);
      assert.deepEqual(
        got.filter(({ ref }) => ref !== "3"),
        [okay(topic, "1"), { topic, event: "say", payload: { n: 1 }, ref: null }, okay(topic, "2")],
      );
      assert.deepEqual(
        got.find(({ ref }) => ref === "3"),
        okay("phoenix", "3"),
      );
      const closed = new Promise((done) => ws.once("close", done));
      ws.send('["1","4","room:x","phx_join",{}]');
      assert.equal(await within(8000, "it is closed", closed), 1011);
    });
  }

  test("are served by long-poll, singly and in lines", async () => {
    const topic = "room:v1-longpoll";
    const url = `${server.endpoint.replace(/^ws/, "http")}/longpoll?vsn=1.0.0`;
    let token = "";
    const got = [];
    const ask = async (options) => {
      const response = await fetch(`${url}&token=${token}`, options);
      return response.json();
    };
    const poll = async () => {
      const body = await ask();
      token = body.token;
      got.push(...body.messages.map((text) => JSON.parse(text)));
    };
    await poll();
    const post = (type, body) => ask({ method: "POST", headers: { "content-type": type }, body });
    assert.deepEqual(await post("application/json", object(topic, "phx_join", {}, "1")), {
      status: 200,
    });
    const lines = [2, 3].map((n) => object(topic, "say", { n }, `${n}`));
    assert.deepEqual(await post("application/x-ndjson; charset=utf-8", `${lines.join("\n")}\n\n`), {
      status: 200,
    });
    await until(8000, "five messages", async () => {
      await poll();
      return got.length >= 5;
    });
    assert.deepEqual(got, [
      okay(topic, "1"),
      ...[2, 3].flatMap((n) => [
        { topic, event: "say", payload: { n }, ref: null },
        okay(topic, `${n}`),
      ]),
    ]);
    assert.deepEqual(await post("application/x-ndjson", '["1","4","t","phx_join",{}]'), {
      status: 400,
    });
  });
});

// --- realtime-js ---------------------------------------------------------------

async function subscribed(name, vsn) {
  const client = new RealtimeClient(server.endpoint.replace(/^http/, "ws"), {
    params: { apikey: "any" },
    transport: WebSocket,
    vsn,
  });
  realtime.add(client);
  const channel = client.channel(name, { config: { broadcast: { self: true, ack: true } } });
  const heard = [];
  channel.on("broadcast", { event: "*" }, (message) => heard.push(message));
  await within(
    8000,
    "it is subscribed",
    new Promise((done) => channel.subscribe((status) => status === "SUBSCRIBED" && done())),
  );
  return { channel, heard };
}

describe("realtime-js", () => {
  for (const vsn of ["2.0.0", "1.0.0"]) {
    test(`broadcasts with serializer ${vsn}`, async () => {
      const a = await subscribed(`json-${vsn}`, vsn);
      const b = await subscribed(`json-${vsn}`, vsn);
      const phoenix = await joined(
        connect("1.8.16", "longpoll", server.endpoint),
        `realtime:json-${vsn}`,
      );
      const heard = hear(phoenix, "broadcast");
      assert.equal(
        await a.channel.send({ type: "broadcast", event: "shout", payload: { i: 1 } }),
        "ok",
      );
      const message = { type: "broadcast", event: "shout", payload: { i: 1 } };
      await hears(a.heard, 1);
      await hears(b.heard, 1);
      await hears(heard, 1);
      assert.deepEqual(a.heard, [message]);
      assert.deepEqual(b.heard, [message]);
      assert.deepEqual(heard[0][1], message);
    });
  }

  test("broadcasts bytes and gets them back", async () => {
    const a = await subscribed("bytes", "2.0.0");
    const b = await subscribed("bytes", "2.0.0");
    const phoenix = await joined(
      connect("1.8.16", "websocket", server.endpoint),
      "realtime:bytes",
    );
    const heard = hear(phoenix, "broadcast");
    assert.equal(
      await a.channel.send({ type: "broadcast", event: "shout", payload: buffer() }),
      "ok",
    );
    for (const each of [a, b]) {
      await hears(each.heard, 1);
      assert.equal(each.heard[0].event, "shout");
      assert.deepEqual(seen(each.heard[0].payload), BYTES);
    }
    await hears(heard, 1);
    assert.deepEqual(heard[0][1], { type: "broadcast", event: "shout", payload: AS_JSON });
    // and what phoenix pushes as bytes is a broadcast of its event
    assert.equal((await answer(phoenix.push("say", buffer()))).status, "ok");
    await hears(b.heard, 2);
    assert.equal(b.heard[1].event, "say");
    assert.deepEqual(seen(b.heard[1].payload), BYTES);
  });
});

// The npm clients, unmodified, through a real lighttpd, on both transports.
import { after, afterEach, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import {
  answer,
  can,
  connect,
  disconnectAll,
  hear,
  hears,
  resuming,
  transports,
  versions,
} from "./lib/phoenix.js";
import { publishForeign } from "./lib/publishers.js";
import { Server, sleep, told, until, within } from "./lib/server.js";

let server;

before(async () => {
  server = await Server.start({
    allow: [
      ["room:*", "join,publish"],
      ["news:*", "join"],
      ["closed:*", "publish"],
      ["quiet:*", "join,publish", "off"],
    ],
  });
});
after(() => server?.stop());
afterEach(disconnectAll);

const test = (name, body) =>
  it(
    name,
    told(() => server, body),
  );

const opened = (socket) =>
  within(8000, "the socket is open", new Promise((done) => socket.onOpen(done)));

for (const version of versions) {
  for (const transport of transports) {
    describe(`phoenix ${version} over ${transport}`, () => {
      let topicNo = 0;
      const topic = (prefix = "room") => `${prefix}:${version}-${transport}-${++topicNo}`;
      const socketOf = (options) => connect(version, transport, server.endpoint, options);

      const joined = async (where, socket = socketOf(), params = {}) => {
        const channel = socket.channel(where, params);
        assert.equal((await answer(channel.join())).status, "ok");
        return channel;
      };

      test("joins with an empty answer", async () => {
        const channel = socketOf().channel(topic(), {});
        assert.deepEqual(await answer(channel.join()), { status: "ok", response: {} });
        assert.equal(channel.state, "joined");
      });

      test("gets its own message and an ok for a push", async () => {
        const channel = await joined(topic());
        const heard = hear(channel, "say");
        assert.deepEqual(
          await answer(channel.push("say", { text: 'Zoë ☃ 😀 \u0000 \u2028 "q" \\ /' })),
          {
            status: "ok",
            response: {},
          },
        );
        await hears(heard, 1);
        assert.deepEqual(heard[0], ["say", { text: 'Zoë ☃ 😀 \u0000 \u2028 "q" \\ /' }, null]);
      });

      test("does not get its own message where the policy says echo = off", async () => {
        const where = topic("quiet");
        const [mine, other] = await Promise.all([joined(where), joined(where)]);
        const [heardMine, heardOther] = [hear(mine, "say"), hear(other, "say")];
        assert.equal((await answer(mine.push("say", { n: 1 }))).status, "ok");
        await hears(heardOther, 1);
        assert.equal((await answer(other.push("say", { n: 2 }))).status, "ok");
        await hears(heardMine, 1);
        assert.deepEqual(
          heardMine.map(([, payload]) => payload.n),
          [2],
        );
        assert.deepEqual(
          heardOther.map(([, payload]) => payload.n),
          [1],
        );
      });

      test("gives two clients the same messages in the same order", async () => {
        const where = topic();
        const [a, b] = await Promise.all([joined(where), joined(where)]);
        const [heardA, heardB] = [hear(a, "say"), hear(b, "say")];
        const answers = [];
        for (let n = 1; n <= 20; n++) {
          const both = [a, b].map((channel, i) => answer(channel.push("say", { from: "ab"[i], n })));
          answers.push(...both);
          // without ndjson each push is a POST of its own, and they race
          if (transport === "longpoll" && !can.ndjson[version]) await Promise.all(both);
        }
        for (const { status } of await Promise.all(answers)) assert.equal(status, "ok");
        await hears(heardA, 40);
        await hears(heardB, 40);
        assert.deepEqual(heardA, heardB);
        for (const from of ["a", "b"]) {
          const order = heardA
            .filter(([, payload]) => payload.from === from)
            .map(([, payload]) => payload.n);
          assert.deepEqual(
            order,
            Array.from({ length: 20 }, (_, i) => i + 1),
          );
        }
      });

      test("gets what the server publishes", async () => {
        const where = topic("news");
        const channel = await joined(where);
        const heard = hear(channel, "tick");
        await server.publish(where, "tick", { i: 1 });
        await server.publish(where, "tick", '{"i":12345678901234567890123}');
        await hears(heard, 2);
        assert.deepEqual(
          heard.map(([, payload]) => payload),
          [{ i: 1 }, { i: 12345678901234567890123 }],
        );
      });

      test("hears nothing more after it left", async () => {
        const where = topic();
        const socket = socketOf();
        const channel = await joined(where, socket);
        const heard = hear(channel, "tick");
        const frames = [];
        socket.onMessage((message) => frames.push(message));
        const closed = new Promise((done) => channel.onClose(done));
        assert.equal((await answer(channel.leave())).status, "ok");
        await within(5000, "the channel is closed", closed);
        await until(5000, "the server's answer to the leave", () =>
          frames.some((f) => f.event === "phx_close"),
        );
        assert.deepEqual(
          frames.map((f) => f.event),
          ["phx_reply", "phx_close"],
        );
        await server.publish(where, "tick", {});
        const other = await joined(topic(), socket);
        assert.equal((await answer(other.push("say", {}))).status, "ok");
        assert.equal(heard.length, 0);
        assert.ok(!frames.some((f) => f.topic === where && f.event === "tick"));
      });

      test("has its heartbeats answered, before and after a join", async () => {
        const socket = socketOf({ heartbeatIntervalMs: 150 });
        const beats = [];
        const drops = [];
        await opened(socket);
        socket.onMessage((m) => m.topic === "phoenix" && beats.push(m));
        socket.onClose((event) => drops.push(event));
        // what ping() does, where there is none
        const beat = () => {
          const ref = socket.makeRef();
          socket.push({ topic: "phoenix", event: "heartbeat", payload: {}, ref });
          return until(5000, "a heartbeat is answered", () => beats.some((b) => b.ref === ref));
        };
        assert.equal(typeof socket.ping === "function", can.ping[version]);
        const ping = () =>
          can.ping[version]
            ? within(5000, "a ping is answered", new Promise((done) => socket.ping(done)))
            : beat();
        await ping();
        await joined(topic(), socket);
        await ping();
        // only a WebSocket has a heartbeat of its own (long-poll: skipHeartbeat)
        if (transport === "websocket") await until(5000, "five beats", () => beats.length >= 5);
        assert.equal(drops.length, 0);
        for (const beat of beats) {
          assert.equal(beat.event, "phx_reply");
          assert.equal(beat.join_ref, null);
          assert.deepEqual(beat.payload, { status: "ok", response: {} });
        }
      });

      test("answers a second join first, then closes the first", async () => {
        const where = topic();
        const socket = socketOf();
        const channel = await joined(where, socket);
        const first = channel.joinRef();
        const frames = [];
        socket.onMessage((m) => m.topic === where && frames.push(m));
        const second = socket.makeRef();
        socket.push({
          topic: where,
          event: "phx_join",
          payload: {},
          ref: second,
          join_ref: second,
        });
        await until(5000, "two frames", () => frames.length >= 2);
        assert.deepEqual(
          frames.map(({ join_ref, ref, event }) => [join_ref, ref, event]),
          [
            [second, second, "phx_reply"],
            [first, first, "phx_close"],
          ],
        );
      });

      test("replaces a channel by a second one of the same topic", async () => {
        const where = topic();
        const socket = socketOf();
        await joined(where, socket);
        const again = await joined(where, socket); // the client leaves the first by itself
        const heard = hear(again, "say");
        assert.equal((await answer(again.push("say", { n: 1 }))).status, "ok");
        await hears(heard, 1);
        await sleep(150);
        assert.equal(heard.length, 1);
      });

      test("is told that a topic is unmatched, or not for it", async () => {
        const socket = socketOf();
        const join = (where) => answer(socket.channel(where, {}).join());
        assert.deepEqual(await join("nowhere:a"), {
          status: "error",
          response: { reason: "unmatched topic" },
        });
        assert.deepEqual(await join(topic("closed")), {
          status: "error",
          response: { reason: "unauthorized" },
        });
        for (const reserved of ["phoenix", "user_socket:1", "holdfast:x"]) {
          assert.equal((await join(reserved)).status, "error");
        }
        const readable = await joined(topic("news"), socket);
        assert.deepEqual(await answer(readable.push("say", {})), {
          status: "error",
          response: { reason: "unauthorized" },
        });
      });

      test("may not push what is reserved", async () => {
        const channel = await joined(topic());
        const heard = hear(channel, "chan_reply_1", "presence_diff", "disconnect");
        for (const event of ["chan_reply_1", "presence_diff", "disconnect"]) {
          assert.equal((await answer(channel.push(event, {}))).status, "error", event);
        }
        assert.equal((await answer(channel.push("say", {}))).status, "ok");
        assert.equal(heard.length, 0);
      });
    });
  }
}

// All of them at once, so that one kill does for all.
const everyone = versions.flatMap((version) =>
  transports.map((transport) => ({ version, transport, name: `${version} over ${transport}` })),
);

test("every version loses and doubles nothing while gateway and side-car are killed", async () => {
  const where = "room:killed";
  const count = 150;
  const all = everyone.map(({ version, transport, name }) => ({
    name,
    ...resuming(connect(version, transport, server.endpoint), where),
  }));
  for (const { joined } of all) assert.equal((await joined).status, "ok");

  const publishing = publishForeign("PHP, SQLite3 class", server, {
    topic: where,
    name: "p",
    count,
    pause: 10,
  });
  for (const { notes } of all) await hears(notes, 20);
  await Promise.all([server.gateways[0].kill(), server.sidecar.kill()]);
  await sleep(300);
  await Promise.all([server.startGateway(0), server.startSidecar()]);
  const rows = await publishing;
  for (const { notes } of all) await hears(notes, count, 20000);
  await sleep(300);

  for (const { name, notes, state, channel } of all) {
    assert.ok(state.cursors.length >= 2, `${name} joined again`);
    assert.deepEqual(state.gaps, [], name);
    assert.deepEqual(
      notes.map(([{ uid }]) => uid),
      rows.map(({ uid }) => uid),
      name,
    );
    assert.deepEqual(
      notes.map(([, ref]) => Number(ref.split(".")[1])),
      rows.map(({ id }) => id),
      name,
    );
    assert.equal((await answer(channel.push("say", {}))).status, "ok", name);
  }
});

test("every version joins again after a kill without asking for anything", async () => {
  const where = "room:killed-plain";
  const all = everyone.map(({ version, transport, name }) => {
    const channel = connect(version, transport, server.endpoint).channel(where, {});
    return { name, channel, heard: hear(channel, "tick"), joined: answer(channel.join()) };
  });
  for (const { joined } of all) assert.equal((await joined).status, "ok");
  await Promise.all([server.gateways[0].kill(), server.sidecar.kill()]);
  await Promise.all([server.startGateway(0), server.startSidecar()]);
  // A killed long-poll gateway may go unnoticed: nothing it knew is lost.
  await until(
    20000,
    "all are back",
    async () => {
      await server.publish(where, "tick", {});
      return all.every(({ heard }) => heard.length > 0);
    },
    200,
  );
  for (const { name, channel } of all) {
    assert.equal((await answer(channel.push("say", {}))).status, "ok", name);
  }
});

// The client moves to long-poll by itself when the side-car is gone for good:
// that costs latency, never a message. Versions that cannot come back when the
// side-car does.
test("versions with fallback go to long-poll, others wait, and none misses anything", async () => {
  const where = "room:fallback";
  const count = 120;
  const forgetful = { getItem: () => null, setItem: () => {} };
  // after a restart lighttpd takes up to a second to try a backend again
  await until(5000, "the web server has found the side-car", async () => {
    const { status } = await server.request({ path: "/socket/websocket?vsn=2.0.0" });
    return status === 400; // a plain GET
  });
  const options = { longPollFallbackMs: 1000, sessionStorage: forgetful };
  const all = versions.map((version) => {
    const socket = connect(version, "websocket", server.endpoint, options);
    return { version, socket, before: socket.transport, ...resuming(socket, where) };
  });
  for (const { joined } of all) assert.equal((await joined).status, "ok");
  const what = { topic: where, name: "p", count, pause: 10 };
  const publishing = publishForeign("Python, sqlite3", server, what);
  const heardAll = async (them, rows) => {
    for (const { version, notes, state, channel } of them) {
      await hears(notes, count, 20000);
      assert.deepEqual(
        notes.map(([{ uid }]) => uid),
        rows.map(({ uid }) => uid),
        version,
      );
      assert.deepEqual(state.gaps, [], version);
      assert.equal((await answer(channel.push("say", {}))).status, "ok", version);
    }
  };
  const [movers, waiters] = [true, false].map((moves) =>
    all.filter(({ version }) => can.fallback[version] === moves),
  );
  let rows;
  try {
    for (const { notes } of all) await hears(notes, 20);
    await server.sidecar.kill();
    rows = await publishing;
    await heardAll(movers, rows);
    for (const { version, socket, before } of movers) {
      assert.notEqual(socket.transport, before, `${version} is on long-poll now`);
    }
    for (const { version, notes } of waiters) assert.ok(notes.length < count, version);
  } finally {
    await server.startSidecar();
  }
  await heardAll(waiters, rows);
  for (const { version, socket, before } of waiters) assert.equal(socket.transport, before, version);
});

// The others know nothing but XMLHttpRequest.
for (const version of versions.filter((v) => can.fetch[v])) {
  test(`phoenix ${version} polls with fetch where there is no XMLHttpRequest`, async () => {
    const { XMLHttpRequest } = globalThis;
    delete globalThis.XMLHttpRequest;
    try {
      const channel = connect(version, "longpoll", server.endpoint).channel("room:fetch", {});
      const heard = hear(channel, "say");
      assert.equal((await answer(channel.join())).status, "ok");
      assert.equal((await answer(channel.push("say", { n: 1 }))).status, "ok");
      await hears(heard, 1);
      assert.equal((await answer(channel.leave())).status, "ok");
      await disconnectAll();
    } finally {
      globalThis.XMLHttpRequest = XMLHttpRequest;
    }
  });
}

// One order for everybody: WebSocket and long-poll, whoever published, whatever
// was killed. What the clients saw is read by the checker of tests/model.
import { after, afterEach, before, it } from "node:test";
import assert from "node:assert/strict";
import WebSocket from "ws";
import { connect, disconnectAll } from "./lib/phoenix.js";
import { Poller } from "./lib/poll.js";
import { foreign, publishForeign, publishLines } from "./lib/publishers.js";
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
  server = await Server.start();
});
after(() => server?.stop());
afterEach(disconnectAll);

const COUNT = 60; // of each publisher
const KINDS = Object.keys(foreign);
const TOTAL = COUNT * (KINDS.length + 2);

// Five foreign publishers, the command line, and a client's pushes; at once.
function publishAll(topic, pusher, pause) {
  const work = KINDS.map((kind, i) =>
    publishForeign(kind, server, { topic, name: `f${i}`, count: COUNT, pause }),
  );
  work.push(publishLines(server, { topic, name: "cli", count: COUNT }));
  for (let i = 1; i <= COUNT; i++) pusher.push("note", { uid: `push-${i}` });
  return Promise.all(work).then((lists) => lists.flat());
}

async function follow(trace, topic, who) {
  const following = {};
  for (const [name, [version, transport, options]] of Object.entries(who)) {
    following[name] = trace.follow(
      name,
      connect(version, transport, server.endpoint, options),
      topic,
    );
  }
  for (const [name, { joined }] of Object.entries(following)) {
    assert.equal((await joined).status, "ok", name);
  }
  return following;
}

const arrived = (following, ms) =>
  until(ms, `${TOTAL} messages at each client`, () => {
    const counts = Object.entries(following).map(([name, { heard }]) => `${name}: ${heard.length}`);
    if (Object.values(following).every(({ heard }) => heard.length >= TOTAL)) return true;
    throw new Error(counts.join(", "));
  });

const uids = ({ heard }) => heard.map(([, { uid }]) => uid);

test("gives both transports the same order, each message once", async () => {
  const topic = "room:order";
  const trace = new Trace();
  const following = await follow(trace, topic, {
    "ws-1.8": ["1.8.16", "websocket"],
    "lp-1.8": ["1.8.16", "longpoll"],
    "ws-1.7": ["1.7.23", "websocket"],
    "lp-1.7": ["1.7.23", "longpoll"],
  });
  trace.acked(await publishAll(topic, following["ws-1.8"].channel, 5));
  await arrived(following, 30000);
  await sleep(300);

  assert.deepEqual(await check(await trace.lines(server, topic)), []);
  const [first, ...others] = Object.values(following).map(uids);
  assert.equal(first.length, TOTAL);
  assert.equal(new Set(first).size, TOTAL);
  for (const other of others) assert.deepEqual(other, first);
});

test("keeps it while gateway and side-car are killed twice", async () => {
  const topic = "room:killed";
  const trace = new Trace();
  const following = await follow(trace, topic, {
    "ws-1.8": ["1.8.16", "websocket"],
    "lp-1.8": ["1.8.16", "longpoll"],
    "lp-1.7": ["1.7.23", "longpoll"],
  });
  // A push under way at a kill has an unknown outcome, and stock clients do not
  // repeat it: this pusher's connection is of its own, and calm.
  const pusher = connect("1.8.16", "longpoll", server.endpoint).channel(topic, {});
  pusher.join();
  let published = false;
  const publishing = publishAll(topic, pusher, 200).finally(() => (published = true));
  for (const [times, share] of [
    [1, 0.35],
    [2, 0.6],
  ]) {
    await until(
      30000,
      `${share} of the messages`,
      () => following["ws-1.8"].heard.length > TOTAL * share,
    );
    assert.equal(published, false, "there is more to come");
    await Promise.all([server.gateways[0].kill(), server.sidecar.kill()]);
    await sleep(150);
    await Promise.all([server.startGateway(0), server.startSidecar()]);
    await until(20000, "all are back", () =>
      Object.values(following).every(({ joins }) => joins() > times),
    );
  }
  assert.equal(published, false, "there is more to come after the last kill");
  trace.acked(await publishing);
  await arrived(following, 30000);
  await sleep(300);
  assert.deepEqual(await check(await trace.lines(server, topic)), []);
});

// Raw clients, to see every frame.
const parse = ({ data }) => JSON.parse(data.toString());

async function joinWs(where, since, joinRef = "1") {
  const ws = await RawWs.open({ port: server.port });
  ws.text(JSON.stringify([joinRef, joinRef, where, "phx_join", { since }]));
  const [jr, ref, , event, { status, response }] = await ws.json();
  assert.deepEqual([jr, ref, event, status], [joinRef, joinRef, "phx_reply", "ok"]);
  return { ws, response };
}

const tickLines = (where, from, to) => {
  const lines = [];
  for (let i = from; i <= to; i++)
    lines.push(JSON.stringify({ topic: where, event: "tick", payload: { i } }));
  return { input: `${lines.join("\n")}\n` };
};

test("replays thousands of rows to a WebSocket between the reply and the first live one", async () => {
  const where = "room:replay";
  const first = await joinWs(where, "");
  assert.equal(first.response.recovered, false);
  first.ws.destroy();
  await server.holdfast("publish", tickLines(where, 1, 3000));
  const { ws, response } = await joinWs(where, first.response.cursor, "9");
  assert.deepEqual(response, { cursor: first.response.cursor, recovered: true });
  await server.holdfast("publish", tickLines(where, 3001, 3100));
  let last = parseCursor(response.cursor);
  for (let i = 1; i <= 3100; i++) {
    const [joinRef, cursor, , event, payload] = parse(await ws.inbox.next(5000, `row ${i}`));
    assert.deepEqual([joinRef, event, payload], ["9", "tick", { i }]);
    const at = parseCursor(cursor);
    assert.ok(at.id > last.id && at.epoch === last.epoch);
    last = at;
  }
  await ws.inbox.silence(200);
  ws.destroy();
});

test("lets a client go from one transport to the other and back with its cursor", async () => {
  const where = "room:moving";
  let { ws, response } = await joinWs(where, "");
  let { cursor } = response;
  const seen = [];
  const take = ([joinRef, ref, , event, payload]) => {
    assert.deepEqual([joinRef, event], ["1", "tick"]);
    seen.push(payload.i);
    cursor = ref;
  };
  const publish = (from, to) => server.holdfast("publish", tickLines(where, from, to));
  let next = 1;
  for (const via of ["ws", "lp", "ws", "lp", "lp", "ws", "ws"]) {
    await publish(next, next + 2); // missed: nobody is there
    const goal = next + 5;
    if (via === "ws") {
      ws.destroy();
      ({ ws, response } = await joinWs(where, cursor));
    } else {
      ws.destroy();
      const poller = await new Poller(server.port).open();
      response = await poller.join(where, { since: cursor });
      await publish(next + 3, goal);
      (await poller.until(1 + 6)).slice(1).forEach(take);
    }
    assert.equal(response.recovered, true);
    if (via === "ws") {
      await publish(next + 3, goal);
      while (seen.length < goal) take(await ws.json());
    }
    next = goal + 1;
  }
  ws.destroy();
  assert.deepEqual(
    seen,
    Array.from({ length: next - 1 }, (_, i) => i + 1),
  );
});

test("tells a WebSocket what it cannot resume", async () => {
  const where = "room:gap";
  const first = await joinWs(where, "");
  first.ws.destroy();
  const { cursor } = first.response;
  await server.holdfast("publish", tickLines(where, 1, 3));
  const [epoch, id] = cursor.split(".");
  for (const since of [`j:AAAAAAAAAAA.${id}`, `${epoch}.9007199254740990`]) {
    const { ws, response } = await joinWs(where, since);
    assert.deepEqual([response.gap, response.recovered], ["reset", false]);
    await ws.inbox.silence(100);
    ws.destroy();
  }
  await server.sql(
    `DELETE FROM messages WHERE topic = '${where}' AND json_extract(payload, '$.i') = 1`,
  );
  const { ws, response } = await joinWs(where, cursor);
  assert.deepEqual([response.gap, response.recovered], ["trimmed", false]);
  await ws.inbox.silence(100);
  ws.destroy();
});

test("joined twice over on a WebSocket, each row comes for the join it belongs to", async () => {
  // several times: the row published last meets the server in the middle of it
  for (let round = 1; round <= 8; round++) {
    const where = `room:twice-${round}`;
    const { ws, response } = await joinWs(where, "");
    await server.holdfast("publish", tickLines(where, 1, 2));
    ws.text(JSON.stringify(["2", "2", where, "phx_join", { since: response.cursor }]));
    await server.holdfast("publish", tickLines(where, 3, 3));
    const frames = [];
    const of = (ref) =>
      frames.filter(([joinRef]) => joinRef === ref).map(([, , , event, { i }]) => i ?? event);
    while (of("2").length < 4) frames.push(await ws.json(2000, `row 3 of round ${round}`));
    await ws.inbox.silence(50);
    assert.deepEqual(of("2"), ["phx_reply", 1, 2, 3]);
    const older = of("1"); // rows it had got before, then its close
    assert.deepEqual(older, [...[1, 2].slice(0, older.length - 1), "phx_close"]);
    ws.destroy();
  }
});

// A checker that never failed proves nothing: one frame lost, doubled or moved
// on the way to the client must show.
const SPOILT = {
  lost: { rule: "lost", spoil: (give, frame, nth) => nth === 30 || give(frame) },
  doubled: {
    rule: "twice-or-reordered",
    spoil: (give, frame, nth) => {
      give(frame);
      if (nth === 30) give(frame);
    },
  },
  moved: {
    rule: "twice-or-reordered",
    spoil: (give, frame, nth, state) => {
      if (nth === 30) {
        state.kept = frame;
        return;
      }
      give(frame);
      if (nth === 31) give(state.kept);
    },
  },
  "lost at the end": {
    rule: "not-delivered",
    spoil: (give, frame, nth, state) => nth >= state.last || give(frame),
  },
  forged: {
    rule: "phantom",
    spoil: (give, frame, nth) =>
      give(nth === 30 ? { data: frame.data.replace('"uid":"', '"uid":"x') } : frame),
  },
};

function spoilt(spoil, state) {
  let nth = 0;
  return class extends WebSocket {
    set onmessage(give) {
      super.onmessage = (frame) => {
        if (frame.data.includes('"note"')) spoil(give, frame, ++nth, state);
        else give(frame);
      };
    }
  };
}

for (const [what, { rule, spoil }] of Object.entries(SPOILT)) {
  test(`notices a frame that is ${what}`, async () => {
    const topic = `room:spoilt-${what.replaceAll(" ", "-")}`;
    const trace = new Trace();
    const Wire = spoilt(spoil, { last: 60 });
    const following = await follow(trace, topic, { bad: ["1.8.16", "websocket", { Wire }] });
    await publishLines(server, { topic, name: "cli", count: 60 });
    await until(10000, "the end", () => following.bad.heard.length >= 59);
    await sleep(100);
    const found = await check(await trace.lines(server, topic));
    assert.ok(
      found.some((line) => line.startsWith(`${rule} `)),
      `expected ${rule}, found ${JSON.stringify(found)}`,
    );
  });
}

// A long-poll session is rows and a signed token: whoever serves it, however
// often an answer is lost, the client gets every message once, in order.
import { after, before, it } from "node:test";
import assert from "node:assert/strict";
import { request } from "./lib/http.js";
import { Poller } from "./lib/poll.js";
import { Server, sleep, told } from "./lib/server.js";

let server;
let topicNo = 0;
const topic = () => `room:lp-${++topicNo}`;
const test = (name, body) =>
  it(
    name,
    told(() => server, body),
  );

before(async () => {
  server = await Server.start({ gateways: 2, sidecar: false, conf: { gateway: { hold: "2s" } } });
});
after(() => server?.stop());

const ticks = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => ({ i: from + i }));

async function publish(where, from, to) {
  for (const payload of ticks(from, to)) await server.publish(where, "tick", payload);
}

async function joined(where, params) {
  const poller = await new Poller(server.port).open();
  await poller.join(where, params);
  return poller;
}

test("gives the same messages to the same token", async () => {
  const where = topic();
  const poller = await joined(where);
  await publish(where, 1, 3);
  const first = await poller.peek();
  const second = await poller.peek();
  assert.equal(first.status, 200);
  assert.deepEqual(
    first.messages.map((m) => m[4]),
    ticks(1, 3),
  );
  assert.deepEqual(second.texts, first.texts);
});

test("gives at least the same messages, in the same places, when more have come since", async () => {
  const where = topic();
  const poller = await joined(where);
  await publish(where, 1, 2);
  const first = await poller.peek();
  await publish(where, 3, 4);
  const second = await poller.peek();
  assert.deepEqual(second.texts.slice(0, first.texts.length), first.texts);
  assert.deepEqual(
    second.messages.map((m) => m[4]),
    ticks(1, 4),
  );
});

test("repeats a reply that was lost", async () => {
  const where = topic();
  const poller = await new Poller(server.port).open();
  await poller.post([["1", "1", where, "phx_join", {}]]);
  const lost = await poller.peek();
  assert.deepEqual(lost.messages, [["1", "1", where, "phx_reply", { status: "ok", response: {} }]]);
  assert.deepEqual((await poller.get()).texts, lost.texts);
  await poller.post([["1", "2", where, "say", { n: 1 }]]);
  const said = await poller.peek();
  assert.deepEqual((await poller.get()).texts, said.texts);
  await poller.until(3);
  assert.deepEqual(poller.received.slice(1), [
    [null, null, where, "say", { n: 1 }],
    ["1", "2", where, "phx_reply", { status: "ok", response: {} }],
  ]);
});

test("repeats a reply from before the first join", async () => {
  const poller = await new Poller(server.port).open();
  await poller.post([[null, "1", "phoenix", "heartbeat", {}]]);
  const lost = await poller.peek();
  assert.deepEqual(lost.messages, [
    [null, "1", "phoenix", "phx_reply", { status: "ok", response: {} }],
  ]);
  assert.deepEqual((await poller.get()).texts, lost.texts);
  await poller.post([[null, "2", "phoenix", "heartbeat", {}]]);
  await poller.get();
  assert.deepEqual(
    poller.received.map((m) => m[1]),
    ["1", "2"],
  );
});

test("goes on from the token of the last answer received when later ones were lost", async () => {
  const where = topic();
  const poller = await joined(where);
  const kept = poller.token;
  await publish(where, 1, 2);
  const lost = await poller.peek();
  await publish(where, 3, 4);
  // somebody on the way polled on with the token of the lost answer
  const ahead = await poller.peek({ token: lost.token });
  assert.deepEqual(
    ahead.messages.map((m) => m[4]),
    ticks(3, 4),
  );
  // the client did not: it has only the older one
  poller.token = kept;
  await poller.get();
  assert.deepEqual(poller.payloads("tick"), ticks(1, 4));
});

test("does not consume what was written to a client that hung up", async () => {
  const where = topic();
  const poller = await joined(where);
  const hangUp = new AbortController();
  const waiting = poller.peek({ signal: hangUp.signal }).catch(() => "hung up");
  await sleep(200);
  hangUp.abort();
  assert.equal(await waiting, "hung up");
  await publish(where, 1, 1);
  await poller.get();
  assert.deepEqual(poller.payloads("tick"), ticks(1, 1));
});

test("is served by two gateways in turn", async () => {
  const where = topic();
  const poller = await new Poller(server.ports[0]).open();
  const other = () => (poller.port = server.ports.find((port) => port !== poller.port));
  other();
  await poller.join(where);
  for (let i = 1; i <= 12; i++) {
    other();
    if (i % 3 === 0) await poller.post([["1", `p${i}`, where, "tick", { i }]]);
    else await server.publish(where, "tick", { i });
    other();
    await poller.until(poller.received.length + 1);
  }
  assert.deepEqual(poller.payloads("tick"), ticks(1, 12));
});

test("wakes a poll held by one gateway for a push through the other", async () => {
  const where = topic();
  const [a, b] = [await joined(where), await joined(where)];
  b.port = server.ports[1];
  const held = a.get();
  await sleep(150);
  const start = performance.now();
  await b.post([["1", "2", where, "tick", { i: 1 }]]);
  await held;
  assert.deepEqual(a.payloads("tick"), ticks(1, 1));
  assert.ok(performance.now() - start < 1000, "the hold did not run out");
});

test("wakes its own poll for a reply, through the other gateway", async () => {
  const where = topic();
  const poller = await joined(where);
  const twin = new Poller(server.ports[1]);
  const held = poller.get();
  await sleep(150);
  await twin.post([["1", "7", where, "phx_leave", {}]], { token: poller.token });
  await held;
  await poller.until(3);
  assert.deepEqual(
    poller.received.slice(1).map((m) => m[3]),
    ["phx_reply", "phx_close"],
  );
});

test("ends the older of two polls, in another gateway too", async () => {
  const where = topic();
  const poller = await joined(where);
  const start = performance.now();
  const older = poller.peek();
  await sleep(200);
  poller.port = server.ports[1];
  const newer = poller.peek();
  const first = await older;
  assert.equal(first.status, 204);
  assert.deepEqual(first.messages, []);
  assert.ok(
    performance.now() - start < 1500,
    `the older one ended after ${performance.now() - start} ms`,
  );
  await server.publish(where, "tick", { i: 1 });
  assert.deepEqual(
    (await newer).messages.map((m) => m[4]),
    ticks(1, 1),
  );
});

test("loses nothing when its gateway is killed between two polls", async () => {
  const where = topic();
  const poller = await joined(where);
  await publish(where, 1, 2);
  await poller.get();
  await server.gateways[0].kill();
  await publish(where, 3, 4);
  await server.startGateway(0);
  await publish(where, 5, 6);
  await poller.until(1 + 6);
  assert.deepEqual(poller.payloads("tick"), ticks(1, 6));
  assert.deepEqual(await poller.post([["1", "9", where, "tick", { i: 7 }]]), { status: 200 });
  await poller.until(1 + 6 + 2);
  assert.deepEqual(poller.payloads("tick"), ticks(1, 7));
});

test("loses nothing when its gateway is killed while it holds the poll", async () => {
  const where = topic();
  const poller = await joined(where);
  const held = request({ port: poller.port, path: poller.url() });
  await sleep(200);
  await server.gateways[0].kill();
  const answer = await held;
  assert.ok(answer.status >= 500, `the web server said ${answer.status}`);
  assert.ok(!answer.body.startsWith("{"), "a page of the web server must not be JSON");
  await publish(where, 1, 2);
  await server.startGateway(0);
  await poller.until(1 + 2);
  assert.deepEqual(poller.payloads("tick"), ticks(1, 2));
});

test("takes a POST with an older token of the session", async () => {
  const where = topic();
  const poller = await joined(where);
  const old = poller.token;
  await publish(where, 1, 1);
  await poller.get();
  assert.notEqual(poller.token, old);
  assert.deepEqual(await poller.post([["1", "2", where, "tick", { i: 2 }]], { token: old }), {
    status: 200,
  });
  await poller.until(1 + 3);
  assert.deepEqual(poller.payloads("tick"), ticks(1, 2));
});

const flood = (where, from, to, more = {}) => {
  const lines = ticks(from, to).map((payload) =>
    JSON.stringify({ topic: where, event: "tick", payload: { ...payload, ...more } }),
  );
  return server.holdfast("publish", { input: `${lines.join("\n")}\n` });
};

test("gets what does not fit into one answer with the next ones, on two topics at once", async () => {
  const [one, two] = [topic(), topic()];
  const poller = await joined(one);
  await poller.join(two, {}, "2");
  await flood(one, 1, 700);
  await flood(two, 701, 1400, { x: "x".repeat(1000) });
  await flood(one, 1401, 1900);
  let answers = 0;
  while (poller.payloads("tick").length < 1900) {
    const seen = await poller.peek();
    assert.equal(seen.status, 200, `after ${poller.payloads("tick").length}`);
    assert.deepEqual((await poller.get()).texts, seen.texts);
    answers++;
  }
  assert.ok(answers >= 6, `${answers} answers`);
  assert.deepEqual(
    poller.payloads("tick").map(({ i }) => i),
    ticks(1, 1900).map(({ i }) => i),
  );
});

test("gets what was published before it left, and nothing after", async () => {
  const where = topic();
  const poller = await joined(where);
  await publish(where, 1, 2);
  await poller.post([["1", "2", where, "phx_leave", {}]]);
  await publish(where, 3, 4);
  await poller.until(1 + 2 + 2);
  assert.deepEqual(
    poller.received.slice(1).map((m) => m[3]),
    ["tick", "tick", "phx_reply", "phx_close"],
  );
  const after = await poller.get();
  assert.deepEqual([after.status, after.messages], [204, []]);
});

test("joined twice over, gets each row for the join it belongs to", async () => {
  const where = topic();
  const poller = await new Poller(server.port).open();
  const { cursor } = await poller.join(where, { since: "" }, "1");
  await publish(where, 1, 2);
  await poller.post([["2", "2", where, "phx_join", { since: cursor }]]);
  await publish(where, 3, 3);
  await poller.until(1 + 2 + 1 + 2 + 1 + 1);
  const seen = poller.received
    .slice(1)
    .map(([joinRef, , , event, { i }]) => [joinRef, event === "tick" ? i : event]);
  // a client drops what carries the older join_ref, and has each row once
  assert.deepEqual(
    seen.filter(([joinRef]) => joinRef === "2"),
    [
      ["2", "phx_reply"],
      ["2", 1],
      ["2", 2],
      ["2", 3],
    ],
  );
  assert.deepEqual(
    seen.filter(([joinRef]) => joinRef === "1"),
    [
      ["1", 1],
      ["1", 2],
      ["1", "phx_close"],
    ],
  );
  assert.equal((await poller.get()).status, 204);
});

test("replays what was missed, in pages, between the reply and the first live message", async () => {
  const where = topic();
  const first = await new Poller(server.port).open();
  const { cursor } = await first.join(where, { since: "" });
  assert.match(cursor, /^j:[\w-]{11}\.\d+$/);
  await flood(where, 1, 1200);
  const second = await new Poller(server.port).open();
  const response = await second.join(where, { since: cursor }, "5");
  assert.deepEqual(response, { cursor, recovered: true });
  await server.publish(where, "tick", { i: 1201 });
  let polls = 0;
  while (second.received.length < 1 + 1201) {
    const twice = await second.peek();
    assert.ok(twice.messages.length > 0, "a page is never empty while rows are missing");
    const again = await second.get();
    assert.deepEqual(again.texts.slice(0, twice.texts.length), twice.texts);
    polls++;
  }
  assert.ok(polls > 1, "it came in pages");
  assert.deepEqual(second.payloads("tick"), ticks(1, 1201));
  const rows = second.received.slice(1);
  assert.ok(rows.every((m) => m[0] === "5" && m[1].startsWith(cursor.slice(0, 13))));
});

test("says what it cannot resume", async () => {
  const where = topic();
  const { cursor } = await (await new Poller(server.port).open()).join(where, { since: "" });
  const other = cursor.replace(/^j:.{11}/, "j:AAAAAAAAAAA");
  for (const since of [other, `${cursor.split(".")[0]}.9007199254740990`]) {
    const poller = await new Poller(server.port).open();
    const response = await poller.join(where, { since });
    assert.equal(response.gap, "reset");
    assert.equal(response.recovered, false);
    assert.match(response.cursor, /^j:/);
    await server.publish(where, "tick", { i: 1 });
    await poller.until(2);
    assert.deepEqual(poller.payloads("tick"), ticks(1, 1));
  }
});

test("says so when the journal no longer reaches back", async () => {
  const where = topic();
  const { cursor } = await (await new Poller(server.port).open()).join(where, { since: "" });
  await publish(where, 1, 3);
  await server.sql(
    `DELETE FROM messages WHERE topic = '${where}' AND json_extract(payload, '$.i') <= 2`,
  );
  const poller = await new Poller(server.port).open();
  const response = await poller.join(where, { since: cursor });
  assert.equal(response.gap, "trimmed");
  assert.equal(response.recovered, false);
});

test("sends a session to a new one when what it must still read was deleted", async () => {
  const where = topic();
  const poller = await joined(where);
  await publish(where, 1, 3);
  await server.sql(
    `DELETE FROM messages WHERE topic = '${where}' AND json_extract(payload, '$.i') <= 2`,
  );
  assert.equal((await poller.peek()).status, 500);
});

test("treats a token of its own making in each case as the client can understand", async () => {
  const poller = await joined(topic());
  const forged = `${poller.token.slice(0, -2)}${poller.token.endsWith("AA") ? "BB" : "AA"}`;
  const answer = await poller.peek({ token: forged });
  assert.equal(answer.status, 410);
  assert.notEqual(answer.token, forged);
  assert.deepEqual(await poller.post([["1", "2", "room:x", "say", {}]], { token: forged }), {
    status: 410,
  });
  assert.equal((await poller.peek({ token: "" })).status, 410);
});

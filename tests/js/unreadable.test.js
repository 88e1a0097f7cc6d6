// What a program gets past the rules of the journal (bad UTF-8, half a
// surrogate pair, 129 levels, a row written with a trigger dropped) goes to
// nobody: on both transports, live and replayed, the rows around it arrive, and
// each process names it in its log.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { Poller } from "./lib/poll.js";
import { RawWs } from "./lib/rawws.js";
import { Server, program, told } from "./lib/server.js";

const run = promisify(execFile);
let server;

before(async () => {
  server = await Server.start();
});
after(() => server?.stop());

const nested = (n) => "[".repeat(n) + "]".repeat(n);
const values = (where) => ({
  "bytes that are no UTF-8 in the payload": `('${where}', 'note', CAST(x'22c0af22' AS TEXT))`,
  "half a surrogate pair": `('${where}', 'note', '"\\ud800"')`,
  "129 levels": `('${where}', 'note', '${nested(129)}')`,
  "bytes that are no UTF-8 in the event": `('${where}', CAST(x'6eff' AS TEXT), '{}')`,
});
const insert = (...rows) =>
  server.sql(`INSERT INTO messages (topic, event, payload) VALUES ${rows.join(", ")}`);
const good = (where, n) => `('${where}', 'note', '{"n":${n}}')`;

// Next messages of the socket, until the payload with this n.
async function notes(ws, n) {
  const seen = [];
  for (;;) {
    const message = await ws.json();
    if (message[3] === "phx_reply") continue;
    seen.push(message[4].n);
    if (message[4].n === n) return seen;
  }
}

async function polledNotes(poller, n) {
  const all = () => poller.payloads("note").map((payload) => payload.n);
  while (!all().includes(n)) await poller.get();
  return all();
}

async function joinWs(where, params) {
  const ws = await RawWs.open({ port: server.port });
  ws.text(JSON.stringify(["1", "1", where, "phx_join", params]));
  const reply = await ws.json();
  assert.equal(reply[4].status, "ok", JSON.stringify(reply));
  return { ws, response: reply[4].response };
}

// Live, then replayed, then with nothing but bad rows at the end.
async function passedOver(where, rows) {
  const { ws, response } = await joinWs(where, { since: "" });
  const poller = await new Poller(server.port).open();
  await poller.join(where, { since: "" });
  const bystander = await joinWs(`${where}-bystander`, {});
  await insert(good(where, 1));
  await rows();
  await insert(good(where, 2), good(`${where}-bystander`, 1));
  await rows();
  await insert(good(where, 3), good(`${where}-bystander`, 2));
  assert.deepEqual(await notes(ws, 3), [1, 2, 3]);
  assert.deepEqual(await polledNotes(poller, 3), [1, 2, 3]);
  assert.deepEqual(await notes(bystander.ws, 2), [1, 2]);

  await rows(); // the newest rows are bad ones
  const again = await joinWs(where, { since: response.cursor });
  assert.equal(again.response.recovered, true);
  assert.deepEqual(await notes(again.ws, 3), [1, 2, 3]);
  const later = await new Poller(server.port).open();
  assert.equal((await later.join(where, { since: response.cursor })).recovered, true);
  assert.deepEqual(await polledNotes(later, 3), [1, 2, 3]);

  await insert(good(where, 4)); // everybody is past them
  for (const each of [ws, again.ws]) assert.deepEqual(await notes(each, 4), [4]);
  for (const each of [poller, later])
    assert.deepEqual(await polledNotes(each, 4), [1, 2, 3, 4]);
  const { stdout, stderr } = await run(program("holdfast"), [
    ...["--dir", server.dir, "tail", "--once", where],
  ]);
  const lines = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map((line) => line.payload.n),
    [1, 2, 3, 4],
  );
  for (const each of [ws, again.ws, bystander.ws]) each.destroy();
  return stderr;
}

// The ids of the topic's bad rows, each named once by this log.
async function namedBy(log, ids) {
  const named = [...log.matchAll(/event=message_unreadable .*?\bid=(\d+)/g)].map((m) =>
    Number(m[1]),
  );
  for (const id of ids)
    assert.equal(named.filter((n) => n === id).length, 1, `id ${id} in ${log}`);
}

let topicNo = 0;
async function check(rows) {
  const where = `room:bad-${++topicNo}`;
  const [{ head }] = await server.sql("SELECT coalesce(max(id), 0) AS head FROM messages");
  const said = await passedOver(where, () => rows(where));
  const bad = await server.sql(
    `SELECT id FROM messages WHERE id > ${head} AND topic = '${where}'
     AND NOT (event = 'note' AND payload GLOB '{"n":[0-9]}') ORDER BY id`,
  );
  assert.equal(bad.length, 3);
  const ids = bad.map(({ id }) => id);
  await namedBy(said, ids);
  await namedBy(readFileSync(server.path("sidecar.log"), "utf8"), ids);
  await namedBy(readFileSync(server.path("gateway-0.log"), "utf8"), ids);
}

for (const what of Object.keys(values("")))
  test(
    `${what}: passed over, counted and named`,
    told(
      () => server,
      () => check((where) => insert(values(where)[what])),
    ),
  );

test(
  "an event of the protocol, written with the trigger dropped: ends nobody's channel",
  told(
    () => server,
    async () => {
      const [{ sql }] = await server.sql(
        "SELECT sql FROM sqlite_schema WHERE name = 'messages_refuse'",
      );
      await check((where) =>
        server.sql(`BEGIN IMMEDIATE; DROP TRIGGER messages_refuse;
          INSERT INTO messages (topic, event, payload) VALUES ('${where}', 'phx_close', '{}');
          ${sql}; COMMIT`),
      );
    },
  ),
);

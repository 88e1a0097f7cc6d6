// Any program that can open SQLite publishes with an INSERT: it reaches a
// WebSocket and a held poll, at once and in order; what is wrong is refused
// with words, what is rolled back never happened.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Poller } from "./lib/poll.js";
import { foreign, publishForeign, publishLines } from "./lib/publishers.js";
import { RawWs } from "./lib/rawws.js";
import { Server, sleep, told } from "./lib/server.js";

const run = promisify(execFile);
const COUNT = 5;
let server;
let topicNo = 0;
const topic = () => `room:pub-${++topicNo}`;
const test = (name, body) =>
  it(
    name,
    told(() => server, body),
  );

before(async () => {
  server = await Server.start();
});
after(() => server?.stop());

async function listeners(where) {
  const ws = await RawWs.open({ port: server.port });
  ws.text(JSON.stringify(["1", "1", where, "phx_join", {}]));
  assert.equal((await ws.json())[4].status, "ok");
  const poller = await new Poller(server.port).open();
  await poller.join(where);
  return { ws, poller };
}

// Both get exactly these, in this order.
async function expectRows({ ws, poller }, where, payloads, event = "note") {
  const expected = payloads.map((payload) => [null, null, where, event, payload]);
  const onWs = [];
  const polling = poller.until(1 + expected.length, 8000);
  while (onWs.length < expected.length)
    onWs.push(await ws.json(8000, `message ${onWs.length + 1}`));
  await polling;
  await sleep(50);
  assert.deepEqual(onWs, expected);
  assert.deepEqual(poller.received.slice(1), expected);
  assert.deepEqual(ws.inbox.items, []);
  ws.destroy();
}

const uids = (name) => Array.from({ length: COUNT }, (_, i) => ({ uid: `${name}-${i + 1}` }));

describe("an INSERT reaches WebSocket and long-poll", () => {
  for (const kind of Object.keys(foreign)) {
    test(`from ${kind}`, async () => {
      const where = topic();
      const both = await listeners(where);
      const rows = await publishForeign(kind, server, {
        topic: where,
        name: "a",
        count: COUNT,
        pause: 20,
      });
      assert.equal(rows.length, COUNT);
      await expectRows(both, where, uids("a"));
    });
  }

  test("from holdfast publish, one message", async () => {
    const where = topic();
    const both = await listeners(where);
    const cursor = await server.publish(where, "note", { uid: "a-1" });
    assert.match(cursor, /^j:[\w-]{11}\.\d+\n$/);
    await expectRows(both, where, [{ uid: "a-1" }]);
  });

  test("from holdfast publish, many lines", async () => {
    const where = topic();
    const both = await listeners(where);
    assert.equal(
      (await publishLines(server, { topic: where, name: "a", count: COUNT })).length,
      COUNT,
    );
    await expectRows(both, where, uids("a"));
  });
});

test("is delivered at once: somebody watches for commits, they are not found by looking now and then", async () => {
  // The pauses are long, so that what was not noticed is not swept along by
  // the next commit but waits for the look that comes each half second.
  const where = topic();
  const count = 9;
  const { ws, poller } = await listeners(where);
  const arrivals = { ws: [], poll: [] };
  const now = () => Number(process.hrtime.bigint());
  const onWs = async () => {
    while (arrivals.ws.length < count) {
      await ws.json();
      arrivals.ws.push(now());
    }
  };
  const onPoll = async () => {
    while (arrivals.poll.length < count) {
      const { messages } = await poller.get();
      for (let i = 0; i < messages.length; i++) arrivals.poll.push(now());
    }
  };
  const publisher = fileURLToPath(new URL("../../bench/latency.php", import.meta.url));
  const [{ stdout }] = await Promise.all([
    run("php", [publisher, server.journal, where, String(count), "300"]),
    onWs(),
    onPoll(),
  ]);
  const commits = stdout.trim().split("\n").map(Number);
  for (const [via, at] of Object.entries(arrivals)) {
    const ms = at.map((time, i) => (time - commits[i]) / 1e6).sort((a, b) => a - b);
    assert.ok(ms[count >> 1] < 100, `${via}: ${ms.map((x) => x.toFixed(1)).join(", ")} ms`);
  }
  ws.destroy();
});

test("takes several rows of one transaction in their order, and nothing of one rolled back", async () => {
  const where = topic();
  const both = await listeners(where);
  const { stdout } = await run("php", [
    "-r",
    `
    $db = new PDO("sqlite:$argv[1]");
    $db->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
    $db->exec('PRAGMA busy_timeout = 5000');
    $insert = $db->prepare("INSERT INTO messages(topic, event, payload) VALUES (?, 'note', ?)");
    $db->exec('BEGIN IMMEDIATE');
    foreach ([1, 2, 3] as $i) $insert->execute([$argv[2], json_encode(['i' => $i])]);
    $db->exec('COMMIT');
    $db->exec('BEGIN IMMEDIATE');
    $insert->execute([$argv[2], json_encode(['i' => 'never'])]);
    $db->exec('ROLLBACK');
    $insert->execute([$argv[2], json_encode(['i' => 4])]);
    echo 'done';`,
    server.journal,
    where,
  ]);
  assert.equal(stdout, "done");
  await expectRows(
    both,
    where,
    [1, 2, 3, 4].map((i) => ({ i })),
  );
});

test("keeps a payload as it was written", async () => {
  const where = topic();
  const ws = await RawWs.open({ port: server.port });
  ws.text(JSON.stringify(["1", "1", where, "phx_join", {}]));
  await ws.json();
  const poller = await new Poller(server.port).open();
  await poller.join(where);
  const payload =
    '{"z":1.0,"a":12345678901234567890123,"e":1E2,"u":"\\u00e9\\/ Zoë ☃","deep":[[[{"a":[]}]]]}';
  await run("php", [
    "-r",
    `
    $db = new SQLite3($argv[1]); $db->busyTimeout(5000);
    $in = $db->prepare("INSERT INTO messages(topic, event, payload) VALUES (?, 'note', ?)");
    $in->bindValue(1, $argv[2]); $in->bindValue(2, $argv[3]); $in->execute();`,
    server.journal,
    where,
    payload,
  ]);
  const text = (await ws.inbox.next()).data.toString();
  assert.ok(text.endsWith(`,${payload}]`), text);
  const polled = await poller.get();
  assert.equal(polled.texts[0], text);
  ws.destroy();
});

// What a script gets wrong, SQLite refuses; the words help the one who wrote it.
const WRONG = {
  "an event of the protocol": ["room:a", "phx_close", "{}", /phx_|reserved/],
  "an event that looks like a reply": ["room:a", "chan_reply_1", "{}", /chan_reply_|reserved/],
  "a payload that is not JSON": ["room:a", "note", "{nope", /JSON/i],
  "an empty topic": ["", "note", "{}", /topic/],
  "a topic that is too long": ["t".repeat(201), "note", "{}", /topic/],
  "a topic with a control character": ["room:\x01", "note", "{}", /topic/],
  "a payload that is too large": ["room:a", "note", JSON.stringify("x".repeat(70000)), /payload/],
};

describe("refuses with words", () => {
  for (const [what, [where, event, payload, words]] of Object.entries(WRONG)) {
    test(what, async () => {
      const { stdout } = await run("php", [
        "-r",
        `
        $db = new SQLite3($argv[1]); $db->busyTimeout(5000); $db->enableExceptions(true);
        $in = $db->prepare('INSERT INTO messages(topic, event, payload) VALUES (?, ?, ?)');
        foreach ([2, 3, 4] as $i) $in->bindValue($i - 1, $argv[$i]);
        try { $in->execute(); echo 'taken'; } catch (Exception $e) { echo $e->getMessage(); }`,
        server.journal,
        where,
        event,
        payload,
      ]);
      assert.match(stdout, words);
      assert.notEqual(stdout, "taken");
    });
  }

  test("an id of the script's own, an UPDATE, an id used before", async () => {
    const refusing = async (sql) => {
      await assert.rejects(
        server.sql(sql),
        (error) => {
          assert.match(error.stderr ?? error.message, /id|append|messages/);
          return true;
        },
        sql,
      );
    };
    await server.publish("room:a", "note", { i: 1 });
    const [{ id }] = await server.sql("SELECT max(id) AS id FROM messages");
    await refusing(
      `INSERT INTO messages(id, topic, event, payload) VALUES (1, 'room:a', 'note', '{}')`,
    );
    await refusing(
      `INSERT INTO messages(id, topic, event, payload) VALUES (9223372036854775807, 'room:a', 'note', '{}')`,
    );
    await refusing(
      `INSERT OR REPLACE INTO messages(id, topic, event, payload) VALUES (${id}, 'room:a', 'note', '{}')`,
    );
    await refusing(`UPDATE messages SET payload = '{"i":2}' WHERE id = ${id}`);
    await refusing(`UPDATE messages SET payload = '{}', event = 'other' WHERE id = ${id}`);
    await server.sql(`DELETE FROM messages WHERE id = ${id}`);
    await refusing(
      `INSERT INTO messages(id, topic, event, payload) VALUES (${id}, 'room:a', 'note', '{}')`,
    );
    assert.ok(
      Number((await server.publish("room:a", "note", { i: 2 })).trim().split(".").at(-1)) > id,
    );
  });
});

// Programs are replaced while clients are connected and everybody talks: nothing
// is lost, doubled or reordered. And a journal of the first version is brought to
// today's with its history.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import WebSocket from "ws";
import { Socket } from "../../www/holdfast.js";
import { program, Server, sleep, told, until } from "./lib/server.js";

const PROGRAMS = ["holdfast", "holdfast-gateway", "holdfast-sidecar"];
const FIRST = fileURLToPath(new URL("../../schema/001_journal.sql", import.meta.url));
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const TOPIC = "room:1";
let server;
const pages = [];
const test = (name, body) => it(name, { timeout: 120000 }, told(() => server, body, 110000));

async function visit(transport, params) {
  const socket = new Socket(server.endpoint, { WebSocket, transport, timeout: 60000 });
  const channel = socket.channel(TOPIC, params);
  const page = { socket, channel, heard: [], gaps: [] };
  pages.push(page);
  channel.on("n", ({ n }) => page.heard.push(n));
  channel.onGap((gap) => page.gaps.push(gap));
  socket.connect();
  channel.join();
  await until(20000, "the page has joined", () => channel.state === "joined");
  return page;
}
const end = async () => {
  for (const { socket } of pages.splice(0)) socket.disconnect();
  await server?.stop();
};

describe("programs that are replaced under load", () => {
  before(async () => {
    server = await Server.start({ conf: { sidecar: { drain: "1s" }, http: { push_rate: 0 } } });
  });
  after(end);

  test("lose, double and reorder nothing, on either transport", async () => {
    for (const transport of ["websocket", "websocket", "longpoll", "longpoll"]) await visit(transport);
    let talking = true;
    let n = 0;
    const answers = [];
    const talk = (async () => {
      for (; talking; await sleep(15)) {
        const { channel } = pages[n % pages.length];
        const push = channel.push("n", { n: ++n }, 60000);
        answers.push(new Promise((done) => {
          for (const status of ["ok", "error", "timeout"]) push.receive(status, () => done(status));
        }));
      }
    })();
    let scripts = 0;
    const script = (async () => {
      for (; talking; await sleep(50)) await server.publish(TOPIC, "script", { n: ++scripts });
    })();

    // the new version, as a package manager or an unpacked tarball brings it
    const bin = server.path("bin");
    mkdirSync(bin);
    for (const name of PROGRAMS) copyFileSync(program(name), join(bin, name));
    await sleep(500);
    server.program = (name) => join(bin, name);
    await server.sidecar.stop(20000);
    await server.startSidecar();
    await sleep(500);
    await server.gateways[0].stop(20000);
    await server.startGateway();
    for (const { pid } of [server.sidecar, server.gateways[0]])
      assert.ok(readlinkSync(`/proc/${pid}/exe`).startsWith(bin), "the new one runs");
    await until(60000, "all are back", () => pages.every(({ channel }) => channel.state === "joined"));
    await sleep(500);
    talking = false;
    await Promise.all([talk, script]);

    const outcomes = await Promise.all(answers);
    assert.ok(outcomes.every((status) => status === "ok"), JSON.stringify(outcomes));
    const rows = (await server.sql("SELECT json_extract(payload, '$.n') AS n FROM messages WHERE event = 'n' ORDER BY id")).map((row) => row.n);
    assert.deepEqual([...rows].sort((a, b) => a - b), range(1, n), "each push is there once");
    await until(60000, "all is heard", () => pages.every(({ heard }) => heard.length >= n));
    for (const { heard, gaps } of pages) {
      assert.deepEqual(heard, rows, "in the one order");
      assert.deepEqual(gaps, []);
    }
    assert.ok(scripts > 0);
  });
});

describe("a journal of the first version", () => {
  before(async () => {
    server = await Server.start({
      allow: [],
      prepare: ({ dir, journal }) => {
        for (const name of readdirSync(dir))
          if (/^(journal|live)|^head$/.test(name)) rmSync(join(dir, name));
        const rows = range(1, 30).map((n) => `INSERT INTO messages (topic, event, payload) VALUES ('${TOPIC}', 'n', '{"n":${n}}');`);
        execFileSync("sqlite3", [journal], {
          input: `${readFileSync(FIRST, "utf8")}
UPDATE meta SET value = '00112233445566aa' WHERE name = 'epoch';
INSERT INTO policies VALUES ('room:*', 'join,publish', 1);
${rows.join("\n")}`,
        });
        execFileSync("chmod", ["600", journal]);
      },
    });
  });
  after(end);

  test("is brought to today's, with its history and for those who come back", async () => {
    const epoch = Buffer.from("00112233445566aa", "hex").toString("base64url");
    for (const transport of ["websocket", "longpoll"]) await visit(transport, { since: `j:${epoch}.20` });
    await server.publish(TOPIC, "n", { n: 31 });
    await until(30000, "all is heard", () => pages.every(({ heard }) => heard.length >= 11));
    for (const { heard, gaps } of pages) {
      assert.deepEqual(heard, range(21, 31));
      assert.deepEqual(gaps, []);
    }
    const [{ user_version: version }] = await server.sql("PRAGMA user_version");
    assert.ok(version >= 3);
    const [{ count }] = JSON.parse(execFileSync("sqlite3", ["-json", join(server.dir, "journal.db.v1-backup"), "SELECT count(*) AS count FROM messages"]));
    assert.equal(count, 30, "and is kept as it was");
  });
});

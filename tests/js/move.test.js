// Moved to another host, and restored from a backup, with clients that come back:
// what they know goes on where it can, and where it cannot they are told.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import WebSocket from "ws";
import { Socket } from "../../www/holdfast.js";
import { accepts, Process, Server, told, until } from "./lib/server.js";

const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const TOPIC = "room:1";
let server;
const pages = [];
const test = (name, body) => it(name, { timeout: 120000 }, told(() => server, body, 110000));

before(async () => {
  server = await Server.start({ conf: { sidecar: { drain: "0s" } } });
});
after(async () => {
  for (const { socket } of pages) socket.disconnect();
  await server?.stop();
});

async function visit(transport) {
  const socket = new Socket(server.endpoint, { WebSocket, transport });
  const channel = socket.channel(TOPIC);
  const page = { socket, channel, heard: [], gaps: [] };
  pages.push(page);
  channel.on("n", ({ n }) => page.heard.push(n));
  channel.onGap((gap) => page.gaps.push(gap));
  socket.connect();
  channel.join();
  await until(20000, "the page has joined", () => channel.state === "joined");
  return page;
}

const publish = async (from, to) => {
  for (const n of range(from, to)) await server.publish(TOPIC, "n", { n });
};
const heardAll = (to) =>
  until(60000, "all is heard", () => pages.every(({ heard }) => heard.at(-1) === to));
// lighttpd answers 503 itself until it has seen that the gateway is back.
const asked = async (options) => {
  let answer;
  await until(30000, "the gateway answers", async () => (answer = await server.request(options)).status === 200);
  return JSON.parse(answer.body);
};
const get = (query) => asked({ path: `/socket/longpoll?vsn=2.0.0${query}` });
const post = (token, frame) =>
  asked({
    path: `/socket/longpoll?vsn=2.0.0&token=${token}`,
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(frame),
  });

async function stopServing() {
  await Promise.all([server.sidecar.stop(), server.gateways[0].stop()]);
}
// The other host has the same name: its web server answers there from now on.
async function serveFrom(dir) {
  await server.front.kill();
  server.dir = dir;
  server.journal = `${dir}/journal.db`;
  const conf = server.path("lighttpd.conf");
  writeFileSync(conf, server.lighttpdConf());
  await server.startGateway();
  await server.startSidecar();
  server.front = new Process("lighttpd", "lighttpd", ["-D", "-f", conf], server.path("lighttpd.log"));
  await server.up(server.front, () => accepts({ port: server.port, host: "127.0.0.1" }));
}

describe("a journal that is moved to another host", () => {
  test("goes on there: clients of both transports miss nothing and hear nothing twice", async () => {
    await visit("websocket");
    await visit("longpoll");
    // and a stock client: a token, and nothing else
    const { token } = await get("");
    assert.deepEqual(await post(token, ["1", "1", TOPIC, "phx_join", {}]), { status: 200 });
    const joined = await get(`&token=${token}`);
    await publish(1, 20);
    await heardAll(20);
    const last = await get(`&token=${joined.token}`);
    assert.equal(last.messages.length, 20);
    await publish(21, 25); // nobody may have read these when it ends
    await stopServing();
    const missed = await server.publish(TOPIC, "n", { n: 26 });

    const moved = server.path("moved");
    assert.match(await server.holdfast("move", moved), /^old file +\S+moved-\S+\nnew place +\S+moved\nhead +j:/);
    const host = server.path("host2");
    mkdirSync(host);
    execFileSync("sh", ["-c", `cd '${moved}' && tar cf - . | (mkdir -m 700 '${host}/journal' && cd '${host}/journal' && tar xf -)`]);
    execFileSync("sqlite3", [`${host}/journal/journal.db`, "UPDATE meta SET value = 'another boot' WHERE name = 'boot'"]);
    await serveFrom(`${host}/journal`);

    await publish(27, 40);
    await heardAll(40);
    for (const { heard, gaps } of pages) {
      assert.deepEqual(heard, range(1, 40));
      assert.deepEqual(gaps, []);
    }
    // the stock client's session is the same one
    const after = await get(`&token=${last.token}`);
    assert.equal(after.status, 200);
    assert.deepEqual(after.messages.map((text) => JSON.parse(text)[4].n), range(21, 40));
    const cursor = (await server.publish(TOPIC, "n", { n: 41 })).trim();
    assert.equal(cursor.split(".")[0], missed.split(".")[0], "one history");
    assert.ok(BigInt(cursor.split(".")[1]) > BigInt(missed.trim().split(".")[1]));
  });
});

describe("a journal that is restored from a backup", () => {
  test("begins anew, and everybody is told so", async () => {
    const copy = server.path("copy.db");
    await server.holdfast("backup", copy);
    const after = (await server.publish(TOPIC, "n", { n: 42 })).trim();
    await heardAll(42);
    const { token } = await get("");
    await post(token, ["1", "1", TOPIC, "phx_join", {}]);
    const joined = await get(`&token=${token}`);
    await stopServing();
    await server.holdfast("restore", copy);
    await server.startGateway();
    await server.startSidecar();
    assert.deepEqual(await get(`&token=${joined.token}`), { status: 500 });
    const fresh = await get("");
    await post(fresh.token, ["1", "1", TOPIC, "phx_join", { since: after }]);
    const [, , , , { response }] = JSON.parse((await get(`&token=${fresh.token}`)).messages[0]);
    assert.equal(response.recovered, false);
    assert.equal(response.gap, "reset");
    await until(60000, "the pages are told", () => pages.every(({ gaps }) => gaps.length > 0));
    for (const { gaps } of pages) assert.equal(gaps.length, 1);
    await publish(43, 45);
    await heardAll(45);
    for (const { heard } of pages) assert.deepEqual(heard.slice(-3), [43, 44, 45]);
  });
});

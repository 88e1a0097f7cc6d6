// replay.mjs - many missed messages to one client, on each transport
//
//     HOLDFAST_BIN=build node bench/replay.mjs [MESSAGES...]
//                                              default: 1000 10000 100000
//
// A client that has seen a topic's first message comes back, with `since`, when
// so many others of 100 bytes have been written. Each must come, once, in order,
// with a rising cursor, and a live one behind them. A fresh side-car or gateway
// each time: how long it takes, what our process needs for it in processor time
// and at its peak in memory (VmHWM, set back before). On WebSocket once more
// with a client that does not read for two seconds in between. The floor, on the
// same file right before: the sqlite3 shell reads the same rows and prints them.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ask } from "../tests/js/lib/fastcgi.js";
import { frame, OP } from "../tests/js/lib/rawws.js";
import { childrenOf } from "../tests/js/lib/server.js";
import { sleep, until } from "../tests/js/lib/wait.js";

const build = process.env.HOLDFAST_BIN ?? ".";
const sizes = process.argv.slice(2).map(Number);
const top = mkdtempSync(join(tmpdir(), "holdfast-replay."));
const dir = join(top, "journal");
const socket = join(top, "gateway.sock");
const holdfast = (args, input) =>
  execFileSync(join(build, "holdfast"), ["--dir", dir, ...args], { input, encoding: "utf8", maxBuffer: 1 << 28 });
const text = "x".repeat(80);
let child;
let written = 0;

function write(until_) {
  const rows = [];
  for (; written < until_; written++)
    rows.push(JSON.stringify({ topic: "room:a", event: "say", payload: { n: written, text } }));
  holdfast(["publish"], `${rows.join("\n")}\n`);
}

/* --- what comes */

// Takes messages [join_ref, ref, topic, event, payload] and judges their order.
class Check {
  count = 0;
  reply = null;
  last = 0;
  constructor(first) {
    this.next = first;
  }
  take([, ref, , event, payload]) {
    if (event === "phx_reply") return (this.reply = payload);
    if (event !== "say") throw new Error(`an event ${event}`);
    if (!this.reply) throw new Error("a row before the reply");
    if (payload.n !== this.next) throw new Error(`message ${payload.n} where ${this.next} should be`);
    const id = Number(ref.slice(ref.indexOf(".") + 1));
    if (!(id > this.last)) throw new Error(`cursor ${ref} after ${this.last}`);
    this.last = id;
    this.cursor = ref;
    this.next += 1;
    this.count += 1;
  }
}

const joinText = (since) => JSON.stringify(["1", "1", "room:a", "phx_join", { since }]);

/* --- our process */

const kb = (pid, name) =>
  Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);

const cpu = (pid) =>
  readdirSync(`/proc/${pid}/task`).reduce(
    (sum, task) => sum + Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]),
    0,
  );

async function watched(pid, name, count, work) {
  writeFileSync(`/proc/${pid}/clear_refs`, "5"); // the peak starts anew
  const [rss, used, began] = [kb(pid, "VmRSS"), cpu(pid), performance.now()];
  await work();
  const [ms, us] = [performance.now() - began, (cpu(pid) - used) / 1000];
  console.log(
    `${name}, ${count}: ${ms.toFixed(0)} ms, ${(us / count).toFixed(2)} us of a processor each; ` +
      `resident ${rss} kB, peak ${kb(pid, "VmHWM")} kB`,
  );
}

async function stop() {
  const ended = new Promise((done) => child.on("exit", done));
  child.kill("SIGTERM");
  await ended;
  child = null;
}

/* --- WebSocket */

const REQUEST =
  "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n" +
  "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

class Client {
  constructor(check) {
    this.check = check;
    this.rest = null; // until the handshake is answered
    this.socket = net.connect(join(dir, "sidecar.sock"));
    this.socket.write(REQUEST);
    this.up = new Promise((done, fail) => {
      this.done = done;
      this.fail = fail;
    });
    this.socket.on("error", (error) => this.fail(error));
    this.socket.on("data", (data) => {
      try {
        this.take(data);
      } catch (error) {
        this.error = error;
        this.socket.destroy();
      }
    });
  }
  take(data) {
    if (this.rest === null) {
      const head = data.indexOf("\r\n\r\n");
      this.rest = data.subarray(head + 4);
      this.done();
    } else {
      this.rest = this.rest.length > 0 ? Buffer.concat([this.rest, data]) : data;
    }
    for (;;) {
      const b = this.rest;
      if (b.length < 4) return;
      const [at, length] = b[1] < 126 ? [2, b[1]] : [4, b.readUInt16BE(2)];
      if (b.length < at + length) return;
      if (b[0] !== 0x81) throw new Error(`a frame ${b[0].toString(16)}: ${b.subarray(at, at + length)}`);
      this.check.take(JSON.parse(b.toString("utf8", at, at + length)));
      this.rest = b.subarray(at + length);
    }
  }
  async received(count) {
    await until(120000, `${count} messages`, () => this.error || this.check.count >= count, 2);
    if (this.error) throw this.error;
  }
}

async function websocket(since, count, pausing) {
  let log = "";
  child = spawn(join(build, "holdfast-sidecar"), ["--dir", dir], { stdio: ["ignore", "ignore", "pipe"] });
  child.stderr.on("data", (data) => (log += data));
  await until(10000, "the side-car serves", () => log.includes("event=serving"));
  const worker = childrenOf(child.pid)[0];
  const client = new Client(new Check(written - count));
  await client.up;
  await watched(worker, `WebSocket${pausing ? ", a client that pauses" : ""}`, count, async () => {
    client.socket.write(frame(OP.text, joinText(since)));
    if (pausing) {
      await client.received(Math.min(500, count / 2));
      client.socket.pause();
      await sleep(2000);
      client.socket.resume();
    }
    await client.received(count);
  });
  await finish(client.check, () => client.received(count + 1));
  client.socket.destroy();
  await stop();
}

async function finish(check, oneMore) {
  if (check.reply.status !== "ok" || check.reply.response.recovered !== true)
    throw new Error(`reply: ${JSON.stringify(check.reply)}`);
  write(written + 1);
  await oneMore();
}

/* --- long-poll */

const asked = async (options) => JSON.parse((await ask(socket, options, 60000)).body);

async function longpoll(since, count) {
  child = spawn(join(build, "holdfast-gateway"), ["--dir", dir, "--socket", socket], { stdio: ["ignore", "ignore", "ignore"] });
  const up = () =>
    new Promise((done) => {
      const probe = net.connect(socket);
      probe.on("connect", () => done(probe.destroy() && true)).on("error", () => done(false));
    });
  await until(10000, "the gateway listens", up);
  let { token } = await asked({});
  let answers = 0;
  const check = new Check(written - count);
  const query = () => `vsn=2.0.0&token=${token}`;
  const poll = async (want) => {
    while (check.count < want) {
      const answer = await asked({ query: query() });
      if (answer.status !== 200) throw new Error(JSON.stringify(answer));
      answer.messages.forEach((message) => check.take(JSON.parse(message)));
      ({ token } = answer);
      answers += 1;
    }
  };
  await watched(child.pid, "long-poll", count, async () => {
    await asked({ query: query(), method: "POST", body: joinText(since), env: { CONTENT_TYPE: "application/json" } });
    await poll(count);
  });
  console.log(`    in ${answers} answers`);
  await finish(check, () => poll(count + 1));
  await stop();
}

/* --- */

function floor(since, count) {
  const after = since.slice(since.indexOf(".") + 1);
  const sql = `SELECT id, topic, event, payload FROM messages WHERE topic = 'room:a' AND id > ${after} ORDER BY id`;
  const began = performance.now();
  const { stdout } = spawnSync("sqlite3", [join(dir, "journal.db"), sql], { encoding: "utf8", maxBuffer: 1 << 28 });
  const rows = stdout.split("\n").length - 1;
  if (rows !== count) throw new Error(`${rows} rows where ${count} should be`);
  console.log(`floor, sqlite3 prints ${count} rows: ${(performance.now() - began).toFixed(0)} ms`);
}

const firstCursor = () => JSON.parse(holdfast(["tail", "--once", "room:a"]).split("\n")[0]).cursor;

try {
  holdfast(["init", dir]);
  appendFileSync(join(dir, "holdfast.conf"), "\n[http]\njoin_rate = 0\n");
  holdfast(["allow", "room:*", "join"]);
  write(1);
  const since = firstCursor();
  for (const size of sizes.length > 0 ? sizes : [1000, 10000, 100000]) {
    write(size + 1);
    floor(since, written - 1);
    await websocket(since, written - 1);
    await websocket(since, written - 1, true);
    await longpoll(since, written - 1);
  }
} finally {
  child?.kill("SIGKILL");
  rmSync(top, { recursive: true, force: true });
}

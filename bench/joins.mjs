// joins.mjs - joins for each second of processor time, on each transport
//
//     HOLDFAST_BIN=build node bench/joins.mjs [CLIENTS [TOPICS [SESSIONS]]]
//                                             default: 200 50 500
//
// WebSocket: CLIENTS sockets on the side-car's Unix socket each join TOPICS
// topics, all of them one topic at a time. Long-poll: SESSIONS sessions through
// FastCGI, one connection a request as web servers do it, first get their
// token, then join ten topics in ten POSTs, each fetched by a poll. The floor,
// on the same clients and in the same run: as many heartbeats, which are
// answered without a look at any topic or table of memberships. The time is that
// of our own process, all threads (schedstat), and with it the time of a clock.
//
// Then what the sessions cost in the journal: rows, and bytes of their pages.
import { execFileSync, spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ask } from "../tests/js/lib/fastcgi.js";
import { frame, OP } from "../tests/js/lib/rawws.js";
import { childrenOf } from "../tests/js/lib/server.js";
import { until } from "../tests/js/lib/wait.js";

const build = process.env.HOLDFAST_BIN ?? ".";
const [CLIENTS = 200, TOPICS = 50, SESSIONS = 500] = process.argv.slice(2).map(Number);
const EACH = 10; // memberships of a long-poll session
const AT_ONCE = 50; // requests side by side
const top = mkdtempSync(join(tmpdir(), "holdfast-joins."));
const dir = join(top, "journal");
const socket = join(top, "gateway.sock");
const holdfast = (...args) =>
  execFileSync(join(build, "holdfast"), ["--dir", dir, ...args], { encoding: "utf8" });
const sqlite = (sql) => execFileSync("sqlite3", [join(dir, "journal.db"), sql], { encoding: "utf8" }).trim();
let child;

// Nanoseconds on a processor, of all threads.
const cpu = (pid) =>
  readdirSync(`/proc/${pid}/task`).reduce(
    (sum, task) => sum + Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]),
    0,
  );

async function timed(name, count, pid, work) {
  const [began, before] = [performance.now(), cpu(pid)];
  await work();
  const [seconds, used] = [(performance.now() - began) / 1000, (cpu(pid) - before) / 1e9];
  console.log(
    `  ${name}: ${Math.round(count / used)} a CPU second (${((used * 1e6) / count).toFixed(1)} us each); ` +
      `${Math.round(count / seconds)} a second by the clock`,
  );
  return used / count;
}

const times = (part, whole) => console.log(`  times the floor: ${(part / whole).toFixed(2)}`);

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

// Counts what it is answered, whatever the answer.
function client() {
  const self = { socket: net.connect(join(dir, "sidecar.sock")), replies: 0, refused: 0 };
  self.socket.write(REQUEST);
  return new Promise((done, fail) => {
    self.socket.on("error", fail);
    self.socket.on("data", (data) => {
      const text = data.toString("latin1");
      if (text.includes("101 Switching")) return done(self);
      self.replies += text.split("phx_reply").length - 1;
      self.refused += text.split('"error"').length - 1;
    });
  });
}

async function rounds(clients, n, text) {
  for (let i = 0; i < n; i++) {
    const want = clients[0].replies + 1;
    const bytes = frame(OP.text, text(i));
    for (const { socket: to } of clients) to.write(bytes);
    await until(20000, "all are answered", () => clients.every(({ replies }) => replies >= want), 1);
  }
}

async function websocket() {
  let log = "";
  child = spawn(join(build, "holdfast-sidecar"), ["--dir", dir], { stdio: ["ignore", "ignore", "pipe"] });
  child.stderr.on("data", (data) => (log += data));
  await until(10000, "the side-car serves", () => log.includes("event=serving"));
  const worker = childrenOf(child.pid)[0];
  const clients = [];
  console.log(`WebSocket, ${CLIENTS} clients, ${TOPICS} topics`);
  await timed("connect", CLIENTS, worker, async () => {
    while (clients.length < CLIENTS) clients.push(await client());
  });
  const count = CLIENTS * TOPICS;
  const beat = (i) => JSON.stringify([null, String(i), "phoenix", "heartbeat", {}]);
  const join_ = (i) => JSON.stringify([String(i), String(i), `room:${i}`, "phx_join", {}]);
  const floor = await timed("heartbeat, the floor", count, worker, () => rounds(clients, TOPICS, beat));
  const joined = await timed("join", count, worker, () => rounds(clients, TOPICS, join_));
  const again = await timed("join again, over the live one", count, worker, () => rounds(clients, TOPICS, (i) => join_(i)));
  times(joined, floor);
  times(again, floor);
  if (clients.some(({ refused }) => refused > 0)) throw new Error("a join was refused");
  clients.forEach(({ socket: of }) => of.destroy());
  await stop();
}

/* --- long-poll */

const asked = async (options) => JSON.parse((await ask(socket, options, 30000)).body);

async function all(sessions, work) {
  let next = 0;
  const worker = async () => {
    while (next < sessions.length) await work(sessions[next++]);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

// One frame posted, and its answer fetched.
async function said(session, text) {
  const query = () => `vsn=2.0.0&token=${session.token}`;
  const posted = await asked({ query: query(), method: "POST", body: text, env: { CONTENT_TYPE: "application/json" } });
  if (posted.status !== 200) throw new Error(`POST: ${JSON.stringify(posted)}`);
  const polled = await asked({ query: query() });
  const text2 = JSON.stringify(polled.messages);
  if (polled.status !== 200 || !text2.includes('\\"ok\\"')) throw new Error(`GET: ${JSON.stringify(polled)}`);
  session.token = polled.token;
}

async function longpoll(env) {
  child = spawn(join(build, "holdfast-gateway"), ["--dir", dir, "--socket", socket], { stdio: ["ignore", "ignore", "inherit"] });
  const up = () =>
    new Promise((done) => {
      const probe = net.connect(socket);
      probe.on("connect", () => done(probe.destroy() && true)).on("error", () => done(false));
    });
  await until(10000, "the gateway listens", up);
  const sessions = Array.from({ length: SESSIONS }, () => ({}));
  console.log(`long-poll, ${SESSIONS} sessions${env ? ", each with a token" : ""}`);
  await timed("a new session (one GET)", SESSIONS, child.pid, () =>
    all(sessions, async (session) => {
      session.token = (await asked({ env })).token;
    }),
  );
  const count = SESSIONS * EACH;
  const doing = (text) => async () => {
    for (let n = 0; n < EACH; n++) await all(sessions, (session) => said(session, text(n)));
  };
  const beat = (n) => JSON.stringify([null, `h${n}`, "phoenix", "heartbeat", {}]);
  // the first join makes the rows; a heartbeat before it would wait in live.db
  const first = await timed("first join (POST and GET)", SESSIONS, child.pid, () =>
    all(sessions, (session) => said(session, JSON.stringify(["1", "1", "room:0", "phx_join", {}]))),
  );
  const one = size();
  const floor = await timed("heartbeat, the floor (POST and GET)", count, child.pid, doing(beat));
  const joined = await timed("join (POST and GET)", SESSIONS * (EACH - 1), child.pid, async () => {
    for (let n = 1; n < EACH; n++)
      await all(sessions, (session) =>
        said(session, JSON.stringify([`${n + 1}`, `${n + 1}`, `room:${n}`, "phx_join", {}])),
      );
  });
  times(first, floor);
  times(joined, floor);
  const ten = size();
  for (const [name, of] of [["with 1 membership", one], ["with 10", ten]]) report(name, of);
  await stop();
}

/* --- the journal: rows, and bytes that they fill, index entries included */

function size() {
  const tables = ["sessions", "memberships", "frames"];
  return Object.fromEntries(
    tables.map((table) => {
      const rows = Number(sqlite(`SELECT count(*) FROM ${table}`));
      const bytes = sqlite(
        `SELECT coalesce(sum(payload), 0) || ' ' || coalesce(sum(pgsize), 0) FROM dbstat WHERE aggregate = TRUE AND name IN
           (SELECT name FROM sqlite_schema WHERE tbl_name = '${table}')`,
      ).split(" ");
      return [table, { rows, payload: Number(bytes[0]), pages: Number(bytes[1]) }];
    }),
  );
}

let before = {};
function report(name, now) {
  const parts = Object.entries(now).map(([table, { rows, payload, pages }]) => {
    const was = before[table] ?? { rows: 0, payload: 0, pages: 0 };
    const each = (n) => (n / SESSIONS).toFixed(n % SESSIONS ? 1 : 0);
    return `${table} ${each(rows - was.rows)} rows, ${each(payload - was.payload)} B (${each(pages - was.pages)} B of pages)`;
  });
  console.log(`  in the journal, a session ${name}: ${parts.join("; ")}`);
}

try {
  holdfast("init", dir);
  appendFileSync(join(dir, "holdfast.conf"), "\n[http]\njoin_rate = 0\npush_rate = 0\n[gateway]\nmax_held = 5000\n");
  holdfast("allow", "room:*", "join,publish");
  await websocket();
  await longpoll();
  before = size();
  const token = holdfast("token", "--sub", "annika", "--topic", "room:*=join,publish").trim();
  await longpoll({ HTTP_AUTHORIZATION: `Bearer ${token}` });
} finally {
  child?.kill("SIGKILL");
  rmSync(top, { recursive: true, force: true });
}

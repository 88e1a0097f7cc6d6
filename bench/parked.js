// parked.js - what a held poll costs the gateway in memory
//
//     HOLDFAST_BIN=build node bench/parked.js [N...]      default: 1000 5000
//
// N sessions are made, each joined to one of 100 topics. A gateway that is
// fresh but for a few requests then gets their N polls at once, each from a
// connection of its own with the 30 variables of a real request, and holds
// them; the difference of its memory is the cost. Then one message to each
// topic answers them all. The connections are those of two processes, so that
// no limit of ours is met before the gateway's.
import { execFileSync, fork, spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { FastCgi, requestBytes } from "../tests/js/lib/fastcgi.js";
import { sleep, until } from "../tests/js/lib/wait.js";

const build = process.env.HOLDFAST_BIN ?? ".";
const TOPICS = 100;
const AT_ONCE = 100; // sessions made side by side
const CLIENTS = 2; // processes that poll
const sizes = process.argv.slice(2).map(Number);
const client = process.env.PARKED_CLIENT !== undefined;
const top = client ? "" : mkdtempSync(join(tmpdir(), "holdfast-parked."));
const dir = join(top, "journal");
const socket = client ? process.argv[2] : join(top, "gateway.sock");
const holdfast = (...args) => execFileSync(join(build, "holdfast"), ["--dir", dir, ...args], { encoding: "utf8" });
let gateway;

// As many and as long as Chromium and lighttpd send, about 1.4 kB.
const ENV = {
  SERVER_SOFTWARE: "lighttpd/1.4.69",
  SERVER_NAME: "example.com",
  GATEWAY_INTERFACE: "CGI/1.1",
  SERVER_PORT: "443",
  SERVER_ADDR: "192.0.2.80",
  REMOTE_PORT: "51234",
  HTTPS: "on",
  REQUEST_SCHEME: "https",
  DOCUMENT_ROOT: "/var/www/html",
  SCRIPT_FILENAME: "/var/www/html/socket/longpoll",
  REDIRECT_STATUS: "200",
  HTTP_ACCEPT: "application/json",
  HTTP_ACCEPT_ENCODING: "gzip, deflate, br, zstd",
  HTTP_ACCEPT_LANGUAGE: "en-GB,en;q=0.9,de;q=0.8",
  HTTP_CACHE_CONTROL: "no-cache",
  HTTP_CONNECTION: "keep-alive",
  HTTP_COOKIE: `session=${"c".repeat(120)}; theme=dark`,
  HTTP_REFERER: "https://example.com/chat/rooms/lobby",
  HTTP_SEC_CH_UA: '"Chromium";v="126", "Not.A/Brand";v="24"',
  HTTP_SEC_CH_UA_MOBILE: "?0",
  HTTP_SEC_CH_UA_PLATFORM: '"Linux"',
  HTTP_SEC_FETCH_SITE: "same-origin",
  HTTP_USER_AGENT: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
};

function memory() {
  const kb = (name, text) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)[1]);
  const status = readFileSync(`/proc/${gateway.pid}/status`, "utf8");
  return {
    rss: kb("VmRSS", status),
    anon: kb("RssAnon", status),
    slab: kb("SUnreclaim", readFileSync("/proc/meminfo", "utf8")),
  };
}

const accepts = () =>
  new Promise((done) => {
    const probe = net.connect(socket);
    probe.on("connect", () => done(probe.destroy() && true)).on("error", () => done(false));
  });

async function startGateway() {
  gateway = spawn(join(build, "holdfast-gateway"), ["--dir", dir, "--socket", socket], { stdio: ["ignore", "ignore", "inherit"] });
  await until(10000, "the gateway listens", accepts);
}

async function endGateway() {
  const ended = new Promise((done) => gateway.on("exit", done));
  gateway.kill("SIGTERM");
  await ended;
}

// A web server waits, too, when the gateway's backlog is full.
async function open() {
  for (;;) {
    try {
      return await FastCgi.open(socket);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
      await sleep(5);
    }
  }
}

async function ask(options) {
  const connection = await open();
  connection.send(requestBytes({ env: ENV, ...options }));
  const { body } = await connection.answer(30000);
  connection.destroy();
  return JSON.parse(body);
}

// As holdfast.js asks: whoever else asks counts as held from one poll to the next.
const polling = (token) => ({ query: `vsn=2.0.0&paced=1&token=${token}` });

async function makeSession(i) {
  const { token } = await ask({});
  const body = JSON.stringify(["1", "1", `room:${i % TOPICS}`, "phx_join", {}]);
  const pushed = await ask({ ...polling(token), method: "POST", body, env: { ...ENV, CONTENT_TYPE: "application/json" } });
  if (pushed.status !== 200) throw new Error(`join: ${JSON.stringify(pushed)}`);
  const joined = await ask(polling(token));
  if (joined.status !== 200) throw new Error(`first poll: ${JSON.stringify(joined)}`);
  return joined.token;
}

async function makeSessions(count) {
  const tokens = [];
  while (tokens.length < count) {
    const batch = Array.from({ length: Math.min(AT_ONCE, count - tokens.length) }, (_, i) => makeSession(tokens.length + i));
    tokens.push(...(await Promise.all(batch)));
  }
  return tokens;
}

// In a process of its own: these polls, on a connection each.
async function park(tokens) {
  const held = [];
  for (const token of tokens) {
    const connection = await open();
    connection.send(requestBytes({ env: ENV, ...polling(token) }));
    held.push(connection);
  }
  return held;
}

async function beClient() {
  let held;
  process.on("message", async ({ what, tokens }) => {
    if (what === "park") held = await park(tokens);
    const early = held.filter(({ records, closed }) => closed || records.length > 0).length;
    if (what === "wait") await Promise.all(held.map((connection) => connection.answer(60000)));
    if (what === "end") process.exit(0);
    process.send({ early });
  });
}

class Clients {
  constructor() {
    this.processes = Array.from({ length: CLIENTS }, () => fork(process.argv[1], [socket], { env: { ...process.env, PARKED_CLIENT: "1" } }));
  }

  all(what, parts = []) {
    return Promise.all(
      this.processes.map((client, i) => {
        client.send({ what, tokens: parts[i] });
        return what === "end" ? null : new Promise((done) => client.once("message", done));
      }),
    );
  }

  async park(tokens) {
    const size = Math.ceil(tokens.length / CLIENTS);
    await this.all("park", Array.from({ length: CLIENTS }, (_, i) => tokens.slice(i * size, (i + 1) * size)));
    await sleep(1500);
    const early = (await this.all("look")).reduce((sum, client) => sum + client.early, 0);
    if (early > 0) throw new Error(`${early} of ${tokens.length} polls were not held`);
  }

  async wake() {
    const begun = performance.now();
    const rows = Array.from({ length: TOPICS }, (_, i) => JSON.stringify({ topic: `room:${i}`, event: "tick", payload: {} }));
    const all = this.all("wait");
    execFileSync(join(build, "holdfast"), ["--dir", dir, "publish"], { input: `${rows.join("\n")}\n` });
    await all;
    return performance.now() - begun;
  }
}

async function measure(count) {
  await startGateway();
  const tokens = await makeSessions(count);
  await endGateway();

  await startGateway();
  for (let i = 0; i < 20; i++) await ask({});
  const clients = new Clients();
  const before = memory();
  await clients.park(tokens);
  const during = memory();
  const ms = await clients.wake();
  clients.all("end");
  await sleep(500);
  const after = memory();
  const each = (name) => (((during[name] - before[name]) * 1024) / count).toFixed(0);
  console.log(
    `${count} polls: resident ${before.rss} -> ${during.rss} kB (after: ${after.rss}), ` +
      `${each("rss")} B each, of it private ${each("anon")} B; kernel ${each("slab")} B each (whole machine); ` +
      `all answered ${ms.toFixed(0)} ms after the publish began`,
  );
  await endGateway();
}

async function main() {
  const seconds = 300; // one hold covers the whole run
  try {
    holdfast("init", dir);
    appendFileSync(join(dir, "holdfast.conf"), `\n[gateway]\nhold = ${seconds}s\nmax_held = ${2 * Math.max(...sizes, 5000)}\n`);
    holdfast("allow", "room:*", "join,publish");
    console.log(`${cpus()[0].model.trim()}, ${cpus().length} cores`);
    for (const count of sizes.length > 0 ? sizes : [1000, 5000]) await measure(count);
  } finally {
    gateway?.kill("SIGKILL");
    rmSync(top, { recursive: true, force: true });
  }
}

await (client ? beClient() : main());

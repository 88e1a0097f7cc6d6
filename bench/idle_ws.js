// idle_ws.js - what an idle, joined WebSocket costs the side-car in memory
//
//     HOLDFAST_BIN=build node bench/idle_ws.js [N...]      default: 1000 10000
//
// N clients connect to the side-car's Unix socket, each joins one of 100 topics
// and then does nothing. The memory of the worker before and after is compared:
// its private pages, and Pss, which counts a page shared by k processes as 1/k
// (and so wavers when other processes come and go). Then one message to each
// topic shows that all N are there. N needs as many descriptors in both
// processes (ulimit -n).
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { frame, OP } from "../tests/js/lib/rawws.js";
import { childrenOf } from "../tests/js/lib/server.js";
import { sleep, until } from "../tests/js/lib/wait.js";

const build = process.env.HOLDFAST_BIN ?? ".";
const TOPICS = 100;
const AT_ONCE = 100; // handshakes side by side
const sizes = process.argv.slice(2).map(Number);
const top = mkdtempSync(join(tmpdir(), "holdfast-idle."));
const dir = join(top, "journal");
const holdfast = (...args) =>
  execFileSync(join(build, "holdfast"), ["--dir", dir, ...args], { encoding: "utf8" });
let sidecar;

const REQUEST = [
  "GET /socket/websocket?vsn=2.0.0 HTTP/1.1",
  "Host: localhost",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "",
  "",
].join("\r\n");

function memory() {
  const kb = (name, text) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)[1]);
  const worker = childrenOf(sidecar.pid)[0];
  const rollup = readFileSync(`/proc/${worker}/smaps_rollup`, "utf8");
  return {
    pss: kb("Pss", rollup),
    dirty: kb("Private_Dirty", rollup),
    slab: kb("SUnreclaim", readFileSync("/proc/meminfo", "utf8")),
  };
}

async function start() {
  let log = "";
  sidecar = spawn(join(build, "holdfast-sidecar"), ["--dir", dir], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  sidecar.stderr.on("data", (data) => (log += data));
  await until(10000, "the side-car serves", () => log.includes("event=serving"));
}

async function end() {
  const ended = new Promise((done) => sidecar.on("exit", done));
  sidecar.kill("SIGTERM");
  await ended;
}

// Resolves once joined; `heard` counts the messages after that.
function client(i) {
  const socket = net.connect(join(dir, "sidecar.sock"));
  const self = { socket, heard: 0 };
  socket.write(REQUEST);
  socket.write(frame(OP.text, JSON.stringify(["1", "1", `room:${i % TOPICS}`, "phx_join", {}])));
  return new Promise((done, fail) => {
    let text = "";
    socket.on("error", fail);
    socket.on("data", (data) => {
      if (text === null) return (self.heard += 1);
      text += data.toString("latin1");
      if (!text.includes('"status":"ok"')) return;
      text = null;
      done(self);
    });
  });
}

async function connect(count) {
  const clients = [];
  while (clients.length < count) {
    const batch = Array.from({ length: Math.min(AT_ONCE, count - clients.length) }, (_, i) =>
      client(clients.length + i),
    );
    clients.push(...(await Promise.all(batch)));
  }
  return clients;
}

async function reachAll(clients) {
  const rows = Array.from({ length: TOPICS }, (_, i) =>
    JSON.stringify({ topic: `room:${i}`, event: "tick", payload: {} }),
  );
  const begun = performance.now();
  execFileSync(join(build, "holdfast"), ["--dir", dir, "publish"], {
    input: `${rows.join("\n")}\n`,
  });
  await until(60000, "every client has heard it", () => clients.every(({ heard }) => heard > 0));
  return performance.now() - begun;
}

async function measure(count) {
  await start();
  // what the first clients bring in is no cost of each
  (await connect(TOPICS)).forEach(({ socket }) => socket.destroy());
  await sleep(500);
  const before = memory();
  const clients = await connect(count);
  await sleep(1500);
  const during = memory();
  const ms = await reachAll(clients);
  clients.forEach(({ socket }) => socket.destroy());
  await sleep(500);
  const after = memory();
  const each = (name) => (((during[name] - before[name]) * 1024) / count).toFixed(0);
  console.log(
    `${count} WebSockets: ${each("dirty")} B private memory each; ` +
      `Pss ${before.pss} -> ${during.pss} kB (after: ${after.pss}), ${each("pss")} B each; kernel ${each("slab")} B each (whole machine, both ends); ` +
      `all reached ${ms.toFixed(0)} ms after the publish began`,
  );
  await end();
}

try {
  holdfast("init", dir);
  holdfast("allow", "room:*", "join,publish");
  console.log(`${cpus()[0].model.trim()}, ${cpus().length} cores`);
  for (const count of sizes.length > 0 ? sizes : [1000, 10000]) await measure(count);
} finally {
  sidecar?.kill("SIGTERM");
  rmSync(top, { recursive: true, force: true });
}

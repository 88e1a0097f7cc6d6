// syscalls.js - system calls of the side-car's worker for each message
//
//     HOLDFAST_BIN=build node bench/syscalls.js [CLIENTS [MESSAGES]]   default: 100 500
//
// CLIENTS join one topic. First the first of them pushes MESSAGES, one after
// the other, each when the last one has reached everybody; then `holdfast
// publish` does, so that the worker only delivers. strace counts what the
// worker does meanwhile, both threads. Needs strace, and leave to trace.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { frame, OP } from "../tests/js/lib/rawws.js";
import { childrenOf } from "../tests/js/lib/server.js";
import { sleep, until } from "../tests/js/lib/wait.js";

const build = process.env.HOLDFAST_BIN ?? ".";
const [CLIENTS = 100, MESSAGES = 500] = process.argv.slice(2).map(Number);
const top = mkdtempSync(join(tmpdir(), "holdfast-syscalls."));
const dir = join(top, "journal");
const holdfast = (args, input) =>
  execFileSync(join(build, "holdfast"), ["--dir", dir, ...args], { input, encoding: "utf8" });
let sidecar;

const REQUEST =
  "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n" +
  "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

// Counts the messages it hears: each holds the word TICK once.
function client() {
  const socket = net.connect(join(dir, "sidecar.sock"));
  const self = { socket, heard: 0 };
  socket.write(REQUEST);
  socket.write(frame(OP.text, JSON.stringify(["1", "1", "room:a", "phx_join", {}])));
  return new Promise((done, fail) => {
    let text = "";
    socket.on("error", fail);
    socket.on("data", (data) => {
      text += data.toString("latin1");
      if (text.includes('"status":"ok"')) done(self);
      self.heard += text.split("TICK").length - 1;
      text = text.slice(text.lastIndexOf("TICK") + 1).slice(-200);
    });
  });
}

async function start() {
  let log = "";
  sidecar = spawn(join(build, "holdfast-sidecar"), ["--dir", dir], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  sidecar.stderr.on("data", (data) => (log += data));
  await until(10000, "the side-car serves", () => log.includes("event=serving"));
}

// The calls during `work`, by name, largest first.
async function counted(work) {
  const out = join(top, "strace");
  const strace = spawn("strace", ["-f", "-c", "-o", out, "-p", childrenOf(sidecar.pid)[0]], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = new Promise((done) => strace.on("exit", done));
  await new Promise((done) => strace.stderr.on("data", (text) => /attached/.test(text) && done()));
  await work();
  await sleep(50);
  strace.kill("SIGINT");
  await ended;
  return readFileSync(out, "utf8")
    .split("\n")
    .map((line) => /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)$/.exec(line))
    .filter((match) => match && match[2] !== "total")
    .map(([, calls, name]) => ({ name, calls: Number(calls) }))
    .sort((a, b) => b.calls - a.calls);
}

function print(title, counts) {
  const all = counts.reduce((sum, { calls }) => sum + calls, 0);
  console.log(`${title}: ${(all / MESSAGES).toFixed(1)} calls a message`);
  for (const { name, calls } of counts)
    if (calls >= MESSAGES / 10) console.log(`    ${(calls / MESSAGES).toFixed(2)} ${name}`);
}

async function eachHeard(clients, n) {
  await until(60000, "all have heard it", () => clients.every(({ heard }) => heard >= n), 1);
}

async function pushes(clients) {
  for (let n = 1; n <= MESSAGES; n += 1) {
    const push = ["1", `${n}`, "room:a", "TICK", {}];
    clients[0].socket.write(frame(OP.text, JSON.stringify(push)));
    await eachHeard(clients, n);
  }
}

async function published(clients) {
  const row = `${JSON.stringify({ topic: "room:a", event: "TICK", payload: {} })}\n`;
  for (let n = 1; n <= MESSAGES; n += 1) {
    holdfast(["publish"], row);
    await eachHeard(clients, MESSAGES + n);
  }
}

try {
  holdfast(["init", dir]);
  holdfast(["allow", "room:*", "join,publish"]);
  await start();
  const clients = await Promise.all(Array.from({ length: CLIENTS }, client));
  print(`pushed by one, heard by ${CLIENTS}`, await counted(() => pushes(clients)));
  print(`published elsewhere, heard by ${CLIENTS}`, await counted(() => published(clients)));
  clients.forEach(({ socket }) => socket.destroy());
} finally {
  sidecar?.kill("SIGTERM");
  await sleep(300);
  rmSync(top, { recursive: true, force: true });
}

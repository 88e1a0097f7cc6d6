// ws_workers.mjs - more clients than one process may have, on several workers
//
//     HOLDFAST_BIN=build node bench/ws_workers.mjs [CLIENTS [WORKERS [DRAIN]]]
//                                                  default: 25000 2 10s
//
// All join one topic over one TCP port; no process may open more than 20,000
// files. Then, each time with messages of ws_insert in between: who is on which
// worker, and what that takes; one message to all; kill -9 of one worker, whose
// clients come back within three seconds; SIGTERM, a drain, and a side-car
// started anew, to which clients return when they were told to. Every client
// checks that it is sent every message once and in order.
import { readFileSync, readdirSync } from "node:fs";
import { freePort } from "../tests/js/lib/server.js";
import { Holdfast, Load, machine, outputOf, sleep, until } from "./load/drive.mjs";

const [clients = "25000", workers = "2", drain = "10s"] = process.argv.slice(2);
const CLIENTS = Number(clients);
const WORKERS = Number(workers);
const LOADS = 2; // their own limit of open files
const RETURN_MS = 3000;

const port = await freePort();
const up = ["--listen", `127.0.0.1:${port}`];
const server = await Holdfast.start({ up, conf: { sidecar: { workers: WORKERS, drain } } });
const target = `127.0.0.1:${port}`;
const loads = Array.from(
  { length: LOADS },
  () => new Load(target, ["-n", CLIENTS / LOADS, "-a", 8, "-r", RETURN_MS]),
);
const all = (line) => Promise.all(loads.map((load) => load.do(line)));
const sum = (reports, what) => reports.reduce((all, report) => all + (report[what] ?? 0), 0);
const longest = (reports, what) => Math.max(...reports.map((report) => report[what].max));

let last = 0; // number of the last message
async function write(count) {
  await outputOf("ws_insert", ["-c", count, "-t", 1, "-f", last, "-x", 1000, ...server.insertArgs].map(String));
  last += count;
}

const sockets = (pid) =>
  readdirSync(`/proc/${pid}/fd`).length - 20; // about: those of its own
const memory = (pid) =>
  Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))[1]) / 1024;

function workersNow() {
  return server.workers
    .map((pid) => `${sockets(pid)} files, ${memory(pid).toFixed(1)} MB`)
    .join("; ");
}

function tell(what, reports) {
  const wrong = ["lost", "again", "gaps"].map((name) => `${name} ${sum(reports, name)}`).join(", ");
  console.log(`  ${what.padEnd(22)} ${wrong}; joined ${sum(reports, "joined")}`);
}

async function part(what, body) {
  const began = performance.now();
  const reports = await body();
  tell(`${what}, ${((performance.now() - began) / 1000).toFixed(1)} s`, reports);
}

console.log(`${machine()}; ${CLIENTS} clients, ${WORKERS} workers, drain ${drain}`);
await part("connected and joined", () => all("connect"));
const us = server.cpu() / 1e3 / CLIENTS;
console.log(`  each worker: ${workersNow()}; ${us.toFixed(0)} us of a processor for each client, start included`);

const fans = [];
for (let i = 0; i < 10; i++) {
  const reached = all(`reach ${last + 1}`);
  await write(1);
  fans.push(longest(await reached, "reached_ms"));
}
console.log(`  one message to all, from before ws_insert starts to the last client (ms): ${fans.map((ms) => ms.toFixed(0)).join(" ")}`);

await part("one worker killed", async () => {
  const [dead] = server.workers;
  process.kill(dead, "SIGKILL");
  const reached = all(`reach ${last + 100}`);
  await write(100);
  const reports = await reached;
  await until(10000, "another worker serves", () => server.workers.length === WORKERS);
  return reports;
});
console.log(`  each worker: ${workersNow()}`);

await part("drained, another start", async () => {
  const began = performance.now();
  const reached = all(`reach ${last + 200}`);
  const ended = server.sidecar.stop({ keep: true }).then(() => performance.now() - began);
  await sleep(500);
  await write(100); // those who still wait are sent them
  console.log(`  the end after ${((await ended) / 1000).toFixed(1)} s`);
  await server.sidecar.up(...up);
  await write(100);
  return reached;
});
console.log(`  each worker: ${workersNow()}`);
for (const load of loads) await load.end();
await server.stop();
console.log(machine());
process.exit(0);

// idle_ws.js - what an idle, joined WebSocket costs the side-car in memory
//
//     HOLDFAST_BIN=build node bench/idle_ws.js [CLIENTS [TOPICS [wss]]]
//                                              default: 18000, 1
//
// CLIENTS connect to the side-car's Unix socket, or with wss through TLS on TCP,
// each joins a topic, and then they do nothing. The memory of the worker is
// compared with what it was before: its resident and its private pages, and the
// heap in use (bench/heap.c, compiled here and loaded before the C library), which
// has malloc's own words in it. Then one message to each topic shows that all are
// there; half a minute later, and when they are gone, it is looked at again. Each
// process needs as many descriptors as there are clients (ulimit -n).
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../tests/js/lib/server.js";
import { Holdfast, Load, machine, sleep } from "./load/drive.mjs";

const [CLIENTS = 18000, TOPICS = 1] = process.argv.slice(2, 4).map(Number);
const wss = process.argv[4] === "wss";
const top = mkdtempSync(join(tmpdir(), "holdfast-idle."));
process.on("exit", () => rmSync(top, { recursive: true, force: true }));

function loadHeapCounter() {
  const library = join(top, "heap.so");
  const source = join(dirname(fileURLToPath(import.meta.url)), "heap.c");
  execFileSync(process.env.CC ?? "cc", ["-O2", "-shared", "-fPIC", "-o", library, source]);
  process.env.HEAP_FILE = join(top, "heap");
  writeFileSync(process.env.HEAP_FILE, Buffer.alloc(16));
  process.env.LD_PRELOAD = library;
}

async function tls() {
  const [key, certificate] = [join(top, "key.pem"), join(top, "cert.pem")];
  execFileSync(
    "openssl",
    ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate],
    { stdio: "ignore" },
  );
  return { listen_tls: `127.0.0.1:${await freePort()}`, certificate, private_key: key };
}

function memory(worker) {
  const rollup = readFileSync(`/proc/${worker}/smaps_rollup`, "utf8");
  const bytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(rollup)[1]) * 1024;
  const counts = readFileSync(process.env.HEAP_FILE);
  return {
    rss: bytes("Rss"),
    own: bytes("Private_Dirty"),
    heap: Number(counts.readBigInt64LE(0)),
    pieces: Number(counts.readBigInt64LE(8)),
  };
}

loadHeapCounter();
const settings = wss ? await tls() : {};
const server = await Holdfast.start({ conf: { sidecar: settings } });
delete process.env.LD_PRELOAD;
const target = wss ? settings.listen_tls : server.target;
const args = ["-i", 0, ...(wss ? ["-s"] : [])];
const [worker] = server.workers;

// What the first clients bring in is no cost of each.
const first = new Load(target, [...args, "-n", 100, "-t", 100]);
await first.do("connect");
await first.do("cut");
await first.end();
await sleep(2000);

const load = new Load(target, [...args, "-n", CLIENTS, "-t", TOPICS]);
const before = memory(worker);
const { joined } = await load.do("connect");
if (joined !== CLIENTS) throw new Error(`${joined} of ${CLIENTS} have joined`);
const show = (when) => {
  const now = memory(worker);
  const each = (name) => Math.round((now[name] - before[name]) / CLIENTS);
  console.log(
    `  ${when.padEnd(24)} heap in use ${each("heap")} B each (${((now.pieces - before.pieces) / CLIENTS).toFixed(2)} pieces), ` +
      `resident ${each("rss")} B, of it private ${each("own")} B; in all ${Math.round(now.rss / 1024)} kB, before ${Math.round(before.rss / 1024)} kB`,
  );
};
console.log(`${machine()}; ${CLIENTS} clients on ${TOPICS} topic${TOPICS > 1 ? "s" : ""}${wss ? ", wss" : ""}`);
await load.do("run 3");
show("idle");
const lines = Array.from({ length: TOPICS }, (_, i) => JSON.stringify({ topic: `room:${i}`, event: "m", payload: { n: 1, t: 0 } }));
execFileSync(join(process.env.HOLDFAST_BIN ?? ".", "holdfast"), ["--dir", server.sidecar.dir, "publish", "--batch"], {
  input: `${lines.join("\n")}\n`,
  stdio: ["pipe", "ignore", "inherit"],
});
await load.do("reach 1");
show("all have a message");
await load.do("run 30");
show("half a minute later");
await load.do("cut");
await sleep(3000);
show("when they are gone");
await load.end();
await server.stop();

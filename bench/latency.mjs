// latency.mjs - from the commit of a foreign INSERT to the client
//
//     HOLDFAST_BIN=build node bench/latency.mjs [COUNT] [PAUSE_MS]
//
// A PHP process inserts one row at a time (synchronous FULL) and notes when the
// commit returned; clients in this process, connected through lighttpd, note
// when the frame or the answer of the held poll was there. Both read
// CLOCK_MONOTONIC. The pause varies by half either way; it is long enough for
// the poll to be held again. Three runs: a WebSocket alone, a held poll alone,
// both at once.
import { execFile } from "node:child_process";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Poller } from "../tests/js/lib/poll.js";
import { RawWs } from "../tests/js/lib/rawws.js";
import { Server, sleep } from "../tests/js/lib/server.js";

const run = promisify(execFile);
const [count = 1000, pause = 30] = process.argv.slice(2).map(Number);
const PHP = fileURLToPath(new URL("latency.php", import.meta.url));

const now = () => Number(process.hrtime.bigint());

async function overWebSocket(server, topic, arrivals) {
  const ws = await RawWs.open({ port: server.port });
  ws.text(JSON.stringify(["1", "1", topic, "phx_join", {}]));
  await ws.json();
  return async () => {
    while (arrivals.length < count) {
      await ws.json(20000);
      arrivals.push(now());
    }
    ws.destroy();
  };
}

async function overLongPoll(server, topic, arrivals) {
  const poller = await new Poller(server.port).open();
  await poller.join(topic);
  return async () => {
    while (arrivals.length < count) {
      const { messages } = await poller.get();
      const at = now();
      for (let i = 0; i < messages.length; i++) arrivals.push(at);
    }
  };
}

function quantiles(commits, arrivals) {
  const ms = arrivals.map((at, i) => (at - commits[i]) / 1e6).sort((a, b) => a - b);
  const q = (share) => ms[Math.min(ms.length - 1, Math.floor(share * ms.length))].toFixed(2);
  return { p50: q(0.5), p90: q(0.9), p99: q(0.99), max: q(1) };
}

async function measure(server, title, clients) {
  const topic = `room:${title}-${Object.keys(clients).length}-${Object.keys(clients)[0].slice(0, 3)}`;
  const results = new Map();
  const work = [];
  for (const [name, client] of Object.entries(clients)) {
    results.set(name, []);
    work.push((await client(server, topic, results.get(name)))());
  }
  await sleep(500);
  const { stdout } = await run("php", [PHP, server.journal, topic, String(count), String(pause)], {
    maxBuffer: 1 << 26,
  });
  await Promise.all(work);
  const commits = stdout.trim().split("\n").map(Number);
  for (const [name, arrivals] of results) {
    const { p50, p90, p99, max } = quantiles(commits, arrivals);
    console.log(
      `${title.padEnd(10)} ${name.padEnd(10)} n ${count}  p50 ${p50}  p90 ${p90}  p99 ${p99}  max ${max} ms`,
    );
  }
}

const commit = await run("git", ["rev-parse", "--short", "HEAD"], {
  cwd: fileURLToPath(new URL("..", import.meta.url)),
})
  .then(({ stdout }) => stdout.trim())
  .catch(() => "unknown");
console.log(
  `# latency: ${cpus().length} cores, ${cpus()[0].model.trim()}, commit ${commit}, pause ${pause} ms`,
);
const server = await Server.start();
try {
  await measure(server, "alone", { WebSocket: overWebSocket });
  await measure(server, "alone", { "held poll": overLongPoll });
  await measure(server, "together", { WebSocket: overWebSocket, "held poll": overLongPoll });
} finally {
  await server.stop();
}

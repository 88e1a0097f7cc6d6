// fanout_ws.mjs - one message to many WebSockets, beside its floor and nchan
//
//     HOLDFAST_BIN=build node bench/fanout_ws.mjs [SUBSCRIBERS [ROUNDS [RUNS]]]
//                                                 default: 1000 200 5
//
// Payloads of 100 bytes. A message is published when everybody has had the one
// before, so nothing can be joined into one write. bench/fanout_ws.c has the
// floor, a program that only waits in epoll and sends the same prebuilt frame,
// and the one program that receives, for all. What counts is the time on a
// processor of all threads of what sends: the floor; the side-car's worker, once
// with messages that another process publishes, as gateways and scripts do, and
// once with a client's pushes, which it also writes to the journal and has synced
// to disk; nginx' worker with nchan (published by a POST). They take turns;
// medians of RUNS runs. PIN=1 keeps who sends on one core and who receives on
// another.
import { execFileSync, spawn } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { childrenOf, freePort, own } from "../tests/js/lib/server.js";
import { until } from "../tests/js/lib/wait.js";
import net from "node:net";

const [SUBSCRIBERS = 1000, ROUNDS = 200, RUNS = 5] = process.argv.slice(2).map(Number);
const build = process.env.HOLDFAST_BIN ?? ".";
const program = join(build, "bench", "fanout_ws");
const top = mkdtempSync(join(tmpdir(), "holdfast-fanout."));
const payload = JSON.stringify({ text: "x".repeat(100 - '{"text":""}'.length) });
const text = `[null,null,"room:fanout","msg",${payload}]`;
const started = [];

function start(name, args, core = 0) {
  const pinned = process.env.PIN ? ["taskset", "-c", String(core), name, ...args] : [name, ...args];
  const child = own(spawn(pinned[0], pinned.slice(1), { stdio: ["ignore", "pipe", "pipe"] }));
  child.said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (child.said += data));
  started.push(child);
  return child;
}

const accepts = (port) =>
  new Promise((done) => {
    const socket = net.connect(port, "127.0.0.1", () => done(socket.destroy()));
    socket.on("error", () => done(undefined));
  }).then((socket) => socket !== undefined);

async function floor() {
  const child = start(program, ["floor", text]);
  await until(5000, "the floor listens", () => child.said.includes("\n"));
  return { name: "floor", kind: "floor", port: Number(child.said), pid: child.pid };
}

async function holdfast() {
  const dir = join(top, "journal");
  const port = await freePort();
  const run = (...args) => execFileSync(join(build, "holdfast"), ["--dir", dir, ...args]);
  run("init", dir);
  run("allow", "room:*", "join,publish");
  appendFileSync(join(dir, "holdfast.conf"), `\n[http]\npush_rate = 0\n[sidecar]\nping = 0\nidle = 1h\nlisten = 127.0.0.1:${port}\n`);
  const child = start(join(build, "holdfast-sidecar"), ["--dir", dir]);
  await until(10000, "the side-car serves", () => child.said.includes("event=serving"));
  const pid = childrenOf(child.pid)[0];
  return [
    { name: "side-car, published elsewhere", kind: `holdfast:${dir}`, port, pid },
    { name: "side-car, published by a push", kind: "holdfast", port, pid },
  ];
}

async function nchan() {
  const port = await freePort();
  const conf = join(top, "nginx.conf");
  const at = join(top, "nginx");
  mkdirSync(at);
  writeFileSync(
    conf,
    `load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
daemon off; pid ${at}/pid; error_log ${at}/log; worker_processes 1; worker_rlimit_nofile 20000;
events { worker_connections 20000; }
http {
  access_log off; keepalive_timeout 600; keepalive_requests 1000000;
  ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${at};`).join(" ")}
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /sub { nchan_subscriber websocket; nchan_channel_id fanout; nchan_subscriber_first_message newest; }
    location = /pub { nchan_publisher; nchan_channel_id fanout; nchan_store_messages off; }
  }
}
`,
  );
  const child = start("nginx", ["-c", conf, "-e", `${at}/log`]);
  await until(10000, "nginx serves", async () => (await accepts(port)) && childrenOf(child.pid).length > 0);
  return { name: "nchan", kind: "nchan", port, pid: childrenOf(child.pid)[0] };
}

async function measure({ kind, port, pid }) {
  const child = start(program, ["drain", kind, port, pid, SUBSCRIBERS, ROUNDS, text].map(String), 1);
  const code = await new Promise((done) => child.on("exit", done));
  if (code !== 0) throw new Error(`${kind}: ${child.said}`);
  const { deliveries, cpu_ns, wall_ns } = JSON.parse(child.said);
  return { rate: deliveries / (cpu_ns / 1e9), wall: deliveries / (wall_ns / 1e9) };
}

const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];

try {
  const servers = [await floor(), ...(await holdfast()), await nchan()];
  const results = servers.map(() => []);
  console.log(
    `${cpus()[0].model.trim()}, ${cpus().length} cores; ${SUBSCRIBERS} subscribers, ${ROUNDS} messages of ` +
      `${payload.length} bytes, ${RUNS} runs each${process.env.PIN ? ", pinned" : ""}`,
  );
  for (let n = 0; n < RUNS; n++)
    for (const [i, server] of servers.entries()) results[i].push(await measure(server));
  const rates = results.map((runs) => median(runs.map(({ rate }) => rate)));
  for (const [i, { name }] of servers.entries()) {
    const all = results[i].map(({ rate }) => Math.round(rate / 1000));
    console.log(
      `${name.padEnd(29)} ${Math.round(rates[i])} deliveries a CPU second, ${(1e6 / rates[i]).toFixed(2)} us each, ` +
        `${(rates[i] / rates[0]).toFixed(2)} of the floor; ${Math.round(median(results[i].map(({ wall }) => wall)))} ` +
        `a second on the clock; runs, thousands: ${all.join(" ")}`,
    );
  }
} finally {
  for (const child of started) child.kill("SIGTERM");
  rmSync(top, { recursive: true, force: true });
}
process.exit(0);

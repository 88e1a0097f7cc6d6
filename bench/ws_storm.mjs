// ws_storm.mjs - all clients cut at once, and back with a hundred missed messages
//
//     HOLDFAST_BIN=build node bench/ws_storm.mjs [CLIENTS [MISSED [TOPICS...]]]
//                                     default: 10000 100 100 1 10000
//
// CLIENTS spread over TOPICS are connected to the side-car's Unix socket, and are
// cut off: by themselves, with no goodbye; then by kill -9 of the worker; then by
// SIGTERM, a drain of two seconds, and a side-car started anew. While they are away ws_insert
// writes MISSED messages of 100 bytes to each topic. Then all of them come back,
// 1,000 handshakes at a time, join with `since`, and the time is told until half, 99 of
// 100 and all of them have everything. Each checks for itself that nothing is
// lost, comes twice or out of order. Beside it the floor, which answers with a
// text prepared before.
import { Floor, Holdfast, Load, machine, outputOf, sleep, until } from "./load/drive.mjs";

const [CLIENTS = 10000, MISSED = 100, ...given] = process.argv.slice(2).map(Number);
const shapes = given.length > 0 ? given : [100, 1, 10000];
const WINDOW = 1000;

// How the clients are cut off; they know by themselves when it is by the server.
const CUTS = {
  "cut by themselves": (load) => load.do("cut reset"),
  "worker killed": async (load, server) => {
    const [worker] = server.workers;
    process.kill(worker, "SIGKILL");
    await load.do("run 1");
    await until(10000, "another worker serves", () => server.workers.some((pid) => pid !== worker));
  },
  drained: async (load, server) => {
    const ended = server.sidecar.stop({ keep: true });
    await Promise.all([ended, load.do("run 4")]);
    await server.sidecar.up();
  },
};

const write = (server, topics, from) =>
  outputOf("ws_insert", ["-c", MISSED, "-t", topics, "-f", from, "-x", 1000, ...server.insertArgs].map(String));

async function storm(what, load, server, goal) {
  const before = server.cpu();
  const report = await load.do(`resume ${goal}`);
  const cpu = (server.cpu() - before) / 1e9;
  const { p50, p99, max } = report.reached_ms;
  const s = (ms) => (ms / 1000).toFixed(2);
  console.log(
    `  ${what.padEnd(18)} half ${s(p50)} s, 99 % ${s(p99)} s, all ${s(max)} s; ${report.rows} rows, ` +
      `${(report.rows / cpu / 1000).toFixed(0)},000 a CPU second of the server (${cpu.toFixed(2)} s; the clients' ${report.own_cpu.toFixed(2)} s); ` +
      `lost ${report.lost ?? 0}, again ${report.again ?? 0}, gaps ${report.gaps ?? 0}, late heartbeats ${report.beats_late ?? 0}`,
  );
}

async function run(topics) {
  console.log(`${CLIENTS} clients, ${topics} topics, ${MISSED} missed`);
  const options = ["-n", CLIENTS, "-t", topics, "-w", WINDOW];
  const floor = await Floor.start({ missed: MISSED });
  const clients = new Load(floor.target, options);
  await clients.do("connect");
  await clients.do("cut reset");
  await sleep(500);
  await storm("floor", clients, floor, MISSED);
  await clients.end();
  await floor.stop();

  const server = await Holdfast.start({ conf: { sidecar: { drain: "2s" } } });
  const load = new Load(server.target, options);
  await load.do("connect");
  let from = 0;
  for (const [name, cut] of Object.entries(CUTS)) {
    await cut(load, server);
    await write(server, topics, from);
    await sleep(1000);
    from += MISSED;
    await storm(name, load, server, from);
  }
  await load.end();
  await server.stop();
}

console.log(machine());
for (const topics of shapes) await run(topics);
process.exit(0);

// ws_latency.mjs - from publishing to delivery, a thousand messages a second
//
//     HOLDFAST_BIN=build node bench/ws_latency.mjs [ROUNDS [SECONDS [RATE [TOPICS [EACH]]]]]
//                                                   default: 5 3 1000 100 10
//
// EACH clients joined to each of TOPICS topics on the side-car's Unix socket; one
// of them publishes, or ws_insert does, a program that knows SQLite only. A
// payload of 100 bytes says when it was published, before the commit in either
// case. Beside it the floor (bench/ws_floor.c) with the same clients, with and without
// a commit of its own on the same disk. They take turns, SECONDS each, for a disk
// is fast now and slow then; of each figure the median of ROUNDS is told.
//
// INSERT: a transaction each, synchronous FULL or NORMAL, and ten rows each.
import { Floor, Holdfast, Load, machine, median, outputOf } from "./load/drive.mjs";

const [ROUNDS = 5, SECONDS = 3, RATE = 1000, TOPICS = 100, EACH = 10] = process.argv.slice(2).map(Number);

async function push({ load }) {
  load.set(`rate ${RATE}`);
  const report = await load.do(`run ${SECONDS}`);
  load.set("rate 0");
  return { report, count: report.pushes };
}

const insert = (extra) => async ({ load, server, from }) => {
  const args = ["-r", RATE, "-s", SECONDS, "-t", TOPICS, "-f", from, ...extra].map(String);
  const publishing = outputOf("ws_insert", [...args, ...server.insertArgs]);
  // clients read while a command is under way: until all of it is there
  const report = await load.do(`reach ${from + Math.floor((RATE * SECONDS) / TOPICS)}`);
  const { rows, commit_ms } = await publishing;
  return { report, count: rows, commit_ms };
};

// How it is published, and beside whom; each server has numbers of its own.
const WAYS = [
  ["push", push, [Holdfast.start, () => Floor.start({ commit: true }), Floor.start]],
  ["INSERT, FULL", insert([]), [Holdfast.start, Floor.start]],
  ["INSERT, NORMAL", insert(["-q"]), [Holdfast.start, Floor.start]],
  ["INSERT, ten rows, FULL", insert(["-x", 10]), [Holdfast.start, Floor.start]],
];

async function side(make) {
  const server = await make();
  const load = new Load(server.target, ["-n", TOPICS * EACH, "-t", TOPICS]);
  await load.do("connect");
  return { server, load, from: 0, runs: [] };
}

async function turn(one, publish, kept) {
  const before = one.server.cpu();
  const { report, count, commit_ms } = await publish(one);
  const cpu = one.server.cpu() - before;
  await one.load.do("settle");
  one.from += Math.ceil(count / TOPICS);
  const commits = commit_ms && { commit50: commit_ms.p50, commit99: commit_ms.p99 };
  if (kept) one.runs.push({ ...report.latency_ms, ...commits, us: cpu / 1e3 / count });
}

const ms = (value) => value.toFixed(2);
console.log(`${machine()}; ${RATE} messages a second, ${TOPICS} topics x ${EACH} subscribers, ${ROUNDS} x ${SECONDS} s`);
for (const [way, publish, servers] of WAYS) {
  const sides = [];
  for (const make of servers) sides.push(await side(make));
  for (const one of sides) await turn(one, publish, false); // warm
  for (let round = 0; round < ROUNDS; round++) for (const one of sides) await turn(one, publish, true);
  console.log(`${way}; load average ${machine().split("load average ")[1]}`);
  for (const { server, load, runs } of sides) {
    const of = (name) => median(runs.map((run) => run[name]));
    const sum = await load.end();
    console.log(
      `  ${server.name.padEnd(14)} p50 ${ms(of("p50"))} (${runs.map(({ p50 }) => ms(p50)).join(" ")}), p90 ${ms(of("p90"))}, ` +
        `p99 ${ms(of("p99"))} (${runs.map(({ p99 }) => ms(p99)).join(" ")}), max ${ms(of("max"))} ms; ` +
        `${of("us").toFixed(0)} us of a processor a message; ${sum.rows} deliveries, ${sum.lost ?? 0} lost, ${sum.again ?? 0} again` +
        (runs[0].commit50 ? `; of it the commit: p50 ${ms(of("commit50"))}, p99 ${ms(of("commit99"))}` : ""),
    );
    await server.stop();
  }
}
process.exit(0);

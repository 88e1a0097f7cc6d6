// ws_joins.mjs - handshakes with a join for each second of processor time
//
//     HOLDFAST_BIN=build node bench/ws_joins.mjs [CLIENTS [ROUNDS]]     default: 10000 5
//
// CLIENTS connect, are upgraded and join a topic: the same one, or each its own;
// on the side-car's Unix socket or on TCP. Then they are cut off, which is not
// measured, and come again, ROUNDS times, after one round to get warm. Beside it, in
// turn, the floor (bench/ws_floor.c): a program that answers the same requests with
// fixed texts, without a hash, a look at a header, a topic or a right.
import { Floor, Holdfast, Load, machine, median, sleep } from "./load/drive.mjs";

const [CLIENTS = 10000, ROUNDS = 5] = process.argv.slice(2).map(Number);

const SIDES = [
  ["unix, one topic", () => Holdfast.start(), 1],
  ["unix, a topic each", () => Holdfast.start(), CLIENTS],
  ["TCP, one topic", () => Holdfast.start({ tcp: true }), 1],
  ["unix, floor", () => Floor.start(), 1],
  ["TCP, floor", () => Floor.start({ tcp: true }), 1],
];

async function round({ server, load, runs }) {
  const before = server.cpu();
  const { seconds, joined, up_ms } = await load.do("connect");
  const us = (server.cpu() - before) / 1e3 / CLIENTS;
  if (joined !== CLIENTS) throw new Error(`${joined} of ${CLIENTS} have joined`);
  runs.push({ us, seconds, p99: up_ms.p99 });
  await load.do("cut reset");
  await sleep(300);
}

console.log(`${machine()}; ${CLIENTS} clients, ${ROUNDS} rounds`);
const sides = [];
for (const [name, make, topics] of SIDES) {
  const server = await make();
  const load = new Load(server.target, ["-n", CLIENTS, "-t", topics, "-i", 0, "-S"]);
  sides.push({ name, server, load, runs: [] });
}
for (let i = 0; i <= ROUNDS; i++) for (const side of sides) await round(side);
for (const { name, server, load, runs } of sides) {
  const of = (what) => median(runs.slice(1).map((run) => run[what]));
  console.log(
    `  ${name.padEnd(20)} ${Math.round(1e6 / of("us"))} a CPU second, ${of("us").toFixed(1)} us each ` +
      `(${runs.map(({ us }) => us.toFixed(1)).join(" ")}); ${Math.round(CLIENTS / of("seconds"))} a second by the clock, joined within ${of("p99").toFixed(0)} ms (p99)`,
  );
  await load.end();
  await server.stop();
}
console.log(`load average ${machine().split("load average ")[1]}`);
process.exit(0);

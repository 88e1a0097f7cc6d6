// lab.mjs - what networks do to a page, and what that costs it: www/holdfast.js
// beside the npm package phoenix 1.8.16, unmodified, with longPollFallbackMs
//
//     HOLDFAST_BIN=build node bench/lab.mjs [--only WORDS] [--clients NAMES]
//         [--stay SECONDS] [--together N] [--json FILE]
//
// Each behaviour of tests/js/lib/lab.js, with timers as in life: 10 rows a second
// are inserted and 4 messages a second pushed by the page; then what the
// application was told is compared with the journal. --stay: how long a return to
// WebSocket is waited for. --together: scenes at once. The clients: "holdfast",
// "phoenix", and "resume", the latter with join params that say `since`. At the end
// a hundred rows a second while our client goes back and forth between transports.
// `make tests/middlebox/middlebox` first; the npm packages of tests/js are needed.
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import * as ours from "../www/holdfast.js";
import { cases, holdfast, phoenix, Scene, Scribe } from "../tests/js/lib/lab.js";
import { clients, WebSocket } from "../tests/js/lib/phoenix.js";
import { Server, sleep } from "../tests/js/lib/server.js";

const WS = createRequire(new URL("../tests/js/package.json", import.meta.url))("ws");
const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    clients: { type: "string", default: "holdfast,phoenix,resume" },
    stay: { type: "string", default: "90" },
    together: { type: "string", default: "24" },
    json: { type: "string" },
  },
});

const CLIENTS = {
  holdfast: holdfast(ours, WS),
  phoenix: phoenix(clients["1.8.16"], WebSocket),
  resume: phoenix(clients["1.8.16"], WebSocket, { resume: true }),
};
const limits = { useful: 120000, back: Number(values.stay) * 1000, mayStay: true };

const lab = { server: await Server.start({ conf: { http: { push_burst: 1000 } } }) };
lab.writer = new Scribe(lab.server);

async function run(name, harm, when) {
  const scene = await Scene.laid(lab, CLIENTS[name], { rowEvery: 100, pushEvery: 250 });
  try {
    let trouble = null;
    const times = await scene.through(harm, when, limits).catch((error) => {
      trouble = error.message;
      return {};
    });
    await scene.quiet(30000).catch((error) => (trouble ??= error.message));
    return { name, harm: harm.name, when, times, trouble, ...(await scene.count()), changes: scene.changes };
  } finally {
    await scene.end().catch(() => {});
  }
}

// So many of these at once, results in their order.
async function together(many, jobs) {
  const results = [];
  let next = 0;
  const work = async () => {
    while (next < jobs.length) {
      const i = next++;
      results[i] = await jobs[i]();
    }
  };
  await Promise.all(Array.from({ length: many }, work));
  return results;
}

const chosen = cases().filter(({ harm, when }) => `${harm.name} ${when}`.includes(values.only));
const names = values.clients.split(",");
const jobs = chosen.flatMap(({ harm, when }) => names.map((name) => () => run(name, harm, when)));
const results = await together(Number(values.together), jobs);
if (values.json) writeFileSync(values.json, JSON.stringify(results));

// "5.0, 5.1, 22": first message, first answer, WebSocket again
const seconds = (ms) => (ms === undefined || ms === null ? "never" : (ms / 1000).toFixed(1));
const timesOf = ({ times: { useful, answered, back } }) => [useful, answered, back].map(seconds).join(", ");
const of = ({ lost, doubled, disordered }, all) => `${lost.length} / ${doubled.length} / ${disordered.length} of ${all}`;
const countsOf = ({ down, up, rows, pushes }) => [of(down, rows), of(up, pushes)];
const line = (cells) => console.log(`| ${cells.join(" | ")} |`);

line(["behaviour", "from", ...names.flatMap((name) => [`${name}: s`, "messages", "pushes"])]);
line(Array.from({ length: 2 + 3 * names.length }, () => "---"));
for (const { harm, when } of chosen) {
  const each = names.map((name) => results.find((r) => r.name === name && r.harm === harm.name && r.when === when));
  line([harm.name, when === "start" ? "the start" : "later", ...each.flatMap((r) => [timesOf(r), ...countsOf(r)])]);
  for (const { name, trouble } of each) if (trouble) console.log(`  ${name}: ${trouble}`);
}

// WebSocket -> long-poll -> WebSocket, again and again, under a hundred a second.
if (names.includes("holdfast") && values.only === "") {
  const scene = await Scene.laid(lab, CLIENTS.holdfast, { rowEvery: 10, pushEvery: 50 });
  scene.connect();
  await scene.over("websocket", 20000);
  const begun = performance.now();
  let switches = 0;
  for (let round = 0; round < 30; round++) {
    for (const name of ["longpoll", "websocket"]) {
      scene.page.socket.replaceTransport(name);
      await scene.over(name, 20000);
      await sleep(500);
      switches++;
    }
  }
  const took = (performance.now() - begun) / 1000;
  await scene.quiet(30000);
  const { rows, pushes, down, up } = await scene.count();
  console.log(
    `\n${switches} changes of transport in ${took.toFixed(0)} s, ${(scene.written / took).toFixed(0)} rows a second: ` +
      `${of(down, rows)} messages, ${of(up, pushes)} pushes`,
  );
  await scene.end();
}
await lab.writer.end();
await lab.server.stop();
process.exit(0);

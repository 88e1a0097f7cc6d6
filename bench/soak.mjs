// soak.mjs - an hour of ten thousand clients who come and go: does anything grow?
//
//     HOLDFAST_BIN=build node bench/soak.mjs [OPTION=VALUE]...
//
//     seconds=3600   how long it is watched, after `warm`
//     warm=300       seconds before that, in which memory may grow
//     clients=10000  topics=100
//     rate=20        messages a second, over all topics
//     churn=50       connections ended a second, in all the ways there are: with
//                    a goodbye, with FIN, with RST, half-open, in mid-handshake
//     every=10       seconds between two samples
//     quick=1        seconds=22 warm=10 clients=1000 topics=8 churn=200 every=1,
//                    and deadlines short enough that those who vanished are gone by
//                    then: for ./check
//     sidecar=PATH   another holdfast-sidecar: tests/soak has one that leaks
//
// Before all that each topic's ring is filled to its brim, for rings grow until
// then. A sample is what the worker has: resident memory, what of it is shared with
// nobody, the heap in use (/metrics), sockets, descriptors beside them, members,
// topics; and what clients saw meanwhile, who check every message that they get. At the end a
// line is laid through the samples of memory and of descriptors. Growing is what
// rises by more than chance allows (three standard errors of the slope) and by
// more than the allowance that stands with the verdict. Exit 1 if anything
// grew, or any client lost a message, got one twice or was not let in.
import { readdirSync, readFileSync } from "node:fs";
import http from "node:http";
import { dirname, join } from "node:path";
import { Holdfast, Load, machine } from "./load/drive.mjs";

const given = Object.fromEntries(process.argv.slice(2).map((text) => text.split("=")));
const QUICK = { seconds: 22, warm: 10, clients: 1000, topics: 8, churn: 200, every: 1 };
const USUAL = { seconds: 3600, warm: 300, clients: 10000, topics: 100, rate: 20, churn: 50, every: 10 };
const RING_ROWS = 256; // HF_RING_ROWS in channel/limits.h
const unknown = Object.keys(given).find((name) => !(name in USUAL) && !["quick", "sidecar"].includes(name));
if (unknown) {
  console.error(`soak: there is no option ${unknown}`);
  process.exit(2);
}
const options = { ...USUAL, ...(given.quick && QUICK) };
for (const name of Object.keys(USUAL)) if (given[name]) options[name] = Number(given[name]);
const { seconds, warm, clients, topics, rate, churn, every } = options;

/* --- a sample ----------------------------------------------------------------- */

const kb = (text, name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)[1]);

function metrics(path) {
  return new Promise((done, fail) => {
    const asked = http.get({ socketPath: path, path: "/metrics", headers: { Host: "localhost" } }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part) => (text += part));
      answer.on("end", () => done(text));
    });
    asked.on("error", fail);
  });
}

const gauge = (text, name) => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? ([0-9.e+]+)$`, "m").exec(text)?.[1]);

async function sample(server, at, report) {
  const [worker] = server.workers;
  const rollup = readFileSync(`/proc/${worker}/smaps_rollup`, "utf8");
  const text = await metrics(join(server.sidecar.dir, "monitor.sock"));
  const sockets = gauge(text, "holdfast_connections");
  return {
    at,
    worker,
    rss: kb(rollup, "Rss"),
    private: kb(rollup, "Private_Dirty"),
    heap: Math.round(gauge(text, "holdfast_heap_bytes") / 1024),
    descriptors: readdirSync(`/proc/${worker}/fd`).length - sockets,
    sockets,
    members: gauge(text, "holdfast_members"),
    topics: gauge(text, "holdfast_topics"),
    joined: report.joined,
    rows: report.rows ?? 0,
    churned: report.churned ?? 0,
    p99: report.latency_ms?.p99 ?? 0,
  };
}

const head = () =>
  console.log("   at s    rss kB private kB   heap kB   fds sockets members topics joined    rows churned p99 ms");

const show = (s) =>
  console.log(
    [
      s.at.toFixed(0).padStart(7),
      String(s.rss).padStart(9),
      String(s.private).padStart(10),
      String(s.heap).padStart(9),
      String(s.descriptors).padStart(5),
      String(s.sockets).padStart(7),
      String(s.members).padStart(7),
      String(s.topics).padStart(6),
      String(s.joined).padStart(6),
      String(s.rows).padStart(7),
      String(s.churned).padStart(7),
      s.p99.toFixed(1).padStart(6),
    ].join(" "),
  );

/* --- the verdict -------------------------------------------------------------- */

// The line through them: its rise over all the time, and that one's standard error.
function line(points) {
  const n = points.length;
  const mean = (of) => points.reduce((sum, point) => sum + of(point), 0) / n;
  const [mx, my] = [mean(([x]) => x), mean(([, y]) => y)];
  const sxx = points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
  const slope = points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) / sxx;
  const rest = points.reduce((sum, [x, y]) => sum + (y - my - slope * (x - mx)) ** 2, 0);
  const span = points[n - 1][0] - points[0][0];
  return { rise: slope * span, error: Math.sqrt(rest / (n - 2) / sxx) * span, level: my };
}

function judge(samples) {
  const ended = samples.reduce((sum, { churned }) => sum + churned, 0);
  // Four bytes a connection: whatever is forgotten has at least sixteen. And what
  // caches of SQLite and the like come to in a short run.
  const heap = Math.max(256, (ended * 4) / 1024);
  const allowed = {
    heap: [heap, "kB"],
    private: [Math.max(1024, 2 * heap), "kB"],
    descriptors: [20, ""],
    sockets: [clients / 20, ""],
    members: [clients / 20, ""],
    topics: [2, ""],
  };
  let grown = 0;
  for (const [name, [allowance, unit]] of Object.entries(allowed)) {
    const { rise, error, level } = line(samples.map((s) => [s.at, s[name]]));
    const grows = rise > allowance && rise > 3 * error;
    grown += grows;
    console.log(
      `${grows ? "GROWS" : "flat "} ${name.padEnd(11)} ${level.toFixed(0)} ${unit}, ${rise >= 0 ? "+" : ""}${rise.toFixed(1)} +-${error.toFixed(1)} ${unit} ` +
        `in ${seconds} s and ${ended} connections ended (allowed: ${allowance.toFixed(0)} ${unit})`,
    );
  }
  return grown;
}

/* --- the run ------------------------------------------------------------------- */

const conf = { sidecar: { monitor: "unix:monitor.sock", ...(given.quick && { idle: "6s", ping: "2s", handshake: "2s" }) } };
const server = await Holdfast.start({ conf, binary: given.sidecar });
const load = new Load(server.target, ["-n", clients, "-t", topics, "-r", 2000, ...(given.quick ? ["-i", 2] : [])]);
const samples = [];
console.log(`${new Date().toISOString()} ${machine()}; ${JSON.stringify(options)}${given.sidecar ? ` ${dirname(given.sidecar)}` : ""}`);
const { joined } = await load.do("connect");
console.log(`${joined} joined`);
const filling = Math.min(40 * topics, 200); // a second; a client may push 50
load.set(`rate ${filling}`);
await load.do(`run ${Math.ceil((RING_ROWS * topics) / filling) + 1}`);
load.set(`rate ${rate}`);
load.set(`churn ${churn}`);
await load.do(`run ${warm}`);
const [first] = server.workers;
const began = performance.now();
const cpu = server.cpu();
head();
while (performance.now() - began < seconds * 1000) {
  const report = await load.do(`run ${every}`);
  samples.push(await sample(server, (performance.now() - began) / 1000, report));
  show(samples.at(-1));
}
console.log(`${((server.cpu() - cpu) / 1e9).toFixed(1)} s of a processor in ${seconds} s`);
load.set("churn 0");
load.set("rate 0");
await load.do("run 5");
const { joined: still, behind } = await load.do("settle");
const sum = await load.end({ faulty: true });
console.log(JSON.stringify(sum));

const grown = judge(samples);
const trouble = [
  grown > 0 && `${grown} of them grow`,
  !sum.good && "a client was not served right",
  (still !== clients || behind > 0) && `${still} of ${clients} are joined at the end, ${behind} behind`,
  (sum.timed_out ?? 0) + (sum.refused ?? 0) > 0 && "clients were not let in",
  (sum.strays_kept ?? 0) > 0 && "clients that vanished were kept",
  server.workers[0] !== first && "the worker died",
].filter(Boolean);
await server.stop().catch((error) => trouble.push(error.message));
console.log(`${new Date().toISOString()} ${trouble.length > 0 ? `WRONG: ${trouble.join("; ")}` : "all is flat"}`);
process.exit(trouble.length > 0 ? 1 : 0);

// idle_wss.mjs - what an idle, joined client costs the side-car by wss
//
//     HOLDFAST_BIN=build node bench/idle_wss.mjs [N [TOPICS [plain]]]    10000 100
//
// N clients (bench/ws_load) connect by TLS, each joins one of TOPICS topics and
// then does nothing. The memory of the worker before and after is compared: RSS
// and private pages. 100 clients come and go before, for what the first bring in
// is no cost of each. Handshakes: the worker's processor
// time until all have joined. Then one message to each topic shows that all are
// there. With `plain` the same without TLS, for comparison.
import { execFileSync, spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificate } from "../tests/js/lib/certificate.js";
import { childrenOf } from "../tests/js/lib/server.js";
import { sleep, until } from "../tests/js/lib/wait.js";

const build = process.env.HOLDFAST_BIN ?? ".";
const [count = 10000, topics = 100] = process.argv.slice(2, 4).map(Number);
const plain = process.argv[4] === "plain";
const dir = mkdtempSync(join(tmpdir(), "holdfast-wss."));
const holdfast = (...args) => execFileSync(join(build, "holdfast"), ["--dir", dir, ...args]);

execFileSync(join(build, "holdfast"), ["init", dir]);
holdfast("allow", "room:*", "join,publish");
await makeCertificate(join(dir, "cert.pem"), join(dir, "key.pem"));
appendFileSync(
  join(dir, "holdfast.conf"),
  "\n[sidecar]\nlisten = 127.0.0.1:0\nlisten_tls = 127.0.0.1:0\ncertificate = cert.pem\n" +
    "private_key = key.pem\nping = 0\nidle = 1h\n",
);

let log = "";
const sidecar = spawn(join(build, "holdfast-sidecar"), ["--dir", dir], {
  stdio: ["ignore", "ignore", "pipe"],
});
process.on("exit", () => sidecar.kill("SIGKILL"));
sidecar.stderr.on("data", (data) => (log += data));
await until(10000, "the side-car serves", () => log.includes("event=serving"));
const worker = childrenOf(sidecar.pid)[0];
const where = (plain ? /address=(127[^ ,]*)/ : /tls:(127[^ ,]*)/).exec(log)[1];

function memory() {
  const kb = (name) => {
    const rollup = readFileSync(`/proc/${worker}/smaps_rollup`, "utf8");
    return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(rollup)[1]);
  };
  return { rss: kb("Rss"), dirty: kb("Private_Dirty") };
}

function cpuMs() {
  const fields = readFileSync(`/proc/${worker}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

// ws_load with commands by its standard input; resolves to the lines it says.
function load(n) {
  const args = ["-n", n, "-t", topics, "-i", "0", "-w", "200", where];
  const child = spawn(join(build, "bench/ws_load"), plain ? args : ["-s", ...args]);
  const lines = [];
  child.stdout.on("data", (data) => lines.push(...`${data}`.split("\n").filter(Boolean)));
  child.stderr.on("data", (data) => process.stderr.write(data));
  return {
    lines,
    ended: new Promise((done) => child.on("exit", done)),
    async say(command) {
      const before = lines.length;
      child.stdin.write(`${command}\n`);
      await until(300000, command, () => lines.length > before);
      return JSON.parse(lines.at(-1));
    },
    end: () => child.stdin.end(),
  };
}

const first = load(100);
await first.say("connect");
first.end();
await first.ended;
await sleep(1000);

const before = memory();
const cpuBefore = cpuMs();
const clients = load(count);
const connected = await clients.say("connect");
const cpu = cpuMs() - cpuBefore;
await sleep(2000);
const after = memory();
const each = (name) => `${((after[name] - before[name]) / count * 1024).toFixed(0)} B`;
console.log(`${cpus()[0].model}, ${plain ? "plain" : "TLS"}, ${count} clients, ${topics} topics`);
for (const name of ["rss", "dirty"])
  console.log(`${name}: ${before[name]} -> ${after[name]} kB, ${each(name)} each`);
console.log(`handshake with join: ${(cpu * 1000 / count).toFixed(0)} us of processor each`);
console.log(JSON.stringify(connected));
clients.end();
await clients.ended;
console.log(clients.lines.at(-1));
await sleep(2500);
const gone = memory();
console.log(`all gone: rss ${gone.rss}, dirty ${gone.dirty} kB`);
sidecar.kill("SIGTERM");
await new Promise((done) => sidecar.on("exit", done));
rmSync(dir, { recursive: true, force: true });

// drive.mjs - what benches around ws_load share: a side-car on a fresh journal,
// or the floor, and clients that do as they are told
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { childrenOf, freePort } from "../../tests/js/lib/server.js";
import { Sidecar } from "../../tests/js/lib/sidecar.js";
import { sleep, until } from "../../tests/js/lib/wait.js";

export { sleep, until };

const build = process.env.HOLDFAST_BIN ?? ".";
const alive = new Set();
process.on("exit", () => alive.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

export function start(program, args) {
  const child = spawn(join(build, "bench", program), args, { stdio: ["pipe", "pipe", "inherit"] });
  alive.add(child);
  child.ended = new Promise((done) => child.on("close", done)).finally(() => alive.delete(child));
  child.lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return child;
}

// Its only line of output, once it has ended.
export async function outputOf(program, args) {
  const child = start(program, args);
  const { value } = await child.lines.next();
  const code = await child.ended;
  if (code !== 0) throw new Error(`${program} ended with ${code}`);
  return JSON.parse(value);
}

// ws_load, command by command: await load.do("connect").
export class Load {
  constructor(target, args = []) {
    this.child = start("ws_load", [...args.map(String), target]);
  }

  // Settings have no answer.
  set(line) {
    this.child.stdin.write(`${line}\n`);
  }

  async do(line) {
    this.set(line);
    const { value, done } = await this.child.lines.next();
    if (done) throw new Error(`ws_load ended at "${line}"`);
    const report = JSON.parse(value);
    if (report.did !== line.split(" ")[0]) throw new Error(`"${line}" was answered ${value}`);
    return report;
  }

  // The sum of all; what was lost, doubled or out of order is an error.
  async end({ faulty = false } = {}) {
    this.child.stdin.end();
    const { value } = await this.child.lines.next();
    await this.child.ended;
    const sum = JSON.parse(value);
    if (!sum.good && !faulty) throw new Error(`not all is well: ${value}`);
    return sum;
  }
}

// Nanoseconds on a processor, all threads.
const cpuOf = (pid) =>
  readdirSync(`/proc/${pid}/task`).reduce(
    (sum, task) => sum + Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]),
    0,
  );

// The side-car on a fresh journal. conf as for Sidecar.start.
export class Holdfast {
  name = "holdfast";

  static async start({ tcp = false, ...options } = {}) {
    const self = new Holdfast();
    self.sidecar = await Sidecar.start({ up: tcp ? ["--listen", "127.0.0.1:0"] : [], ...options });
    self.target = tcp ? `127.0.0.1:${self.sidecar.port}` : `unix:${self.sidecar.socket}`;
    self.journal = join(self.sidecar.dir, "journal.db");
    self.insertArgs = [self.journal];
    return self;
  }

  get workers() {
    return childrenOf(this.sidecar.pid);
  }

  cpu() {
    return this.workers.reduce((sum, pid) => sum + cpuOf(pid), 0);
  }

  stop() {
    return this.sidecar.stop();
  }
}

// ws_floor; with `commit` it keeps what is pushed, synced; who comes back is sent
// so many messages, `missed`.
export class Floor {
  static async start({ commit = false, missed = 0, tcp = false } = {}) {
    const self = new Floor();
    self.dir = mkdtempSync(join(tmpdir(), "holdfast-floor."));
    const path = (name) => join(self.dir, name);
    self.name = commit ? "floor, commits" : "floor";
    const at = tcp ? String(await freePort()) : path("socket");
    self.target = tcp ? `127.0.0.1:${at}` : `unix:${at}`;
    self.insertArgs = ["-d", path("told"), path("table.db")];
    const args = ["-d", path("told"), "-m", String(missed), ...(commit ? ["-c", path("kept.db")] : []), at];
    self.child = start("ws_floor", args);
    await self.child.lines.next(); // "serving"
    return self;
  }

  cpu() {
    return cpuOf(this.child.pid);
  }

  async stop() {
    this.child.kill("SIGTERM");
    await this.child.ended;
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export const machine = () =>
  `${cpus()[0].model.trim()}, ${cpus().length} cores, load average ${loadavg()[0].toFixed(1)}`;

export const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

// crash.mjs - everything is killed at random, again and again, under load
//
//     node crash.mjs [--kills N] [--seed N] [--forget] [--locks N] [--trims N]
//                    [--calm N] [--keep DIR]
//
// HOLDFAST_BIN names the build. Gateways, the side-car's parent and worker,
// command line and PHP publishers, followers, and whoever watches the journal
// are killed with -9 and started again, while five kinds of readers resume by
// their cursors; between the kills somebody locks the journal, checkpoints it,
// deletes from it. At the end everybody must have caught up, and history.py
// reads what happened.
//
// The seed gives the schedule: who, after how long, back after how long. What
// a kill meets in the process is the machine's. Only those count that the exit
// status says have died of it; the schedule goes on until these are enough.
//
//     --kills N   so many deaths
//     --forget    once, in the middle, a script empties the journal and lowers
//                 its sequence
//     --locks N   weight of an exclusive lock of the journal; all together have
//                 about 110
//     --trims N   weight of a deletion
//     --calm N    messages at the end, undisturbed, whose lateness counts
//     --keep DIR  logs and journal go there (also what a failure leaves)
//
// Exit code 0: all held. 1: history.py complains. 2: something else is wrong,
// such as readers that had not caught up at some time, though they have since.
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, openSync, readFileSync, readdirSync, closeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { own, program, Server } from "../js/lib/server.js";
import { sleep, until, within } from "../js/lib/wait.js";
import { Chance, EventLog } from "./events.mjs";
import { BatchPublisher, CommandPublisher, Pusher, ScriptPublisher } from "./publishers.mjs";
import { caughtUp, OurReader, Roamer, StockReader, Tail } from "./readers.mjs";
import { Gateway, SideCar, Target, watch, watcherOf } from "./targets.mjs";

const TOPICS = ["room:a", "room:b", "room:c"];
const SETTLE_EVERY = 50; // kills
const SETTLE_MS = 30000;
const LATE_MS = 100; // three quarters of the rows, undisturbed; mostly 10; the backstop is 500

const file = (name) => fileURLToPath(new URL(name, import.meta.url));

// What happens how often. All but the last four kill.
const WEIGHTS = {
  "gateway-0": 12,
  "gateway-1": 12,
  worker: 12,
  parent: 5,
  sidecar: 6,
  "cli-0": 6,
  "cli-1": 6,
  batch: 6,
  "php-0": 7,
  "php-1": 7,
  tail: 8,
  watcher: 10,
  prune: 3,
  term: 6,
  lock: 6,
  checkpoint: 2,
  trim: 6,
};
const HARMLESS = ["term", "lock", "checkpoint", "trim"];

// The schedule: { after, what, pause, roll }, times in ms. As long as anybody
// wants, but for one in which hardly anybody dies.
function* schedule({ seed, count, locks, trims }) {
  const chance = new Chance(seed, "schedule");
  const weights = { ...WEIGHTS, lock: locks, trim: trims };
  for (let left = 100 + 4 * count; left > 0; left--) {
    const what = chance.weighed(weights);
    const step = { what, after: chance.between(10, 350), pause: chance.between(0, 250) };
    yield { ...step, roll: chance.number() };
  }
}

class Run {
  wanted = true; // until the end of the schedule
  topics = TOPICS;
  kills = 0; // who has died of it
  missed = 0; // strikes that nobody died of
  others = 0;
  killed = {}; // what -> how often
  troubles = [];
  #stop; // rejects when something is wrong beyond going on
  #audit = null;
  #under = new Set(); // kills whose victim is not back yet

  constructor(options) {
    Object.assign(this, options);
    this.stopped = new Promise((_, reject) => (this.#stop = reject));
    this.stopped.catch(() => {});
  }

  // Wrong, but all may go on: history.py can say more about it.
  complain(text) {
    this.troubles.push(text);
    this.log?.add("trouble", { text });
  }

  trouble(text) {
    this.complain(text);
    this.#stop(new Error(text));
  }

  acked({ uid }, cursor, ms) {
    this.log.add("acked", { uid, cursor, ms });
  }

  // The cursor of the end, as the command line says it.
  async head() {
    const status = await this.server.holdfast("status");
    return /^head +(\S+)$/m.exec(status)[1];
  }

  // --- beginning ---------------------------------------------------------

  async begin() {
    this.server = await Server.start({
      gateways: 2,
      conf: {
        // retention has something to do, too
        journal: { retain_count: 100, retain_bytes: "1M", keep_min: "5s" },
        gateway: { hold: "2s" },
        log: { level: "warn" },
      },
    });
    this.log = new EventLog(this.server.path("events.jsonl"));
    watch(this, this.server.gateways[0]);
    watch(this, this.server.gateways[1]);
    watch(this, this.server.sidecar);
    this.#startAudit();
    this.sidecar = new SideCar(this);
    this.keyed = [
      new CommandPublisher(this, "cli-0"),
      new CommandPublisher(this, "cli-1"),
      new ScriptPublisher(this, "php-0"),
      new ScriptPublisher(this, "php-1"),
      new BatchPublisher(this, "batch"),
    ];
    const stock = [
      new StockReader(this, "ws-1.8", "1.8.16", "websocket"),
      new StockReader(this, "lp-1.8", "1.8.16", "longpoll"),
      new StockReader(this, "lp-1.7", "1.7.23", "longpoll"),
    ];
    this.tails = TOPICS.map((topic, i) => new Tail(this, `tail-${i}`, topic));
    this.roamers = [new Roamer(this, "roam-0"), new Roamer(this, "roam-1")];
    this.readers = [...stock, new OurReader(this, "ours"), ...this.roamers, ...this.tails];
    this.pushers = stock.map((reader) => new Pusher(this, `push-${reader.name}`, reader.channels));
    this.targets = [new Gateway(this, 0), new Gateway(this, 1), this.sidecar]
      .concat(this.keyed, this.tails)
      .map((party) => new Target(party));
    const clients = Object.fromEntries(this.readers.map(({ name }) => [name, "b"]));
    this.log.add("begin", { clients });
    for (const party of [...this.tails, ...this.keyed]) await party.start();
    const work = [...this.readers, ...this.keyed, ...this.pushers].filter((party) => party.work);
    for (const party of work) {
      party.work().catch((error) => this.trouble(`${party.name}: ${error.stack}`));
    }
    await this.settle("the beginning", SETTLE_MS);
  }

  #startAudit() {
    const out = openSync(this.server.path("journal.jsonl"), "w");
    const child = own(
      spawn("python3", [file("audit.py"), this.server.journal], { stdio: ["pipe", out, "inherit"] }),
    );
    closeSync(out);
    const ended = new Promise((done) => child.once("exit", done));
    this.#audit = { child, ended };
    ended.then((code) => {
      if (code !== 0 || this.wanted) this.trouble(`audit.py ended with code ${code}`);
    });
  }

  audit(command) {
    this.#audit.child.stdin.write(`${command}\n`);
  }

  // --- killing -----------------------------------------------------------

  async go() {
    let { forget } = this;
    let settled = 0;
    for (const step of schedule(this)) {
      await Promise.race([sleep(step.after), this.stopped]);
      if (forget && this.kills >= this.count / 2) {
        await this.forgetAll();
        forget = false;
      }
      if (this.kills >= this.count) return;
      this.#perform(step);
      if (this.kills - settled >= SETTLE_EVERY) {
        const late = await this.settle(`kill ${this.kills}`, SETTLE_MS);
        if (late.length > 0) return; // which is a complaint
        settled = this.kills;
      }
    }
  }

  async #back() {
    const all = within(60000, "everything killed is back", Promise.all(this.#under));
    await Promise.race([all, this.stopped]);
  }

  // Everybody back, and every reader where the journal is now.
  async settle(when, ms) {
    await this.#back();
    const goals = await this.goals();
    const late = await Promise.race([caughtUp(this.readers, goals, ms), this.stopped]);
    if (late.length > 0) this.complain(`at ${when}, not caught up: ${late.join(", ")}`);
    return late;
  }

  async goals() {
    const rows = await this.server.sql(
      `SELECT topic, max(id) AS id, (SELECT value FROM meta WHERE name = 'epoch') AS epoch
       FROM messages GROUP BY topic`,
    );
    return Object.fromEntries(
      rows.map(({ topic, id, epoch }) => [
        topic,
        { id, epoch: Buffer.from(epoch, "hex").toString("base64url") },
      ]),
    );
  }

  #perform(step) {
    const doing = this.#do(step)
      .then((died) => this.#count(step.what, died))
      .catch((error) => this.trouble(`${step.what}: ${error.message}`))
      .finally(() => this.#under.delete(doing));
    this.#under.add(doing);
  }

  #count(what, died) {
    if (HARMLESS.includes(what)) this.others++;
    else if (!died) this.missed++;
    else {
      this.kills++;
      this.killed[what] = (this.killed[what] ?? 0) + 1;
    }
  }

  async #do({ what, pause, roll }) {
    if (what === "lock") return this.#foreign("lock.py", this.server.journal, "0.1");
    if (what === "checkpoint") return this.server.sql("PRAGMA wal_checkpoint(PASSIVE)");
    if (what === "trim")
      return this.audit(`trim ${TOPICS[Math.floor(roll * 3)]} ${1 + Math.floor(roll * 60)}`);
    if (what === "prune") return this.#prune(roll * 30);
    const signal = what === "term" ? "SIGTERM" : "SIGKILL";
    const target = this.#target(what, roll);
    await until(30000, `${target.name} is there to be killed`, () => !target.busy);
    target.busy = true;
    this.log.add("kill", { what, name: target.name, pids: target.pids, signal });
    try {
      if (what === "parent") return await this.sidecar.strikeParent(pause);
      if (what === "worker") return await this.sidecar.strikeWorker();
      return await target.strike(signal, pause);
    } finally {
      target.busy = false;
    }
  }

  #target(what, roll) {
    const named = (name) => this.targets.find((target) => target.name === name);
    if (what === "worker" || what === "parent") return named("sidecar");
    if (what === "tail") return named(`tail-${Math.floor(roll * this.tails.length)}`);
    if (what === "term") return this.targets[Math.floor(roll * 3)];
    if (what !== "watcher") return named(what);
    const pid = watcherOf(this.server.dir);
    return this.targets.find((target) => target.pids.includes(pid)) ?? named("gateway-0");
  }

  // `holdfast prune` for so long, unless it is done before.
  async #prune(ms) {
    const args = ["--dir", this.server.dir, "prune"];
    const child = own(spawn(program("holdfast"), args, { stdio: "ignore" }));
    const ended = new Promise((done) =>
      child.once("exit", (code, signal) => done({ code, signal })),
    );
    await sleep(ms);
    child.kill("SIGKILL");
    const { code, signal } = await within(10000, "prune ends", ended);
    if (code !== 0 && code !== null) this.trouble(`prune: exit ${code}`);
    return signal === "SIGKILL";
  }

  async #foreign(script, ...args) {
    const child = own(spawn("python3", [file(script), ...args], { stdio: "inherit" }));
    const code = await within(20000, script, new Promise((done) => child.once("exit", done)));
    if (code !== 0) throw new Error(`${script}: exit ${code}`);
  }

  async forgetAll() {
    await this.settle("forgetting", SETTLE_MS);
    this.audit("forget");
  }

  // --- the end -----------------------------------------------------------

  async end() {
    await this.#back();
    for (const roamer of this.roamers) roamer.settle();
    for (const publisher of [...this.keyed, ...this.pushers]) await publisher.rest();
    const late = await this.settle("the end", SETTLE_MS);
    if (late.length === 0) await this.#calm();
    for (const reader of this.readers) reader.end();
    this.wanted = false;
    for (const party of [...this.readers, ...this.keyed]) await party.stop();
    for (const party of this.targets.slice(0, 3)) await party.party.strike("SIGTERM");
    for (const name of this.complaints()) this.trouble(`a program complained: ${name}`);
    this.audit("end");
    this.#audit.child.stdin.end();
    await within(60000, "audit.py has looked at everything", this.#audit.ended);
    this.log.close();
  }

  // Now lateness counts: one INSERT at a time, of a program that rings nobody.
  async #calm() {
    if (this.calm === 0) return;
    this.log.add("calm", { late_ms: LATE_MS });
    const [script] = this.keyed.filter((party) => party.name === "php-0");
    const chance = new Chance(this.seed, "calm");
    for (let i = 0; i < this.calm; i++) {
      script.publish();
      await sleep(chance.between(350, 650));
    }
    await until(10000, "answers", () => script.settled);
    await this.settle("the calm", SETTLE_MS);
  }

  complaints() {
    return readdirSync(this.server.top)
      .filter((name) => name.endsWith(".log"))
      .filter((name) =>
        /Sanitizer|runtime error:|Assertion .* failed/.test(
          readFileSync(this.server.path(name), "utf8"),
        ),
      );
  }

  async judge() {
    const names = ["journal.jsonl", "events.jsonl"].map((name) => this.server.path(name));
    const child = own(spawn("python3", [file("history.py"), ...names], { stdio: "inherit" }));
    return within(300000, "history.py is done", new Promise((done) => child.once("exit", done)));
  }
}

function options() {
  const { values } = parseArgs({
    options: {
      kills: { type: "string", default: "30" },
      seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
      locks: { type: "string", default: "6" },
      trims: { type: "string", default: "6" },
      calm: { type: "string", default: "12" },
      forget: { type: "boolean", default: false },
      keep: { type: "string" },
    },
  });
  const { kills, locks, trims, calm, ...rest } = values;
  const numbers = { count: kills, locks, trims, calm };
  for (const name of Object.keys(numbers)) numbers[name] = Number(numbers[name]);
  return { ...rest, ...numbers };
}

// What a failure leaves to be looked at.
function keep(run, options) {
  const to = options.keep ?? mkdtempSync(join(tmpdir(), `holdfast-crash-${options.seed}.`));
  cpSync(run.server.top, to, { recursive: true, filter: (name) => !name.endsWith(".sock") });
  console.log(`# seed ${options.seed}; logs, events.jsonl and the journal are in ${to}`);
}

async function main(options) {
  const run = new Run(options);
  let code = 2;
  try {
    await run.begin();
    await run.go();
    await run.end();
    code = await run.judge();
  } catch (error) {
    console.log(`# ${error.stack}`);
  }
  if (run.kills < options.count) run.complain(`${run.kills} have died, not ${options.count}`);
  for (const text of run.troubles) console.log(`# trouble: ${text}`);
  if (run.troubles.length > 0 && code === 0) code = 2;
  if (run.server) {
    if (code !== 0 || options.keep) keep(run, options);
    await run.server.abandon();
  }
  return { run, code };
}

const given = options();
console.log(`# seed ${given.seed}: ${given.count} kills`);
const begun = performance.now();
const { run, code } = await main(given);
const seconds = Math.round((performance.now() - begun) / 1000);
console.log(
  `# ${run.kills} killed with -9 ${JSON.stringify(run.killed)}, ${run.missed} strikes missed, ` +
    `${run.others} other mishaps, ${seconds} s`,
);
process.exit(code);

// publishers.mjs - who publishes while everything is killed
//
// Those that read lines put a key on each message and repeat, once started
// again, whatever had no answer. Pushes of stock clients have no key: without
// an answer nobody knows, and they are not repeated.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { own, program } from "../js/lib/server.js";
import { sleep, until, within } from "../js/lib/wait.js";
import { Chance, message } from "./events.mjs";

const WINDOW = 40; // messages without an answer
const WRITER = fileURLToPath(new URL("writer.php", import.meta.url));

const CURSOR = /^j:[\w-]{11}\.(\d+)$/;

// As the command line reads it; payload goes in byte for byte.
const jsonLine = ({ topic, payload, key }) =>
  `{"topic":"${topic}","event":"note","payload":${payload},"key":"${key}"}\n`;

// A process that answers each line of its standard input by a line.
class LinePublisher {
  #chance;
  #unanswered = []; // in the order they were sent
  #number = 0;
  #child = null;
  #wanted = true; // new messages

  constructor(run, name) {
    this.run = run;
    this.name = name;
    this.#chance = new Chance(run.seed, name);
  }

  get pids() {
    return this.#child ? [this.#child.pid] : [];
  }

  get settled() {
    return this.#unanswered.length === 0;
  }

  async start() {
    const [command, args] = this.command();
    const child = own(spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] }));
    let pending = "";
    let words = "";
    child.stdin.on("error", () => {}); // it was killed; `exit` tells
    child.stderr.on("data", (part) => (words += part));
    child.stdout.on("data", (part) => {
      const lines = (pending + part).split("\n");
      pending = lines.pop();
      for (const line of lines) this.#answered(line);
    });
    this.ended = new Promise((done) =>
      child.once("close", (code, signal) => {
        if (this.#child === child) this.#child = null;
        if (code !== 0 && signal === null) this.run.trouble(`${this.name}: exit ${code}: ${words}`);
        done(signal);
      }),
    );
    this.#child = child;
    child.stdin.write(this.#unanswered.map((m) => this.line(m)).join(""));
  }

  async strike(signal) {
    if (!this.#child?.kill(signal)) return false;
    return (await within(10000, `${this.name} ends`, this.ended)) === signal;
  }

  // Publish until told to stop; a burst now and then.
  async work() {
    while (this.#wanted) {
      const count = this.#chance.number() < 0.02 ? 30 : 1;
      for (let i = 0; i < count && this.#unanswered.length < WINDOW; i++) this.publish();
      await sleep(this.#chance.between(5, 75));
    }
  }

  publish() {
    const m = message(this.run, this.#chance, this.name, ++this.#number, true);
    this.#unanswered.push(m);
    this.#child?.stdin.write(this.line(m));
  }

  async rest() {
    this.#wanted = false;
    await until(30000, `${this.name} has its answers`, () => this.settled);
  }

  async stop() {
    this.#wanted = false;
    this.#child?.stdin.end();
    await within(10000, `${this.name} ends`, this.ended);
  }

  #answered(line) {
    const m = this.#unanswered.shift();
    if (!m) return this.run.log.add("fault", { text: `${this.name} answered too much: ${line}` });
    const { id, key = m.key, ms = Date.now() } = this.parse(line);
    if (key !== m.key)
      this.run.log.add("fault", { text: `${this.name} answered ${key} instead of ${m.key}` });
    this.run.acked(m, id, ms);
  }
}

// `holdfast publish` with its standard input.
export class CommandPublisher extends LinePublisher {
  command() {
    return [
      program("holdfast"),
      ["--dir", this.run.server.dir, "publish", "--publisher", this.name],
    ];
  }

  line(m) {
    return jsonLine(m);
  }

  parse(line) {
    return { id: Number(CURSOR.exec(line)?.[1]) };
  }
}

// PHP's class SQLite3: an INSERT, nothing of ours.
export class ScriptPublisher extends LinePublisher {
  command() {
    return ["php", [WRITER, this.run.server.journal, this.name]];
  }

  line({ topic, payload, key }) {
    return `${key}\t${topic}\t${payload}\n`;
  }

  parse(line) {
    const [id, key, ms] = line.split("\t");
    return { id: Number(id) || null, key, ms: Number(ms) };
  }
}

// `holdfast publish --batch`, again and again: a file with keys, published once
// more as a whole until it is done.
export class BatchPublisher {
  #chance;
  #number = 0;
  #child = null;
  #ended; // of the child: { code, signal }
  #wanted = true;
  #moment;
  #hold = null; // resolved when it may be started again

  constructor(run, name) {
    this.run = run;
    this.name = name;
    this.#moment = new Chance(run.seed, `${name} struck`);
    this.#chance = new Chance(run.seed, name);
  }

  get pids() {
    return this.#child ? [this.#child.pid] : [];
  }

  // It is there for some ten milliseconds at a time: somewhere in these.
  async strike(signal) {
    this.#hold = withResolve();
    for (;;) {
      await until(10000, `${this.name} is at work`, () => this.#child, 2);
      await sleep(this.#moment.between(0, 30));
      if (!this.#child?.kill(signal)) continue;
      if ((await within(10000, `${this.name} ends`, this.#ended)).signal === signal) return true;
    }
  }

  async start() {
    this.#hold?.resolve();
    this.#hold = null;
  }

  async work() {
    while (this.#wanted) {
      const batch = [];
      for (let left = this.#chance.between(5, 60); left > 0; left--)
        batch.push(message(this.run, this.#chance, this.name, ++this.#number, true));
      while (!(await this.#publish(batch))) await this.#hold?.promise;
      await sleep(this.#chance.between(300, 1500));
    }
    this.resting = true;
  }

  // -> is all of it in the journal?
  async #publish(batch) {
    const args = ["--dir", this.run.server.dir, "publish", "--publisher", this.name, "--batch"];
    const child = own(spawn(program("holdfast"), args, { stdio: ["pipe", "pipe", "pipe"] }));
    let out = "";
    let words = "";
    child.stdin.on("error", () => {});
    child.stdout.on("data", (part) => (out += part));
    child.stderr.on("data", (part) => (words += part));
    this.#child = child;
    child.stdin.end(batch.map(jsonLine).join(""));
    this.#ended = new Promise((done) =>
      child.once("close", (code, signal) => done({ code, signal })),
    );
    const { code, signal } = await within(30000, `${this.name} ends`, this.#ended);
    this.#child = null;
    if (code !== 0 && signal === null) this.run.trouble(`${this.name}: exit ${code}: ${words}`);
    if (code !== 0) return false;
    const last = Number(CURSOR.exec(out.trim())?.[1]);
    for (const m of batch) this.run.acked(m, m === batch.at(-1) ? last : null, Date.now());
    return true;
  }

  async rest() {
    this.#wanted = false;
    await until(30000, `${this.name} has published all`, () => this.resting);
  }

  async stop() {}
}

function withResolve() {
  const all = {};
  all.promise = new Promise((resolve) => (all.resolve = resolve));
  return all;
}

// Pushes of a stock client, on the channels it reads.
export class Pusher {
  #chance;
  #number = 0;
  #wanted = true;
  #open = 0;

  constructor(run, name, channels) {
    this.run = run;
    this.name = name;
    this.channels = channels;
    this.#chance = new Chance(run.seed, name);
  }

  async work() {
    while (this.#wanted) {
      await sleep(this.#chance.between(20, 100));
      if (this.#open < 10) this.#push();
    }
  }

  #push() {
    const number = this.#number + 1;
    const ready = this.run.topics.every((topic) => this.channels[topic].state === "joined");
    if (!ready) return;
    const m = message(this.run, this.#chance, this.name, (this.#number = number), false);
    this.#open++;
    const over = (status) => {
      this.#open--;
      if (status === "ok") this.run.acked(m, null, Date.now());
    };
    const push = this.channels[m.topic].push("note", JSON.parse(m.payload), 5000);
    for (const status of ["ok", "error", "timeout"]) push.receive(status, () => over(status));
  }

  // What was buffered and timed out may still be sent, but is never answered.
  async rest() {
    this.#wanted = false;
    await until(30000, `${this.name} has its answers`, () => this.#open === 0);
  }
}

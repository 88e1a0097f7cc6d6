// targets.mjs - what is killed, and how it comes back
//
// A target is one party made of processes: who it is now (`pids`), struck by a
// signal, started again after a pause. Which process watches the journal for
// all others at the moment is read from the kernel's list of locks.
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { childrenOf, sleep, until, within } from "../js/lib/server.js";

const UP_MS = 20000;

function send(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch {
    // it has ended by itself
  }
}

// Anything with start(), strike(signal) and pids. A strike says whether somebody
// has died of that signal, as the exit status shows it.
export class Target {
  busy = false; // struck, and not yet back

  constructor(party) {
    this.party = party;
    this.name = party.name;
  }

  get pids() {
    return this.party.pids;
  }

  async strike(signal, pause) {
    const died = await this.party.strike(signal);
    await sleep(pause);
    await this.party.start();
    return died;
  }
}

// A gateway of the server: what is killed is one process.
export class Gateway {
  constructor(run, number) {
    this.run = run;
    this.number = number;
    this.name = `gateway-${number}`;
  }

  get process() {
    return this.run.server.gateways[this.number];
  }

  get pids() {
    return this.process?.how ? [] : [this.process.pid];
  }

  async start() {
    await this.run.server.startGateway(this.number);
    watch(this.run, this.process);
  }

  async strike(signal) {
    this.process.struck = signal;
    send(this.process.pid, signal);
    return (await within(10000, `${this.name} ends`, this.process.ended)).signal === signal;
  }
}

// The side-car's parent; with -9 its worker dies with it. A worker alone is
// started again by its parent.
export class SideCar {
  name = "sidecar";

  constructor(run) {
    this.run = run;
  }

  get process() {
    return this.run.server.sidecar;
  }

  get pids() {
    return this.process?.how ? [] : [this.process.pid, ...childrenOf(this.process.pid)];
  }

  async start() {
    await this.run.server.startSidecar();
    watch(this.run, this.process);
  }

  async strike(signal) {
    this.process.struck = signal;
    if (signal === "SIGKILL") await this.process.kill();
    else send(this.process.pid, signal);
    return (await within(10000, "the side-car ends", this.process.ended)).signal === signal;
  }

  async strikeParent(pause) {
    this.process.struck = "SIGKILL";
    send(this.process.pid, "SIGKILL");
    const { signal } = await within(10000, "the side-car's parent ends", this.process.ended);
    await sleep(pause);
    await this.start();
    return signal === "SIGKILL";
  }

  async strikeWorker() {
    const { pid } = this.process;
    const [worker] = childrenOf(pid);
    if (!worker) return false;
    send(worker, "SIGKILL");
    await until(UP_MS, "another worker", () => childrenOf(pid).some((other) => other !== worker));
    // its parent has read how it ended
    const end = new RegExp(`event=worker_killed .*\\bworker=${worker} signal=9$`, "m");
    return end.test(readFileSync(this.run.server.path("sidecar.log"), "utf8"));
  }
}

// Whoever ends without being asked, or badly when asked, is in trouble.
export function watch(run, proc) {
  proc.ended.then(({ code, signal }) => {
    if (!run.wanted && code === 0) return;
    const well = proc.struck === "SIGTERM" ? code === 0 : signal === proc.struck;
    if (!proc.struck || !well)
      run.trouble(`${proc.name} ended with code ${code}, signal ${signal}`);
  });
}

// The process that holds the lock on `watcher`: flock, seen in /proc/locks by
// its inode.
export function watcherOf(dir) {
  const { ino } = statSync(join(dir, "watcher"));
  for (const line of readFileSync("/proc/locks", "utf8").split("\n")) {
    const [, kind, , , pid, place] = line.trim().split(/\s+/);
    if (kind === "FLOCK" && place?.endsWith(`:${ino}`)) return Number(pid);
  }
  return 0;
}

// simulation.js - a site and a crowd of chatting clients on one shared host
//
// The site is asked for its page at a steady rate, whether it answers or not,
// all the time. First (and last) alone; then the clients come; they have `settle` seconds,
// and what happens in the `window` after that is what counts. Then everything
// falls silent, whoever is connected comes to the last row of his room, and the
// books are opened (books.js): what each client heard against the journal.
import { fork, spawn } from "node:child_process";
import http from "node:http";
import { fileURLToPath } from "node:url";
import { chat, delays, judgeAll, kindOf, site, timeline } from "./books.js";
import { own } from "./server.js";
import { SharedHost } from "./shared_host.js";
import { sleep, within } from "./wait.js";

const CROWD = fileURLToPath(new URL("chatters.js", import.meta.url));

// Seconds, but for the rates.
const TIMES = { baseline: 15, joining: 10, settle: 60, window: 60, last: 60, after: 15 };
const COME = 20; // at most so many clients a second
const SITE_RATE = 10; // pages a second
const FILE_RATE = 1; // files a second
const PUSH_RATE = 0.25; // of all clients together, a second
const ROW_RATE = 0.25; // by SQL, into the rooms in turn
const PUSHERS = 10; // one client of so many pushes

const KINDS = {
  ours: () => "ours",
  half: (n) => (n % 2 ? "stock" : "ours"),
  stock: () => "stock",
};
export const MIXES = Object.keys(KINDS);

function makeCrowd(count, mix, joining) {
  const rooms = Math.ceil(count / 100);
  const pushers = Math.ceil(count / PUSHERS);
  return Array.from({ length: count }, (_, n) => ({
    name: `${n}`,
    kind: KINDS[mix](n),
    topic: `room:${n % rooms}`,
    after: (n * joining * 1000) / count,
    every: n % PUSHERS === 0 ? (pushers * 1000) / PUSH_RATE : 0,
    first: ((n / PUSHERS) * 1000) / PUSH_RATE,
  }));
}

// For a control: the budget is told that this host allows a thousand.
export const UNBOUNDED = { gateway: { held_first: 1000, cgi_max_held: 1000 } };

// Requests at a steady rate, which do not wait for one another.
class Load {
  #agent = new http.Agent({ keepAlive: true });
  #timers = [];

  constructor(port) {
    this.port = port;
  }

  every(ms, path) {
    const begun = performance.now();
    let n = 0;
    const ask = () => {
      this.#ask(path(n++));
      timer.ref = setTimeout(ask, begun + n * ms - performance.now());
    };
    const timer = {};
    this.#timers.push(timer);
    ask();
  }

  stop() {
    for (const { ref } of this.#timers) clearTimeout(ref);
    this.#agent.destroy();
  }

  // What comes of it stands in haproxy's log.
  #ask(path) {
    const req = http.get({ host: "127.0.0.1", port: this.port, path, agent: this.#agent }, (res) => res.resume());
    req.on("error", () => {});
  }
}

// A program of the application, which publishes with INSERT.
class Publisher {
  #child;
  #no = 0;

  constructor(journal) {
    const args = ["-cmd", ".timeout 10000", journal];
    this.#child = own(spawn("sqlite3", args, { stdio: ["pipe", "ignore", "pipe"] }));
    this.trouble = "";
    this.#child.stderr.on("data", (part) => (this.trouble += part));
    this.#child.stdin.on("error", () => {});
    this.ended = new Promise((done) => this.#child.once("close", done));
  }

  publish(topic) {
    const payload = JSON.stringify({ uid: `sql-${this.#no++}` });
    this.#child.stdin.write(`INSERT INTO messages (topic, event, payload) VALUES ('${topic}', 'note', '${payload}');\n`);
  }

  async end() {
    this.#child.stdin.end();
    await within(20000, "the publisher is done", this.ended);
    if (this.trouble) throw new Error(`publishing: ${this.trouble}`);
  }
}

// One process per kind of client.
class Crowd {
  constructor(endpoint, clients) {
    this.processes = ["ours", "stock"].flatMap((kind) => {
      const some = clients.filter((client) => client.kind === kind);
      if (some.length === 0) return [];
      const child = own(fork(CROWD, { stdio: ["ignore", "inherit", "inherit", "ipc"] }));
      child.send({ endpoint, clients: some });
      return [child];
    });
  }

  #each(message, isLast, ms, what) {
    return Promise.all(
      this.processes.map((child) => {
        const answered = new Promise((done, fail) => {
          child.once("exit", (code) => fail(new Error(`a crowd ended: ${code}`)));
          child.on("message", (answer) => isLast(answer) && done(answer));
        });
        child.send(message);
        return within(ms, what, answered);
      }),
    );
  }

  // Everybody who is connected has come to these rows; or the names of those
  // who had not in time.
  async comesTo(heads, ms) {
    let behind = [];
    const look = (answer) => {
      if (answer.behind) behind = answer.behind;
      return answer.behind?.length === 0;
    };
    try {
      await this.#each({ quiet: heads }, look, ms, "all have caught up");
      return [];
    } catch (error) {
      if (behind.length === 0) throw error;
      return behind;
    }
  }

  async report() {
    const reports = await this.#each({ report: true }, ({ clients }) => clients, 20000, "a report");
    return {
      clients: reports.flatMap(({ clients }) => clients),
      cpu: reports.reduce((sum, { cpu }) => sum + cpu, 0),
    };
  }

  kill() {
    for (const child of this.processes) child.kill("SIGKILL");
  }
}

// Looks at the budget every two seconds: [{ at, budget }].
function watchBudget(host) {
  const seen = [];
  let looking = true;
  (async () => {
    while (looking) {
      const budget = await host.budget().catch(() => undefined);
      if (budget !== undefined) seen.push({ at: Date.now(), budget });
      await sleep(2000);
    }
  })();
  return { seen, stop: () => (looking = false) };
}

// --- the run -----------------------------------------------------------------

export async function simulate({ clients: count, mix, conf = {}, times = {}, limit = 20 }) {
  const t = { ...TIMES, ...times };
  t.joining = Math.max(t.joining, count / COME);
  const host = await SharedHost.start({ conf, limit });
  const load = new Load(host.port);
  let crowd, publisher, ticking, budget;
  try {
    load.every(1000 / SITE_RATE, (n) => `/index.php?n=${n}`);
    load.every(1000 / FILE_RATE, (n) => `/style.css?n=${n}`);
    await sleep(1000);
    const begun = Date.now();
    const cpuBegun = host.cpuOfPrograms();
    await sleep(t.baseline * 1000);

    const cameAt = Date.now();
    const cpuAlone = host.cpuOfPrograms();
    const wanted = makeCrowd(count, mix, t.joining);
    const rooms = [...new Set(wanted.map(({ topic }) => topic))];
    crowd = new Crowd(host.endpoint, wanted);
    budget = watchBudget(host);
    publisher = new Publisher(host.journal);
    let row = 0;
    ticking = setInterval(() => publisher.publish(rooms[row++ % rooms.length]), 1000 / ROW_RATE);
    await sleep((t.joining + t.settle) * 1000);

    const from = Date.now();
    const cpuFrom = host.cpuOfPrograms();
    await sleep(t.window * 1000);
    const to = Date.now();
    const cpuTo = host.cpuOfPrograms();

    budget.stop();
    clearInterval(ticking);
    for (const room of rooms) publisher.publish(room);
    await publisher.end();
    const heads = await host.sql("SELECT topic, max(id) AS id FROM messages WHERE event = 'note' GROUP BY topic");
    const lastRows = Object.fromEntries(heads.map(({ topic, id }) => [topic, id]));
    const late = t.last > 0 ? await crowd.comesTo(lastRows, t.last * 1000) : [];
    const caughtUpAt = Date.now();
    const { clients, cpu } = await crowd.report();
    const leftAt = Date.now() + 1000;
    await sleep(1000 + t.after * 1000); // alone again, for a machine that is busy with other things
    load.stop();
    const rows = await host.sql(
      "SELECT id, topic, at, json_extract(payload, '$.uid') AS uid FROM messages WHERE event = 'note' ORDER BY id",
    );

    await sleep(500); // what is under way is logged when it has ended
    const requests = host.requests().map((r) => ({ ...r, kind: kindOf(r) }));
    const isAlone = ({ begun: at }) => at < cameAt || at >= leftAt;
    const alone = site(requests.filter(isAlone), begun, Infinity);
    const beside = site(requests, from, to);
    const files = requests.filter(({ kind }) => kind === "file");
    const never = clients.filter(({ first }) => first === null);
    const seconds = timeline(requests, begun, to);
    for (const { at, budget: most } of budget.seen) {
      const second = seconds[Math.floor((at - begun) / 1000)];
      if (second) second.budget = most;
    }
    const counted = seconds.filter(({ at }) => begun + at * 1000 >= from);
    return {
      clients: count, mix, limit, times: t,
      site: { alone, beside, p95Ratio: beside.p95 / alone.p95, all: site(requests, cameAt, to) },
      filesRefused: files.filter(({ status }) => status !== 200).length,
      chat: chat(requests, clients, from, to),
      delays: { ours: delays(clients, rows, "ours", from, to), stock: delays(clients, rows, "stock", from, to) },
      wrong: judgeAll(clients, rows),
      late,
      caughtUpMs: caughtUpAt - to,
      rows: rows.length,
      heard: clients.reduce((sum, { got }) => sum + got.length, 0),
      connected: {
        ours: clients.filter((c) => c.kind === "ours" && c.connected).length,
        stock: clients.filter((c) => c.kind === "stock" && c.connected).length,
      },
      neverAdmitted: {
        ours: never.filter(({ kind }) => kind === "ours").length,
        stock: never.filter(({ kind }) => kind === "stock").length,
      },
      said: clients.reduce((sums, { said }) => {
        for (const [, status] of said) sums[status] = (sums[status] ?? 0) + 1;
        return sums;
      }, {}),
      cpu: { // of a core
        programsAlone: (cpuAlone - cpuBegun) / (cameAt - begun),
        programsBeside: (cpuTo - cpuFrom) / (to - from),
        crowd: cpu / (caughtUpAt - cameAt),
      },
      held: counted.reduce((sum, { held }) => sum + held, 0) / counted.length,
      timeline: seconds,
      cameAt: (cameAt - begun) / 1000,
      from: (from - begun) / 1000,
    };
  } catch (error) {
    error.message += host.logs();
    throw error;
  } finally {
    clearInterval(ticking);
    budget?.stop();
    load.stop();
    crowd?.kill();
    await publisher?.end().catch(() => {});
    await host.stop();
  }
}

// waiters.mjs - what waiting processes cost, themselves and the one that writes
//
//     HOLDFAST_BIN=build node bench/waiters.mjs publish [COUNT] [PAUSE_MS]
//     HOLDFAST_BIN=build node bench/waiters.mjs idle [SECONDS]
//
// Fifty polls on fifty topics, each held by a process of holdfast-gateway that
// was started as plain CGI would, and started anew once it has answered. They ask
// as holdfast.js does, and so are held for up to half a minute.
//
// publish: PHP inserts COUNT rows (default 1000) to the topics in turn, PAUSE_MS
// apart (40); before and after it does the same with nobody there. How often was
// a process woken that found no row for its reader (its own words, log level
// debug), and how long did PHP's transactions take? Once with a resident process
// that watches (holdfast tail), once with polls alone, of which one watches.
//
// idle: nothing is published. CPU time of each process, /proc/PID/schedstat, from
// SETTLED_MS after its start on, as long as it is held: neither its start nor its
// answer is waiting. Of the processes of one reader the sum.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { execFile } from "node:child_process";

const POLLS = 50;
const SETTLED_MS = 2000;
const LOOK_MS = 500;
const BIN = process.env.HOLDFAST_BIN;
const PHP = fileURLToPath(new URL("waiters.php", import.meta.url));
const run = promisify(execFile);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const children = new Set();
process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));

function makeJournal() {
  const dir = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  execFileSync(join(BIN, "holdfast"), ["init", join(dir, "j")]);
  const journal = join(dir, "j");
  writeFileSync(join(journal, "holdfast.conf"), `[gateway]\ncgi_hold = 60s\ncgi_max_held = ${2 * POLLS}\nheld_first = ${2 * POLLS}\n[log]\nlevel = debug\n`);
  execFileSync(join(BIN, "holdfast"), ["--dir", journal, "allow", "room:*", "join"]);
  process.on("exit", () => rmSync(dir, { recursive: true, force: true }));
  return journal;
}

// One request as CGI: { child, done: Promise of { body, err } }.
function cgi(journal, token, body) {
  const query = "vsn=2.0.0&paced=1" + (token ? `&token=${encodeURIComponent(token)}` : "");
  const child = spawn(join(BIN, "holdfast-gateway"), ["--dir", journal], {
    env: {
      GATEWAY_INTERFACE: "CGI/1.1",
      REQUEST_METHOD: body ? "POST" : "GET",
      SCRIPT_NAME: "/socket/longpoll",
      PATH_INFO: "",
      REQUEST_URI: `/socket/longpoll?${query}`,
      QUERY_STRING: query,
      SERVER_PROTOCOL: "HTTP/1.1",
      REMOTE_ADDR: "127.0.0.1",
      HTTP_HOST: "localhost",
      ...(body ? { CONTENT_LENGTH: Buffer.byteLength(body), CONTENT_TYPE: "application/x-ndjson" } : {}),
    },
  });
  children.add(child);
  let out = "";
  let err = "";
  child.stdout.on("data", (part) => (out += part));
  child.stderr.on("data", (part) => (err += part));
  child.stdin.on("error", () => {});
  child.stdin.end(body ?? "");
  const done = new Promise((resolve) =>
    child.on("close", () => {
      children.delete(child);
      const at = out.indexOf("\r\n\r\n");
      resolve({ body: at < 0 ? { status: 0 } : JSON.parse(out.slice(at + 4)), err });
    }),
  );
  return { child, done };
}

class Reader {
  constructor(journal, number) {
    Object.assign(this, { journal, topic: `room:${number}`, rows: 0, seen: [] });
  }

  async join() {
    this.token = (await cgi(this.journal, null).done).body.token;
    const frame = JSON.stringify(["1", "1", this.topic, "phx_join", {}]);
    const post = (await cgi(this.journal, this.token, frame).done).body;
    const reply = (await cgi(this.journal, this.token).done).body;
    if (post.status !== 200 || reply.status !== 200) throw new Error("cannot join");
    this.token = reply.token;
  }

  async pollOn() {
    while (!this.stopped) {
      this.poll = cgi(this.journal, this.token);
      this.pollBegan = performance.now();
      const { body, err } = await this.poll.done;
      if (this.stopped) return;
      if ((body.status !== 200 && body.status !== 204) || body.next_ms) throw new Error(`answered ${JSON.stringify(body)}: ${err}`);
      this.token = body.token;
      if (body.status === 204) continue; // held as long as it may be
      this.rows += body.messages.length;
      const line = err.split("\n").find((text) => text.includes("event=waited"));
      if (!line) continue; // it did not wait: rows were there already
      const number = (name) => Number(new RegExp(`\\b${name}=(\\d+)`).exec(line)[1]);
      this.seen.push({
        watched: err.includes("event=watching"),
        bells: number("rung") + number("needless"),
        noticed: number("noticed"),
        looks: number("looks"),
        backstop: number("backstop"),
      });
    }
  }

  stop() {
    this.stopped = true;
    this.poll?.child.kill("SIGKILL");
  }
}

async function startReaders(journal) {
  const readers = Array.from({ length: POLLS }, (_, n) => new Reader(journal, n));
  for (const reader of readers) await reader.join();
  for (const reader of readers) {
    reader.pollOn().catch((error) => {
      console.error(error.message);
      process.exit(1);
    });
    await sleep(30);
  }
  await sleep(1500);
  return readers;
}

function startResident(journal) {
  const child = spawn(join(BIN, "holdfast"), ["--dir", journal, "tail", "elsewhere"], { stdio: "ignore" });
  children.add(child);
  return child;
}

async function publish(journal, count, pause) {
  const { stdout } = await run("php", [PHP, join(journal, "journal.db"), POLLS, count, pause], { maxBuffer: 1 << 26 });
  const us = stdout.trim().split("\n").map((text) => Number(text) / 1000).sort((a, b) => a - b);
  return { p50: us[us.length >> 1], mean: us.reduce((a, b) => a + b) / us.length, p99: us[Math.floor(us.length * 0.99)] };
}

const show = (title, t) =>
  console.log(`${title.padEnd(34)} transaction p50 ${t.p50.toFixed(0)} us  mean ${t.mean.toFixed(0)}  p99 ${t.p99.toFixed(0)}`);

async function measurePublish(count, pause, resident) {
  console.log(resident ? "with a resident watcher" : "polls alone, one of them watches");
  const journal = makeJournal();
  const before = await publish(journal, count / 2, pause);
  const watcher = resident && startResident(journal);
  if (resident) await sleep(500);
  const readers = await startReaders(journal);
  const during = await publish(journal, count, pause);
  await publish(journal, POLLS, pause); // one more each, so that all have told
  await sleep(1500);
  const told = readers.flatMap((reader) => reader.seen);
  const rows = readers.reduce((sum, reader) => sum + reader.rows, 0);
  readers.forEach((reader) => reader.stop());
  if (watcher) watcher.kill("SIGKILL");
  await sleep(500);
  const after = await publish(journal, count / 2, pause);
  const sum = (list, name) => list.reduce((total, one) => total + one[name], 0);
  const plain = told.filter((one) => !one.watched);
  const watchers = told.filter((one) => one.watched);
  // Each poll that ended had one row for its reader; each further bell had none.
  const needless = sum(told, "bells") - plain.filter((one) => one.bells > 0).length;
  show("  nobody waits, before", before);
  show(`  ${POLLS} polls wait`, during);
  show("  nobody waits, after", after);
  const ratio = (name) => (during[name] / ((before[name] + after[name]) / 2)).toFixed(2);
  console.log(`  times as slow: p50 ${ratio("p50")}  mean ${ratio("mean")}`);
  console.log(`  rows ${rows} of ${count + POLLS}; bells ${sum(told, "bells")}, found no row ${needless}: ${(needless / (count + POLLS)).toFixed(3)} a message`);
  console.log(`  polls that waited ${told.length}, rows found by the backstop ${told.filter((one) => !one.watched && one.bells === 0).length}`);
  if (watchers.length > 0)
    console.log(`  ${watchers.length} of them watched: ${sum(watchers, "looks")} looks, ${(sum(watchers, "looks") / (count + POLLS)).toFixed(1)} a message`);
}

const cpu = (pid) => {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, "latin1").split(" ")[0]);
  } catch {
    return NaN; // it has answered
  }
};

// What a reader's process used since the last look, if it is the same one and
// was held all the time.
function lookAt(reader) {
  const { child } = reader.poll;
  const now = { child, at: performance.now(), ns: cpu(child.pid) };
  const last = reader.lastLook;
  reader.lastLook = now.at - reader.pollBegan < SETTLED_MS || Number.isNaN(now.ns) || child.exitCode !== null ? null : now;
  if (!last || !reader.lastLook || last.child !== child) return;
  reader.heldMs += now.at - last.at;
  reader.usedNs += now.ns - last.ns;
}

async function measureIdle(seconds) {
  const journal = makeJournal();
  const resident = startResident(journal);
  await sleep(500);
  const readers = await startReaders(journal);
  await sleep(3000);
  readers.forEach((reader) => Object.assign(reader, { lastLook: null, heldMs: 0, usedNs: 0 }));
  const startResidentNs = cpu(resident.pid);
  const begun = performance.now();
  while (performance.now() - begun < seconds * 1000) {
    readers.forEach(lookAt);
    await sleep(LOOK_MS);
  }
  const wall = performance.now() - begun;
  const share = readers.map((reader) => (reader.usedNs / (reader.heldMs * 1e6)) * 100).sort((a, b) => a - b);
  const mean = share.reduce((a, b) => a + b) / share.length;
  const held = readers.reduce((sum, reader) => sum + reader.heldMs, 0) / POLLS;
  console.log(
    `${(wall / 1000).toFixed(0)} s, nothing published, % of a core: ${POLLS} CGI polls mean ${mean.toFixed(4)} max ${share.at(-1).toFixed(4)} ` +
      `(looked at for ${(held / 1000).toFixed(0)} s each); resident watcher ${(((cpu(resident.pid) - startResidentNs) / (wall * 1e6)) * 100).toFixed(4)}`,
  );
  readers.forEach((reader) => reader.stop());
}

const [what, first, second] = process.argv.slice(2);
if (what === "publish") {
  await measurePublish(Number(first ?? 1000), Number(second ?? 40), true);
  await measurePublish(Number(first ?? 1000), Number(second ?? 40), false);
} else if (what === "idle") {
  await measureIdle(Number(first ?? 300));
} else {
  console.error("usage: waiters.mjs publish [COUNT] [PAUSE_MS] | idle [SECONDS]");
  process.exit(2);
}
process.exit(0);

// What is killed with -9 loses nothing that was promised; and whoever judges
// that, judges well: histories that were spoilt by hand are refused, each for
// its reason. The long runs are in ../crash.
import { it } from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { within } from "./lib/wait.js";

const script = (name) => fileURLToPath(new URL(`../crash/${name}`, import.meta.url));

function run(command, args, ms) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  child.stdout.on("data", (part) => (out += part));
  child.stderr.on("data", (part) => (out += part));
  const ended = new Promise((done, fail) => {
    child.on("error", fail);
    child.on("close", (code) => done({ code, out }));
  });
  return within(ms, `${args[0]} is done`, ended).finally(() => child.kill());
}

it("keeps every promise while 30 processes are killed at random", async () => {
  const { code, out } = await run(process.execPath, [script("crash.mjs"), "--kills", "30"], 180000);
  console.log(out.trimEnd());
  assert.equal(code, 0, out);
});

// --- the judge ---------------------------------------------------------------

const EPOCH = "AAECAwQFBgc";
const cursor = (id, epoch = EPOCH) => `j:${epoch}.${id}`;
const now = 1700000000000;

// A sound history: ten rows of two topics, of which rows 1 and 2 are deleted;
// one reader was there all the time, one came back after that and has a gap.
function sound() {
  const journal = [];
  const events = [{ ev: "begin", clients: { live: "b", late: "b" } }];
  const topicOf = (id) => (id % 2 ? "t" : "u");
  const row = (id) => ({
    uid: `u${id}`,
    topic: topicOf(id),
    pub: "p",
    key: `k${id}`,
    sum: `s${id}`,
  });
  for (let id = 1; id <= 10; id++) {
    events.push({ ev: "sent", ...row(id) });
    journal.push({ ev: "commit", id, epoch: EPOCH, ...row(id) });
    events.push({ ev: "acked", uid: `u${id}`, cursor: id });
  }
  journal.splice(6, 0, { ev: "trim", topic: "t", through: 3 });
  const kept = [2, 4, 5, 6, 7, 8, 9, 10].map((id) => [id, `u${id}`]);
  journal.push({ ev: "kept", rows: kept }, { ev: "integrity", text: "ok" });
  const join = (client, topic, sess, since, id, gap = null) =>
    events.push({ ev: "joined", client, topic, sess, cursor: id, since, gap, epoch: EPOCH });
  const deliver = (client, id) =>
    events.push({ ev: "deliver", client, sess: 1, id, epoch: EPOCH, ...row(id) });
  for (const topic of ["t", "u"]) join("live", topic, 1, "", 0);
  for (let id = 1; id <= 6; id++) deliver("live", id);
  events.push({ ev: "kill", what: "gateway-0" });
  for (const topic of ["t", "u"]) join("live", topic, 2, cursor(topic === "t" ? 5 : 6), 6);
  for (let id = 7; id <= 10; id++) deliver("live", id);
  join("late", "t", 1, "", 0);
  join("late", "t", 2, cursor(0), 4, "trimmed");
  for (const id of [5, 7, 9]) deliver("late", id);
  events.push({ ev: "calm", late_ms: 100 });
  events.push({ ev: "acked", uid: "u9", cursor: 9, ms: now });
  for (const [client, topic] of [
    ["live", "t"],
    ["live", "u"],
    ["late", "t"],
  ])
    events.push({ ev: "end", client, topic, state: "joined", pushes: 0 });
  return { journal, events };
}

async function judge({ journal, events }) {
  const dir = mkdtempSync(join(tmpdir(), "holdfast-history."));
  try {
    const names = { "journal.jsonl": journal, "events.jsonl": events };
    const paths = Object.entries(names).map(([name, list]) => {
      const lines = list.map((event, i) => JSON.stringify({ ms: now + i, ...event }));
      writeFileSync(join(dir, name), `${lines.join("\n")}\n`);
      return join(dir, name);
    });
    return await run("python3", [script("history.py"), ...paths], 20000);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

it("finds nothing in a sound history", async () => {
  const { code, out } = await judge(sound());
  assert.equal(code, 0, out);
  assert.match(
    out,
    /^# 10 rows, 10 sent, 11 answers, 13 deliveries, 6 joins, 1 with a gap, 1 trims/,
  );
});

const find = (list, ev, id) => list.findIndex((e) => e.ev === ev && (id === undefined || e.id === id));
const remove = (list, ev, id) => list.splice(find(list, ev, id), 1);
const ack = ({ events }, uid) => events.find((e) => e.ev === "acked" && e.uid === uid);

const SPOILS = {
  "an acknowledged message is lost": [
    "ack-not-journaled",
    ({ journal }) => {
      remove(journal, "commit", 10);
      journal.at(-2).rows.pop();
    },
  ],
  "an acknowledged message was there and vanishes": [
    "vanished",
    ({ journal }) => journal.at(-2).rows.pop(),
  ],
  "an id is given to another message": [
    "vanished",
    ({ journal }) => (journal.at(-2).rows.at(-1)[1] = "u11"),
  ],
  "a row slips in behind what was read": [
    "slipped-in",
    ({ journal }) => journal.at(-2).rows.splice(1, 0, [3, "u3"]),
  ],
  "a repeat is answered with another cursor": [
    "ack-cursor",
    ({ events }) => events.push({ ev: "acked", uid: "u7", cursor: 8 }),
  ],
  "two messages are told the same id": ["ack-cursor", (h) => (ack(h, "u7").cursor = 8)],
  "a repeat is journaled once more": [
    "push-twice",
    ({ journal }) => {
      const row = journal[find(journal, "commit", 9)];
      journal.splice(-2, 0, { ...row, id: 11 });
      journal.at(-2).rows.push([11, row.uid]);
    },
  ],
  "a key counts for two messages": [
    "key-twice",
    ({ journal, events }) => {
      journal[find(journal, "commit", 10)].key = "k9";
      events[find(events, "sent") + 18].key = "k9";
    },
  ],
  "nobody published a row": ["unpublished", ({ events }) => remove(events, "sent")],
  "a row has other bytes": ["altered", ({ journal }) => (journal[find(journal, "commit", 5)].sum = "x")],
  "a row is on another topic": [
    "altered",
    ({ journal }) => (journal[find(journal, "commit", 5)].topic = "u"),
  ],
  "a reader gets other bytes": [
    "altered",
    ({ events }) => (events[find(events, "deliver", 5)].sum = "x"),
  ],
  "a reader gets what nobody published": [
    "phantom",
    ({ events }) => (events[find(events, "deliver", 5)].uid = "u99"),
  ],
  "a reader gets rows in another order": [
    "twice-or-reordered",
    ({ events }) => {
      const [a, b] = [find(events, "deliver", 3), find(events, "deliver", 5)];
      [events[a], events[b]] = [events[b], events[a]];
    },
  ],
  "a reader gets a row twice over a kill": [
    "twice-or-reordered",
    ({ events }) => events.splice(find(events, "deliver", 7), 0, events[find(events, "deliver", 5)]),
  ],
  "a reader misses a row without a gap": ["lost", ({ events }) => remove(events, "deliver", 4)],
  "a reader misses what was deleted without a gap": [
    "lost",
    ({ events }) => remove(events, "deliver", 3),
  ],
  "a reader misses the last row": ["not-delivered", ({ events }) => remove(events, "deliver", 10)],
  "a reader does not come back": ["stuck", ({ events }) => (events.at(-1).state = "joining")],
  "a gap has no reason": [
    "gap-unfounded",
    ({ events }) =>
      Object.assign(events[find(events, "kill") + 2], { gap: "trimmed", since: cursor(6) }),
  ],
  "a reset has no reason": [
    "reset-unfounded",
    ({ events }) => (events[find(events, "kill") + 2].gap = "reset"),
  ],
  "another history begins without a word": [
    "epoch-silent",
    ({ journal, events }) => {
      const row = journal[find(journal, "commit", 10)];
      journal.splice(-2, 0, { ev: "epoch", epoch: "new", rows: [[10, row.topic, row.uid]] });
      events[find(events, "deliver", 10)].epoch = "new";
    },
  ],
  "an id is given again after a script lowered the sequence": [
    "id-twice",
    ({ journal, events }) => {
      journal.splice(-2, 0, { ev: "trim", topic: "u", through: 10 });
      const row = { uid: "u11", topic: "u", pub: "p", key: "k11", sum: "s11" };
      events.unshift({ ev: "sent", ...row });
      journal.splice(-2, 0, { ev: "commit", id: 2, epoch: EPOCH, ...row });
      journal.at(-2).rows = [5, 7, 9].map((id) => [id, `u${id}`]).concat([[2, "u11"]]);
      events.splice(-3, 0, {
        ...{ ev: "deliver", client: "live", sess: 2, epoch: EPOCH },
        ...{ id: 2, ...row },
      });
    },
  ],
  "the same token brings something else": [
    "token-not-repeatable",
    ({ events }) => {
      const token = { client: "live", token: "T", status: 200 };
      events.push({ ev: "answer", ...token, ids: [["row", 4]] });
      events.push({ ev: "got", ...token, ids: [["row", 6]] });
    },
  ],
  "a client is sent what the protocol forbids": [
    "fault",
    ({ events }) => events.push({ ev: "fault", text: "a row without its cursor" }),
  ],
  "the file is damaged": ["damaged", ({ journal }) => (journal.at(-1).text = "page 7: bad")],
  "rows come only with the next look": [
    "late",
    ({ events }) => {
      events.push({ ev: "acked", uid: "u9", cursor: 9, ms: now - 300 });
    },
  ],
  "nothing is measured when all is calm": [
    "unmeasured",
    ({ events }) => events.splice(find(events, "calm") + 1, 1),
  ],
  "nobody reads": [
    "unheard",
    (h) => (h.events = h.events.filter(({ ev }) => ev !== "deliver" && ev !== "end")),
  ],
};

for (const [what, [rule, spoil]] of Object.entries(SPOILS)) {
  it(`refuses a history in which ${what}`, async () => {
    const history = sound();
    spoil(history);
    const { code, out } = await judge(history);
    assert.equal(code, 1, out);
    assert.match(out, new RegExp(`^${rule} at `, "m"));
  });
}

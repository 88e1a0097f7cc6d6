// The checker of tests/model catches what it should. Runs without the programs.
import { it } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { check } from "./lib/trace.js";

const MODEL = fileURLToPath(new URL("../model/run", import.meta.url));

const run = (...args) =>
  new Promise((resolve) => {
    execFile("python3", [MODEL, ...args], { timeout: 60000 }, (error, stdout) =>
      resolve({ code: error?.code ?? 0, stdout }),
    );
  });

// A sound trace: one client, ten rows, one kill in between.
function sound() {
  const me = { client: "b", topic: "t" };
  const events = [{ ev: "begin", clients: { b: "b" } }];
  for (let id = 1; id <= 10; id++)
    events.push({ ev: "commit", id, topic: "t", uid: `u${id}`, pub: "u", key: null, epoch: "e" });
  const join = (sess, since, cursor) =>
    events.push({ ev: "joined", ...me, sess, since, cursor, gap: false, epoch: "e" });
  const rows = (sess, from, to) => {
    for (let id = from; id <= to; id++) {
      events.push({ ev: "recv", ...me, sess, what: "row", id, jr: "1" });
      events.push({ ev: "deliver", ...me, sess, id, uid: `u${id}`, epoch: "e" });
    }
  };
  join(1, "", 0);
  rows(1, 1, 6);
  events.push({ ev: "kill", proc: "gateway" });
  join(2, "j:e.6", 6);
  rows(2, 7, 10);
  events.push({ ev: "acked", uid: "u3", cursor: 3 });
  events.push({
    ev: "answer",
    client: "b",
    token: "T",
    status: 200,
    ids: [
      ["row", 4],
      ["row", 5],
    ],
  });
  events.push({
    ev: "got",
    client: "b",
    token: "T",
    ids: [
      ["row", 4],
      ["row", 5],
    ],
  });
  events.push({ ev: "end", ...me, state: "joined", pushes: 0 });
  return events;
}

const numbered = (events) => events.map((event, at) => ({ ...event, at }));
const at = (events, ev, id) => events.findIndex((e) => e.ev === ev && e.id === id);

it("finds nothing in a sound trace", async () => {
  assert.deepEqual(await check(numbered(sound())), []);
});

const SPOILS = {
  "a message lost in the middle": ["lost", (t) => t.splice(at(t, "deliver", 5), 1)],
  "a message lost over a kill": ["lost", (t) => t.splice(at(t, "deliver", 7), 1)],
  "the last message lost": ["not-delivered", (t) => t.splice(at(t, "deliver", 10), 1)],
  "a message doubled": [
    "twice-or-reordered",
    (t) => t.splice(at(t, "deliver", 5), 0, t[at(t, "deliver", 5)]),
  ],
  "a message doubled over a kill": [
    "twice-or-reordered",
    (t) => t.splice(at(t, "deliver", 7), 0, t[at(t, "deliver", 6)]),
  ],
  "two messages swapped": [
    "twice-or-reordered",
    (t) => {
      const [a, b] = [at(t, "deliver", 4), at(t, "deliver", 5)];
      [t[a], t[b]] = [t[b], t[a]];
    },
  ],
  "a message nobody published": ["phantom", (t) => (t[at(t, "deliver", 5)].uid = "u99")],
  "an ok for what is not in the journal": [
    "ack-not-journaled",
    (t) => t.push({ ev: "acked", uid: "u99", cursor: 99 }),
  ],
  "an ok with another cursor": ["ack-cursor", (t) => (t.find((e) => e.ev === "acked").cursor = 4)],
  "a row journaled twice": ["push-twice", (t) => t.splice(11, 0, { ...t[10], id: 11 })],
  "another answer to the same token": [
    "token-not-repeatable",
    (t) => (t.find((e) => e.ev === "got").ids = [["row", 5]]),
  ],
  "a silent change of the epoch": [
    "epoch-silent",
    (t) => {
      t.splice(11, 0, {
        ev: "commit",
        id: 11,
        topic: "t",
        uid: "u11",
        pub: "u",
        key: null,
        epoch: "f",
      });
      t.splice(-1, 0, { ...t[at(t, "deliver", 10)], id: 11, uid: "u11", epoch: "f" });
    },
  ],
  "a channel that is still joining": ["stuck", (t) => (t.at(-1).state = "joining")],
};

for (const [what, [rule, spoil]] of Object.entries(SPOILS)) {
  it(`catches ${what}`, async () => {
    const events = sound();
    spoil(events);
    const found = await check(numbered(events));
    assert.ok(
      found.some((line) => line.startsWith(`${rule} `)),
      `expected ${rule}, found ${JSON.stringify(found)}`,
    );
  });
}

it("finds nothing in 300 schedules of the model", async () => {
  const { code, stdout } = await run("--seeds", "300", "--keep-going");
  assert.equal(code, 0);
  assert.match(stdout, /all passed/);
});

const VARIANTS = [
  "two_snapshots",
  "cut_cursor_is_head",
  "replay_null_ref",
  "gap_watermark_only",
  "ack_before_commit",
  "no_session_bell",
  "reply_cursor_is_head",
  "heads_cry_wolf",
  "no_key",
  "head_is_hub",
];

for (const variant of VARIANTS) {
  it(`catches the model with the mistake ${variant}`, async () => {
    const { code, stdout } = await run("--seeds", "200", "--flags", variant);
    assert.equal(code, 1);
    assert.match(stdout, /^CAUGHT/);
  });
}

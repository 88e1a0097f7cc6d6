// Nothing lost, nothing twice, nothing out of order: www/holdfast.js through many
// days of bad luck, counted in the callbacks of its application. And the same
// client with one of its ways of doing so taken out: then it must be noticed.
//
//     HOLDFAST_SEEDS=20000 node --test client_once.test.js
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as whole from "../../www/holdfast.js";
import { TOPIC, connect, listen, outcome } from "./lib/client.js";
import { generator } from "./lib/random.js";
import { WORKS, World } from "./lib/world.js";

const FIRST = Number(process.env.HOLDFAST_SEED ?? 1);
const COUNT = Number(process.env.HOLDFAST_SEEDS ?? 1000);
const PATIENT = 300000; // ms a push may wait: longer than any bad luck here lasts

// One page and its server; what happened to it, or a complaint.
async function play(seed, { Socket, Presence, REASONS } = whole) {
  const random = generator(seed);
  const pick = (list) => list[Math.floor(random() * list.length)];
  const world = new World(random);
  world.net.delay = () => random() * 60;
  world.enter(TOPIC, "host");
  const options = { timeout: 3000, longPollFallbackMs: 500, heartbeatIntervalMs: 2000 };
  const socket = connect(world, options, Socket);
  const { channel, heard } = listen(socket);
  const presence = new Presence(channel);
  const reasons = [];
  socket.logger = (kind, _text, reason) => kind === "channel" && reasons.push(reason?.number);
  await world.pass(2000);

  const pushes = []; // {n, timeout, answer}
  const lossy = random() < 0.3;
  const limited = random() < 0.5;
  let due = 0; // of the server's patience with pushes
  let n = 0;
  const push = (timeout) => pushes.push({ n: ++n, timeout, answer: outcome(channel.push("n", { n }, timeout)) });
  world.limit = () => {
    const retry_ms = due - 200 - world.now;
    if (limited && retry_ms > 0) return { reason: pick(["rate_limited", "busy"]), retry_ms };
    due = Math.max(due, world.now) + 20;
    return null;
  };
  const topicsPeople = () => Object.keys(world.present.get(TOPIC) ?? {});

  for (let i = 0; i < 80; i++) {
    const what = random();
    if (what < 0.22) world.publish(TOPIC, "n", { n: ++n });
    else if (what < 0.4) for (let k = random() * 6; k > 0; k--) push(pick([PATIENT, PATIENT, 2000]));
    else if (what < 0.48) world.cutSockets();
    else if (what < 0.52) world.endSessions(pick([500, 410]));
    else if (what < 0.6) world.net.websocket = pick(["ok", "ok", "refuse", "hang", "mute"]);
    else if (what < 0.68) world.net.longpoll = pick(["ok", "ok", "refuse", "lose answer", "html", "swallow"]);
    else if (what < 0.7) world.net[pick(["get", "post"])] = pick([null, null, "refuse", "lose answer", "swallow"]);
    else if (what < 0.71) world.silence();
    else if (what < 0.72) Object.assign(world.net, { lag: pick([0, 0, 300, 3000]), cut: pick([0, 0, 500]) });
    else if (what < 0.8) socket.replaceTransport(pick([undefined, "longpoll", "websocket"]));
    else if (what < 0.82) world.tellMembers(TOPIC, "phx_error", { reason: "gap" });
    else if (what < 0.85) channel.rejoin();
    else if (what < 0.86) socket.disconnect(() => socket.connect());
    else if (what < 0.88) world.cutSockets({ code: 1012, reason: "retry_ms=1000" });
    else if (what < 0.93) world.enter(TOPIC, `p${i}`);
    else if (what < 0.96 && topicsPeople().length > 0) world.exit(TOPIC, pick(topicsPeople()));
    else if (what < 0.98 && lossy) world.lose();
    await world.pass(random() * random() * 2000);
  }
  Object.assign(world.net, WORKS);
  await world.pass(90000);

  return { seed, world, channel, heard, presence, reasons, pushes, lossy, REASONS, topicsPeople };
}

// What is wrong with it; null: nothing.
function judge({ world, channel, heard, presence, reasons, pushes, lossy, REASONS, topicsPeople }) {
  const rows = world.rows.filter(({ event }) => event === "n").map(({ payload }) => payload.n);
  const seen = new Set(heard.n);
  if (channel.state !== "joined") return `the channel is ${channel.state}`;
  if (seen.size !== heard.n.length) return "twice";
  if (rows.some((n) => !seen.has(n))) return "lost";
  if (JSON.stringify(rows) !== JSON.stringify(heard.n)) return "out of order";
  if (new Set(rows).size !== rows.length) return "a push had its effect twice";
  for (const { n, timeout, answer } of pushes) {
    if (answer.length !== 1) return `${answer.length} outcomes of a push`;
    const [[status]] = answer;
    if (status !== "ok" && timeout === PATIENT) return "a push that could wait was given up";
    if (status === "ok" && !rows.includes(n)) return "a push was answered and not done";
    if (status === "error" && rows.includes(n)) return "a push was refused and done";
  }
  // in the order in which they were made; what was given up may come any time
  const own = new Set(pushes.filter(({ answer: [[status]] }) => status === "ok").map(({ n }) => n));
  const done = rows.filter((n) => own.has(n));
  if (done.some((n, i) => n < done[i - 1])) return "pushes passed each other";
  if (JSON.stringify(presence.list((key) => key).sort()) !== JSON.stringify(topicsPeople().sort()))
    return "presence is wrong";
  if (!lossy && reasons.includes(REASONS.loss.number)) return "a false alarm";
  return null;
}

describe("a random schedule", () => {
  it("loses, doubles and reorders nothing", { timeout: 600000 }, async () => {
    const total = { messages: 0, pushes: 0, connections: 0, repeats: 0, alarms: 0 };
    for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
      const game = await play(seed);
      assert.equal(judge(game), null, `seed ${seed}`);
      total.messages += game.heard.n.length;
      total.pushes += game.pushes.length;
      total.connections += game.world.dialled.length;
      total.repeats += game.world.repeats;
      total.alarms += game.reasons.filter((number) => number === whole.REASONS.loss.number).length;
    }
    const story = JSON.stringify(total);
    if (COUNT > 1000) console.log(story);
    assert.ok(total.messages > 20 * COUNT && total.connections > 10 * COUNT, story);
    if (COUNT >= 100) assert.ok(total.repeats > COUNT / 4 && total.alarms > COUNT / 20, story);
  });
});

// What holds the promise, one by one: the text of the client, and that without it.
const BROKEN = {
  "no filter by cursor": ["else if (!present) return;", ""],
  "no keys": ["const options = key ? { key } : undefined;", "const options = key ? {} : undefined;"],
  "another key each time": ["this.#transmit(push.event, push.ref, push.payload, options);", "this.#transmit(push.event, push.ref, push.payload, options && { key: unique() });"],
  "no repeats": ["const again = push.sentWith === null || push.options;", "const again = push.sentWith === null;"],
  "repeats behind what is new": ["for (const push of this.#pushes.slice(0, this.#window)) {", "for (const push of this.#pushes.slice(0, this.#window).reverse()) {"],
  "order of pushes that are refused": ["const options = push.options && { ...push.options, after };", "const options = push.options;"],
  "no heads": ["return { heads: true };", "return {};"],
  "messages of a stale join pass": ["if (!ours && (join_ref !== this.#olderRef || event.startsWith(\"phx_\"))) return;", ""],
};

describe("a client without", () => {
  for (const [name, [text, instead]] of Object.entries(BROKEN)) {
    it(`${name} is caught`, { timeout: 120000 }, async () => {
      const source = readFileSync(new URL("../../www/holdfast.js", import.meta.url), "utf8");
      assert.equal(source.split(text).length, 2, "the text stands there once");
      const patched = Buffer.from(source.replace(text, instead)).toString("base64");
      const client = await import(`data:text/javascript;base64,${patched}`);
      for (let seed = 1; seed <= 1000; seed++) {
        const wrong = await play(seed, client).then(judge, ({ message }) => message);
        if (wrong) return;
      }
      assert.fail("a thousand schedules found nothing");
    });
  }
});

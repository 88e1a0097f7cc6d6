// Recordings of real Phoenix servers, replayed against Holdfast: what a raw
// client sent then is sent again, and what it got must come again. Behind
// Holdfast is the recorded application, as a hook (tests/transcripts/app.py).
//
// lib/differences.js lists where Holdfast answers otherwise on purpose. What is
// listed there must differ, in the way it says; all others match as recorded.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { AS_1_7, DIFFERENT, MADE_CERTAIN, OF_1_7, patched } from "./lib/differences.js";
import { RecordedApp } from "./lib/recorded_app.js";
import { isReceived, replay } from "./lib/replay.js";
import { Server } from "./lib/server.js";
import { Inbox } from "./lib/wait.js";

const TOP = new URL("../transcripts/", import.meta.url);
const INDEX = readFileSync(new URL("INDEX", TOP), "utf8").trim().split("\n");
const recording = (name) => JSON.parse(readFileSync(new URL(`${name}.json`, TOP), "utf8"));
const OLD = "phoenix-1.7/";
const listed = (name) =>
  name.startsWith(OLD)
    ? OF_1_7[name.slice(OLD.length)]
    : (DIFFERENT[name] ?? AS_1_7.includes(name));

// --- servers -----------------------------------------------------------------

// Most of a replay is waiting, so several go on at once, each with servers of
// its own while it lasts.
const AT_ONCE = 6;

// How long something must have stayed away to count as missing, where that is
// what is hoped for.
const IMPATIENCE = 3000;

// One instance of Holdfast has one mount, and the settings that were that
// mount's. /socket had no limits; the recorded long-polls are all of /fast, and
// share an application with the WebSockets of /socket.
const ORIGINS = "localhost, 127.0.0.1, *.allowed.example";
const PLAIN = { max_frame: "8M", tokens: "application" };
const KINDS = {
  main: { http: PLAIN, journal: { max_payload: "2M" } },
  fast: { sidecar: { idle: "1500ms" }, http: { mount: "/fast" } },
  small: { http: { mount: "/small", max_frame: "4096" } },
  crypto: { http: { mount: "/crypto" }, gateway: { revive: "2s" } },
  sub: { http: { mount: "/sub" } },
  auth: { http: { mount: "/auth", tokens: "application" } },
};

const kindOf = (path) => {
  const [, mount, transport] = /^\/(\w+)\/(websocket|longpoll)\b/.exec(path) ?? [];
  if (mount === "fast" && transport === "longpoll") return "main";
  if (mount === "sub" && transport === "longpoll") return "main"; // switched off: no such path
  return mount in KINDS ? mount : "main";
};
const theirPath = (path) => path.replace(/^\/fast\/longpoll\b/, "/socket/longpoll");

class Instance {
  static async start(kind) {
    const instance = new Instance();
    const { http = {}, gateway = {}, ...more } = KINDS[kind];
    instance.server = await Server.start({
      allow: [
        ["room:*", "join,publish", "off"],
        ["room:presence*", "join,publish,presence", "off"],
        ["exact", "join,publish", "off"],
      ],
      conf: {
        http: { origins: ORIGINS, ...http },
        gateway: { hold: "800ms", ...gateway },
        ...more,
      },
      prepare: async (server) => {
        instance.app = await RecordedApp.beside(server);
      },
    });
    return instance;
  }

  async stop() {
    await this.server.stop();
    await this.app.stop();
  }
}

const pools = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, new Inbox(kind)]));
const instances = [];

before(async () => {
  const wanted = [...Object.keys(KINDS), ...new Array(AT_ONCE - 1).fill("main")];
  for (const kind of wanted) {
    const instance = await Instance.start(kind);
    instances.push(instance);
    pools[kind].push(instance);
  }
});
after(() => Promise.all(instances.map((instance) => instance.stop())));

// The instances that the paths of a recording belong to, in the order of KINDS.
function kindsOf(steps) {
  const paths = steps.filter((step) => step.path).map((step) => step.path);
  const needed = new Set(paths.map(kindOf));
  return Object.keys(KINDS).filter((kind) => needed.has(kind));
}

async function withInstances(kinds, run) {
  const taken = {};
  try {
    for (const kind of kinds) taken[kind] = await pools[kind].next(90000, `a free ${kind}`);
    return await run(taken);
  } finally {
    for (const [kind, instance] of Object.entries(taken)) pools[kind].push(instance);
  }
}

// --- playing -----------------------------------------------------------------

async function publish(server, { topic, event, payload, refused }) {
  const publishing = server.publish(topic, event, payload);
  if (refused) return assert.rejects(publishing, /reserved|phx_/);
  return publishing.catch((error) => assert.fail(`publishing ${event}: ${error.message}`));
}

async function play(steps, patience) {
  await withInstances(kindsOf(steps), async (taken) => {
    const [first] = Object.values(taken);
    const site = {
      at: (path) => ({ port: taken[kindOf(path)].server.port, path: theirPath(path) }),
    };
    try {
      const broadcast = (step) => publish(first.server, step);
      await replay({ site, steps, broadcast, patience });
    } catch (error) {
      if (patience === undefined)
        for (const { server } of Object.values(taken)) error.message += server.logs();
      throw error;
    }
  });
}

const stepsOf = (name) => patched(recording(name).steps, MADE_CERTAIN[name] ?? {});
const asRecorded = (name, patience) => play(stepsOf(name), patience);

// It must fail for what was compared, not for a mistake of ours.
const mustDiffer = (name, playing) =>
  assert.rejects(
    playing,
    (error) => {
      assert.match(`${error.code} ${error.message}`, /ERR_ASSERTION|not within/);
      return true;
    },
    `${name} matches after all`,
  );

const test = (name, run) => it(name, { timeout: 120000 }, run);
const group = (name, tests) => describe(name, { concurrency: AT_ONCE }, tests);

// --- the tests ---------------------------------------------------------------

const same = new Set(); // recordings that matched as recorded

group("as recorded", () => {
  for (const name of INDEX.filter((name) => !listed(name)))
    test(name, async () => {
      await asRecorded(name);
      same.add(name);
    });
});

group("with a deliberate difference", () => {
  for (const [name, difference] of Object.entries(DIFFERENT))
    test(`${name} (${difference.section}, ${difference.rule}: ${difference.why})`, () =>
      play(patched(stepsOf(name), difference)));
});

group("what is listed does differ", () => {
  for (const name of INDEX.filter(listed))
    test(name, () => mustDiffer(name, asRecorded(name, IMPATIENCE)));
});

// --- what Phoenix loses and we do not ------------------------------------------

group("nothing is lost where Phoenix loses", () => {
  for (const file of readdirSync(new URL("not-lost/", TOP)))
    test(file, () => asRecorded(`not-lost/${file.replace(/\.json$/, "")}`));
});

// --- a difference is noticed -------------------------------------------------

const change = (n, how) => (steps) =>
  steps.map((step) => (step.n === n ? { ...step, ...how(step) } : step));
const without = (n) => (steps) => steps.filter((step) => step.n !== n);
const twice = (n) => (steps) => steps.flatMap((step) => (step.n === n ? [step, step] : [step]));
const text = (n, from, to) =>
  change(n, (step) => ({ text: step.text.replace(from, to) }));
const inBody = (n, how) =>
  change(n, (step) => {
    const value = JSON.parse(step.body);
    how(value);
    return { body: JSON.stringify(value) };
  });
const header = (n, name, value) =>
  change(n, (step) => ({ headers: { ...step.headers, [name]: value } }));

const CORRUPTED = {
  "a word of a message": ["join-ok.websocket", text(4, '"ok"', '"no"')],
  "a ref": ["leave.websocket", text(6, '"2"', '"3"')],
  "a byte of a binary frame": [
    "binary-push-echo.websocket",
    change(6, (step) => ({ hex: step.hex.replace(/ff$/, "fe") })),
  ],
  "a message too few": ["leave.websocket", without(7)],
  "a message too many": ["join-ok.websocket", twice(4)],
  "another presence": ["presence.websocket", text(13, "phx_ref.2", "phx_ref.1")],
  "the selected subprotocol": [
    "ws-auth-token.websocket",
    header(2, "sec-websocket-protocol", "sip"),
  ],
  "the status of a refusal": ["vsn-3.0.0.websocket", change(2, () => ({ http_status: 401 }))],
  "a close code": ["ws-invalid-utf8.websocket", (steps) =>
    steps.map((step) => (step.do === "ws-closed" ? { ...step, code: 1002 } : step))],
  "what is in a pong": ["ws-ping-keeps-alive.websocket", (steps) =>
    steps.map((step) => (step.do === "ws-pong-recv" ? { ...step, text: "other" } : step))],
  "the HTTP status": ["join-ok.longpoll", change(4, () => ({ http_status: 201 }))],
  "the status of a POST": ["join-ok.longpoll", inBody(4, (value) => (value.status = 410))],
  "the status of a poll": ["lp-poll-timeout.longpoll", (steps) =>
    steps.map((step) =>
      step.body?.includes("204") ? { ...step, body: step.body.replace("204", "410") } : step,
    )],
  "a token that was not there": ["join-ok.longpoll", inBody(4, (value) => (value.token = "x"))],
  "no token": ["join-ok.longpoll", inBody(2, (value) => delete value.token)],
  "a word of a message in a poll": [
    "join-ok.longpoll",
    inBody(6, (value) => (value.messages[0] = value.messages[0].replace('"ok"', '"no"'))),
  ],
  "a message too few in a poll": ["leave.longpoll", inBody(10, (value) => value.messages.pop())],
  "a message too many in a poll": [
    "leave.longpoll",
    inBody(10, (value) => value.messages.push(value.messages[0])),
  ],
  "the order of messages": ["leave.longpoll", inBody(10, (value) => value.messages.reverse())],
  "a header": ["join-ok.longpoll", header(4, "access-control-allow-origin", "null")],
};

group("a recording that was altered does not match", () => {
  for (const [what, [name, alter]] of Object.entries(CORRUPTED))
    test(`${what}: ${name}`, async () => {
      const steps = stepsOf(name);
      const altered = alter(steps);
      assert.notDeepEqual(altered, steps, "the test alters nothing");
      await mustDiffer(name, play(altered, IMPATIENCE));
    });
});

// --- the lists ---------------------------------------------------------------

// Sections of the specification with an H mark: Holdfast may or should differ.
const H = new Set(
  ["1 2.4 2.5 3.1 3.3 4.1 4.2 4.3 4.4 4.5 4.9", "5.2 5.3 5.5 6.3 6.4 6.5 6.7 6.8 6.9 12.3"]
    .join(" ")
    .split(" "),
);

// Without one: where the specification says "may" or "usually".
const MAY = {
  "late-reply.websocket": "4",
  "late-reply.longpoll": "4",
  "presence.longpoll": "7",
};

describe("the lists", () => {
  it("name every recording, and no other", () => {
    const files = ["", OLD].flatMap((folder) =>
      readdirSync(new URL(folder || ".", TOP))
        .filter((file) => file.endsWith(".json"))
        .map((file) => folder + file.replace(/\.json$/, "")),
    );
    assert.deepEqual([...INDEX].sort(), files.sort());
    const named = [...Object.keys(DIFFERENT), ...Object.keys(MADE_CERTAIN), ...AS_1_7];
    for (const name of named) assert.ok(INDEX.includes(name), name);
    for (const name of [...Object.keys(OF_1_7), ...AS_1_7])
      assert.ok(INDEX.includes(OLD + name), OLD + name);
  });

  it("give a section that leaves it to the server, and a rule with the reason", () => {
    const protocol = readFileSync(new URL("../../docs/PROTOCOL.md", import.meta.url), "utf8");
    const reasons = protocol.split(/^## /m).find((part) => part.startsWith("11."));
    for (const [name, { section, rule }] of Object.entries(DIFFERENT)) {
      const may = H.has(section) || MAY[name] === section;
      assert.ok(may, `${name}: no H mark in section ${section}`);
      assert.ok(reasons.includes(`| ${rule} |`), `${name}: ${rule} is not in section 11`);
    }
  });
});

// --- how much that is --------------------------------------------------------

const transportOf = (name) => name.split(".").at(-1);
const share = (part, all) => `${part} of ${all} (${((100 * part) / all).toFixed(1)} %)`;

function count(transport) {
  const names = INDEX.filter((name) => !transport || transportOf(name) === transport);
  const now = names.filter((name) => !name.startsWith(OLD));
  const matched = (name) => same.has(name) || same.has(OLD + name);
  const decided = now.filter((name) => !H.has(DIFFERENT[name]?.section));
  const answers = now.flatMap((name) => recording(name).steps.filter(isReceived));
  const otherwise = now.flatMap((name) => {
    const { patch = {} } = DIFFERENT[name] ?? {};
    return recording(name).steps.filter((step) => isReceived(step) && step.n in patch);
  });
  return {
    scenarios: [now.filter(matched).length, now.length],
    decided: [decided.filter(matched).length, decided.length],
    listed: now.filter((name) => DIFFERENT[name]).length,
    old: [names.filter((n) => n.startsWith(OLD) && same.has(n)).length, names.length - now.length],
    answers: [answers.length - otherwise.length, answers.length],
  };
}

describe("how much that is", () => {
  it("is told, and nearly all of what no H mark leaves to a server", (t) => {
    for (const transport of ["websocket", "longpoll", "mixed", undefined]) {
      const { scenarios, decided, listed: entries, old, answers } = count(transport);
      t.diagnostic(
        `${transport ?? "all"}: ${share(...scenarios)} scenarios as recorded, ${entries} listed; ` +
          `of those without an H mark: ${share(...decided)}; answers: ${share(...answers)}` +
          (old[1] ? `; of 1.7, where it differs from 1.8: ${old[0]} of ${old[1]}` : ""),
      );
    }
    const [matched, all] = count().decided;
    assert.ok(matched >= 0.95 * all, share(matched, all));
  });
});

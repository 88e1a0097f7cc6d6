// Recordings of a real Phoenix server, replayed against Holdfast: what a raw
// client sent then is sent again, and what it got must come again.
//
// All 181 recordings are in one of the tables below. DIFFERENT says where
// Holdfast answers otherwise on purpose, with the section of the protocol
// specification that says so; ABSENT says why a recording is not replayed.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { replay } from "./lib/replay.js";
import { withoutApplication } from "./lib/recorded_app.js";
import { Server } from "./lib/server.js";
import { Inbox, sleep } from "./lib/wait.js";

const both = (...names) => names.flatMap((name) => [`${name}.websocket`, `${name}.longpoll`]);
const ws = (...names) => names.map((name) => `${name}.websocket`);
const lp = (...names) => names.map((name) => `${name}.longpoll`);

// --- replayed as recorded ----------------------------------------------------

const AS_RECORDED = [
  ...both(
    "broadcast-from-server",
    "heartbeat",
    "heartbeat-before-join-many",
    "join-duplicate-topic",
  ),
  ...both("join-error", "join-exact-topic", "join-ok", "leave", "leave-stale-join-ref"),
  ...both(
    "leave-then-rejoin-pipelined",
    "leave-unjoined",
    "malformed-event-null",
    "malformed-topic-number",
  ),
  ...both(
    "origin-allowed",
    "origin-denied",
    "phoenix-topic-other-event",
    "push-unjoined",
    "refs-numeric",
  ),
  ...both("too-many-channels", "vsn-3.0.0", "vsn-array", "vsn-garbage", "vsn-two-part"),
  ...lp(
    "lp-bad-token-post",
    "lp-buffer-between-polls",
    "lp-ndjson-batch",
    "lp-options",
    "lp-poll-timeout",
  ),
  ...lp("lp-post-while-polling", "lp-session-create", "lp-single-json-body", "lp-tampered-token"),
  ...lp("lp-token-in-header"),
  ...ws("binary-malformed", "binary-wrong-kind"),
  ...ws("malformed-after-join", "malformed-empty", "malformed-not-json", "malformed-object"),
  ...ws("ws-auth-token-only", "ws-auth-token-std-base64", "ws-bad-key", "ws-bad-version", "ws-fragmented"),
  ...ws(
    "ws-heartbeat-keeps-alive",
    "ws-invalid-utf8",
    "ws-ping-keeps-alive",
    "ws-plain-get",
    "ws-too-big",
  ),
  ...ws("ws-unknown-path"),
  "mixed-ws-reconnect-gap.mixed", // a client that asks for nothing more gets what it gets from Phoenix
];

// Pushes in them are answered by the recorded application. Without one, a push
// is broadcast and answered ok (lib/recorded_app.js); here with echo on.
const WITH_ECHO = [
  ...both("broadcast-other-topic", "broadcast-self", "broadcast-two-clients", "echo-payloads"),
  "mixed-broadcast.mixed",
];

// The same with echo off: the sender gets the answer alone.
const WITHOUT_ECHO = [
  ...both("connect-params", "join-ok-response", "join-params-not-object", "join-pipelined-push"),
  ...both("malformed-extra-elements", "push-null-join-ref", "push-null-ref"),
];

// --- replayed with a deliberate difference -----------------------------------

// `patch`: fields of step n, or null to leave it out; `insert`: steps after n.
const body = (status, more = {}) => ({
  http_status: 200,
  body: JSON.stringify({ status, ...more }),
});
const SAME_TOKEN = "{{token.a}}";
const nothing = body(204, { token: SAME_TOKEN, messages: [] });
const reply = (joinRef, ref, topic, status, response) =>
  JSON.stringify([joinRef, ref, topic, "phx_reply", { status, response }]);
const messages = (...texts) => body(200, { token: SAME_TOKEN, messages: texts });
const refused = (reason) => ["error", { reason }];
const okays = (from, to) =>
  Array.from({ length: to - from + 1 }, (_, i) => reply("1", String(from + i), "room:a", "ok", {}));

const DIFFERENT = {
  "binary-malformed.longpoll": {
    section: "4.9",
    why: "answered at once, and the session stays",
    patch: { 8: body(400), 10: nothing },
  },
  "binary-wrong-kind.longpoll": {
    section: "4.9",
    why: "the same",
    patch: { 8: body(400), 10: nothing },
  },
  "malformed-after-join.longpoll": {
    section: "4.9",
    why: "the same",
    patch: { 8: body(400), 10: nothing },
  },
  "malformed-empty.longpoll": {
    section: "6.5",
    why: "empty lines are ignored",
    patch: { 4: body(200), 6: nothing },
  },
  "malformed-not-json.longpoll": {
    section: "4.9",
    why: "status 400, no error page",
    patch: { 4: body(400) },
  },
  "malformed-object.longpoll": { section: "4.9", why: "the same", patch: { 4: body(400) } },
  "lp-empty-body.longpoll": {
    section: "6.5",
    why: "empty lines are ignored",
    patch: { 4: body(200), 6: nothing },
  },
  "lp-ndjson-bad-base64.longpoll": {
    section: "4.9",
    why: "status 400, no error page",
    patch: { 4: body(400) },
  },
  "lp-ndjson-bad-middle.longpoll": {
    section: "4.9",
    why: "nothing of a batch with a malformed line is done",
    patch: { 4: body(400), 6: nothing },
  },
  "lp-ndjson-charset.longpoll": {
    section: "6.5",
    why: "parameters of the content type are accepted",
    patch: { 4: body(200), 6: messages(...okays(1, 2)) },
  },
  "lp-ndjson-over-100.longpoll": {
    section: "6.5",
    why: "all lines are processed",
    patch: { 10: messages(...okays(2, 121)) },
  },
  "lp-body-too-large.longpoll": {
    section: "6.5",
    why: "the body says what is wrong",
    patch: { 4: { http_status: 400, body: JSON.stringify({ status: 413 }) } },
  },
  "lp-session-gap.longpoll": {
    section: "12.3",
    why: "the session is revived and gets what Phoenix loses",
    patch: { 10: messages('[null,null,"room:a","news",{"i":1}]') },
  },
  "lp-session-inactive.longpoll": {
    section: "12.3",
    why: "the session is revived",
    patch: {
      21: body(200),
      23: messages(
        ...["2", "3", "4", "5", "6"].map((ref) => reply(null, ref, "phoenix", "ok", {})),
      ),
    },
  },
  "lp-two-polls.longpoll": {
    section: "6.4",
    why: "the older poll ends at once",
    patch: { 13: null },
    insert: { 10: [{ do: "http-response", client: "a", to: 7, n: 10.5, ...nothing }] },
  },
  ...Object.fromEntries(
    ["1000", "1001", "4000"].map((code) => [
      `ws-client-close-${code}.websocket`,
      { section: "5.4", why: "the client's code comes back", patch: { 6: { code: Number(code) } } },
    ]),
  ),
  "ws-idle-timeout.websocket": {
    section: "5.3",
    why: "closed with 1001",
    patch: { 3: { code: 1001 } },
  },
  "ws-idle-timeout-server-traffic.websocket": {
    section: "5.3",
    why: "closed with 1001",
    patch: { 12: { code: 1001 } },
  },
  "ws-big-ok.websocket": {
    section: "5.2",
    why: "frames have a limit",
    patch: { 6: { do: "ws-closed", code: 1009, reason: undefined } },
  },
  "ws-auth-token-on-plain-mount.websocket": {
    section: "2.4",
    why: "phoenix is selected whenever it is offered",
    patch: { 2: { headers: { "sec-websocket-protocol": "phoenix" } } },
  },
  "join-null-join-ref.websocket": {
    section: "4.1",
    why: "the ref of the join is its join_ref",
    patch: {
      7: null, // push_me: the application's
      8: null,
      10: { do: "ws-recv", text: reply("7", "10", "room:a", "ok", {}) },
      13: { text: '["7","7","room:a","phx_close",{}]' },
    },
  },
  "join-null-join-ref.longpoll": {
    section: "4.1",
    why: "the same",
    patch: {
      11: null,
      12: null,
      13: null,
      14: null,
      18: messages(reply("7", "10", "room:a", "ok", {})),
      22: messages(reply("7", "11", "room:a", "ok", {}), '["7","7","room:a","phx_close",{}]'),
    },
  },
  "unknown-event.websocket": {
    section: "4.5",
    why: "an event nobody knows is no crash: it is a message like others",
    patch: { 6: { text: reply("1", "2", "room:a", "ok", {}) } },
  },
  "unknown-event.longpoll": {
    section: "4.5",
    why: "the same",
    patch: { 10: messages(reply("1", "2", "room:a", "ok", {})) },
  },
  "client-sends-phx-close.websocket": {
    section: "4.5",
    why: "an error reply, no crash",
    patch: { 6: { text: reply("1", "2", "room:a", ...refused("event not allowed")) } },
  },
  "client-sends-phx-close.longpoll": {
    section: "4.5",
    why: "the same",
    patch: { 10: messages(reply("1", "2", "room:a", ...refused("event not allowed"))) },
  },
  "broadcast-reserved-event.websocket": {
    section: "1",
    why: "the journal refuses to publish it",
    patch: {
      5: { refused: true },
      6: { do: "silence", ms: 300 },
      7: { refused: true },
      8: { do: "silence", ms: 300 },
    },
  },
  "broadcast-reserved-event.longpoll": {
    section: "1",
    why: "the same",
    patch: { 7: { refused: true }, 9: nothing, 10: { refused: true }, 12: nothing },
  },
};

// --- not replayed ------------------------------------------------------------

const ABSENT = {
  "needs the recorded application": [
    ...both(
      "channel-crash",
      "connect-refused-crash",
      "connect-refused-plain",
      "connect-refused-reason",
    ),
    ...both("join-crash", "late-reply", "reply-statuses"),
    ...both("server-push", "stop-abnormal", "stop-with-reply"),
    ...lp("lp-connect-refused-repeat"),
  ],
  "serializer 1.0.0": [
    ...both("v1-basics", "v1-by-default", "v1-duplicate-join", "v1-missing-key", "vsn-1.0.7"),
    ...lp("lp-ndjson-v1-object", "lp-v1-single-json-body"),
  ],
  "binary payloads": both(
    "binary-broadcast",
    "binary-join",
    "binary-push-echo",
    "binary-server-push",
  ),
  "who connects: tokens and users": [
    ...both("disconnect-by-id"),
    ...lp("lp-auth-token", "lp-disconnect-while-polling"),
    ...ws(
      "ws-auth-mount-foreign-subprotocol",
      "ws-auth-mount-no-subprotocol",
      "ws-auth-token",
      "ws-auth-token-bad",
    ),
  ],
  presence: both("presence"),
  "a setting that Holdfast does not have": [
    ...lp("lp-token-expired", "lp-token-other-mount"), // life of tokens, several mounts
    ...ws("ws-subprotocol-mismatch"),
  ],
};

// --- servers -----------------------------------------------------------------

// Most of a replay is waiting for nothing to arrive, so several go on at once,
// each with a server of its own while it lasts.
const AT_ONCE = 4;

const ORIGINS = "localhost, 127.0.0.1, *.allowed.example";

const start = (sidecar, http = {}) =>
  Server.start({
    allow: [
      ["room:*", "join,publish", "off"],
      ["exact", "join,publish", "off"],
      ["room:deny", "publish"],
    ],
    conf: { http: { origins: ORIGINS, ...http }, gateway: { hold: "800ms" }, sidecar },
  });

// Servers with the settings of the recorded mounts /socket and /fast, and of
// /fast (idle) and /small for WebSockets.
const pools = { main: new Inbox("main servers"), tight: new Inbox("tight servers") };
const servers = [];

before(async () => {
  for (let i = 0; i < AT_ONCE; i++) pools.main.push(await start({}));
  pools.tight.push(await start({ idle: "1500ms" }, { max_frame: "4096" }));
  servers.push(...pools.main.items, ...pools.tight.items);
});
after(() => Promise.all(servers.map((server) => server.stop())));

const TIGHT =
  /^ws-(idle-timeout|idle-timeout-server-traffic|heartbeat-keeps-alive|ping-keeps-alive|too-big)\./;

const recording = (name) =>
  JSON.parse(readFileSync(new URL(`../transcripts/${name}.json`, import.meta.url), "utf8"));

function patched(steps, { patch = {}, insert = {} }) {
  return steps.flatMap((step) => {
    const now = patch[step.n] === null ? [] : [{ ...step, ...patch[step.n] }];
    return [...now, ...(insert[step.n] ?? [])];
  });
}

function hooks(server) {
  return {
    policy: ({ echo }) => server.holdfast("allow", "--echo", echo, "room:*", "join,publish"),
    async broadcast({ topic, event, payload, refused: mustFail }) {
      const publishing = server.publish(topic, event, payload);
      if (mustFail) await assert.rejects(publishing, /reserved|phx_/);
      else await publishing;
    },
  };
}

async function play(name, steps, echo = "off") {
  const pool = TIGHT.test(name) ? pools.tight : pools.main;
  const server = await pool.next(25000, "a free server");
  const { policy, broadcast } = hooks(server);
  try {
    if (echo === "on") await policy({ echo });
    await replay(server, steps, {
      broadcast,
      // in the midst of a recording: every process knows within a second
      policy: (step) => policy(step).then(() => sleep(1000)),
    });
  } catch (error) {
    error.message += server.logs();
    throw error;
  } finally {
    if (echo === "on") await policy({ echo: "off" });
    pool.push(server);
  }
}

const test = (name, run) => it(name, { timeout: 45000 }, run);
const group = (name, tests) => describe(name, { concurrency: AT_ONCE }, tests);

// --- the tests ---------------------------------------------------------------

group("as recorded", () => {
  for (const name of AS_RECORDED) test(name, () => play(name, recording(name).steps));
});

group("as recorded, but for what the application answers", () => {
  for (const name of WITH_ECHO)
    test(name, () => play(name, withoutApplication(recording(name).steps, true), "on"));
  for (const name of WITHOUT_ECHO)
    test(name, () => play(name, withoutApplication(recording(name).steps, false)));
});

group("with a deliberate difference", () => {
  for (const [name, difference] of Object.entries(DIFFERENT)) {
    test(`${name} (${difference.section}: ${difference.why})`, () =>
      play(name, patched(recording(name).steps, difference)));
  }
});

it("every one of the 181 recordings is replayed, or it says why not", () => {
  const replayed = [...AS_RECORDED, ...WITH_ECHO, ...WITHOUT_ECHO, ...Object.keys(DIFFERENT)];
  const all = [...replayed, ...Object.values(ABSENT).flat()];
  assert.equal(new Set(all).size, all.length, "one name twice");
  const index = readFileSync(new URL("../transcripts/INDEX", import.meta.url), "utf8")
    .trim()
    .split("\n");
  assert.deepEqual([...all].sort(), [...index].sort());
  assert.equal(all.length, 181);
});

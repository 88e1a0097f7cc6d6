// differences.js - where Holdfast answers otherwise than it was recorded
//
// Only what the specification of the protocol leaves to a server may stand
// here: `section` is the section of it whose H mark says so, `rule` the rule of
// docs/PROTOCOL.md, where section 11 has the reason. An entry says what comes
// instead:
//
//     patch    fields of step n, or null to leave the step out
//     insert   steps after step n
//
// Recordings of Phoenix 1.7 contradict those of 1.8 under the same name. OF_1_7
// says which rule of 1.8 is kept, and what comes is in the newer recording;
// AS_1_7 the other way round.
export const body = (status, more = {}) => ({
  http_status: 200,
  body: JSON.stringify({ status, ...more }),
});
const both = (...names) => names.flatMap((name) => [`${name}.websocket`, `${name}.longpoll`]);
const TOKEN = "{{token.a}}";
const nothing = body(204, { token: TOKEN, messages: [] });
const opened = body(410, { token: TOKEN, messages: [] });
const messages = (...texts) => body(200, { token: TOKEN, messages: texts });
const reply = (joinRef, ref, topic, status, response) =>
  JSON.stringify([joinRef, ref, topic, "phx_reply", { status, response }]);
const v1Reply = (ref) =>
  JSON.stringify({
    event: "phx_reply",
    payload: { response: {}, status: "ok" },
    ref,
    topic: "room:a",
  });
const binary = (bytes) => ({ _binary: Buffer.from(bytes).toString("base64") });
const okays = (from, to) =>
  Array.from({ length: to - from + 1 }, (_, i) => reply("1", String(from + i), "room:a", "ok", {}));

const notAnswered400 = {
  section: "4.9",
  rule: "P-9.1",
  why: "answered at once, and the session stays",
};
const reserved = { section: "1", rule: "P-1.9", why: "the journal refuses to publish it" };
const binaryAsJson = { section: "6.7", rule: "P-1.12", why: "binary payloads come as JSON" };

const pc = { d: "pc", phx_ref: "{{phx_ref.1}}" };
const tel = { d: "tel", phx_ref: "{{phx_ref.2}}" };
const tab = { d: "tab", phx_ref: "{{phx_ref.3}}" };
const joinedPresence = (keys) => {
  const entries = Object.entries(keys).map(([key, metas]) => [key, { metas }]);
  const state = ["1", null, "room:presence-l", "presence_state", Object.fromEntries(entries)];
  return messages(reply("1", "1", "room:presence-l", "ok", {}), JSON.stringify(state));
};
const sameJoinRef = {
  section: "4.3",
  rule: "P-1.10",
  why: "no close when it would hit the new channel",
};

export const DIFFERENT = {
  "binary-malformed.longpoll": { ...notAnswered400, patch: { 8: body(400), 10: nothing } },
  "binary-wrong-kind.longpoll": { ...notAnswered400, patch: { 8: body(400), 10: nothing } },
  "malformed-after-join.longpoll": { ...notAnswered400, patch: { 8: body(400), 10: nothing } },
  "malformed-not-json.longpoll": { ...notAnswered400, patch: { 4: body(400) } },
  "malformed-object.longpoll": { ...notAnswered400, patch: { 4: body(400) } },
  "v1-missing-key.longpoll": { ...notAnswered400, patch: { 4: body(400), 6: nothing } },
  "lp-ndjson-bad-base64.longpoll": { ...notAnswered400, patch: { 4: body(400) } },
  "lp-ndjson-bad-middle.longpoll": {
    ...notAnswered400,
    why: "nothing of a batch with a malformed line is done",
    patch: { 4: body(400), 6: nothing },
  },
  "malformed-empty.longpoll": {
    section: "6.5",
    rule: "P-7.6",
    why: "empty lines are ignored",
    patch: { 4: body(200), 6: nothing },
  },
  "lp-empty-body.longpoll": {
    section: "6.5",
    rule: "P-7.6",
    why: "empty lines are ignored",
    patch: { 4: body(200), 6: nothing },
  },
  "lp-ndjson-charset.longpoll": {
    section: "6.5",
    rule: "P-7.6",
    why: "parameters of the content type are accepted",
    patch: { 4: body(200), 6: messages(...okays(1, 2)) },
  },
  "lp-ndjson-over-100.longpoll": {
    section: "6.5",
    rule: "P-7.6",
    why: "all lines are processed",
    patch: { 10: messages(...okays(2, 121)) },
  },
  "lp-ndjson-v1-object.longpoll": {
    section: "6.5",
    rule: "P-7.6",
    why: "lines may be objects in a session that speaks in objects",
    patch: {
      4: body(200),
      6: messages(v1Reply("1")),
    },
  },
  "lp-body-too-large.longpoll": {
    section: "6.5",
    rule: "P-9.3",
    why: "413 says that the body was too large",
    patch: { 4: { http_status: 413, body: JSON.stringify({ status: 413 }) } },
  },
  "lp-session-gap.longpoll": {
    section: "12.3",
    rule: "P-7.5",
    why: "the session is revived and gets what Phoenix loses",
    patch: { 10: messages('[null,null,"room:a","news",{"i":1}]') },
  },
  "lp-session-inactive.longpoll": {
    section: "12.3",
    rule: "P-7.5",
    why: "the session is revived",
    patch: {
      21: body(200),
      23: messages(
        ...["2", "3", "4", "5", "6"].map((ref) => reply(null, ref, "phoenix", "ok", {})),
      ),
    },
  },
  "lp-token-expired.longpoll": {
    section: "6.3",
    rule: "P-7.3",
    why: "each answer has a new token, so that a session in use does not expire",
    patch: { 10: nothing },
    insert: {
      10: [
        { n: 10.1, do: "sleep", ms: 2600 },
        {
          n: 10.2,
          do: "http-request",
          client: "a",
          method: "GET",
          path: "/crypto/longpoll?vsn=2.0.0&token={{token.a}}",
        },
        { n: 10.3, do: "http-response", client: "a", to: 10.2, ...body(500) },
      ],
    },
  },
  "lp-token-other-mount.longpoll": {
    section: "6.3",
    rule: "P-7.3",
    why: "a token is bound to its mount",
    patch: { 4: body(410), 6: opened },
  },
  "lp-disconnect-while-polling.longpoll": {
    section: "6.9",
    rule: "P-7.5",
    why: "the waiting poll is told at once to start anew",
    patch: { 10: body(500), 11: null, 12: null },
  },
  "disconnect-by-id.longpoll": {
    section: "6.9",
    rule: "P-7.5",
    why: "the next poll is told to start anew",
    patch: { 9: body(500) },
  },
  "binary-push-echo.longpoll": {
    ...binaryAsJson,
    patch: {
      10: messages(reply("1", "2", "room:a", "ok", binary([0, 1, 2, 255]))),
      15: messages(reply("1", "3", "room:a", "error", binary([]))),
    },
  },
  "binary-server-push.longpoll": {
    ...binaryAsJson,
    patch: {
      10: messages(JSON.stringify(["1", null, "room:a", "pushed", binary(Buffer.from("abc"))])),
    },
  },
  "binary-broadcast.longpoll": {
    ...binaryAsJson,
    patch: { 10: messages(JSON.stringify([null, null, "room:a", "shout", binary([9, 8, 7])])) },
  },
  "connect-refused-crash.longpoll": {
    section: "2.5",
    rule: "P-7.2",
    why: "a status that clients know",
    patch: { 2: body(500) },
  },
  "ws-auth-token-bad.websocket": {
    section: "2.4",
    rule: "P-2.6",
    why: "refused, no fault",
    patch: { 2: { http_status: 403, body: "" } },
  },
  "ws-auth-token-on-plain-mount.websocket": {
    section: "2.4",
    rule: "P-6.2",
    why: "phoenix is selected whenever it is offered",
    patch: { 2: { headers: { "sec-websocket-protocol": "phoenix" } } },
  },
  "ws-idle-timeout.websocket": {
    section: "5.3",
    rule: "P-6.4",
    why: "closed with 1001",
    patch: { 3: { code: 1001 } },
  },
  "ws-idle-timeout-server-traffic.websocket": {
    section: "5.3",
    rule: "P-6.4",
    why: "closed with 1001",
    patch: { 12: { code: 1001 } },
  },
  "join-null-join-ref.websocket": {
    section: "4.1",
    rule: "P-1.8",
    why: "the ref of the join is its join_ref",
    patch: {
      10: { do: "ws-recv", text: reply("7", "10", "room:a", "ok", {}) },
      13: { text: '["7","7","room:a","phx_close",{}]' },
    },
  },
  "join-null-join-ref.longpoll": {
    section: "4.1",
    rule: "P-1.8",
    why: "the ref of the join is its join_ref",
    patch: {
      18: messages(reply("7", "10", "room:a", "ok", {})),
      22: messages(reply("7", "11", "room:a", "ok", {}), '["7","7","room:a","phx_close",{}]'),
    },
  },
  "v1-duplicate-join.websocket": { ...sameJoinRef, patch: { 7: null } },
  "v1-duplicate-join.longpoll": {
    ...sameJoinRef,
    patch: { 10: messages(v1Reply("2")) },
  },
  "client-sends-phx-close.websocket": {
    section: "4.5",
    rule: "P-3.7",
    why: "an error reply, no crash",
    patch: { 6: { text: reply("1", "2", "room:a", "error", { reason: "event not allowed" }) } },
  },
  "client-sends-phx-close.longpoll": {
    section: "4.5",
    rule: "P-3.7",
    why: "an error reply, no crash",
    patch: { 10: messages(reply("1", "2", "room:a", "error", { reason: "event not allowed" })) },
  },
  "broadcast-reserved-event.websocket": {
    ...reserved,
    patch: {
      5: { refused: true },
      6: { do: "silence", ms: 300 },
      7: { refused: true },
      8: { do: "silence", ms: 300 },
    },
  },
  "broadcast-reserved-event.longpoll": {
    ...reserved,
    patch: { 7: { refused: true }, 9: nothing, 10: { refused: true }, 12: nothing },
  },
  // no H mark: "usually without itself, as tracking happens right after"
  "presence.longpoll": {
    section: "7",
    rule: "P-13.2",
    why: "a state is that of the newest row, and holds who has just joined",
    patch: {
      6: joinedPresence({ alice: [pc] }),
      12: joinedPresence({ alice: [pc], bob: [tel] }),
      20: joinedPresence({ alice: [pc], bob: [tel, tab] }),
    },
  },
  // no H mark: "an asynchronous reply may come later than a reply to a later push"
  "late-reply.websocket": {
    section: "4",
    rule: "P-4.7",
    why: "a channel's pushes are answered in their order",
    patch: {
      7: { text: reply("1", "2", "room:a", "ok", { k: 1 }) },
      8: { text: reply("1", "3", "room:a", "ok", {}) },
    },
  },
  "late-reply.longpoll": {
    section: "4",
    rule: "P-4.7",
    why: "a channel's pushes are answered in their order",
    patch: {
      10: messages(reply("1", "2", "room:a", "ok", { k: 1 })),
      12: messages(reply("1", "3", "room:a", "ok", {})),
    },
  },
};

const rule = (section, why, ...names) => names.map((name) => [name, { section, why }]);

export const OF_1_7 = Object.fromEntries([
  ...rule("2.2", "vsn as a list is refused, no fault", ...both("vsn-array")),
  ...rule(
    "3.1",
    "phx_error says what happened, since 1.8.10",
    ...both("channel-crash", "stop-abnormal", "unknown-event", "v1-basics"),
    ...both("client-sends-phx-close"),
  ),
  ...rule(
    "4.1",
    "messages of an old channel are dropped, since 1.8.3",
    ...both("join-duplicate-topic", "refs-numeric"),
  ),
  ...rule("4.1", "the ref of the join is its join_ref", ...both("join-null-join-ref")),
  ...rule("5.3", "closed with 1001", "ws-idle-timeout.websocket"),
  ...rule("5.3", "closed with 1001", "ws-idle-timeout-server-traffic.websocket"),
  ...rule("5.5", "closed with 1001, since 1.8.8", "disconnect-by-id.websocket"),
  ...rule("6.3", "the token may be a header, since 1.8.10", "lp-token-in-header.longpoll"),
  ...rule("6.5", "the limit of a body is exact", "lp-body-too-large.longpoll"),
]);

// What 1.7 and 1.8 did differently, and we do as 1.7: the close of a client is
// answered with its own code (5.4).
export const AS_1_7 = ["ws-client-close-1001.websocket", "ws-client-close-4000.websocket"];

// What a recording left to chance, and how it is made certain here. The client
// sees the same.
const drop = (client) => ({ do: "drop", client });
const gone = { phx_ref: "{{phx_ref.4}}", phx_ref_prev: "{{phx_ref.2}}", away: true, d: "tel" };
const diff = { joins: {}, leaves: { bob: { metas: [gone] } } };
const c = { client: "c", path: "/fast/longpoll?vsn=2.0.0&token={{token.c}}" };
const lastDiff = [
  { n: 46.1, do: "http-request", method: "GET", ...c },
  {
    n: 46.2,
    do: "http-response",
    to: 46.1,
    ...c,
    ...messages(JSON.stringify([null, null, "room:presence-l", "presence_diff", diff])),
  },
];
export const MADE_CERTAIN = {
  // joins of several topics, which the application is asked about at once:
  // between topics there is no order (4, 4.7)
  "too-many-channels.websocket": {
    each: (step) => (step.do === "ws-recv" ? { ...step, any_topic: true } : step),
  },
  // racy: the last diff was cut off, or not, by the clients' end
  "presence.websocket": { insert: { 36: [drop("a")] } },
  "presence.longpoll": { insert: { 46: lastDiff } },
};

export function patched(steps, { patch = {}, insert = {}, each = (step) => step }) {
  return steps.flatMap((step) => {
    const now = patch[step.n] === null ? [] : [{ ...each(step), ...patch[step.n] }];
    return [...now, ...(insert[step.n] ?? [])];
  });
}

// The recorded application alone (tests/transcripts/app.py): what it answers
// to a hook, without Holdfast.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RecordedApp } from "./lib/recorded_app.js";

const SECRET = "of nobody else";
const top = mkdtempSync(join(tmpdir(), "holdfast-app."));
let app;

before(async () => {
  writeFileSync(join(top, "secret"), `${SECRET}\n`);
  app = await RecordedApp.start({ secret: join(top, "secret"), log: join(top, "log") });
});
after(async () => {
  await app.stop();
  rmSync(top, { recursive: true });
});

function signature(text, at = Math.floor(Date.now() / 1000)) {
  const mac = createHmac("sha256", SECRET).update(`${at}.${text}`).digest("hex");
  return `t=${at},v1=${mac}`;
}

async function post(text, header = signature(text)) {
  const headers = { "Content-Type": "application/json", "Holdfast-Signature": header };
  const response = await fetch(app.url, { method: "POST", headers, body: text });
  return { status: response.status, body: await response.json() };
}

const socket = { id: "s1", user: null, params: { a: "1" } };
const ask = (hook, more) => post(JSON.stringify({ hook, socket, ...more }));
const join_ = (topic, payload = {}) => ask("join", { topic, payload });
const push = (event, payload = {}) => ask("push", { topic: "room:a", event, payload });

async function gives(asked, body) {
  assert.deepEqual(await asked, { status: 200, body });
}
const ok = (...actions) => ({
  status: "ok",
  response: {},
  ...(actions.length > 0 ? { actions } : {}),
});
const error = (reason) => ({ status: "error", response: { reason } });

describe("the recorded application", { timeout: 30000 }, () => {
  it("accepts a connect, names the user, and keeps the token", async () => {
    const kept = { auth_token: "t0", params: { a: "1" } };
    await gives(ask("connect", { token: "t0" }), { status: "ok", response: kept });
    const params = { user_id: "7" };
    const named = JSON.stringify({ hook: "connect", socket: { ...socket, params }, token: null });
    const nobody = { auth_token: null, params };
    await gives(post(named), { status: "ok", response: nobody, id: "7" });
  });

  it("refuses a connect, or raises", async () => {
    const how = (reject) =>
      post(JSON.stringify({ hook: "connect", socket: { ...socket, params: { reject } } }));
    await gives(how("plain"), error("rejected"));
    await gives(how("reason"), error("rejected"));
    assert.equal((await how("crash")).status, 500);
  });

  it("answers joins by their topic", async () => {
    await gives(join_("room:a"), ok());
    await gives(join_("exact"), ok());
    await gives(join_("exactly"), error("unmatched topic"));
    await gives(join_("room:deny"), error("unauthorized"));
    assert.equal((await join_("room:joincrash")).status, 500);
    await gives(join_("room:hello2", 5), { ...ok(), response: { hello: "world", params: 5 } });
    const told = { ...socket, params: { auth_token: "t0", params: { a: "1" } } };
    const who = JSON.stringify({ hook: "join", socket: told, topic: "room:who", payload: {} });
    await gives(post(who), { ...ok(), response: told.params });
    const welcome = { do: "push", event: "welcome", payload: { a: 1 } };
    await gives(join_("room:pushonjoin"), ok(welcome));
    const track = { do: "track", key: "k", meta: { m: 1 } };
    await gives(join_("room:presence1", { key: "k", meta: { m: 1 } }), ok(track));
  });

  it("is slow where it was recorded to be", async () => {
    const from = performance.now();
    await gives(join_("room:slow"), ok());
    assert.ok(performance.now() - from >= 395);
    await gives(push("late", { k: 1 }), { ...ok(), response: { k: 1 } });
    assert.ok(performance.now() - from >= 490);
  });

  it("answers pushes by their event", async () => {
    const shout = { do: "broadcast", event: "shout", payload: { x: 1 } };
    const crash = { actions: [{ do: "crash" }] };
    await gives(push("ok"), ok());
    await gives(push("custom"), { status: "maybe", response: { a: 1 } });
    await gives(push("fail"), error("bad"));
    await gives(push("noreply"), {});
    await gives(push("shout", { x: 1 }), { actions: [shout] });
    await gives(push("shout_ack", { x: 1 }), ok(shout));
    await gives(push("shout_others", { x: 1 }), ok({ ...shout, do: "broadcast_others" }));
    await gives(push("push_me", { x: 1 }), {
      actions: [{ do: "push", event: "pushed", payload: { x: 1 } }],
    });
    const item = (i) => ({ do: "push", event: "item", payload: { i } });
    await gives(push("burst", { n: 2 }), ok(item(1), item(2)));
    for (const event of ["crash", "stop_abnormal", "no_such_event"])
      await gives(push(event), crash);
    await gives(push("stop"), { actions: [{ do: "stop" }] });
    await gives(push("stop_reply"), {
      ...ok({ do: "reply" }, { do: "stop" }),
      response: { bye: true },
    });
    const change = { do: "update", key: "k", meta: {} };
    await gives(push("set_meta", { key: "k", meta: {} }), ok({ do: "reply" }, change));
    await gives(push("untrack", { key: "k" }), ok({ do: "reply" }, { do: "untrack", key: "k" }));
  });

  it("echoes any payload, binary too", async () => {
    for (const payload of [null, 5, "☃", [1, { a: [] }], { _binary: "AAEC/w==" }])
      await gives(push("echo", payload), { ...ok(), response: payload });
    const number = "12345678901234567890123";
    const big = `{"hook":"push","socket":{},"topic":"room:a","event":"echo","payload":${number}}`;
    const headers = { "Holdfast-Signature": signature(big) };
    const response = await fetch(app.url, { method: "POST", headers, body: big });
    assert.ok((await response.text()).includes(number));
  });

  it("raises on a payload that it cannot use, and lives", async () => {
    assert.equal((await join_("room:presence1", 5)).status, 500);
    assert.equal((await push("burst", {})).status, 500);
    assert.equal((await ask("nonsense")).status, 500);
    await gives(push("ok"), ok());
  });

  it("believes nobody without the secret, or late", async () => {
    const text = JSON.stringify({ hook: "push", socket, topic: "room:a", event: "ok" });
    const good = signature(text);
    const bad = ["", "t=1", `${good.slice(0, -1)}${good.endsWith("0") ? "1" : "0"}`];
    bad.push(signature(text, Math.floor(Date.now() / 1000) - 400), signature(`${text} `));
    for (const header of bad) assert.equal((await post(text, header)).status, 401, header);
    assert.equal((await post(text, good)).status, 200);
  });
});

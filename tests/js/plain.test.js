// Plain HTTP (docs/HTTP.md) with real curl, through lighttpd to a gateway that
// stays and to plain CGI; and the client of that page, as it stands there, while
// it and the gateway are killed.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { appendFileSync, chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Host, lighttpd } from "./lib/hosts.js";
import { RawWs } from "./lib/rawws.js";
import { own, Server, sleep, told, until } from "./lib/server.js";
import { mint, readKeys } from "./lib/tokens.js";
import { within } from "./lib/wait.js";

const run = promisify(execFile);
const page = readFileSync(fileURLToPath(new URL("../../docs/HTTP.md", import.meta.url)), "utf8");

// --- curl ---------------------------------------------------------------------

// What curl was answered: status, header fields, body, and its JSON if it is.
async function curl(url, ...args) {
  const { stdout } = await run("curl", ["-sS", "-i", "-m", "20", ...args, url], { maxBuffer: 1 << 26 });
  const end = stdout.indexOf("\r\n\r\n");
  const [first, ...lines] = stdout.slice(0, end).split("\r\n");
  const headers = Object.fromEntries(lines.map((line) => [line.split(":", 1)[0].toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]));
  const answer = { status: Number(first.split(" ")[1]), headers, body: stdout.slice(end + 4) };
  try {
    answer.json = JSON.parse(answer.body);
  } catch {
    // not JSON
  }
  return answer;
}

const ndjson = ["-H", "Content-Type: application/x-ndjson"];
const lines = (messages) => messages.map((message) => JSON.stringify(message)).join("\n");

class Plain {
  constructor(host) {
    this.url = `http://127.0.0.1:${host.port}/socket`;
  }
  publish(message, ...args) {
    const text = typeof message === "string" ? message : JSON.stringify(message);
    return curl(`${this.url}/publish`, "--data-binary", text, ...args);
  }
  // `asked`: [["topic", T], ...] or an object
  events(asked, ...args) {
    const pairs = Array.isArray(asked) ? asked : Object.entries(asked);
    return curl(`${this.url}/events`, "-G", ...pairs.flatMap(([name, value]) => ["--data-urlencode", `${name}=${value}`]), ...args);
  }
}

const payloads = ({ json }) => json.messages.map(({ payload }) => payload);

function refused(answer, status, reason) {
  assert.equal(answer.status, status, answer.body);
  assert.equal(answer.json.error.reason, reason);
  assert.equal(typeof answer.json.error.message, "string");
}

// --- what holds of every gateway ------------------------------------------------

let topicNo = 0;
const topic = () => `room:plain ${++topicNo}`;

const checks = {
  async "a publish is answered with its cursor and followed from any cursor before it"(host, plain) {
    const where = topic();
    const start = await plain.events({ topic: where, hold: 0 });
    assert.deepEqual(start.json.messages, []);
    const first = await plain.publish({ topic: where, event: "say", payload: { text: "é\n" } });
    assert.equal(first.status, 200, first.body);
    assert.equal(first.headers["cache-control"], "no-store");
    assert.equal(first.headers["x-content-type-options"], "nosniff");
    const bytes = await plain.publish({ topic: where, event: "raw", payload: { _binary: "/wAB" } });
    const since = start.json.cursor;
    const all = await plain.events({ topic: where, since });
    const [one, two] = all.json.messages;
    assert.deepEqual(one, { cursor: first.json.cursor, topic: where, event: "say", payload: { text: "é\n" }, at: one.at });
    assert.ok(Math.abs(one.at - Date.now()) < 20000);
    assert.deepEqual(two.payload, { _binary: "/wAB" });
    assert.equal(two.cursor, bytes.json.cursor);
    assert.equal(all.json.cursor, two.cursor);
    assert.deepEqual((await plain.events({ topic: where, since })).json, all.json);
    assert.deepEqual(payloads(await plain.events({ topic: where, since: one.cursor })), [two.payload]);
    assert.deepEqual(payloads(await plain.events({ topic: where, last: 1 })), [two.payload]);
  },

  async "a held request is answered as soon as something comes to one of its topics"(host, plain) {
    const [a, b] = [topic(), topic()];
    const { cursor } = (await plain.events([["topic", a], ["topic", b], ["hold", 0]])).json;
    const held = plain.events([["topic", a], ["topic", b], ["since", cursor]]);
    await sleep(500);
    const published = performance.now();
    await plain.publish({ topic: b, event: "e", payload: 1 });
    assert.deepEqual(payloads(await held), [1]);
    assert.ok(performance.now() - published < 2000);
  },

  async "a held request ends in time, with a cursor to go on from"(host, plain) {
    const where = topic();
    const start = performance.now();
    const answer = await plain.events({ topic: where, hold: 1 });
    assert.deepEqual(answer.json.messages, []);
    assert.ok(performance.now() - start > 900);
    await plain.publish({ topic: where, event: "e", payload: 1 });
    assert.deepEqual(payloads(await plain.events({ topic: where, since: answer.json.cursor })), [1]);
  },

  async "lines are published all, or none of them"(host, plain) {
    const where = topic();
    const message = (payload) => ({ topic: where, event: "e", payload });
    const good = await plain.publish(lines([1, 2, 3].map(message)), ...ndjson);
    assert.equal(good.json.cursors.length, 3);
    const bad = await plain.publish(lines([message(4), { ...message(5), topic: "zoo" }]), ...ndjson);
    refused(bad, 401, "unauthorized");
    assert.equal(bad.json.error.line, 2);
    refused(await plain.publish(`${lines([message(4)])}\n{"topic"`, ...ndjson), 400, "malformed");
    const all = await plain.events({ topic: where, last: 10 });
    assert.deepEqual(payloads(all), [1, 2, 3]);
    assert.deepEqual(all.json.messages.map(({ cursor }) => cursor), good.json.cursors);
  },

  async "with a key it is published once"(host, plain) {
    const where = topic();
    const message = { topic: where, event: "e", payload: { n: 1 }, key: randomBytes(16).toString("base64url") };
    const first = await plain.publish(message);
    assert.deepEqual((await plain.publish(message)).json, first.json);
    refused(await plain.publish({ ...message, payload: 2 }), 409, "key_reused");
    refused(await plain.publish({ ...message, key: "guessed" }), 400, "invalid key");
    assert.deepEqual(payloads(await plain.events({ topic: where, last: 10 })), [{ n: 1 }]);
  },

  async "a token is somebody, and may what it says"(host, plain) {
    const where = `zoo:${++topicNo}`;
    const message = { topic: where, event: "e", payload: 1, key: "mine" };
    refused(await plain.publish(message), 401, "unauthorized");
    const answer = await plain.events({ topic: where });
    refused(answer, 401, "unmatched topic");
    assert.equal(answer.headers["www-authenticate"], "Bearer");
    const token = await mint(readKeys(host)[0], { sub: "ann", topics: { "zoo:*": ["publish"] } });
    const bearer = ["-H", `Authorization: Bearer ${token}`];
    assert.equal((await plain.publish(message, ...bearer)).status, 200);
    refused(await plain.events({ topic: where }, ...bearer), 403, "unauthorized");
    assert.equal((await curl(`${plain.url}/publish?access_token=${token}`, "-d", JSON.stringify(message))).status, 200);
    refused(await plain.publish(message, "-H", `Authorization: Bearer ${token.slice(0, -9)}`), 401, "invalid token");
    const old = await mint(readKeys(host)[0], { sub: "ann" }, { ttl: -5 });
    refused(await plain.publish(message, "-H", `Authorization: Bearer ${old}`), 401, "invalid token");
  },

  async "what is gone is told as a gap"(host, plain) {
    const where = topic();
    const start = (await plain.events({ topic: where, hold: 0 })).json.cursor;
    for (const n of [1, 2]) await plain.publish({ topic: where, event: "e", payload: n });
    await host.sql(`DELETE FROM messages WHERE topic = '${where}' AND payload = '1'`);
    const gap = await plain.events({ topic: where, since: start });
    assert.equal(gap.json.gap, "trimmed");
    assert.deepEqual(gap.json.messages, []);
    await plain.publish({ topic: where, event: "e", payload: 3 });
    assert.deepEqual(payloads(await plain.events({ topic: where, since: gap.json.cursor })), [3]);
    const other = await plain.events({ topic: where, since: "j:AAECAwQFBgc.1" });
    assert.equal(other.json.gap, "reset");
    assert.equal(other.json.cursor.slice(0, 13), start.slice(0, 13));
  },

  async "what is wrong is said"(host, plain) {
    const where = topic();
    refused(await plain.events({}), 400, "no topic");
    refused(await plain.events({ topic: where, since: "42" }), 400, "invalid since");
    refused(await plain.publish("[]"), 400, "malformed");
    refused(await plain.publish({ topic: where, event: "phx_close", payload: 1 }), 403, "event not allowed");
    refused(await plain.publish({ topic: where, event: "e", payload: "x".repeat(70000) }), 413, "payload too large");
    const origin = ["-H", "Origin: http://evil.example"];
    refused(await plain.publish({ topic: where, event: "e", payload: 1 }, ...origin), 403, "refused");
    refused(await plain.events({ topic: where }, ...origin), 403, "refused");
    const head = await curl(`${plain.url}/events?topic=a`, "-I");
    assert.equal(head.status, 405);
    assert.equal(head.headers.allow, "GET, OPTIONS");
    assert.equal((await curl(`${plain.url}/publish`)).headers.allow, "POST, OPTIONS");
    const preflight = await curl(`${plain.url}/publish`, "-X", "OPTIONS", "-H", `Origin: http://127.0.0.1:${host.port}`,
      "-H", "Access-Control-Request-Headers: authorization,content-type");
    assert.equal(preflight.status, 200);
    assert.equal(preflight.headers["access-control-allow-headers"], "authorization,content-type");
  },

  async "who publishes too much is told when to come back"(host, plain) {
    const where = topic();
    const token = await mint(readKeys(host)[0], { sub: `fast-${where}` });
    const many = (n) => lines(Array.from({ length: n }, (_, i) => ({ topic: where, event: "e", payload: i })));
    const as = [...ndjson, "-H", `Authorization: Bearer ${token}`];
    refused(await plain.publish(many(201), ...as), 413, "too many lines");
    assert.equal((await plain.publish(many(200), ...as)).status, 200);
    const late = await plain.publish(many(150), ...as);
    refused(late, 429, "rate_limited");
    assert.ok(late.json.error.retry_ms > 0 && late.json.error.retry_ms < 3000);
    assert.equal(late.headers["retry-after"], String(Math.ceil(late.json.error.retry_ms / 1000)));
    await sleep(late.json.error.retry_ms);
    assert.equal((await plain.publish(many(150), ...as)).status, 200);
    const first = await plain.events({ topic: where, last: 1000 });
    assert.equal(first.json.messages.length, 350);
  },
};

// --- the client of docs/HTTP.md ---------------------------------------------------

function script(host) {
  const [, text] = page.split("\n```sh follow\n");
  const file = host.path("follow");
  writeFileSync(file, text.slice(0, text.indexOf("\n```\n") + 1));
  chmodSync(file, 0o755);
  assert.ok(text.slice(0, text.indexOf("\n```\n")).split("\n").length <= 30, "it has at most 30 lines");
  return file;
}

// With its curl, as a group of its own, so that both can be killed at once.
function follow(file, ...args) {
  const child = own(spawn(file, args, { stdio: ["ignore", "ignore", "inherit"], detached: true }));
  const ended = new Promise((done) => child.on("exit", done));
  return async () => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // it has ended, which the test will notice
    }
    await ended;
  };
}

// While messages are published, `disturb(n)` is called again and again.
async function followsThrough(host, plain, rounds, disturb) {
  const where = topic();
  const file = script(host);
  const out = host.path("followed.ndjson");
  const read = () => readFileSync(out, "utf8").split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  let stop = follow(file, plain.url, where, out);
  let published = 0;
  const publish = () => host.publish(where, "n", ++published);
  await until(10000, "it has begun", async () => {
    await publish();
    await sleep(200);
    return existsSync(`${out}.at`);
  });
  const first = published;
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < 4; i++) await publish();
    await sleep(Math.random() * 300);
    if (round % 2 === 0) {
      await stop();
      appendFileSync(out, '{"cursor":"j:torn'); // as when it is killed while it writes
      await publish();
      stop = follow(file, plain.url, where, out);
    } else {
      await disturb();
    }
  }
  await publish();
  try {
    await until(20000, "all has come", () => read().at(-1)?.payload === published, 100);
  } finally {
    await stop();
  }
  const heard = read().map(({ payload }) => payload);
  assert.ok(heard[0] <= first);
  assert.deepEqual(heard, Array.from({ length: published - heard[0] + 1 }, (_, i) => heard[0] + i));
}

// On a full disk it ends, and when there is room again it goes on where it was.
async function followsOntoFullDisk(host, plain) {
  const where = topic();
  const file = script(host);
  const out = host.path("full.ndjson");
  const publish = (n) => host.publish(where, "n", JSON.stringify(n));
  let stop = follow(file, plain.url, where, out);
  await until(10000, "it has begun", () => existsSync(`${out}.at`));
  await publish("x".repeat(3000));
  await until(10000, "it follows", () => readFileSync(out, "utf8").endsWith("}\n"));
  await sleep(300); // and it has the cursor of that
  await stop();
  await publish("x".repeat(9000)); // the answer fits, behind what is there it does not
  const limited = 'ulimit -f $((($(wc -c <"$4") + 8000) / 512)); exec "$@"';
  const child = own(spawn("sh", ["-c", limited, file, file, plain.url, where, out], { stdio: "ignore", detached: true }));
  assert.notEqual(await within(10000, "it ends", new Promise((done) => child.on("exit", done))), 0);
  stop = follow(file, plain.url, where, out);
  await publish(3);
  const read = () => readFileSync(out, "utf8").split("\n").filter((line) => line !== "").map((line) => JSON.parse(line).payload);
  try {
    await until(10000, "all has come", () => read().at(-1) === 3, 100);
  } finally {
    await stop();
  }
  assert.deepEqual(read().map((payload) => payload.length ?? payload), [3000, 9000, 3]);
}

// --- hosts -------------------------------------------------------------------------

const conf = { gateway: { hold: "3s", cgi_hold: "3s" } };
const specs = {
  "a gateway that stays": { front: lighttpd, recipe: "lighttpd.conf", gateway: "socket", sidecar: true, conf },
  "plain CGI": { front: lighttpd, recipe: "lighttpd-cgi.conf", files: ["holdfast.cgi"], gateway: "cgi", conf },
};

async function killOne(host) {
  if (host.spec.gateway === "socket") {
    await host.gateways[0].kill();
    await host.startGateway(0);
    return;
  }
  for (const pid of host.gatewayPids()) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // it has ended
    }
  }
}

for (const [name, spec] of Object.entries(specs))
  describe(name, () => {
    let host, plain;
    before(async () => {
      host = await Host.start(spec);
      plain = new Plain(host);
    });
    after(() => host?.stop());
    const check = (what, body) => it(what, told(() => host, () => body(host, plain)));

    for (const [what, body] of Object.entries(checks)) check(what, body);

    check("a publish repeated after kill -9 is there once", async () => {
      const where = topic();
      for (let n = 0; n < 5; n++) {
        const message = { topic: where, event: "e", payload: n, key: randomBytes(16).toString("base64url") };
        const lost = plain.publish(message).catch(() => null);
        await sleep(n * 4);
        await killOne(host);
        await lost;
        const again = await until(5000, "it is published", async () => {
          const answer = await plain.publish(message);
          return answer.status === 200 && answer;
        });
        const first = await lost;
        if (first?.status === 200) assert.equal(again.json.cursor, first.json.cursor);
      }
      assert.deepEqual(payloads(await plain.events({ topic: where, last: 100 })), [0, 1, 2, 3, 4]);
    });

    check("a request held while the gateway is killed loses nothing", async () => {
      const where = topic();
      const { cursor } = (await plain.events({ topic: where, hold: 0 })).json;
      const held = plain.events({ topic: where, since: cursor }).catch(() => null);
      await sleep(300);
      await killOne(host);
      assert.notEqual((await held)?.status, 200);
      await host.publish(where, "e", 1);
      assert.deepEqual(payloads(await plain.events({ topic: where, since: cursor })), [1]);
    });

    check("the client of docs/HTTP.md loses nothing and doubles nothing", () =>
      followsThrough(host, plain, 8, () => killOne(host)));

    check("it ends where there is no room, and loses nothing", () => followsOntoFullDisk(host, plain));
  });

describe("beside channels", () => {
  let server;
  before(async () => {
    server = await Server.start({ allow: [["room:*", "join,publish", "off"], ["seen:*", "join,publish,presence"]] });
  });
  after(() => server?.stop());
  const check = (what, body) => it(what, told(() => server, () => body(new Plain(server))));

  check("what is published is sent to who has joined, and what they push is followed", async (plain) => {
    const where = topic();
    const ws = await RawWs.open({ port: server.port });
    ws.text(JSON.stringify(["1", "1", where, "phx_join", {}]));
    assert.equal((await ws.json())[4].status, "ok");
    const { cursor } = (await plain.events({ topic: where, hold: 0 })).json;
    await plain.publish({ topic: where, event: "say", payload: { a: 1 } });
    assert.deepEqual(await ws.json(), [null, null, where, "say", { a: 1 }]);
    ws.text(JSON.stringify(["1", "2", where, "say", "back"])); // echo is off: not for itself
    assert.equal((await ws.json())[3], "phx_reply");
    assert.deepEqual(payloads(await plain.events({ topic: where, since: cursor })), [{ a: 1 }, "back"]);
    ws.destroy();
  });

  check("presence is followed by those only who may know of it", async (plain) => {
    const seen = `seen:${++topicNo}`;
    const { cursor } = (await plain.events({ topic: seen, hold: 0 })).json;
    const ws = await RawWs.open({ port: server.port });
    ws.text(JSON.stringify(["1", "1", seen, "phx_join", { presence: { key: "ann", meta: {} } }]));
    assert.equal((await ws.json())[4].status, "ok");
    const told = await plain.events({ topic: seen, since: cursor });
    assert.equal(told.json.messages[0].event, "presence_diff");
    assert.deepEqual(Object.keys(told.json.messages[0].payload.joins), ["ann"]);
    await server.holdfast("allow", seen, "join");
    assert.deepEqual((await plain.events({ topic: seen, since: cursor, hold: 0 })).json.messages, []);
    ws.destroy();
  });
});

describe("where an application decides", () => {
  let server;
  const hooked = (events) => async () => {
    server = await Server.start({
      sidecar: false,
      conf: { hooks: { hook_url: "http://127.0.0.1:9/", hook_events: events, hook_topics: "room:*" } },
      allow: [["*", "join,publish"]],
    });
  };
  const message = (where) => ({ topic: where, event: "e", payload: 1 });

  describe("on pushes", () => {
    before(hooked("push"));
    after(() => server?.stop());
    it("they are refused over plain HTTP, and nothing else is", told(() => server, async () => {
      const plain = new Plain(server);
      refused(await plain.publish(message("room:1")), 403, "application");
      assert.equal((await plain.publish(message("other:1"))).status, 200);
      assert.equal((await plain.events({ topic: "room:1", hold: 0 })).status, 200);
      assert.deepEqual(await server.sql("SELECT topic FROM messages"), [{ topic: "other:1" }]);
    }));
  });

  describe("on who connects and joins", () => {
    before(hooked("join, connect"));
    after(() => server?.stop());
    it("nobody comes past it", told(() => server, async () => {
      const plain = new Plain(server);
      refused(await plain.publish(message("other:1")), 403, "application");
      refused(await plain.events({ topic: "room:1" }), 403, "application");
      assert.deepEqual(await server.sql("SELECT topic FROM messages"), []);
    }));
  });
});

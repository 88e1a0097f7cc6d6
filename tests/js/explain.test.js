// holdfast explain: what became of a message, asked of the journal and of the
// running processes, with real sessions on both transports.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { ask, variables } from "./lib/fastcgi.js";
import { RawWs } from "./lib/rawws.js";
import { program, Server, told } from "./lib/server.js";
import { until } from "./lib/wait.js";

const OURS = "vsn=2.0.0&paced=1";
const JSON_BODY = { CONTENT_TYPE: "application/json" };
const story = (body) => told(() => server, body);
let server, gateway;

before(async () => {
  server = await Server.start({
    allow: [["room:*", "join,publish"], ["quiet:*", "join,publish", "off"], ["seen:*", "join,publish,presence"]],
    conf: { gateway: { hold: "20s" }, journal: { keep_min: "1s" } },
  });
  gateway = server.path("gateway-0.sock");
});
after(() => server?.stop());

// What `holdfast explain` prints: the facts of the message, and of each session.
async function explain(...args) {
  const text = await server.holdfast("explain", ...args);
  const [message, ...sessions] = text.trimEnd().split("\n\n").map((block) =>
    Object.fromEntries(block.split("\n").map((line) => [line.slice(0, 13).trim(), line.slice(13)])));
  return { ...message, sessions, text };
}

// A session on long-poll that has joined a topic and read the answer.
class Poller {
  static async join(topic, payload = {}, extra = "") {
    const poller = new Poller();
    poller.query = `${OURS}${extra}`;
    poller.token = JSON.parse((await ask(gateway, { query: poller.query })).body).token;
    assert.deepEqual(await poller.post(["1", "1", topic, "phx_join", payload]), { status: 200 });
    const [reply] = (await poller.poll()).messages;
    poller.reply = JSON.parse(reply)[4];
    return poller;
  }
  async post(...frames) {
    const body = JSON.stringify(frames[0]);
    return JSON.parse((await ask(gateway, { method: "POST", query: `${this.query}&token=${this.token}`, body, env: JSON_BODY })).body);
  }
  async poll() {
    const answer = JSON.parse((await ask(gateway, { query: `${this.query}&token=${this.token}` }, 30000)).body);
    if (answer.token) this.token = answer.token;
    return answer;
  }
  get session() {
    return explainSession(this.token);
  }
}

// The id stands in the token, whose text is private: the program finds it.
const explainSession = async (token) => (await explain(await head(), token)).sessions[0]?.session;
const head = async () => (await server.holdfast("status")).match(/^head +(\S+)$/m)[1];

async function socket(topic, payload = {}, query = "") {
  const ws = await RawWs.open({ socket: `${server.dir}/sidecar.sock`, path: `/socket/websocket?vsn=2.0.0${query}` });
  ws.text(JSON.stringify(["1", "1", topic, "phx_join", payload]));
  const reply = await ws.json(10000, "the answer to the join");
  return Object.assign(ws, { reply: reply[4] });
}

const publish = async (topic, payload = { n: 1 }) => (await server.publish(topic, "say", payload)).trim();

describe("a message", () => {
  it("is told with all that the journal has of it", story(async () => {
    const cursor = (await server.holdfast("publish", "--publisher", "shop", "--key", "order-1", "room:told", "say", '{"n":1}')).trim();
    const told = await explain(cursor);
    assert.equal(told.message, cursor);
    assert.match(told.published, /^yes, \d{4}-.*Z by the publisher's clock, by shop, with the key order-1$/);
    assert.equal(told.topic, "room:told");
    assert.equal(told.event, "say");
    assert.equal(told.payload, "7 bytes of JSON");
    assert.equal(told["may join"], "everybody, by policy");
    assert.match(told.asked, /side-car \d+/);
    await server.holdfast("redact", cursor);
    assert.match((await explain(cursor)).payload, /^2 bytes of JSON; what there was before was taken away \d{4}-/);
  }));

  it("that never was is not made up", story(async () => {
    const cursor = await publish("room:none");
    const [epoch, id] = cursor.split(".");
    assert.match((await explain(`${epoch}.${Number(id) + 5}`)).published, /^no: the journal has only come to/);
    await assert.rejects(server.holdfast("explain", `j:AAAAAAAAAAA.${id}`), /of another journal/);
    await assert.rejects(server.holdfast("explain", "42"), /is not a cursor/);
  }));

  it("and a place that a join was given are told apart", story(async () => {
    const poller = await Poller.join("room:place", { since: "" });
    const told = await explain(poller.reply.response.cursor);
    assert.match(told.published, /^no: this is the place of a join, of session \S{22} to room:place$/);
  }));
});

describe("a long-poll session", () => {
  it("is told as sent and acknowledged, and when", story(async () => {
    const poller = await Poller.join("room:poll");
    const held = poller.poll();
    const cursor = await publish("room:poll");
    assert.equal((await held).messages.length, 1);
    let [session] = (await explain(cursor)).sessions;
    assert.match(session["for it"], /^yes: joined before it/);
    assert.equal(session.authorised, "yes, now");
    assert.match(session.sent, /^yes, in an answer of \d{4}-.*Z$/);
    assert.match(session.acknowledged, /^not that is known of/);
    const again = poller.poll(); // coming back is the acknowledgement
    await until(10000, "it is acknowledged", async () =>
      /^yes, by the poll of \d{4}/.test((await explain(cursor, session.session)).sessions[0].acknowledged));
    const byToken = await explain(cursor, poller.token);
    assert.equal(byToken.sessions[0].session, session.session);
    assert.equal(byToken.sessions.length, 1);
    await publish("room:poll");
    await again;
  }));

  it("that joined behind it, or with since, is told so", story(async () => {
    const before = await publish("room:since");
    const cursor = await publish("room:since");
    await Poller.join("room:since");
    assert.match((await explain(cursor)).sessions[0]["for it"], /^no: joined behind it/);
    await Poller.join("room:since", { since: before });
    assert.match((await explain(cursor)).sessions[1]["for it"], /^yes: joined later, with since/);
    assert.match((await explain(before)).sessions[1]["for it"], /^no: it said with its join, since .*, that it has it$/);
  }));

  it("that left, or pushed without echo, is told so", story(async () => {
    const poller = await Poller.join("quiet:a");
    const other = await Poller.join("quiet:a");
    await poller.post(["1", "2", "quiet:a", "say", { n: 1 }]);
    const cursor = `${(await head()).split(".")[0]}.${(await server.sql("SELECT max(id) AS id FROM messages"))[0].id}`;
    const told = await explain(cursor);
    const mine = told["left out"].replace("session ", "");
    const by = Object.fromEntries(told.sessions.map((one) => [one.session, one["for it"]]));
    assert.equal(Object.keys(by).length, 2);
    assert.match(by[mine], /^no: the publisher has left this session out$/);
    delete by[mine];
    assert.match(Object.values(by)[0], /^yes: joined before it/);
    await other.post(["1", "3", "quiet:a", "phx_leave", {}]);
    const later = await publish("quiet:a");
    assert.ok((await explain(later)).sessions.some((one) => /^no: it had left/.test(one["for it"])));
  }));

  it("that lost its right, or never had it, is told so", story(async () => {
    const poller = await Poller.join("room:right");
    const cursor = await publish("room:right");
    const { session } = (await explain(cursor)).sessions[0];
    await server.holdfast("allow", "room:right", "publish");
    const told = await explain(cursor, session);
    assert.match(told["may join"], /^only who has a token/);
    assert.match(told.sessions[0].authorised, /^no: no policy lets visitors/);
    const refused = await publish("room:never");
    await server.holdfast("allow", "room:never", "publish");
    const stranger = (await explain(refused, session)).sessions[0];
    assert.match(stranger["for it"], /^no: it has not joined this topic/);
    assert.match(stranger.authorised, /^no: no policy/);
    assert.ok(poller);
  }));

  it("with a gap is told of it, and one that is gone is unknown", story(async () => {
    const poller = await Poller.join("room:gap");
    const first = await publish("room:gap");
    const second = await publish("room:gap");
    await server.sql(`DELETE FROM messages WHERE id = ${first.split(".")[1]}`);
    const { session, sent } = (await explain(second)).sessions[0];
    assert.match(sent, /^no: messages that it has not read were removed/);
    const deleted = await explain(first);
    assert.match(deleted.published, /^yes, and removed since/);
    assert.equal((await poller.poll()).status, 500, "as was said");
    await server.sql(`DELETE FROM memberships WHERE session = '${session}'; DELETE FROM sessions WHERE id = '${session}'`);
    assert.match((await explain(second, session)).sessions[0]["for it"], /^unknown: no such session/);
  }));

  it("of plain CGI is acknowledged in live.db, and what nobody remembers is unknown", story(async () => {
    const poller = await Poller.join("room:cgi");
    const cursor = await publish("room:cgi");
    const cgi = async () => {
      const env = variables({ query: `${poller.query}&token=${poller.token}` });
      const child = spawn(program("holdfast-gateway"), ["--dir", server.dir], { env: { ...process.env, ...env, GATEWAY_INTERFACE: "CGI/1.1" }, stdio: ["ignore", "pipe", "inherit"] });
      let text = "";
      for await (const part of child.stdout) text += part;
      return JSON.parse(text.slice(text.indexOf("\r\n\r\n")));
    };
    const answer = await cgi();
    assert.equal(answer.messages.length, 1);
    let [session] = (await explain(cursor)).sessions;
    assert.match(session.sent, /^unknown: no poll of it is held now/);
    poller.token = answer.token;
    const held = cgi();
    await until(10000, "it is acknowledged", async () => /^yes/.test((await explain(cursor)).sessions[0].acknowledged));
    [session] = (await explain(cursor)).sessions;
    assert.equal(session.sent, "yes; no process that runs now remembers when");
    await publish("room:cgi");
    await held;
  }));
});

describe("a WebSocket", () => {
  it("is told as sent, when, and as taken by the other end", story(async () => {
    const ws = await socket("room:ws");
    const cursor = await publish("room:ws");
    await ws.inbox.next();
    await until(10000, "it is taken", async () => /^by the other end/.test((await explain(cursor)).sessions[0].acknowledged));
    const { sessions, WebSockets } = await explain(cursor);
    assert.equal(WebSockets, "1 members, for 1 of them, sent to 1");
    assert.match(sessions[0].transport, /^WebSocket, process \d+$/);
    assert.match(sessions[0].sent, /^yes, read from the journal \d{4}-.*Z$/);
    assert.match(sessions[0]["heard of"], /^\d+\.\d s ago$/);
    const late = await socket("room:ws");
    const since = await socket("room:ws", { since: `${cursor.split(".")[0]}.${Number(cursor.split(".")[1]) - 1}` });
    await since.inbox.next();
    const told = (await explain(cursor)).sessions.map((one) => `${one["for it"]} / ${one.sent}`);
    assert.match(told[1], /^no: its stream begins behind it/);
    assert.match(told[2], /^yes: joined later, with since .* \/ yes, with what it had missed/);
    for (const one of [ws, late, since]) one.destroy();
    await until(10000, "they are gone", async () => (await explain(cursor)).sessions.length === 0);
  }));

  it("that does not read is told as lagging", story(async () => {
    const ws = await socket("room:slow");
    ws.socket.pause();
    const line = JSON.stringify({ topic: "room:slow", event: "say", payload: { text: "x".repeat(30000) } });
    await server.holdfast("publish", "--batch", "-", { input: `${line}\n`.repeat(400) });
    const cursor = await publish("room:slow");
    await until(20000, "it is behind", async () => /^not yet: it is behind and reads/.test((await explain(cursor)).sessions[0].sent));
    assert.equal((await explain(cursor)).sessions[0].acknowledged, "no");
    ws.destroy();
  }));

  it("that is connected elsewhere, or of a user, is found by name", story(async () => {
    const token = (await server.holdfast("token", "--sub", "ann", "--topic", "mine:ann=join", "--topic", "room:x=join")).trim();
    const ws = await socket("mine:ann", {}, `&access_token=${token}`);
    const cursor = await publish("mine:ann");
    await ws.inbox.next();
    const told = await explain(cursor, "ann");
    assert.equal(told["may join"], "only who has a token, or an answer of the application, that says so");
    assert.equal(told.sessions[0].user, "ann");
    assert.equal(told.sessions[0].authorised, "yes, now");
    const other = await publish("theirs");
    const there = (await explain(other, "ann")).sessions[0];
    assert.match(there["for it"], /^no: it has joined 1 other topics, and not this one$/);
    assert.equal(there.authorised, "no, it may not join");
    ws.destroy();
  }));

  it("of a process that does not answer is said to be unknown", { timeout: 60000 }, story(async () => {
    const cursor = await publish("room:stopped");
    const worker = (await server.holdfast("status")).match(/workers 1: (\d+)/)[1];
    process.kill(Number(worker), "SIGSTOP");
    try {
      assert.match((await explain(cursor)).asked, new RegExp(`process ${worker} \\(did not answer\\)`));
    } finally {
      process.kill(Number(worker), "SIGCONT");
    }
    // what a killed one leaves behind is cleared away
    await server.sidecar.kill();
    await server.startSidecar();
    await explain(cursor);
    const sockets = readdirSync(server.dir).filter((name) => name.startsWith("ask."));
    for (const name of sockets) assert.ok(readFileSync(`/proc/${name.split(".")[1]}/stat`), name);
  }));
});

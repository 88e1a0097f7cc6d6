// Tokens: who may connect, what they allow, how they end, over both transports
import { after, before, it } from "node:test";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, generateKeyPair, importJWK, jwtVerify } from "jose";
import WebSocket from "ws";
import { Poller } from "./lib/poll.js";
import { answer, connect, disconnectAll, hear, hears, transports } from "./lib/phoenix.js";
import { Server, program, sleep, told, until, within } from "./lib/server.js";
import { mint, readKeys, writeKeys } from "./lib/tokens.js";

let server;
let key; // the one that init made
const minted = []; // every token and secret, none of which may be in a log
let names = 0;
const topic = () => `private:${++names}`;
const user = () => `user-${++names}`;
const test = (name, body) =>
  it(
    name,
    told(() => server, body),
  );

before(async () => {
  server = await Server.start({
    gateways: 2,
    conf: { gateway: { hold: "3s", held_first: 1000, cgi_max_held: 1000 }, log: { level: "debug" } },
  });
  [key] = readKeys(server);
  minted.push(key.k);
});
after(() => server?.stop());

async function token(claims, options) {
  const text = await mint(options?.key ?? key, claims, options);
  minted.push(text);
  return text;
}

const rights = (where, ...words) => ({ topics: { [where]: words } });
const b64url = (text) => Buffer.from(text).toString("base64url");
const b64 = (text) => Buffer.from(text).toString("base64").replace(/=+$/, "");

// --- a client over each transport that shows all that comes -----------------

class Ws {
  static async open({ query = "", headers = {}, protocols = [], refused = false } = {}) {
    const url = `${server.endpoint}/websocket?vsn=2.0.0${query}`;
    const socket = new WebSocket(url, protocols, { headers });
    const self = new Ws();
    self.socket = socket;
    self.received = [];
    self.closed = once(socket, "close").then(([code]) => code);
    socket.on("message", (data) => self.received.push(JSON.parse(data)));
    socket.on("error", () => {});
    self.status = await within(
      5000,
      "a handshake is answered",
      new Promise((done) => {
        socket.on("open", () => done(101));
        socket.on("unexpected-response", (req, res) => {
          req.destroy();
          done(res.statusCode);
        });
      }),
    );
    if (!refused) assert.equal(self.status, 101);
    return self;
  }
  async send(...frame) {
    this.socket.send(JSON.stringify(frame));
  }
  async next(match, ms = 5000) {
    return until(ms, `a frame (${JSON.stringify(this.received)})`, () => this.received.find(match));
  }
  // What a client sees of its end: the close code.
  end() {
    return within(5000, "the socket is closed", this.closed);
  }
  close() {
    this.socket.close();
  }
}

class Lp {
  static async open({ query = "", headers = {}, refused = false } = {}) {
    const self = new Lp();
    self.poller = new Poller(server.port, { query: `vsn=2.0.0${query}`, headers });
    const answer = await self.poller.get();
    self.status = answer.status;
    if (!refused) {
      assert.equal(self.status, 410);
      self.polling = self.poll();
    }
    return self;
  }
  get received() {
    return this.poller.received;
  }
  // As clients do, until an answer says otherwise.
  async poll() {
    while (!this.stopped) {
      const { status } = await this.poller.get();
      if (status !== 200 && status !== 204) {
        this.last = status;
        return;
      }
    }
  }
  async send(...frame) {
    return this.poller.post([frame]);
  }
  async next(match, ms = 5000) {
    return until(ms, `a frame (${JSON.stringify(this.received)})`, () => this.received.find(match));
  }
  async end() {
    await within(5000, "the session is ended", this.polling);
    return this.last;
  }
  close() {
    this.stopped = true;
  }
}

const kinds = { websocket: Ws, longpoll: Lp };
const refusal = { websocket: 403, longpoll: 403 };
const accepted = { websocket: 101, longpoll: 410 };
const both = (name, body) => {
  for (const kind of Object.keys(kinds)) test(`${name} (${kind})`, () => body(kind, kinds[kind]));
};

const isReply = (ref) => (m) => m[1] === ref && m[3] === "phx_reply";
async function ask(client, topicName, event, payload, ref, joinRef = "1") {
  await client.send(joinRef, ref, topicName, event, payload);
  return (await client.next(isReply(ref)))[4];
}
const join_ = (client, where, payload = {}) => ask(client, where, "phx_join", payload, "1");

// --- where a token may stand ------------------------------------------------

both("takes a token from Authorization and from the parameter access_token", async (kind, Client) => {
  const where = topic();
  const text = await token({ sub: user(), ...rights(where, "join") });
  for (const options of [
    { headers: { authorization: `Bearer ${text}` } },
    { query: `&access_token=${text}` },
    { query: `&apikey=${text}` },
  ]) {
    const client = await Client.open(options);
    assert.deepEqual(await join_(client, where), { status: "ok", response: {} });
    client.close();
  }
});

both("refuses who gives a token that is not valid", async (kind, Client) => {
  const good = await token({ sub: user() });
  const bad = {
    forged: `${good.slice(0, -4)}AAAA`,
    expired: await token({}, { ttl: -1 }),
    garbage: "nonsense",
    empty: "",
  };
  for (const [what, text] of Object.entries(bad)) {
    const client = await Client.open({ query: `&access_token=${text}`, refused: true });
    assert.equal(client.status, refusal[kind], what);
  }
});

both("leaves who gives none anonymous, and an API key that is no token of ours is none", async (kind, Client) => {
  for (const query of ["", "&apikey=any-word", `&apikey=${await token({}, { ttl: -1 })}`]) {
    const client = await Client.open({ query });
    assert.equal((await join_(client, topic())).response.reason, "unmatched topic");
    client.close();
  }
});

test("takes phoenix.js' authToken among the subprotocols, in both alphabets", async () => {
  const where = topic();
  const text = await token({ sub: "ü?>~", ...rights(where, "join") });
  for (const encode of [b64, b64url]) {
    const client = await Ws.open({ protocols: ["phoenix", `base64url.bearer.phx.${encode(text)}`] });
    assert.equal(client.socket.protocol, "phoenix");
    assert.equal((await join_(client, where)).status, "ok");
    client.close();
  }
});

test("answers 403 to a subprotocol token that cannot be decoded, or comes twice", async () => {
  const text = b64url(await token({}));
  for (const protocols of [
    ["phoenix", "base64url.bearer.phx.!!!"],
    ["phoenix", "base64url.bearer.phx."],
    ["phoenix", `base64url.bearer.phx.${text}`, `base64url.bearer.phx.${text}x`],
  ]) {
    const res = await server.request({
      path: "/socket/websocket?vsn=2.0.0",
      headers: {
        connection: "upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-protocol": protocols.join(", "),
      },
    });
    assert.equal(res.status, 403);
    assert.equal(res.body, "");
  }
});

test("takes phoenix.js' authToken from its header on a GET", async () => {
  const where = topic();
  const headers = { "x-phoenix-authtoken": await token({ sub: user(), ...rights(where, "join") }) };
  const client = await Lp.open({ headers });
  assert.equal((await join_(client, where)).status, "ok");
  client.close();
  assert.equal((await Lp.open({ headers: { "x-phoenix-authtoken": "no" }, refused: true })).status, 403);
});

// --- what it allows ---------------------------------------------------------

both("adds the token's rights to the policies", async (kind, Client) => {
  const where = topic();
  const client = await Client.open({
    query: `&access_token=${await token({ topics: { [where]: ["join"], "private:x*": ["join", "publish"] } })}`,
  });
  assert.equal((await join_(client, where)).status, "ok");
  assert.deepEqual((await ask(client, where, "say", {}, "2")).response, { reason: "unauthorized" });
  assert.equal((await ask(client, "private:x1", "phx_join", {}, "3", "3")).status, "ok");
  assert.equal((await ask(client, "private:x1", "say", {}, "4", "3")).status, "ok");
  assert.equal((await ask(client, "room:1", "phx_join", {}, "5", "5")).status, "ok");
  assert.equal((await ask(client, topic(), "phx_join", {}, "6", "6")).status, "error");
  client.close();
});

// --- how it ends ------------------------------------------------------------

both("tells each channel when the token expires, without any traffic, then ends", async (kind, Client) => {
  const where = topic();
  const text = await token(rights(where, "join"), { ttl: 2 });
  const client = await Client.open({ query: `&access_token=${text}` });
  await join_(client, where);
  const error = await client.next((m) => m[3] === "phx_error", 4000);
  assert.deepEqual(error, ["1", "1", where, "phx_error", { reason: "token_expired" }]);
  assert.ok(Date.now() / 1000 - JSON.parse(Buffer.from(text.split(".")[1], "base64url")).exp < 1);
  assert.equal(await client.end(), kind === "websocket" ? 1008 : 500);
});

both("ends a user's connections at once by a disconnect row", async (kind, Client) => {
  const who = user();
  const where = topic();
  const query = `&access_token=${await token({ sub: who, ...rights(where, "join") })}`;
  const other = await Client.open({ query: `&access_token=${await token({ sub: user() })}` });
  const joined = await Client.open({ query });
  const idle = await Client.open({ query });
  await join_(joined, where);
  await sleep(300);
  const start = Date.now();
  await server.sql(
    `INSERT INTO messages(topic, event, payload) VALUES('user_socket:${who}', 'disconnect', '{}')`,
  );
  const expected = kind === "websocket" ? 1001 : 500;
  assert.equal(await joined.end(), expected);
  assert.equal(await idle.end(), expected);
  assert.ok(Date.now() - start < 1000);
  assert.equal((await ask(other, "room:1", "phx_join", {}, "1")).status, "ok");
  other.close();
  const again = await Client.open({ query });
  assert.equal(again.status, accepted[kind], "a disconnect is no ban");
  again.close();
});

test("ends polls in every process, and their tokens for good", async () => {
  const who = user();
  const query = `&access_token=${await token({ sub: who })}`;
  const first = await Lp.open({ query });
  const here = new Poller(server.ports[1], { query: "vsn=2.0.0" });
  here.token = (await new Poller(server.port, { query: `vsn=2.0.0${query}` }).open()).token;
  const parked = here.peek();
  await sleep(300);
  await server.holdfast("disconnect", who);
  assert.equal((await parked).status, 500);
  assert.equal(await first.end(), 500);
  assert.equal((await here.peek()).status, 500);
  assert.deepEqual(await here.post([["1", "1", "room:1", "phx_join", {}]]), { status: 500 });
});

test("never takes a session for anonymous whose owner is lost", async () => {
  const poller = await new Poller(server.port, {
    query: `vsn=2.0.0&access_token=${await token({ sub: user() })}`,
  }).open();
  const live = join(server.dir, "live.db");
  execFileSync("sqlite3", ["-cmd", ".timeout 5000", live, "DELETE FROM owners"]);
  assert.equal((await poller.peek()).status, 500);
  assert.deepEqual(await poller.post([["1", "1", "room:1", "phx_join", {}]]), { status: 500 });
});

// A process for each request: nothing is known but what is in the directory.
test("knows a session's owner from plain CGI, too", async () => {
  const where = topic();
  const who = user();
  const cgi = (env, input = "") => {
    const out = execFileSync(program("holdfast-gateway"), ["--dir", server.dir], {
      input,
      env: {
        PATH: process.env.PATH,
        REQUEST_METHOD: input ? "POST" : "GET",
        SCRIPT_NAME: "/socket",
        PATH_INFO: "/longpoll",
        CONTENT_LENGTH: String(Buffer.byteLength(input)),
        ...env,
      },
    }).toString();
    return JSON.parse(out.slice(out.indexOf("\r\n\r\n") + 4));
  };
  const query = (t) => ({ QUERY_STRING: `vsn=2.0.0${t ? `&token=${t}` : ""}` });
  const text = await token({ sub: who, ...rights(where, "join") });
  const made = cgi({ ...query(), HTTP_AUTHORIZATION: `Bearer ${text}` });
  assert.equal(made.status, 410);
  assert.equal(cgi({ ...query(), HTTP_AUTHORIZATION: "Bearer no" }).status, 403);
  const join_frame = JSON.stringify(["1", "1", where, "phx_join", {}]);
  assert.deepEqual(cgi(query(made.token), join_frame), { status: 200 });
  const first = cgi(query(made.token));
  assert.equal(JSON.parse(first.messages[0])[4].status, "ok");
  await server.holdfast("disconnect", who);
  assert.equal(cgi(query(first.token)).status, 500);
});

// --- a fresher one ----------------------------------------------------------

both("goes on with a fresher token that a push brings", async (kind, Client) => {
  const who = user();
  const where = topic();
  const claims = { sub: who, ...rights(where, "join") };
  const client = await Client.open({ query: `&access_token=${await token(claims, { ttl: 3 })}` });
  await join_(client, where);
  const fresh = await token({ ...claims, topics: { [where]: ["join", "publish"] } });
  assert.equal((await ask(client, where, "say", {}, "2")).status, "error");
  assert.deepEqual(await ask(client, where, "access_token", { access_token: fresh }, "3"), {
    status: "ok",
    response: {},
  });
  assert.equal((await ask(client, where, "say", {}, "4")).status, "ok");
  await sleep(3500);
  assert.equal((await ask(client, where, "say", {}, "5")).status, "ok");
  client.close();
});

both("takes no fresher token that is bad or somebody else's", async (kind, Client) => {
  const where = topic();
  const claims = { sub: user(), ...rights(where, "join") };
  const client = await Client.open({ query: `&access_token=${await token(claims)}` });
  await join_(client, where);
  for (const [text, reason] of [
    [await token({ ...claims, sub: user() }), "unauthorized"],
    [await token(claims, { ttl: -1 }), "token_expired"],
    ["word", "unauthorized"],
    [7, "unauthorized"],
  ]) {
    const answer = await ask(client, where, "access_token", { access_token: text }, String(++names), "1");
    assert.deepEqual(answer, { status: "error", response: { reason } });
  }
  client.close();
});

both("takes the token that Supabase's clients put into a join", async (kind, Client) => {
  const where = topic();
  const client = await Client.open({ query: "&apikey=word" });
  const text = await token({ sub: user(), ...rights(where, "join") });
  assert.equal((await join_(client, where, { access_token: text })).status, "ok");
  assert.deepEqual(
    (await ask(client, topic(), "phx_join", { access_token: await token({}, { ttl: -1 }) }, "2", "2"))
      .response,
    { reason: "token_expired" },
  );
  assert.equal((await ask(client, "room:1", "phx_join", { access_token: "word" }, "3", "3")).status, "ok");
  client.close();
});

test("goes on with a fresher authToken that a later GET brings", async () => {
  const where = topic();
  const claims = { sub: user(), ...rights(where, "join") };
  const poller = new Poller(server.port, {
    headers: { "x-phoenix-authtoken": await token(claims, { ttl: 2 }) },
  });
  await poller.open();
  await poller.join(where);
  poller.headers = { "x-phoenix-authtoken": await token(claims) };
  await poller.get();
  await sleep(2000);
  poller.headers = {};
  await server.publish(where, "tick", {});
  await poller.until(2);
});

// The client as it is: when its token has expired it comes back by itself, with
// what its function gives then, and joins again.
for (const version of ["1.8.16", "1.7.23"]) {
  for (const transport of transports) {
    test(`lets phoenix ${version} come back with a fresh token (${transport})`, async () => {
      const where = topic();
      const claims = { sub: user(), ...rights(where, "join") };
      const tokens = [await token(claims, { ttl: 2 }), await token(claims)];
      let asked = 0;
      const give = () => tokens[asked++ === 0 ? 0 : 1];
      const options =
        version === "1.8.16"
          ? { authToken: transport === "longpoll" ? () => tokens[Number(asked > 0)] : give }
          : { params: () => ({ access_token: tokens[Number(asked > 0)] }) };
      const socket = connect(version, transport, server.endpoint, {
        ...options,
        reconnectAfterMs: () => 100,
        rejoinAfterMs: () => 100,
      });
      try {
        const channel = socket.channel(where, {});
        let closed = 0;
        socket.onClose(() => closed++);
        const heard = hear(channel, "tick");
        assert.equal((await answer(channel.join())).status, "ok");
        asked = 1;
        // That the channel is told before is seen above; by long-poll the client
        // may drop what it was just given when the next answer closes it.
        await until(5000, "the connection is ended", () => closed > 0);
        await until(8000, "it is joined again", () => channel.state === "joined" && socket.isConnected());
        await sleep(500);
        await server.publish(where, "tick", {});
        await hears(heard, 1);
      } finally {
        await disconnectAll();
      }
    });
  }
}

// --- policies ---------------------------------------------------------------

both("ends a channel whose right a policy gave, and no other", async (kind, Client) => {
  const [mine, everybodys] = [topic(), topic()];
  await server.holdfast("allow", everybodys, "join");
  const client = await Client.open({ query: `&access_token=${await token(rights(mine, "join"))}` });
  await join_(client, mine);
  await ask(client, everybodys, "phx_join", {}, "2", "2");
  await server.holdfast("allow", everybodys, "none");
  if (kind === "websocket") {
    assert.deepEqual(await client.next((m) => m[3] === "phx_error", 1500), [
      "2",
      "2",
      everybodys,
      "phx_error",
      { reason: "unauthorized" },
    ]);
    await server.publish(mine, "tick", {});
    await client.next((m) => m[3] === "tick");
    client.close();
  } else {
    assert.equal(await client.end(), 500);
  }
});

// --- keys -------------------------------------------------------------------

const kinds_of_key = { HS256: 32, EdDSA: 0, ES256: 0, RS256: 0 };

async function generated(alg, kid) {
  if (alg === "HS256") {
    const k = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");
    return { kty: "oct", alg, kid, k };
  }
  const options = { extractable: true, ...(alg === "EdDSA" ? { crv: "Ed25519" } : {}) };
  const { privateKey } = await generateKeyPair(alg, options);
  return { ...(await exportJWK(privateKey)), alg, kid };
}

const public_ = (jwk) =>
  Object.fromEntries(
    Object.entries(jwk).filter(([name]) => !["d", "p", "q", "dp", "dq", "qi"].includes(name)),
  );

for (const alg of Object.keys(kinds_of_key)) {
  test(`verifies what jose signs, and jose what we sign: ${alg}`, async () => {
    const theirs = await generated(alg, `jose-${alg}`);
    writeKeys(server, [...readKeys(server), public_(theirs)]);
    const where = topic();
    for (const Client of [Ws, Lp]) {
      const text = await token(rights(where, "join"), { key: theirs });
      const client = await Client.open({ query: `&access_token=${text}` });
      assert.equal((await join_(client, where)).status, "ok");
      client.close();
    }
    await server.holdfast("token", "--add-key", alg, "--kid", `ours-${alg}`);
    const ours = readKeys(server).find(({ kid }) => kid === `ours-${alg}`);
    const text = (
      await server.holdfast("token", "--kid", `ours-${alg}`, "--sub", "é", "--topic", "a:*=join,publish", "--ttl", "5m")
    ).trim();
    minted.push(text, ours.k ?? ours.d);
    const { payload, protectedHeader } = await jwtVerify(
      text,
      await importJWK(alg === "HS256" ? ours : public_(ours), alg),
    );
    assert.deepEqual(protectedHeader, { alg, typ: "JWT", kid: `ours-${alg}` });
    assert.equal(payload.sub, "é");
    assert.deepEqual(payload.topics, { "a:*": ["join", "publish"] });
    assert.equal(payload.exp - payload.iat, 300);
    assert.match(await server.holdfast("token", "--inspect", text), /^valid/m);
  });
}

test("takes keys in and out without a restart, and keeps the last good set", async () => {
  const next = await generated("HS256", "next");
  const query = async () => `&access_token=${await token({}, { key: next })}`;
  const status = async () => {
    const both_ = await Promise.all(
      [Ws, Lp].map(async (Client) => {
        const client = await Client.open({ query: await query(), refused: true });
        const answer = client.status;
        if (answer !== 403) client.close();
        return answer;
      }),
    );
    return both_.join();
  };
  const former = readKeys(server);
  minted.push(next.k);
  assert.equal(await status(), "403,403");
  writeKeys(server, [...former, next]);
  assert.equal(await status(), "101,410");
  writeKeys(server, "{broken");
  assert.equal(await status(), "101,410");
  writeKeys(server, [{ ...next, k: "c2hvcnQ" }]);
  assert.equal(await status(), "101,410");
  assert.match(server.logs(), /keys_refused.*key 1 \(kid .*next.*shorter than 32 bytes/);
  writeKeys(server, former);
  assert.equal(await status(), "403,403");
});

// --- logs -------------------------------------------------------------------

// The web server's own log is another matter: it may have the query, as
// docs/TOKENS.md says.
test("writes no token and no secret into any log of ours", async () => {
  assert.ok(minted.length > 30);
  for (const name of readdirSync(server.top).filter((n) => /^(gateway|sidecar).*log$/.test(n))) {
    const log = readFileSync(join(server.top, name), "utf8");
    for (const text of minted) {
      // not even the signature alone
      for (const part of [text, text.split(".").at(-1), b64(text), b64url(text)]) {
        assert.ok(!log.includes(part), `${name} has a token`);
      }
    }
  }
});

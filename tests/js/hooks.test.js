// The application in PHP of docs/HOOKS.md, as it stands there, over both
// transports; and what a client sees when it is not there.
import { after, before, it } from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import WebSocket from "ws";
import { variables } from "./lib/fastcgi.js";
import { Poller } from "./lib/poll.js";
import { request } from "./lib/http.js";
import { Server, own, program, told, until, within } from "./lib/server.js";

const docs = fileURLToPath(new URL("../../docs/HOOKS.md", import.meta.url));
let server;
let php;
let port;

const test = (name, body) =>
  it(
    name,
    told(() => server, body),
  );

async function freePort() {
  const probe = net.createServer();
  await new Promise((done) => probe.listen(0, "127.0.0.1", done));
  const found = probe.address().port;
  await new Promise((done) => probe.close(done));
  return found;
}

function example() {
  const text = readFileSync(docs, "utf8");
  const found = /```php\n([\s\S]*?)```/.exec(text);
  assert.ok(found, "docs/HOOKS.md has an application in PHP");
  return found[1];
}

async function startPhp() {
  const script = server.path("hook.php");
  writeFileSync(script, example());
  php = own(
    spawn("php", ["-S", `127.0.0.1:${port}`, script], {
      stdio: "ignore",
      env: { ...process.env, HOOK_SECRET: join(server.dir, "hook_secret") },
    }),
  );
  await until(5000, "php answers", () =>
    request({ port, method: "POST", path: "/", body: "{}" }).then(
      (res) => res.status === 403, // it is not signed
      () => false,
    ),
  );
}

before(async () => {
  port = await freePort();
  server = await Server.start({
    conf: {
      gateway: { hold: "2s", held_first: 1000, cgi_max_held: 1000 },
      hooks: {
        hook_url: `http://127.0.0.1:${port}/hook.php`,
        hook_events: "connect, join, push, leave",
        hook_timeout: "3s",
      },
    },
  });
  await startPhp();
});
after(async () => {
  php?.kill("SIGKILL");
  await server?.stop();
});

// --- a client over each transport --------------------------------------------

class Ws {
  static async open(query) {
    const self = new Ws();
    self.socket = new WebSocket(`${server.endpoint}/websocket?vsn=2.0.0${query}`);
    self.received = [];
    self.socket.on("message", (data) => self.received.push(JSON.parse(data)));
    self.socket.on("error", () => {});
    self.status = await within(
      8000,
      "a handshake is answered",
      Promise.race([
        once(self.socket, "open").then(() => 101),
        once(self.socket, "unexpected-response").then(([, res]) => res.statusCode),
      ]),
    );
    return self;
  }
  async send(...frames) {
    for (const frame of frames) this.socket.send(JSON.stringify(frame));
  }
  async got(n) {
    await until(8000, `${n} messages came`, () => this.received.length >= n);
    return this.received;
  }
  close() {
    this.socket.terminate();
  }
}

class Lp {
  static async open(query) {
    const self = new Lp();
    self.poller = new Poller(server.port, { query: `vsn=2.0.0${query}` });
    self.status = (await self.poller.get()).status;
    return self;
  }
  async send(...frames) {
    assert.equal((await this.poller.post(frames)).status, 200);
  }
  async got(n) {
    for (let i = 0; i < 10 && this.poller.received.length < n; i++) await this.poller.get();
    return this.poller.received;
  }
  close() {}
}

const ok = (j, r, topic, response = {}) => [j, r, topic, "phx_reply", { status: "ok", response }];
const bad = (j, r, topic, reason) => [
  j,
  r,
  topic,
  "phx_reply",
  { status: "error", response: { reason } },
];

for (const [name, Client, open, refused] of [
  ["WebSocket", Ws, 101, 403],
  ["long-poll", Lp, 410, 403],
]) {
  const room = `room:${Client.name}`;

  test(`the PHP application serves a chat over ${name}`, async () => {
    const ann = await Client.open("&name=ann");
    const bob = await Client.open("&name=bob");
    assert.deepEqual([ann.status, bob.status], [open, open]);
    await ann.send(["1", "1", room, "phx_join", {}]);
    assert.deepEqual((await ann.got(1))[0], ok("1", "1", room, { you: "ann" }));
    // what the application does at a join comes behind its reply
    const cameOf = `SELECT 1 FROM messages WHERE topic = '${room}' AND event = 'came'`;
    await until(5000, "ann came", async () => (await server.sql(cameOf)).length);
    await bob.send(["1", "1", room, "phx_join", {}]);
    assert.deepEqual((await bob.got(1))[0], ok("1", "1", room, { you: "bob" }));
    assert.deepEqual((await ann.got(2))[1], [null, null, room, "came", { user: "bob" }]);
    await bob.send(["1", "2", room, "say", { text: "grüß dich" }], ["1", "3", room, "roll", {}]);
    const came = await bob.got(4);
    assert.deepEqual(came[1], [null, null, room, "said", { user: "bob", text: "grüß dich" }]);
    assert.deepEqual(came[2], ok("1", "2", room));
    assert.ok(came[3][4].response.dice >= 1 && came[3][4].response.dice <= 6);
    assert.deepEqual((await ann.got(3))[2], came[1]);
    await bob.send(["1", "4", room, "say", {}], ["1", "5", room, "bye", {}]);
    assert.deepEqual((await bob.got(7)).slice(4), [
      bad("1", "4", room, "say something"),
      ok("1", "5", room),
      ["1", "1", room, "phx_close", {}],
    ]);
    await ann.send(["1", "9", room, "phx_leave", {}]);
    assert.deepEqual((await ann.got(5)).slice(3), [
      ok("1", "9", room),
      ["1", "1", room, "phx_close", {}],
    ]);
    ann.close();
    bob.close();
  });

  test(`it refuses over ${name} whom it does not know`, async () => {
    const nobody = await Client.open("&name=two+words");
    assert.equal(nobody.status, refused);
    nobody.close();
    const bob = await Client.open("&name=bob");
    await bob.send(["1", "1", "room:staff", "phx_join", {}]);
    assert.deepEqual((await bob.got(1))[0], bad("1", "1", "room:staff", "staff only"));
    bob.close();
  });

  test(`a disconnect of the user it named ends a ${name} connection`, async () => {
    const eve = await Client.open("&name=eve");
    await eve.send(["1", "1", room, "phx_join", {}]);
    await eve.got(1);
    const closed = eve.socket && once(eve.socket, "close");
    await server.publish("user_socket:eve", "disconnect", {});
    if (closed) {
      const [code] = await within(5000, "it is closed", closed);
      assert.equal(code, 1001);
    } else {
      await until(5000, "its poll is told", async () => (await eve.poller.get()).status === 500);
    }
  });
}

// --- plain CGI ----------------------------------------------------------------

async function asCgi(query) {
  const env = { ...process.env, GATEWAY_INTERFACE: "CGI/1.1", ...variables({ query }) };
  const child = own(spawn(program("holdfast-gateway"), ["--dir", server.dir], { env, stdio: ["ignore", "pipe", "inherit"] }));
  let out = "";
  child.stdout.on("data", (part) => (out += part));
  await within(8000, "the gateway ends", once(child, "close"));
  return JSON.parse(out.slice(out.indexOf("\r\n\r\n")));
}

test("a plain CGI process asks the application, too", async () => {
  assert.equal((await asCgi("vsn=2.0.0&name=ann")).status, 410);
  assert.equal((await asCgi("vsn=2.0.0&name=two+words")).status, 403);
});

test("who was silent on long-poll for longer than its lease has left, and joins again", async () => {
  const calls = [];
  const app = http.createServer(async (req, res) => {
    let body = "";
    for await (const part of req) body += part;
    const call = JSON.parse(body);
    const went = { do: "broadcast", event: "went", payload: {} };
    calls.push(call);
    res.end(JSON.stringify({ status: "ok", actions: call.hook === "leave" ? [went] : [] }));
  });
  await new Promise((done) => app.listen(0, "127.0.0.1", done));
  const other = await Server.start({
    conf: {
      http: { lease: "3s" },
      gateway: { hold: "1s" },
      hooks: {
        hook_url: `http://127.0.0.1:${app.address().port}/`,
        hook_events: "join, leave",
        hook_topics: "room:*",
      },
    },
  });
  try {
    const silent = await new Poller(other.port).open();
    const there = await new Poller(other.port).open();
    await silent.join("room:a");
    await there.join("room:a");
    await there.until(2, 20000);
    assert.deepEqual(there.received[1], [null, null, "room:a", "went", {}]);
    const [leave] = calls.filter((call) => call.hook === "leave");
    assert.deepEqual(
      [leave.reason, leave.topic, leave.join_ref, leave.socket.transport],
      ["session_expired", "room:a", "1", "longpoll"],
    );
    await silent.until(2);
    assert.deepEqual(silent.received[1], [
      "1",
      "1",
      "room:a",
      "phx_error",
      { reason: "session_expired" },
    ]);
    await silent.join("room:a", {}, "2");
    assert.deepEqual(
      calls.map((call) => call.hook),
      ["join", "join", "leave", "join"],
    );
    assert.equal(calls[3].socket.id, leave.socket.id);
  } finally {
    await other.stop();
    app.close();
  }
});

test("without the application clients get clear errors, and plain answers", async () => {
  const ann = await Ws.open("&name=ann");
  await ann.send(["1", "1", "room:x", "phx_join", {}]);
  await ann.got(1);
  php.kill("SIGKILL");
  await once(php, "exit");
  await ann.send(["1", "2", "room:x", "say", { text: "?" }], ["3", "3", "room:y", "phx_join", {}]);
  await ann.send([null, "4", "phoenix", "heartbeat", {}]);
  const got = await ann.got(4);
  assert.ok(got.some((m) => m[1] === "2" && m[4].response.reason === "push crashed"));
  assert.ok(got.some((m) => m[1] === "3" && m[4].response.reason === "join crashed"));
  assert.ok(got.some((m) => m[1] === "4" && m[4].status === "ok"));
  assert.equal((await Ws.open("&name=ann")).status, 500);
  assert.equal((await Lp.open("&name=ann")).status, 500);
  ann.close();
});

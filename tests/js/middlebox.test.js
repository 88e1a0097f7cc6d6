// The proxy that does harm, tests/middlebox: every mode is seen to do what it is
// for, and what it does not concern still passes. Behind it is a server of this
// file, which notes what reaches it.
import { after, afterEach, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import WS, { WebSocketServer } from "ws";
import { Middlebox } from "./lib/middlebox.js";
import { Inbox, sleep, until, within } from "./lib/wait.js";

const PAGE = "what the server says, ".repeat(20);

let server;
let box;
let requests = []; // that reached the server: { method, version, headers, body }
let heard = []; // by its WebSockets
let sockets = []; // its ends of them
const clients = new Set();

before(async () => {
  const wss = new WebSocketServer({ noServer: true });
  server = http.createServer(async (req, res) => {
    let body = "";
    for await (const part of req) body += part;
    const { method, url, httpVersion: version, headers } = req;
    requests.push({ method, url, version, headers, body });
    res.setHeader("content-type", "text/plain");
    if (headers.upgrade) return res.writeHead(426).end();
    res.end(`${method} ${requests.length} ${body} ${PAGE}`);
  });
  server.on("upgrade", (req, socket, head) => {
    requests.push({ method: "WS", url: req.url, version: req.httpVersion, headers: req.headers });
    wss.handleUpgrade(req, socket, head, (ws) => {
      sockets.push(ws);
      ws.ended = false;
      ws.on("close", () => (ws.ended = true));
      ws.on("error", () => {});
      ws.on("message", (data) => {
        heard.push(String(data));
        ws.send(`echo ${data}`);
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  box = await Middlebox.start(server.address().port);
});

afterEach(async () => {
  for (const client of clients) client.terminate();
  clients.clear();
  await box.say("pass", "drop");
  for (const ws of sockets) ws.terminate();
  requests = [];
  heard = [];
  sockets = [];
});

after(async () => {
  await box?.end();
  server?.closeAllConnections();
  server?.close();
});

// One HTTP request: { status, version, headers, body }, or { error }, or
// { hangs: true } when there was no end of an answer within ms.
function ask(method, { body, ms = 400, path = "/any?x=1" } = {}) {
  return new Promise((done) => {
    const req = http.request({ port: box.port, host: "127.0.0.1", method, path, agent: false });
    const timer = setTimeout(() => {
      done({ hangs: true });
      req.destroy();
    }, ms);
    const end = (how) => {
      clearTimeout(timer);
      done(how);
    };
    req.on("error", ({ code }) => end({ error: code }));
    req.on("response", (res) => {
      let text = "";
      res.on("data", (part) => (text += part));
      res.on("error", ({ code }) => end({ error: code, status: res.statusCode, body: text }));
      res.on("end", () =>
        end({ status: res.statusCode, version: res.httpVersion, headers: res.headers, body: text }),
      );
    });
    req.end(body);
  });
}

// A WebSocket: what it heard, and how it ended: { status } of a refusal,
// { code }, or { error }.
function upgrade() {
  const ws = new WS(`ws://127.0.0.1:${box.port}/socket/websocket`);
  clients.add(ws);
  const client = { ws, heard: new Inbox("a WebSocket"), opened: false, how: null };
  ws.on("open", () => (client.opened = true));
  ws.on("message", (data) => client.heard.push(String(data)));
  ws.on("unexpected-response", (_, res) => {
    client.how = { status: res.statusCode };
    res.resume();
    ws.terminate();
  });
  ws.on("error", ({ code }) => (client.how ??= { error: code }));
  ws.on("close", (code) => (client.how ??= { code }));
  return client;
}

async function opened() {
  const client = upgrade();
  await until(3000, "it is open", () => client.opened);
  return client;
}

async function echoes(client, text = "hello", ms = 3000) {
  client.ws.send(text);
  assert.equal(await client.heard.next(ms, "an echo"), `echo ${text}`);
}

const ended = (client, ms = 3000) => until(ms, "it has ended", () => client.how);

// Whatever a mode is for: all else goes on as ever.
async function plainPasses(...methods) {
  for (const method of methods) {
    const { status, body } = await ask(method, { body: method === "POST" ? "b" : undefined, ms: 3000 });
    assert.equal(status, 200, method);
    assert.ok(body.endsWith(PAGE), method);
  }
}

describe("pass", () => {
  it("a GET, a POST and a WebSocket arrive as they are", async () => {
    const big = "x".repeat(100000);
    assert.ok((await ask("GET")).body.endsWith(PAGE));
    assert.equal((await ask("POST", { body: big, ms: 3000 })).status, 200);
    assert.deepEqual(requests.map(({ method, url, version }) => [method, url, version]), [
      ["GET", "/any?x=1", "1.1"],
      ["POST", "/any?x=1", "1.1"],
    ]);
    assert.equal(requests[1].body, big);
    const client = await opened();
    for (let i = 0; i < 20; i++) await echoes(client, `${i} ${big}`);
    assert.equal(heard.length, 20);
  });

  it("each end's close reaches the other one, with its code", async () => {
    const first = await opened();
    sockets[0].close(4001);
    assert.deepEqual(await ended(first), { code: 4001 });
    const second = await opened();
    const told = once(sockets[1], "close");
    second.ws.close(4002);
    assert.equal((await within(3000, "the server is told", told))[0], 4002);
    await until(3000, "nothing stays", async () => (await box.seen()).open === 0);
  });

  it("a client that goes while the server thinks is gone for the server, too", async () => {
    const client = await opened();
    client.ws.terminate();
    await until(3000, "the server is told", () => sockets[0].ended);
  });

  it("a server that is away is a 502", async () => {
    const probe = net.createServer().listen(0, "127.0.0.1");
    await once(probe, "listening");
    const { port } = probe.address();
    probe.close();
    const other = await Middlebox.start(port);
    try {
      const answer = await new Promise((done) =>
        http.get({ port: other.port, host: "127.0.0.1", agent: false }, done).on("error", done),
      );
      assert.equal(answer.statusCode, 502);
      answer.resume();
    } finally {
      await other.end();
    }
  });
});

describe("upgrades that come to nothing", () => {
  it("refuse: an HTTP status at once, and the server sees nothing", async () => {
    for (const [command, status] of [["refuse", 403], ["refuse=407", 407]]) {
      await box.say(command);
      assert.deepEqual(await ended(upgrade()), { status });
    }
    assert.equal(requests.length, 0);
    await plainPasses("GET", "POST");
  });

  it("strip: the server sees a plain GET", async () => {
    await box.say("strip");
    assert.deepEqual(await ended(upgrade()), { status: 200 });
    const [{ method, headers }] = requests;
    assert.deepEqual([method, headers.upgrade, headers.connection], ["GET", undefined, "close"]);
    assert.ok(headers["sec-websocket-key"]);
    await plainPasses("GET", "POST");
  });

  it("http10: the server is spoken to as in 1996, and so is the client", async () => {
    await box.say("http10");
    assert.deepEqual(await ended(upgrade()), { status: 200 });
    const { version, body } = await ask("POST", { body: "text" });
    assert.equal(version, "1.0");
    assert.ok(body.includes("POST 2 text"));
    assert.deepEqual(requests.map((r) => [r.version, r.headers.upgrade]), [
      ["1.0", undefined],
      ["1.0", undefined],
    ]);
  });

  it("reset: the connection is reset", async () => {
    await box.say("reset");
    assert.deepEqual(await ended(upgrade()), { error: "ECONNRESET" });
    await plainPasses("GET", "POST");
    await box.say("reset all");
    assert.deepEqual(await ask("GET"), { error: "ECONNRESET" });
    assert.equal(requests.length, 2);
  });

  it("hang: no answer, ever", async () => {
    await box.say("hang");
    const client = upgrade();
    await plainPasses("GET", "POST");
    await sleep(300);
    assert.deepEqual([client.opened, client.how], [false, null]);
    await box.say("pass"); // too late for this one
    await sleep(100);
    assert.deepEqual([client.opened, client.how], [false, null]);
    assert.equal(requests.length, 2);
  });
});

describe("WebSockets that open and are of no use", () => {
  const silence = async (client) => {
    await sleep(250);
    assert.equal(client.how, null, "it still is open");
    assert.deepEqual(client.heard.items, []);
  };

  it("mute: nothing passes, either way, and no end is told of the other's", async () => {
    await box.say("mute");
    const client = await opened();
    client.ws.send("lost");
    sockets[0].send("lost, too");
    await silence(client);
    assert.deepEqual(heard, []);
    sockets[0].terminate();
    await silence(client);
    const other = await opened();
    other.ws.terminate();
    await sleep(100);
    assert.equal(sockets[1].ended, false);
    await plainPasses("GET", "POST");
  });

  it("mute-up: the client hears and is not heard", async () => {
    await box.say("mute-up");
    const client = await opened();
    client.ws.send("lost");
    sockets[0].send("news");
    assert.equal(await client.heard.next(), "news");
    await silence(client);
    assert.deepEqual(heard, []);
  });

  it("mute-down: the client is heard and hears nothing", async () => {
    await box.say("mute-down");
    const client = await opened();
    client.ws.send("up");
    await until(3000, "it is heard", () => heard.length === 1);
    await silence(client);
  });

  it("a WebSocket that was open before goes mute, and stays so when the rule has gone", async () => {
    const client = await opened();
    await echoes(client);
    await box.say("mute");
    client.ws.send("lost");
    await silence(client);
    await box.say("pass");
    client.ws.send("lost");
    await silence(client);
    assert.deepEqual(heard, ["hello"]);
    await echoes(await opened());
  });

  it("cut: it is reset after its time, busy or not", async () => {
    await box.say("cut=300");
    const client = await opened();
    const from = performance.now();
    const busy = setInterval(() => client.ws.readyState === 1 && client.ws.send("busy"), 20);
    await ended(client);
    assert.ok(client.how.code === 1006 || client.how.error === "ECONNRESET", JSON.stringify(client.how));
    clearInterval(busy);
    const took = performance.now() - from;
    assert.ok(took > 200 && took < 1500, `${took} ms`);
    assert.ok(heard.length > 3);
    await until(3000, "the server is told", () => sockets[0].ended);
    await plainPasses("GET", "POST");
  });

  it("cut: those that are open have so long from now on; pass takes it back", async () => {
    const client = await opened();
    await box.say("cut=200", "pass");
    await sleep(400);
    await echoes(client);
    await box.say("cut=100");
    await ended(client);
  });
});

describe("plain requests", () => {
  it("swallow: a POST is never answered, and the server sees nothing of it", async () => {
    await box.say("swallow");
    assert.deepEqual(await ask("POST", { body: "x" }), { hangs: true });
    assert.equal(requests.length, 0);
    await plainPasses("GET");
    await echoes(await opened());
    await box.say("pass", "swallow get");
    assert.deepEqual(await ask("GET"), { hangs: true });
    await plainPasses("POST");
  });

  it("lose: the server answers a POST, the client sees a reset", async () => {
    await box.say("lose");
    assert.deepEqual(await ask("POST", { body: "x" }), { error: "ECONNRESET" });
    assert.deepEqual(requests.map(({ body }) => body), ["x"]);
    await plainPasses("GET");
  });

  it("double: a GET reaches the server twice, and is answered once", async () => {
    await box.say("double");
    const { status, body } = await ask("GET", { ms: 3000 });
    assert.equal(status, 200);
    assert.match(body, /^GET [12] /);
    await until(3000, "both have arrived", () => requests.length === 2);
    assert.deepEqual(requests[0].headers, requests[1].headers);
    await plainPasses("POST");
    assert.equal(requests.length, 3);
  });

  it("truncate: the answer ends after so many bytes of its body", async () => {
    await box.say("truncate=25");
    const { error, body } = await ask("GET");
    assert.deepEqual([error, body.length], ["ECONNRESET", 25]);
    await plainPasses("POST");
    await box.say("truncate=20 upgrade");
    const client = await opened();
    client.ws.send("x".repeat(50));
    await ended(client);
    assert.deepEqual(client.heard.items, []);
  });

  it("portal: whatever was asked for, it is a page of the hotel", async () => {
    await box.say("portal");
    for (const method of ["GET", "POST"]) {
      const { status, headers, body } = await ask(method, { body: method === "POST" ? "x" : undefined });
      assert.equal(status, 200);
      assert.equal(headers["content-type"], "text/html");
      assert.match(body, /hotel/);
    }
    assert.deepEqual(await ended(upgrade()), { status: 200 });
    assert.equal(requests.length, 0);
  });

  it("status: a storm of 502 or 508, and then no more", async () => {
    for (const [command, status] of [["status", 502], ["status=508", 508]]) {
      await box.say(command);
      assert.equal((await ask("GET")).status, status);
      assert.equal((await ask("POST", { body: "x" })).status, status);
      assert.deepEqual(await ended(upgrade()), { status });
    }
    assert.equal(requests.length, 0);
    await box.say("status=508 get", "pass post");
    assert.equal((await ask("GET")).status, 508);
    await plainPasses("POST");
    await box.say("pass");
    await plainPasses("GET", "POST");
  });
});

describe("the line itself", () => {
  it("delay: everything comes later, in its order, each way", async () => {
    await box.say("delay=150");
    const from = performance.now();
    const client = await opened();
    for (let i = 0; i < 30; i++) client.ws.send(`${i}`);
    await until(5000, "all has come", () => client.heard.items.length === 30);
    const took = performance.now() - from;
    assert.ok(took >= 590, `there and back twice, in ${took} ms`);
    assert.deepEqual(heard, Array.from({ length: 30 }, (_, i) => `${i}`));
    const asked = performance.now();
    assert.equal((await ask("GET", { ms: 3000 })).status, 200);
    assert.ok(performance.now() - asked >= 290);
    // no byte overtakes those that came before the change
    client.ws.send("slow");
    await sleep(20);
    await box.say("pass");
    client.ws.send("fast");
    await until(5000, "both are back", () => client.heard.items.length === 32);
    assert.deepEqual(heard.slice(-2), ["slow", "fast"]);
  });

  it("move: who is connected is silent for good, both ways; who comes is not", async () => {
    const client = await opened();
    await echoes(client);
    await box.say("move");
    client.ws.send("lost");
    sockets[0].send("lost");
    await sleep(200);
    assert.deepEqual([client.heard.items, heard, client.how], [[], ["hello"], null]);
    assert.equal(sockets[0].ended, false);
    await echoes(await opened());
    await plainPasses("GET", "POST");
  });

  it("drop: those of a kind are reset", async () => {
    const client = await opened();
    await box.say("swallow get");
    const asked = ask("GET", { ms: 3000 });
    await until(3000, "it is there", async () => (await box.seen()).get > 0);
    await sleep(50);
    await box.say("drop upgrade");
    await ended(client);
    await box.say("drop get");
    assert.deepEqual(await asked, { error: "ECONNRESET" });
  });

  it("to: who comes from now on is led elsewhere, who is there stays", async () => {
    const client = await opened();
    const other = http.createServer((_, res) => res.end("the other one"));
    other.listen(0, "127.0.0.1");
    await once(other, "listening");
    try {
      await box.say(`to 127.0.0.1:${other.address().port}`);
      assert.equal((await ask("GET", { ms: 3000 })).body, "the other one");
      await echoes(client);
    } finally {
      await box.say(`to 127.0.0.1:${server.address().port}`);
      other.closeAllConnections();
      other.close();
    }
    await plainPasses("GET");
  });

  it("seen: requests are counted by kind, and connections", async () => {
    const before = await box.seen();
    await opened();
    await plainPasses("GET", "POST", "POST");
    await until(3000, "the plain ones are over", async () => (await box.seen()).open === 1);
    const { upgrade: ws, get, post } = await box.seen();
    assert.deepEqual([ws - before.upgrade, get - before.get, post - before.post], [1, 1, 2]);
  });
});

describe("what is said to it", () => {
  it("a command that it does not know changes nothing, and says why", async () => {
    for (const [command, why] of [
      ["", /no mode ''/],
      ["nonsense", /no mode 'nonsense'/],
      ["mute=5", /takes no number/],
      ["cut=0", /from 1 on/],
      ["cut=1x", /from 1 on/],
      ["refuse=99", /no HTTP status/],
      ["mute get", /not for those/],
      ["hang upgrade nobody", /no kind 'nobody'/],
      ["drop it", /no kind 'it'/],
      ["to nowhere", /no ADDRESS:PORT/],
      ["to 127.0.0.1:65536", /no ADDRESS:PORT/],
    ])
      await assert.rejects(box.say(command), why);
    await plainPasses("GET", "POST");
    await echoes(await opened());
  });

  it("bytes that are no request are answered 400, and so are endless ones", async () => {
    for (const text of ["nonsense\r\n\r\n", `GET / HTTP/1.1\r\nx: ${"y".repeat(20000)}`]) {
      const socket = net.connect(box.port, "127.0.0.1");
      socket.on("error", () => {});
      let answer = "";
      socket.on("data", (part) => (answer += part));
      socket.write(text);
      await until(3000, "an answer", () => answer.startsWith("HTTP/1.1 400 "));
      socket.destroy();
    }
    assert.equal(requests.length, 0);
  });

  it("a request that comes in single bytes is one all the same", async () => {
    const socket = net.connect(box.port, "127.0.0.1");
    socket.setNoDelay(true);
    let answer = "";
    socket.on("data", (part) => (answer += part));
    for (const byte of "POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc") {
      socket.write(byte);
      await sleep(1);
    }
    await until(3000, "an answer", () => answer.startsWith("HTTP/1.1 200 "));
    assert.equal(requests[0].body, "abc");
    socket.destroy();
  });
});

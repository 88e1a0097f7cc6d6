// The side-car alone: handshakes of every kind, frames as no browser sends
// them, its deadlines and limits, and what happens to clients when it ends.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { existsSync, readFileSync } from "node:fs";
import WebSocket from "ws";
import { frame, OP } from "./lib/rawws.js";
import { OVER_TLS, Sidecar } from "./lib/sidecar.js";
import { sleep, until, within } from "./lib/wait.js";

const HEARTBEAT = '[null,"h","phoenix","heartbeat",{}]';
const BEAT = [null, "h", "phoenix", "phx_reply", { status: "ok", response: {} }];
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const PATH = "/socket/websocket?vsn=2.0.0";

// A good request, its lines replaced (or with null left out) by name.
function request(changes = {}, { first = `GET ${PATH} HTTP/1.1`, more = [], body = "" } = {}) {
  const lines = {
    Host: "localhost",
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
    ...changes,
  };
  const head = Object.entries(lines)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}: ${value}`);
  return Buffer.from([first, ...head, ...more, "", body].join("\r\n"), "latin1");
}

async function beats(ws) {
  ws.text(HEARTBEAT);
  assert.deepEqual(await ws.json(5000, "the reply to a heartbeat"), BEAT);
}

async function closes(ws, code, ms = 5000) {
  const got = await ws.inbox.next(ms, `a close with ${code}`);
  assert.equal(got.kind, "close", JSON.stringify(got));
  assert.equal(got.code, code);
  assert.match(got.reason, code === 1012 ? /^retry_ms=[1-9]\d{3,4}$/ : /^$/);
}

const gone = (ws) =>
  new Promise((done) => (ws.socket.destroyed ? done() : ws.socket.on("close", done)));

const serving = (options, body) => async () => {
  const sidecar = await Sidecar.start(options);
  try {
    await body(sidecar);
  } catch (error) {
    error.message += `\n${sidecar.log}`;
    throw error;
  } finally {
    await sidecar.stop();
  }
};

describe("a handshake", () => {
  let sidecar;
  // short, since libmicrohttpd may miss that a client has gone (0.9.75, 1.0.1)
  before(async () => (sidecar = await Sidecar.start({ conf: { sidecar: { handshake: "1s" } } })));
  after(() => sidecar?.stop());

  const good = {
    "is accepted": request(),
    "is accepted with all its words in other letters": request(
      { Upgrade: null, Connection: null, "Sec-WebSocket-Version": null, "Sec-WebSocket-Key": null },
      {
        more: [
          "UPGRADE: WebSocket",
          "connection: keep-alive, UPGRADE",
          "sec-websocket-version: 13",
          `SEC-WEBSOCKET-KEY:${KEY}`,
        ],
      },
    ),
    "is accepted with Upgrade in two lines": request(
      { Upgrade: "h2c" },
      { more: ["Upgrade: websocket"] },
    ),
    "is accepted with a dangling ampersand and parameters": request(
      {},
      { first: `GET ${PATH}&a=b&o%5Ba%5D=1& HTTP/1.1` },
    ),
    "is accepted with an Origin of the same host": request({ Origin: "http://localhost" }),
    "is accepted with a long token in a cookie": request({ Cookie: `t=${"x".repeat(6000)}` }),
    "is accepted by address": request({ Host: "127.0.0.1:4000" }),
  };
  // one of our own would have to know its names
  if (!OVER_TLS)
    good["is accepted by any name the web server has"] = request({
      Host: "www.example.com",
      Origin: "https://www.example.com",
    });
  for (const [what, bytes] of Object.entries(good)) {
    it(what, async () => {
      const got = await sidecar.exchange(bytes, { ms: 300 });
      assert.equal(got.status, 101, got.text);
      assert.ok(got.open);
      assert.equal(got.headers["sec-websocket-accept"], ACCEPT);
      assert.equal(got.headers.upgrade.toLowerCase(), "websocket");
      assert.equal(got.headers.connection.toLowerCase(), "upgrade");
      assert.equal(got.headers["cache-control"], "no-store");
      assert.equal(got.headers["x-content-type-options"], "nosniff");
      assert.equal(got.headers["sec-websocket-protocol"], undefined);
      assert.equal(got.headers["sec-websocket-extensions"], undefined);
    });
  }

  const refused = {
    "to another path": [
      404,
      request({}, { first: "GET /socket/websocket2?vsn=2.0.0 HTTP/1.1" }),
      /nothing here/,
    ],
    "to the root": [404, request({}, { first: "GET / HTTP/1.1" })],
    "for a page, by a client that would keep the connection": [
      404,
      request({ Upgrade: null, Connection: "keep-alive" }, { first: "GET /index.html HTTP/1.1" }),
    ],
    "to long-poll": [404, request({}, { first: "GET /socket/longpoll?vsn=2.0.0 HTTP/1.1" })],
    "by POST": [
      400,
      request({ Origin: "http://evil.example" }, { first: `POST ${PATH} HTTP/1.1` }),
      /^$/,
    ],
    "by an unknown method": [400, request({}, { first: `BREW ${PATH} HTTP/1.1` }), /^$/],
    "with half a vsn": [403, request({}, { first: "GET /socket/websocket?vsn=2.0 HTTP/1.1" }), /^$/],
    "with vsn 3": [403, request({}, { first: "GET /socket/websocket?vsn=3.0.0 HTTP/1.1" }), /^$/],
    "from another origin": [403, request({ Origin: "http://evil.example" }), /^$/],
    "from the origin null": [403, request({ Origin: "null" }), /^$/],
    "from another origin, though it is no upgrade": [
      403,
      request({ Origin: "http://evil.example", Upgrade: null }),
      /^$/,
    ],
    "from another site without saying which": [
      403,
      request({ "Sec-Fetch-Site": "cross-site" }),
      /^$/,
    ],
    "with HTTP/1.0": [400, request({}, { first: `GET ${PATH} HTTP/1.0` }), /HTTP\/1\.1/],
    "with HTTP/1.2": [400, request({}, { first: `GET ${PATH} HTTP/1.2` }), /HTTP\/1\.1/],
    "with HTTP/2.0": [505, request({}, { first: `GET ${PATH} HTTP/2.0` })],
    "without Host": [400, request({ Host: null })],
    "with two Hosts": [400, request({}, { more: ["Host: localhost"] }), /Host/],
    "with two Origins": [
      400,
      request({ Origin: "http://localhost" }, { more: ["Origin: http://localhost"] }),
      /Origin/,
    ],
    "without Upgrade": [400, request({ Upgrade: null }), /Upgrade/],
    "with another Upgrade": [400, request({ Upgrade: "h2c" }), /Upgrade/],
    "without Connection": [400, request({ Connection: null }), /Connection/],
    "with Connection: close": [400, request({ Connection: "close" }), /Connection/],
    "without a key": [400, request({ "Sec-WebSocket-Key": null }), /Key/],
    "with a short key": [400, request({ "Sec-WebSocket-Key": "dGhlIHNhbXBsZQ==" }), /Key/],
    "with two keys": [400, request({}, { more: [`Sec-WebSocket-Key: ${KEY}`] }), /Key/],
    "with a key that is no base64": [
      400,
      request({ "Sec-WebSocket-Key": "!!!!!!!!!!!!!!!!!!!!!!==" }),
      /Key/,
    ],
    "without a version": [400, request({ "Sec-WebSocket-Version": null }), /Version/],
    "with the version twice": [400, request({}, { more: ["Sec-WebSocket-Version: 13"] }), /Version/],
    "with a blank before the colon": [
      400,
      request({ Upgrade: null }, { more: ["Upgrade : websocket"] }),
    ],
    "with a line without a colon": [400, request({}, { more: ["nonsense"] })],
    "with version 12": [400, request({ "Sec-WebSocket-Version": "12" }), /Version/],
    "with a body": [400, request({ "Content-Length": "5" }, { body: "hello" }), /body/],
    "with a body that never comes": [400, request({ "Content-Length": "5" }), /body/],
    "with a chunked body": [
      400,
      request({ "Transfer-Encoding": "chunked" }, { body: "1\r\nx\r\n0\r\n\r\n" }),
      /body/,
    ],
    "with two ideas of its length": [
      400,
      request({ "Content-Length": "5", "Transfer-Encoding": "chunked" }),
    ],
    "with a negative length": [400, request({ "Content-Length": "-1" })],
    "with a NUL before Upgrade's word": [400, request({ Upgrade: "\0websocket" })],
    "with 40 kB of headers": [431, request({ Cookie: "x".repeat(40000) })],
    "with 3000 headers": [431, request({}, { more: new Array(3000).fill("X: y") })],
    "with a URI of 20 kB": [
      414,
      request({}, { first: `GET ${PATH}&x=${"x".repeat(20000)} HTTP/1.1` }),
    ],
  };
  for (const [what, [status, bytes, body = /^/]] of Object.entries(refused)) {
    it(`${what} is answered with ${status}`, async () => {
      const got = await sidecar.exchange(bytes, { ms: 900 }); // before any deadline
      assert.equal(got.status, status, got.text);
      assert.match(got.body, body);
      assert.ok(!got.open, "the connection is closed");
      const ours = ![505, 431, 414].includes(status) && got.headers["cache-control"] !== undefined;
      if (body.source !== "^") assert.ok(ours, got.text);
      if (!ours) return; // libmicrohttpd's own words
      assert.equal(got.headers["cache-control"], "no-store");
      assert.equal(got.headers["x-content-type-options"], "nosniff");
      if (body.source === "Version") assert.equal(got.headers["sec-websocket-version"], "13");
    });
  }

  it("of garbage is cut or answered with an error", async () => {
    for (const bytes of [
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
      "\0\0\0\0\r\n\r\n",
      "GET\r\n\r\n",
      "\r\n\r\n\r\n",
      "x".repeat(100000),
    ]) {
      const got = await sidecar.exchange(Buffer.from(bytes, "latin1"), { end: true });
      assert.ok(!got.open, JSON.stringify(bytes.slice(0, 10)));
      assert.notEqual(got.status, 101);
    }
  });

  it(
    "on a loopback port is refused for a name that was pointed there",
    serving({ up: ["--listen", "127.0.0.1:0"] }, async (direct) => {
      for (const [host, status] of [
        ["evil.example", 403],
        ["localhost", 101],
      ]) {
        const bytes = request({ Host: host, Origin: `http://${host}` });
        const got = await direct.exchange(bytes, { ms: 900, port: direct.port });
        assert.equal(got.status, status, got.text);
      }
    }),
  );

  // libmicrohttpd differs by version; neither harms where no proxy reads it
  // another way, and a proxy of ours passes neither on.
  for (const [what, bytes] of Object.entries({
    "with bare line feeds": Buffer.from(request().toString("latin1").replaceAll("\r\n", "\n")),
    "with a folded line": request({ Connection: "\r\n Upgrade" }),
  }))
    it(`${what} is accepted or refused, and no more`, async () => {
      const got = await sidecar.exchange(bytes, { ms: 900 });
      assert.ok([101, 400].includes(got.status), got.text);
      await beats(await sidecar.open());
    });

  it("by a client that then sends no more gets its 101, and the end", { skip: OVER_TLS }, async () => {
    const got = await sidecar.exchange(request(), { end: true, ms: 900 });
    assert.equal(got.status, 101, got.text);
    assert.ok(!got.open, "the connection is closed");
  });

  it("with Expect: 100-continue gets its 101", async () => {
    const got = await sidecar.exchange(request({ Expect: "100-continue" }), { ms: 300 });
    assert.match(got.text, /HTTP\/1\.1 101 /);
  });

  it("selects phoenix among the subprotocols and never repeats a token", async () => {
    for (const [offered, status, chosen] of [
      ["phoenix", 101, "phoenix"],
      ["x, phoenix, y", 101, "phoenix"],
      ["", 101],
      ["x", 403],
      ["Phoenix", 403],
      // no valid tokens
      ["phoenix, base64url.bearer.phx.c2VjcmV0", 403],
      ["base64url.bearer.phx.c2VjcmV0", 403],
    ]) {
      const ws = await sidecar.open({ headers: { "Sec-WebSocket-Protocol": offered } });
      assert.equal(ws.status, status, offered);
      assert.equal(ws.headers["sec-websocket-protocol"], chosen, offered);
      ws.destroy();
    }
  });

  it("may be dribbled, with frames in the same breath", async () => {
    const socket = sidecar.connect();
    let got = "";
    socket.on("data", (data) => (got += data.toString("latin1")));
    const bytes = Buffer.concat([request(), frame(OP.text, HEARTBEAT), frame(OP.ping, "x")]);
    for (let at = 0; at < bytes.length; at += 7) {
      socket.write(bytes.subarray(at, at + 7));
      await sleep(1);
    }
    const answers = ["phx_reply", "\x8a\x01x"];
    await until(5000, "both answers", () => answers.every((one) => got.includes(one)));
    socket.destroy();
  });

  it("may have 600 frames behind it, in order", async () => {
    const socket = sidecar.connect();
    let got = "";
    socket.on("data", (data) => (got += data.toString("latin1")));
    const beat = (i) => frame(OP.text, `[null,"${i}","phoenix","heartbeat",{}]`);
    socket.write(Buffer.concat([request(), ...Array.from({ length: 600 }, (_, i) => beat(i))]));
    await until(5000, "600 answers", () => got.includes('"599"'));
    const refs = [...got.matchAll(/\[null,"(\d+)"/g)].map((m) => Number(m[1]));
    assert.deepEqual(
      refs,
      Array.from({ length: 600 }, (_, i) => i),
    );
    socket.destroy();
  });

  it("that is done leaves one descriptor for the socket, and at once", async () => {
    await sleep(100);
    const before = sidecar.descriptors();
    const ws = await sidecar.open();
    await beats(ws);
    assert.equal(sidecar.descriptors(), before + 1);
    ws.destroy();
  });

  it("leaves nothing behind, however clients go", async () => {
    await sleep(100);
    const before = sidecar.descriptors();
    for (let i = 0; i < 100; i++) {
      const socket = sidecar.connect();
      const kind = i % 5;
      socket.on("error", () => {});
      if (kind === 0) socket.end();
      if (kind === 1) socket.end(request());
      if (kind === 2) socket.end(request().subarray(0, 60));
      if (kind === 3) socket.write(request(), () => socket.destroy());
      if (kind === 4) socket.write(request().subarray(0, 60), () => socket.destroy());
    }
    await until(9000, "as many descriptors as before", () => sidecar.descriptors() <= before);
  });
});

describe("frames", () => {
  let sidecar;
  before(async () => (sidecar = await Sidecar.start()));
  after(() => sidecar?.stop());
  const story = (body) => async () => {
    const ws = await sidecar.open();
    try {
      await body(ws);
    } finally {
      ws.destroy();
    }
  };

  it(
    "are understood byte by byte",
    story(async (ws) => {
      for (const byte of frame(OP.text, HEARTBEAT)) {
        ws.write(Buffer.from([byte]));
        await sleep(1);
      }
      assert.deepEqual(await ws.json(), BEAT);
    }),
  );

  it(
    "are put together, with pings and pongs in between",
    story(async (ws) => {
      const parts = HEARTBEAT.match(/.{1,5}/gs);
      parts.forEach((part, i) => {
        const last = i === parts.length - 1;
        ws.send(i === 0 ? OP.text : OP.more, part, { fin: last });
        if (!last) ws.send(i % 2 ? OP.pong : OP.ping, `p${i}`);
      });
      const kinds = [];
      for (let i = 0; i < parts.length / 2 + 1; i++) {
        const got = await ws.inbox.next();
        kinds.push(got.kind);
        if (got.kind === "text") {
          assert.deepEqual(JSON.parse(got.data), BEAT);
          break;
        }
      }
      assert.equal(kinds.at(-1), "text");
      assert.ok(kinds.includes("pong"));
    }),
  );

  it(
    "of a ping are answered with the same bytes",
    story(async (ws) => {
      for (const data of ["", "hi", Buffer.from([0xff, 0, 0xc3]), "x".repeat(125)]) {
        ws.send(OP.ping, data);
        const got = await ws.inbox.next();
        assert.equal(got.kind, "pong");
        assert.deepEqual(got.data, Buffer.from(data));
      }
    }),
  );

  it(
    "of a ping may be cut anywhere",
    story(async (ws) => {
      const ping = frame(OP.ping, "abcdefgh");
      for (let cut = 1; cut < ping.length; cut++) {
        ws.write(ping.subarray(0, cut));
        await sleep(2);
        ws.write(ping.subarray(cut));
        assert.equal((await ws.inbox.next()).data.toString(), "abcdefgh");
      }
    }),
  );

  it(
    "of two thousand pings are answered up to the last",
    story(async (ws) => {
      const pings = Array.from({ length: 2000 }, (_, i) => frame(OP.ping, `${i}`));
      ws.write(Buffer.concat(pings));
      for (let last = -1; last < 1999;) {
        const { kind, data } = await ws.inbox.next();
        assert.equal(kind, "pong");
        assert.ok(Number(data) > last, "in order");
        last = Number(data);
      }
      await beats(ws);
    }),
  );

  it(
    "of the largest size come through, one byte more is too much",
    story(async (ws) => {
      const filler = 256 * 1024 - '[null,"h","phoenix","heartbeat",{"x":""}]'.length;
      const heartbeat = (n) => `[null,"h","phoenix","heartbeat",{"x":"${"y".repeat(n)}"}]`;
      ws.text(heartbeat(filler));
      assert.deepEqual(await ws.json(), BEAT);
      ws.text(heartbeat(filler + 1));
      await closes(ws, 1009);
    }),
  );

  const codes = {
    "without a mask": [1002, (ws) => ws.send(OP.text, HEARTBEAT, { masked: false })],
    "with a reserved bit": [1002, (ws) => ws.send(OP.text, HEARTBEAT, { rsv: 1 })],
    "that close with half a code": [1002, (ws) => ws.send(OP.close, Buffer.from([3]))],
    "that are no UTF-8": [1007, (ws) => ws.send(OP.text, Buffer.from([0x80]))],
    "that are no messages": [1011, (ws) => ws.text("nonsense")],
  };
  for (const [what, [code, send]] of Object.entries(codes)) {
    it(
      `${what} end the connection with ${code} and its stream`,
      story(async (ws) => {
        send(ws);
        ws.text(HEARTBEAT); // too late
        await closes(ws, code);
        ws.socket.end();
        await within(3000, "the end of the stream", gone(ws));
      }),
    );
  }

  it(
    "behind a bad one do not keep the goodbye from arriving",
    story(async (ws) => {
      ws.write(Buffer.concat([frame(OP.text, "x", { masked: false }), Buffer.alloc(4 << 20)]));
      await closes(ws, 1002);
    }),
  );

  for (const code of [1000, 1001, 4000, undefined]) {
    it(
      `of a goodbye with ${code ?? "no code"} are answered with the same`,
      story(async (ws) => {
        ws.sendClose(code, code ? "bye" : "");
        await closes(ws, code ?? 1005);
        await within(3000, "the end of the stream", gone(ws));
      }),
    );
  }

  it(
    "after a goodbye are ignored",
    story(async (ws) => {
      ws.write(Buffer.concat([frame(OP.close, Buffer.from([3, 232])), frame(OP.text, HEARTBEAT)]));
      await closes(ws, 1000);
      await ws.inbox.silence(200);
    }),
  );
});

describe("deadlines", { concurrency: true }, () => {
  it(
    "cut a handshake that dribbles, and one that is silent",
    serving({ conf: { sidecar: { handshake: "1s" } } }, async (sidecar) => {
      const cut = (bytes, every) =>
        new Promise((done) => {
          const socket = sidecar.connect();
          const started = performance.now();
          let i = 0;
          const timer = setInterval(
            () => i < bytes.length && socket.write(bytes.subarray(i, ++i)),
            every,
          );
          socket.on("error", () => {});
          socket.on("close", () => {
            clearInterval(timer);
            done(performance.now() - started);
          });
        });
      const times = await within(
        6000,
        "all are cut",
        Promise.all([
          cut(request(), 100),
          cut(Buffer.alloc(0), 1000),
          cut(request().subarray(0, 50), 1),
        ]),
      );
      for (const ms of times) assert.ok(ms > 900 && ms < 3500, `${ms} ms`);
      await beats(await sidecar.open());
    }),
  );

  it(
    "close what is silent with 1001, whatever it is sent",
    serving({ conf: { sidecar: { idle: "1s" } } }, async (sidecar) => {
      const silent = await sidecar.joined();
      const pings = await sidecar.joined();
      const dribbles = await sidecar.joined();
      const slow = frame(OP.text, HEARTBEAT);
      let at = 0;
      const timer = setInterval(() => {
        if (!pings.closed) pings.send(OP.ping, "");
        if (!dribbles.closed) dribbles.write(slow.subarray(at, ++at));
      }, 100);
      const started = performance.now();
      const talk = setInterval(
        () => sidecar.holdfast("publish", "room:a", "tick", "1").catch(() => {}),
        400,
      );
      const goodbye = async (ws) => {
        let got;
        do got = await ws.inbox.next(4000, "1001");
        while (got.kind === "text");
        assert.equal(got.code, 1001);
      };
      await Promise.all([goodbye(silent), goodbye(dribbles)]);
      assert.ok(performance.now() - started < 3500);
      clearInterval(talk);
      assert.ok(!pings.closed);
      clearInterval(timer);
      pings.destroy();
    }),
  );

  it(
    "end a connection whose peer does not say goodbye",
    serving({}, async (sidecar) => {
      const before = sidecar.descriptors();
      const ws = await sidecar.open();
      ws.socket.allowHalfOpen = true;
      ws.text("nonsense");
      await closes(ws, 1011);
      const timer = setInterval(
        () => ws.socket.writable && ws.write(frame(OP.text, HEARTBEAT)),
        100,
      );
      await until(9000, "it is closed all the same", () => sidecar.descriptors() <= before);
      clearInterval(timer);
      ws.destroy();
    }),
  );
});

describe("a topic", () => {
  it(
    "reaches 300 clients, in order, also past one that does not read",
    serving({}, async (sidecar) => {
      const clients = await Promise.all(Array.from({ length: 300 }, () => sidecar.joined()));
      const asleep = await sidecar.joined();
      asleep.socket.pause();
      const sender = await sidecar.joined();
      const payload = (i) => ({ i, x: "x".repeat(500) });
      for (let i = 0; i < 200; i++)
        sender.text(JSON.stringify(["1", `${i}`, "room:a", "say", payload(i)]));
      for (const ws of clients) {
        for (let i = 0; i < 200; i++) {
          assert.deepEqual(await ws.json(15000, `message ${i}`), [
            null,
            null,
            "room:a",
            "say",
            payload(i),
          ]);
        }
        ws.destroy();
      }
      asleep.socket.resume();
      for (let i = 0; i < 200; i++) assert.deepEqual((await asleep.json())[4].i, i);
      asleep.destroy();
      sender.destroy();
    }),
  );

  it(
    "of megabytes reaches a client that wakes up, whole and in order, and costs little",
    serving({ conf: { http: { push_rate: "0" } } }, async (sidecar) => {
      const asleep = await sidecar.joined();
      const sender = await sidecar.joined();
      asleep.socket.pause();
      await sleep(200);
      const before = sidecar.memory();
      const payload = (i) => ({ i, x: "x".repeat(10000) });
      for (let i = 0; i < 600; i++) {
        sender.text(JSON.stringify(["1", `${i}`, "room:a", "say", payload(i)]));
        assert.equal((await sender.json())[3], "say");
        assert.equal((await sender.json())[3], "phx_reply");
      }
      const grown = sidecar.memory() - before;
      // a sanitizer keeps what was freed
      if (!sanitized(sidecar.worker)) assert.ok(grown < 4e6, `grew by ${grown} bytes for 6 MB`);
      asleep.socket.resume();
      for (let i = 0; i < 600; i++) assert.deepEqual((await asleep.json())[4], payload(i));
      asleep.destroy();
      sender.destroy();
    }),
  );
});

describe("the npm package ws", () => {
  it(
    "connects, is answered, and is closed cleanly on both sides' wish",
    serving({}, async (sidecar) => {
      const open = () =>
        new Promise((done, fail) => {
          const ws = new WebSocket(`ws+unix:${sidecar.socket}:${PATH}`, ["phoenix"], {
            perMessageDeflate: true,
          });
          ws.inbox = [];
          ws.on("message", (data) => ws.inbox.push(data.toString()));
          ws.on("open", () => done(ws));
          ws.on("error", fail);
          ws.ended = new Promise((end) => ws.on("close", (code) => end(code)));
        });
      const ws = await open();
      assert.equal(ws.protocol, "phoenix");
      assert.equal(ws.extensions, "");
      for (let i = 0; i < 50; i++) {
        const text = `[null,"${i}","phoenix","heartbeat",{"x":"${"ä".repeat(i * 500)}"}]`;
        const bytes = Buffer.from(text);
        for (let at = 0; at < bytes.length; at += 997)
          ws.send(bytes.subarray(at, at + 997), { binary: false, fin: at + 997 >= bytes.length });
      }
      await until(5000, "50 replies", () => ws.inbox.length === 50);
      assert.deepEqual(
        ws.inbox.map((text) => Number(JSON.parse(text)[1])),
        Array.from({ length: 50 }, (_, i) => i),
      );
      ws.close(1000);
      assert.equal(await within(3000, "closed", ws.ended), 1000);
      const other = await open();
      other.send("nonsense");
      assert.equal(await within(3000, "closed", other.ended), 1011);
    }),
  );
});

describe("room", () => {
  it(
    "for handshakes has a bound, beyond which clients wait",
    serving({ conf: { sidecar: { handshake: "1s" } } }, async (sidecar) => {
      let cut = 0;
      const idle = Array.from({ length: 1200 }, () =>
        net
          .connect(sidecar.socket)
          .on("error", () => {})
          .on("close", () => cut++),
      );
      await until(3000, "all are connected", () => idle.every((socket) => !socket.connecting));
      assert.equal(cut, 0);
      await beats(await sidecar.open());
      await until(6000, "all are cut", () => cut === idle.length);
    }),
  );

  it(
    "that is used up is answered with 503, and given again",
    serving({ conf: { sidecar: { max_sockets: "3" } } }, async (sidecar) => {
      const three = await Promise.all([sidecar.open(), sidecar.open(), sidecar.open()]);
      const fourth = await sidecar.open();
      assert.equal(fourth.status, 503);
      assert.equal(fourth.headers["retry-after"], "5");
      three[0].destroy();
      await until(3000, "room again", async () => {
        const ws = await sidecar.open();
        const { status } = ws;
        ws.destroy();
        return status === 101;
      });
      await Promise.all([beats(three[1]), beats(three[2])]);
      three.forEach((ws) => ws.destroy());
    }),
  );

  it(
    "in descriptors is kept for ourselves, and no client makes us spin",
    serving({ files: 300 }, async (sidecar) => {
      const open = [];
      for (let i = 0; i < 100; i++) open.push(await sidecar.open());
      assert.equal((await sidecar.open()).status, 503);
      // handshakes that go nowhere take up the rest
      const idle = Array.from({ length: 250 }, () =>
        sidecar.connect().on("error", () => {}),
      );
      await sleep(300);
      await beats(open[0]);
      await sidecar.holdfast("publish", "room:a", "x", "1");
      const before = cpuOf(sidecar.worker);
      await sleep(1000);
      assert.ok(cpuOf(sidecar.worker) - before < 0.3, "idle while nobody can be let in");
      idle.forEach((socket) => socket.destroy());
      open.forEach((ws) => ws.destroy());
      await until(9000, "room again", async () => (await sidecar.open()).status === 101, 200);
    }),
  );
});

describe("when the side-car ends", { concurrency: true }, () => {
  it("by SIGTERM every client gets 1012, and nothing stays", async () => {
    const sidecar = await Sidecar.start();
    const clients = await Promise.all(
      Array.from({ length: 200 }, (_, i) => (i % 2 ? sidecar.joined() : sidecar.open())),
    );
    const deaf = await sidecar.joined();
    deaf.socket.pause();
    const { socket } = sidecar;
    const stopped = sidecar.stop({ keep: true });
    await Promise.all(clients.map((ws) => closes(ws, 1012)));
    await stopped;
    deaf.destroy();
    assert.ok(!existsSync(socket));
    await assert.rejects(sidecar.open(), /ENOENT|ECONNREFUSED/);
    await sidecar.up(); // and again, in the same directory
    await beats(await sidecar.open());
    await sidecar.stop();
  });

  it(
    "its worker by kill -9, nobody who connects is refused",
    serving({}, async (sidecar) => {
      const old = await sidecar.joined();
      const { worker } = sidecar;
      process.kill(worker, "SIGKILL");
      const connecting = Array.from({ length: 20 }, () => sidecar.joined());
      await closes(old, 1006);
      for (const ws of await Promise.all(connecting)) {
        await beats(ws);
        ws.destroy();
      }
      assert.notEqual(sidecar.worker, worker);
    }),
  );

  for (const listen of ["unix:sidecar.sock", "127.0.0.1:0"]) {
    it(`its parent by kill -9, the worker says goodbye and another can start meanwhile, on ${listen}`, async () => {
      const sidecar = await Sidecar.start({ up: ["--listen", listen] });
      const where = () => (sidecar.port ? { socket: undefined, port: sidecar.port } : {});
      const ws = await sidecar.open(where());
      const deaf = await sidecar.open(where()); // keeps the worker for its five seconds
      deaf.socket.allowHalfOpen = true;
      deaf.socket.pause();
      const { worker } = sidecar;
      const next = Object.assign(new Sidecar(), { dir: sidecar.dir });
      const killed = once(sidecar.child, "exit"); // before that, the lock is not free
      sidecar.child.kill("SIGKILL");
      await killed;
      await next.up("--listen", sidecar.port ? `127.0.0.1:${sidecar.port}` : listen);
      assert.ok(isAlive(worker));
      await closes(ws, 1012);
      await beats(await next.open(where()));
      await within(9000, "the old worker ends", sidecar.ended);
      await beats(await next.open(where()));
      deaf.destroy();
      await next.stop();
    });
  }
});

describe("a start", () => {
  it(
    "is refused while another one serves the directory",
    serving({}, async (sidecar) => {
      const second = Object.assign(new Sidecar(), { dir: sidecar.dir });
      await assert.rejects(second.up(), /another side-car listens on .*sidecar.sock/);
      assert.equal(second.how.code, 1);
      await beats(await sidecar.open());
    }),
  );

  it(
    "on a free TCP port says which",
    serving({}, async (sidecar) => {
      const second = Object.assign(new Sidecar(), { dir: sidecar.dir });
      await second.up("--listen", "127.0.0.1:0");
      const ws = await second.open({ socket: undefined, port: second.port });
      await beats(ws);
      ws.destroy();
      await second.stop({ keep: true });
    }),
  );
});

// Empty when there is no such process.
function readProc(pid, name) {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "latin1");
  } catch {
    return "";
  }
}

// Sanitizers reserve terabytes of addresses.
function sanitized(pid) {
  return Number(/^VmSize:\s+(\d+)/m.exec(readProc(pid, "status"))[1]) > 1e9;
}

// Seconds of processor time.
function cpuOf(pid) {
  const stat = readProc(pid, "stat");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function isAlive(pid) {
  const stat = readProc(pid, "stat");
  return stat !== "" && !stat.includes(") Z ");
}

// Bad input gets a clear answer in its protocol's form, and harms nobody else:
// two bystanders, one on each transport, are there all the time and miss
// nothing.
import { after, afterEach, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import net from "node:net";
import { Poller } from "./lib/poll.js";
import { frame, OP, RawWs } from "./lib/rawws.js";
import { Server, told, until } from "./lib/server.js";

const HALL = "room:hall"; // where the bystanders are
let server;
let bystanders;
let said = 0;
const test = (name, body) =>
  it(
    name,
    told(() => server, body),
  );

before(async () => {
  server = await Server.start({ conf: { gateway: { hold: "2s" } } });
  const ws = await RawWs.open({ port: server.port });
  ws.text(JSON.stringify(["1", "1", HALL, "phx_join", {}]));
  assert.equal((await ws.json())[4].status, "ok");
  const poller = await new Poller(server.port).open();
  await poller.join(HALL);
  bystanders = { ws, poller };
});
after(async () => {
  bystanders?.ws.destroy();
  await server?.stop();
});

afterEach(async () => {
  const { ws, poller } = bystanders;
  const i = ++said;
  await server.publish(HALL, "tick", { i });
  assert.deepEqual(await ws.json(5000, "the bystander's message"), [
    null,
    null,
    HALL,
    "tick",
    { i },
  ]);
  await poller.until(1 + said);
  assert.deepEqual(poller.payloads("tick").at(-1), { i });
  assert.equal(server.sidecar.how, undefined);
  assert.equal(server.gateways[0].how, undefined);
});

const open = () => RawWs.open({ port: server.port });

async function closedWith(ws, ...codes) {
  const got = await ws.inbox.next(5000, "a close");
  assert.equal(got.kind, "close", JSON.stringify(got));
  assert.ok(codes.includes(got.code), `closed with ${got.code}, expected ${codes.join(" or ")}`);
  ws.destroy();
}

const NESTED = (depth) => `["1","1","room:a","phx_join",${"[".repeat(depth)}${"]".repeat(depth)}]`;

describe("a WebSocket is closed", () => {
  const send =
    (...args) =>
    (ws) =>
      ws.send(...args);
  const cases = {
    "for an unmasked frame": [1002, send(OP.text, "[]", { masked: false })],
    "for a reserved bit": [1002, send(OP.text, "[]", { rsv: 4 })],
    "for an opcode that is reserved": [1002, send(3, "x")],
    "for a control frame in pieces": [1002, send(OP.ping, "x", { fin: false })],
    "for a ping of 126 bytes": [1002, send(OP.ping, "x".repeat(126))],
    "for a continuation of nothing": [1002, send(OP.more, "x")],
    "for a message inside a message": [
      1002,
      (ws) => {
        ws.send(OP.text, "[", { fin: false });
        ws.send(OP.text, "[]");
      },
    ],
    "for a close with half a code": [1002, send(OP.close, Buffer.from([3]))],
    "for a close with code 1005": [1002, (ws) => ws.sendClose(1005)],
    "for a close with code 999": [1002, (ws) => ws.sendClose(999)],
    "for bytes that are no UTF-8": [1007, send(OP.text, Buffer.from([0x22, 0xc0, 0xaf, 0x22]))],
    "for a character cut off at the end": [
      1007,
      (ws) => {
        ws.send(OP.text, Buffer.from([0x22, 0xe2]), { fin: false });
        ws.send(OP.more, Buffer.from([0x98]));
      },
    ],
    "for a frame above the limit, before its body is sent": [
      1009,
      (ws) => ws.write(frame(OP.text, Buffer.alloc(300000)).subarray(0, 14)),
    ],
    "for fragments above the limit together": [
      1009,
      (ws) => {
        ws.send(OP.text, "x".repeat(200000), { fin: false });
        ws.send(OP.more, "x".repeat(100000));
      },
    ],
    "for a length of 2^63": [
      [1002, 1009],
      (ws) => ws.write(Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4])),
    ],
    "for text that is no JSON": [1011, send(OP.text, "nope")],
    "for four elements": [1011, send(OP.text, '["1","1","room:a","phx_join"]')],
    "for arrays inside arrays without end": [1011, send(OP.text, NESTED(5000))],
    "for a ref of 1000 bytes": [
      1011,
      send(OP.text, `["1","${"9".repeat(1000)}","room:a","phx_join",{}]`),
    ],
  };
  for (const [what, [codes, send1]] of Object.entries(cases)) {
    test(what, async () => {
      const ws = await open();
      send1(ws);
      await closedWith(ws, ...[codes].flat());
    });
  }
});

describe("a WebSocket stays open", () => {
  test("for a topic that is too long, which is unmatched", async () => {
    const ws = await open();
    const topic = `room:${"t".repeat(1000)}`;
    ws.text(JSON.stringify(["1", "1", topic, "phx_join", {}]));
    assert.deepEqual(await ws.json(), [
      null,
      "1",
      topic,
      "phx_reply",
      { status: "error", response: { reason: "unmatched topic" } },
    ]);
    ws.destroy();
  });

  test("for a payload above the limit, which is refused", async () => {
    const ws = await open();
    ws.text(JSON.stringify(["1", "1", "room:a", "phx_join", {}]));
    await ws.json();
    ws.text(JSON.stringify(["1", "2", "room:a", "say", "x".repeat(70000)]));
    assert.deepEqual(await ws.json(), [
      "1",
      "2",
      "room:a",
      "phx_reply",
      { status: "error", response: { reason: "payload too large" } },
    ]);
    ws.destroy();
  });

  test("for a frame that comes byte by byte", async () => {
    const ws = await open();
    for (const byte of frame(OP.text, '[null,"1","phoenix","heartbeat",{}]'))
      ws.write(Buffer.from([byte]));
    assert.deepEqual(await ws.json(), [
      null,
      "1",
      "phoenix",
      "phx_reply",
      { status: "ok", response: {} },
    ]);
    ws.destroy();
  });
});

test("a client that reads nothing holds up nobody", async () => {
  const where = "room:flood";
  const deaf = await open();
  deaf.text(JSON.stringify(["1", "1", where, "phx_join", {}]));
  await deaf.json();
  deaf.socket.pause();
  const good = await open();
  good.text(JSON.stringify(["1", "1", where, "phx_join", {}]));
  await good.json();
  const lines = [];
  for (let i = 0; i < 2000; i++)
    lines.push(
      JSON.stringify({ topic: where, event: "flood", payload: { i, x: "x".repeat(2000) } }),
    );
  await server.holdfast("publish", { input: `${lines.join("\n")}\n` });
  for (let i = 0; i < 2000; i++) assert.equal((await good.json(10000))[4].i, i);
  good.destroy();
  deaf.destroy();
});

// What cannot be sent with an HTTP library.
function raw(bytes, target) {
  return new Promise((resolve, reject) => {
    const socket = target ? net.connect(target) : net.connect(server.port, "127.0.0.1");
    let out = "";
    socket.setTimeout(8000, () => socket.destroy(new Error("no answer")));
    socket.on("data", (part) => (out += part.toString("latin1")));
    socket.on("error", reject);
    socket.on("close", () => resolve(out));
    socket.write(bytes);
  });
}

describe("the side-car itself, behind no web server,", () => {
  const head =
    "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
  const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  const path = "/socket/websocket?vsn=2.0.0";
  const cases = {
    "refuses another method": [
      400,
      `POST ${path} HTTP/1.1\r\n${head}${key}Content-Length: 0\r\n\r\n`,
    ],
    "refuses another path": [
      404,
      `GET /elsewhere HTTP/1.1\r\n${head}${key}Connection: close\r\n\r\n`,
    ],
    "refuses HTTP/1.0": [400, `GET ${path} HTTP/1.0\r\n${head}${key}\r\n`],
    "refuses two keys": [400, `GET ${path} HTTP/1.1\r\n${head}${key}${key}\r\n`],
    "refuses a short key": [400, `GET ${path} HTTP/1.1\r\n${head}Sec-WebSocket-Key: YWJj\r\n\r\n`],
    "refuses a request without Upgrade": [
      400,
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    ],
    "refuses a page of another host": [
      403,
      `GET ${path} HTTP/1.1\r\n${head}Origin: http://evil.example\r\n${key}\r\n`,
    ],
  };
  for (const [what, [status, bytes]] of Object.entries(cases)) {
    test(what, async () => {
      const answer = await raw(bytes, `${server.dir}/sidecar.sock`);
      assert.match(answer, new RegExp(`^HTTP/1\\.[01] ${status} `), answer);
    });
  }

  test("ends a handshake that takes too long", async () => {
    const socket = net.connect(`${server.dir}/sidecar.sock`);
    socket.on("error", () => {});
    let ended = false;
    socket.on("close", () => (ended = true));
    const dribble = setInterval(() => socket.write("G"), 200);
    try {
      await until(9000, "the connection is closed", () => ended);
    } finally {
      clearInterval(dribble);
      socket.destroy();
    }
  });
});

describe("long-poll answers", () => {
  for (const method of ["PUT", "DELETE", "HEAD", "PATCH"]) {
    test(`${method} with 400 and nothing more`, async () => {
      const answer = await server.request({ method, path: "/socket/longpoll?vsn=2.0.0" });
      assert.deepEqual([answer.status, answer.body], [400, ""]);
    });
  }

  test("a path that is none with 404", async () => {
    for (const path of ["/socket/longpoll/x?vsn=2.0.0", "/socket/longpollx", "/socket/"]) {
      const answer = await server.request({ path });
      assert.equal(answer.status, 404, path);
      assert.ok(!answer.body.startsWith("{"), "no JSON");
    }
  });

  test("a token of 4 kB, or of odd bytes, with a new session", async () => {
    for (const token of ["A".repeat(4000), "..%2f..", "%E2%98%83", "+"]) {
      const answer = await server.request({ path: `/socket/longpoll?vsn=2.0.0&token=${token}` });
      assert.equal(JSON.parse(answer.body).status, 410, token);
      assert.ok(JSON.parse(answer.body).token);
    }
  });

  test("more lines than it takes with 413, and does none of them", async () => {
    const poller = await new Poller(server.port).open();
    const lines = Array.from({ length: 1001 }, (_, i) => [
      null,
      String(i),
      "phoenix",
      "heartbeat",
      {},
    ]);
    assert.deepEqual(await poller.post(lines), { status: 413 });
    await poller.post([[null, "after", "phoenix", "heartbeat", {}]]);
    await poller.until(1);
    assert.deepEqual(
      poller.received.map((m) => m[1]),
      ["after"],
    );
  });

  const malformed = {
    "an array that is too short": '["1","1","room:a","phx_join"]',
    "arrays without end": NESTED(5000),
    "a ref of 1000 bytes": `["1","${"9".repeat(1000)}","room:a","phx_join",{}]`,
    "bytes that are no UTF-8": Buffer.from('["1","1","room:\xc0\xaf","phx_join",{}]', "latin1"),
    "a NUL": '["1","1","room:\u0000","phx_join",{}]',
  };
  for (const [what, body] of Object.entries(malformed)) {
    test(`${what} with 400, at once, and keeps the session`, async () => {
      const poller = await new Poller(server.port).open();
      const start = performance.now();
      const answer = await server.request({
        method: "POST",
        path: poller.url(),
        headers: { "content-type": "application/x-ndjson" },
        body,
      });
      assert.deepEqual([answer.status, JSON.parse(answer.body)], [200, { status: 400 }]);
      assert.ok(performance.now() - start < 1000);
      assert.deepEqual(await poller.post([[null, "1", "phoenix", "heartbeat", {}]]), {
        status: 200,
      });
    });
  }
});

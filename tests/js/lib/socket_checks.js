// socket_checks.js - what holds for WebSockets behind every web server
//
// A web server that passes on a WebSocket may still join or cut frames, swallow
// pings and codes, lose what a client sends behind its request, hide who the
// client is or let the client say so itself, and hang up on a quiet one. Each of
// these is looked for with sockets of our own, which see every byte.
import assert from "node:assert/strict";
import net from "node:net";
import { readFileSync } from "node:fs";
import { frame, OP, RawWs } from "./rawws.js";
import { sleep, until } from "./wait.js";

let topics = 0;
const topic = () => `room:socket-${++topics}`;
const text = (frame) => Buffer.from(JSON.stringify(frame));

const handshake = (host, headers = {}) => ({
  port: host.port,
  path: host.longpoll.replace(/longpoll$/, "websocket?vsn=2.0.0"),
  headers,
});

async function open(host, headers) {
  const ws = await RawWs.open(handshake(host, headers));
  assert.equal(ws.status, 101, ws.body);
  return ws;
}

const joining = (where) => ["1", "1", where, "phx_join", {}];

async function joined(host) {
  const where = topic();
  const ws = await open(host);
  ws.send(OP.text, text(joining(where)));
  assert.equal((await ws.json())[4].status, "ok");
  return { ws, where };
}

const beat = (ws) => ws.send(OP.text, text([null, "h", "phoenix", "heartbeat", {}]));

// --- bytes ------------------------------------------------------------------

// Both ways, where a frame's length takes one, three and nine bytes, and where
// buffers end. The last is the largest payload there may be.
async function passesEverySize(host) {
  const { ws, where } = await joined(host);
  for (const size of [0, 40, 125, 126, 4096, 16384, 65528]) {
    const x = "x".repeat(size);
    ws.send(OP.text, text(["1", "2", where, "size", { x }]));
    const heard = [await ws.json(), await ws.json()];
    const row = heard.find(([, , , event]) => event === "size");
    assert.equal(row[4].x, x, `${size} bytes`);
  }
  ws.destroy();
}

// A client that does not wait for the answer to its handshake may send frames in
// the same packet; RFC 6455 forbids it to browsers only.
async function passesWhatIsSentInPieces(host) {
  const { ws, where } = await joined(host);
  const bytes = frame(OP.text, text(["1", "2", where, "pieces", { n: 1 }]));
  for (const byte of bytes) {
    ws.write(Buffer.from([byte]));
    await sleep(2);
  }
  const heard = [await ws.json(), await ws.json()];
  assert.ok(heard.some(([, , , event, payload]) => event === "pieces" && payload.n === 1));
  ws.destroy();
}

async function passesPings(host) {
  const ws = await open(host);
  for (const payload of ["", "x".repeat(125)]) {
    ws.send(OP.ping, payload);
    const { kind, data } = await ws.inbox.next();
    assert.deepEqual([kind, data.toString()], ["pong", payload]);
  }
  ws.destroy();
}

// --- the end ----------------------------------------------------------------

async function passesCodes(host) {
  const polite = await open(host);
  polite.sendClose(4001, "enough");
  const answer = await polite.inbox.next();
  assert.deepEqual([answer.kind, answer.code], ["close", 4001]);
  const wrong = await open(host);
  wrong.send(OP.text, Buffer.from([0xff]));
  const refused = await wrong.inbox.next();
  assert.deepEqual([refused.kind, refused.code], ["close", 1007]);
}

// The side-car goes, and says so: with a code, and when to come back.
async function passesGoodbyes(host) {
  const ws = await open(host);
  await host.sidecar.stop(20000);
  const { kind, code, reason } = await ws.inbox.next();
  assert.deepEqual([kind, code], ["close", 1012]);
  assert.match(reason, /^retry_ms=\d+$/);
  const away = await RawWs.open(handshake(host)).catch(() => ({ status: 0 }));
  assert.notEqual(away.status, 101);
  await host.startSidecar();
  await until(8000, "WebSockets are there again", async () => {
    const again = await RawWs.open(handshake(host)).catch(() => ({ status: 0 }));
    if (again.status === 101) again.destroy();
    return again.status === 101;
  });
}

// --- who it is --------------------------------------------------------------

// A client of another address, which is still this machine, says that it is
// somebody else; the web server knows better. Whom the side-car takes it for is
// seen in what it says of one that it turns away.
async function knowsWhoAsks(host) {
  const name = `https://spoof-${++topics}.example`;
  const headers = { Origin: name, "X-Forwarded-For": "203.0.113.9" };
  const connect = () => net.connect({ port: host.port, host: "127.0.0.1", localAddress: "127.0.0.2" });
  assert.equal((await RawWs.open({ ...handshake(host, headers), connect })).status, 403);
  const line = await until(3000, "it is logged", () =>
    readFileSync(host.path("sidecar.log"), "utf8")
      .split("\n")
      .find((line) => line.includes(name)),
  );
  assert.match(line, new RegExp(` peer=${host.spec.anonymous ? "127.0.0.1" : "127.0.0.2"}( |$)`));
}

// --- silence ----------------------------------------------------------------

// A socket that only answers pings, for longer than web servers wait for a word.
// Begun first, looked at last. Resolves to a function that does so.
export async function listenInSilence(host) {
  const { ws, where } = await joined(host);
  const begun = performance.now();
  let pings = 0;
  const answering = (async () => {
    for (;;) {
      const got = await ws.inbox.next(600000);
      if (got.kind !== "ping") return got;
      pings++;
      ws.send(OP.pong, got.data);
    }
  })();
  return async () => {
    await sleep(Math.max(0, 70000 - (performance.now() - begun)));
    await host.publish(where, "n", { n: 1 });
    const { kind, data, code } = await answering;
    assert.equal(kind, "text", `closed with ${code} after ${pings} pings`);
    assert.deepEqual(JSON.parse(data).slice(2), [where, "n", { n: 1 }]);
    assert.ok(pings >= 2, `${pings} pings`);
    beat(ws);
    assert.equal((await ws.json())[4].status, "ok");
    ws.destroy();
  };
}

// All but the silence, which needs its time.
export function checkSockets(check) {
  check("a WebSocket passes messages of every size, both ways", passesEverySize);
  check("a WebSocket passes a message that comes byte by byte", passesWhatIsSentInPieces);
  check("a WebSocket passes pings and pongs", passesPings);
  check("a WebSocket passes the code that either side closes with", passesCodes);
  check("a WebSocket is known by the address of its client, whatever that says of itself", knowsWhoAsks);
}

export function checkGoodbyes(check) {
  check("a side-car that leaves says when to come back, and is found again", passesGoodbyes);
}

// WebSocket clients that share no code with ours, on an echo and on channels:
// Python's websockets and the npm package ws, straight and through lighttpd.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import WebSocket from "ws";
import { Server } from "./lib/server.js";
import { Sidecar } from "./lib/sidecar.js";
import { Inbox, within } from "./lib/wait.js";

const peer = fileURLToPath(new URL("../peers/peer.py", import.meta.url));

// Debian's package belongs to Debian's Python, which need not be the first.
const python = ["python3", "/usr/bin/python3"].find((command) => {
  try {
    execFileSync(command, ["-c", "import websockets"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
});
const skip = !python && !process.env.HOLDFAST_ALL_RECIPES && "python3-websockets is not installed";

async function asks(...args) {
  const { stdout } = await promisify(execFile)(python, [peer, ...args], { timeout: 60000 });
  assert.match(stdout, /^ok$/m);
}

// The npm package: joins, hears itself and leaves.
async function joins(url, options) {
  const ws = new WebSocket(url, ["phoenix"], options);
  const inbox = new Inbox("ws");
  ws.on("message", (data) => inbox.push(JSON.parse(data)));
  await within(5000, "open", new Promise((done, fail) => ws.on("open", done).on("error", fail)));
  assert.equal(ws.protocol, "phoenix");
  assert.equal(ws.extensions, "");
  const push = (...frame) => ws.send(JSON.stringify(frame));
  const ok = async (ref) => {
    const [, got, , event, { status }] = await inbox.next();
    assert.deepEqual([got, event, status], [ref, "phx_reply", "ok"]);
  };
  push("1", "1", "room:ws", "phx_join", {});
  await ok("1");
  // in fragments, a ping between
  const text = JSON.stringify(["1", "2", "room:ws", "say", { text: "grüß dich".repeat(100) }]);
  const pong = new Promise((done) => ws.on("pong", (data) => done(data.toString())));
  ws.send(text.slice(0, 20), { fin: false });
  ws.ping("there?");
  for (let at = 20; at < text.length; at += 7)
    ws.send(text.slice(at, at + 7), { fin: at + 7 >= text.length });
  assert.equal(await within(5000, "a pong", pong), "there?");
  assert.deepEqual(await inbox.next(), [null, null, ...JSON.parse(text).slice(2)]);
  await ok("2");
  push("1", "3", "room:ws", "phx_leave", {});
  await ok("3");
  const closed = new Promise((done) => ws.on("close", (code) => done(code)));
  ws.close(1001);
  assert.equal(await within(5000, "closed", closed), 1001);
}

describe("channels", () => {
  let server;
  before(async () => (server = await Server.start()));
  after(() => server?.stop());
  const url = () => `ws://127.0.0.1:${server.port}/socket/websocket?vsn=2.0.0`;

  it("are joined by Python's websockets through lighttpd", { skip }, () =>
    asks("channels", url(), "room:py"),
  );
  it("are joined by the npm package ws through lighttpd", () => joins(url()));
});

describe("a port of the side-car", () => {
  let sidecar;
  before(async () => {
    const up = ["--listen", "127.0.0.1:0", "--echo", "/echo"];
    sidecar = await Sidecar.start({ up });
  });
  after(() => sidecar?.stop());
  const url = (path) => `ws://127.0.0.1:${sidecar.port}${path}`;
  const channels = "/socket/websocket?vsn=2.0.0";

  it("gives Python's websockets an echo", { skip }, () => asks("echo", url("/echo")));
  it("gives Python's websockets channels", { skip }, () =>
    asks("channels", url(channels), "room:py"),
  );
  it("gives the npm package ws channels, however it offers compression", async () => {
    await joins(url(channels), { perMessageDeflate: true });
    await joins(url(channels), { perMessageDeflate: false });
  });
});

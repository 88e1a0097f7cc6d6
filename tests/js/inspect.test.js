// What www/holdfast.js tells the inspector, and when: with a browser's globals
// of the test's own. The page www/inspector/ itself is in inspector.test.js.
import { afterEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import { Socket } from "../../www/holdfast.js";
import { World } from "./lib/world.js";

let sockets = [];
let channels = [];

class FakeBroadcastChannel {
  posted = [];

  constructor(name) {
    this.name = name;
    channels.push(this);
  }

  postMessage(data) {
    this.posted.push(structuredClone(data));
  }
}

// What a browser has, or has not.
function browser(globals) {
  for (const [name, get] of Object.entries(globals))
    Object.defineProperty(globalThis, name, { configurable: true, get });
}
const set = { "holdfast.inspect": "1" };
const all = {
  location: () => ({ pathname: "/chat", href: "http://host.example/chat?token=secret" }),
  localStorage: () => set,
  BroadcastChannel: () => FakeBroadcastChannel,
};

const own = Object.keys(all).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.disconnect();
  channels = [];
  for (const [name, descriptor] of own) {
    if (descriptor) Object.defineProperty(globalThis, name, descriptor);
    else delete globalThis[name];
  }
});

function connect(world, options = {}) {
  const socket = new Socket("http://host.example/socket", { tabs: false, ...world.options, ...options });
  sockets.push(socket);
  socket.connect();
  return socket;
}

// A channel that has heard a message and sent one.
async function talk(world, options, payload = { n: 2 }) {
  const socket = connect(world, options);
  const heard = [];
  const channel = socket.channel("room:1");
  channel.on("n", ({ n }) => heard.push(n));
  channel.join();
  await world.pass(20);
  world.publish("room:1", "n", { n: 1 });
  await world.pass(20);
  channel.push("n", payload);
  await world.pass(20);
  assert.deepEqual(heard, [1, 2]);
  return { socket, channel };
}

describe("the inspector", () => {
  it("is told what a socket does, where the browser's storage says so", async () => {
    browser(all);
    const world = new World();
    const { channel } = await talk(world);
    assert.equal(channels.length, 1);
    assert.equal(channels[0].name, "holdfast.inspect");
    const { posted } = channels[0];
    for (const [name, at, kind, text] of posted) {
      assert.match(name, /^\/chat 0\.\d+$/);
      assert.ok(Math.abs(Date.now() - at) < 5000);
      assert.match(kind, /^(transport|channel|push|receive)$/);
      assert.equal(typeof text, "string");
    }
    const said = (kind) => posted.filter((what) => what[2] === kind).map((what) => what[3]);
    assert.deepEqual(said("transport"), ["websocket connecting", "websocket open"]);
    assert.deepEqual(said("channel"), ["room:1 joining", "room:1 joined"]);
    assert.deepEqual(said("push").sort(), ["phoenix heartbeat", "room:1 n", "room:1 phx_join"]);
    assert.equal(posted.find((what) => what[3] === "websocket open")[4].number, 2);
    assert.deepEqual(posted.findLast((what) => what[3] === "room:1 n" && what[2] === "push")[4].payload, { n: 2 });

    posted.length = 0;
    channels[0].onmessage({ data: ["/other 0.1", 1, "transport", "websocket open"] }); // another page's
    assert.deepEqual(posted, []);
    channels[0].onmessage({ data: "?" });
    assert.deepEqual(posted.map((what) => what.slice(2)), [
      ["transport", "websocket open"],
      ["channel", "room:1 joined", channel.cursor],
    ]);
  });

  it("is told nothing where the page or the storage does not say so", async () => {
    for (const [storage, options] of [[{}, {}], [set, { inspect: false }]]) {
      browser({ ...all, localStorage: () => storage });
      await talk(new World(), options);
      assert.deepEqual(channels, []);
    }
    browser({ ...all, localStorage: () => ({}) });
    await talk(new World(), { inspect: true });
    assert.equal(channels.length, 1);
  });

  it("harms nobody where the browser forbids any of it", async () => {
    const forbid = () => {
      throw new DOMException("forbidden", "SecurityError");
    };
    const mute = class extends FakeBroadcastChannel {
      postMessage() {
        forbid();
      }
    };
    for (const globals of [
      { location: undefined, localStorage: undefined, BroadcastChannel: undefined },
      { localStorage: forbid },
      { BroadcastChannel: () => undefined },
      { BroadcastChannel: () => forbid },
      { BroadcastChannel: () => mute },
    ]) {
      browser({ ...all, ...Object.fromEntries(Object.entries(globals).map(([k, get]) => [k, get ?? (() => undefined)])) });
      await talk(new World());
      await talk(new World(), { inspect: true });
    }
  });

  it("sees of a payload what is sent, whatever else the page's object holds", async () => {
    browser(all);
    await talk(new World(), {}, { n: 2, f: () => {} });
    assert.equal(channels[0].posted.filter((what) => what[2] === "push").length, 3);
  });
});

// An application of phoenix.js that changes its import: the same scenes, played
// with phoenix 1.8.16 and with holdfast.js against the real programs, look the
// same to it. And nothing that phoenix.js offers is missing without a word in
// docs/CLIENT.md.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as holdfast from "../../www/holdfast.js";
import { clients, WebSocket } from "./lib/phoenix.js";
import { Server, told, until, within } from "./lib/server.js";

const phoenix = clients["1.8.16"];
const LIBRARIES = { phoenix, holdfast };

let server;
before(async () => {
  server = await Server.start({
    allow: [
      ["room:*", "join,publish,presence"],
      ["closed:*", "publish"],
    ],
  });
});
after(() => server?.stop());

// --- what an application sees --------------------------------------------

// One page: its library, a socket over one transport, and what it has noted.
class Page {
  seen = [];
  sockets = [];

  constructor({ Socket, Presence, LongPoll }, transport, topic) {
    this.library = { Socket, Presence, LongPoll };
    this.transport = transport === "longpoll" ? LongPoll : WebSocket;
    this.topic = topic;
  }

  note = (...what) => this.seen.push(what);

  socket(options = {}) {
    const socket = new this.library.Socket(server.endpoint, {
      transport: this.transport,
      reconnectAfterMs: () => 50,
      rejoinAfterMs: () => 50,
      ...options,
    });
    this.sockets.push(socket);
    return socket;
  }

  connected(options) {
    const socket = this.socket(options);
    socket.connect();
    return socket;
  }

  async joined(socket, topic = this.topic, params = {}) {
    const channel = socket.channel(topic, params);
    assert.equal((await this.answer(channel.join()))[0], "ok");
    return channel;
  }

  // [status, what the server said], without what only resuming clients are told
  answer(push) {
    const first = new Promise((done) => {
      for (const status of ["ok", "error", "timeout"])
        push.receive(status, (response) => done([status, response]));
    });
    return within(8000, "an answer", first).then(([status, response]) => [
      status,
      status === "error" ? response.reason : undefined,
    ]);
  }

  hears(count) {
    return until(8000, `${count} notes of ${JSON.stringify(this.seen)}`, () => this.seen.length >= count);
  }

  async end() {
    const gone = this.sockets.map((socket) => new Promise((done) => socket.disconnect(done)));
    await within(8000, "all sockets are closed", Promise.all(gone));
  }
}

const states = (channel) => [
  channel.state,
  channel.isClosed(),
  channel.isJoining(),
  channel.isJoined(),
  channel.isErrored(),
  channel.isLeaving(),
  channel.canPush(),
];

// Each notes what it sees; `server` is there for both, topics are fresh.
const SCENES = {
  "a socket opens, and is closed": async (page) => {
    const { note } = page;
    const socket = page.socket();
    note(socket.connectionState(), socket.isConnected());
    socket.onOpen(() => note("open", socket.connectionState(), socket.isConnected()));
    const closed = new Promise((done) => socket.onClose(done));
    socket.connect();
    note(socket.connectionState());
    await page.hears(3);
    await new Promise((done) => socket.disconnect(done));
    await within(8000, "onClose", closed);
    note(socket.connectionState(), socket.isConnected());
  },

  "its callbacks can be taken off": async (page) => {
    const socket = page.socket();
    const refs = [
      socket.onOpen(() => page.note("not this one")),
      socket.onMessage(() => page.note("nor this one")),
    ];
    socket.onOpen(() => page.note("this one"));
    socket.off(refs);
    socket.connect();
    await page.joined(socket);
    page.note(typeof refs[0], typeof socket.makeRef(), socket.makeRef() !== socket.makeRef());
  },

  "a channel goes through its states": async (page) => {
    const socket = page.connected();
    const channel = socket.channel(page.topic, {});
    page.note(channel.topic, ...states(channel), channel.joinRef());
    const answer = page.answer(channel.join());
    page.note(...states(channel));
    page.note(...(await answer), ...states(channel), typeof channel.joinRef());
    const closed = new Promise((done) => channel.onClose(done));
    page.note(...(await page.answer(channel.leave())));
    await within(8000, "onClose", closed);
    page.note(...states(channel), socket.channels.length);
  },

  "calls in the wrong order throw": async (page) => {
    const socket = page.connected();
    const channel = socket.channel(page.topic);
    assert.throws(() => channel.push("say", {}), Error);
    channel.join();
    assert.throws(() => channel.join(), Error);
  },

  "what is pushed before the join is answered follows it, in order": async (page) => {
    const socket = page.connected();
    const channel = socket.channel(page.topic);
    channel.on("say", ({ n }) => page.note("heard", n));
    channel.join();
    const answers = [1, 2, 3].map((n) => page.answer(channel.push("say", { n })));
    for (const answer of answers) assert.equal((await answer)[0], "ok");
    await page.hears(3);
  },

  "answers are told to each who waits, and to those who come late": async (page) => {
    const channel = await page.joined(page.connected());
    const push = channel.push("say", { n: 1 });
    push
      .receive("error", () => page.note("error"))
      .receive("ok", () => page.note("first"))
      .receive("ok", () => page.note("second"));
    await page.hears(2);
    push.receive("ok", () => page.note("late"));
    await page.hears(3);
  },

  "refusals have a reason": async (page) => {
    const socket = page.connected();
    const closed = socket.channel("closed:1");
    page.note(...(await page.answer(closed.join())), closed.state);
    closed.leave();
    const channel = await page.joined(socket);
    page.note(...(await page.answer(channel.push("phx_made_up", {}))));
    page.note(...(await page.answer(channel.push("say", [1, 2]))));
  },

  "a push that nobody answers times out": async (page) => {
    const channel = page.socket().channel(page.topic); // never connected
    page.note(...(await page.answer(channel.join(200))), channel.state);
    page.note(...(await page.answer(channel.push("say", {}, 100))));
    page.note(...(await page.answer(channel.leave())), channel.state);
  },

  "bindings come and go": async (page) => {
    const channel = await page.joined(page.connected());
    const first = channel.on("say", ({ n }) => page.note("first", n));
    channel.on("say", ({ n }) => page.note("second", n));
    channel.on("other", ({ n }) => page.note("other", n));
    page.note(typeof first);
    channel.push("say", { n: 1 });
    await page.hears(3);
    channel.off("say", first);
    channel.push("say", { n: 2 });
    await page.hears(4);
    channel.off("say");
    channel.push("say", { n: 3 });
    channel.push("other", { n: 4 });
    await page.hears(5);
  },

  "channel.onMessage sees all, and may change it": async (page) => {
    const socket = page.connected();
    const channel = socket.channel(page.topic);
    channel.onMessage = (event, payload) => {
      if (event !== "say") return payload;
      page.note(event, payload);
      return { n: payload.n + 1 };
    };
    channel.on("say", (payload) => page.note("heard", payload));
    await page.answer(channel.join());
    channel.push("say", { n: 1 });
    await page.hears(2);
  },

  "socket.onMessage sees every frame": async (page) => {
    const socket = page.connected();
    const frames = [];
    socket.onMessage(({ topic, event, payload }) => {
      if (topic !== "phoenix" && event !== "phx_reply") frames.push([topic === page.topic, event, payload]);
    });
    const channel = await page.joined(socket);
    await page.answer(channel.push("say", { n: 1 }));
    await server.publish(page.topic, "news", { n: 2 });
    await until(8000, "the news", () => frames.some(([, event]) => event === "news"));
    page.note(...frames.filter(([, event]) => event !== "presence_state"));
  },

  "parameters may be a function, asked for each join": async (page) => {
    let asked = 0;
    const socket = page.connected({ params: () => ({ user: "ann" }) });
    const channel = socket.channel(page.topic, () => ({ n: ++asked }));
    page.note(channel.params().n);
    await page.answer(channel.join());
    page.note(asked, socket.params());
    page.note(new URL(socket.endPointURL()).searchParams.toString());
  },

  "a page that was away joins again and hears what comes then": async (page) => {
    const socket = page.connected();
    const channel = socket.channel(page.topic);
    channel.on("say", ({ n }) => page.note("heard", n));
    let joins = 0;
    channel.join().receive("ok", () => joins++);
    await until(8000, "joined", () => joins === 1);
    await new Promise((done) => socket.disconnect(done));
    page.note(channel.state, socket.isConnected());
    socket.connect();
    await until(8000, "joined again", () => joins === 2);
    channel.push("say", { n: 1 });
    await page.hears(2);
  },

  "who is there": async (page) => {
    const enter = async (key) => {
      const socket = page.connected();
      const channel = socket.channel(page.topic, { presence: { key, meta: { key } } });
      const presence = new page.library.Presence(channel);
      await page.answer(channel.join());
      return { channel, presence };
    };
    const list = (presence) => presence.list((id, { metas }) => `${id} ${metas.length}`).sort();
    const { presence } = await enter("ann");
    await until(8000, "ann", () => list(presence).length === 1);
    presence.onJoin((id, current, { metas }) => page.note("join", id, current?.metas.length, metas.length));
    presence.onLeave((id, current, { metas }) => page.note("leave", id, current.metas.length, metas.length));
    const bob = await enter("bob");
    await page.hears(1);
    const again = await enter("bob");
    await page.hears(2);
    page.note(list(presence), presence.inPendingSyncState());
    again.channel.leave();
    await page.hears(4);
    bob.channel.leave();
    await page.hears(5);
    page.note(list(presence));
    page.note(presence.list().map(({ metas }) => metas.map(({ key }) => key)));
    page.note(Object.getPrototypeOf(presence.state));
  },

  "a ping is answered": async (page) => {
    const socket = page.socket();
    page.note(socket.ping(() => {}));
    socket.connect();
    await page.joined(socket);
    const took = await new Promise((done) => page.note(socket.ping(done)));
    page.note(took >= 0 && took < 5000);
  },

  "a logger is told": async (page) => {
    const kinds = new Set();
    page.note(page.socket().hasLogger());
    const socket = page.connected({ logger: (kind) => kinds.add(kind) });
    page.note(socket.hasLogger());
    const channel = await page.joined(socket);
    await page.answer(channel.leave());
    page.note([...kinds].sort());
  },

  "another transport is asked for": async (page) => {
    const socket = page.connected();
    const channel = await page.joined(socket);
    channel.on("say", ({ n }) => page.note("heard", n));
    socket.replaceTransport(socket.getLongPollTransport());
    socket.connect();
    await until(8000, "joined again", () => channel.state === "joined" && socket.isConnected());
    await page.answer(channel.push("say", { n: 1 }));
    await page.hears(1);
  },

  "a second channel of a topic takes the place of the first": async (page) => {
    const socket = page.connected();
    const first = await page.joined(socket);
    const closed = new Promise((done) => first.onClose(done));
    const second = await page.joined(socket);
    await within(8000, "the first is closed", closed);
    page.note(first.state, second.state, socket.channels.length);
    second.on("say", ({ n }) => page.note("heard", n));
    await page.answer(second.push("say", { n: 1 }));
    await page.hears(2);
  },

  "a page hears bytes as it sent them": async (page) => {
    if (page.transport !== WebSocket) return; // phoenix.js: as text, elsewhere
    const channel = await page.joined(page.connected());
    const heard = new Promise((done) => channel.on("bytes", done));
    page.note(...(await page.answer(channel.push("bytes", new Uint8Array([0, 1, 255]).buffer))));
    const bytes = await within(8000, "bytes", heard);
    page.note(Object.prototype.toString.call(bytes), [...new Uint8Array(bytes)]);
  },

  "a channel is told when its connection is lost": async (page) => {
    if (page.transport !== WebSocket) return; // a poll is tried again first
    const channel = await page.joined(page.connected());
    const lost = new Promise((done) => channel.onError(done));
    await server.sidecar.kill();
    try {
      await within(8000, "onError", lost);
      page.note(channel.state, channel.canPush());
    } finally {
      await server.startSidecar();
    }
    await until(8000, "joined again", () => channel.state === "joined");
  },
};

let topics = 0;
async function play(scene, library, transport) {
  const page = new Page(library, transport, `room:parity-${++topics}`);
  try {
    await scene(page);
  } catch (error) {
    error.message += `\nnoted: ${JSON.stringify(page.seen)}`;
    throw error;
  } finally {
    await page.end();
  }
  return JSON.parse(JSON.stringify(page.seen).replaceAll(page.topic, "TOPIC"));
}

for (const transport of ["websocket", "longpoll"])
  describe(`over ${transport}, with phoenix.js and with holdfast.js`, () => {
    for (const [name, scene] of Object.entries(SCENES))
      it(
        name,
        told(
          () => server,
          async () => {
            const seen = {};
            for (const [name, library] of Object.entries(LIBRARIES))
              seen[name] = await play(scene, library, transport);
            assert.deepEqual(seen.holdfast, seen.phoenix);
          },
        ),
      );
  });

// --- what there is -------------------------------------------------------

const manual = readFileSync(new URL("../../docs/CLIENT.md", import.meta.url), "utf8");

// Names in the first column of the table in "Coming from phoenix.js".
function explained() {
  const [, section] = manual.split("\n## Coming from phoenix.js\n");
  const rows = section.split("\n## ")[0].split("\n").filter((line) => line.startsWith("| `"));
  return new Set(rows.flatMap((row) => row.split("|")[1].match(/[\w.]+/g)));
}

function members(object) {
  const names = new Set();
  for (let at = object; at && at !== Object.prototype && at !== Function.prototype; at = Object.getPrototypeOf(at))
    for (const name of Object.getOwnPropertyNames(at)) names.add(name);
  return names;
}

describe("what phoenix.js has", () => {
  const things = ({ Socket, Presence }) => {
    const socket = new Socket("ws://127.0.0.1:1/socket", { heartbeatIntervalMs: 1e6 });
    const channel = socket.channel("a");
    const presence = new Presence(channel);
    return { socket, channel, push: channel.join(), presence, Presence };
  };

  for (const name of ["socket", "channel", "push", "presence", "Presence"])
    it(`is here or explained: ${name}`, () => {
      const here = members(things(holdfast)[name]);
      const why = explained();
      const missing = [...members(things(phoenix)[name])].filter((member) => !here.has(member));
      assert.deepEqual(missing.filter((member) => !why.has(member)), []);
    });

  it("is exported under the same names", () => {
    const why = explained();
    const missing = Object.keys(phoenix).filter((name) => !(name in holdfast) && !why.has(name));
    assert.deepEqual(missing, []);
  });
});

// How www/holdfast.js chooses its transport, and changes it: with a clock, a
// network and a server of the test's own. docs/CLIENT.md, "Which transport, and
// why", says what is tested here.
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { REASONS } from "../../www/holdfast.js";
import { TOPIC, connect, listen, outcome, publish, range, reasonsOf } from "./lib/client.js";
import { Page } from "./lib/page.js";
import { WORKS, World } from "./lib/world.js";

const SECOND = 1000;
const MINUTE = 60000;
const HOUR = 60 * MINUTE;

// A page that notes what it hears; `storage` outlives it.
function visit(world, { storage = {}, ...options } = {}) {
  const page = Object.assign(new Page(), { localStorage: storage });
  const socket = connect(world, { page, ...options });
  const changes = []; // what it was told since the last look
  socket.onChange((state, reason, transport) => changes.push([state, reason.number, transport]));
  const { channel, heard } = listen(socket);
  return { page, socket, channel, heard, changes };
}

const change = (state, reason, transport) => [state, REASONS[reason].number, transport];
const dialled = (world, since = 0) => world.dialled.filter((_, i) => world.dialledAt[i] >= since);
const all = (world) => world.rows.map(({ payload }) => payload.n);

describe("the choice of a transport", () => {
  it("is WebSocket, open only once the server has answered", async () => {
    const world = new World();
    world.net.delay = () => 100;
    const socket = connect(world);
    const opened = [];
    socket.onOpen(() => opened.push(world.now));
    await world.pass(250);
    assert.equal(world.connections, 1);
    assert.equal(socket.isConnected(), false);
    await world.pass(100);
    assert.equal(socket.isConnected(), true);
    assert.equal(socket.transportName, "websocket");
    assert.deepEqual(opened, [300]);
  });

  it("joins with the heartbeat, not after it", async () => {
    const world = new World();
    world.net.delay = () => 100;
    const { heard } = listen(connect(world));
    await world.pass(401);
    assert.equal(heard.joins.length, 1);
  });

  for (const [how, atOnce] of [["refuse", true], ["hang", false], ["mute", false]]) {
    it(`is long-poll when the WebSocket does ${how}`, async () => {
      const world = new World();
      world.net.websocket = how;
      const socket = connect(world, { longPollFallbackMs: 1000 });
      const changes = reasonsOf(socket);
      const { channel, heard } = listen(socket);
      await world.pass(atOnce ? 50 : 1050);
      assert.equal(socket.transportName, "longpoll");
      assert.equal(channel.state, "joined");
      assert.equal(heard.joins.length, 1);
      assert.deepEqual(changes, [
        ["connecting", 1, "websocket"],
        ["connecting", atOnce ? REASONS.refused.number : REASONS.unproven.number, "longpoll"],
        ["open", REASONS.useful.number, "longpoll"],
      ]);
      publish(world, 1, 2);
      await world.pass(50);
      assert.deepEqual(heard.n, [1, 2]);
    });
  }

  it("is long-poll where there is no WebSocket, or none may be made", async () => {
    const forbidden = class {
      constructor() {
        throw new Error("SecurityError");
      }
    };
    for (const WebSocket of [null, forbidden]) {
      const world = new World();
      const socket = connect(world, { WebSocket });
      await world.pass(50);
      assert.equal(socket.transportName, "longpoll");
      assert.equal(socket.isConnected(), true);
      assert.deepEqual(world.dialled, ["longpoll"]);
    }
  });

  it("is not made when only one is allowed", async () => {
    const world = new World();
    world.net.websocket = "refuse";
    const socket = connect(world, { transport: "websocket" });
    const polling = connect(world, { transport: "longpoll" });
    await world.pass(60000);
    assert.equal(socket.isConnected(), false);
    assert.equal(polling.isConnected(), true);
    assert.equal(world.dialled.filter((name) => name === "longpoll").length, 1);
    assert.ok(world.dialled.length > 5);
  });

  it("is not widened by what was tried before only one was allowed", async () => {
    const world = new World();
    world.net.websocket = "hang";
    const { socket } = visit(world);
    await world.pass(SECOND);
    socket.replaceTransport("websocket");
    await world.pass(MINUTE);
    assert.equal(world.dialled.includes("longpoll"), false);
    socket.replaceTransport(undefined);
    await world.pass(20 * SECOND);
    assert.equal(socket.transportName, "longpoll");
  });

  it("starts with WebSocket again after a long-poll session was lost", async () => {
    const world = new World();
    world.net.websocket = "refuse";
    const socket = connect(world);
    await world.pass(100);
    assert.equal(socket.transportName, "longpoll");
    world.net.websocket = "ok";
    world.endSessions();
    await world.pass(2000);
    assert.equal(socket.transportName, "websocket");
  });

  it("can be made by the page, both ways, and nothing is lost or doubled", async () => {
    const world = new World();
    world.net.delay = () => 20;
    const socket = connect(world);
    const { heard } = listen(socket);
    await world.pass(200);
    const seen = [];
    for (const name of ["longpoll", undefined, "longpoll", "websocket"]) {
      publish(world, seen.push(name) * 10, seen.length * 10 + 1);
      await world.pass(10);
      socket.replaceTransport(name);
      publish(world, seen.length * 10 + 2);
      await world.pass(500);
      assert.equal(socket.transportName, name ?? "websocket");
    }
    assert.deepEqual(heard.n, [10, 11, 12, 20, 21, 22, 30, 31, 32, 40, 41, 42]);
  });

  it("changes without the page's notice: the next link works before the last one goes", async () => {
    const world = new World();
    world.net.delay = () => 20;
    const socket = connect(world);
    const { channel, heard } = listen(socket);
    await world.pass(200);
    const changes = reasonsOf(socket);
    const answers = [];
    for (const name of ["longpoll", "websocket"]) {
      socket.replaceTransport(name);
      for (let i = 0; i < 30; i++) {
        const n = answers.length + 1;
        answers.push(outcome(channel.push("n", { n })));
        await world.pass(10);
        assert.equal(channel.state, "joined");
      }
      await world.pass(500);
    }
    assert.deepEqual(heard.n, world.rows.map((row) => row.payload.n));
    assert.equal(heard.n.length, 60);
    for (const answer of answers) assert.deepEqual(answer.map(([status]) => status), ["ok"]);
    assert.deepEqual([heard.errors, heard.joins.length], [[], 1]);
    assert.deepEqual(changes, [
      ["open", REASONS.replaced.number, "longpoll"],
      ["open", REASONS.replaced.number, "websocket"],
    ]);
    assert.equal(world.connections, 1);
  });

  it("is left alone when the page asks for what is there", async () => {
    const world = new World();
    const socket = connect(world);
    await world.pass(50);
    socket.replaceTransport("websocket");
    await world.pass(50);
    assert.deepEqual(world.dialled, ["websocket"]);
  });
});

describe("of two transports that answer", () => {
  it("WebSocket is the one that stays, however late", async () => {
    const world = new World();
    world.net.lag = 1000; // a handshake of one second, an answer 2 s later
    const { socket, heard, channel, changes } = visit(world);
    await world.pass(2.8 * SECOND);
    assert.equal(socket.transportName, "longpoll");
    publish(world, 1);
    await world.pass(3 * SECOND);
    assert.equal(socket.transportName, "websocket");
    publish(world, 2);
    await world.pass(5 * SECOND);
    assert.deepEqual(changes, [
      change("connecting", "connect", "websocket"),
      change("connecting", "unproven", "longpoll"),
      change("open", "useful", "longpoll"),
      change("open", "works", "websocket"),
    ]);
    assert.deepEqual(heard.n, [1, 2]);
    assert.deepEqual([heard.joins.length, heard.errors.length], [1, 0]);
    assert.equal(channel.state, "joined");
    assert.equal(world.connections, 1);
    await world.pass(HOUR);
    assert.equal(world.dialled.length, 2);
  });

  it("long-poll is let go when WebSocket is useful before it", async () => {
    const world = new World();
    world.net.delay = () => 900; // useful after 2.7 s, long-poll would be after 6.1 s
    const { socket } = visit(world);
    await world.pass(5 * SECOND);
    assert.deepEqual(world.dialled, ["websocket", "longpoll"]);
    assert.equal(socket.transportName, "websocket");
    await world.pass(5 * SECOND);
    assert.equal(world.parked, 0);
  });

  it("the one that is left goes on when the other is refused", async () => {
    const world = new World();
    Object.assign(world.net, { lag: 1500, longpoll: "refuse" });
    const { socket, changes } = visit(world);
    await world.pass(6 * SECOND);
    assert.equal(socket.transportName, "websocket");
    assert.deepEqual(changes, [
      change("connecting", "connect", "websocket"),
      change("connecting", "unproven", "longpoll"),
      change("connecting", "unreachable", "websocket"),
      change("open", "useful", "websocket"),
    ]);
  });
});

describe("what is tried beside the other", () => {
  it("joins with its heartbeat, not after it", async () => {
    for (const how of ["hang", "mute"]) {
      const world = new World();
      world.net.delay = () => 100;
      world.net.websocket = how;
      const { channel } = visit(world);
      await world.pass(2.5 * SECOND + 410); // a session, and what it was sent
      assert.equal(channel.state, "joined", how);
    }
  });

  it("leaves the field to the other one when it fails after its beginning", async () => {
    const world = new World();
    Object.assign(world.net, { lag: 1500, post: "refuse" });
    const { socket, channel, changes } = visit(world);
    await world.pass(8 * SECOND);
    assert.equal(socket.transportName, "websocket");
    assert.equal(channel.state, "joined");
    assert.deepEqual(changes.slice(2), [
      change("connecting", "unsent", "websocket"),
      change("open", "useful", "websocket"),
    ]);
  });
});

describe("on long-poll", () => {
  it("WebSocket is tried again, ever more rarely, up to ten minutes", async () => {
    for (const how of ["refuse", "hang", "mute"]) {
      const world = new World(() => 0); // no jitter: after the whole of the wait
      world.net.websocket = how;
      const { socket, heard, changes } = visit(world);
      await world.pass(10 * SECOND);
      changes.length = 0;
      socket.onError((reason) => changes.push(reason));
      await world.pass(90 * MINUTE);
      assert.equal(socket.transportName, "longpoll");
      const times = world.dialledAt.filter((_, i) => world.dialled[i] === "websocket");
      const waits = times.slice(1).map((at, i) => (at - times[i]) / SECOND);
      const wanted = [30, 60, 120, 240, 480, 600, 600, 600];
      waits.slice(0, 8).forEach((wait, i) => {
        // and what each try takes: to be refused, or to be waited for
        assert.ok(wait >= wanted[i] && wait < wanted[i] + 13, `${how}: ${waits}`);
      });
      publish(world, 1);
      await world.pass(SECOND);
      assert.deepEqual(heard.n, [1]);
      assert.deepEqual(changes, [], "and the page hears nothing of it");
      assert.equal(dialled(world).filter((name) => name === "longpoll").length, 1);
    }
  });

  it("it takes over when it works, and nothing is noticed", async () => {
    const world = new World();
    world.net.delay = () => 30;
    world.net.websocket = "refuse";
    const { socket, channel, heard, changes } = visit(world);
    await world.pass(SECOND);
    changes.length = 0;
    world.net.websocket = "ok";
    const answers = [];
    for (const n of range(1, 400)) {
      answers.push(outcome(channel.push("n", { n })));
      await world.pass(100);
      assert.equal(channel.state, "joined");
    }
    assert.deepEqual(changes, [change("open", "works", "websocket")]);
    assert.equal(socket.transportName, "websocket");
    assert.deepEqual(heard.n, all(world));
    assert.equal(heard.n.length, 400);
    assert.deepEqual([heard.joins.length, heard.errors.length], [1, 0]);
    for (const answer of answers) assert.equal(answer[0][0], "ok");
    assert.equal(world.parked, 0);
    assert.ok(world.timers < 5);
  });

  it("it has to answer as fast as it would have to at first, but only then", async () => {
    const world = new World();
    world.net.websocket = "refuse";
    const { socket, changes } = visit(world);
    await world.pass(SECOND);
    changes.length = 0;
    Object.assign(world.net, { websocket: "ok", lag: 2000 });
    await world.pass(10 * MINUTE);
    assert.deepEqual(changes, []);
    world.net.lag = 0;
    await world.pass(20 * MINUTE);
    assert.equal(socket.transportName, "websocket");
    changes.length = 0;
    world.net.delay = () => 1600;
    await world.pass(10 * MINUTE);
    assert.deepEqual(changes, []);
  });

  it("what was on its way by the other one arrives, and is not waited for without end", async () => {
    const world = new World();
    world.net.delay = () => 300;
    const { socket, channel, heard } = visit(world);
    const heardAt = [];
    channel.on("n", () => heardAt.push(world.now));
    await world.pass(3 * SECOND);
    socket.replaceTransport("longpoll");
    const start = world.now;
    for (const n of range(0, 99)) {
      publish(world, n);
      await world.pass(50);
    }
    await world.pass(SECOND);
    assert.deepEqual(heard.n, range(0, 99));
    const late = heardAt.map((at, i) => at - start - 50 * i);
    // the join over the next one takes twice as long
    assert.ok(Math.max(...late.slice(0, 30)) < 700, `${late.slice(0, 40)}`);
    world.deaf = true; // it answers no join
    socket.replaceTransport("websocket");
    await world.pass(4 * SECOND);
    assert.equal(socket.transportName, "websocket");
    publish(world, 100);
    await world.pass(SECOND);
    assert.deepEqual(heard.n.at(-1), 100);
    await world.pass(5 * SECOND);
    assert.equal(world.parked, 0);
    socket.push({ topic: TOPIC, event: "n", payload: {}, ref: "0" }); // it asks for an answer
    socket.replaceTransport("longpoll");
    await world.pass(8 * SECOND);
    assert.equal(socket.transportName, "longpoll");
    assert.equal(world.connections, 0);
  });

  for (const [what, happen] of [
    ["is shown", (page) => page.show()],
    ["is on another network", (page) => page.online()],
  ]) {
    it(`it is tried at once when the page ${what}`, async () => {
      const world = new World();
      world.net.websocket = "refuse";
      const { page, socket } = visit(world);
      await world.pass(15 * MINUTE);
      world.net.websocket = "ok";
      const since = world.now;
      happen(page);
      await world.pass(2 * SECOND);
      assert.equal(socket.transportName, "websocket");
      assert.deepEqual(dialled(world, since), ["websocket"]);
    });
  }

  it("the page that wants the other one keeps this one until that works", async () => {
    const world = new World();
    world.net.websocket = "refuse";
    const { socket, heard, changes } = visit(world, { transport: "longpoll" });
    await world.pass(SECOND);
    changes.length = 0;
    socket.replaceTransport("websocket");
    await world.pass(10 * SECOND);
    publish(world, 1);
    await world.pass(SECOND);
    assert.deepEqual([heard.n, changes], [[1], []]);
    world.net.websocket = "ok";
    await world.pass(MINUTE);
    assert.deepEqual(changes, [change("open", "replaced", "websocket")]);
    world.cutSockets();
    world.net.websocket = "refuse";
    await world.pass(10 * MINUTE);
    assert.equal(socket.state === "open", false);
  });
});

describe("a WebSocket that was of use", () => {
  for (const [what, trouble] of [
    ["goes mute", { up: "swallow", down: "swallow", websocket: "hang" }],
    ["goes mute upwards", { up: "swallow", websocket: "hang" }],
    ["goes mute downwards", { down: "swallow", websocket: "hang" }],
    ["answers 4 s late", { lag: 2000 }],
  ]) {
    it(`gives way to long-poll when it ${what}`, async () => {
      const world = new World();
      const { socket, heard, channel, changes } = visit(world);
      await world.pass(31 * SECOND);
      changes.length = 0;
      Object.assign(world.net, trouble);
      publish(world, 1, 2);
      await world.pass(33 * SECOND); // the next heartbeat, and 2.5 s
      assert.equal(socket.transportName, "longpoll");
      assert.deepEqual(changes, [change("open", "late", "longpoll")]);
      publish(world, 3);
      await world.pass(6 * SECOND);
      assert.deepEqual(heard.n, [1, 2, 3]);
      assert.deepEqual([heard.joins.length, heard.errors.length], [1, 0]);
      assert.equal(channel.state, "joined");
      assert.equal(world.connections, 0, "it is closed");
      Object.assign(world.net, WORKS);
      await world.pass(MINUTE);
      assert.equal(socket.transportName, "websocket");
    });
  }

  for (const [what, trouble] of [
    ["mute", { up: "swallow", down: "swallow", websocket: "hang" }],
    ["mute upwards", { up: "swallow", websocket: "hang" }],
    ["mute downwards", { down: "swallow", websocket: "hang" }],
  ]) {
    it(`gives way within 6 s when it goes ${what} and the page has something to say`, async () => {
      const world = new World();
      const { socket, channel, changes } = visit(world);
      await world.pass(31 * SECOND);
      changes.length = 0;
      Object.assign(world.net, trouble);
      for (let i = 0; i < 24; i++) {
        channel.push("n", { n: i });
        publish(world, i);
        await world.pass(250);
      }
      assert.deepEqual(changes, [change("open", "late", "longpoll")]);
      assert.equal(socket.transportName, "longpoll");
    });
  }

  it("is asked no sooner by a page that is answered", async () => {
    const world = new World();
    const { channel } = visit(world);
    await world.pass(SECOND);
    const before = world.heartbeats;
    for (let i = 0; i < 1000; i++) {
      channel.push("n", { n: i });
      await world.pass(60);
    }
    await world.pass(5 * SECOND);
    assert.equal(world.heartbeats - before, 2);
  });

  it("stays when everything is slow", async () => {
    const world = new World();
    const { socket, heard, changes } = visit(world);
    await world.pass(SECOND);
    changes.length = 0;
    world.net.delay = () => 1600; // 3.2 s there and back
    for (const n of range(1, 20)) {
      publish(world, n);
      await world.pass(30 * SECOND);
    }
    assert.deepEqual(changes, []);
    assert.equal(socket.transportName, "websocket");
    assert.deepEqual(heard.n, range(1, 20));
    world.net.delay = () => 1;
    await world.pass(10 * SECOND);
    assert.equal(world.parked, 0, "and what was tried beside it is let go");
  });

  it("gives way when it is cut every few seconds, and is back when it is not", async () => {
    for (const cut of [500, 5 * SECOND, 25 * SECOND]) {
      const world = new World();
      world.net.cut = cut;
      const { socket, heard, changes } = visit(world);
      let n = 0;
      await world.pass(10);
      const hear = async (ms) => {
        for (let passed = 0; passed < ms; passed += 500) {
          publish(world, ++n);
          await world.pass(500);
        }
      };
      await hear(3 * cut + 10 * SECOND);
      assert.equal(socket.transportName, "longpoll");
      assert.equal(world.dialled.length, 4, `${world.dialled}`);
      assert.deepEqual(changes.slice(-2), [
        change("connecting", "unfit", "longpoll"),
        change("open", "useful", "longpoll"),
      ]);
      await hear(10 * MINUTE);
      assert.ok(dialled(world).length < 16, `${world.dialled.length} connections in ten minutes`);
      world.net.cut = 0;
      await hear(15 * MINUTE);
      assert.equal(socket.transportName, "websocket");
      assert.deepEqual(heard.n, range(1, n));
    }
  });

  it("is not blamed for a server that says when to come back", async () => {
    const world = new World();
    const storage = {};
    const { socket } = visit(world, { storage });
    for (let i = 0; i < 10; i++) {
      await world.pass(5 * SECOND);
      world.cutSockets({ code: 1012, reason: "retry_ms=1000" });
    }
    await world.pass(5 * SECOND);
    assert.equal(socket.transportName, "websocket");
    assert.equal(world.dialled.includes("longpoll"), false);
    assert.deepEqual(storage, {});
  });

  it("does not flap where it is late half a minute after it was taken", async () => {
    const world = new World();
    const { socket, heard } = visit(world);
    await world.pass(SECOND);
    let changes = 0;
    let since = world.now;
    socket.onChange(() => {
      changes++;
      since = world.now;
    });
    for (const n of range(1, 7200)) {
      const busy = socket.transportName === "websocket" && world.now - since > 28 * SECOND;
      world.net.lag = busy ? 2000 : 0;
      publish(world, n);
      await world.pass(SECOND);
    }
    await world.pass(5 * SECOND);
    assert.deepEqual(heard.n, range(1, 7200));
    assert.ok(changes < 40, `${changes} changes in two hours`);
  });

  it("that lived long is tried again as soon as at first", async () => {
    const world = new World();
    world.net.websocket = "refuse";
    const { socket } = visit(world);
    await world.pass(HOUR);
    world.net.websocket = "ok";
    await world.pass(11 * MINUTE);
    for (const lived of [1, 11]) {
      assert.equal(socket.transportName, "websocket");
      await world.pass(lived * MINUTE);
      world.net.lag = 3000;
      while (socket.transportName === "websocket") await world.pass(SECOND);
      world.net.lag = 0;
      await world.pass(31 * SECOND);
      assert.equal(socket.transportName, lived < 10 ? "longpoll" : "websocket");
      await world.pass(11 * MINUTE);
    }
  });

  it("does not flap where it works for a minute and then does not", async () => {
    const world = new World();
    const { socket, heard } = visit(world);
    let n = 0;
    let changes = 0;
    await world.pass(SECOND);
    socket.onChange(() => changes++);
    for (let minute = 0; minute < 120; minute++) {
      Object.assign(world.net, WORKS);
      for (let i = 0; i < 60; i++) {
        if (i === 40) Object.assign(world.net, { up: "swallow", websocket: "hang" });
        publish(world, ++n);
        await world.pass(SECOND);
      }
    }
    await world.pass(HOUR);
    assert.deepEqual(heard.n, range(1, n));
    assert.ok(changes < 60, `${changes} changes in two hours`);
    assert.ok(world.dialled.length < 90, `${world.dialled.length} connections`);
  });
});

describe("the verdict", () => {
  const unfit = async (world, storage, options) => {
    world.net.websocket = "hang";
    for (let i = 0; i < 3; i++) {
      const { socket } = visit(world, { storage, ...options });
      await world.pass(5 * SECOND);
      assert.equal(socket.transportName, "longpoll");
      socket.disconnect();
    }
  };
  const first = async (world, storage, options) => {
    const since = world.now;
    const { socket, changes } = visit(world, { storage, ...options });
    await world.pass(2 * SECOND);
    const [name] = dialled(world, since);
    socket.disconnect();
    return [name, changes[0][1]];
  };

  it("is remembered by the next page: it begins with long-poll, and tries WebSocket later", async () => {
    const world = new World();
    const storage = {};
    await unfit(world, storage);
    const since = world.now;
    const { socket, changes } = visit(world, { storage });
    await world.pass(100);
    assert.deepEqual(changes, [
      change("connecting", "unfit", "longpoll"),
      change("open", "useful", "longpoll"),
    ]);
    world.net.websocket = "ok";
    await world.pass(15 * SECOND);
    assert.deepEqual(dialled(world, since), ["longpoll", "websocket"]);
    assert.equal(socket.transportName, "websocket");
    assert.deepEqual(await first(world, storage), ["longpoll", REASONS.unfit.number], "a moment");
    await world.pass(SECOND);
    await world.pass(MINUTE);
    assert.equal(socket.transportName, "websocket");
    assert.equal((await first(world, storage))[0], "websocket", "it proved itself");
  });

  it("ends after an hour, or when the clock was set", async () => {
    for (const [skew, name] of [
      [0.9 * HOUR, "longpoll"],
      [1.1 * HOUR, "websocket"],
      [-2 * HOUR, "websocket"],
    ]) {
      const world = new World();
      const storage = {};
      await unfit(world, storage);
      world.skew = skew;
      assert.equal((await first(world, storage))[0], name, `${skew}`);
    }
  });

  it("is of one network", async () => {
    const world = new World();
    const storage = {};
    const on = (type) => {
      const page = Object.assign(new Page(), { localStorage: storage });
      page.navigator.connection = { type };
      return { page };
    };
    await unfit(world, storage, on("wifi"));
    assert.equal((await first(world, storage, on("wifi")))[0], "longpoll");
    assert.equal((await first(world, storage, on("cellular")))[0], "websocket");
  });

  it("is looked at again when the network is another one", async () => {
    const world = new World();
    const { page, socket } = visit(world, { reconnectAfterMs: () => HOUR });
    page.navigator.connection = { type: "wifi" };
    world.net.cut = 100;
    for (let i = 0; i < 3; i++) {
      socket.connect();
      await world.pass(SECOND);
    }
    world.net.cut = 0;
    page.navigator.connection = { type: "cellular" };
    const since = world.now;
    page.online();
    await world.pass(2 * SECOND);
    assert.deepEqual(dialled(world, since), ["websocket"]);
  });

  it("is not given while the page allows nothing else", async () => {
    const world = new World();
    world.net.websocket = "refuse";
    const { socket } = visit(world, { transport: "websocket", reconnectAfterMs: () => 10 * SECOND });
    await world.pass(MINUTE);
    world.net.websocket = "ok";
    const since = world.now;
    socket.replaceTransport(undefined);
    await world.pass(20 * SECOND);
    world.cutSockets();
    await world.pass(15 * SECOND);
    assert.deepEqual(dialled(world, since), ["websocket", "websocket"]);
  });

  it("holds no part of the end point that may be secret, nor of the parameters", async () => {
    const world = new World();
    const storage = {};
    await unfit(world, storage, { params: { key: "secret" } });
    assert.doesNotMatch(JSON.stringify(storage), /secret/);
    assert.deepEqual(Object.keys(storage).length, 1);
  });

  it("is not given where the server is away", async () => {
    const world = new World();
    const storage = {};
    Object.assign(world.net, { websocket: "refuse", longpoll: "refuse" });
    const { socket, heard } = visit(world, { storage });
    await world.pass(10 * MINUTE);
    assert.deepEqual(storage, {});
    publish(world, 1);
    world.net.websocket = "ok";
    world.net.longpoll = "ok";
    await world.pass(11 * SECOND);
    assert.equal(socket.transportName, "websocket");
    assert.deepEqual(heard.n, []); // joined from now on
  });

  it("does without a place to keep it", async () => {
    const throws = {
      get() {
        throw new Error("SecurityError");
      },
    };
    const world = new World();
    const page = Object.defineProperty(new Page(), "localStorage", throws);
    world.net.websocket = "refuse";
    const { socket } = visit(world, { page });
    const full = new Proxy({}, { set: () => false });
    const other = visit(world, { storage: full });
    for (const broken of ["", "x", "3", "3 x", "x 3", "-1 0"]) {
      const storage = new Proxy({}, { get: () => broken });
      const { socket: third } = visit(world, { storage });
      await world.pass(SECOND);
      assert.equal(third.transportName, "longpoll", broken);
    }
    await world.pass(SECOND);
    assert.equal(socket.transportName, "longpoll");
    assert.equal(other.socket.transportName, "longpoll");
  });
});

describe("each direction of long-poll", () => {
  it("has to work before it counts", async () => {
    for (const [which, reason] of [["post", "unproven"], ["get", "unproven"]]) {
      const world = new World();
      Object.assign(world.net, { [which]: "swallow" });
      const { socket, changes } = visit(world, { transport: "longpoll" });
      await world.pass(15 * SECOND);
      assert.equal(socket.isConnected(), false);
      assert.equal(changes[1][1], REASONS[reason].number, which);
    }
  });

  it("has to go on working: a poll that is swallowed while messages are taken", async () => {
    const world = new World();
    const { channel, heard, changes } = visit(world, { transport: "longpoll" });
    await world.pass(SECOND);
    changes.length = 0;
    world.net.get = "swallow";
    await world.pass(11 * SECOND); // the poll that was held is answered, the next is not
    const answer = outcome(channel.push("n", { n: 1 }, 5 * MINUTE));
    await world.pass(10 * SECOND); // it is asked again
    assert.deepEqual(changes, []);
    await world.pass(11 * SECOND);
    assert.deepEqual(changes[0], change("waiting", "unheard", null));
    world.net.get = null;
    await world.pass(15 * SECOND);
    assert.deepEqual(heard.n, [1]);
    assert.equal(answer.length, 1);
  });

  it("has to go on working: one poll that is swallowed costs no session", async () => {
    const world = new World();
    const { channel, heard, changes } = visit(world, { transport: "longpoll" });
    await world.pass(SECOND);
    changes.length = 0;
    world.net.get = "swallow";
    await world.pass(10 * SECOND);
    world.net.get = null; // for the next one
    const answer = outcome(channel.push("n", { n: 1 }, 5 * MINUTE));
    await world.pass(11 * SECOND);
    assert.equal(answer[0][0], "ok");
    assert.deepEqual(heard.n, [1]);
    assert.deepEqual(changes, []);
  });

  it("has to go on working: a poll that is swallowed while nothing is sent", async () => {
    const world = new World();
    const { socket, changes, heard } = visit(world);
    world.net.websocket = "refuse";
    socket.replaceTransport("longpoll");
    await world.pass(SECOND);
    socket.replaceTransport(undefined);
    await world.pass(SECOND);
    changes.length = 0;
    world.net.get = "swallow";
    await world.pass(65 * SECOND);
    world.net.get = null;
    publish(world, 1);
    await world.pass(15 * SECOND);
    assert.equal(socket.isConnected(), true);
    assert.deepEqual(heard.n, [1]);
    assert.equal(changes[0][1], REASONS.unheard.number);
  });

  it("is not doubted for a poll that failed and was asked again", async () => {
    const world = new World();
    const { channel, heard, changes } = visit(world, { transport: "longpoll" });
    await world.pass(SECOND);
    changes.length = 0;
    world.net.get = "refuse";
    await world.pass(10010); // the one that is held is answered, the next fails
    channel.push("n", { n: 1 });
    world.net.get = null;
    const before = world.heartbeats;
    await world.pass(MINUTE);
    assert.deepEqual(heard.n, [1]);
    assert.deepEqual(changes, []);
    assert.equal(world.heartbeats, before);
  });

  it("has to go on working: a message that is swallowed while polls are answered", async () => {
    const world = new World();
    const { channel, socket, changes } = visit(world);
    socket.replaceTransport("longpoll");
    await world.pass(SECOND);
    changes.length = 0;
    world.net.post = "swallow";
    channel.push("n", { n: 1 });
    publish(world, 2);
    await world.pass(21 * SECOND);
    assert.equal(changes[0][1], REASONS.unsent.number);
  });

  it("has more time for much", async () => {
    const world = new World();
    const { options } = world;
    const fetch = async (url, init) => {
      const slow = init.method === "POST" ? init.body.length / 5 : 0; // 5 kB a second
      await new Promise((resolve) => world.later(resolve, slow));
      return options.fetch(url, init);
    };
    const { channel, heard, changes } = visit(world, { transport: "longpoll", fetch });
    await world.pass(SECOND);
    changes.length = 0;
    channel.push("n", { n: 1, text: "x".repeat(70000) }, MINUTE);
    await world.pass(20 * SECOND);
    assert.deepEqual(heard.n, [1]);
    assert.deepEqual(changes, []);
  });

  it("is not hurried when the answer is only long", async () => {
    const world = new World();
    const gets = [];
    const fetch = async (url, options) => {
      const answer = await world.fetch(url, options);
      if (options.method === "POST") return answer;
      gets.push(world.now);
      const slow = () => new Promise((resolve) => world.later(() => resolve(answer.json()), 20 * SECOND));
      return gets.length < 4 ? answer : { json: slow };
    };
    const { channel, heard, changes } = visit(world, { transport: "longpoll", fetch });
    await world.pass(SECOND);
    changes.length = 0;
    for (const n of range(1, 20)) {
      channel.push("n", { n }, 5 * MINUTE);
      await world.pass(2 * SECOND);
    }
    await world.pass(2 * MINUTE);
    assert.deepEqual(changes, []);
    assert.deepEqual(heard.n, range(1, 20));
  });
});

// A network that changes all the time. As long as a transport works the page
// is served; it is on WebSocket again when that works; nothing is lost, doubled
// or out of order; and nobody is called without end.
describe("a random network", () => {
  const USEFUL_MS = 90 * SECOND; // a transport works: the page hears again
  const RETURN_MS = 25 * MINUTE; // WebSocket works: it is used again

  const generator = (seed) => () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };

  async function play(seed) {
    const random = generator(seed);
    const pick = (list) => list[Math.floor(random() * list.length)];
    const world = new World(random);
    const delay = pick([1, 30, 200]);
    world.net.delay = () => delay * (0.5 + random());
    const { socket, channel, heard } = visit(world);
    const story = `seed ${seed}`;
    const wrong = {
      websocket: [
        { websocket: "refuse" }, { websocket: "hang" }, { websocket: "mute" },
        { cut: 300 }, { cut: 4000 }, { cut: 20000 }, { lag: 1500 }, { lag: 4000 },
        { up: "swallow" }, { down: "swallow" }, { up: "swallow", down: "swallow", websocket: "hang" },
      ],
      longpoll: [
        { longpoll: "refuse" }, { longpoll: "html" }, { longpoll: "swallow" }, { longpoll: "lose answer" },
        { get: "swallow" }, { get: "refuse" }, { get: "lose answer" },
        { post: "swallow" }, { post: "refuse" }, { post: "lose answer" },
      ],
    };
    const change = () => {
      Object.assign(world.net, WORKS);
      const what = random();
      if (what < 0.5 || what > 0.9) Object.assign(world.net, pick(wrong.websocket));
      if (what > 0.5) Object.assign(world.net, pick(wrong.longpoll));
      if (random() < 0.2) world.cutSockets();
      if (random() < 0.2) world.endSessions(pick([500, 410]));
      return what <= 0.9;
    };
    const published = []; // when
    let n = 0;
    let worst = 0;
    await world.pass(SECOND);
    for (let phase = 0; phase < 12; phase++) {
      const works = change();
      const before = world.dialled.length;
      const ms = random() < 0.3 ? 5 * MINUTE : random() * MINUTE;
      const since = world.now;
      while (world.now < since + ms) {
        publish(world, n++);
        published.push(world.now);
        await world.pass(SECOND + random() * 3000);
        const oldest = Math.max(since, published[heard.n.length] ?? world.now);
        if (works) worst = Math.max(worst, world.now - oldest);
        assert.ok(worst < USEFUL_MS, `${story}: deaf at ${world.now}, ${JSON.stringify(world.net)}`);
      }
      // a pause is 5 s on average, and a try may be one of each transport
      const most = works ? 8 + ms / 10000 : 20 + ms / 2000;
      const count = world.dialled.length - before;
      assert.ok(count <= most, `${story}: ${count} connections in ${ms} ms, ${JSON.stringify(world.net)}`);
    }
    Object.assign(world.net, WORKS);
    const since = world.now;
    while (socket.transportName !== "websocket" || !socket.isConnected()) {
      await world.pass(SECOND);
      assert.ok(world.now - since < RETURN_MS, `${story}: not back on WebSocket`);
    }
    await world.pass(45 * SECOND); // one that is mute has to be noticed
    assert.equal(channel.state, "joined", story);
    assert.deepEqual(heard.n, all(world), story);
    return { messages: n, connections: world.dialled.length, worst, back: world.now - since };
  }

  it("is lived through", { timeout: 5 * MINUTE }, async () => {
    const first = Number(process.env.HOLDFAST_SEED ?? 1);
    const count = Number(process.env.HOLDFAST_SEEDS ?? 200);
    const seen = [];
    for (let seed = first; seed < first + count; seed++) seen.push(await play(seed));
    const most = (what) => Math.max(...seen.map((one) => one[what]));
    console.log(`# deaf for ${most("worst") / 1000} s at most, back after ${most("back") / 1000} s`);
  });
});

// www/holdfast.js, with a clock, a network and a server of the test's own.
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { REASONS, Socket, decode, encode } from "../../www/holdfast.js";
import {
  ENDPOINT, TOPIC, complaints, connect, listen, outcome, publish, range,
} from "./lib/client.js";
import { World } from "./lib/world.js";

describe("frames", () => {
  it("are arrays of five", () => {
    const message = { join_ref: "1", ref: "2", topic: "a", event: "b", payload: { c: [1] } };
    assert.equal(encode(message), '["1","2","a","b",{"c":[1]}]');
    assert.deepEqual(decode(encode(message)), message);
  });

  it("are nothing else", () => {
    for (const text of ["", "x", "{}", "[1,2,3,4]", "null", "7"]) assert.equal(decode(text), null);
  });
});

describe("the URL", () => {
  const urlOf = (endPoint, params, name) => new Socket(endPoint, { params }).endPointURL(name);

  it("has the transport's scheme and name, and the version", () => {
    assert.equal(urlOf("https://a.b/x/socket/", {}), "wss://a.b/x/socket/websocket?vsn=2.0.0");
    assert.equal(urlOf("wss://a.b:1/socket", {}, "longpoll"), "https://a.b:1/socket/longpoll?vsn=2.0.0");
    assert.equal(urlOf("ws://a.b/socket", {}, "longpoll"), "http://a.b/socket/longpoll?vsn=2.0.0");
  });

  it("carries parameters in bracket form, after those of the end point", () => {
    const params = () => ({ a: "ä &", o: { p: 1, q: { r: true } }, l: ["x"] });
    assert.equal(
      urlOf("http://a.b/socket?k=1", params),
      "ws://a.b/socket/websocket?k=1&a=%C3%A4%20%26&o%5Bp%5D=1&o%5Bq%5D%5Br%5D=true&l%5B0%5D=x&vsn=2.0.0",
    );
  });
});

describe("a connection", () => {
  it("is tried again with full jitter, ever later, up to a bound", async () => {
    const delays = (value) => {
      const socket = new Socket(ENDPOINT, { clock: { random: () => value } });
      return [1, 2, 3, 4, 5, 6, 20].map((tries) => socket.reconnectAfterMs(tries));
    };
    assert.deepEqual(delays(1), [500, 1000, 2000, 4000, 8000, 10000, 10000]);
    assert.deepEqual(delays(0), [0, 0, 0, 0, 0, 0, 0]);
  });

  it("counts its tries until one has lasted", async () => {
    const world = new World();
    const tries = [];
    const reconnectAfterMs = (n) => tries.push(n) && 10;
    connect(world, { reconnectAfterMs, transport: "websocket" });
    for (const lasting of [100, 100, 11000, 100]) {
      await world.pass(50 + lasting);
      world.cutSockets();
    }
    await world.pass(50);
    assert.deepEqual(tries, [1, 2, 1, 2]);
  });

  it("is tried at once when the page says so", async () => {
    const world = new World();
    const socket = connect(world, { transport: "websocket", reconnectAfterMs: () => 5000 });
    await world.pass(50);
    world.cutSockets();
    await world.pass(1000);
    assert.equal(socket.state, "waiting");
    assert.equal(socket.connectionState(), "closed");
    socket.connect();
    await world.pass(50);
    assert.equal(socket.isConnected(), true);
    await world.pass(10000);
    assert.equal(world.dialled.length, 2);
  });

  it("returns to a server that restarts when that wants it, by WebSocket", async () => {
    const world = new World();
    const socket = connect(world);
    const { heard } = listen(socket);
    const changes = [];
    await world.pass(100);
    socket.onChange((state, reason) => changes.push([state, reason.number]));
    world.cutSockets({ code: 1012, reason: "retry_ms=7000" });
    publish(world, 1);
    await world.pass(6900);
    assert.deepEqual(changes, [["waiting", REASONS.restart.number]]);
    assert.equal(world.dialled.length, 1);
    await world.pass(300);
    assert.equal(socket.transportName, "websocket");
    assert.deepEqual(world.dialled, ["websocket", "websocket"]);
    assert.deepEqual(heard.n, [1]);
  });

  it("returns so also when it was told before any other answer", async () => {
    const world = new World();
    world.net.delay = () => 10;
    const socket = connect(world);
    await world.pass(15); // open, and nothing said yet
    world.cutSockets({ code: 1012, reason: "retry_ms=3000" });
    await world.pass(2900);
    assert.equal(socket.state, "waiting");
    await world.pass(200);
    assert.deepEqual(world.dialled, ["websocket", "websocket"]);
    assert.equal(socket.transportName, "websocket");
  });

  it("waits 30 s at most, and for nothing that it does not understand", async () => {
    for (const [code, reason, least, most] of [
      [1012, "retry_ms=3600000", 29000, 31000],
      [1012, "retry_ms=0", 0, 100],
      [1012, "retry_ms=-5", 0, 600],
      [1012, "retry_ms=9e9", 0, 600],
      [1012, "later", 0, 600],
      [1012, "", 0, 600],
      [1001, "retry_ms=20000", 0, 600],
    ]) {
      const world = new World();
      connect(world);
      await world.pass(100);
      world.cutSockets({ code, reason });
      await world.pass(least);
      assert.equal(world.dialled.length, least > 0 ? 1 : world.dialled.length, reason);
      await world.pass(most - least);
      assert.equal(world.dialled.length, 2, `${code} ${reason}`);
    }
  });

  it("beats every 30 s, and is given up when a beat is not answered", async () => {
    const world = new World();
    const socket = connect(world, { transport: "websocket" });
    const reasons = [];
    const beats = [];
    socket.onClose((reason) => reasons.push(reason.number));
    socket.onMessage(({ topic }) => topic === "phoenix" && beats.push(Math.round(world.now / 1000)));
    await world.pass(95000);
    assert.deepEqual(beats, [0, 30, 60, 90]);
    const { WebSocket } = world;
    WebSocket.prototype.send = () => {};
    await world.pass(24000);
    assert.deepEqual(reasons, []);
    await world.pass(11500);
    assert.deepEqual(reasons, [REASONS.mute.number]);
  });

  it("ends when the page says so, and nothing goes on behind its back", async () => {
    for (const transport of ["websocket", "longpoll"]) {
      const world = new World();
      const socket = connect(world, { transport });
      const { channel, heard } = listen(socket);
      await world.pass(100);
      const told = [];
      socket.onClose((reason) => told.push(reason.number));
      await new Promise((done) => socket.disconnect(done));
      assert.equal(socket.state, "closed");
      await world.pass(1);
      assert.equal(world.connections + world.parked, 0);
      publish(world, 1);
      await world.pass(100000);
      assert.deepEqual(told, [REASONS.disconnect.number]);
      assert.equal(world.dialled.length, 1);
      assert.deepEqual(heard.n, []);
      assert.equal(channel.state, "errored");
      socket.connect();
      await world.pass(100);
      assert.deepEqual(heard.n, [1]);
    }
  });

  it("may be ended or replaced from any callback", async () => {
    for (const act of [(s) => s.disconnect(), (s) => s.replaceTransport("longpoll")]) {
      for (const hook of ["onOpen", "onClose", "onError", "onChange", "onMessage"]) {
        const world = new World();
        const socket = connect(world);
        const { channel } = listen(socket);
        channel.onError(() => channel.push("n", { n: 0 }));
        let done = false;
        socket[hook](() => {
          if (!done) act(socket);
          done = true;
        });
        await world.pass(100);
        world.cutSockets();
        await world.pass(5000);
        assert.equal(done, true, hook);
        const wanted = socket.transport === "longpoll" ? "open" : "closed";
        assert.equal(socket.state, wanted, hook);
      }
    }
  });
});

for (const transport of ["websocket", "longpoll"]) {
  describe(`a channel over ${transport}`, () => {
    const world_ = (options) => {
      const world = new World();
      const socket = connect(world, { transport, ...options });
      return { world, socket };
    };
    const lose = (world) => (transport === "websocket" ? world.cutSockets() : world.endSessions());

    it("joins from now on, and goes on after the last message it saw", async () => {
      const { world, socket } = world_();
      publish(world, 1);
      const { channel, heard } = listen(socket, TOPIC, { name: "zoë" });
      await world.pass(100);
      publish(world, 2, 3);
      await world.pass(100);
      lose(world);
      publish(world, 4, 5);
      await world.pass(1000);
      publish(world, 6);
      await world.pass(100);
      assert.deepEqual(heard.n, [2, 3, 4, 5, 6]);
      assert.equal(channel.cursor, world.cursor(6));
      assert.deepEqual(world.joins, [
        { name: "zoë", since: "" },
        { name: "zoë", since: world.cursor(3) },
      ]);
      assert.equal(heard.joins[1][1].recovered, true);
      assert.deepEqual(heard.errors, [{ reason: REASONS.lost.text }]);
      assert.equal(heard.refs[0], world.cursor(2));
    });

    it("knows where to go on even if no message ever came", async () => {
      const { world, socket } = world_();
      publish(world, 1, 2);
      const { heard } = listen(socket);
      await world.pass(100);
      lose(world);
      publish(world, 3);
      await world.pass(1000);
      assert.deepEqual(heard.n, [3]);
    });

    it("does not take the answer to an earlier join for that to a later one", async () => {
      const { world, socket } = world_();
      const { channel, heard } = listen(socket);
      await world.pass(100);
      lose(world);
      world.deaf = true;
      await world.pass(1000);
      assert.equal(channel.state, "joining");
      const late = [];
      heard.join.receive("ok", () => late.push(world.now));
      await world.pass(100);
      assert.deepEqual(late, []);
    });

    it("starts where its parameters say, which may be a function", async () => {
      const { world, socket } = world_();
      publish(world, 1, 2, 3);
      const { heard } = listen(socket, TOPIC, () => ({ since: world.cursor(1) }));
      await world.pass(100);
      lose(world);
      await world.pass(1000);
      assert.deepEqual(heard.n, [2, 3]);
      assert.equal(world.joins[1].since, world.cursor(3));
    });

    it("says when messages in between are gone, and goes on from there", async () => {
      const { world, socket } = world_();
      const { heard } = listen(socket);
      await world.pass(100);
      lose(world);
      publish(world, 1, 2);
      world.trim();
      await world.pass(1000);
      publish(world, 3);
      await world.pass(100);
      assert.deepEqual(heard.n, [3]);
      assert.equal(heard.gaps.length, 1);
      assert.equal(heard.gaps[0].gap, "trimmed");
    });

    it("sends what was pushed before the join after it, in order", async () => {
      const { world, socket } = world_();
      const { channel, heard } = listen(socket);
      const answers = range(1, 250).map((n) => outcome(channel.push("n", { n })));
      await world.pass(1000);
      assert.deepEqual(heard.n, range(1, 250));
      for (const answer of answers) assert.deepEqual(answer, [["ok", {}]]);
      if (transport === "websocket") return;
      assert.deepEqual(world.posts.map((body) => body.split("\n").length), [2, 100, 100, 50]);
    });

    it("tells every push what became of it when the channel is closed", async () => {
      const { world, socket } = world_();
      world.deaf = true;
      const { channel } = listen(socket);
      await world.pass(100);
      const waiting = outcome(channel.push("n", { n: 1 }, 60000));
      world.deaf = false;
      const other = listen(socket, "demo:other");
      await world.pass(100);
      world.deaf = true;
      const sent = outcome(other.channel.push("n", { n: 2 }));
      await world.pass(100);
      world.tellMembers("demo:other", "phx_close", {});
      channel.leave();
      world.deaf = false;
      await world.pass(12000);
      assert.deepEqual(sent, [["timeout", { reason: "channel closed" }]]);
      assert.deepEqual(waiting, [["error", { reason: "channel closed" }]]);
    });

    it("reports a push whose answer is lost with the connection as unknown", async () => {
      const { world, socket } = world_();
      world.net.delay = () => 20;
      const { channel, heard } = listen(socket);
      await world.pass(200);
      const answer = outcome(channel.push("n", { n: 1 }));
      // over WebSocket it arrives and its answer does not; else not even that
      await world.pass(transport === "websocket" ? 30 : 10);
      lose(world);
      await world.pass(2000);
      assert.deepEqual(answer, [["timeout", { reason: REASONS.lost.text }]]);
      assert.deepEqual(heard.n, transport === "websocket" ? [1] : []);
    });

    it("lets a push wait for a new connection, but no longer than it may", async () => {
      const { world, socket } = world_({ reconnectAfterMs: () => 3000 });
      const { channel, heard } = listen(socket);
      await world.pass(100);
      lose(world);
      await world.pass(100);
      const short = outcome(channel.push("n", { n: 1 }, 1000));
      const long = outcome(channel.push("n", { n: 2 }));
      await world.pass(5000);
      assert.deepEqual(short, [["timeout", { reason: "no answer" }]]);
      assert.deepEqual(long, [["ok", {}]]);
      assert.deepEqual(heard.n, [2]);
    });

    it("refuses to keep more than a thousand pushes", async () => {
      const { world, socket } = world_();
      world.refuse = { reason: "not now" };
      const { channel } = listen(socket);
      const answers = range(1, 1001).map((n) => outcome(channel.push("n", { n })));
      await world.pass(1);
      assert.deepEqual(answers[999], []);
      assert.deepEqual(answers[1000], [["error", { reason: "too many pushes wait" }]]);
    });

    it("lets a push end as timeout when nobody answers, once", async () => {
      const { world, socket } = world_();
      const { channel } = listen(socket);
      await world.pass(100);
      world.deaf = true;
      const answer = outcome(channel.push("n", { n: 1 }));
      await world.pass(9900);
      assert.deepEqual(answer, []);
      await world.pass(200);
      assert.deepEqual(answer, [["timeout", { reason: "no answer" }]]);
      assert.equal(channel.state, "joined");
    });

    it("keeps asking when its join is refused, later each time", async () => {
      const { world, socket } = world_();
      world.refuse = { reason: "unauthorized" };
      const { channel, heard } = listen(socket);
      await world.pass(10000);
      const asked = world.joins.length;
      assert.ok(asked >= 4 && asked <= 6, `${asked} joins in 10 s`);
      assert.deepEqual(heard.joins[0], ["error", { reason: "unauthorized" }]);
      world.refuse = null;
      await world.pass(10000);
      assert.equal(channel.state, "joined");
      assert.deepEqual(heard.errors, []);
    });

    it("is patient again after a join that was accepted", async () => {
      const tries = [];
      const { world, socket } = world_({ rejoinAfterMs: (n) => tries.push(n) && 100 });
      world.refuse = { reason: "not now" };
      listen(socket);
      await world.pass(250);
      world.refuse = null;
      await world.pass(150);
      world.tellMembers(TOPIC, "phx_error", {});
      await world.pass(150);
      assert.deepEqual(tries, [1, 2, 3, 1]);
    });

    it("takes a join back that is not answered in time, and joins again", async () => {
      const { world, socket } = world_({ timeout: 100 });
      await world.pass(50);
      world.net.delay = () => 80;
      const { channel, heard } = listen(socket);
      await world.pass(101);
      assert.deepEqual(heard.joins, [["timeout", { reason: "no answer" }]]);
      assert.equal(channel.state, "errored");
      // now the answer arrives, and then those to the leave
      world.net.delay = () => 1;
      await world.pass(350);
      assert.equal(world.leaves, 1);
      assert.equal(channel.state, "errored");
      await world.pass(1000);
      assert.equal(channel.state, "joined");
      assert.deepEqual(heard.closes, []);
      assert.equal(heard.joins.length, 2);
    });

    it("says so when the connection takes longer than the join may", async () => {
      const { world, socket } = world_();
      await world.pass(50);
      Object.assign(world.net, { websocket: "hang", longpoll: "swallow" });
      socket.disconnect(() => socket.connect());
      const channel = socket.channel(TOPIC);
      const answer = outcome(channel.join(1000));
      await world.pass(2000);
      assert.deepEqual(answer, [["timeout", { reason: "no answer" }]]);
      assert.equal(channel.state, "errored");
    });

    it("says so when there is no connection to join over", async () => {
      const { world, socket } = world_({ reconnectAfterMs: () => 300 });
      Object.assign(world.net, { websocket: "refuse", longpoll: "refuse" });
      socket.disconnect(() => socket.connect());
      const { channel, heard } = listen(socket);
      await world.pass(30000);
      assert.deepEqual(heard.joins, [["timeout", { reason: "no answer" }]]);
      Object.assign(world.net, { websocket: "ok", longpoll: "ok" });
      await world.pass(1000);
      assert.equal(channel.state, "joined");
      assert.equal(heard.joins.length, 2);
      assert.equal(world.leaves, 0);
    });

    it("can be left while it joins", async () => {
      const { world, socket } = world_();
      await world.pass(100);
      const { channel, heard } = listen(socket);
      const answer = outcome(channel.leave());
      await world.pass(100);
      assert.deepEqual(answer, [["ok", {}]]);
      assert.equal(channel.state, "closed");
      assert.equal(world.memberCount, 0);
      world.deaf = true;
      const other = listen(socket);
      const late = outcome(other.channel.leave(15000));
      await world.pass(14000);
      assert.deepEqual([late, other.heard.joins], [[], []]);
      await world.pass(2000);
      assert.deepEqual(late, [["timeout", { reason: "no answer" }]]);
      assert.equal(other.channel.state, "closed");
      assert.deepEqual(heard.joins, []);
    });

    it("joins again after an error, and not after a close", async () => {
      const { world, socket } = world_();
      const { channel, heard } = listen(socket);
      await world.pass(100);
      world.tellMembers(TOPIC, "phx_error", { reason: "gap" });
      await world.pass(10);
      assert.deepEqual(heard.errors, [{ reason: "gap" }]);
      publish(world, 1);
      await world.pass(2000);
      assert.deepEqual(heard.n, [1]);
      world.tellMembers(TOPIC, "phx_close", {});
      await world.pass(20000);
      assert.equal(channel.state, "closed");
      assert.equal(heard.closes.length, 1);
      assert.equal(world.joins.length, 2);
      assert.deepEqual(socket.channels, []);
    });

    it("hears nothing more once it was left", async () => {
      const { world, socket } = world_();
      const { channel, heard } = listen(socket);
      const left = [];
      channel.on("n", () => left.push(channel.leave()));
      await world.pass(100);
      publish(world, 1, 2, 3);
      await world.pass(100);
      assert.deepEqual(heard.n, [1]);
      assert.equal(left.length, 1);
      assert.deepEqual(outcome(left[0]).length, 0, "told later, as everything");
      await world.pass(1);
      assert.equal(channel.state, "closed");
      assert.equal(heard.closes.length, 1);
      assert.equal(world.memberCount, 0);
      assert.deepEqual(socket.channels, []);
      const late = outcome(channel.push("n", { n: 4 }));
      await world.pass(1);
      assert.deepEqual(late, [["error", { reason: "channel closed" }]]);
    });

    it("can be left and joined anew at once", async () => {
      const { world, socket } = world_();
      const first = listen(socket);
      await world.pass(100);
      first.channel.leave();
      const second = listen(socket);
      await world.pass(100);
      publish(world, 1);
      await world.pass(100);
      assert.equal(first.channel.state, "closed");
      assert.equal(second.channel.state, "joined");
      assert.deepEqual([first.heard.n, second.heard.n], [[], [1]]);
      assert.equal(world.memberCount, 1);
    });

    it("gives its topic up to a later channel", async () => {
      const { world, socket } = world_();
      const first = listen(socket);
      await world.pass(100);
      const second = listen(socket);
      await world.pass(100);
      publish(world, 1);
      await world.pass(100);
      assert.equal(first.channel.state, "closed");
      assert.deepEqual([first.heard.n, second.heard.n], [[], [1]]);
    });

    it("goes on when a callback throws", async () => {
      const { world, socket } = world_();
      const { channel, heard } = listen(socket);
      channel.on("n", ({ n }) => {
        throw new Error(`page: ${n}`);
      });
      channel.on("n", ({ n }) => heard.n.push(-n));
      await world.pass(100);
      publish(world, 1, 2);
      await world.pass(100);
      assert.deepEqual(heard.n, [1, -1, 2, -2]);
      assert.deepEqual(complaints.splice(0), ["page: 1", "page: 2"]);
    });

    it("no longer calls who was taken off", async () => {
      const { world, socket } = world_();
      const { channel, heard } = listen(socket);
      const once = [];
      const ref = channel.on("n", ({ n }) => {
        once.push(n);
        channel.off("n", ref);
      });
      await world.pass(100);
      publish(world, 1, 2);
      await world.pass(100);
      assert.deepEqual(once, [1]);
      assert.deepEqual(heard.n, [1, 2]);
      channel.off("n");
      publish(world, 3);
      await world.pass(100);
      assert.deepEqual(heard.n, [1, 2]);
    });
  });
}

describe("a channel", () => {
  it("drops what belongs to an older join or was seen before", async () => {
    const world = new World();
    let line;
    const Wire = class extends world.WebSocket {
      constructor(url) {
        super(url);
        line = this;
      }
    };
    const { channel, heard } = listen(connect(world, { WebSocket: Wire }));
    await world.pass(100);
    const joinRef = world.joins.length && JSON.parse(encode({ join_ref: "2" }))[0];
    const say = (jr, id, n) =>
      line.onmessage({ data: JSON.stringify([jr, id && world.cursor(id), TOPIC, "n", { n }]) });
    say("1", 5, -1);
    say(joinRef, 6, 1);
    say(joinRef, 6, -2);
    say(joinRef, 4, -3);
    say(null, null, 2);
    say(joinRef, 10, 3);
    say("99", 11, -4);
    line.onmessage({ data: "not a frame" });
    line.onmessage({ data: new ArrayBuffer(8) });
    await world.pass(1);
    assert.deepEqual(heard.n, [1, 2, 3]);
    assert.equal(channel.cursor, world.cursor(10));
  });

  it("joins once, and pushes only after that", async () => {
    const world = new World();
    const channel = connect(world).channel(TOPIC);
    assert.throws(() => channel.push("n", {}), /join\(\)/);
    channel.join();
    assert.throws(() => channel.join(), /once/);
  });

  it("can be left before it was ever joined", async () => {
    const world = new World();
    const socket = connect(world);
    const answer = outcome(socket.channel(TOPIC).leave());
    await world.pass(100);
    assert.deepEqual(answer, [["ok", {}]]);
    assert.deepEqual(socket.channels, []);
  });
});

describe("long-poll", () => {
  const polling = async (options) => {
    const world = new World();
    const socket = connect(world, { transport: "longpoll", ...options });
    const reasons = [];
    socket.onClose((reason) => reasons.push(reason.number));
    const { channel, heard } = listen(socket);
    await world.pass(100);
    return { world, socket, channel, heard, reasons };
  };

  for (const how of ["refuse", "lose answer", "html", "swallow"]) {
    it(`asks again with the same token after a GET that met: ${how}`, async () => {
      const { world, heard, reasons } = await polling();
      world.net.longpoll = how;
      publish(world, 1);
      await world.pass(100);
      const before = world.gets.length;
      publish(world, 2);
      await world.pass(how === "swallow" ? 10000 : 1000);
      world.net.longpoll = "ok";
      await world.pass(45000);
      assert.deepEqual(heard.n, [1, 2]);
      assert.deepEqual(reasons, []);
      assert.equal(world.gets[before], world.gets[before - 1]);
      assert.equal(world.joins.length, 1);
    });
  }

  it("keeps the session however many polls fail, if not in a row", async () => {
    const { world, heard, reasons } = await polling();
    for (const n of range(1, 10)) {
      world.net.longpoll = "refuse";
      publish(world, n);
      await world.pass(100);
      world.net.longpoll = "ok";
      await world.pass(3000);
    }
    assert.deepEqual(heard.n, range(1, 10));
    assert.deepEqual(reasons, []);
  });

  it("gives the session up when polls keep failing", async () => {
    const { world, socket, heard, reasons } = await polling();
    world.net.longpoll = "refuse";
    publish(world, 1);
    await world.pass(60000);
    assert.deepEqual(reasons, [REASONS.unreachable.number]);
    world.net.longpoll = "ok";
    await world.pass(10000);
    assert.equal(socket.isConnected(), true);
    assert.deepEqual(heard.n, [1]);
  });

  for (const [status, reason] of [[410, "gone"], [500, "fault"], [403, "forbidden"]]) {
    it(`opens a new session after ${status}`, async () => {
      const { world, heard, reasons } = await polling();
      world.endSessions(status);
      publish(world, 1);
      await world.pass(3000);
      assert.deepEqual(reasons, [REASONS[reason].number]);
      assert.deepEqual(heard.n, [1]);
    });
  }

  for (const how of ["refuse", "lose answer", "html", "swallow"]) {
    it(`opens a new session after a POST that met: ${how}`, async () => {
      const { world, channel, heard, reasons } = await polling();
      world.net.post = how;
      const answer = outcome(channel.push("n", { n: 1 }, 60000));
      await world.pass(how === "swallow" ? 20010 : 50);
      world.net.post = null;
      await world.pass(5000);
      assert.deepEqual(reasons, [REASONS.unsent.number]);
      const took = how === "lose answer";
      assert.deepEqual(heard.n, took ? [1] : []);
      // over this session its answer may have come before the POST failed
      assert.equal(answer.length, 1);
      assert.ok(took || answer[0][0] === "timeout");
      assert.equal(channel.state, "joined");
    });
  }

  it("is not fooled by somebody else's page", async () => {
    const pages = ['"a"', "null", "7", "{}", '{"status":200}', '{"status":410,"messages":[]}', '{"status":410,"token":"t","messages":{}}'];
    for (const page of [null, ...pages]) {
      const world = new World();
      world.net.longpoll = "html";
      const fetch = async () => ({ json: async () => JSON.parse(page) });
      const socket = connect(world, { transport: "longpoll", ...(page && { fetch }) });
      const errors = [];
      socket.onError((reason) => errors.push(reason.number));
      await world.pass(100);
      assert.equal(socket.isConnected(), false, page);
      assert.equal(errors[0], REASONS.unreachable.number, page);
      socket.disconnect();
    }
  });

  it("bounds a POST by its size, and sends nothing after one that failed", async () => {
    const { world, channel } = await polling();
    const text = "x".repeat(30000);
    for (const n of range(1, 5)) channel.push("n", { n, text });
    await world.pass(50);
    assert.deepEqual(world.posts.slice(1).map((body) => body.split("\n").length), [2, 2, 1]);
    world.net.post = "refuse";
    for (const n of range(6, 9)) channel.push("n", { n, text });
    await world.pass(50);
    assert.equal(world.posts.length, 5);
  });

  it("sends what was queued when the page disconnects", async () => {
    const { world, socket, channel } = await polling();
    channel.leave();
    socket.disconnect();
    await world.pass(100);
    assert.equal(world.memberCount, 0);
  });

  it("is deaf to what still comes after it was closed", async () => {
    const world = new World();
    let answer;
    const fetch = async (url) => {
      const first = url.endsWith("token=");
      if (!first) await new Promise((resolve) => (answer = resolve));
      const messages = first ? [] : ['[null,null,"demo:lobby","n",{"n":1}]'];
      return { json: async () => ({ status: first ? 410 : 200, token: "t", messages }) };
    };
    const socket = connect(world, { transport: "longpoll", fetch });
    const messages = [];
    socket.onMessage((message) => messages.push(message));
    await world.pass(100);
    socket.disconnect();
    answer();
    await world.pass(100);
    assert.equal(socket.state, "closed");
    assert.deepEqual(messages, []);
  });

  it("pauses as long as the server asks", async () => {
    const world = new World();
    const gets = [];
    const frames = [];
    const fetch = async (url, { method, body }) => {
      if (method === "POST") {
        const [, ref] = JSON.parse(body);
        frames.push(JSON.stringify([null, ref, "phoenix", "phx_reply", { status: "ok" }]));
        return { json: async () => ({ status: 200 }) };
      }
      gets.push(world.now);
      const messages = frames.splice(0);
      const status = messages.length > 0 ? 200 : gets.length === 1 ? 410 : 204;
      return { json: async () => ({ status, token: `t${gets.length}`, messages, next_ms: 500 }) };
    };
    const socket = connect(world, { transport: "longpoll", fetch });
    await world.pass(1700);
    assert.equal(socket.isConnected(), true);
    const pauses = gets.slice(-3).map((at, i) => at - gets.at(i - 4));
    assert.deepEqual(pauses, [500, 500, 500]);
  });

  // A server that has no room for polls, and a web server before it: `refuse`
  // says with what status the next requests of a kind are refused.
  const crowded = async (next_ms = 20000) => {
    const world = new World();
    const server = { gets: [], posts: 0, messages: [], refuse: {}, post: () => 200 };
    const fetch = async (url, { method, body }) => {
      const query = new URL(url).searchParams;
      if (method === "GET") server.gets.push([world.now, query.get("refused")]);
      assert.equal(query.get("paced"), method === "GET" ? "1" : null);
      const refused = server.refuse[method];
      if (refused) return { status: refused, json: async () => JSON.parse("<html>") };
      const answer = { status: query.get("token") ? 204 : 410, token: `t${server.gets.length}` };
      if (method === "POST") {
        server.posts++;
        for (const [, ref, topic] of body.split("\n").map((line) => JSON.parse(line))) {
          const beat = JSON.stringify([null, ref, "phoenix", "phx_reply", { status: "ok" }]);
          server.messages.push(topic === "phoenix" ? beat : '[null,null,"demo:lobby","n",{"n":1}]');
        }
        return { status: 200, json: async () => ({ status: 200 }) };
      }
      answer.messages = server.messages.splice(0);
      if (answer.messages.length > 0) answer.status = 200;
      if (answer.status !== 410) answer.next_ms = next_ms;
      return { status: 200, json: async () => answer };
    };
    const socket = connect(world, { transport: "longpoll", timeout: 60000, fetch });
    await world.pass(10);
    server.before = server.gets.length; // it was useful, and pauses
    return { world, server, socket };
  };
  const times = (server) => server.gets.map(([at]) => at);

  it("fetches at once what its own message brought", async () => {
    const { world, server, socket } = await crowded();
    const messages = [];
    socket.onMessage((message) => messages.push(message.payload.n));
    await world.pass(1000);
    socket.channel(TOPIC).join();
    await world.pass(10);
    assert.equal(server.gets.length, server.before + 1);
    assert.deepEqual(messages, [1]);
    await world.pass(19000);
    assert.equal(server.gets.length, server.before + 1); // once, not from then on
    await world.pass(2000);
    assert.equal(server.gets.length, server.before + 2);
  });

  it("does not pause when its message was taken while it polled", async () => {
    const { world, server, socket } = await crowded();
    socket.channel(TOPIC).join(); // its POST is answered before the next GET is
    server.refuse.GET = 508;
    await world.pass(20000);
    server.refuse.GET = 0;
    await world.pass(10000);
    const [before, last] = times(server).slice(-2);
    assert.ok(last > before && server.messages.length === 0);
  });

  it("pauses for half a minute at most, whatever it is told", async () => {
    const { world, server } = await crowded(1e9);
    await world.pass(29000);
    assert.equal(server.gets.length, server.before);
    await world.pass(2000);
    assert.equal(server.gets.length, server.before + 1);
  });

  it("leaves no timer behind when it ends in a pause", async () => {
    const { world, server, socket } = await crowded();
    assert.ok(world.timers > 0);
    socket.disconnect();
    assert.equal(world.timers, 0);
    await world.pass(60000);
    assert.equal(server.gets.length, server.before);
  });

  for (const status of [500, 503, 508]) {
    it(`tells of a GET that was refused with ${status}, until something came`, async () => {
      const { world, server, socket } = await crowded(1000);
      socket.channel(TOPIC).join();
      await world.pass(2000);
      server.refuse.GET = status;
      await world.pass(1000);
      server.refuse.GET = 0;
      await world.pass(10000);
      const told = server.gets.map(([, refused]) => refused);
      const first = told.indexOf(String(status));
      assert.ok(first > 0);
      assert.deepEqual([...new Set(told.slice(0, first))], [null]);
      assert.equal(told.at(-1), null);
    });
  }

  it("tells of a POST that was refused over its next session, once that has joined", async () => {
    const { world, server, socket } = await crowded(1000);
    server.refuse.POST = 508;
    const channel = socket.channel(TOPIC);
    channel.join();
    await world.pass(10);
    assert.equal(server.posts, 1); // the heartbeat
    server.refuse.POST = 0;
    const before = server.gets.length;
    await world.pass(20000);
    const told = server.gets.slice(before).map(([, refused]) => refused);
    assert.deepEqual(told.slice(0, 2), ["508", "508"]); // the new one, and its first with a token
    assert.equal(told.at(-1), null);
  });

  it("tells nothing of what we ourselves answered, or of other failures", async () => {
    const { world, server } = await crowded(1000);
    server.refuse.GET = 404;
    await world.pass(1000);
    server.refuse.GET = 0;
    await world.pass(10000);
    assert.deepEqual([...new Set(server.gets.map(([, refused]) => refused))], [null]);
  });
});

// Many days of bad luck: whatever happens to the connection, the page is told
// every message once, in order.
describe("a random schedule", () => {
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
    world.net.delay = () => random() * 60;
    const socket = connect(world, { timeout: 3000, longPollFallbackMs: 500, heartbeatIntervalMs: 5000 });
    const { channel, heard } = listen(socket);
    await world.pass(2000);
    const published = [];
    const answers = [];
    let n = 0;
    for (let i = 0; i < 60; i++) {
      const what = random();
      if (what < 0.3) published.push(world.publish(TOPIC, "n", { n: ++n }));
      else if (what < 0.45) answers.push([++n, outcome(channel.push("n", { n }))]);
      else if (what < 0.55) world.cutSockets();
      else if (what < 0.6) world.endSessions(pick([500, 410]));
      else if (what < 0.7) world.net.websocket = pick(["ok", "ok", "refuse", "hang", "mute"]);
      else if (what < 0.8) world.net.longpoll = pick(["ok", "ok", "refuse", "lose answer", "html", "swallow"]);
      else if (what < 0.85) world.net.post = pick([null, null, "refuse", "lose answer", "swallow"]);
      else if (what < 0.9) socket.replaceTransport(pick([undefined, "longpoll", "websocket"]));
      else if (what < 0.92) world.tellMembers(TOPIC, "phx_error", { reason: "gap" });
      else if (what < 0.93) socket.disconnect(() => socket.connect());
      await world.pass(random() * random() * 3000);
    }
    Object.assign(world.net, { websocket: "ok", longpoll: "ok", post: null });
    await world.pass(60000);
    // everything of the journal, pushes too, as it stands there
    const story = `seed ${seed}`;
    assert.equal(channel.state, "joined", story);
    assert.deepEqual(heard.n, world.rows.map((row) => row.payload.n), story);
    const count = (m) => world.rows.filter((row) => row.payload.n === m).length;
    for (const { payload } of published) assert.equal(count(payload.n), 1, story);
    for (const [m, answer] of answers) {
      assert.equal(answer.length, 1, `${story}: one outcome for a push`);
      const [status] = answer[0];
      assert.ok(status === "ok" ? count(m) === 1 : count(m) <= 1, `${story}: ${status} of ${m}`);
    }
    return { messages: heard.n.length, connections: world.dialled.length };
  }

  it("loses, doubles and reorders nothing", { timeout: 60000 }, async () => {
    const first = Number(process.env.HOLDFAST_SEED ?? 1);
    const count = Number(process.env.HOLDFAST_SEEDS ?? 100);
    let messages = 0;
    let connections = 0;
    for (let seed = first; seed < first + count; seed++) {
      const seen = await play(seed);
      messages += seen.messages;
      connections += seen.connections;
    }
    assert.ok(messages > 10 * count && connections > 5 * count, `${messages} messages, ${connections} connections`);
  });
});

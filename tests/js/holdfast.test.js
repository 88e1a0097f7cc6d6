// www/holdfast.js, with a clock, a network and a server of the test's own.
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { REASONS, Socket } from "../../www/holdfast.js";
import {
  ENDPOINT, TOPIC, complaints, connect, listen, outcome, publish, range,
} from "./lib/client.js";
import { World } from "./lib/world.js";

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
      "ws://a.b/socket/websocket?k=1&a=%C3%A4+%26&o%5Bp%5D=1&o%5Bq%5D%5Br%5D=true&l%5B0%5D=x&vsn=2.0.0",
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
      assert.deepEqual(heard.n, [1]);
      assert.deepEqual(answer.map(([status]) => status), ["ok"]);
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
      const headers = new Headers(server.headers);
      if (refused) return { status: refused, headers, json: async () => JSON.parse("<html>") };
      const answer = { status: query.get("token") ? 204 : 410, token: `t${server.gets.length}` };
      if (method === "POST") {
        server.posts++;
        for (const [, ref, topic] of body.split("\n").map((line) => JSON.parse(line))) {
          const beat = JSON.stringify([null, ref, "phoenix", "phx_reply", { status: "ok" }]);
          server.messages.push(topic === "phoenix" ? beat : '[null,null,"demo:lobby","n",{"n":1}]');
        }
        return { status: 200, json: async () => ({ status: 200 }) };
      }
      answer.messages = server.messages.splice(0, 1); // each by itself
      server.gets.at(-1).push(answer.messages.join());
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
    const [, joined] = server.gets.slice(before).find(([, , said]) => said?.includes("demo:lobby"));
    assert.equal(joined, "508", "the heartbeat's answer is none of a session that joined");
    assert.equal(told.at(-1), null);
  });

  for (const [says, seconds] of [["7", 7], ["3600", 30], ["0", 0], ["soon", 0], ["Wed, 21 Oct 2026 07:28:00 GMT", 0]]) {
    it(`is back when a web server wants it, and not all at once: Retry-After: ${says}`, async () => {
      for (const [what, luck] of [["GET", 0.1], ["GET", 0.9], ["POST", 0.1], ["POST", 0.9]]) {
        const { world, server, socket } = await crowded(1000);
        world.random = () => luck;
        server.refuse[what] = 503;
        server.headers = { "retry-after": says };
        if (what === "POST") socket.channel(TOPIC).join();
        else await world.pass(1000);
        const before = server.gets.length;
        await world.pass(10);
        const begun = what === "GET" ? server.gets[before - 1][0] : world.now;
        server.refuse[what] = 0;
        while (server.gets.length <= before) await world.pass(100);
        const away = (server.gets[before][0] - begun) / 1000;
        if (seconds > 0) assert.ok(Math.abs(away - seconds * (1 + luck / 2)) < 0.2, `${what}: ${away} s`);
        else assert.ok(away <= 1, `${what}: ${away} s`);
        await world.pass(60000);
        assert.equal(socket.state, "open");
        // and another time says it for itself
        server.headers = {};
        server.refuse.GET = 503;
        await world.pass(1000);
        server.refuse.GET = 0;
        const now = server.gets.length;
        await world.pass(3000);
        assert.ok(server.gets.length > now, "soon");
      }
    });
  }

  it("tells nothing of what we ourselves answered, or of other failures", async () => {
    const { world, server } = await crowded(1000);
    server.refuse.GET = 404;
    await world.pass(1000);
    server.refuse.GET = 0;
    await world.pass(10000);
    assert.deepEqual([...new Set(server.gets.map(([, refused]) => refused))], [null]);
  });
});

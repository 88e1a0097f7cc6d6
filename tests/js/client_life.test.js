// www/holdfast.js while its page is hidden, frozen, left and come back to, its
// machine asleep or offline, its clock set: with a page and a clock of the
// test's own. What a real browser does is in life_browser.test.js.
import { afterEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import { REASONS, Socket } from "../../www/holdfast.js";
import { Page } from "./lib/page.js";
import { World } from "./lib/world.js";

const TOPIC = "demo:lobby";
const HOUR = 3600000;

let sockets = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.disconnect();
});

// A page with one channel, which notes what it is told.
function visit(world, options = {}) {
  const page = new Page();
  const socket = new Socket("http://host.example/socket", { ...world.options, page, ...options });
  const changes = []; // since the last look
  const heard = [];
  sockets.push(socket);
  socket.onChange((state, reason, transport) => changes.push([state, reason.number, transport]));
  const channel = socket.channel(TOPIC);
  channel.on("n", ({ n }) => heard.push(n));
  channel.join();
  socket.connect();
  return { page, socket, channel, heard, changes };
}

let last = 0;
const publish = (world, count = 1) => {
  for (let i = 0; i < count; i++) world.publish(TOPIC, "n", { n: ++last });
};
const all = (world) => world.rows.map(({ payload }) => payload.n);

for (const transport of ["websocket", "longpoll"]) {
  describe(`a page over ${transport}`, () => {
    const open = async (world, more) => {
      const visitor = visit(world, { transport, ...more });
      await world.pass(1500);
      assert.equal(visitor.socket.state, "open");
      visitor.changes.length = 0;
      return visitor;
    };

    for (const [often, throttle] of [["second", 1000], ["minute", 60000]]) {
      it(`stays connected while hidden, with timers once a ${often}`, async () => {
        const world = new World();
        const { page, heard, changes } = await open(world);
        const before = world.heartbeats;
        page.hide();
        world.throttle = throttle;
        for (let minute = 0; minute < 60; minute++) {
          publish(world);
          await world.pass(60000);
        }
        assert.deepEqual(changes, []);
        assert.deepEqual(heard, all(world));
        const most = transport === "websocket" ? 120 : 0; // and not one for a late timer
        assert.ok(world.heartbeats - before <= most, `${world.heartbeats} heartbeats`);
      });
    }

    it("condemns nobody whose answer waits behind its own late timers", async () => {
      for (let ms = 500; ms < 60000; ms = Math.ceil(ms * 1.1)) {
        for (const phase of [0, 1, 2, 3, 4]) {
          const world = new World();
          world.net.delay = () => 300;
          const { channel, heard, changes } = await open(world);
          const outcomes = [];
          await world.pass(28000 + 1200 * phase);
          const push = channel.push("n", { n: ++last });
          for (const status of ["ok", "timeout"]) push.receive(status, () => outcomes.push(status));
          await world.pass(200);
          world.freeze();
          await world.pass(ms);
          await world.thaw();
          await world.pass(2000);
          assert.deepEqual(outcomes, ["ok"], `${ms} ms, phase ${phase}`);
          assert.deepEqual(changes, [], `${ms} ms, phase ${phase}`);
          assert.deepEqual(heard, all(world));
        }
      }
    });

    it("condemns no transport that it did not wait for itself", async () => {
      for (const ms of [2400, 2600, 11000, 60000]) {
        const world = new World();
        world.net.delay = () => 100;
        const { channel, changes } = visit(world, transport === "websocket" ? {} : { transport });
        await world.pass(150);
        world.freeze(); // what answers is on its way
        await world.pass(ms);
        await world.thaw();
        await world.pass(500);
        assert.equal(channel.state, "joined");
        assert.deepEqual(changes.map(([state]) => state), ["connecting", "open"]);
      }
    });

    it("loses nothing while frozen, and stays connected", async () => {
      const world = new World();
      const { page, heard, changes } = await open(world);
      publish(world);
      for (const ms of [1000, 8000, 25000, 90000]) {
        world.freeze();
        publish(world, 3);
        await world.pass(ms);
        await world.thaw();
        page.resume();
        await world.pass(1000);
        assert.deepEqual(heard, all(world), `${ms} ms`);
      }
      assert.deepEqual(changes, []);
      await world.pass(HOUR);
      assert.deepEqual(changes, []);
    });

    for (const clock of ["stands still", "goes on"]) {
      it(`comes back soon after a sleep in which its clock ${clock}`, async () => {
        const world = new World();
        const { heard, socket, changes } = await open(world);
        world.silence();
        if (clock === "goes on") {
          world.freeze();
          publish(world, 5);
          await world.pass(2 * HOUR);
          await world.thaw();
        } else {
          publish(world, 5);
          world.sleep(2 * HOUR);
        }
        await world.pass(clock === "goes on" ? 5600 : 11000);
        assert.equal(socket.state, "open");
        assert.deepEqual(heard, all(world));
        // a poll is asked again, with the token it had
        const why = transport === "websocket" ? [REASONS.mute.number, REASONS.retry.number, REASONS.useful.number] : [];
        assert.deepEqual(changes.map(([, number]) => number), why);
      });
    }

    it("repeats after a sleep what the server still knows, and nothing older", async () => {
      for (const [minutes, outcome] of [[5, "ok"], [60, "timeout"]]) {
        const world = new World();
        const { channel } = await open(world);
        const outcomes = [];
        world.net.delay = () => 200;
        for (let i = 0; i < 3; i++) {
          const push = channel.push("n", { n: ++last }, 60000);
          for (const status of ["ok", "error", "timeout"]) push.receive(status, () => outcomes.push(status));
        }
        world.net.longpoll = "lose answer"; // it is taken all the same
        await world.pass(100);
        world.silence();
        await world.pass(500);
        world.sleep(minutes * 60000);
        world.net.longpoll = "ok";
        if (minutes > 10) {
          world.endSessions();
          world.keys.clear();
        }
        await world.pass(20000);
        assert.equal(channel.state, "joined");
        assert.deepEqual(outcomes, [outcome, outcome, outcome]);
        assert.equal(world.rows.length, 3);
      }
    });

    it("takes a clock that is set by hours for nothing", async () => {
      const world = new World();
      const { heard, changes } = await open(world);
      for (const hours of [5, -11, 3]) {
        world.skew += hours * HOUR;
        publish(world);
        await world.pass(2 * 60000);
      }
      assert.deepEqual(heard, all(world));
      assert.deepEqual(changes, []);
    });

    it("is checked at once when the page is shown, and when the machine says that it is offline", async () => {
      const world = new World();
      const { page, heard, socket, changes } = await open(world);
      for (const happen of [() => page.show(), () => page.offline(), () => page.resume()]) {
        world.silence();
        publish(world);
        happen();
        page.navigator.onLine = true;
        await world.pass(6000);
        assert.equal(socket.state, "open");
        assert.deepEqual(heard, all(world));
        await world.pass(20000);
      }
      const lost = changes.filter(([, number]) => number === REASONS.mute.number);
      assert.equal(lost.length, transport === "websocket" ? 3 : 0);
    });

    it("stays on a line that works, whatever the browser says of the network", async () => {
      const world = new World();
      const { page, heard, changes } = await open(world);
      page.offline();
      for (let i = 0; i < 100; i++) {
        publish(world);
        await world.pass(5000);
      }
      assert.deepEqual(heard, all(world));
      assert.deepEqual(changes, []);
    });

    it("is not disturbed by much happening at a time", async () => {
      const world = new World();
      world.net.delay = () => 50;
      const { page, heard, changes } = await open(world);
      for (let i = 0; i < 10; i++) {
        page.resume();
        page.show();
        page.offline();
        publish(world);
        await world.pass(20);
      }
      await world.pass(10000);
      assert.deepEqual(heard, all(world));
      assert.deepEqual(changes, []);
    });

    it("ends its connection when it is left, and goes on where it was when it is back", async () => {
      const world = new World();
      const { page, heard, channel, socket, changes } = await open(world);
      publish(world, 2);
      await world.pass(100);
      page.leave();
      assert.equal(socket.state, "waiting");
      await world.pass(100);
      assert.equal(world.connections + world.parked, 0);
      publish(world, 3);
      await world.pass(10 * 60000);
      assert.equal(world.connections + world.parked, 0, "nothing goes on behind its back");
      page.back();
      await world.pass(500);
      assert.equal(channel.state, "joined");
      assert.deepEqual(heard, all(world));
      const { hidden, woke, useful } = REASONS;
      assert.deepEqual(changes, [
        ["waiting", hidden.number, null],
        ["connecting", woke.number, transport],
        ["open", useful.number, transport],
      ]);
    });

    it("keeps for its return what was pushed as it was left", async () => {
      const world = new World();
      const { page, channel, heard } = await open(world);
      page.leave();
      channel.push("n", { n: ++last });
      await world.pass(2000);
      page.back();
      await world.pass(500);
      assert.deepEqual(heard, all(world));
      assert.equal(heard.length, 1);
    });
  });
}

describe("a page without a network", () => {
  const gone = async (world, page) => {
    world.net.websocket = world.net.longpoll = "refuse";
    world.cutSockets();
    page.offline();
    await world.pass(5000);
  };

  it("tries now and then, and is back at once when the network is", async () => {
    const world = new World();
    const { page, heard, socket, changes } = visit(world);
    await world.pass(1000);
    changes.length = 0;
    await gone(world, page);
    const before = world.dialled.length;
    publish(world, 3);
    await world.pass(10 * 60000);
    const tries = (world.dialled.length - before) / 2; // by either transport
    assert.ok(tries >= 20 && tries <= 40, `${tries} tries in ten minutes`);
    assert.ok(changes.some(([state, number]) => state === "waiting" && number === REASONS.offline.number));
    world.net.websocket = world.net.longpoll = "ok";
    page.online();
    await world.pass(1100);
    assert.equal(socket.state, "open");
    assert.deepEqual(heard, all(world));
  });

  it("comes back by itself if the browser does not notice", async () => {
    const world = new World();
    const { page, heard, socket } = visit(world);
    await world.pass(1000);
    await gone(world, page);
    publish(world, 3);
    world.net.websocket = world.net.longpoll = "ok";
    await world.pass(31000);
    assert.equal(socket.state, "open");
    assert.deepEqual(heard, all(world));
  });

  it("does not make it patient with the server", async () => {
    const world = new World();
    const waits = [];
    const { page } = visit(world, { reconnectAfterMs: (tries) => (waits.push(tries), 100) });
    await world.pass(1000);
    await gone(world, page);
    await world.pass(10 * 60000);
    assert.deepEqual(waits, [1]); // before it was noticed
    page.online();
    await world.pass(1000);
    assert.equal(waits[1], 2);
  });

  it("returns in its turn, not with all the others", async () => {
    const dialled = [];
    for (const luck of [0.1, 0.5, 0.9]) {
      const world = new World();
      const { page, changes } = visit(world, { reconnectAfterMs: () => 1e6 });
      await world.pass(1000);
      await gone(world, page);
      world.random = () => luck;
      changes.length = 0;
      page.online();
      const begun = world.now;
      while (changes.length === 0) await world.pass(10);
      dialled.push(world.now - begun);
    }
    assert.deepEqual(dialled.map((ms) => Math.round(ms / 100)), [1, 5, 9]);
  });
});

describe("a page that waits", () => {
  it("tries at once when it is shown or woken, unless the server said when to come", async () => {
    for (const [close, tried] of [[undefined, true], [{ code: 1012, reason: "retry_ms=20000" }, false]]) {
      for (const happen of ["show", "resume", "online"]) {
        const world = new World();
        const { page, socket } = visit(world, { reconnectAfterMs: () => 10000, transport: "websocket" });
        await world.pass(1000);
        world.cutSockets(close);
        await world.pass(10);
        assert.equal(socket.state, "waiting");
        page[happen]();
        await world.pass(1000);
        assert.equal(socket.state === "open", tried, happen);
        await world.pass(20000);
        assert.equal(socket.state, "open");
      }
    }
  });

  it("is not disturbed in a first attempt", async () => {
    const world = new World();
    world.net.delay = () => 500;
    const { page, socket } = visit(world);
    await world.pass(300);
    page.show();
    page.online();
    world.sleep(HOUR);
    await world.pass(1500);
    assert.equal(socket.state, "open");
    assert.deepEqual(world.dialled, ["websocket"]);
  });
});

describe("a page", () => {
  it("that was closed for good stays so, and hears nothing", async () => {
    const world = new World();
    const { page, socket, changes } = visit(world);
    await world.pass(1000);
    socket.disconnect();
    await world.pass(1000);
    changes.length = 0;
    page.leave();
    page.back();
    page.online();
    await world.pass(10000);
    assert.equal(socket.state, "closed");
    assert.deepEqual(changes, []);
    assert.equal(world.timers, 0);
  });

  it("leaves no timer behind", async () => {
    const world = new World();
    const { page, socket } = visit(world);
    await world.pass(1000);
    page.online();
    page.online();
    socket.disconnect();
    assert.equal(world.timers, 0);
  });

  it("that was left can be closed, and connected by hand", async () => {
    for (const last of ["disconnect", "connect"]) {
      const world = new World();
      const { page, socket } = visit(world);
      await world.pass(1000);
      page.leave();
      socket.replaceTransport("longpoll");
      socket[last]();
      await world.pass(1000);
      assert.equal(socket.state, last === "connect" ? "open" : "closed");
      page.back();
      await world.pass(1000);
      assert.equal(socket.state, last === "connect" ? "open" : "closed");
      socket.disconnect();
    }
  });

  it("whose event of return is missing comes back when it is looked at", async () => {
    const world = new World();
    const { page, socket } = visit(world);
    await world.pass(1000);
    page.leave();
    await world.pass(1000);
    page.show();
    await world.pass(1000);
    assert.equal(socket.state, "open");
  });

  it("without any events works as ever: a worker, Node", async () => {
    for (const page of [{}, globalThis, Object.assign(new EventTarget(), { navigator: {} })]) {
      const world = new World();
      const { socket, heard } = visit(world, { page });
      await world.pass(1000);
      publish(world);
      await world.pass(100);
      assert.deepEqual(heard, all(world));
      world.sleep(HOUR);
      await world.pass(60000);
      assert.equal(socket.state, "open");
      socket.disconnect();
      assert.equal(world.timers, 0);
    }
  });
});

// www/holdfast.js in many tabs of one browser: one of them holds the connection.
// Tabs, locks and messages between tabs are the test's own (lib/tabs.js); a real
// browser is in tabs_browser.test.js.
import { afterEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { REASONS, Socket as Ours } from "../../www/holdfast.js";
import { Browser } from "./lib/tabs.js";
import { World } from "./lib/world.js";

const TOPIC = "demo:lobby";
const ENDPOINT = "http://host.example/socket";
const complaints = []; // what callbacks threw, or nobody caught
console.error = (error) => complaints.push(error.stack ?? error);
process.on("unhandledRejection", (error) => complaints.push(error.stack));

let sockets = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.disconnect();
  assert.deepEqual(complaints.splice(0), []);
});

// A tab with a socket; what its channels hear is noted by topic.
function visit(browser, options = {}, Socket = Ours) {
  const tab = browser.open();
  const socket = new Socket(ENDPOINT, { ...tab.options, ...options });
  tab.changes = [];
  socket.onChange((state, reason, transport) => tab.changes.push([state, reason.number, transport]));
  sockets.push(socket);
  socket.connect();
  return Object.assign(tab, { socket });
}

function listen(tab, topic = TOPIC, params = {}) {
  const channel = tab.socket.channel(topic, params);
  const heard = { n: [], joins: [], errors: [], closes: [], gaps: [], states: [] };
  channel.on("n", ({ n }) => heard.n.push(n));
  channel.on("presence_state", (state) => heard.states.push(state));
  channel.onError((reason) => heard.errors.push(reason));
  channel.onClose((reason) => heard.closes.push(reason));
  channel.onGap((gap) => heard.gaps.push(gap));
  heard.join = channel.join();
  for (const status of ["ok", "error", "timeout"])
    heard.join.receive(status, (response) => heard.joins.push([status, response]));
  return Object.assign(heard, { channel });
}

function outcome(push) {
  const seen = [];
  for (const status of ["ok", "error", "timeout"])
    push.receive(status, (response) => seen.push([status, response]));
  return seen;
}

const publish = (world, ...numbers) => numbers.forEach((n) => world.publish(TOPIC, "n", { n }));
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

// So many tabs that listen; `leader` of them leads.
async function open(count, options = {}) {
  const world = new World();
  const browser = new Browser(world);
  const tabs = [];
  for (let i = 0; i < count; i++) {
    const tab = visit(browser, options);
    tab.heard = listen(tab);
    tabs.push(tab);
    await world.pass(100);
  }
  await world.pass(3000);
  return { world, browser, tabs };
}

const leaderOf = (browser) => browser.holder((name) => /=$/.test(name));

for (const transport of ["websocket", "longpoll"]) {
  describe(`ten tabs over ${transport}`, () => {
    it("have one connection, and all hear everything once", async () => {
      const { world, tabs } = await open(10, { transport });
      assert.equal(transport === "websocket" ? world.connections : world.parked, 1);
      assert.equal(world.dialled.length, 1);
      assert.equal(world.memberCount, 1);
      publish(world, ...range(1, 50));
      await world.pass(1000);
      for (const { heard, socket } of tabs) {
        assert.deepEqual(heard.n, range(1, 50));
        assert.equal(socket.state, "open");
        assert.equal(socket.transportName, transport);
        assert.deepEqual(heard.errors, []);
        assert.equal(heard.joins.length, 1);
      }
    });

    it("speak through it, each in its order, and each is told its own answer", async () => {
      const { world, tabs } = await open(10, { transport });
      const answers = [];
      for (const round of range(0, 9))
        for (const [i, { heard }] of tabs.entries())
          answers.push(outcome(heard.channel.push("n", { n: i * 100 + round })));
      await world.pass(1000);
      assert.deepEqual([...new Set(answers.map((a) => `${a.length} ${a[0]?.[0]}`))], ["1 ok"]);
      const journal = world.rows.map(({ payload }) => payload.n);
      assert.equal(journal.length, 100);
      for (const i of range(0, 9)) {
        const own = journal.filter((n) => Math.floor(n / 100) === i);
        assert.deepEqual(own, range(i * 100, i * 100 + 9));
      }
      for (const { heard } of tabs) assert.deepEqual(heard.n, journal);
    });

    for (const how of ["disconnects", "is killed"]) {
      it(`go on when the one that leads ${how}, again and again`, async () => {
        const { world, browser, tabs } = await open(10, { transport });
        let n = 0;
        for (let left = 9; left > 0; left--) {
          const leader = leaderOf(browser);
          publish(world, ++n, ++n);
          await world.pass(0.5);
          if (how === "disconnects") leader.socket.disconnect();
          else leader.kill();
          tabs.splice(tabs.indexOf(leader), 1);
          publish(world, ++n);
          await world.pass(1000);
          publish(world, ++n);
          await world.pass(200);
          for (const { heard, socket } of tabs) {
            assert.deepEqual(heard.n, range(1, n));
            assert.equal(socket.state, "open");
          }
          assert.equal(transport === "websocket" ? world.connections : world.parked, 1);
        }
      });
    }
  });
}

describe("a tab that leads", () => {
  it("is replaced when it is frozen, and follows when it thaws", async () => {
    const { world, browser, tabs } = await open(4);
    const leader = leaderOf(browser);
    const others = tabs.filter((tab) => tab !== leader);
    leader.freeze();
    publish(world, 1, 2);
    await world.pass(4900);
    for (const { heard } of others) assert.deepEqual(heard.n, []);
    await world.pass(3000);
    assert.notEqual(leaderOf(browser), leader);
    for (const { heard } of others) assert.deepEqual(heard.n, [1, 2]);
    publish(world, 3);
    await world.pass(100);
    for (const { heard } of others) assert.deepEqual(heard.n, [1, 2, 3]);
    assert.deepEqual(leader.heard.n, []);
    leader.thaw();
    publish(world, 4);
    await world.pass(3000);
    assert.deepEqual(leader.heard.n, [1, 2, 3, 4]);
    assert.equal(leader.socket.state, "open");
    assert.equal(world.connections, 1);
    for (const { heard } of others) assert.deepEqual(heard.n, [1, 2, 3, 4]);
    assert.equal(leader.changes.some(([, number]) => number === REASONS.follows.number), true);
  });

  it("leads again when its lock was stolen by somebody who does not", async () => {
    const { world, browser, tabs } = await open(3);
    const [name] = [...browser.locks.keys()].filter((lock) => lock.endsWith("="));
    const thief = browser.open();
    thief.page.navigator.locks.request(name, { steal: true }, () => new Promise(() => {})).catch(() => {});
    publish(world, 1);
    await world.pass(9000);
    publish(world, 2);
    await world.pass(1000);
    for (const { heard } of tabs) assert.deepEqual(heard.n, [1, 2]);
    assert.equal(world.connections, 1);
  });

  it("asks nothing and says nothing to others while it is alone", async () => {
    const { world, browser, tabs } = await open(1);
    const before = browser.posted.length;
    publish(world, ...range(1, 10));
    await world.pass(20000);
    assert.ok(browser.posted.length - before <= 1); // of its heartbeat
    assert.deepEqual(tabs[0].heard.n, range(1, 10));
  });

  it("is asked seldom, however many follow", async () => {
    const { world, browser } = await open(10);
    const before = browser.posted.length;
    await world.pass(60000);
    const perSecond = (browser.posted.length - before) / 60;
    assert.ok(perSecond < 3, `${perSecond} messages a second`);
  });

  it("keeps each follower's place, when its line goes and comes back", async () => {
    const { world, tabs } = await open(5, { transport: "websocket", reconnectAfterMs: () => 100 });
    for (const round of range(1, 5)) {
      publish(world, round * 10);
      await world.pass(0.7);
      world.cutSockets();
      publish(world, round * 10 + 1);
      await world.pass(2000);
      for (const { heard } of tabs) assert.equal(heard.n.length, round * 2);
    }
    for (const { heard } of tabs) {
      assert.deepEqual(heard.n, world.rows.map(({ payload }) => payload.n));
      assert.equal(heard.errors.length, 5);
    }
  });
});

describe("a tab that follows", () => {
  it("sees what the connection is, and when it changes", async () => {
    const { world, browser, tabs } = await open(2);
    const follower = tabs.find((tab) => tab !== leaderOf(browser));
    assert.deepEqual(follower.changes, [
      ["connecting", REASONS.connect.number, null],
      ["open", REASONS.useful.number, "websocket"],
    ]);
    follower.changes.length = 0;
    world.net.websocket = "refuse";
    world.cutSockets();
    await world.pass(3000);
    assert.deepEqual(follower.changes, [
      ["waiting", REASONS.dropped.number, null],
      ["connecting", REASONS.retry.number, "websocket"],
      ["connecting", REASONS.refused.number, "longpoll"],
      ["open", REASONS.useful.number, "longpoll"],
    ]);
  });

  it("may say what cannot be cloned, and change it afterwards", async () => {
    const { world, browser, tabs } = await open(2);
    const follower = tabs.find((tab) => tab !== leaderOf(browser));
    const payload = new Proxy({ n: 1, f: () => {}, at: new Date(0) }, {});
    const answer = outcome(follower.heard.channel.push("n", payload));
    payload.n = 2;
    await world.pass(100);
    assert.equal(answer[0][0], "ok");
    assert.deepEqual(world.rows[0].payload, { n: 1, at: "1970-01-01T00:00:00.000Z" });
  });

  it("that dies without a word has its topics left, and nobody else's", async () => {
    const { world, browser, tabs } = await open(3);
    const follower = tabs.find((tab) => tab !== leaderOf(browser));
    const mine = listen(follower, "demo:mine");
    await world.pass(100);
    assert.deepEqual(mine.joins.length, 1);
    const before = world.leaves;
    follower.kill();
    await world.pass(100);
    assert.equal(world.leaves, before + 1);
    publish(world, 1);
    world.publish("demo:mine", "n", { n: 2 });
    await world.pass(100);
    assert.deepEqual(tabs.filter((tab) => !tab.dead).map(({ heard }) => heard.n), [[1], [1]]);
  });

  it("that was frozen hears what it missed", async () => {
    const { world, browser, tabs } = await open(3);
    const follower = tabs.find((tab) => tab !== leaderOf(browser));
    for (const lost of [false, true]) {
      follower.freeze();
      publish(world, 1);
      await world.pass(30000);
      if (lost) leaderOf(browser).kill();
      publish(world, 2);
      await world.pass(30000);
      follower.thaw();
      await world.pass(5000);
      assert.deepEqual(follower.heard.n, world.rows.map(({ payload }) => payload.n));
    }
  });
});

describe("a topic", () => {
  it("is left when the last tab leaves it", async () => {
    const { world, tabs } = await open(3);
    const ends = tabs.map(({ heard }) => outcome(heard.channel.leave()));
    await world.pass(100);
    for (const end of ends) assert.equal(end[0][0], "ok");
    assert.equal(world.memberCount, 0);
    for (const { heard } of tabs) assert.equal(heard.closes.length, 1);
  });

  it("goes on for who does not leave it, and may be joined again", async () => {
    const { world, tabs } = await open(3);
    const [first, ...others] = tabs;
    const said = range(1, 5).map((n) => outcome(first.heard.channel.push("n", { n })));
    const end = outcome(first.heard.channel.leave());
    publish(world, 6);
    await world.pass(100);
    for (const answer of said) assert.equal(answer[0][0], "ok");
    assert.equal(end[0][0], "ok");
    const again = listen(first);
    await world.pass(100);
    publish(world, 7);
    await world.pass(100);
    assert.deepEqual(again.n, [7]);
    for (const { heard } of others)
      assert.deepEqual(heard.n, world.rows.map(({ payload }) => payload.n));
    for (const { heard } of others) assert.deepEqual(heard.errors, []);
  });

  it("begins for each tab where that wants", async () => {
    const { world, browser, tabs } = await open(2);
    publish(world, ...range(1, 10));
    await world.pass(100);
    const late = ["", world.cursor(3), world.cursor(10), world.cursor(8)].map((since) => {
      const tab = visit(browser);
      return listen(tab, TOPIC, { since });
    });
    await world.pass(200);
    publish(world, 11);
    await world.pass(200);
    assert.deepEqual(late.map(({ n }) => n), [[11], range(4, 11), [11], range(9, 11)]);
    assert.deepEqual(late.map(({ joins }) => joins[0][1].recovered), [false, true, true, true]);
    for (const { heard } of tabs) assert.deepEqual([heard.n, heard.errors], [range(1, 11), []]);
  });

  it("has a gap for who comes from too far behind, and for nobody else", async () => {
    const { world, browser, tabs } = await open(3);
    publish(world, ...range(1, 10));
    await world.pass(100);
    world.trim();
    const late = listen(visit(browser), TOPIC, { since: world.cursor(3) });
    await world.pass(100);
    publish(world, 11);
    await world.pass(5000);
    assert.deepEqual(late.n, [11]);
    assert.equal(late.gaps.length, 1);
    for (const { heard } of tabs) assert.deepEqual([heard.n, heard.gaps], [range(1, 11), []]);
  });

  it("loses nothing for others when one comes over a gap while they lag behind", async () => {
    const { world, browser, tabs } = await open(3);
    publish(world, ...range(1, 5));
    await world.pass(100);
    world.trim();
    const late = listen(visit(browser), TOPIC, { since: world.cursor(3) });
    await world.pass(1); // its join is on its way
    for (const n of range(6, 30)) {
      publish(world, n);
      await world.pass(0.3);
    }
    await world.pass(5000);
    for (const { heard } of tabs) assert.deepEqual([heard.n, heard.gaps], [range(1, 30), []]);
    assert.deepEqual(late.n, world.rows.map(({ payload }) => payload.n).slice(-late.n.length));
    assert.equal(late.n.at(-1), 30);
  });

  it("raises no alarm when a tab comes while a heartbeat is under way", async () => {
    const { world, browser, tabs } = await open(2, { heartbeatIntervalMs: 5000 });
    const follower = tabs.find((tab) => tab !== leaderOf(browser));
    world.net.delay = () => 100;
    publish(world, 1);
    await world.pass(1000);
    const before = world.heartbeats;
    const reasons = [];
    follower.socket.logger = (kind, _text, { number }) => kind === "channel" && reasons.push(number);
    while (world.heartbeats === before) await world.pass(1);
    for (let i = 0; i < 60; i++) {
      await world.pass(165);
      const late = listen(follower);
      await world.pass(1);
      late.channel.leave();
      listen(follower);
    }
    await world.pass(1000);
    assert.ok(world.heartbeats > before + 1);
    assert.equal(reasons.includes(REASONS.loss.number), false);
  });

  it("is joined whatever another tab asks for", async () => {
    const { world, browser, tabs } = await open(2);
    const others = [7, null, { a: 1 }, "x", ""].map((since) => listen(visit(browser), TOPIC, { since }));
    await world.pass(1000);
    const late = listen(visit(browser));
    await world.pass(1000);
    publish(world, 1);
    await world.pass(1000);
    const [, , , wrong, fine] = others;
    assert.ok(wrong.joins.length > 0);
    for (const [, response] of wrong.joins) assert.deepEqual(response, { reason: "invalid since" });
    wrong.channel.leave();
    await world.pass(15000);
    for (const { n } of [late, fine, ...others.slice(0, 3), ...tabs.map(({ heard }) => heard)])
      assert.deepEqual(n, [1]);
  });

  it("is joined with other parameters by a tab that goes apart", async () => {
    const { world, browser, tabs } = await open(2);
    const other = visit(browser);
    const heard = listen(other, TOPIC, { password: "x" });
    await world.pass(1000);
    assert.equal(world.connections, 2);
    assert.equal(other.socket.state, "open");
    assert.equal(other.changes.some(([, number]) => number === REASONS.apart.number), true);
    publish(world, 1);
    await world.pass(100);
    for (const one of [heard, ...tabs.map((tab) => tab.heard)]) assert.deepEqual(one.n, [1]);
    other.kill();
    await world.pass(1000);
    assert.equal(world.connections, 1);
  });

  it("is joined with other parameters by who has it alone, and nobody goes apart", async () => {
    const { world, browser, tabs } = await open(2);
    for (const [i, tab] of tabs.entries())
      for (const room of range(1, 3)) {
        const { channel } = listen(tab, `demo:${i}`, { room });
        if (room === 2) await world.pass(100);
        if (room < 3) channel.leave();
        else tab.room = channel;
      }
    await world.pass(1000);
    assert.equal(world.connections, 1);
    assert.deepEqual(tabs.map(({ room }) => room.state), ["joined", "joined"]);
    assert.equal(world.joins.at(-1).room, 3);
    const [first, second] = tabs;
    const other = listen(second, "demo:0", { room: 4 });
    await world.pass(1000);
    assert.equal(world.connections, 2);
    assert.equal(other.joins[0][0], "ok");
    assert.equal(first.room.state, "joined");
    assert.notEqual(leaderOf(browser), null);
  });

  it("lets the leading tab go apart, too", async () => {
    const { world, browser, tabs } = await open(3);
    const leader = leaderOf(browser);
    const others = tabs.filter((tab) => tab !== leader);
    listen(others[0], "demo:x", { a: 1 });
    await world.pass(100);
    const heard = listen(leader, "demo:x", { a: 2 });
    await world.pass(1000);
    assert.equal(heard.joins.length, 1);
    assert.equal(world.connections, 2);
    publish(world, 1);
    await world.pass(100);
    for (const tab of tabs) assert.deepEqual(tab.heard.n, [1]);
  });

  it("tells each tab that comes who is present", async () => {
    const world = new World();
    const present = { ann: { metas: [{ phx_ref: "1" }] } };
    world.present.set(TOPIC, present);
    const browser = new Browser(world);
    for (let i = 0; i < 4; i++) {
      const heard = listen(visit(browser));
      await world.pass(100);
      assert.deepEqual(heard.states, [present]);
      assert.equal(heard.joins.length, 1);
    }
  });

  it("that is refused is refused to each tab, with the reason", async () => {
    const { world, browser } = await open(1);
    world.refuse = { reason: "unauthorized" };
    const late = [1, 2, 3].map(() => listen(visit(browser), "demo:closed"));
    await world.pass(100);
    for (const { joins } of late) assert.deepEqual(joins[0], ["error", { reason: "unauthorized" }]);
    world.refuse = null;
    await world.pass(20000);
    for (const { joins } of late) assert.equal(joins.at(-1)[0], "ok");
  });

  it("too many for one connection are joined apart", async () => {
    const { world, browser, tabs } = await open(2);
    world.refuse = { reason: "too many channels joined" };
    const follower = tabs.find((tab) => tab !== leaderOf(browser));
    const heard = listen(follower, "demo:more");
    await world.pass(3);
    world.refuse = null;
    await world.pass(2000);
    assert.equal(heard.joins.at(-1)[0], "ok");
    assert.equal(world.connections, 2);
  });

  it("that the server ends is joined again by every tab", async () => {
    const { world, tabs } = await open(3);
    world.tellMembers(TOPIC, "phx_error", { reason: "gap" });
    publish(world, 1);
    await world.pass(5000);
    publish(world, 2);
    await world.pass(100);
    for (const { heard } of tabs) assert.deepEqual([heard.n, heard.errors.length], [[1, 2], 1]);
    world.tellMembers(TOPIC, "phx_close", {});
    await world.pass(5000);
    for (const { heard } of tabs) assert.equal(heard.closes.length, 1);
    assert.equal(world.memberCount, 0);
  });

  it("is joined once the server answers again, however long it did not", async () => {
    const { world, browser, tabs } = await open(2, { timeout: 3000 });
    world.deaf = true;
    const late = listen(visit(browser, { timeout: 3000 }));
    await world.pass(30000);
    assert.equal(late.joins.some(([status]) => status === "timeout"), true);
    world.deaf = false;
    await world.pass(20000);
    assert.equal(late.joins.at(-1)[0], "ok");
    publish(world, 1);
    await world.pass(100);
    for (const one of [late, ...tabs.map((tab) => tab.heard)]) assert.equal(one.n.at(-1), 1);
  });
});

describe("who must not share", () => {
  const b64 = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const token = (claims) => `${b64({ alg: "HS256" })}.${b64(claims)}.${b64("signature")}`;

  async function connections(...options) {
    const world = new World();
    const browser = new Browser(world);
    for (const one of options) listen(visit(browser, one));
    await world.pass(1000);
    const names = [...browser.locks.keys()].join(" ");
    return { count: world.connections, names, posted: JSON.stringify(browser.posted) };
  }

  it("are other users, and the same with other rights", async () => {
    const tokens = [{ sub: "ann" }, { sub: "bob" }, { sub: "ann", topics: { "a:*": ["join"] } }];
    const params = tokens.map((claims) => ({ params: { access_token: token(claims) } }));
    assert.equal((await connections(...params, ...params)).count, 3);
  });

  it("is not the same user with a fresher token", async () => {
    const params = [1, 2].map((exp) => ({ params: { access_token: token({ sub: "ann", exp, iat: exp }) } }));
    const { count, names, posted } = await connections(...params);
    assert.equal(count, 1);
    for (const { params: { access_token } } of params)
      for (const part of access_token.split("."))
        assert.equal(names.includes(part) || posted.includes(part), false);
  });

  it("is who has become another, from that moment on", async () => {
    const exp = 1.7e9 + 100;
    const ann = token({ sub: "ann", exp, iat: 1.7e9 });
    for (const [who, first] of [[0], [0, ann], [1, ann]]) {
      const world = new World();
      const browser = new Browser(world);
      const now = [first, first];
      const tabs = now.map((_, i) => visit(browser, { authToken: () => now[i] }));
      for (const tab of tabs) tab.heard = listen(tab);
      await world.pass(1000);
      const shown = world.shown.length;
      const before = world.connections;
      now[who] = token({ sub: "bob", exp: exp + 1000, iat: 1.7e9 + 50 });
      world.renewals = [];
      await world.pass(90000);
      world.cutSockets();
      await world.pass(20000);
      publish(world, 1);
      await world.pass(1000);
      assert.equal(world.connections, before + 1, `${first}`);
      assert.deepEqual(world.renewals, [], `${first}`);
      assert.equal(world.shown.slice(shown).includes(now[who]), true);
      for (const { heard } of tabs) assert.equal(heard.n.length, 1);
    }
  });

  it("is not one who shows another ticket each time, and nobody else has that", async () => {
    const world = new World();
    world.net.websocket = "refuse";
    let count = 0;
    const tab = visit(new Browser(world), { authToken: () => `ticket ${++count}` });
    const { n, errors } = listen(tab);
    await world.pass(120000);
    publish(world, 1);
    await world.pass(1000);
    assert.ok(count > 2); // WebSocket was tried again
    assert.deepEqual([n, errors], [[1], []]);
  });

  it("are those with other parameters, or another transport", async () => {
    const { count } = await connections({}, { params: { a: 1 } }, { params: () => ({ a: 2 }) }, { params: { a: 1 } });
    assert.equal(count, 3);
    assert.equal((await connections({ transport: "websocket" }, {})).count, 2);
  });

  it("is who does not want to, or cannot", async () => {
    assert.equal((await connections({ tabs: false }, {}, {})).count, 2);
    const world = new World();
    const browser = new Browser(world);
    const broken = [
      (page) => delete page.navigator.locks,
      (page) => delete page.BroadcastChannel,
      (page) => delete page.document,
      (page) => {
        page.navigator.locks.request = () => Promise.reject(new DOMException("no", "SecurityError"));
      },
      (page) => {
        page.navigator.locks.request = () => {
          throw new Error("no");
        };
      },
      (page) => {
        page.BroadcastChannel = class {
          constructor() {
            throw new DOMException("no", "SecurityError");
          }
        };
      },
    ];
    const heard = broken.map((harm) => {
      const tab = browser.open();
      harm(tab.page);
      const socket = new Ours(ENDPOINT, tab.options);
      sockets.push(socket);
      socket.connect();
      return listen(Object.assign(tab, { socket }));
    });
    await world.pass(1000);
    assert.equal(world.connections, broken.length);
    publish(world, 1);
    await world.pass(100);
    for (const { n } of heard) assert.deepEqual(n, [1]);
  });

  it("is who waits in vain for a lock", async () => {
    const world = new World();
    const browser = new Browser(world);
    const tab = browser.open();
    tab.page.navigator.locks.request = () => new Promise(() => {});
    const socket = new Ours(ENDPOINT, tab.options);
    sockets.push(socket);
    socket.connect();
    await world.pass(15000);
    assert.equal(socket.state, "open");
  });

  it("changes its transport for itself, and comes back", async () => {
    const { world, tabs } = await open(3);
    const [, second] = tabs;
    const count = () => [world.connections, world.parked];
    assert.deepEqual(count(), [1, 0]);
    for (const [name, wanted] of [["longpoll", [1, 1]], [undefined, [1, 0]], ["longpoll", [1, 1]]]) {
      publish(world, 1);
      second.socket.replaceTransport(name);
      publish(world, 2);
      await world.pass(1000);
      assert.deepEqual(count(), wanted);
    }
    for (const { heard } of tabs) assert.deepEqual(heard.n, [1, 2, 1, 2, 1, 2]);
  });

  it("comes back with the page that was left", async () => {
    const { world, browser, tabs } = await open(3);
    for (let round = 0; round < 3; round++) {
      const leader = leaderOf(browser);
      leader.page.leave();
      await world.pass(1000);
      assert.notEqual(leaderOf(browser), leader);
      publish(world, round);
      await world.pass(100);
      leader.page.back();
      await world.pass(1000);
      assert.equal(world.connections, 1);
    }
    for (const { heard } of tabs) assert.deepEqual(heard.n, [0, 1, 2]);
  });
});

describe("a message between tabs", () => {
  it("that is none of ours is passed over", async () => {
    const { world, browser, tabs } = await open(3);
    const [name] = [...browser.locks.keys()].filter((lock) => lock.endsWith("="));
    const stranger = browser.open();
    const channel = new stranger.page.BroadcastChannel(name);
    const odd = [
      undefined, null, 0, "", "ask", [], {}, [[]], ["?"], ["news"], ["news", null], ["news", 7],
      ["news", {}], ["news", { term: NaN, state: "open" }], ["news", { term: -1, state: "closed" }],
      ["news", { state: "open", up: 1 }], ["news", { term: "x", state: "toString" }],
      ["frame"], ["frame", 0, null, {}], ["frame", 1, { x: 1 }, null], ["frame", null, null, null],
      ["say"], ["say", 0, null, null], ["say", {}, "tab", { topic: 1 }], ["part"], ["part", 1, 2],
      ["ask", -1], ["ask", {}], { kind: "news" }, new Map(), new Date(),
    ];
    for (const data of odd) channel.postMessage(data);
    await world.pass(1000);
    publish(world, 1);
    await world.pass(1000);
    for (const { heard, socket } of tabs) {
      assert.deepEqual([heard.n, heard.errors, socket.state], [[1], [], "open"]);
    }
    assert.equal(world.connections, 1);
  });
});

// Tabs come, go, die, freeze and thaw, networks fail, while all of them listen
// and speak: each hears every message once, in order, from where it began.
describe("a random schedule", () => {
  const generator = (seed) => () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };

  // What is wrong with it, if anything.
  async function play(seed, Socket = Ours) {
    const random = generator(seed);
    const pick = (list) => list[Math.floor(random() * list.length)];
    const world = new World(random);
    const browser = new Browser(world);
    const options = { timeout: 3000, longPollFallbackMs: 500, heartbeatIntervalMs: 5000 };
    const all = [];
    const pushes = [];
    const trouble = [];
    const answered = new Map(); // ref -> tab
    let n = 0;
    world.net.delay = () => random() * 60;

    const visitOne = () => {
      const tab = visit(browser, options, Socket);
      // as a page that was rendered a while ago, or one that begins now
      const since = random() < 0.5 ? world.cursor(Math.max(0, world.seq - Math.floor(random() * 5))) : "";
      tab.heard = listen(tab, TOPIC, { since });
      tab.since = since;
      tab.ids = [];
      tab.heard.channel.on("n", (_payload, ref) => tab.ids.push(Number(ref.split(".")[1])));
      tab.socket.onMessage(({ topic, event, ref }) => {
        if (topic !== TOPIC || event !== "phx_reply" || /^\d+$/.test(ref)) return;
        if ((answered.get(ref) ?? tab) !== tab) trouble.push(`${ref} is answered to two tabs`);
        answered.set(ref, tab);
      });
      all.push(tab);
    };
    const living = () => all.filter((tab) => !tab.dead && !tab.closed);
    visitOne();
    for (let i = 0; i < 80; i++) {
      const what = random();
      const tab = pick(living());
      if (!tab || what < 0.1) {
        if (living().length < 5) visitOne();
      } else if (what < 0.35) world.publish(TOPIC, "n", { n: ++n });
      else if (what < 0.5) {
        if (!tab.frozen) pushes.push([tab, ++n, outcome(tab.heard.channel.push("n", { n }))]);
      } else if (what < 0.55) {
        if (!tab.frozen) tab.closed = tab.socket.disconnect() ?? true;
      } else if (what < 0.59) tab.kill();
      else if (what < 0.66) tab.freeze();
      else if (what < 0.75) tab.thaw();
      else if (what < 0.79) world.cutSockets();
      else if (what < 0.81) world.endSessions(pick([500, 410]));
      else if (what < 0.86) world.net.websocket = pick(["ok", "ok", "ok", "refuse", "hang", "mute"]);
      else if (what < 0.9) world.net.longpoll = pick(["ok", "ok", "ok", "refuse", "lose answer", "swallow"]);
      else if (what < 0.92) world.net.post = pick([null, null, "refuse", "lose answer"]);
      else if (what < 0.94) world.tellMembers(TOPIC, "phx_error", { reason: "gap" });
      else if (what < 0.96 && !tab.frozen) {
        tab.page.leave();
        tab.page.back();
      }
      await world.pass(random() * random() * random() * 8000);
    }
    Object.assign(world.net, { websocket: "ok", longpoll: "ok", post: null });
    for (const tab of living()) tab.thaw();
    await world.pass(90000);
    const last = world.publish(TOPIC, "n", { n: ++n }).id;
    await world.pass(1000);

    const rows = world.rows.map((row) => row.id);
    for (const [i, tab] of all.entries()) {
      const { ids, heard } = tab;
      const lives = !tab.dead && !tab.closed;
      const first = heard.joins.find(([status]) => status === "ok")?.[1];
      const begin = tab.since === "" ? first?.cursor : tab.since;
      if (ids.length > 0 && !begin) trouble.push(`tab ${i} heard before it was joined`);
      const from = Number(begin?.split(".")[1]);
      const to = lives ? last : (ids.at(-1) ?? from);
      const wanted = rows.filter((id) => id > from && id <= to);
      if (begin && `${ids}` !== `${wanted}`) trouble.push(`tab ${i} from ${from}: ${ids}, not ${wanted}`);
      if (lives && heard.channel.state !== "joined") trouble.push(`tab ${i} is ${heard.channel.state}`);
      if (heard.gaps.length > 0) trouble.push(`tab ${i} has a gap`);
    }
    const place = (m) => world.rows.findIndex(({ payload }) => payload.n === m);
    const before = new Map();
    for (const [tab, m, answer] of pushes) {
      const times = world.rows.filter(({ payload }) => payload.n === m).length;
      const status = answer[0]?.[0];
      if (answer.length > 1 || (answer.length < 1 && !tab.dead)) trouble.push(`push ${m}: ${answer.length} answers`);
      if (times > 1 || (status === "ok" && times < 1)) trouble.push(`push ${m} ${status}: ${times} times`);
      if (status !== "ok") continue;
      if (place(m) < (before.get(tab) ?? -1)) trouble.push(`push ${m} is out of order`);
      before.set(tab, place(m));
    }
    const count = world.connections + world.parked;
    if (living().length > 0 && count !== 1) trouble.push(`${count} connections of ${living().length} tabs`);
    for (const socket of sockets.splice(0)) socket.disconnect();
    return { trouble, heard: all.reduce((sum, { ids }) => sum + ids.length, 0), tabs: all.length };
  }

  const first = Number(process.env.HOLDFAST_SEED ?? 1);
  const count = Number(process.env.HOLDFAST_SEEDS ?? 100);

  it("loses, doubles and reorders nothing in any tab", { timeout: 120000 }, async () => {
    let messages = 0;
    for (let seed = first; seed < first + count; seed++) {
      const { trouble, heard } = await play(seed);
      assert.deepEqual(trouble, [], `seed ${seed}`);
      messages += heard;
    }
    assert.ok(messages > 30 * count, `${messages} messages`);
  });

  // Does it see anything? In copies of the client that have a fault it must.
  const faults = {
    "the hub begins where it is, whatever a tab asks for": [
      '(since === "" ? !last : known(cursor, since));',
      "(since || true);",
    ],
    "nobody takes the lead of who is silent": ["this.#stand({ steal: true })", "{}"],
    "a leader that was frozen keeps its connection": ["    this.#line.close();\n    this.#line = ", "    this.#line = "],
    "answers go to everybody": ["{ [String(ref).slice(0, TAB_CHARS)]: null }", "null"],
    "channels take what they have had": ["const old = known(ref, this.cursor);", "const old = false;"],
    "tabs hear what they did not join": [
      "if (!to || us)",
      "if (true)",
    ],
  };

  for (const [fault, [right, wrong]] of Object.entries(faults)) {
    it(`notices when ${fault}`, { timeout: 120000 }, async (t) => {
      const source = readFileSync(new URL("../../www/holdfast.js", import.meta.url), "utf8");
      assert.equal(source.split(right).length, 2, "the line it changes is there once");
      const dir = mkdtempSync(join(tmpdir(), "holdfast-fault."));
      t.after(() => rmSync(dir, { recursive: true }));
      writeFileSync(join(dir, "holdfast.mjs"), source.replace(right, wrong));
      const { Socket } = await import(pathToFileURL(join(dir, "holdfast.mjs")));
      for (let seed = 1; seed <= 200; seed++) {
        const { trouble } = await play(seed, Socket).catch((error) => ({ trouble: [error.message] }));
        complaints.length = 0;
        if (trouble.length > 0) return t.diagnostic(`seed ${seed}: ${trouble[0]}`);
      }
      assert.fail("200 schedules saw nothing");
    });
  }
});

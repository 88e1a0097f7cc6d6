// Channels of www/holdfast.js: what they hear, what they say, and what becomes of
// it when a connection is lost. A clock, a network and a server of the test's own.
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { LongPoll, REASONS, Serializer, Socket, decode, encode } from "../../www/holdfast.js";
import {
  ENDPOINT,
  TOPIC,
  complaints,
  connect,
  listen,
  outcome,
  publish,
  range,
} from "./lib/client.js";
import { World } from "./lib/world.js";

const statuses = (answer) => answer.map(([status]) => status);

describe("frames", () => {
  it("are arrays of five", () => {
    const message = { join_ref: "1", ref: "2", topic: "a", event: "b", payload: { c: [1] } };
    assert.equal(encode(message), '["1","2","a","b",{"c":[1]}]');
    assert.deepEqual(decode(encode(message)), message);
  });

  it("may hold bytes, as base64", () => {
    const message = { join_ref: "1", ref: "2", topic: "a", event: "b" };
    const payload = Uint8Array.of(255, 0, 1).buffer;
    const text = '["1","2","a","b",{"_binary":"/wAB"},{"key":"k","bytes":true}]';
    assert.equal(encode({ ...message, payload, options: { key: "k" } }), text);
    assert.deepEqual(decode(text), { ...message, payload });
    const reply = decode('["1","2","a","phx_reply",{"status":"ok","response":{"_binary":""}}]');
    assert.deepEqual(reply.payload, { status: "ok", response: new ArrayBuffer(0) });
    const large = new Uint8Array(300000).fill(7).buffer;
    assert.deepEqual(decode(encode({ ...message, payload: large })).payload, large);
  });

  it("hold an object that only looks like bytes as it is", () => {
    for (const payload of [{ _binary: "not base64" }, { _binary: 7 }, { _binary: "/wAB", more: 1 }]) {
      const text = JSON.stringify([null, null, "a", "b", payload]);
      assert.deepEqual(decode(text).payload, payload);
    }
  });

  it("are read as phoenix.js does where they are binary", async () => {
    const { Serializer: theirs } = await import("phoenix-1.8");
    const frame = (kind, names, payload) => {
      const texts = names.map((name) => Buffer.from(name));
      const sizes = texts.map(({ length }) => length);
      const bytes = Buffer.concat([Buffer.from([kind, ...sizes]), ...texts, Buffer.from(payload)]);
      return new Uint8Array(bytes).buffer;
    };
    for (const [kind, names] of [
      [0, ["3", "room:ä", "say"]],
      [1, ["3", "44", "room:1", "ok"]],
      [2, ["room:1", "x".repeat(255)]],
    ])
      for (const payload of [[], [255, 0, 1]]) {
        const data = frame(kind, names, payload);
        theirs.decode(data, (wanted) => assert.deepEqual(decode(data), wanted));
        Serializer.decode(data, (message) => assert.deepEqual(message, decode(data)));
      }
    for (const data of [
      frame(7, [], [1, 2, 3]),
      new ArrayBuffer(0),
      frame(2, ["room:1", "e"], []).slice(0, 8),
    ])
      assert.equal(decode(data), null);
  });

  it("hold no half of a character, which the server would take for broken", () => {
    const text = encode({ join_ref: null, ref: "1", topic: "a", event: "b", payload: { c: "😀".slice(0, 1) } });
    assert.equal(text, '[null,"1","a","b",{"c":"\\ufffd"}]');
    for (const c of ["😀", "\\ud83d", "\\\\ud83d", "\ud83e\\", '"\\"'])
      assert.equal(decode(encode({ payload: { c } })).payload.c, c.replace("\ud83e", "\ufffd"));
  });

  it("are nothing else", () => {
    for (const text of ["", "x", '"abcdef"', "{}", "[1,2,3,4]", "null", "7"]) assert.equal(decode(text), null);
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
      for (const answer of answers) assert.deepEqual(statuses(answer), ["ok"]);
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

    it("says a push again whose answer was lost, and it has its effect once", async () => {
      const { world, socket } = world_();
      world.net.delay = () => 20;
      const { channel, heard } = listen(socket);
      await world.pass(200);
      const answer = outcome(channel.push("n", { n: 1 }));
      // over WebSocket it arrives and its answer does not; else not even that
      await world.pass(transport === "websocket" ? 30 : 10);
      lose(world);
      await world.pass(100);
      assert.deepEqual(answer, []);
      await world.pass(2000);
      assert.deepEqual(answer, [["ok", { cursor: world.cursor(1) }]]);
      assert.deepEqual(heard.n, [1]);
      assert.equal(world.repeats, transport === "websocket" ? 1 : 0);
    });

    it("says it again for as long as it may take, over any number of connections", async () => {
      const { world, socket } = world_({ reconnectAfterMs: () => 100 });
      const { channel, heard } = listen(socket);
      await world.pass(100);
      world.net.delay = () => 30;
      const answers = [outcome(channel.push("n", { n: 1 }, 60000)), outcome(channel.push("n", { n: 2 }, 2000))];
      for (let i = 0; i < 100; i++) {
        await world.pass(50);
        lose(world);
      }
      // over long-poll an answer may come all the same
      if (transport === "websocket") assert.deepEqual(answers.map(statuses), [[], ["timeout"]]);
      world.net.delay = () => 1;
      await world.pass(1000);
      assert.deepEqual(statuses(answers[0]), ["ok"]);
      assert.equal(heard.n.filter((n) => n === 1).length, 1);
      assert.deepEqual([...world.keys.keys()].length, world.rows.length);
    });

    it("stops before the server may have forgotten its key", async () => {
      const { world, socket } = world_();
      const { channel } = listen(socket);
      await world.pass(100);
      world.deaf = true;
      const answer = outcome(channel.push("n", { n: 1 }, Infinity));
      await world.pass(539000);
      assert.deepEqual(answer, []);
      await world.pass(2000);
      assert.deepEqual(statuses(answer), ["timeout"]);
    });

    it("keeps the order of what was not answered before what came later", async () => {
      const { world, socket } = world_();
      const { channel, heard } = listen(socket);
      await world.pass(100);
      world.net.delay = () => 40;
      for (const n of range(1, 5)) channel.push("n", { n });
      await world.pass(50);
      lose(world);
      for (const n of range(6, 8)) channel.push("n", { n });
      await world.pass(3000);
      for (const n of range(9, 10)) channel.push("n", { n });
      await world.pass(1000);
      assert.deepEqual(heard.n, range(1, 10));
    });

    it("takes no key where none is wanted, and reports what is lost as unknown", async () => {
      const { world, socket } = world_();
      world.net.delay = () => 20;
      const { channel, heard } = listen(socket);
      await world.pass(200);
      const answer = outcome(channel.push("n", { n: 1 }, 10000, { key: false }));
      await world.pass(transport === "websocket" ? 30 : 10);
      lose(world);
      if (transport === "longpoll") await world.pass(50); // until it is noticed
      const later = outcome(channel.push("n", { n: 2 }, 10000, { key: false }));
      await world.pass(2000);
      assert.deepEqual(answer, [["timeout", { reason: REASONS.lost.text }]]);
      assert.deepEqual(later, [["ok", {}]]);
      assert.deepEqual(heard.n, transport === "websocket" ? [1, 2] : [2]);
      assert.equal(world.keys.size, 0);
    });

    it("takes a key of the application's", async () => {
      const { world, socket } = world_();
      const { channel, heard } = listen(socket);
      const key = "an outbox remembers this";
      const answers = [1, 1, 2].map((n) => outcome(channel.push("n", { n }, 10000, { key })));
      await world.pass(500);
      assert.deepEqual(heard.n, [1]);
      assert.deepEqual(answers[0], answers[1]);
      assert.deepEqual(answers[2], [["error", { reason: "key_reused" }]]);
    });

    it("says what was pushed, whatever becomes of the object", async () => {
      const { world, socket } = world_();
      const { channel, heard } = listen(socket);
      const payload = { n: 1 };
      const answer = outcome(channel.push("n", payload));
      payload.n = 2;
      await world.pass(100);
      lose(world);
      await world.pass(1000);
      assert.deepEqual(heard.n, [1]);
      assert.deepEqual(statuses(answer), ["ok"]);
    });

    it("says no half of a character, which the server would take for broken", async () => {
      const half = "😀".slice(0, 1);
      const { world, socket } = world_({ params: { half } });
      const { channel } = listen(socket, TOPIC, { half });
      await world.pass(100);
      for (const c of [half, "\\ud83d", "😀", `\\${half}\\`, '"\\"']) channel.push("n", { c });
      await world.pass(100);
      const said = world.rows.map(({ payload }) => payload.c);
      assert.deepEqual(said, ["\ufffd", "\\ud83d", "😀", "\\\ufffd\\", '"\\"']);
      assert.equal(world.joins[0].half, "\ufffd");
      assert.equal(new URL(socket.endPointURL()).searchParams.get("half"), "\ufffd");
    });

    it("waits as the server asks, and keeps the order", async () => {
      const { world, socket } = world_();
      const { channel, heard } = listen(socket);
      await world.pass(100);
      const asked = [];
      let due = 400; // ten messages, and then one a while
      world.limit = ({ payload: { n } }) => {
        asked.push([n, world.now]);
        const retry_ms = due - world.now;
        if (retry_ms > 0) return { reason: "rate_limited", retry_ms };
        due = Math.max(due + 40, world.now - 400);
        return null;
      };
      const answers = range(1, 20).map((n) => outcome(channel.push("n", { n })));
      await world.pass(50);
      assert.deepEqual(answers.flat(), []);
      assert.deepEqual(asked.map(([n]) => n), range(1, 20));
      await world.pass(100);
      const late = outcome(channel.push("n", { n: 21 }));
      await world.pass(8000);
      assert.deepEqual(heard.n, range(1, 21));
      for (const answer of [...answers, late]) assert.deepEqual(statuses(answer), ["ok"]);
      assert.ok(asked[20][1] >= 400, "nothing was sent before its time");
      assert.ok(asked.length < 100, `${asked.length} tries`);
    });

    it("comes to full speed again once it is let", async () => {
      const { world, socket } = world_();
      const { channel, heard } = listen(socket);
      await world.pass(100);
      world.limit = () => ({ reason: "busy" }); // says not how long
      channel.push("n", { n: 1 });
      await world.pass(50);
      world.limit = () => null;
      await world.pass(1000);
      world.net.delay = () => 200;
      for (const n of range(2, 50)) channel.push("n", { n });
      await world.pass(2000);
      assert.deepEqual(heard.n, range(1, 50));
    });

    it("says what the server said when a push is refused until its time is over", async () => {
      const { world, socket } = world_();
      const { channel } = listen(socket);
      await world.pass(100);
      const refusal = { reason: "rate_limited", retry_ms: 400 };
      world.limit = () => refusal;
      const answer = outcome(channel.push("n", { n: 1 }, 3000));
      await world.pass(4000);
      assert.deepEqual(answer, [["error", refusal]]);
      const other = outcome(channel.push("n", { n: 2 }, 3000));
      world.limit = () => ({ reason: "unauthorized" });
      await world.pass(1000);
      assert.deepEqual(other, [["error", { reason: "unauthorized" }]]);
    });

    it("says a push again that came when the server had ended the channel", async () => {
      const { world, socket } = world_();
      const { channel, heard } = listen(socket);
      await world.pass(100);
      world.net.delay = () => 20;
      const answer = outcome(channel.push("n", { n: 1 }));
      world.tellMembers(TOPIC, "phx_error", { reason: "gap" });
      await world.pass(3000);
      assert.deepEqual(statuses(answer), ["ok"]);
      assert.deepEqual(heard.n, [1]);
      assert.equal(heard.errors.length, 1);
      world.forget(TOPIC); // without a word
      const other = outcome(channel.push("n", { n: 2 }));
      await world.pass(3000);
      assert.deepEqual(statuses(other), ["ok"]);
      assert.deepEqual(heard.n, [1, 2]);
    });

    it("says again what was lost on its way before something that arrived", async () => {
      if (transport === "longpoll") return; // where that ends the session
      const world = new World();
      let losing = false;
      const WebSocket = class extends world.WebSocket {
        send(text) {
          if (!losing) super.send(text);
        }
      };
      const { channel, heard } = listen(connect(world, { WebSocket }));
      await world.pass(100);
      losing = true;
      const answers = [1, 2].map((n) => outcome(channel.push("n", { n })));
      await world.pass(50);
      losing = false;
      answers.push(...[3, 4].map((n) => outcome(channel.push("n", { n }))));
      await world.pass(3000);
      assert.deepEqual(heard.n, [1, 2, 3, 4]);
      for (const answer of answers) assert.deepEqual(statuses(answer), ["ok"]);
      assert.equal(world.dialled.length, 1);
    });

    it("lets what was refused for good hold nobody up", async () => {
      const { world, socket } = world_();
      const { channel, heard } = listen(socket);
      await world.pass(100);
      world.limit = ({ payload }) => (payload.n === 2 ? { reason: "payload too large" } : null);
      const answers = range(1, 4).map((n) => outcome(channel.push("n", { n })));
      await world.pass(2000);
      assert.deepEqual(heard.n, [1, 3, 4]);
      assert.deepEqual(answers.map(statuses).flat(), ["ok", "error", "ok", "ok"]);
    });

    it("does not call refused what was sent before, and unanswered", async () => {
      const { world, socket } = world_({ timeout: 5000 });
      const { channel } = listen(socket);
      await world.pass(100);
      world.deaf = true;
      const answer = outcome(channel.push("n", { n: 1 }, 20000));
      await world.pass(2000);
      world.deaf = false;
      world.limit = () => ({ reason: "busy", retry_ms: 100 });
      lose(world);
      await world.pass(30000);
      assert.deepEqual(statuses(answer), ["timeout"]);
    });

    it("joins again when a refusal said it may", async () => {
      const { world, socket } = world_();
      world.refuse = { reason: "rate_limited", retry_ms: 5000 };
      const { channel } = listen(socket);
      await world.pass(100);
      world.refuse = null;
      await world.pass(4800);
      assert.equal(world.joins.length, 1);
      await world.pass(300);
      assert.equal(channel.state, "joined");
    });

    it("tells the server that it goes, so that nobody sees it any longer", async () => {
      const { world, socket } = world_();
      listen(socket);
      await world.pass(100);
      socket.disconnect();
      await world.pass(100);
      assert.equal(world.leaves, 1);
      assert.equal(world.memberCount, 0);
    });

    it("passes bytes on, both ways", async () => {
      const { world, socket } = world_();
      const { channel } = listen(socket);
      const heard = [];
      channel.on("bytes", (payload) => heard.push(payload));
      const bytes = Uint8Array.from(range(0, 999), (n) => n % 256);
      const answer = outcome(channel.push("bytes", bytes.buffer));
      bytes.fill(0); // sent is what it was
      await world.pass(100);
      lose(world);
      await world.pass(1000);
      assert.deepEqual(statuses(answer), ["ok"]);
      assert.ok(heard[0] instanceof ArrayBuffer);
      assert.deepEqual([...new Uint8Array(heard[0])], range(0, 999).map((n) => n % 256));
      assert.equal(heard.length, 1);
      assert.ok(world.keys.size === 1);
    });

    it("lets the application look at every payload first", async () => {
      const { world, socket } = world_();
      const { channel, heard } = listen(socket);
      const seen = [];
      channel.onMessage = (event, payload, ref, joinRef) => {
        seen.push(event);
        assert.equal(joinRef, channel.joinRef());
        if (event === "phx_reply") return { ...payload, response: { was: payload.response } };
        if (payload.n === 2) return undefined;
        return event === "n" ? { n: payload.n * 10 } : payload;
      };
      const answer = outcome(channel.push("n", { n: 1 }));
      await world.pass(100);
      publish(world, 2, 3);
      await world.pass(100);
      assert.deepEqual(heard.n, [10, 30]);
      assert.deepEqual(answer, [["ok", { was: { cursor: world.cursor(1) } }]]);
      const late = [];
      channel.push("n", { n: 4 }).receive("ok", () => {}).receive("ok", (response) => late.push(response));
      await world.pass(100);
      assert.deepEqual(late, [{ was: { cursor: world.cursor(4) } }]);
      assert.deepEqual(seen.filter((event) => event !== "n"), ["phx_reply", "phx_reply", "phx_reply"]);
      assert.deepEqual(complaints.splice(0), ["onMessage must return the payload"]);
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
      assert.deepEqual(statuses(long), ["ok"]);
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

    it("is joined whatever the parameters of another one throw, or cannot be said", async () => {
      const { world, socket } = world_();
      await world.pass(100);
      const circle = {};
      circle.circle = circle;
      let calm = true;
      const params = [() => ({ big: 1n }), () => circle, () => { throw new Error("params"); }];
      for (const [i, bad] of params.entries()) listen(socket, `demo:${i}`, () => (calm ? {} : bad()));
      const { heard } = listen(socket);
      await world.pass(100);
      calm = false;
      lose(world);
      publish(world, 1);
      await world.pass(5000);
      assert.deepEqual(heard.n, [1]);
      assert.equal(socket.state, "open");
      assert.ok(complaints.splice(0).length >= 3);
    });

    it("minds no logger that throws, nor the parameters of the connection", async () => {
      const params = () => {
        throw new Error("params");
      };
      const { world, socket } = world_({ logger: () => null.log, params });
      const { heard } = listen(socket);
      await world.pass(100);
      lose(world);
      await world.pass(10000);
      publish(world, 1);
      await world.pass(100);
      assert.deepEqual(heard.n, [1]);
      socket.logger = null;
      assert.ok(complaints.splice(0).length > 3);
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

    it("is told that it was left when the connection moves meanwhile", async () => {
      for (let ms = 0; ms < 1000; ms += 50) {
        const { world, socket } = world_({ timeout: 3000 });
        const { channel, heard } = listen(socket);
        await world.pass(100);
        world.net.delay = () => 100;
        socket.replaceTransport(transport === "websocket" ? "longpoll" : "websocket");
        await world.pass(ms);
        const end = outcome(channel.leave());
        await world.pass(10000);
        assert.notEqual(socket.transportName, transport);
        assert.deepEqual(statuses(end), ["ok"], `after ${ms} ms`);
        assert.equal(heard.closes.length, 1);
      }
    });

    it("is not told of a refusal once it was left", async () => {
      const { world, socket } = world_();
      const { channel, heard } = listen(socket);
      await world.pass(100);
      world.net.delay = () => 100;
      world.refuse = { reason: "unauthorized" };
      channel.rejoin();
      channel.leave();
      await world.pass(5000);
      assert.deepEqual(heard.joins.map(([status]) => status), ["ok"]);
      assert.deepEqual(heard.errors, []);
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
  it("has a place of any size", async () => {
    const world = new World();
    const socket = connect(world);
    const { heard } = listen(socket);
    await world.pass(100);
    const ids = ["9", "10", "9007199254740992", "9007199254740993", "9223372036854775807"];
    for (const id of [...ids, ...ids])
      world.tellRow(TOPIC, `j:AAECAwQFBgc.${id}`, "n", { n: id });
    await world.pass(100);
    assert.deepEqual(heard.n, ids);
  });

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

describe("silent loss", () => {
  const page = async (options) => {
    const world = new World();
    const socket = connect(world, { heartbeatIntervalMs: 5000, ...options });
    const { channel, heard } = listen(socket);
    const reasons = [];
    socket.logger = (kind, text, { number }) => kind === "channel" && reasons.push(number);
    await world.pass(1000);
    reasons.length = 0;
    return { world, socket, channel, heard, reasons };
  };

  it("is noticed by the next heartbeat, and what was lost comes after all", async () => {
    const { world, heard, reasons } = await page();
    publish(world, 1);
    await world.pass(10);
    world.net.rows = "lose";
    publish(world, 2, 3);
    await world.pass(10);
    world.net.rows = "ok";
    await world.pass(7000);
    assert.deepEqual(heard.n, [1, 2, 3]);
    assert.deepEqual(reasons[0], REASONS.loss.number);
    assert.deepEqual(heard.errors, []);
    assert.equal(world.dialled.length, 1);
  });

  it("is noticed when nothing had come yet", async () => {
    const { world, heard } = await page();
    world.net.rows = "lose";
    publish(world, 1);
    await world.pass(10);
    world.net.rows = "ok";
    await world.pass(7000);
    assert.deepEqual(heard.n, [1]);
  });

  it("lets nothing pass that came behind the hole before it was filled", async () => {
    const { world, channel, heard } = await page({ rejoinAfterMs: () => 500 });
    world.net.rows = "lose";
    publish(world, 1, 2);
    await world.pass(10);
    world.net.rows = "ok";
    while (channel.state === "joined") await world.pass(50);
    publish(world, 3);
    await world.pass(2000);
    assert.deepEqual(heard.n, [1, 2, 3]);
  });

  it("is no alarm where nothing was lost", async () => {
    const { world, socket, channel, heard, reasons } = await page({ timeout: 1000 });
    world.net.delay = () => 150;
    for (let n = 1; n <= 600; n++) {
      publish(world, n);
      if (n % 50 === 0) socket.replaceTransport(n % 100 ? "longpoll" : "websocket");
      if (n % 70 === 0) channel.rejoin();
      if (n % 110 === 0) world.tellMembers(TOPIC, "phx_error", {});
      await world.pass(100);
    }
    await world.pass(20000);
    assert.deepEqual(heard.n, range(1, 600));
    assert.ok(world.heartbeats > 10);
    assert.ok(!reasons.includes(REASONS.loss.number));
  });

  it("leaves nobody behind who is left then", async () => {
    const { world, channel } = await page({ rejoinAfterMs: () => 1000 });
    world.net.rows = "lose";
    publish(world, 1);
    while (channel.state === "joined") await world.pass(50);
    const answer = outcome(channel.leave());
    await world.pass(100);
    assert.equal(answer[0][0], "ok");
    assert.equal(world.memberCount, 0);
  });

  it("is no alarm of a topic that is left out, or of heads nobody can read", async () => {
    for (const heads of [{}, null, 7, [], { [TOPIC]: null }, { [TOPIC]: 7 }, { other: "j:x.9" }]) {
      const { world, socket, channel } = await page();
      const states = [];
      socket.logger = (kind, text) => kind === "channel" && states.push(text);
      const send = world.WebSocket.prototype.send;
      world.WebSocket.prototype.send = function (text) {
        const [, ref, topic] = JSON.parse(text);
        if (topic !== "phoenix") return send.call(this, text);
        const reply = [null, ref, topic, "phx_reply", { status: "ok", response: { heads } }];
        queueMicrotask(() => this.onmessage({ data: JSON.stringify(reply) }));
      };
      await world.pass(20000);
      world.WebSocket.prototype.send = send;
      assert.deepEqual(states, []);
      assert.equal(channel.state, "joined");
    }
  });
});

describe("what phoenix.js has", () => {
  it("a channel says what it is, and may be joined again at once", async () => {
    const world = new World();
    const socket = connect(world);
    const channel = socket.channel(TOPIC, { a: 1 });
    const is = () =>
      ["Closed", "Joining", "Joined", "Errored", "Leaving"].filter((name) => channel[`is${name}`]());
    assert.deepEqual(is(), ["Closed"]);
    const push = channel.join();
    assert.equal(channel.joinPush, push);
    assert.deepEqual([is(), channel.canPush()], [["Joining"], false]);
    await world.pass(100);
    assert.deepEqual([is(), channel.canPush()], [["Joined"], true]);
    assert.equal(channel.joinRef(), push.ref);
    const { ref } = push;
    channel.rejoin();
    assert.deepEqual([is(), channel.joinRef()], [["Joined"], ref]);
    await world.pass(100);
    assert.notEqual(channel.joinRef(), ref);
    assert.equal(world.joins.length, 2);
    assert.equal(world.memberCount, 1);
    world.tellMembers(TOPIC, "phx_error", {});
    await world.pass(2);
    assert.deepEqual([is(), channel.canPush()], [["Errored"], false]);
    channel.rejoin();
    assert.deepEqual(is(), ["Joining"]);
    await world.pass(100);
    channel.leave();
    assert.deepEqual([is(), channel.canPush()], [["Leaving"], false]);
    assert.equal(channel.socket, socket);
    assert.deepEqual(channel.params(), { a: 1 });
  });

  it("a ping says how long the way is, on either transport", async () => {
    for (const transport of ["websocket", "longpoll"]) {
      const world = new World();
      world.net.delay = () => 20;
      const socket = connect(world, { transport });
      const took = [];
      assert.equal(socket.ping((ms) => took.push(ms)), false);
      await world.pass(500);
      assert.equal(socket.ping((ms) => took.push(ms)), true);
      await world.pass(200);
      assert.equal(took.length, 1);
      assert.ok(took[0] >= 40 && took[0] <= 80, `${took[0]} ms`);
      socket.ping((ms) => took.push(ms));
      socket.disconnect();
      socket.connect();
      await world.pass(500);
      assert.equal(took.length, 1);
    }
  });

  it("a message is sent as it is, now or with the next connection", async () => {
    const world = new World();
    const socket = connect(world);
    const seen = [];
    socket.onMessage(({ ref, payload }) => seen.push([ref, payload.status]));
    socket.push({ topic: "phoenix", event: "heartbeat", payload: {}, ref: "a" });
    await world.pass(50);
    socket.push({ topic: "phoenix", event: "heartbeat", payload: {}, ref: "b" });
    await world.pass(50);
    assert.deepEqual(seen.filter(([ref]) => /[ab]/.test(ref)), [["a", "ok"], ["b", "ok"]]);
  });

  it("classes of transports are taken for what they mean", async () => {
    const transportOf = async (transport, WebSocket) => {
      const world = new World();
      const options = { transport, ...(WebSocket && { WebSocket }) };
      const socket = connect(world, options);
      await world.pass(100);
      return socket.transportName;
    };
    const { WebSocket } = new World();
    assert.equal(await transportOf(WebSocket), "websocket");
    assert.equal(await transportOf(LongPoll), "longpoll");
    const world = new World();
    const socket = connect(world);
    await world.pass(100);
    socket.replaceTransport(LongPoll);
    await world.pass(100);
    assert.equal(socket.transportName, "longpoll");
    socket.replaceTransport(WebSocket);
    await world.pass(100);
    assert.equal(socket.transportName, "websocket");
  });

  it("a socket made with a class of its own uses it", async () => {
    const world = new World();
    const { clock, fetch, WebSocket } = world;
    const socket = new Socket(ENDPOINT, { clock, fetch, transport: WebSocket });
    socket.connect();
    await world.pass(100);
    assert.equal(socket.transportName, "websocket");
    socket.disconnect();
  });

  it("small things", async () => {
    const world = new World();
    const socket = new Socket("wss://a.b/socket", world.options);
    assert.equal(socket.protocol(), "wss");
    assert.equal(new Socket("http://a.b/socket").protocol(), "ws");
    assert.equal(socket.hasLogger(), false);
    assert.equal(new Socket("http://a.b/s", { logger() {} }).hasLogger(), true);
    socket.connect({ token: "x" });
    assert.match(socket.endPointURL(), /token=x/);
    socket.disconnect();
    const frame = { join_ref: "1", ref: "2", topic: "a", event: "b", payload: {} };
    Serializer.encode(frame, (text) => assert.equal(text, encode(frame)));
  });

  it("the name of a page stays the same, and is no other page's", async () => {
    const world = new World();
    const urls = [];
    const WebSocket = class extends world.WebSocket {
      constructor(url) {
        super(url);
        urls.push(url);
      }
    };
    const fetch = (url, options) => urls.push(url) && world.fetch(url, options);
    for (let page = 0; page < 2; page++) {
      const socket = connect(world, { WebSocket, fetch });
      await world.pass(100);
      world.cutSockets();
      await world.pass(2000);
      socket.replaceTransport(LongPoll);
      await world.pass(2000);
      socket.disconnect();
    }
    const names = urls
      .filter((url) => !/token=[^&]/.test(url))
      .map((url) => new URL(url).searchParams.get("client_id"));
    assert.equal(names.length, 6);
    assert.equal(new Set(names).size, 2);
    for (const name of names) assert.match(name, /^[\w-]{24}$/);
  });
});

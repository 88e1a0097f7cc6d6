// The npm clients of every major version on a bad line: what each answer of the
// server and each way to lose one makes them do, and that a client which says
// `since` misses nothing, hears nothing twice and never hangs for good.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { can, transports, uncaught, versions } from "./lib/phoenix.js";
import { Server, sleep, until, within } from "./lib/server.js";
import { Story, Writer } from "./lib/story.js";
import { mint, readKeys } from "./lib/tokens.js";

let server;
let writer;
const expected = []; // what handlers are allowed to throw

before(async () => {
  server = await Server.start({ conf: { gateway: { hold: "1s" }, http: { push_burst: 1000 } } });
  writer = new Writer(server);
});
after(async () => {
  await writer?.end();
  await server?.stop();
  const thrown = uncaught.filter(({ message }) => !expected.some((text) => text.test(message)));
  assert.deepEqual(thrown, []);
});

// One test per version, all at once: they wait more than they work.
function each(name, transport, body, { only = versions, begin = "joined", ...rest } = {}) {
  for (const version of only) {
    it(
      `${version} over ${transport}: ${name}`,
      () =>
        within(60000, "the test", (async () => {
          const story = await Story[begin](server, writer, version, transport, rest);
          try {
            await body(story, version);
          } finally {
            await story.end();
          }
        })()),
    );
  }
}

describe("long-poll", { concurrency: 8 }, () => {
  for (const [fault, how] of [
    ["reset", "is lost on its way"],
    ["lose", "is carried out, its answer is lost"],
    ["hang", "is never answered"],
  ]) {
    each(
      `a POST ${how}`,
      "longpoll",
      async (story) => {
        const again = story.rejoins();
        story.line.fail("POST", fault);
        // what became of it is unknown then, and stock clients do not repeat it
        const { status } = await story.say(1, 2500);
        // by the poll the reply may have come before
        if (fault === "lose") assert.match(status, /^(ok|timeout)$/);
        else assert.equal(status, "timeout");
        await again();
        assert.equal((await story.say(2)).status, "ok");
        await story.good();
        assert.deepEqual(
          story.said,
          fault === "lose" ? [1, 2, "last"] : [2, "last"],
        );
      },
      // it measures the wait of a poll, too, which a busy machine makes longer
      { options: { longpollerTimeout: 5000 } },
    );
  }

  const refused = [400, 403, 408, 410, 413, 500, 503];
  each(`a POST is answered ${refused.join(", ")}`, "longpoll", async (story) => {
    for (const status of refused) {
      const again = story.rejoins();
      story.line.fail("POST", { body: JSON.stringify({ status }) });
      story.channel.push("say", { n: status }, 500);
      await again();
    }
    await story.good();
    assert.deepEqual(story.said, ["last"]);
  });

  const pages = {
    "an HTTP 502 of the web server": { status: 502, body: "<h1>Bad Gateway</h1>", type: "text/html" },
    "an HTTP 500 without a body": { status: 500, type: "text/html" },
    'the body {"status":500}': { body: '{"status":500}' },
    "a reset": "reset",
    "an answer that is lost": "lose",
  };
  each(`a poll ends with ${Object.keys(pages).join(", ")}`, "longpoll", async (story) => {
    for (const fault of Object.values(pages)) {
      const again = story.rejoins();
      story.line.fail("GET", fault);
      await again();
    }
    await story.good();
  });

  each(
    "a poll is never answered",
    "longpoll",
    async (story) => {
      const again = story.rejoins();
      story.line.fail("GET", "hang");
      await again();
      await story.good();
    },
    // it measures the wait of a poll, too, which a busy machine makes longer
    { options: { longpollerTimeout: 5000 } },
  );

  // Why the pages of a web server must not be JSON, P-7.11.
  expected.push(/unhandled poll status/);
  each("a poll is answered with JSON that is not ours: the page has to connect", "longpoll", async (story) => {
    story.line.fail("GET", { status: 500, body: '{"errors":{"detail":"x"}}' });
    await until(20000, "it is asked", () => story.line.asked("GET").some((r) => r.answer?.http === 500));
    const polls = story.line.asked("GET").length;
    const { joins } = story;
    await sleep(1200);
    assert.equal(story.line.asked("GET").length, polls, "it polls no more");
    assert.equal(story.joins, joins);
    const again = story.rejoins();
    await story.connectAnew();
    await again();
    await story.good();
  });

  each("every answer has a new token, which the client brings back", "longpoll", async (story) => {
    assert.equal((await story.say(1)).status, "ok");
    await story.good();
    const log = story.line.log.filter(({ answer }) => answer);
    const given = log.map(({ answer: { token } }) => token).filter(Boolean);
    assert.equal(new Set(given).size, given.length);
    const polls = story.line.asked("GET");
    assert.equal(polls[0].token, null);
    for (let i = 1; i < polls.length; i++) assert.equal(polls[i].token, polls[i - 1].answer.token);
    for (const { token } of story.line.asked("POST")) assert.ok(given.includes(token));
    assert.equal(story.joins, 1);
  });

  each("a proxy asks again: the messages come again, once to the client", "longpoll", async (story) => {
    story.line.fail("GET", "retry", "retry", "retry");
    await until(20000, "three were asked twice", () => story.line.faults.GET.length === 0);
    await story.good();
    assert.equal(story.joins, 1, "nothing was felt of it");
  });

  each("two polls at once: the older one ends, the newer one gets all", "longpoll", async (story) => {
    await story.quiet();
    await until(20000, "the poll is held", () => !story.line.asked("GET").at(-1).answer);
    story.line.fail("GET", "double");
    story.write(); // ends the held poll; the next one is doubled
    await until(20000, "the second poll", () => story.line.faults.GET.length === 0);
    await sleep(200);
    story.write();
    await until(20000, "both have ended", () => story.line.first !== null);
    await until(20000, "both have ended", () => story.line.second !== null);
    // which of them came first is for the machine to say
    const statuses = [story.line.first, story.line.second].map(({ status }) => status);
    assert.deepEqual(statuses.sort(), [200, 204]);
    await story.good();
    assert.equal(story.joins, 1, "nothing was felt of it");
  });

  each("250 pushes at once", "longpoll", async (story, version) => {
    const posts = story.line.asked("POST").length;
    const answers = await Promise.all(Array.from({ length: 250 }, (_, i) => story.say(i)));
    assert.deepEqual(
      answers.filter(({ status }) => status !== "ok"),
      [],
    );
    const lines = story.line.asked("POST").slice(posts).map(({ body }) => body.split("\n").length);
    const all = Array.from({ length: 250 }, (_, i) => i);
    if (can.batches[version]) assert.deepEqual(lines, [100, 100, 50]);
    else if (can.ndjson[version]) assert.deepEqual(lines, [250]);
    else assert.deepEqual(lines, Array(250).fill(1));
    await until(20000, "it heard them", () => story.said.length >= 250);
    // POSTs that race have no order
    const heard = can.ndjson[version] ? story.said : [...story.said].sort((a, b) => a - b);
    assert.deepEqual(heard, all);
    await story.good();
  });

  each("its session is dead", "longpoll", async (story) => {
    const again = story.rejoins();
    const id = await server.sql(`SELECT id FROM sessions WHERE id IN
      (SELECT session FROM memberships WHERE topic = '${story.topic}')`);
    assert.equal(id.length, 1);
    await server.sql(`DELETE FROM sessions WHERE id = '${id[0].id}'`);
    await again();
    assert.ok(story.line.asked("GET").some((r) => r.token && r.answer?.status === 500));
    await story.good();
  });

  // Only a token that the server cannot know makes it say 410 to one who has one.
  each("its token is not ours any more", "longpoll", async (story, version) => {
    const again = story.rejoins();
    story.line.fail("GET", "gone");
    if (can.rejoinsAfter410[version]) {
      await again();
      assert.ok(story.closes.includes(3410));
    } else {
      // it opens again, and believes that it is joined; its next push says no
      await until(20000, "it opens again", () => story.opens === 2);
      assert.equal(story.channel.state, "joined");
      assert.deepEqual(await story.say(1), {
        status: "error",
        response: { reason: "unmatched topic" },
      });
      await story.connectAnew();
      await again();
    }
    await story.good();
  });

  // Two joins in a row may be under way when it is let in. Should the later one
  // overtake the other, 1.5 and 1.6 never join again (docs/PROTOCOL.md, 14.3).
  each(
    "is refused for a while",
    "longpoll",
    async (story, version) => {
      const refusals = () => story.line.asked("GET").filter((r) => r.answer?.status === 403).length;
      await until(20000, "it is refused", () => refusals() > 0);
      if (can.knows403[version]) {
        await until(20000, "it comes again and again", () => refusals() >= 3);
        if (can.namesCloses[version]) assert.ok(story.closes.includes(1008));
        story.line.origin = null;
      } else {
        await sleep(400);
        assert.equal(refusals(), 1);
        assert.equal(story.socket.connectionState(), "connecting");
        story.line.origin = null;
        await story.connectAnew();
      }
      await story.arrives();
      await story.good();
    },
    { begin: "begin", prepare: (line) => Object.assign(line, { origin: "https://elsewhere.example", inTurn: true }) },
  );
});

describe("WebSocket", { concurrency: 8 }, () => {
  // 1006: the connection breaks without a close frame
  const codes = [1001, 1002, 1006, 1007, 1008, 1009, 1011, 1012, 1013];
  each(`is closed with ${codes.join(", ")}`, "websocket", async (story) => {
    for (const code of codes) {
      const again = story.rejoins();
      if (code === 1006) story.line.cut();
      else story.line.close(code);
      await again();
    }
    assert.deepEqual([...new Set(story.closes)], codes);
    await story.good();
  });

  // Why the server never says that, P-6.4.
  each("is closed with 1000, as some proxies do", "websocket", async (story, version) => {
    const again = story.rejoins();
    story.line.close(1000);
    if (!can.returnsAfter1000[version]) {
      await until(20000, "it is closed", () => story.closes.includes(1000));
      await sleep(500);
      assert.equal(story.socket.connectionState(), "closed");
      assert.equal(story.line.asked("WS").length, 1);
      await story.connectAnew();
    }
    await again();
    await story.good();
  });

  for (const [what, code, message] of [
    ["what is no message", 1011, "nonsense"],
    ["more than a message may be", 1009, `["1","1","t","e","${"x".repeat(300000)}"]`],
  ]) {
    each(`says ${what}`, "websocket", async (story) => {
      const again = story.rejoins();
      story.socket.conn.send(message);
      await again();
      assert.deepEqual(story.closes, [code]);
      await story.good();
    });
  }

  each(
    "goes silent, which the heartbeat notices",
    "websocket",
    async (story, version) => {
      const again = story.rejoins();
      story.line.mute();
      if (!can.leavesSilent[version]) {
        await until(20000, "it closes", () => story.socket.connectionState() === "closing");
        story.line.cut();
      }
      await again();
      await story.good();
    },
    { options: { heartbeatIntervalMs: 700 } },
  );

  each(
    "is refused for a while",
    "websocket",
    async (story) => {
      await until(20000, "it comes again and again", () => story.line.asked("WS").length >= 4);
      story.line.origin = null;
      await story.arrives();
      await story.good();
    },
    { begin: "begin", prepare: (line) => (line.origin = "https://elsewhere.example") },
  );

  each("250 pushes at once", "websocket", async (story) => {
    const answers = await Promise.all(Array.from({ length: 250 }, (_, i) => story.say(i)));
    assert.deepEqual(
      answers.filter(({ status }) => status !== "ok"),
      [],
    );
    assert.deepEqual(
      story.said,
      Array.from({ length: 250 }, (_, i) => i),
    );
    await story.good();
  });
});

describe("fallback", { concurrency: 8 }, () => {
  const able = versions.filter((v) => can.fallback[v]);
  const unable = versions.filter((v) => !can.fallback[v]);
  const MARK = "phx:fallback:LongPoll";
  const storage = () => {
    const kept = new Map();
    return {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => kept.set(key, value),
    };
  };
  const onLongPoll = (story) => story.line.asked("GET").length > 0;
  // a join that went into a deaf line is repeated when `timeout` has passed
  const options = () => ({ longPollFallbackMs: 600, sessionStorage: storage(), timeout: 4000 });
  const remembers = (story) => story.options.sessionStorage.getItem(MARK);

  for (const fault of ["reset", "hang", "mute"]) {
    const how = { reset: "is refused", hang: "is never answered", mute: "opens and hears nothing" };
    each(
      `a WebSocket that ${how[fault]} is given up for the page's life`,
      "websocket",
      async (story) => {
        await story.arrives();
        assert.ok(onLongPoll(story));
        await story.good();
        assert.equal(remembers(story), "true");
      },
      { only: able, begin: "begin", options, prepare: (line) => line.fail("WS", () => fault) },
    );
  }

  each(
    "a memorised one is not tried again",
    "websocket",
    async (story) => {
      await story.good();
      assert.ok(onLongPoll(story));
      assert.equal(story.line.asked("WS").length, 0);
    },
    {
      only: able,
      options: () => {
        const marked = options();
        marked.sessionStorage.setItem(MARK, "true");
        return marked;
      },
    },
  );

  each(
    "a healthy one stays",
    "websocket",
    async (story) => {
      await sleep(1000);
      await story.good();
      assert.ok(!onLongPoll(story));
      assert.equal(remembers(story), null);
    },
    { only: able, options },
  );

  each(
    "one that dies after it was healthy is given up and not memorised",
    "websocket",
    async (story) => {
      const again = story.rejoins();
      story.line.fail("WS", () => "reset");
      story.line.cut();
      await again();
      assert.ok(onLongPoll(story));
      await story.good();
      assert.equal(remembers(story), null);
    },
    { only: able, options },
  );

  each(
    "does not exist: it tries until the WebSocket is there",
    "websocket",
    async (story) => {
      await until(20000, "it comes again and again", () => story.line.asked("WS").length >= 4);
      assert.ok(!onLongPoll(story));
      story.line.heal();
      await story.arrives();
      await story.good();
    },
    { only: unable, begin: "begin", options, prepare: (line) => line.fail("WS", () => "reset") },
  );
});

// Who a client is: every version can say so by a parameter, which a function
// names anew for each connection; 1.8 has authToken besides.
describe("tokens", { concurrency: 8 }, () => {
  let key;
  before(() => {
    [key] = readKeys(server);
  });
  const minted = (claims, ttl) => mint(key, claims, { ttl });
  const vip = { topics: { "vip:*": ["join", "publish"] } };

  async function followed(story, tokens) {
    const params = () => ({ access_token: tokens.length > 1 ? tokens.shift() : tokens[0] });
    story.options = { params };
    story.follow(story.options);
    await story.arrives();
    await until(20000, "it hears", () => story.notes.length >= 3);
  }

  for (const transport of transports) {
    each(
      "a disconnect row ends the user's connections, and it is no ban",
      transport,
      async (story, version) => {
        const user = `user-${version}-${transport}`;
        story.topic = story.topic.replace("room:", "vip:");
        await followed(story, [await minted({ sub: user, ...vip })]);
        const again = story.rejoins();
        writer.write(`user_socket:${user}`, {}, "disconnect");
        await again();
        if (transport === "websocket") assert.deepEqual(story.closes, [1001]);
        else assert.ok(story.line.asked("GET").some((r) => r.token && r.answer?.status === 500));
        await story.good();
      },
      { begin: "laid" },
    );

    each(
      "its token expires, and it comes back with the next one",
      transport,
      async (story, version) => {
        const user = `expiring-${version}-${transport}`;
        story.topic = story.topic.replace("room:", "vip:");
        const tokens = await Promise.all([6, 60].map((ttl) => minted({ sub: user, ...vip }, ttl)));
        const ended = [];
        await followed(story, tokens);
        const again = story.rejoins();
        story.socket.onMessage(({ event, payload }) => event === "phx_error" && ended.push(payload));
        await again();
        assert.deepEqual(ended, [{ reason: "token_expired" }]);
        if (transport === "websocket") assert.deepEqual(story.closes, [1008]);
        await story.good();
      },
      { begin: "laid" },
    );

    each(
      "authToken says who it is",
      transport,
      async (story, version) => {
        const authToken = await minted({ sub: `auth-${version}`, ...vip });
        story.topic = story.topic.replace("room:", "vip:");
        story.follow({ authToken });
        if (can.authToken[version]) {
          await story.arrives();
          await story.good();
        } else {
          const { response } = await story.following.joined; // it does not know the option
          assert.deepEqual(response, { reason: "unmatched topic" });
        }
      },
      { begin: "laid" },
    );
  }
});

// All at once: one restart does for all. Default options of the client.
describe("restarts", () => {
  async function all(body) {
    const everyone = await Promise.all(
      versions.flatMap((version) =>
        transports.map((transport) => Story.joined(server, writer, version, transport)),
      ),
    );
    try {
      await within(50000, "the restart", body(everyone));
      await Promise.all(
        everyone.map(async (story) => {
          try {
            await story.good();
          } catch (error) {
            error.message = `${story.version} over ${story.transport}: ${error.message}`;
            throw error;
          }
        }),
      );
    } finally {
      await Promise.all(everyone.map((story) => story.end()));
    }
  }
  const on = (everyone, transport) => everyone.filter((story) => story.transport === transport);

  it("a planned restart of both: all are back, WebSockets were told", () =>
    all(async (everyone) => {
      const again = on(everyone, "websocket").map((story) => story.rejoins());
      await Promise.all([server.gateways[0].stop(), server.sidecar.stop()]);
      await Promise.all([server.startGateway(0), server.startSidecar()]);
      await Promise.all(again.map((look) => look()));
      for (const { version, closes } of on(everyone, "websocket")) {
        assert.equal(closes[0], 1012, version);
      }
    }));

  it("a kill of both: all are back", () =>
    all(async (everyone) => {
      const again = on(everyone, "websocket").map((story) => story.rejoins());
      await Promise.all([server.gateways[0].kill(), server.sidecar.kill()]);
      await Promise.all([server.startGateway(0), server.startSidecar()]);
      await Promise.all(again.map((look) => look()));
    }));

  it("the gateway is down for a while: the web server's page is understood", () =>
    all(async (everyone) => {
      const polling = on(everyone, "longpoll");
      const again = polling.map((story) => story.rejoins());
      await server.gateways[0].kill();
      try {
        await Promise.all(
          polling.map(({ line, version }) =>
            until(10000, `${version} sees a page of the web server`, () =>
              line.asked("GET").some(({ answer }) => answer?.http >= 500 && !answer.status),
            ),
          ),
        );
      } finally {
        await server.startGateway(0);
      }
      await Promise.all(again.map((look) => look()));
      for (const { joins, version } of on(everyone, "websocket")) assert.equal(joins, 1, version);
    }));
});

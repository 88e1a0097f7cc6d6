// www/inspector as somebody uses it who has trouble: in a real browser, against
// the real programs. What its records keep, and what they never do, without a
// page. Screenshots: build-demo/screenshots/.
import { after, afterEach, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { LIMITS, Record, redact, visible } from "../../www/inspector/record.js";
import { launch } from "./lib/browser.js";
import { Server, sleep, told, until } from "./lib/server.js";
import { mint, readKeys } from "./lib/tokens.js";

const SHOTS = fileURLToPath(new URL("../../build-demo/screenshots/", import.meta.url));
const JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlLW9mLWl0";

const frame = (event, payload, { ref = "1", join_ref = "1", topic = "room:1" } = {}) => ({ join_ref, ref, topic, event, payload });
const cursor = (n) => `j:AAECAwQFBgc.${n}`;

describe("a record", () => {
  it("knows the state, the transport and why it was chosen", () => {
    const record = new Record("/chat");
    record.take(1000, "transport", "websocket connecting", { number: 1, text: "connect() was called" });
    record.take(1100, "transport", "longpoll connecting", { number: 5, text: "ended before any answer" });
    record.take(1200, "transport", "longpoll open", { number: 2, text: "the server answered" });
    assert.equal(record.state, "open");
    assert.equal(record.transport, "longpoll");
    assert.equal(record.choice.number, 5);
    assert.equal(record.reason.number, 2);
    assert.equal(record.changedAt, 1200);
    record.take(1300, "transport", "longpoll open", undefined); // it was asked
    assert.equal(record.changes.length, 3);
    record.take(1400, "transport", "websocket open", { number: 4, text: "another was asked for" });
    assert.equal(record.choice.number, 4);
    record.take(1500, "transport", "null waiting", { number: 7, text: "ended" });
    assert.deepEqual([record.state, record.transport, record.choice], ["waiting", null, null]);
    const late = new Record("/chat");
    late.take(1000, "transport", "websocket open", undefined); // since when, nobody knows
    assert.deepEqual([late.state, late.transport, late.changedAt, late.choice], ["open", "websocket", null, null]);
  });

  it("knows how long answers take, and what they answer", () => {
    const record = new Record("");
    record.take(1000, "push", "", frame("say", {}, { ref: "7" }));
    record.take(1025, "receive", "", frame("phx_reply", { status: "ok", response: {} }, { ref: "7" }));
    record.take(1030, "receive", "", frame("phx_reply", { status: "ok", response: {} }, { ref: "7" })); // nobody's
    assert.deepEqual(record.trips, [{ at: 1025, ms: 25, event: "say" }]);
    assert.deepEqual(record.frames.map((f) => [f.up, f.ms, f.status, f.of]), [
      [true, 25, null, null],
      [false, 25, "ok", "say"],
      [false, null, "ok", null],
    ]);
  });

  it("knows which pushes are repeated", () => {
    const record = new Record("");
    for (const key of ["k1", "k2", "k1", undefined, undefined])
      record.take(1, "push", "", { ...frame("say", {}), options: key && { key } });
    assert.deepEqual(record.frames.map((f) => f.again), [false, false, true, false, false]);
    assert.equal(record.report().frames[2].again, true);
  });

  it("knows the cursor of each topic, its gaps, and what came twice", () => {
    const record = new Record("");
    const join = (at, response) => {
      record.take(at, "push", "", frame("phx_join", { since: "" }, { ref: "1" }));
      record.take(at, "receive", "", frame("phx_reply", { status: "ok", response }, { ref: "1" }));
    };
    const row = (n) => record.take(1, "receive", "", frame("say", {}, { ref: cursor(n) }));
    const topic = () => record.topics.get("room:1");
    join(0, { cursor: cursor(4), recovered: false });
    assert.equal(topic().cursor, cursor(4));
    row(6);
    row(7);
    row(6);
    assert.deepEqual([topic().cursor, topic().rows, topic().repeated], [cursor(7), 2, 1]);
    join(5, { cursor: cursor(90), recovered: false, gap: "trimmed" });
    assert.deepEqual([topic().cursor, topic().gaps], [cursor(90), 1]);
    assert.deepEqual(record.gaps, [{ at: 5, topic: "room:1", gap: "trimmed", cursor: cursor(90) }]);
    record.take(9, "receive", "", frame("phx_error", { reason: "gap" }));
    assert.equal(topic().gaps, 2);
    record.take(10, "push", "", frame("heartbeat", { heads: true }, { ref: "2", topic: "phoenix" }));
    const heads = { status: "ok", response: { heads: { "room:1": cursor(95) } } };
    record.take(11, "receive", "", frame("phx_reply", heads, { ref: "2", topic: "phoenix" }));
    assert.equal(topic().head, cursor(95));
    record.take(12, "channel", "room:1 errored", { number: 25, text: "connection lost" });
    assert.deepEqual([topic().state, topic().reason.number], ["errored", 25]);
    record.take(13, "channel", "room:1 joined", cursor(99)); // it was asked
    assert.deepEqual([topic().state, topic().cursor], ["joined", cursor(99)]);
  });

  it("keeps so much and no more", () => {
    const record = new Record("");
    for (let n = 0; n < LIMITS.frames + 500; n++) record.take(n, "receive", "", frame("say", { n }, { topic: `room:${n}` }));
    assert.ok(record.frames.length > LIMITS.frames - 250 && record.frames.length <= LIMITS.frames);
    assert.equal(record.gone + record.frames.length, LIMITS.frames + 500);
    assert.equal(record.frames[0].no, record.gone + 1);
    for (let n = 0; n < 40; n++) record.take(n, "receive", "", frame("say", { text: "x".repeat(300 << 10) }));
    const chars = record.frames.reduce((sum, { text }) => sum + text.length, 0);
    assert.ok(chars <= LIMITS.chars, String(chars));
    assert.equal(record.frames.at(-1).cut, true);
    assert.ok(record.frames.at(-1).bytes > 300 << 10);
    for (let n = 0; n < 3000; n++) {
      record.take(n, "push", "", frame("say", {}, { ref: `p${n}` }));
      record.take(n, "channel", `room:${n} joined`, { number: 21, text: "t" });
      record.take(n, "transport", "websocket open", { number: 2, text: "t" });
      record.take(n, "receive", "", frame("say", {}, { topic: `room:${n}`, ref: cursor(n) }));
      record.take(n, "receive", "", frame("phx_error", { reason: "gap" }));
      record.take(n, "receive", "", frame("phx_reply", { status: "ok" }, { ref: `p${n}` }));
    }
    for (const list of ["changes", "gaps", "trips"]) assert.equal(record[list].length, LIMITS[list]);
    assert.equal(record.topics.size, LIMITS.topics);
    assert.ok(record.frames.length <= LIMITS.frames);
  });

  it("does not record while paused, and knows how much it missed", () => {
    const record = new Record("");
    record.paused = true;
    for (let n = 1; n <= 3; n++) record.take(n, "receive", "", frame("say", {}, { ref: cursor(n) }));
    assert.equal(record.frames.length, 0);
    assert.equal(record.unrecorded, 3);
    assert.equal(record.topics.get("room:1").cursor, cursor(3)); // goes on
    assert.equal(record.report().frames_unrecorded, 3);
  });

  it("takes whatever comes", () => {
    const record = new Record("");
    const loop = {};
    loop.loop = loop;
    const odd = [undefined, null, 7, "x", [], {}, loop, () => {}, 7n, Symbol("s"), { topic: {} }, { topic: [], event: 7, ref: {}, payload: 1 },
      { topic: "t", event: "phx_reply", ref: "1", payload: null }, { topic: "t", event: "phx_reply", ref: "1", payload: { status: {}, response: 7 } },
      { payload: loop }, { payload: 7n }, { payload: { toJSON: () => { throw new TypeError("no"); } } }];
    for (const kind of ["transport", "channel", "push", "receive", "other", undefined, {}])
      for (const text of ["", "websocket open", "room:1 joined", "x".repeat(100000), undefined, {}])
        for (const data of odd) record.take(1, kind, text, data);
    for (const at of [NaN, "1", undefined, {}]) record.take(at, "push", "", frame("say", {}));
    JSON.stringify(record.report({ payloads: true }));
    for (const { topic, event, ref } of record.frames)
      for (const text of [topic, event, ref]) assert.ok(text === null || (typeof text === "string" && text.length <= LIMITS.name + 20));
  });

  it("shows bytes as they are", () => {
    const record = new Record("");
    record.take(1, "receive", "", frame("say", new Uint8Array([255, 0, 1]).buffer));
    record.take(1, "receive", "", frame("say", new Uint8Array(5000)));
    assert.deepEqual([record.frames[0].text, record.frames[0].bytes], ["bytes ff 00 01", 3]);
    assert.deepEqual([record.frames[1].cut, record.frames[1].bytes], [true, 5000]);
    const reply = frame("phx_reply", { status: "ok", response: new Uint8Array([1, 2]).buffer });
    record.take(1, "receive", "", reply);
    assert.deepEqual([record.frames[2].text, record.frames[2].bytes], ['{"status":"ok","response":"bytes 01 02"}', 2]);
  });

  it("never keeps what looks like a token", () => {
    const record = new Record("");
    const secrets = {
      access_token: "opaque-1", Authorization: "opaque-2", apiKey: "opaque-3", user: { password: "opaque-4", client_id: "opaque-5" },
      list: [{ refreshToken: ["opaque-6"] }], text: `see ${JWT} there`, url: "https://a.b/?x=1&access_token=opaque-7&y=2",
      header: "Bearer opaque-8opaque", inner: JSON.stringify({ token: "opaque-9" }), plain: "stays", token: null, secret: true,
    };
    record.take(1, "push", `room:1 ${JWT}`, frame("phx_join", secrets, { topic: `room:${JWT}`, ref: JWT }));
    record.take(1, "transport", `not a frame ${JWT}`, JWT);
    record.take(1, "channel", `room:${JWT} joined`, { number: 21, text: "joined" });
    record.take(1, "receive", "", frame(`say ${JWT}`, JWT));
    const all = JSON.stringify(record.report({ payloads: true }));
    for (const secret of ["opaque-", "eyJ", "c2lnbmF0"]) assert.ok(!all.includes(secret), `${secret} in ${all}`);
    assert.ok(all.includes("stays"));
    assert.equal(redact("room:lobby said j:AAECAwQFBgc.12 of 3.14"), "room:lobby said j:AAECAwQFBgc.12 of 3.14");
  });

  it("is not held up by a text made for that", () => {
    const hostile = ["eyJa", "eyJa.", "eyJa-", "token", "token=", 'token"', 'token" :', "a-", "bearer ", "bearer", "token-", "\u202e"];
    for (const part of hostile) {
      const text = part.repeat((256 << 10) / part.length);
      const start = performance.now();
      visible(redact(text));
      new Record("").take(1, "receive", "", frame("say", { text }));
      assert.ok(performance.now() - start < 1000, `${part}: ${performance.now() - start} ms`);
    }
  });

  it("makes visible what is not", () => {
    assert.equal(visible("a\u202eb\u0000\u200b\u2028é👩‍👩‍👧"), "a\\u{202e}b\\u{0}\\u{200b}\\u{2028}é👩‍👩‍👧");
  });
});

// A page of somebody's own.
const WATCHED = `<!doctype html><link rel="icon" href="data:,"><script type="module">
  import { Socket } from "/www/holdfast.js";
  window.socket = new Socket("/socket");
  window.socket.connect();
  window.socket.channel("room:watched").join();
</script>`;

describe("the inspector", () => {
  let server;
  let browser;
  const contexts = [];
  const trouble = []; // errors in a page, breaches of its policy, requests elsewhere

  before(async () => {
    mkdirSync(SHOTS, { recursive: true });
    const allow = ["room:*", "demo:*"].map((pattern) => [pattern, "join,publish,presence"]);
    server = await Server.start({ pages: true, allow });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });
  afterEach(async () => {
    for (const context of contexts.splice(0)) await context.close();
    assert.deepEqual(trouble.splice(0), []);
  });

  async function visitor(options = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    contexts.push(context);
    return context;
  }

  async function open(context, path = "inspector/") {
    const page = await context.newPage();
    page.on("pageerror", (error) => trouble.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" && !/WebSocket|503/.test(message.text())) trouble.push(message.text());
    });
    page.on("request", (request) => {
      if (!/^(http:\/\/127\.0\.0\.1:|data:|blob:)/.test(request.url())) trouble.push(request.url());
    });
    await page.goto(`http://127.0.0.1:${server.port}/www/${path}`);
    return page;
  }

  async function connect(page, { topic = "room:lobby", transport = "", since = "", token = "" } = {}) {
    await page.fill("#topic", topic);
    await page.fill("#since", since);
    await page.fill("#token", token);
    await page.selectOption("#transport", transport);
    await page.click("#go");
    await shows(page, "#status", /^Open/);
  }

  const shows = (page, selector, pattern, ms = 10000) =>
    until(ms, `${selector} shows ${pattern}`, async () => {
      assert.match(await page.textContent(selector), pattern);
      return true;
    });
  // The rows in sight, each as a list of its texts.
  const rows = (page) =>
    page.$$eval("#rows .row:not([hidden])", (all) => all.map((row) => [...row.children].map((cell) => cell.textContent)));
  const row = (page, text) => page.locator("#rows .row:not([hidden])", { hasText: text }).last();

  for (const [transport, name] of [["websocket", "WebSocket"], ["longpoll", "long-poll"]])
    it(`connects by itself, by ${name}, and shows what it does`, told(() => server, async () => {
      const page = await open(await visitor());
      await connect(page, { topic: `room:by-${transport}`, transport });
      await shows(page, "#status", new RegExp(`^Open · ${name}$`));
      await shows(page, "#choice", /^connect\(\) was called \(1\)$/);
      await shows(page, "#state", /^open for \d+ s$/);
      await server.publish(`room:by-${transport}`, "new_msg", { body: "hello" });
      await until(5000, "the message", async () => (await rows(page)).some(([, way, , event]) => way === "↓" && event === "new_msg"));
      const seen = await rows(page);
      assert.ok(seen.some(([, way, topic, event]) => way === "↑" && event === "phx_join" && topic === `room:by-${transport}`));
      const reply = seen.find(([, , , event]) => event === "phx_join ← ok");
      assert.match(reply[6], /^\d+ ms$/);
      const message = seen.find(([, , , event]) => event === "new_msg");
      assert.match(message[4], /^j:[\w-]{11}\.\d+$/);
      assert.equal(message[5], "16 B");
      await shows(page, "#topics", new RegExp(`room:by-${transport}joined${message[4].replace(".", "\\.")}1 row`));
      await shows(page, "#trips-figures", /^last \d+ ms · median \d+ ms · longest \d+ ms$/);
      await shows(page, "#changes", new RegExp(`connecting on ${name}connect\\(\\) was called \\(1\\)`));
      await page.click("#leave");
      await shows(page, "#status", /^Closed$/);
      await shows(page, "#reason", /^disconnect\(\) was called \(3\)$/);
    }));

  it("tells why it is on long-poll, and what may help", told(() => server, async () => {
    await server.sidecar.stop();
    try {
      const page = await open(await visitor());
      await connect(page);
      await shows(page, "#status", /^Open · long-poll$/);
      await shows(page, "#choice", /^the connection ended before any answer \(5\)$/);
      await shows(page, "#hint", /refuses WebSockets/);
    } finally {
      await server.startSidecar();
    }
  }));

  it("shows a gap, and where it goes on", told(() => server, async () => {
    const since = await server.publish("room:gap", "n", { n: 1 });
    await server.publish("room:gap", "n", { n: 2 });
    await server.sql("DELETE FROM messages WHERE topic = 'room:gap'");
    const page = await open(await visitor());
    await connect(page, { topic: "room:gap", since: since.trim() });
    await shows(page, "#gaps", /^1, the last at [\d:.]+ in room:gap: trimmed$/);
    await shows(page, "#topics", /1 gap/);
  }));

  for (const transport of ["websocket", "longpoll"])
    it(`shows a token to the server and to nobody else, by ${transport}`, told(() => server, async () => {
      const context = await visitor();
      const page = await open(context);
      const urls = [];
      page.on("request", (request) => urls.push(request.url()));
      page.on("websocket", (socket) => urls.push(socket.url()));
      const [key] = readKeys(server);
      const token = await mint(key, { sub: "ann", topics: { "private:ann": ["join"] } });
      await connect(page, { topic: "private:ann", transport, token });
      await shows(page, "#topics", /private:annjoined/);
      await page.click("#export");
      const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
      const kept = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage, document.cookie, history.state]));
      const places = [await page.content(), readFileSync(await download.path(), "utf8"), kept, urls.join(), page.url()];
      for (const place of places) for (const part of token.split(".")) assert.ok(!place.includes(part), place);
      assert.ok(urls.length > 0);
      await page.reload();
      assert.equal(await page.inputValue("#token"), "");
    }));

  it("says so when a topic, or an end point, is none", told(() => server, async () => {
    const page = await open(await visitor());
    await connect(page, { topic: "nowhere:1" });
    await shows(page, "#connect-error", /^not joined: unmatched topic$/);
    await page.click("#leave");
    await page.fill("#endpoint", "http://");
    await page.click("#go");
    await shows(page, "#connect-error", /URL/);
  }));

  it("lets nothing that it shows be more than text", told(() => server, async () => {
    const page = await open(await visitor());
    const hostile = "<img src=x onerror=alert(1)><script>alert(1)</script>\u202e";
    await connect(page, { topic: `room:${hostile.slice(0, 60)}` });
    await server.publish(`room:${hostile.slice(0, 60)}`, hostile, { [hostile]: hostile, "</pre><style>*{display:none}": `${hostile}&lt;` });
    await until(5000, "the message", async () => (await rows(page)).some(([, way, , event]) => way === "↓" && event.startsWith("<img")));
    const tags = "img, style, #rows script, #side script, #more script, #detail script";
    assert.equal(await page.locator(tags).count(), 0);
    await page.locator("#rows .row:not([hidden])", { has: page.locator(".event", { hasText: "<img" }) }).first().click();
    const payload = await page.textContent("#payload");
    assert.ok(payload.includes(hostile.replace("\u202e", "\\u{202e}")), payload);
    await page.fill("#filter", "<img");
    assert.equal(await page.locator(tags).count(), 0);
  }));

  it("finds, pauses, clears, and shows a frame by keyboard", told(() => server, async () => {
    const page = await open(await visitor());
    await connect(page, { topic: "room:tools" });
    for (let n = 1; n <= 8; n++) await server.publish("room:tools", n % 2 ? "odd" : "even", { n, word: `w${n}` });
    const count = (pattern) => shows(page, "#count", pattern);
    await count(/^(\d+) of \1 frames$/);
    await until(5000, "eight", async () => (await rows(page)).filter((one) => /odd|even/.test(one[3])).length === 8);
    await page.fill("#filter", "EVEN");
    await count(/^4 of/);
    await page.fill("#filter", '"w3"'); // in a payload
    await count(/^1 of/);
    await page.fill("#filter", "nothing like it");
    await count(/^0 of/);
    await shows(page, "#none", /No frame passes/);
    await page.fill("#filter", "");
    await page.click("#down");
    await until(3000, "sent ones only", async () => (await rows(page)).every((one) => one[1] === "↑"));
    await page.click("#beats");
    await until(3000, "no heartbeats", async () => (await rows(page)).every((one) => one[2] !== "phoenix"));
    await page.click("#down");
    await page.click("#beats");

    await page.focus("#frames");
    await page.keyboard.press("End");
    await shows(page, "#payload", /"n": 8/);
    await page.keyboard.press("ArrowUp");
    await shows(page, "#payload", /"n": 7/);
    const active = await page.getAttribute("#frames", "aria-activedescendant");
    assert.equal(await page.getAttribute(`#${active}`, "aria-selected"), "true");
    await page.keyboard.press("Home");
    await shows(page, "#detail-title", /^Sent: /);
    await page.keyboard.press("Escape");
    assert.equal(await page.isVisible("#detail"), false);

    await page.click("#pause");
    await server.publish("room:tools", "unseen", {});
    await count(/1 not recorded in pauses · paused$/);
    await shows(page, "#topics", /9 rows/);
    await page.click("#pause");
    await page.click("#clear");
    await count(/^0 of 0 frames$/);
    await server.publish("room:tools", "after", {});
    await count(/^1 of 1 frames$/);
  }));

  it("says how many pages report, which may do so by themselves", told(() => server, async () => {
    const context = await visitor();
    writeFileSync(server.path("reports.html"), WATCHED.replace('"/socket"', '"/socket", { inspect: true }'));
    await open(context, "../reports.html");
    const page = await open(context);
    await shows(page, "#watch-label", /^Watch a page · 1$/);
    await page.getByText("Watch a page").click();
    await shows(page, "#status", /^Open · WebSocket$/);
    assert.equal(await page.isChecked("#watching"), false);
    await shows(page, "#choice", /^before this page looked$/);
    await shows(page, "#state", /^open$/);
  }));

  it("watches a page in another tab, once it may", told(() => server, async () => {
    const context = await visitor();
    writeFileSync(server.path("watched.html"), WATCHED);
    const before = await open(context, "../watched.html");
    const page = await open(context);
    await page.getByText("Watch a page").click();
    await shows(page, "#watch-hint", /^Switch it on/);
    await sleep(300);
    assert.equal(await page.isVisible("#pages"), false); // that page tells nobody
    await page.getByText("Pages of this site report here").click();
    await shows(page, "#watch-hint", /^No page reports yet/);
    await before.reload();
    await shows(page, "#status", /^Open · WebSocket$/);
    await shows(page, "#pages", /^\/watched\.html$/);
    await shows(page, "#topics", /room:watchedjoinedj:/);
    await server.publish("room:watched", "message", { name: "shell", text: "hello" });
    await until(5000, "its message", async () => (await rows(page)).some((one) => one[3] === "message"));
    await before.evaluate(() => window.socket.replaceTransport("longpoll"));
    await shows(page, "#status", /^Open · long-poll$/);

    const second = await open(context); // comes late, and asks
    await shows(second, "#status", /^Open · long-poll$/);
    await shows(second, "#topics", /room:watchedjoinedj:/);
    await second.getByText("Connect", { exact: true }).first().click();
    await connect(second); // which is nobody's to watch
    await sleep(300);
    assert.deepEqual(await page.locator("#pages option").allTextContents(), ["/watched.html"]);

    await before.reload();
    await shows(page, "#pages", /\/watched\.html \(2\)/);
    await shows(page, "#status", /^Open · WebSocket$/);
    await page.getByText("Pages of this site report here").click();
    assert.equal(await before.evaluate(() => localStorage["holdfast.inspect"]), undefined);
    await before.close();
    await shows(page, "#status", /^Does not answer$/, 25000);
  }));

  it("keeps up with a flood, and stays bounded", { timeout: 60000 }, told(() => server, async () => {
    const context = await visitor();
    const page = await open(context);
    await page.getByText("Watch a page").click();
    await page.getByText("Pages of this site report here").click();
    const flooder = await context.newPage();
    await flooder.goto(`http://127.0.0.1:${server.port}/www/demos/chat/chat.css`);
    const flood = flooder.evaluate(async () => {
      const channel = new BroadcastChannel("holdfast.inspect");
      for (let n = 0; n < 20000; n++) {
        const message = { join_ref: "1", ref: `j:AAECAwQFBgc.${n + 1}`, topic: "room:flood", event: "n", payload: { n, text: "x".repeat(200) } };
        channel.postMessage(["/flood 0.5", Date.now(), "receive", "room:flood n", message]);
        for (let p = 0; n % 1000 === 0 && p < 100; p++) channel.postMessage([`/page${p} 0.${n}`, Date.now(), "transport", "websocket open", null]);
        if (n % 100 === 0) await new Promise((done) => setTimeout(done, 20));
      }
    });
    let slowest = 0;
    let done = false;
    flood.then(() => (done = true));
    while (!done) {
      const start = performance.now();
      await page.fill("#filter", start % 2 > 1 ? "room" : "");
      slowest = Math.max(slowest, performance.now() - start);
      await sleep(50);
    }
    await page.fill("#filter", "");
    await until(30000, "all of it", async () => {
      const [kept, of, gone] = (await page.textContent("#count")).match(/\d+/g).map(Number);
      assert.deepEqual([of, kept + gone], [kept, 20000]);
      return kept > 4700 && kept <= 5000;
    });
    const drawn = await page.locator("#rows .row").count();
    assert.ok(drawn < 100, `${drawn} rows`);
    assert.ok(slowest < 10000, `it answered after ${slowest} ms`);
    assert.ok((await page.locator("#pages option").count()) <= 8);
    await page.selectOption("#pages", { label: "/flood" });
    await shows(page, "#topics", /room:floodnot knownj:AAECAwQFBgc\.2000020000 rows/);
    await page.evaluate(() => document.getElementById("list").scrollTo(0, 0));
    await until(3000, "the oldest kept", async () => {
      const [, gone] = (await page.textContent("#count")).match(/(\d+) older/);
      return (await rows(page))[0][4] === `j:AAECAwQFBgc.${Number(gone) + 1}`;
    });
  }));

  it("exports what helps, payloads if asked to, tokens never", told(() => server, async () => {
    const page = await open(await visitor());
    await connect(page, { topic: "room:export", transport: "longpoll" });
    await server.publish("room:export", "say", { body: "private words", access_token: "opaque-token", note: `it is ${JWT}` });
    await until(5000, "the message", async () => (await rows(page)).some((one) => one[3] === "say"));
    const save = async (payloads) => {
      await page.click("#export");
      if (payloads) await page.getByText("Payloads too").click();
      const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
      assert.match(download.suggestedFilename(), /^holdfast-[\d-]+\.json$/);
      return readFileSync(await download.path(), "utf8");
    };
    const without = await save(false);
    assert.ok(!without.includes("private words"));
    const report = JSON.parse(without);
    assert.equal(report.state, "open");
    assert.equal(report.transport, "longpoll");
    assert.equal(report.chosen_because.number, 1);
    assert.equal(report.topics[0].topic, "room:export");
    assert.ok(report.frames.some((one) => one.event === "say" && one.direction === "down" && one.bytes > 50 && !("payload" in one)));
    const everything = await save(true);
    assert.ok(everything.includes("private words"));
    for (const text of [without, everything, await page.content()])
      for (const secret of ["opaque-token", "eyJ"]) assert.ok(!text.includes(secret), secret);
  }));

  it("has room on every screen, and a name for every control", told(() => server, async () => {
    for (const [width, height, colorScheme] of [[1280, 800, "light"], [1280, 800, "dark"], [360, 740, "light"], [360, 740, "dark"]]) {
      const page = await open(await visitor({ viewport: { width, height }, colorScheme }));
      await connect(page, { topic: "room:looks", transport: colorScheme === "dark" ? "longpoll" : "" });
      for (let n = 1; n <= 12; n++) await server.publish("room:looks", n % 3 ? "message" : "typing", { name: "Maren", text: `Good morning ${n}` });
      await until(5000, "the messages", async () => (await rows(page)).filter((one) => /message|typing/.test(one[3])).length >= 5);
      await row(page, "message").click();
      await shows(page, "#payload", /Good morning/);
      const inSight = async () => {
        const [list, one] = await Promise.all(["#list", "#rows [aria-selected=true]"].map((it) => page.locator(it).boundingBox()));
        return one.y >= list.y && one.y + one.height <= list.y + list.height + 1;
      };
      await until(3000, "the chosen frame is in sight", inSight);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
      await page.screenshot({ path: `${SHOTS}inspector-${width}-${colorScheme}.png` });
      const nameless = await page.$$eval("button, input, select", (all) =>
        all.filter((one) => !(one.getAttribute("aria-label") || one.labels?.[0]?.textContent.trim() || one.textContent.trim())).map((one) => one.id));
      assert.deepEqual(nameless, []);
      const roles = [["button", "Disconnect"], ["searchbox", "Filter frames"], ["button", "Pause"], ["grid", "Frames"], ["radio", "Watch a page"], ["button", "Close"]];
      for (const [role, name] of roles) assert.equal(await page.getByRole(role, { name }).count(), 1, name);
      await page.close();
    }
  }));
});

// host_checks.js - what holds on every host, whatever web server it has
//
// Beside what hosts.js says a host is described by
//
//     holds          seconds that a poll is held: { stock, ours }
//     authorization  does the header Authorization reach the gateway?
//     body           bytes of a POST { within, over } the limit; `status` of HTTP
//                    if it is the web server's own limit, and not told by 413
//     processes      true: more than one gateway process serves it
//     outage         (host, t) instead of what is done to have error pages
//     crowd          how many pages of each kind at a reload, see crowd.js
//     anonymous      true: the side-car is not told who its clients are
//     only           "sockets": no more than what concerns WebSockets
//     more           (check) => further ones, by check(name, (host, t) => ...)
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import net from "node:net";
import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { Crowd, listen } from "./crowd.js";
import { Host } from "./hosts.js";
import { answer, connect, disconnect } from "./phoenix.js";
import { Poller } from "./poll.js";
import { RawWs } from "./rawws.js";
import { checkGoodbyes, checkSockets, listenInSilence } from "./socket_checks.js";
import { request } from "./http.js";
import { Writer } from "./story.js";
import { mint, readKeys } from "./tokens.js";
import { sleep, told, until, within } from "./server.js";

const DEFAULTS = {
  holds: { stock: 10, ours: 25 },
  authorization: true,
  body: { within: 2000000, over: 8000001 }, // more than nginx' own limit, 1 MB
  processes: false,
  crowd: {},
  more: () => {},
};

let topics = 0;
const topic = () => `room:host-${++topics}`;
const say = (where, n) => ["1", String(n + 1), where, "n", { n }];
const numbers = (poller) => poller.payloads("n").map(({ n }) => n);

const open = (host, query = "vsn=2.0.0") => new Poller(host.port, { path: host.longpoll, query }).open();

async function joined(host, where, query) {
  const poller = await open(host, query);
  await poller.join(where);
  return poller;
}

// Seconds since.
const clock = () => {
  const begun = performance.now();
  return () => (performance.now() - begun) / 1000;
};

// --- with nothing wrong -----------------------------------------------------

const chats = (kind, transport) => async (host) => {
  const where = topic();
  const page = listen(host, where, kind, transport);
  try {
    assert.equal((await page.joined).status, "ok");
    await host.publish(where, "n", { n: 1 });
    await until(8000, "it has heard what was published", () => page.heard.length === 1);
    assert.equal((await answer(page.channel.push("n", { n: 2 }))).status, "ok");
    await until(8000, "it has heard its own push", () => page.heard.length === 2);
    assert.deepEqual(page.heard, [1, 2]);
  } finally {
    await page.end();
  }
};

// A poll with nothing to say: how long it was held.
async function hold(host, query) {
  const poller = await joined(host, topic(), query);
  const held = clock();
  const { status } = await poller.get({ ms: 60000 });
  return { status, seconds: held() };
}

async function deliversAtOnce(host) {
  const where = topic();
  const poller = await joined(host, where);
  for (let n = 1; n <= 3; n++) {
    const poll = poller.get();
    await sleep(300);
    const published = clock();
    await host.sql(`INSERT INTO messages (topic, event, payload) VALUES ('${where}', 'n', '{"n":${n}}')`);
    await poll;
    assert.ok(published() < 1.5, `delivered after ${published()} s`);
  }
  assert.deepEqual(numbers(poller), [1, 2, 3]);
}

// The browser goes in the midst of a hold, politely or not, and comes back.
const survivesAbort = (how) => async (host) => {
  const where = topic();
  const poller = await joined(host, where);
  for (let n = 1; n <= 3; n++) {
    await hangUp(host.port, poller.url(), how);
    await host.publish(where, "n", { n });
    // what the web server does with an answer for somebody who has gone
    await sleep(200);
    await poller.get();
    assert.deepEqual(numbers(poller).at(-1), n, `round ${n}`);
  }
  assert.deepEqual(numbers(poller), [1, 2, 3]);
};

async function hangUp(port, path, how) {
  const socket = net.connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
  await sleep(400);
  if (how === "reset") socket.resetAndDestroy();
  else socket.destroy();
}

// Pages of other sites, paths that are none, methods that clients do not use.
async function answersTheRest(host) {
  const ask = (path, method, headers) => request({ port: host.port, path, method, headers, ...(method === "PUT" ? { body: "" } : {}) });
  const preflight = await ask(host.longpoll, "OPTIONS", { "access-control-request-headers": "content-type" });
  assert.equal(preflight.status, 200);
  assert.equal(preflight.headers["access-control-allow-headers"], "content-type");
  assert.equal((await ask(host.longpoll.replace("longpoll", "other"), "GET")).status, 404);
  assert.equal((await ask(host.longpoll, "PUT")).status, 400);
}

// Publish and events (docs/HTTP.md), with the statuses of HTTP that they say.
async function servesPlainHttp(host) {
  const where = "room:plain";
  const ask = async (path, options = {}) => {
    const { status, body } = await request({ port: host.port, path: host.longpoll.replace(/longpoll$/, path), ...options });
    return { status, ...JSON.parse(body) };
  };
  const publish = (message) => ask("publish", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(message) });
  const { cursor } = await ask(`events?topic=${where}&hold=0`);
  const held = ask(`events?topic=${where}&since=${cursor}`);
  await sleep(300);
  const published = await publish({ topic: where, event: "e", payload: { n: 1 } });
  assert.equal(published.status, 200);
  const heard = await held;
  assert.equal(heard.status, 200);
  assert.deepEqual(heard.messages.map(({ payload }) => payload), [{ n: 1 }]);
  assert.equal(heard.cursor, published.cursor);
  const refused = await publish({ topic: "zoo", event: "e", payload: 1 });
  assert.equal(refused.status, 401);
  assert.equal(refused.error.reason, "unauthorized");
}

// --- tokens -----------------------------------------------------------------

// Somebody with a token may join where nobody else may; is it seen?
async function privately(host) {
  const where = `private:${++topics}`;
  const [key] = readKeys(host);
  const token = await mint(key, { sub: "ann", topics: { [where]: ["join"] } });
  return { where, token };
}

const joinsByToken = (version, options) => async (host) => {
  const { where, token } = await privately(host);
  const socket = connect(version, "longpoll", host.endpoint, options(token));
  try {
    assert.equal((await answer(socket.channel(where).join())).status, "ok");
  } finally {
    await disconnect(socket);
  }
};

const header = (passes) => async (host) => {
  const ask = (token) => request({ port: host.port, path: `${host.longpoll}?vsn=2.0.0`, headers: { authorization: `Bearer ${token}` } });
  const { token } = await privately(host);
  assert.equal(JSON.parse((await ask(token)).body).status, 410);
  // a wrong one is refused, if it is seen
  assert.equal(JSON.parse((await ask(`${token}x`)).body).status, passes ? 403 : 410);
};

// --- names ------------------------------------------------------------------

// Pages of www.example.com and of elsewhere, which ask a site of the first name.
async function knowsPages(host, transport) {
  const ask = async (origin) => {
    const headers = { Host: "www.example.com", Origin: origin };
    if (transport === "longpoll") {
      const path = `${host.longpoll}?vsn=2.0.0`;
      return JSON.parse((await request({ port: host.port, path, headers })).body).status;
    }
    const path = host.longpoll.replace(/longpoll$/, "websocket?vsn=2.0.0");
    const ws = await RawWs.open({ port: host.port, path, headers });
    ws.destroy();
    return ws.status;
  };
  assert.equal(await ask("https://www.example.com"), transport === "longpoll" ? 410 : 101);
  assert.equal(await ask("https://www.example.net"), 403);
}

// --- what clients send ------------------------------------------------------

async function takesLargeBody(host, bytes) {
  const where = topic();
  const poller = await joined(host, where);
  const room = 60000;
  const frames = [];
  for (let n = 1; n * room <= bytes; n++)
    frames.push(["1", String(n + 1), where, "n", { n, x: "x".repeat(room - 100) }]);
  assert.deepEqual(await poller.post(frames), { status: 200 });
  await poller.until(1 + 2 * frames.length, 20000); // each with its reply
  assert.deepEqual(numbers(poller), frames.map((_, i) => i + 1));
}

async function refusesLargerBody(host, { over, status = 413 }) {
  const poller = await open(host);
  const res = await request({ port: host.port, method: "POST", path: poller.url(), body: "x".repeat(over) });
  assert.equal(res.status, status, res.body.slice(0, 200));
  if (status === 413) assert.deepEqual(JSON.parse(res.body), { status: 413 });
}

// On a line of 50 bytes a second or so; meanwhile others are served: each before the
// next piece is sent, so whoever waited for the whole of it would wait for ever.
async function takesSlowPost(host) {
  const where = topic();
  const poller = await joined(host, where);
  const body = JSON.stringify(say(where, 1));
  const socket = net.connect(host.port, "127.0.0.1");
  let said = "";
  socket.on("data", (part) => (said += part));
  const ended = new Promise((done) => socket.on("close", done));
  socket.write(`POST ${poller.url()} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`);
  const step = Math.ceil(body.length / 8);
  for (let at = 0; at < body.length; at += step) {
    socket.write(body.slice(at, at + step));
    await within(15000, "another one is served", open(host));
    await sleep(200);
  }
  await within(8000, "an answer", ended);
  assert.match(said, /^HTTP\/1.1 200 [^]*\{"status":200\}/);
  await poller.until(3);
  assert.deepEqual(numbers(poller), [1]);
}

// --- several processes ------------------------------------------------------

// Sockets of a process: a held poll has one.
const sockets = (pid) =>
  readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith("socket:");
    } catch {
      return false; // closed meanwhile
    }
  }).length;

// Bytes it has written to files: whoever commits writes some thousands.
const written = (pid) => Number(/^wchar: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, "utf8"))[1]);

const tally = (pids, measure) => new Map(pids.map((pid) => [pid, measure(pid)]));
const grown = (before, after, by) => [...after].filter(([pid, n]) => n >= (before.get(pid) ?? 0) + by).map(([pid]) => pid);

// A poll is held by one process while a push is served by another.
async function isServedByMany(host, kind) {
  const where = topic();
  const poller = await joined(host, where);
  for (let n = 1; n <= 3; n++) {
    const idle = kind === "cgi" ? new Map() : tally(host.gatewayPids(), sockets);
    const poll = poller.get();
    const holders = await until(3000, "somebody holds it", () => {
      const now = grown(idle, tally(host.gatewayPids(), kind === "cgi" ? () => 1 : sockets), 1);
      return now.length > 0 && now;
    });
    if (kind !== "cgi") {
      const before = tally(host.gatewayPids(), written);
      assert.deepEqual(await poller.post([say(where, n)]), { status: 200 });
      const writers = grown(before, tally(host.gatewayPids(), written), 4096);
      assert.ok(writers.length > 0, "somebody wrote it");
      assert.ok(writers.every((pid) => !holders.includes(pid)), `held by ${holders}, written by ${writers}`);
    } else assert.deepEqual(await poller.post([say(where, n)]), { status: 200 });
    await poll;
    await poller.until(1 + 2 * n);
  }
  assert.deepEqual(numbers(poller), [1, 2, 3]);
}

// --- with something wrong ---------------------------------------------------

// The gateway is away: the web server has a page of its own for that.
async function survivesErrorPages(host, t) {
  const where = topic();
  const pages = ["ours", "since"].map((kind) => listen(host, where, kind, "longpoll"));
  try {
    for (const page of pages) assert.equal((await page.joined).status, "ok", page.name);
    await host.publish(where, "n", { n: 1 });
    await until(8000, "both have heard it", () => pages.every(({ heard }) => heard.length === 1));
    await host.outage();
    const error = await until(8000, "the web server has a page for it", async () => {
      const res = await request({ port: host.port, path: `${host.longpoll}?vsn=2.0.0` });
      return res.status >= 400 && res;
    });
    assert.throws(() => JSON.parse(error.body), `a page, and no JSON: ${error.body}`);
    t.diagnostic(`${error.status} ${error.headers["content-type"]}`);
    await host.publish(where, "n", { n: 2 });
    await sleep(1000);
    await host.repair();
    await host.publish(where, "n", { n: 3 });
    const whole = () => pages.every(({ heard }) => heard.at(-1) === 3);
    await until(30000, "both are back", whole);
    for (const page of pages) page.assertWhole(3);
  } finally {
    await Promise.all(pages.map((page) => page.end()));
  }
}

// A page of the site, again and again: the longest that it took.
function watchSite(host) {
  let going = true;
  let longest = 0;
  const done = (async () => {
    while (going) {
      const took = clock();
      await request({ port: host.port, path: "/page.html", ms: 30000 }).catch(() => {});
      longest = Math.max(longest, took());
      await sleep(50);
    }
  })();
  return async () => {
    going = false;
    await done;
    return longest;
  };
}

const seconds = (n) => `${n.toFixed(1)} s`;

// Twice something happens to the web server, while pages listen to a busy topic;
// the first time a poll to a quiet one is held, too.
export async function survives(host, t, something) {
  const where = topic();
  const crowd = await Crowd.gather(host, where, host.spec.crowd);
  const quiet = await joined(host, topic());
  const writer = new Writer(host);
  let n = 0;
  const ticking = setInterval(() => writer.write(where, { n: ++n }, "n"), 100);
  const site = watchSite(host);
  try {
    await until(20000, "all listen", () => crowd.pages.every(({ heard }) => heard.length > 3));
    for (let i = 0; i < 2; i++) {
      const held = i === 0 && quiet.peek({ ms: 60000 }).catch(() => {});
      await sleep(300);
      await something();
      await sleep(2000);
      await held;
    }
    clearInterval(ticking);
    writer.write(where, { n: ++n }, "n");
    await writer.end();
    const plain = await crowd.heard(n);
    await until(10000, "the quiet one polls on", async () => [200, 204].includes((await quiet.get()).status), 100);
    const rejoins = crowd.pages.reduce((sum, page) => sum + page.joins - 1, 0);
    t.diagnostic(`${n} messages, ${crowd.pages.length} pages, ${rejoins} rejoins, the site stood still for ${seconds(await site())}`);
    t.diagnostic(`lost to ${plain.pages} stock pages without since: ${plain.lost.join(", ")} of ${plain.of}`);
  } finally {
    clearInterval(ticking);
    await site();
    await crowd.leave();
  }
}

// --- all of it --------------------------------------------------------------

// In order: first what disturbs nobody, while two polls are held to their end;
// then what stops and reloads things.
export function checkHost(given) {
  const spec = { ...DEFAULTS, ...given };
  // one after the other, even where hosts are checked at the same time
  describe(spec.name, { concurrency: 1 }, () => {
    let host;
    let holds;
    let silent;
    const all = spec.only !== "sockets";
    const check = (name, body, ms) =>
      it(
        name,
        told(
          () => host,
          (t) => body(host, t),
          ms,
        ),
      );

    // Behind what can go on beside it.
    const checkQuiet = (check) => {
      check("a WebSocket that only answers pings for 70 s is still there", async () => (await silent)(), 90000);
      checkGoodbyes(check);
    };

    before(async () => {
      host = await Host.start(spec);
      if (spec.sidecar) silent = listenInSilence(host);
      silent?.catch(() => {}); // told by its test
      if (!all) return;
      holds = {
        stock: hold(host, "vsn=2.0.0"),
        ours: hold(host, "vsn=2.0.0&paced=1"),
      };
      for (const held of Object.values(holds)) held.catch(() => {}); // told by its test
    });
    after(() => host?.stop());

    const transports = [...(spec.sidecar ? ["websocket"] : []), ...(all ? ["longpoll"] : [])];
    for (const transport of transports) {
      check(`our client joins, pushes and hears by ${transport}`, chats("ours", transport));
      check(`phoenix joins, pushes and hears by ${transport}`, chats("since", transport));
      check(`a page of the site is let in by ${transport}, one of another site is not`, (h) => knowsPages(h, transport));
    }
    if (spec.sidecar) checkSockets(check);
    if (!all) return checkQuiet(check);
    check("what is published reaches a held poll at once", deliversAtOnce);
    check("a browser that closes its connection in a hold misses nothing", survivesAbort("close"));
    check("a browser that resets its connection in a hold misses nothing", survivesAbort("reset"));
    check("what is published over plain HTTP is followed over plain HTTP", servesPlainHttp);
    check("a preflight is answered, other paths are not found, other methods refused", answersTheRest);
    check("a token in phoenix' own header is seen", joinsByToken("1.8.16", (authToken) => ({ authToken })));
    check("a token in the parameter access_token is seen", joinsByToken("1.7.23", (access_token) => ({ params: { access_token } })));
    check(`the header Authorization is ${spec.authorization ? "passed on" : "kept from us"}`, header(spec.authorization));
    check(`a POST of ${Math.floor(0.9 * spec.body.within)} bytes is taken`, (h) => takesLargeBody(h, Math.floor(0.9 * spec.body.within)));
    check("a POST over the limit is told so", (h) => refusesLargerBody(h, spec.body));
    check("a POST that trickles in is taken, and holds up nobody", takesSlowPost);
    if (spec.processes || spec.gateway === "cgi")
      check("a poll and a push of one session are served by different processes", (h) => isServedByMany(h, spec.gateway));
    for (const [kind, expected] of Object.entries(spec.holds))
      check(`a poll of ${kind === "ours" ? "our client" : "a stock client"} is held for ${expected} s, then answered 204`, async () => {
        const { status, seconds: took } = await holds[kind];
        assert.equal(status, 204);
        assert.ok(took > expected - 0.2 && took < expected + 3, `held for ${seconds(took)}`);
      });
    if (spec.sidecar) checkQuiet(check);
    check("a graceful reload under load loses nothing to who resumes", (h, t) => survives(h, t, () => h.reload()), 180000);
    // behind the reload: who was sent error pages says so, and fewer polls are held
    check("pages recover from the web server's error pages, and miss nothing", spec.outage ?? survivesErrorPages);
    spec.more(check);
  });
}

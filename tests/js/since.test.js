// www/examples/since: a page printed by PHP goes on live where its messages
// end. By our client in Node on both transports, and by the page itself in a
// real browser, while somebody publishes all the time.
import { after, afterEach, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { WebSocket } from "ws";
import { Socket } from "../../www/holdfast.js";
import { launch } from "./lib/browser.js";
import { Server, sleep, told, until } from "./lib/server.js";

const run = promisify(execFile);
const TOPIC = "room:lobby"; // that of the page
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => String(from + i));

let server;
let sockets = [];
before(async () => (server = await Server.start({ pages: true })));
after(() => server?.stop());
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.disconnect();
  await server.sql(`DELETE FROM messages WHERE topic = '${TOPIC}'`);
});

const say = (...bodies) =>
  server.sql(
    bodies
      .map((body) => `INSERT INTO messages (topic, event, payload) VALUES ('${TOPIC}', 'new_msg', '{"body":"${body}"}');`)
      .join("\n"),
  );

// As an application does it: one row after the other, a commit each.
async function publish(count, pauseMs) {
  const script = `
    $db = new PDO('sqlite:${server.journal}');
    $db->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
    $db->setAttribute(PDO::ATTR_TIMEOUT, 5);
    for ($n = 1; $n <= ${count}; $n++) {
      $db->exec("INSERT INTO messages (topic, event, payload) VALUES ('${TOPIC}', 'new_msg', '{\\"body\\":\\"$n\\"}')");
      usleep(${pauseMs * 1000});
    }`;
  await run("php", ["-r", script], { timeout: 50000 });
}

const PAGE = "/www/examples/since/";

// What PHP has printed: the messages, and the cursor they end at.
async function printed() {
  const { status, body } = await server.request({ path: PAGE });
  assert.equal(status, 200, body);
  return parse(body);
}

// By a PHP that takes its time between the one reading and the other.
async function printedSlowly() {
  const quick = readFileSync(new URL("../../www/examples/since/index.php", import.meta.url), "utf8");
  const slow = quick.replace("$last =", "usleep(30000); $last =");
  assert.notEqual(slow, quick);
  writeFileSync(server.path("slow.php"), slow);
  const env = { ...process.env, HOLDFAST_JOURNAL: server.journal };
  const { stdout } = await run("php", [server.path("slow.php")], { env, timeout: 20000 });
  return parse(stdout);
}

function parse(html) {
  const [, since] = /data-since="(j:[\w-]{11}\.\d+)"/.exec(html) ?? assert.fail(html);
  return { since, messages: [...html.matchAll(/<li>(.*?)<\/li>/g)].map(([, text]) => text) };
}

// Goes on from there, as the page does.
function follow({ since, messages }, transport) {
  const socket = new Socket(server.endpoint, { transport, WebSocket });
  const channel = socket.channel(TOPIC, { since });
  const seen = { list: [...messages], gaps: [], joins: [] };
  channel.on("new_msg", ({ body }) => seen.list.push(body));
  channel.onGap((gap) => seen.gaps.push(gap));
  channel.join().receive("ok", (response) => seen.joins.push(response));
  sockets.push(socket);
  socket.connect();
  return { ...seen, socket, channel };
}

for (const transport of ["websocket", "longpoll"]) {
  describe(`since, printed into the page, by ${transport}`, () => {
    it("brings what was published between the page and the join, once and in order", told(() => server, async () => {
      await say(1, 2, 3);
      const page = await printed();
      assert.deepEqual(page.messages, range(1, 3));
      await say(4, 5);
      const { list, joins } = follow(page, transport);
      await until(10000, "the rows before the join", () => list.length === 5);
      await say(6);
      await until(10000, "the row after it", () => list.length === 6);
      assert.deepEqual(list, range(1, 6));
      assert.equal(joins[0].recovered, true);
    }));

    it("is the place of an empty page, too", told(() => server, async () => {
      const page = await printed();
      assert.deepEqual(page.messages, []);
      await say(1);
      const { list } = follow(page, transport);
      await until(10000, "the first message ever", () => list.length === 1);
    }));

    it("serves pages that were printed long before", told(() => server, async () => {
      await say(1);
      const page = await printed(); // and kept by a cache
      const first = follow(page, transport);
      await say(2);
      await until(10000, "it comes", () => first.list.length === 2);
      const second = follow(page, transport);
      await until(10000, "it comes again to who comes later", () => second.list.length === 2);
      assert.deepEqual([first.list, second.list], [range(1, 2), range(1, 2)]);
    }));

    it("is not said again once the channel has gone on", told(() => server, async () => {
      await say(1);
      const { list, channel, socket } = follow(await printed(), transport);
      await say(2);
      await until(10000, "it comes", () => list.length === 2);
      socket.disconnect();
      await say(3);
      socket.connect();
      await until(10000, "what came meanwhile", () => list.length === 3);
      await until(10000, "joined", () => channel.state === "joined");
      await say(4);
      await until(10000, "it comes", () => list.length === 4);
      assert.deepEqual(list, range(1, 4));
    }));

    it("says gap when what came after it is gone, and a fresh page goes on", told(() => server, async () => {
      await say(1, 2);
      const page = await printed();
      await say(3);
      await server.sql(`DELETE FROM messages WHERE topic = '${TOPIC}'`);
      const { gaps, list, channel } = follow(page, transport);
      await until(10000, "the gap", () => gaps.length === 1);
      assert.equal(gaps[0].gap, "trimmed");
      assert.deepEqual(list, range(1, 2)); // nothing came
      channel.leave();
      await say(4);
      const fresh = follow(await printed(), transport);
      await say(5);
      await until(10000, "it goes on", () => fresh.list.length === 2);
      assert.deepEqual(fresh.list, range(4, 5));
      assert.deepEqual(fresh.gaps, []);
    }));

    it("tears no page, whatever is published while it is made", { timeout: 60000 }, told(() => server, async () => {
      const count = 300;
      const publishing = publish(count, 5);
      const pages = [];
      for (let n = 0; n < 25; n++) {
        pages.push(follow(await (n % 2 ? printed() : printedSlowly()), transport));
      }
      await publishing;
      for (const { list } of pages) {
        await until(20000, "the last message", () => list.at(-1) === String(count));
        assert.deepEqual(list, range(Number(list[0]), count)); // no row lost, none twice
      }
    }));
  });
}

describe("the page of www/examples/since", () => {
  let browser;
  const trouble = [];
  before(async () => (browser = await launch()));
  after(() => browser?.close());

  async function visit(meanwhile, visitor = browser) {
    const page = await visitor.newPage();
    page.on("pageerror", (error) => trouble.push(error.message));
    // the page is there, its program is not yet
    await page.route("**/holdfast.js", async (route) => {
      await meanwhile?.(page);
      await route.continue();
    });
    await page.goto(`http://127.0.0.1:${server.port}${PAGE}`);
    return page;
  }
  const seen = (page) => page.$$eval("#messages li", (all) => all.map((one) => one.textContent));
  const shows = (page, list) =>
    until(15000, `the page shows ${list.length} messages`, async () => {
      assert.deepEqual(await seen(page), list);
      return true;
    });

  it("shows what came while its program was loaded", told(() => server, async () => {
    await say(1, "<b>2</b> &amp;");
    const page = await visit(() => say(3, "4 <i>"));
    await say(5);
    await shows(page, ["1", "<b>2</b> &amp;", "3", "4 <i>", "5"]);
    assert.deepEqual(trouble, []);
  }));

  for (const one of [false, true])
    it(`shows each message once while somebody publishes all the time, to ${one ? "tabs of one" : "many"}`, { timeout: 60000 }, told(() => server, async () => {
      const count = 400;
      const publishing = publish(count, 10);
      const visitor = one ? await browser.newContext() : browser;
      const pages = await Promise.all(Array.from({ length: 4 }, (_, n) => visit(() => sleep(100 + 200 * n), visitor)));
      await publishing;
      for (const page of pages) {
        await until(15000, "the last message", async () => (await seen(page)).at(-1) === String(count));
        const list = await seen(page);
        assert.deepEqual(list, range(Number(list[0]), count));
        assert.ok(list.length > 50, "more than PHP has printed");
      }
      assert.deepEqual(trouble, []);
    }));

  it("loads its messages again when it comes too late", told(() => server, async () => {
    await say(1, 2);
    const page = await visit(async () => {
      await say(3);
      await server.sql(`DELETE FROM messages WHERE topic = '${TOPIC}'`);
      await say(4);
    });
    await shows(page, ["4"]);
    await say(5);
    await shows(page, ["4", "5"]);
    assert.deepEqual(trouble, []);
  }));

  it("tries again when its messages cannot be loaded", told(() => server, async () => {
    await say(1);
    let refused = 0;
    const page = await visit(async (page) => {
      await page.route(`**${PAGE}`, (route) => (++refused < 3 ? route.abort() : route.continue()));
      await say(2);
      await server.sql(`DELETE FROM messages WHERE topic = '${TOPIC}'`);
      await say(3);
    });
    await shows(page, ["3"]);
    assert.equal(refused, 3);
    await say(4);
    await shows(page, ["3", "4"]);
  }));
});

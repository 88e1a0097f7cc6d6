// ./demo: the chat in a real browser, one page on WebSocket and one on long-poll
// alone, and what the script itself says and does. The other pages: demo_*.test.js.
// Screenshots: build-demo/screenshots/.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { launch } from "./lib/browser.js";
import { Demo, live, nothingLost, plug, shot, visit } from "./lib/demo.js";
import { sleep, until, within } from "./lib/wait.js";

const run = promisify(execFile);

// What the journal holds for the page, in its order.
async function said(demo) {
  const texts = (await demo.rows("demo:lobby", "message")).map((payload) => payload?.text);
  return texts.filter((text) => typeof text === "string");
}

const php = (code) => run("php", ["-r", code], { timeout: 60000 });

async function isOpen(port) {
  const socket = net.connect(port, "127.0.0.1");
  return new Promise((done) => {
    socket.on("connect", () => done(true));
    socket.on("error", () => done(false));
  }).finally(() => socket.destroy());
}

let tmp;
before(() => (tmp = mkdtempSync(join(tmpdir(), "holdfast-page."))));
after(() => rmSync(tmp, { recursive: true, force: true }));

describe("the chat of ./demo", () => {
  let demo;
  let browser;
  let wide; // 1280 pixels, light, WebSocket
  let narrow; // 360 pixels, dark, without its WebSocket
  const trouble = []; // what went wrong in a page

  before(async () => {
    demo = new Demo([], tmp);
    [browser] = await Promise.all([launch(), demo.ready()]);
    wide = await visit(browser, demo, "demos/chat/", { width: 1280, height: 800 }, trouble);
    narrow = await visit(browser, demo, "demos/chat/?pull=websocket", { width: 360, height: 740, colorScheme: "dark" }, trouble);
    await Promise.all([live(wide, "WebSocket"), live(narrow, "Long-poll")]);
  });
  after(async () => {
    await browser?.close();
    await demo?.stop();
  });

  const seen = (page) => page.$$eval("#messages .message p", (all) => all.map((p) => p.textContent));

  async function say(page, text) {
    await page.fill("#text", text);
    await page.press("#text", "Enter");
  }

  // Both pages show what the journal holds, in its order, and nothing else.
  async function agree() {
    await until(20000, "every message has its outcome", async () => {
      const waiting = await Promise.all([wide, narrow].map((page) => page.locator("#sending > :not(.failed)").count()));
      return waiting.every((n) => n === 0);
    });
    const journal = await said(demo);
    for (const [page, name] of [[wide, "wide"], [narrow, "narrow"]]) {
      await until(20000, `all ${journal.length} messages in the ${name} page`, async () => {
        assert.deepEqual(await seen(page), journal);
        return true;
      }, 100);
    }
    return journal;
  }

  it("shows the same messages in the same order on both transports", async () => {
    for (const [page, name] of [[wide, "Maren"], [narrow, "Ole"]]) {
      await page.fill("#name", name);
      await page.press("#name", "Tab");
    }
    await say(wide, "Good morning! This window is on a WebSocket.");
    await until(5000, "it arrives", async () => (await seen(narrow)).length === 1);
    await say(narrow, "And this one polls, as if behind an old proxy.");
    await until(5000, "it arrives", async () => (await seen(wide)).length === 2);
    await Promise.all([wide, narrow].map(async (page, who) => {
      for (let n = 1; n <= 10; n++) await say(page, `${who ? "narrow" : "wide"} ${n} <b>&amp;</b> 🪸`);
    }));
    assert.equal((await agree()).length, 22);
    assert.equal(await wide.locator("#sending > *").count(), 0);
    assert.equal(await wide.locator("#messages .mine").count(), 11);
  });

  it("shows what the PHP example of the first page publishes", async () => {
    const index = await visit(browser, demo, "", {}, trouble);
    const code = await index.textContent("pre code");
    await index.context().close();
    await php(code.replace("sqlite:journal.db", `sqlite:${demo.journal}`));
    await agree();
    for (const page of [wide, narrow]) {
      const last = page.locator("#messages .message").last();
      assert.equal(await last.locator("b").textContent(), "PHP");
      assert.equal(await last.locator("p").textContent(), "Hello!");
    }
  });

  it("shows what the command publishes that ./demo suggests", async () => {
    const [, command] = /^publish from another terminal:\n +(.*)$/m.exec(demo.out);
    await run("sh", ["-c", command], { timeout: 10000 });
    await agree();
    assert.equal(await narrow.locator("#messages .message").last().locator("b").textContent(), "shell");
  });

  it("takes whatever somebody publishes", async () => {
    const odd = ["null", "7", "[]", "{}", '{"text":5}', '{"text":"no time","at":1e300,"name":{},"from":[],"id":{}}',
      '{"text":"no picture <img src=x onerror=alert(1)>","name":"  ","at":"x"}'];
    for (const payload of odd) {
      await demo.sql(`INSERT INTO messages(topic, event, payload) VALUES ('demo:lobby', 'message', '${payload}')`);
    }
    await agree();
    assert.equal(await narrow.locator("#messages img").count(), 0);
    assert.equal(await narrow.locator("#messages .message").last().locator("b").textContent(), "somebody");
    assert.deepEqual(trouble, []);
  });

  it("keeps who is here, here, while their transport changes", async () => {
    const here = () => narrow.$$eval("#people bdi", (all) => all.map((name) => name.textContent).sort().join());
    await until(10000, "both are here", async () => (await here()) === "Maren,Ole");
    await narrow.evaluate(() => {
      const people = document.querySelector("#people");
      window.left = 0;
      new MutationObserver(() => (window.left += !people.textContent.includes("Maren"))).observe(people, { childList: true });
    });
    for (const [there, transport] of [[false, "Long-poll"], [true, "WebSocket"]]) {
      await plug(wide, "WebSocket", there);
      await live(wide, transport);
    }
    await wide.fill("#name", "Maren B.");
    await wide.press("#name", "Tab");
    await until(5000, "her new name", async () => (await here()) === "Maren B.,Ole");
    assert.equal(await narrow.evaluate(() => window.left), 0);
  });

  it("goes on by long-poll without WebSocket and back, and catches up after both were pulled", async () => {
    await plug(wide, "WebSocket", false);
    await live(wide, "Long-poll");
    await say(narrow, "you poll too now");
    await agree();
    await plug(wide, "Long-poll", false);
    await say(narrow, "can you hear me?");
    await say(wide, "written in the dark");
    await sleep(1000);
    assert.equal(await wide.locator("#sending > *").count(), 1);
    await plug(wide, "Long-poll", true);
    await live(wide, "Long-poll");
    await agree();
    assert.deepEqual((await said(demo)).slice(-2), ["can you hear me?", "written in the dark"]);
    await plug(wide, "WebSocket", true);
    await live(wide, "WebSocket");
    for (const page of [wide, narrow]) assert.ok((await nothingLost(page)) > 20);
    await shot(wide, "chat-1280");
    await shot(narrow, "chat-360");
  });

  it("brings a newcomer what was said before", async () => {
    const page = await visit(browser, demo, "demos/chat/", {}, trouble);
    const last = (await said(demo)).slice(-50);
    await until(10000, "the last 50", async () => {
      assert.deepEqual((await seen(page)).slice(-last.length), last);
      return true;
    });
    await page.context().close();
  });

  it("loses, doubles and reorders nothing when the programs are killed", { timeout: 90000 }, async () => {
    const count = 150;
    const publishing = php(`
      $db = new PDO('sqlite:${demo.journal}');
      $db->exec('PRAGMA busy_timeout = 5000');
      for ($n = 1; $n <= ${count}; $n++) {
        $db->exec("INSERT INTO messages(topic, event, payload)
          VALUES ('demo:lobby', 'message', '{\\"name\\":\\"PHP\\",\\"text\\":\\"row $n\\"}')");
        usleep(40000);
      }`);
    const writing = (async () => {
      for (let n = 1; n <= 20; n++) {
        await Promise.all([say(wide, `wide, busy ${n}`), say(narrow, `narrow, busy ${n}`)]);
        await sleep(250);
      }
    })();
    for (const names of [["holdfast-gateway"], ["holdfast-sidecar"], ["holdfast-gateway", "holdfast-sidecar"]]) {
      await sleep(2200);
      for (const pid of names.flatMap((name) => demo.part(name))) {
        try {
          process.kill(pid, "SIGKILL");
        } catch {
          // a worker may be gone with its parent
        }
      }
    }
    await Promise.all([publishing, writing]);
    const journal = await agree();
    assert.deepEqual(journal.filter((text) => text.startsWith("row ")), Array.from({ length: count }, (_, i) => `row ${i + 1}`));
    for (const [page, who] of [[wide, "wide"], [narrow, "narrow"]]) {
      const mine = journal.filter((text) => text.startsWith(`${who}, busy`));
      const failed = await page.locator("#sending .failed p").allTextContents();
      assert.equal(new Set([...mine, ...failed]).size, 20, `${who}: ${mine.length} in the journal, ${failed.length} failed`);
      assert.equal(mine.length, new Set(mine).size);
    }
    await until(5000, "what was killed is back", () => demo.err.match(/started again/g)?.length === 4);
    // browsers write down what they could not reach
    assert.deepEqual(trouble.filter((text) => !/Failed to load resource|WebSocket connection to/.test(text)), []);
    for (const page of [wide, narrow]) await nothingLost(page);
    await shot(wide, "after-kills-1280");
    await shot(narrow, "after-kills-360");
  });

  it("ends with everything it started on Ctrl-C", async () => {
    let pids;
    await until(5000, "every part is there", () => {
      const parts = ["holdfast-gateway", "holdfast-sidecar", "lighttpd", "ticker.php"].map((name) => demo.part(name));
      pids = parts.flat();
      return parts.every((part) => part.length > 0);
    });
    assert.equal(await demo.stop("SIGINT"), 0, demo.said);
    for (const pid of pids) assert.ok(!existsSync(`/proc/${pid}`), `process ${pid} is gone`);
    assert.deepEqual(readdirSync(tmp), []);
    assert.equal(await isOpen(Number(new URL(demo.url).port)), false);
  });
});

describe("./demo", () => {
  it("explains itself, and what it does not understand", async () => {
    const help = new Demo(["--help"], tmp);
    assert.equal(await help.ended, 0);
    assert.match(help.out, /--port PORT.*--dir DIR/s);
    for (const args of [["--port"], ["--port", "0"], ["--port", "x"], ["--port", "65536"], ["--dir", ""], ["more"]]) {
      const wrong = new Demo(args, tmp);
      assert.equal(await wrong.ended, 2, args.join(" "));
      assert.match(wrong.err, /^demo: .*\nusage:/);
    }
  });

  it("says so when the port is taken", async () => {
    const other = net.createServer();
    await new Promise((done) => other.listen(0, "127.0.0.1", done));
    const { port } = other.address();
    const refused = new Demo(["--port", String(port)], tmp);
    assert.equal(await within(20000, "it gives up", refused.ended), 1);
    await new Promise((done) => other.close(done));
    assert.match(refused.err, new RegExp(`port ${port} is taken`));
    assert.deepEqual(readdirSync(tmp), []);
  });

  it("keeps a directory that it was given, and what is in it", async () => {
    const dir = join(tmp, "my journal");
    for (const count of [1, 2]) {
      const demo = new Demo(["--dir", dir], tmp);
      await demo.ready();
      await php(`(new PDO('sqlite:${demo.journal}'))->exec("INSERT INTO messages(topic, event, payload)
        VALUES ('demo:lobby', 'message', '{\\"text\\":\\"kept\\"}')");`);
      assert.equal((await said(demo)).length, count);
      assert.equal(await demo.stop(), 0, demo.said);
      assert.deepEqual(readdirSync(tmp), ["my journal"]);
    }
    rmSync(dir, { recursive: true });
  });

  it("tells why a part does not stay up, and ends", async () => {
    const demo = new Demo([], tmp);
    await demo.ready();
    for (let end = Date.now() + 20000; demo.code === undefined && Date.now() < end; await sleep(50)) {
      for (const pid of demo.part("holdfast-sidecar")) {
        try {
          process.kill(pid, "SIGKILL");
        } catch {
          // gone
        }
      }
    }
    assert.equal(demo.code, 1, demo.said);
    assert.match(demo.err, /sidecar does not stay up/);
    assert.deepEqual(readdirSync(tmp), []);
  });
});

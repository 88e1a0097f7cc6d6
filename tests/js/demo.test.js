// ./demo as a visitor sees it: two pages in a real browser, one on WebSocket
// and one forced to long-poll. Screenshots: build-demo/screenshots/.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { childrenOf } from "./lib/server.js";
import { sleep, until, within } from "./lib/wait.js";

const run = promisify(execFile);
const TOP = fileURLToPath(new URL("../..", import.meta.url));
const SHOTS = join(TOP, "build-demo", "screenshots");
const CHROMIUM = {
  executablePath: "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
};

const demos = new Set();
process.on("exit", () => demos.forEach((demo) => demo.child.kill("SIGTERM")));

class Demo {
  out = "";
  err = "";

  constructor(args, tmp) {
    this.child = spawn(join(TOP, "demo"), args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, TMPDIR: tmp },
    });
    demos.add(this);
    this.child.stdout.on("data", (part) => (this.out += part));
    this.child.stderr.on("data", (part) => (this.err += part));
    this.ended = new Promise((done) => {
      this.child.on("close", (code) => {
        demos.delete(this);
        this.code = code;
        done(code);
      });
    });
  }

  get said() {
    return `\n${this.out}${this.err}`;
  }

  async ready() {
    await until(300000, "./demo is ready", () => {
      assert.equal(this.code, undefined, this.said);
      return /^ready /m.test(this.out);
    }).catch((error) => {
      throw new Error(error.message + this.said);
    });
    this.url = /^ready (\S+)$/m.exec(this.out)[1];
    this.dir = /^journal directory (.+)$/m.exec(this.out)[1];
    this.journal = join(this.dir, "journal.db");
  }

  // Process ids of a part, its workers too.
  part(name) {
    const runs = (pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(name);
      } catch {
        return false; // ended while we looked
      }
    };
    const parents = childrenOf(this.child.pid).filter(runs);
    return parents.flatMap((pid) => [pid, ...childrenOf(pid)]);
  }

  async stop(signal = "SIGTERM") {
    this.child.kill(signal);
    return within(20000, "./demo ends", this.ended);
  }
}

// What the journal holds for the page, in its order.
async function said(demo) {
  const statement = "SELECT payload FROM messages WHERE topic = 'demo:lobby' AND event = 'message' ORDER BY id";
  const { stdout } = await run("sqlite3", ["-cmd", ".timeout 5000", demo.journal, statement]);
  const texts = stdout.trim().split("\n").filter(Boolean).map((line) => JSON.parse(line)?.text);
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

describe("the page of ./demo", () => {
  let demo;
  let browser;
  let wide; // 1280 pixels, light, WebSocket
  let narrow; // 360 pixels, dark, forced to long-poll
  const trouble = []; // what went wrong in a page

  before(async () => {
    mkdirSync(SHOTS, { recursive: true });
    demo = new Demo([], tmp);
    [browser] = await Promise.all([chromium.launch(CHROMIUM), demo.ready()]);
    wide = await visit({ width: 1280, height: 800 }, "light", "");
    narrow = await visit({ width: 360, height: 740 }, "dark", "?transport=longpoll");
  });
  after(async () => {
    await browser?.close();
    if (demo?.code === undefined) await demo?.stop();
  });

  async function visit(viewport, colorScheme, query) {
    const context = await browser.newContext({ viewport, colorScheme });
    const page = await context.newPage();
    page.on("pageerror", (error) => trouble.push(error.message));
    page.on("request", (request) => {
      if (!request.url().startsWith(demo.url) && !request.url().startsWith("data:")) trouble.push(request.url());
    });
    await page.goto(demo.url + query);
    await live(page, query ? "long-poll" : "WebSocket");
    return page;
  }

  const live = (page, transport) =>
    until(15000, `a page is on ${transport}`, async () => (await status(page)) === `Live · ${transport}`);
  const status = (page) => page.textContent("#status");
  const seen = (page) => page.$$eval("#messages .message p", (all) => all.map((p) => p.textContent));
  const shot = (page, name) => page.screenshot({ path: join(SHOTS, `${name}.png`) });

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

  it("loads nothing from elsewhere and has no room for a sideways scroll", async () => {
    for (const [page, width] of [[wide, 1280], [narrow, 360]]) {
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
      await shot(page, `empty-${width}`);
    }
    assert.deepEqual(trouble, []);
  });

  it("names every control", async () => {
    const roles = [["textbox", "Writing as"], ["textbox", "Message"], ["button", "Send"], ["switch", /Force long-poll/], ["log", "Messages"]];
    for (const [role, name] of roles) assert.equal(await wide.getByRole(role, { name }).count(), 1, String(name));
  });

  it("shows the same messages in the same order on both transports", async () => {
    await wide.fill("#name", "Maren");
    await narrow.fill("#name", "Ole");
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

  it("shows what its own PHP example publishes", async () => {
    const code = await wide.textContent("pre code");
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
      const statement = `INSERT INTO messages(topic, event, payload) VALUES ('demo:lobby', 'message', '${payload}')`;
      await run("sqlite3", ["-cmd", ".timeout 5000", demo.journal, statement]);
    }
    await agree();
    assert.equal(await narrow.locator("#messages img").count(), 0);
    assert.equal(await narrow.locator("#messages .message").last().locator("b").textContent(), "somebody");
    assert.deepEqual(trouble, []);
  });

  it("goes to long-poll by the switch, and back", async () => {
    const force = wide.getByRole("switch");
    await force.click();
    assert.equal(await force.getAttribute("aria-checked"), "true");
    await live(wide, "long-poll");
    await say(narrow, "you poll too now");
    await agree();
    await force.click();
    await live(wide, "WebSocket");
    await say(wide, "back again");
    await agree();
    await shot(wide, "chat-1280");
    await shot(narrow, "chat-360");
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
    assert.deepEqual(trouble, []);
    await shot(wide, "after-kills-1280");
    await shot(narrow, "after-kills-360");
  });

  it("ends with everything it started on Ctrl-C", async () => {
    let pids;
    await until(5000, "every part is there", () => {
      const parts = ["holdfast-gateway", "holdfast-sidecar", "lighttpd"].map((name) => demo.part(name));
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

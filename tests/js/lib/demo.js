// demo.js - ./demo, and its pages as visitors see them
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { childrenOf, freePort } from "./server.js";
import { until, within } from "./wait.js";

const run = promisify(execFile);
const TOP = fileURLToPath(new URL("../../..", import.meta.url));
const SHOTS = join(TOP, "build-demo", "screenshots");

const demos = new Set();
process.on("exit", () => demos.forEach((demo) => demo.child.kill("SIGTERM")));

export class Demo {
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

  // On a port that no other test looks at.
  static async start(tmp) {
    return new Demo(["--port", String(await freePort())], tmp).ready();
  }

  get said() {
    return `\n${this.out}${this.err}`;
  }

  async ready() {
    const ready = until(300000, "./demo is ready", () => this.code !== undefined || /^ready /m.test(this.out));
    await ready.catch((error) => assert.fail(error.message + this.said));
    assert.equal(this.code, undefined, this.said);
    this.url = /^ready (\S+)$/m.exec(this.out)[1];
    this.dir = /^journal directory (.+)$/m.exec(this.out)[1];
    this.journal = join(this.dir, "journal.db");
    return this;
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

  // What the journal holds of a topic and event, in its order.
  async rows(topic, event) {
    const statement = `SELECT payload FROM messages WHERE topic = '${topic}' AND event = '${event}' ORDER BY id`;
    const { stdout } = await run("sqlite3", ["-cmd", ".timeout 5000", this.journal, statement], { maxBuffer: 1e8 });
    return stdout.trim().split("\n").filter(Boolean).map((line) => JSON.parse(line));
  }

  async sql(statement) {
    await run("sqlite3", ["-cmd", ".timeout 5000", this.journal, statement]);
  }

  async stop(signal = "SIGTERM") {
    if (this.code !== undefined) return this.code;
    this.child.kill(signal);
    return within(20000, "./demo ends", this.ended);
  }
}

// A page of the demo. `trouble` gathers what went wrong in it: errors, what it
// wrote to the console, requests to elsewhere.
export async function visit(browser, demo, path, { width, height, colorScheme = "light", reducedMotion } = {}, trouble = []) {
  const viewport = { width: width ?? 1280, height: height ?? 800 };
  const context = await browser.newContext({ viewport, colorScheme, reducedMotion });
  const page = await context.newPage();
  page.on("pageerror", (error) => trouble.push(`${path}: ${error.message}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) trouble.push(`${path}: ${message.text()}`);
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(demo.url) && !url.startsWith("data:")) trouble.push(url);
  });
  await page.goto(demo.url + path);
  return page;
}

export const live = (page, transport, ms = 20000) =>
  until(ms, `a page is on ${transport}`, async () => (await page.textContent("#status")) === `Live · ${transport}`);

// Puts a plug in, or pulls it.
export async function plug(page, name, there) {
  const button = page.getByRole("switch", { name });
  if ((await button.getAttribute("aria-checked")) !== String(there)) await button.click();
  assert.equal(await button.getAttribute("aria-checked"), String(there));
}

// The page compares what it was called with to what the journal holds.
export async function nothingLost(page) {
  await page.evaluate(() => (document.querySelector("#panel details").open = true));
  return until(15000, "the journal holds what the page was called with", async () => {
    await page.evaluate(() => (document.querySelector("#verdict").textContent = ""));
    await page.click("#compare");
    await until(3000, "an answer", () => page.textContent("#verdict"));
    assert.match(await page.textContent("#verdict"), /^The journal has the same \d+, in the same order\.$/);
    assert.equal(await page.textContent("#lost"), "0");
    assert.equal(await page.textContent("#twice"), "0");
    return Number(/\d+/.exec(await page.textContent("#verdict"))[0]);
  }, 200);
}

export async function shot(page, name) {
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}

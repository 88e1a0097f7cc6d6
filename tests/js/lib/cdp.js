// cdp.js - Chromium by its own protocol, for what playwright keeps from a page:
// there each page believes that it is in front, timers of hidden ones are not
// held up, and the page cache is off. Here they are tabs of one window.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import WebSocket from "ws";
import { CHROMIUM } from "./browser.js";
import { own } from "./server.js";
import { until, within } from "./wait.js";

export class Chromium {
  #waiting = new Map(); // id of a command -> who waits for its answer
  #id = 0;
  #socket;

  static async start() {
    const browser = new Chromium();
    browser.dir = mkdtempSync(join(tmpdir(), "holdfast-chromium."));
    const own_ = ["--headless", "--remote-debugging-port=0", `--user-data-dir=${browser.dir}`];
    const args = [...CHROMIUM.args, ...own_, "about:blank"];
    browser.child = own(spawn(CHROMIUM.executablePath, args, { stdio: ["ignore", "ignore", "pipe"] }));
    let said = "";
    browser.child.stderr.on("data", (part) => (said += part));
    const where = () => /DevTools listening on (ws:\S+)/.exec(said)?.[1];
    await browser.#open(await until(20000, "Chromium listens", where));
    return browser;
  }

  async #open(url) {
    this.#socket = new WebSocket(url);
    this.#socket.on("message", (text) => {
      const { id, result, error } = JSON.parse(text);
      const [done, failed] = this.#waiting.get(id) ?? [];
      this.#waiting.delete(id);
      if (error) failed?.(new Error(error.message));
      else done?.(result);
    });
    await within(5000, "its protocol", new Promise((done) => this.#socket.on("open", done)));
  }

  send(method, params = {}, sessionId = undefined) {
    const id = ++this.#id;
    const answer = new Promise((done, failed) => this.#waiting.set(id, [done, failed]));
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    return within(10000, `${method} is answered`, answer);
  }

  // Another tab, which is in front then.
  async visit(url) {
    const { targetId } = await this.send("Target.createTarget", { url });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    return new Tab(this, targetId, sessionId);
  }

  async stop() {
    const ended = new Promise((done) => this.child.on("exit", done));
    await this.send("Browser.close").catch(() => this.child.kill("SIGKILL"));
    await within(10000, "Chromium ends", ended).catch(() => this.child.kill("SIGKILL"));
    this.#socket.close();
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

class Tab {
  constructor(browser, targetId, sessionId) {
    this.browser = browser;
    this.targetId = targetId;
    this.sessionId = sessionId;
  }

  send(method, params) {
    return this.browser.send(method, params, this.sessionId);
  }

  // What an expression, or the promise it gives, comes to in the page.
  async look(expression) {
    const options = { expression, returnByValue: true, awaitPromise: true };
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", options);
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
    return result.value;
  }

  front() {
    return this.browser.send("Target.activateTarget", { targetId: this.targetId });
  }

  // "frozen", or "active"; a hidden one only
  lifecycle(state) {
    return this.send("Page.setWebLifecycleState", { state });
  }

  async offline(offline) {
    await this.send("Network.enable");
    const speed = { latency: 0, downloadThroughput: -1, uploadThroughput: -1 };
    await this.send("Network.emulateNetworkConditions", { offline, ...speed });
  }
}

// The ticker of ./demo: rows that a PHP script inserts, drawn by two pages, one
// on each transport, while their plugs are pulled.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launch } from "./lib/browser.js";
import { Demo, live, nothingLost, plug, shot, visit } from "./lib/demo.js";
import { sleep, until } from "./lib/wait.js";

describe("the ticker of ./demo", () => {
  let tmp;
  let demo;
  let browser;
  let wide; // 1280 pixels, dark, WebSocket
  let narrow; // 360 pixels, light, without its WebSocket
  const trouble = [];

  before(async () => {
    tmp = mkdtempSync(join(tmpdir(), "holdfast-ticker."));
    [demo, browser] = await Promise.all([Demo.start(tmp), launch()]);
    wide = await visit(browser, demo, "demos/ticker/", { colorScheme: "dark" }, trouble);
    narrow = await visit(browser, demo, "demos/ticker/?pull=websocket", { width: 360, height: 740 }, trouble);
    await Promise.all([live(wide, "WebSocket"), live(narrow, "Long-poll")]);
  });
  after(async () => {
    await browser?.close();
    await demo?.stop();
    rmSync(tmp, { recursive: true, force: true });
  });

  const points = (page) => page.getAttribute("#line", "d").then((d) => (d?.match(/[ML]/g) ?? []).length);

  // Two pages that draw the same have the same line, but not at every moment.
  const alike = () =>
    until(15000, "both draw the same line", async () => {
      const [a, b] = await Promise.all([wide, narrow].map((page) => page.getAttribute("#line", "d")));
      assert.equal(a, b);
      return true;
    }, 50);

  it("draws the same on both transports, as it is published", async () => {
    await until(10000, "some points", async () => (await points(wide)) > 6);
    await alike();
    const last = (await demo.rows("demo:ticker", "prices")).at(-1).prices;
    assert.deepEqual(await wide.$$eval("#list b", (all) => all.map((b) => b.textContent)), Object.keys(last));
    for (const page of [wide, narrow]) assert.ok((await nothingLost(page)) > 5);
  });

  it("shows another price when it is chosen, by its keys too", async () => {
    await wide.getByRole("radio").first().focus();
    await wide.keyboard.press("ArrowDown");
    await until(2000, "it is another", async () => (await wide.textContent("#name")) === "Coral");
    assert.match(await wide.getAttribute("#lines", "aria-label"), /^Coral: \d+\.\d\d, [▲▼] /);
    await wide.keyboard.press("ArrowUp");
  });

  it("goes on by long-poll without a gap when the WebSocket's plug is pulled, and back", async () => {
    await plug(wide, "WebSocket", false);
    await live(wide, "Long-poll");
    await sleep(1500);
    await alike();
    await nothingLost(wide);
    await plug(wide, "WebSocket", true);
    await live(wide, "WebSocket");
    await sleep(1500);
    await alike();
    await nothingLost(wide);
  });

  it("catches up, and says what it had missed, when both were pulled", async () => {
    await plug(narrow, "Long-poll", false);
    const before = await points(narrow);
    await sleep(4500);
    assert.equal(await points(narrow), before);
    await plug(narrow, "Long-poll", true);
    await live(narrow, "Long-poll");
    await until(10000, "it says what it had missed", () => narrow.isVisible("#caught"));
    await alike();
    assert.ok((await nothingLost(narrow)) >= before + 8);
    assert.ok(await wide.isHidden("#caught"));
    await shot(wide, "ticker-1280");
    await shot(narrow, "ticker-360");
    assert.deepEqual(trouble, []);
  });

  it("nobody but the script says prices", async () => {
    const refused = await wide.evaluate(async () => {
      const { Socket } = await import("/holdfast.js");
      const socket = new Socket("/socket", { tabs: false });
      const channel = socket.channel("demo:ticker");
      socket.connect();
      const reason = await new Promise((done) => {
        channel.join();
        channel.push("prices", { at: 0, prices: {} }).receive("ok", () => done("ok")).receive("error", (e) => done(e.reason));
      });
      socket.disconnect();
      return reason;
    });
    assert.equal(refused, "unauthorized");
  });

  it("the script goes on where it was killed", async () => {
    const rows = () => demo.rows("demo:ticker", "prices");
    const [pid] = demo.part("ticker.php");
    process.kill(pid, "SIGKILL");
    await until(5000, "it is started again", () => /ticker started again/.test(demo.err));
    const count = (await rows()).length;
    await until(5000, "there are more prices", async () => (await rows()).length > count + 1);
    // no price jumps by a twentieth, neither at the restart nor elsewhere
    const all = (await rows()).map((row) => row.prices.Kelp);
    for (const [i, price] of all.slice(1).entries()) assert.ok(Math.abs(price / all[i] - 1) < 0.05, `${all[i]}, then ${price}`);
  });
});

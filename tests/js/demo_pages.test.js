// Each page of ./demo on a phone and on a screen, by day and by night: it fits,
// axe finds nothing that keeps anybody out, it is quiet where that is asked for.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launch } from "./lib/browser.js";
import { Demo, live, shot, visit } from "./lib/demo.js";
import { sleep, until } from "./lib/wait.js";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const DEMOS = ["chat", "ticker", "game"];

let tmp;
let demo;
let browser;

before(async () => {
  tmp = mkdtempSync(join(tmpdir(), "holdfast-pages."));
  [demo, browser] = await Promise.all([Demo.start(tmp), launch()]);
});
after(async () => {
  await browser?.close();
  await demo?.stop();
  rmSync(tmp, { recursive: true, force: true });
});

// What axe has to say, of all rules of WCAG 2.2 A and AA and its best practices.
async function faults(page) {
  await page.addScriptTag({ path: AXE });
  const { violations } = await page.evaluate(() => axe.run({ reporter: "v2" }));
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html} ${node.failureSummary}`));
}

// Parts of the page that lie on one another, or hold more than they have room for;
// run in the page.
function crowded() {
  const parts = [...document.querySelectorAll("body > *, main > *")].filter((part) => part.checkVisibility());
  const boxes = parts.map((part) => [part, part.getBoundingClientRect()]);
  const meet = (x, y) => x.right > y.left + 1 && y.right > x.left + 1 && x.bottom > y.top + 1 && y.bottom > x.top + 1;
  const named = (part) => part.outerHTML.slice(0, 60);
  const over = boxes.flatMap(([a, x], n) =>
    boxes.slice(n + 1).filter(([b, y]) => a.parentNode === b.parentNode && meet(x, y)).map(([b]) => `${named(a)} and ${named(b)}`),
  );
  const full = parts.filter((part) => {
    const scrolls = ["auto", "scroll"].includes(getComputedStyle(part).overflowY);
    return !scrolls && part.scrollHeight > part.clientHeight + 1;
  });
  return [...over, ...full.map(named)];
}

// Something to see in each of them.
const LIVELY = {
  async chat(page) {
    await page.fill("#text", "Is anybody here?");
    await page.press("#text", "Enter");
    await until(5000, "it is said", () => page.locator("#messages .message.mine").count());
  },
  ticker: (page) => until(5000, "a price", async () => Number(await page.textContent("#price")) > 0),
  async game(page) {
    await sleep(1000); // what was played before has come
    if (await page.isVisible("#deal")) await page.click("#deal");
    await until(5000, "tiles are dealt", () => page.isHidden("#over"));
    await page.locator('#board [data-state="down"]').first().click();
    await until(5000, "one is up", () => page.locator('#board [data-state="up"]').count());
  },
};

for (const [width, height] of [[360, 740], [1280, 800]]) {
  for (const colorScheme of ["light", "dark"]) {
    describe(`at ${width} pixels, ${colorScheme}`, () => {
      for (const name of DEMOS) {
        it(`${name} fits, and keeps nobody out`, async () => {
          const trouble = [];
          const page = await visit(browser, demo, `demos/${name}/`, { width, height, colorScheme }, trouble);
          await live(page, "WebSocket");
          await LIVELY[name](page);
          for (const open of [true, false]) {
            const tall = open ? height - 140 : height;
            await page.setViewportSize({ width, height: tall });
            await page.evaluate((open) => (document.querySelector("#panel details").open = open), open);
            assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
            assert.equal(await page.evaluate(() => document.documentElement.scrollHeight), tall);
            assert.deepEqual(await page.evaluate(crowded), []);
            assert.deepEqual(await faults(page), []);
          }
          await shot(page, `${name}-${width}-${colorScheme}`);
          await page.context().close();
          assert.deepEqual(trouble, []);
        });
      }

      it("the first page fits, and leads to each of them", async () => {
        const trouble = [];
        const page = await visit(browser, demo, "", { width, height, colorScheme }, trouble);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
        assert.deepEqual(await faults(page), []);
        const links = await page.$$eval("a", (all) => Promise.all(all.map(async (a) => [a.href, (await fetch(a.href)).status])));
        assert.ok(links.length >= 7);
        for (const [href, status] of links) assert.equal(status, 200, href);
        await shot(page, `index-${width}-${colorScheme}`);
        await page.context().close();
        assert.deepEqual(trouble, []);
      });

      it("two stand side by side, one on each transport", async () => {
        const trouble = [];
        const page = await visit(browser, demo, "demos/both.html?chat", { width, height, colorScheme }, trouble);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
        const [left, right] = await until(5000, "both frames", () => page.frames().length === 3 && page.frames().slice(1));
        await Promise.all([live(left, "WebSocket"), live(right, "Long-poll")]);
        assert.notEqual(await left.inputValue("#name"), await right.inputValue("#name"));
        await left.fill("#text", `from the left, at ${width} ${colorScheme}`);
        await left.press("#text", "Enter");
        await until(5000, "it arrives", async () => {
          const last = await right.locator("#messages .message p").last().textContent();
          return last === `from the left, at ${width} ${colorScheme}`;
        });
        for (const frame of [left, right])
          assert.equal(await frame.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0);
        await shot(page, `both-${width}-${colorScheme}`);
        await page.context().close();
        assert.deepEqual(trouble, []);
      });
    });
  }
}

describe("by keyboard alone, and without motion", () => {
  for (const name of DEMOS) {
    it(`every control of ${name} is reached, and seen to be`, async () => {
      const page = await visit(browser, demo, `demos/${name}/`, { reducedMotion: "reduce" });
      await live(page, "WebSocket");
      await LIVELY[name](page);
      const wanted = new Set(await page.$$eval(
        "a[href], button:not([tabindex='-1']), input, summary, [tabindex='0']",
        (all) => all
          .filter((e) => e.checkVisibility() && !(e.type === "radio" && !e.checked))
          .map((e, n) => (e.dataset.control = `${n} ${e.tagName} ${e.textContent || e.ariaLabel}`)),
      ));
      await page.evaluate(() => document.activeElement.blur());
      for (let n = wanted.size + 3; n > 0; n--) {
        await page.keyboard.press("Tab");
        const [control, seen] = await page.evaluate(() => {
          const e = document.activeElement;
          const shown = (x) => x && getComputedStyle(x).outlineStyle !== "none";
          return [e.dataset.control, shown(e) || shown(e.closest("label")) || shown(e.querySelector("svg"))];
        });
        if (wanted.delete(control)) assert.ok(seen, `it is seen where we are: ${control}`);
      }
      assert.deepEqual([...wanted], []);
      assert.deepEqual(await page.evaluate(() => document.getAnimations().map((a) => a.animationName)), []);
      await page.context().close();
    });
  }
});

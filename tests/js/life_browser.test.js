// www/holdfast.js in a real Chromium whose pages are hidden, frozen, offline and
// left, while a program publishes all the time: nothing lost, doubled or out of
// order, and no connection given up that was in order.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Chromium } from "./lib/cdp.js";
import { Server, sleep, until } from "./lib/server.js";

const PAGE = `<!doctype html>
<title>a page</title>
<script type="module">
  import { Socket } from "/www/holdfast.js";
  const options = Object.fromEntries(new URLSearchParams(location.search));
  if (options.tabs) options.tabs = options.tabs === "true";
  const socket = new Socket("/socket", options);
  const channel = socket.channel("room:life");
  Object.assign(window, { socket, channel, heard: [], changes: [], events: [], ticks: 0 });
  socket.onChange((state, { number }) => changes.push([state, number]));
  channel.on("n", ({ n }) => heard.push(n));
  channel.onGap(() => events.push("gap"));
  for (const type of ["online", "offline", "pageshow", "pagehide"])
    addEventListener(type, ({ persisted }) => events.push(persisted ? type + " persisted" : type));
  for (const type of ["visibilitychange", "freeze", "resume"])
    document.addEventListener(type, () => events.push(type + " " + document.visibilityState));
  setInterval(() => ticks++, 100);
  channel.join();
  socket.connect();
</script>`;

let server;
let stream; // publishes until it is told to end
let ended = false;
let published = 0;

before(async () => {
  server = await Server.start({ pages: true });
  writeFileSync(join(server.top, "page.html"), PAGE);
  writeFileSync(join(server.top, "other.html"), "<!doctype html><title>another page</title>");
  stream = (async () => {
    while (!ended) {
      const n = ++published;
      await server.sql(`INSERT INTO messages(topic, event, payload) VALUES ('room:life', 'n', '{"n":${n}}')`);
      await sleep(60);
    }
  })();
});
after(async () => {
  ended = true;
  await stream?.catch(() => {});
  await server?.stop();
});

const url = (options) => `http://127.0.0.1:${server.port}/page.html?${new URLSearchParams(options)}`;

async function visit(browser, options) {
  const tab = await browser.visit(url(options));
  await until(10000, "it hears", () => tab.look("heard.length > 3"));
  await tab.look("changes.length = events.length = 0");
  return tab;
}

// All that was published so far since its first, each once and in order.
async function complete(tab, ms = 10000) {
  const last = published;
  await until(ms, `it has heard ${last}`, async () => {
    const newest = await tab.look("heard.at(-1)");
    assert.ok(newest >= last, `it has heard ${newest} of ${last}, ${await tab.look("JSON.stringify([socket.state, changes, events])")}`);
    return true;
  }, 100);
  const heard = await tab.look("heard");
  assert.deepEqual(heard, heard.map((_, i) => heard[0] + i));
}

const changes = (tab) => tab.look("changes");
const events = (tab) => tab.look("events");

// Each in a browser of its own, at the same time: it is mostly waiting.
describe("a page in Chromium", { concurrency: 2 }, () => {
  for (const transport of ["websocket", "longpoll"]) {
    describe(`over ${transport}`, { concurrency: 1 }, () => {
      let browser;
      let front; // whose being there hides the others
      before(async () => {
        browser = await Chromium.start();
      });
      after(() => browser?.stop());

      async function hide() {
        front ??= await browser.visit(`http://127.0.0.1:${server.port}/other.html`);
        await front.front();
      }

      it("comes back complete from the page cache", { timeout: 60000 }, async () => {
        for (const options of [{ transport, tabs: false }, { transport }]) {
          const tab = await visit(browser, options);
          for (let time = 0; time < 2; time++) {
            await tab.look("location.href = '/other.html'");
            await until(5000, "the other page", () => tab.look("document.title === 'another page'"));
            await sleep(1500);
            await tab.look("history.back()").catch(() => {});
            await until(5000, "the page itself, as it was", () => tab.look("window.heard?.length > 3"));
            await complete(tab);
            assert.ok((await events(tab)).includes("pageshow persisted"), JSON.stringify(options));
            assert.equal(await tab.look("socket.state"), "open");
          }
          const why = await tab.look("JSON.stringify(performance.getEntriesByType('navigation')[0].notRestoredReasons)");
          assert.equal(why, "null");
          assert.ok(!(await events(tab)).includes("gap"));
          await tab.look("socket.disconnect()");
        }
      });

      it("comes back complete after it was frozen", { timeout: 60000 }, async () => {
        const tab = await visit(browser, { transport, tabs: false });
        await hide();
        for (const ms of [1000, 12000]) {
          await tab.lifecycle("frozen");
          await sleep(ms);
          await tab.lifecycle("active");
          await complete(tab);
        }
        const told = await events(tab);
        assert.equal(told.filter((event) => event.startsWith("freeze")).length, 2, String(told));
        await tab.front();
        await complete(tab);
        // Chromium ends WebSockets of a page that it freezes
        if (transport === "longpoll") assert.deepEqual(await changes(tab), []);
        assert.equal(await tab.look("socket.state"), "open");
        await tab.look("socket.disconnect()");
      });

      it("comes back complete after it was offline", { timeout: 60000 }, async () => {
        const tab = await visit(browser, { transport, tabs: false });
        for (const ms of [500, 8000]) {
          await tab.offline(true);
          await sleep(ms);
          await tab.offline(false);
          await complete(tab);
          assert.equal(await tab.look("socket.state"), "open");
        }
        const told = await events(tab);
        for (const event of ["offline", "online"])
          assert.equal(told.filter((other) => other === event).length, 2, String(told));
        await tab.look("socket.disconnect()");
      });

      it("hears all while it is hidden and held up, and stays connected", { timeout: 180000 }, async () => {
        const tab = await visit(browser, { transport, tabs: false });
        const ticks = async (ms) => {
          const begun = await tab.look("ticks");
          await sleep(ms);
          return (await tab.look("ticks")) - begun;
        };
        await hide();
        await until(5000, "it is hidden", () => tab.look("document.hidden"));
        assert.ok((await ticks(5000)) <= 7, "timers once a second");
        await complete(tab, 3000);
        await sleep(65000); // two heartbeats, and more than the server waits for one
        await complete(tab, 3000);
        await tab.front();
        await complete(tab);
        assert.deepEqual(await changes(tab), []);
        await tab.look("socket.disconnect()");
      });
    });
  }
});

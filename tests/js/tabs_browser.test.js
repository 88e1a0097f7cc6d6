// Ten tabs of a real Chromium before the real programs: one connection, counted
// by the browser and by the side-car, and nothing lost when the tab that has it
// is closed while a program publishes.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { launch } from "./lib/browser.js";
import { Server, sleep, until } from "./lib/server.js";

const PAGE = `<!doctype html>
<title>a tab</title>
<script type="module">
  import { Socket } from "/www/holdfast.js";
  const options = Object.fromEntries(new URLSearchParams(location.search));
  if (options.tabs) options.tabs = options.tabs === "true";
  const socket = new Socket("/socket", options);
  const channel = socket.channel("room:tabs");
  Object.assign(window, { socket, channel, heard: [], answers: [], reasons: [] });
  socket.onChange((state, { number }) => reasons.push(number));
  channel.on("n", ({ n }) => heard.push(n));
  channel.join();
  socket.connect();
  window.say = (n) => channel.push("n", { n }).receive("ok", () => answers.push(n));
</script>`;

let server;
let browser;
before(async () => {
  server = await Server.start({ pages: true, conf: { sidecar: { monitor: "unix:monitor.sock" } } });
  writeFileSync(join(server.top, "tab.html"), PAGE);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

// Clients that the server has: on WebSockets "ws", or whose "poll" it holds.
async function clients(kind) {
  const text = await new Promise((done, fail) => {
    const get = { socketPath: join(server.dir, "monitor.sock"), path: "/metrics" };
    http.get(get, async (response) => done((await response.toArray()).join(""))).on("error", fail);
  });
  return Number(new RegExp(`^holdfast_connections\\{transport="${kind}"\\} (\\d+)`, "m").exec(text)?.[1]);
}

const journal = async () =>
  (await server.sql("SELECT payload FROM messages WHERE topic = 'room:tabs' ORDER BY id")).map(
    ({ payload }) => JSON.parse(payload).n,
  );

for (const transport of ["websocket", "longpoll"]) {
  describe(`ten tabs over ${transport}`, () => {
    let context;
    const tabs = [];
    let from; // rows of the journal before us
    before(async () => {
      from = (await journal()).length;
      context = await browser.newContext();
      for (let i = 0; i < 10; i++) {
        const tab = await context.newPage();
        await tab.goto(`http://127.0.0.1:${server.port}/tab.html?transport=${transport}`);
        tabs.push(tab);
        await until(10000, "it is joined", () => tab.evaluate(() => channel.isJoined()));
      }
    });
    after(() => context?.close());

    const one = async () => {
      assert.equal(await clients(transport === "websocket" ? "ws" : "poll"), 1);
      return true;
    };
    const agree = async () => {
      const wanted = (await journal()).slice(from);
      for (const tab of tabs)
        await until(10000, `${wanted.length} messages in each tab`, async () => {
          assert.deepEqual(await tab.evaluate(() => heard), wanted);
          return true;
        });
      return wanted;
    };

    it("have one connection", () => until(10000, "one connection", one));

    it("speak and hear through it", async () => {
      await Promise.all(tabs.map((tab, i) => tab.evaluate((n) => [0, 1, 2].forEach((k) => say(n + k)), i * 10)));
      await until(10000, "all is answered", async () => {
        const answers = await Promise.all(tabs.map((tab) => tab.evaluate(() => answers)));
        answers.forEach((own, i) => assert.deepEqual(own, [0, 1, 2].map((k) => i * 10 + k)));
        return true;
      });
      assert.equal((await agree()).length, 30);
    });

    it("go on when the one that has it is closed, and lose nothing", { timeout: 60000 }, async () => {
      let ended = false;
      let n = 1000;
      const stream = (async () => {
        while (!ended) {
          await server.sql(`INSERT INTO messages(topic, event, payload) VALUES ('room:tabs', 'n', '{"n":${++n}}')`);
          await sleep(20);
        }
      })();
      for (let round = 0; round < 4; round++) {
        await sleep(1000);
        const leads = await Promise.all(tabs.map((tab) => tab.evaluate(() => reasons.lastIndexOf(50) > reasons.lastIndexOf(51))));
        const leader = leads.indexOf(true);
        assert.ok(leader >= 0, "somebody leads");
        const [tab] = tabs.splice(leader, 1);
        await tab.close();
      }
      await sleep(1500);
      ended = true;
      await stream;
      assert.ok((await agree()).length > 60);
      await until(20000, "one connection", one);
      for (const tab of tabs) assert.equal(await tab.evaluate(() => socket.state), "open");
    });
  });
}

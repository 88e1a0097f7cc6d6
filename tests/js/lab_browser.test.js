// What networks do to pages, in a real Chromium: the main harms of lib/lab.js, and
// forward proxies as the browser's own. The client's timers run five times as fast.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { launch } from "./lib/browser.js";
import { cases, inBrowser, Scene, Scribe } from "./lib/lab.js";
import { Proxies } from "./lib/proxies.js";
import { Server, within } from "./lib/server.js";

const HURRY = 5;
const LIMITS = { useful: 25000, back: 110000 };
const MAIN = [
  "upgrades are refused (403), start",
  "upgrades hang, start",
  "WebSockets open and are mute, start",
  "WebSockets open and are mute, later",
  "... mute upwards, later",
  "WebSockets are cut after 1 s, later",
  "POSTs are swallowed, polls pass, WebSockets are back, later",
  "polls are doubled, no WebSockets, start",
  "a hotel's page, whatever is asked for, later",
  "a storm of 502, start",
  "another address, later",
];

const lab = {};
let browser;
const proxies = [];
before(async () => {
  const conf = { gateway: { hold: "3s" }, http: { push_burst: 1000 } };
  lab.server = await Server.start({ conf, pages: true });
  lab.writer = new Scribe(lab.server);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  for (const proxy of proxies) await proxy.end();
  await lab.writer?.end();
  await lab.server?.stop();
});

// A page of the same origin, which has the client; what it shows does not matter.
const pageBy = (options) => async (endpoint) => {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  await page.goto(`${endpoint.replace("ws:", "http:").replace("/socket", "")}/www/package.json`);
  await page.evaluate(() => import("/www/holdfast.js").then(() => {}));
  return page;
};

async function play(client, harm, when, t) {
  const scene = await Scene.laid(lab, client, { rowEvery: 80, pushEvery: 400 });
  try {
    const { useful, answered, back } = await within(200000, "the scene", scene.through(harm, when, LIMITS));
    await scene.quiet(30000);
    const { rows, pushes, down, up, statuses } = await scene.count();
    const nothing = { lost: [], doubled: [], disordered: [] };
    assert.deepEqual(down, nothing, "what the page was told");
    assert.deepEqual(up, nothing, "what the page has pushed");
    assert.deepEqual([...statuses], [["ok", pushes]]);
    t.diagnostic(
      `first message ${useful} ms, first answer ${answered} ms, WebSocket again ${back} ms; ${rows} rows, ${pushes} pushes`,
    );
  } catch (error) {
    error.message += `\n${scene.story}`;
    throw error;
  } finally {
    await scene.end();
  }
}

describe("Chromium in a network that goes bad and good again", { concurrency: 12 }, () => {
  const known = new Map(cases().map(({ harm, when }) => [`${harm.name}, ${when}`, { harm, when }]));
  for (const name of MAIN) {
    it(name, async (t) => {
      const { harm, when } = known.get(name);
      await play(inBrowser(pageBy({}), { hurry: HURRY }), harm, when, t);
    });
  }
});

describe("Chromium with a proxy", { concurrency: 2 }, () => {
  for (const name of ["squid-forward", "tinyproxy-forward"]) {
    it(`${name}: no tunnel for a WebSocket, so it polls`, async (t) => {
      const proxy = await Proxies.start(name, lab.server.port);
      proxies.push(proxy);
      const by = pageBy({ proxy: { server: `http://127.0.0.1:${proxy.ports.FORWARD}` } });
      const client = inBrowser(by, { hurry: HURRY });
      const scene = await Scene.laid(lab, client, { rowEvery: 80, pushEvery: 400 });
      try {
        await scene.load();
        scene.connect();
        const useful = await scene.useful(25000);
        assert.equal(scene.page.transport(), "longpoll");
        await scene.answered(10000);
        await scene.quiet(20000);
        const { down, up, rows } = await scene.count();
        assert.deepEqual([down, up], Array(2).fill({ lost: [], doubled: [], disordered: [] }));
        t.diagnostic(`first message ${useful} ms, ${rows} rows`);
      } finally {
        await scene.end();
      }
    });
  }
});

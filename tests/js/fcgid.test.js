// What a user of mod_fcgid may expect beside what every host does: that messages
// get through while polls are held and more people wait, that processes come and
// go, and that an upgrade is one rename.
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { chmodSync, copyFileSync, readlinkSync, renameSync } from "node:fs";
import { Crowd, listen } from "./lib/crowd.js";
import { apache, Host, NOBODY } from "./lib/hosts.js";
import { answer } from "./lib/phoenix.js";
import { Poller } from "./lib/poll.js";
import { sleep, told, until } from "./lib/server.js";

const RECIPE = {
  front: apache("PREFORK", "FCGID"),
  account: NOBODY,
  recipe: "apache-fcgid.conf",
  gateway: "spawned",
};

// A test with a host of its own.
const on = (spec, body) => async (t) => {
  const host = await Host.start({ ...RECIPE, ...spec });
  try {
    await told(() => host, () => body(host, t))(t);
  } catch (error) {
    await host.abandon();
    throw error;
  }
  await host.stop();
};

const open = (host) => new Poller(host.port, { query: "vsn=2.0.0&paced=1" }).open();

// Of the program that is in place now, and not of one that was there before.
const current = (host) =>
  host.gatewayPids().filter((pid) => readlinkSync(`/proc/${pid}/exe`) === host.gatewayFile);

describe("mod_fcgid", { concurrency: true }, () => {
  it(
    "a push is answered promptly while polls are held and more clients wait",
    on({}, async (host, t) => {
      const where = "room:many";
      const crowd = await Crowd.gather(host, where, { ours: 30, since: 0, plain: 0 });
      try {
        const writer = await open(host);
        await writer.join("room:other");
        const took = [];
        for (let n = 1; n <= 20; n++) {
          const begun = performance.now();
          const frame = ["1", String(n + 1), "room:other", "n", { n }];
          assert.deepEqual(await writer.post([frame]), { status: 200 });
          took.push(Math.round(performance.now() - begun));
          await sleep(200);
        }
        took.sort((a, b) => a - b);
        t.diagnostic(`POST: half within ${took[10]} ms, all within ${took.at(-1)} ms; ${host.gatewayPids().length} processes`);
        assert.ok(took.at(-1) < 2000, `${took}`);
        const begun = performance.now();
        await host.publish(where, "n", { n: 1 });
        await crowd.heard(1);
        t.diagnostic(`all 30 have heard after ${Math.round(performance.now() - begun)} ms`);
      } finally {
        await crowd.leave();
      }
    }),
  );

  it(
    "a push over its limit of 131,072 bytes has no effect, and the page goes on",
    on({}, async (host) => {
      for (const kind of ["ours", "since"]) {
        const page = listen(host, `room:large-${kind}`, kind, "longpoll");
        try {
          assert.equal((await page.joined).status, "ok");
          const { status } = await answer(page.channel.push("n", { n: 1, x: "x".repeat(140000) }, 6000), 20000);
          assert.equal(status, "timeout", kind);
          await until(20000, "it has joined again", () => page.joins > 1);
          assert.equal((await answer(page.channel.push("n", { n: 2 }, 40000), 45000)).status, "ok");
          await until(8000, "it has heard its push", () => page.heard.length > 0);
          assert.deepEqual(page.heard, [2]);
        } finally {
          await page.end();
        }
      }
    }),
  );

  it(
    "a program that is replaced by a rename serves the next request",
    on({}, async (host) => {
      await open(host);
      assert.equal(current(host).length, 1);
      const next = host.path("next");
      copyFileSync(host.gatewayFile, next);
      chmodSync(next, 0o755);
      renameSync(next, host.gatewayFile);
      assert.equal(current(host).length, 0);
      await open(host);
      assert.equal(current(host).length, 1);
    }),
  );

  // Debian's: after 300 s, looked at every 120 s, and three stay.
  const soon = "\nFcgidIdleTimeout 2\nFcgidIdleScanInterval 1\nFcgidMinProcessesPerClass 0\n";
  it(
    "processes that nobody needs end, and others take their place",
    on({ edit: (text, name) => (name === RECIPE.recipe ? text + soon : text) }, async (host) => {
      for (let n = 0; n < 2; n++) {
        const poller = await open(host);
        await poller.join(`room:${n}`);
        assert.ok(host.gatewayPids().length > 0);
        await until(12000, "all have ended", () => host.gatewayPids().length === 0);
      }
    }),
  );
});

// On a shared host that refuses the 21st dynamic request at once, the site that
// the chat lives beside must not notice the chat. Short forms of some of the runs
// of bench/holds.mjs, which judges the times too; and the same with a budget that
// counts for nothing, which must go wrong.
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { request } from "./lib/http.js";
import { SharedHost } from "./lib/shared_host.js";
import { simulate, UNBOUNDED } from "./lib/simulation.js";
import { until, within } from "./lib/wait.js";

const SHORT = { baseline: 2, joining: 3, settle: 8, window: 8, last: 30, after: 0 };

async function run(t, { times, ...options }) {
  const result = await within(100000, "the run", simulate({ times: { ...SHORT, ...times }, ...options }));
  const { site, chat } = result;
  t.diagnostic(
    `site ${site.all.refused} of ${site.all.asked} refused, p95 ${site.alone.p95} -> ${site.beside.p95} ms; ` +
      `polls ${chat.pollsPerSecond.toFixed(1)} a second, ${chat.held} held, ${chat.pollsRefused} refused`,
  );
  assert.equal(result.filesRefused, 0);
  assert.deepEqual(result.wrong, []);
  return result;
}

it("the host refuses what is beyond its limit, and no file", { timeout: 60000 }, async () => {
  const host = await SharedHost.start({ limit: 5 });
  try {
    const ask = (path) => request({ port: host.port, path });
    const pages = await Promise.all(Array.from({ length: 12 }, (_, n) => ask(`/index.php?n=${n}`)));
    const files = await Promise.all(Array.from({ length: 12 }, () => ask("/style.css")));
    const count = (status) => pages.filter((page) => page.status === status).length;
    assert.ok(count(200) >= 5, `${count(200)} pages`);
    assert.ok(count(508) >= 1 && count(200) + count(508) === 12, `${count(508)} refusals`);
    assert.match(pages.find(({ status }) => status === 508).body, /^<!DOCTYPE html>/);
    assert.ok(files.every(({ status }) => status === 200));
    assert.match((await ask("/socket/longpoll?vsn=2.0.0")).body, /^\{"status":410,/);
    await until(5000, "the log has all requests", () => host.requests().length >= 25);
    assert.equal(host.requests().length, 25);
  } catch (error) {
    error.message += host.logs();
    throw error;
  } finally {
    await host.stop();
  }
});

// Where other work leaves a request no time, requests pile up whatever anybody
// holds: then the next run is to show it.
async function inSomeRun(t, options, holds) {
  for (let tries = 1; ; tries++) {
    const result = await run(t, options);
    if (tries === 3 || holds(result)) return result;
  }
}

describe("beside a chat, on a shared host", { timeout: 400000 }, () => {
  it("five of our clients hold their polls, hear at once, and no page is refused", async (t) => {
    const { site, chat, connected, late, rows, delays } = await inSomeRun(
      t,
      { clients: 5, mix: "ours" },
      (result) => result.site.beside.refused === 0 && result.delays.ours?.p50 < 150,
    );
    // without a bell it is half a second, a quarter on the average
    assert.ok(delays.ours.p50 < 150, `half of the rows took ${delays.ours.p50} ms`);
    assert.ok(site.beside.asked >= 70, `${site.beside.asked} pages were asked for`);
    assert.equal(site.beside.refused, 0);
    assert.ok(chat.held > 0);
    assert.ok(rows > 0);
    assert.equal(connected.ours, 5);
    assert.deepEqual(late, []);
  });

  it("of fifty, half of them stock clients, some hold, and all hear everything", async (t) => {
    const { site, connected, chat, late, held, neverAdmitted } = await inSomeRun(
      t,
      { clients: 50, mix: "half" },
      (result) => result.site.beside.refusedShare < 0.05,
    );
    assert.ok(site.beside.refusedShare < 0.05, `${site.beside.refused} of ${site.beside.asked} pages were refused`);
    assert.ok(held >= 2 && held < 16, `${held} polls were held`);
    assert.equal(connected.ours, 25);
    assert.ok(connected.stock > 0);
    assert.ok(neverAdmitted.stock > 0);
    assert.ok(chat.pollsPerClientAndSecond.ours <= 2, "ours wait until they are asked to come");
    assert.deepEqual(late, []);
  });

  it("without the budget the site is down: these tests can fail", async (t) => {
    const { site, connected } = await run(t, { clients: 50, mix: "half", conf: UNBOUNDED, times: { last: 0 } });
    assert.ok(site.beside.refusedShare > 0.3, `${site.beside.refused} of ${site.beside.asked} pages were refused`);
    assert.ok(connected.ours + connected.stock < 45);
  });
});

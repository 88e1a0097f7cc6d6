// What networks do to pages, and that none of it costs a message: www/holdfast.js
// behind the middlebox, before real programs (lib/lab.js).
//
// The client's timers run five times as fast as in life, or as HOLDFAST_LAB_HURRY
// says; with 1 it takes some minutes (`make check-all`).
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import WS from "ws";
import * as module from "../../www/holdfast.js";
import { cases, compare, holdfast, Scene, Scribe } from "./lib/lab.js";
import { Server, sleep, within } from "./lib/server.js";

const HURRY = Number(process.env.HOLDFAST_LAB_HURRY ?? 5);
const LIMITS = { useful: 75000 / HURRY + 10000, back: 500000 / HURRY + 10000 };

const lab = {};
before(async () => {
  const conf = { gateway: { hold: HURRY > 1 ? "3s" : "25s" }, http: { push_burst: 1000 } };
  lab.server = await Server.start({ conf });
  lab.writer = new Scribe(lab.server);
});
after(async () => {
  await lab.writer?.end();
  await lab.server?.stop();
});

// Nothing lost, doubled or out of order, either way, and each push answered.
async function exact(scene) {
  const nothing = { lost: [], doubled: [], disordered: [] };
  await scene.quiet(30000);
  const { rows, pushes, down, up, statuses } = await scene.count();
  assert.deepEqual(down, nothing, "what the page was told");
  assert.deepEqual(up, nothing, "what the page has pushed");
  assert.deepEqual([...statuses], [["ok", pushes]]);
  assert.ok(rows >= 5 && pushes >= 3, `${rows} rows, ${pushes} pushes`);
  return { rows, pushes };
}

const scene = (name, options, body) =>
  it(name, async (t) => {
    const made = await Scene.laid(lab, holdfast(module, WS, { hurry: HURRY }), options);
    try {
      await within(400000, "the scene", body(made, t));
    } catch (error) {
      error.message += `\n${made.story}`;
      throw error;
    } finally {
      await made.end();
    }
  });

describe("a count of what was heard", () => {
  const expected = ["a", "b", "c", "d"];
  const of = (...got) => Object.values(compare(expected, got));

  it("finds what is lost, doubled or out of order", () => {
    assert.deepEqual(of("a", "b", "c", "d"), [[], [], []]);
    assert.deepEqual(of("a", "c", "d"), [["b"], [], []]);
    assert.deepEqual(of("a", "b", "b", "c", "d"), [[], ["b"], []]);
    assert.deepEqual(of("a", "c", "b", "d"), [[], [], ["b"]]);
    assert.deepEqual(of("a", "b", "c", "d", "gap {}"), [[], ["gap {}"], []]);
  });
});

describe("a hundred messages a second", { concurrency: 2 }, () => {
  scene("WebSocket, long-poll, WebSocket, by what works", { rowEvery: 10, pushEvery: 100 }, async (made, t) => {
    made.connect();
    const took = [];
    for (let round = 0; round < (HURRY > 1 ? 1 : 3); round++) {
      await made.over("websocket", LIMITS.back);
      await sleep(700);
      await made.say("refuse", "drop upgrade");
      await made.over("longpoll", LIMITS.useful);
      await sleep(700);
      await made.say("pass");
      took.push(await made.over("websocket", LIMITS.back));
    }
    const { rows, pushes } = await exact(made);
    t.diagnostic(`${rows} rows, ${pushes} pushes; WebSocket again after ${took.join(", ")} ms`);
  });

  scene("back and forth because the page asks for it", { rowEvery: 10, pushEvery: 100 }, async (made, t) => {
    made.connect();
    await made.over("websocket", LIMITS.useful);
    const before = made.changes.length;
    for (let round = 0; round < 4; round++) {
      for (const name of ["longpoll", "websocket"]) {
        made.page.socket.replaceTransport(name);
        await made.over(name, LIMITS.useful);
        await sleep(300);
      }
    }
    const { rows, pushes } = await exact(made);
    // make before break: there never was a moment without a connection
    const states = made.changes.slice(before).map(([, state]) => state);
    assert.deepEqual([...new Set(states)], ["open"]);
    t.diagnostic(`${rows} rows, ${pushes} pushes`);
  });
});

// Many at once: they wait more than they work.
describe("a network goes bad and good again", { concurrency: 40 }, () => {
  for (const { harm, when } of cases()) {
    const name = when === "start" ? `${harm.name}, from the start` : `${harm.name}, later`;
    scene(name, { rowEvery: 100, pushEvery: 300 }, async (made, t) => {
      const { useful, answered, back } = await made.through(harm, when, LIMITS);
      const { rows, pushes } = await exact(made);
      t.diagnostic(
        `first message ${useful} ms, first answer ${answered} ms, WebSocket again ${back} ms; ${rows} rows, ${pushes} pushes`,
      );
    });
  }
});

// Pairs, the game of ./demo: its rules, and pages that play by them over both
// transports, at once, through pulled plugs, and late.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Game, TILES } from "../../www/demos/game/rules.js";
import { launch } from "./lib/browser.js";
import { Demo, live, nothingLost, plug, shot, visit } from "./lib/demo.js";
import { sleep, until } from "./lib/wait.js";

describe("the rules of Pairs", () => {
  // A dealt game, and where the two of each thing are.
  function dealt(deal = "one") {
    const game = new Game();
    game.play("deal", { deal });
    const pairs = [...new Set(game.tiles)].map((thing) => game.tiles.flatMap((t, i) => (t === thing ? [i] : [])));
    const flip = (by, tile, round = deal) => game.play("flip", { deal: round, tile, by, name: by });
    return { game, pairs, flip };
  }

  it("two of each, shuffled the same way for the same text", () => {
    const { game, pairs } = dealt();
    assert.equal(game.tiles.length, TILES);
    assert.ok(pairs.every((pair) => pair.length === 2));
    assert.deepEqual(dealt().game.tiles, game.tiles);
    assert.notDeepEqual(dealt("two").game.tiles, game.tiles);
  });

  it("who turns two that are alike has them, who does not has nothing", () => {
    const { game, pairs, flip } = dealt();
    assert.deepEqual(flip("ann", pairs[0][0]), { by: "ann", name: "ann", up: [pairs[0][0]] });
    assert.equal(flip("ann", pairs[0][1]).pair, true);
    flip("ann", pairs[1][0]);
    assert.equal(flip("ann", pairs[2][0]).pair, false);
    assert.equal(game.score("ann"), 1);
    assert.equal(game.hands.size, 0);
  });

  it("of two who want the same tile the first one has it", () => {
    const { game, pairs, flip } = dealt();
    const [[a, b], [c]] = pairs;
    flip("ann", a);
    flip("bob", a);
    assert.equal(flip("bob", b).pair, true);
    assert.equal(flip("ann", b), null);
    assert.deepEqual([game.score("ann"), game.score("bob")], [0, 1]);
    // what ann had turned is bob's, so she begins anew
    assert.deepEqual(flip("ann", c).up, [c]);
  });

  it("of two who deal at once the first one does", () => {
    const { game } = dealt();
    assert.ok(game.play("deal", { deal: "two", after: "one" }));
    assert.equal(game.play("deal", { deal: "three", after: "one" }), null);
    assert.equal(game.deal, "two");
  });

  it("what is against the rules, or nothing at all, counts for nothing", () => {
    const { game, pairs, flip } = dealt();
    const [[a, b]] = pairs;
    flip("ann", a);
    assert.equal(flip("ann", a), null);
    assert.equal(flip("ann", b, "another round"), null);
    for (const tile of [-1, TILES, 0.5, "0", null, "length", {}]) assert.equal(flip("ann", tile), null);
    for (const odd of [null, 7, "x", [], {}, { deal: 5 }, { deal: "one", by: 7, tile: 1 }]) {
      assert.equal(game.play("flip", odd), null);
      assert.equal(game.play("say", odd), null);
    }
    flip("ann", b);
    assert.equal(flip("bob", a), null);
    assert.ok(!game.over);
  });

  it("who came too late for the deal can follow it with another one", () => {
    const game = new Game();
    assert.equal(game.play("flip", { deal: "long ago", tile: 1, by: "ann" }), null);
    assert.equal(game.deal, "long ago");
    assert.ok(game.play("deal", { deal: "new", after: "long ago" }));
    assert.equal(game.tiles.length, TILES);
  });

  it("it ends when all are taken", () => {
    const { game, pairs, flip } = dealt();
    for (const [i, pair] of pairs.entries()) for (const tile of pair) flip(i % 3 ? "ann" : "bob", tile);
    assert.ok(game.over);
    assert.deepEqual([game.score("ann"), game.score("bob")], [12, 6]);
  });
});

describe("the game of ./demo", () => {
  let tmp;
  let demo;
  let browser;
  let wide; // 1280 pixels, light, WebSocket
  let narrow; // 360 pixels, dark, without its WebSocket
  const trouble = [];

  before(async () => {
    tmp = mkdtempSync(join(tmpdir(), "holdfast-game."));
    [demo, browser] = await Promise.all([Demo.start(tmp), launch()]);
    wide = await visit(browser, demo, "demos/game/", {}, trouble);
    narrow = await visit(browser, demo, "demos/game/?pull=websocket", { width: 360, height: 740, colorScheme: "dark" }, trouble);
    await Promise.all([live(wide, "WebSocket"), live(narrow, "Long-poll")]);
    for (const [page, name] of [[wide, "Maren"], [narrow, "Ole"]]) {
      await page.fill("#name", name);
      await page.press("#name", "Tab");
    }
  });
  after(async () => {
    await browser?.close();
    await demo?.stop();
    rmSync(tmp, { recursive: true, force: true });
  });

  const tile = (page, n) => page.locator("#board button").nth(n);
  const board = (page) => page.$$eval("#board button", (all) => all.map((b) => b.ariaLabel));
  const players = (page) => page.$$eval("#players li", (all) => all.map((li) => li.textContent.slice(1).replace(" · you", "")));

  // The journal's messages, played by the rules.
  async function played() {
    const game = new Game();
    for (const event of ["deal", "flip"]) for (const row of await demo.rows("demo:pairs", event)) game.play(event, row);
    return game;
  }

  // Both pages show the board that the journal's order makes.
  async function agree(pages = [wide, narrow]) {
    let game;
    await until(15000, "the pages show the journal's board", async () => {
      game = await played(); // anew: what was tapped last may not be in it yet
      const held = new Set(game.hands.values());
      const wanted = game.tiles.map((_, n) => (n in game.owner ? "taken" : held.has(n) ? "up" : "down"));
      for (const page of pages)
        assert.deepEqual(await page.$$eval("#board button", (all) => all.map((b) => b.dataset.state)), wanted);
      return true;
    }, 50);
    assert.deepEqual(await board(pages[0]), await board(pages.at(-1)));
    return game;
  }

  it("shows who is there", async () => {
    for (const page of [wide, narrow])
      await until(10000, "both are", async () => (await players(page)).sort().join() === "Maren0,Ole0");
  });

  it("deals once when both ask for it at once", async () => {
    for (const page of [wide, narrow]) await page.locator("#deal").waitFor();
    // not by the mouse, which waits until it sees what the other one's click changed
    await Promise.all([wide, narrow].map((page) => page.$eval("#deal", (button) => button.click())));
    for (const page of [wide, narrow]) await until(10000, "tiles lie there", () => page.isHidden("#over"));
    assert.equal((await agree()).tiles.length, TILES);
  });

  it("gives a tile that both tap at once to the first one", async () => {
    const { tiles } = await played();
    const other = tiles.indexOf(tiles[0], 1);
    await Promise.all([wide, narrow].map((page) => tile(page, 0).click()));
    await until(10000, "both are in the journal", async () => (await demo.rows("demo:pairs", "flip")).length === 2);
    await Promise.all([wide, narrow].map((page) => tile(page, other).click()));
    await until(10000, "one has it", async () => (await agree()).owner[0] !== undefined);
    const game = await agree();
    const [winner, score] = [...game.names].map(([id, name]) => [name, game.score(id)]).find(([, score]) => score);
    for (const page of [wide, narrow]) {
      const [first] = await players(page);
      assert.equal(first, `${winner}${score}`);
    }
  });

  it("can be played with arrow keys", async () => {
    await tile(wide, 7).focus();
    for (const key of ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"]) await wide.keyboard.press(key);
    assert.equal(await wide.evaluate(() => document.activeElement.ariaLabel.slice(0, 15)), "Row 2, column 2");
  });

  it("brings who was away, and who comes late, to the same board", async () => {
    await plug(narrow, "Long-poll", false);
    const { tiles, owner } = await played();
    const free = tiles.flatMap((thing, n) => (n in owner ? [] : [[thing, n]]));
    const [[thing, one]] = free;
    const two = free.find(([other, n]) => other === thing && n !== one)[1];
    for (const n of [one, two]) await tile(wide, n).click();
    // tapped without a connection, it goes out when there is one
    await tile(narrow, free.at(-1)[1]).click();
    await sleep(500);
    await agree([wide]);
    await plug(narrow, "Long-poll", true);
    await until(15000, "what was tapped meanwhile counts", async () => (await played()).hands.size > 0);
    await agree();
    const late = await visit(browser, demo, "demos/game/", {}, trouble);
    await live(late, "WebSocket");
    await agree([wide, late]);
    await late.context().close();
  });

  it("is won by who has most, and dealt again", async () => {
    for (;;) {
      const { tiles, owner, over } = await played();
      if (over) break;
      const one = tiles.findIndex((_, n) => !(n in owner));
      const two = tiles.findIndex((thing, n) => n !== one && thing === tiles[one]);
      for (const n of [one, two]) await tile(wide, n).click();
      await until(10000, "they are taken", async () => two in (await played()).owner || one in (await played()).owner);
    }
    await agree();
    for (const page of [wide, narrow]) assert.equal(await page.textContent("#over h2"), "Maren won");
    await shot(wide, "game-over-1280");
    await narrow.click("#deal");
    for (const page of [wide, narrow]) await until(10000, "tiles lie there", () => page.isHidden("#over"));
    const game = await agree();
    assert.equal(game.owner.length, 0);
    for (const page of [wide, narrow]) assert.ok((await nothingLost(page)) > 30);
    assert.deepEqual(trouble, []);
  });
});

// Every code block of the documentation that can be run is run, in the order of
// its page; the others are compared, belong to another test, or say why not. How
// a block is marked: ../docs/README.md. Links lead somewhere, and the index of
// docs/ has every page.
//
//     DOCS=SQL,README.md node --test docs.test.js      only these pages
import { after, describe, it } from "node:test";
import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { TOP, anchors, blocksOf, links, pages, read } from "../docs/blocks.mjs";
import { Story, closeBrowser } from "../docs/story.mjs";

const wanted = process.env.DOCS && process.env.DOCS.split(",").map((name) => name.replace(/\.md$/, ""));
const names = pages().filter((name) => !wanted || wanted.some((one) => `/${name}`.endsWith(`/${one}.md`)));
const counts = new Map();

const count = (verb) => counts.set(verb, (counts.get(verb) ?? 0) + 1);

after(closeBrowser);

async function tell(name, page) {
  const trouble = [];
  const conf = page.blocks.filter(({ mark }) => page.server.endsWith("conf") && mark?.verb === "conf");
  const story = await Story.begin(name, page.server, conf.map(({ text }) => text).join("\n"));
  for (const block of page.blocks) {
    if (!block.hidden) count(block.mark?.verb ?? "unmarked");
    try {
      assert.ok(block.mark, "the block is not marked, see tests/docs/README.md");
      await story.do(block);
    } catch (error) {
      const first = block.text.trim().split("\n")[0];
      trouble.push(`${name}:${block.line}: ${first}\n${error.message.replace(/^/gm, "    ")}`);
    }
  }
  const logs = trouble.length > 0 ? (story.site?.logs() ?? "") : "";
  await story.end().catch((error) => trouble.push(`${name}: ${error.message}`));
  assert.equal(trouble.length, 0, `${trouble.join("\n")}${logs}`);
}

describe("the code blocks of", { concurrency: 2 }, () => {
  for (const name of names) {
    const page = blocksOf(read(name));
    if (page.blocks.length === 0 && page.trouble.length === 0) continue;
    const shown = page.blocks.filter(({ hidden }) => !hidden);
    it(`${name}: ${shown.length}`, { timeout: 180000 }, async () => {
      assert.deepEqual(page.trouble, []);
      await tell(name, page);
    });
  }
});

describe("links of", () => {
  const known = new Map();
  const ids = (name) => {
    if (!known.has(name)) known.set(name, anchors(read(name)));
    return known.get(name);
  };

  for (const name of names)
    it(name, () => {
      const dead = links(read(name)).filter(({ path, id }) => {
        const file = path === "" ? name : normalize(join(dirname(name), path));
        if (!existsSync(join(TOP, file))) return true;
        if (!id || !file.endsWith(".md") || statSync(join(TOP, file)).isDirectory()) return false;
        return !ids(file).has(id);
      });
      assert.deepEqual(dead.map(({ to }) => to), []);
    });
});

it("docs/README.md names every page", () => {
  const named = links(read("docs/README.md")).map(({ path }) => normalize(join("docs", path)));
  const missing = pages().filter((name) => name.startsWith("docs/") && name !== "docs/README.md");
  assert.deepEqual(missing.filter((name) => !named.includes(name)), []);
});

it("says what was done with each block", { skip: Boolean(wanted) }, (t) => {
  const all = [...counts.values()].reduce((sum, n) => sum + n, 0);
  const said = [...counts].sort(([, a], [, b]) => b - a).map(([verb, n]) => `${verb} ${n}`);
  t.diagnostic(`${all} blocks on ${names.length} pages: ${said.join(", ")}`);
  assert.ok(counts.get("run") > 0);
});

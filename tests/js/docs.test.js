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

describe("a page", () => {
  const page = (text) => blocksOf(text.replaceAll("~~~", "```"));
  const marks = (text) => page(text).blocks.map(({ mark }) => mark && `${mark.verb} ${mark.rest}`.trim());
  const does = async (text) => {
    const story = await Story.begin("a.md", "", "");
    try {
      for (const block of page(text).blocks) await story.do(block);
    } finally {
      await story.end();
    }
  };

  it("has blocks with fences and such with four blanks, each with the mark before it", () => {
    assert.deepEqual(marks("# A\n\n    one\n\n<!-- test: run -->\n~~~sh\n~~~\n\n    three\n\n    still three\n"), [
      undefined,
      "run",
      undefined,
    ]);
    assert.deepEqual(marks("<!-- test, from here: wire -->\n\n    -> []\n\n<!-- test: no picture of it -->\n    x\n\n\ny\n\n    -> []\n"), [
      "wire",
      "no picture of it",
      "wire",
    ]);
  });

  it("has no marks that say nothing", () => {
    for (const text of ["<!-- test: rnu -->\n    x", "<!-- test: no -->\n    x", "<!-- test: run -->\nA text.\n\n    x"])
      assert.equal(page(text).trouble.length, 1, text);
  });

  it("is read as a story", () =>
    does("<!-- test: run -->\n    a='b c'; mkdir d; cd d\n\n<!-- test: run -->\n    echo $a; pwd\n\n<!-- test: prints -->\n    b c\n    /home/me/d\n"));

  for (const [what, text] of Object.entries({
    "a command that fails": "<!-- test: run -->\n    false; true | false\n",
    "a command that should": "<!-- test: run fails -->\n    true\n",
    "other words": "<!-- test: run -->\n    echo a\n\n<!-- test: prints -->\n    b\n",
    "more words": "<!-- test: run -->\n    echo a; echo b\n\n<!-- test: prints -->\n    a\n",
    "a setting that is none": "<!-- test: conf -->\n    [http]\n    mont = /socket\n",
    "a message that is none": "<!-- test: wire -->\n    -> [1,\n",
    "a line that is not in the file": "<!-- test: file LICENSE -->\n    Sold as it is\n",
    "a test that is not there": "<!-- test: by tests/js/nobody.test.js -->\n    x\n",
    "PHP that is none": "<!-- test: save a.php -->\n~~~php\n<?php if (\n~~~\n",
  }))
    it(`fails with ${what}`, () => assert.rejects(() => does(text)));
});

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

// What is handed out besides holdfast.js: the classic script, CommonJS and the
// package for npm. Types: types.test.js.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import vm from "node:vm";
import { build as bundle } from "esbuild";
import { chromium } from "playwright-core";
import { MOST, build, gzipped } from "../../www/build.mjs";
import * as holdfast from "../../www/holdfast.js";
import { Server, told } from "./lib/server.js";

const run = promisify(execFile);
const TOP = fileURLToPath(new URL("../..", import.meta.url));
const NAMES = Object.keys(holdfast).sort();
const text = (name) => readFileSync(join(TOP, name), "utf8");

describe("the built files", () => {
  it("are those that `node www/build.mjs` makes", async () => {
    for (const [name, wanted] of Object.entries(await build()))
      assert.ok(text(`www/${name}`) === wanted, `www/${name} is out of date: run node www/build.mjs`);
  });

  for (const [name, most] of Object.entries(MOST))
    it(`are small: ${name} has at most ${most} bytes, gzipped`, () => {
      const size = gzipped(text(`www/${name}`));
      assert.ok(size <= most, `${name} has ${size} bytes`);
    });

  for (const name of Object.keys(MOST))
    it(`leave one global, as ${name}`, () => {
      const page = vm.createContext({});
      vm.runInContext(text(`www/${name}`), page);
      assert.deepEqual(Object.keys(page), ["Holdfast"]);
      const numbers = (reasons) => JSON.stringify(Object.entries(reasons).map(([name, { number }]) => [name, number]));
      assert.equal(numbers(page.Holdfast.REASONS), numbers(holdfast.REASONS));
      for (const [key, { text: words }] of Object.entries(page.Holdfast.REASONS)) assert.equal(words, key);
      for (const key of Object.keys(page.Holdfast)) assert.ok(NAMES.includes(key), key);
    });

  it("have the version of the whole", () => {
    const [, version] = /^AC_INIT\(\[Holdfast\], \[([^\]]+)\]/m.exec(text("configure.ac"));
    assert.equal(JSON.parse(text("www/package.json")).version, version);
  });
});

describe("the package for npm, installed into an empty project", () => {
  let project;
  const npm = (...args) =>
    run("npm", [...args, "--offline", "--no-audit", "--no-fund"], { cwd: project, timeout: 60000 });
  const node = async (file, code) => {
    writeFileSync(join(project, file), code);
    const { stdout } = await run(process.execPath, [file], { cwd: project, timeout: 20000 });
    return JSON.parse(stdout);
  };

  before(async () => {
    project = mkdtempSync(join(tmpdir(), "holdfast-package."));
    writeFileSync(join(project, "package.json"), '{ "private": true }\n');
    await npm("pack", join(TOP, "www"));
    await npm("install", `./holdfast-${JSON.parse(text("www/package.json")).version}.tgz`);
  });
  after(() => rmSync(project, { recursive: true, force: true }));

  const tell = "console.log(JSON.stringify(Object.keys(all).sort()));";
  const use = "new all.Socket('http://127.0.0.1:1/socket', {}).channel('a').state";

  it("is imported as the module it was", async () => {
    const names = await node("a.mjs", `import * as all from "holdfast"; ${use}; ${tell}`);
    assert.deepEqual(names, NAMES);
  });

  it("is required", async () => {
    const names = await node("a.cjs", `const all = require("holdfast"); ${use}; ${tell}`);
    assert.deepEqual(names, NAMES);
  });

  it("has what it names, its licence, and nothing else", async () => {
    const { stdout } = await npm("pack", join(TOP, "www"), "--dry-run", "--json");
    const [pack] = Object.values(JSON.parse(stdout));
    const { files } = JSON.parse(text("www/package.json"));
    assert.deepEqual(
      pack.files.map(({ path }) => path).sort(),
      [...files, "LICENSE", "README.md", "package.json"].sort(),
    );
  });

  it("is found by a bundler, which takes the module and leaves out what nobody uses", async () => {
    writeFileSync(join(project, "app.js"), 'import { REASONS } from "holdfast"; console.log(REASONS);');
    const { outputFiles, metafile } = await bundle({
      absWorkingDir: project,
      entryPoints: ["app.js"],
      bundle: true,
      write: false,
      metafile: true,
      format: "esm",
    });
    assert.ok(Object.keys(metafile.inputs).includes("node_modules/holdfast/holdfast.js"));
    assert.ok(!outputFiles[0].text.includes("class Socket"));
  });
});

describe("in a browser, against the real programs", () => {
  let server;
  let browser;
  before(async () => {
    server = await Server.start();
    for (const name of ["holdfast.js", ...Object.keys(MOST)])
      copyFileSync(join(TOP, "www", name), server.path(name));
    browser = await chromium.launch({
      executablePath: "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
    });
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  // lighttpd keeps what it knows of a file for a second: a new name for each.
  let pages = 0;
  async function open(html) {
    const name = `page${++pages}.html`;
    writeFileSync(server.path(name), `<!doctype html><meta charset="utf-8">${html}`);
    const page = await browser.newPage();
    const trouble = [];
    page.on("pageerror", (error) => trouble.push(error.message));
    await page.goto(`http://127.0.0.1:${server.port}/${name}`);
    return { page, trouble };
  }

  const LOADED = {
    "a classic script": '<script src="holdfast.min.js"></script>',
    "the small one": '<script src="holdfast.solo.min.js"></script>',
    "a module":
      '<script type="module">import * as all from "./holdfast.js"; window.Holdfast = all;</script>',
  };
  for (const [how, tag] of Object.entries(LOADED))
    for (const transport of ["websocket", "longpoll"])
      it(
        `${how} joins, pushes and hears over ${transport}`,
        told(
          () => server,
          async () => {
            const { page, trouble } = await open(tag);
            const heard = await page.evaluate(async (transport) => {
              const socket = new Holdfast.Socket("/socket", { transport });
              socket.connect();
              const channel = socket.channel("room:package");
              const message = new Promise((done) => channel.on("say", done));
              channel.join();
              channel.push("say", { text: "hello" });
              const { text } = await message;
              const { state, transportName } = socket;
              await new Promise((done) => channel.leave().receive("ok", done));
              await new Promise((done) => socket.disconnect(done));
              return { text, state, transportName };
            }, transport);
            assert.deepEqual(heard, { text: "hello", state: "open", transportName: transport });
            assert.deepEqual(trouble, []);
            await page.close();
          },
        ),
      );
});

// From nothing to the first message by somebody who can do nothing but upload
// files and open addresses (docs/install/upload.md): each upload, each address
// opened and each button pressed is a step, and they are counted.
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, chownSync, existsSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Socket } from "../../www/holdfast.js";
import { launch } from "./lib/browser.js";
import { NOBODY } from "./lib/hosts.js";
import { request } from "./lib/http.js";
import { own, program } from "./lib/server.js";
import { fact, fields, fileToUpload, firstPage, HOSTS, links, OPEN, prove, said, title, UploadHost, word } from "./lib/upload.js";
import { sleep, until, within } from "./lib/wait.js";

const CLIENT = readFileSync(fileURLToPath(new URL("../../www/holdfast.js", import.meta.url)));
const MANUAL = readFileSync(fileURLToPath(new URL("../../docs/install/upload.md", import.meta.url)), "utf8");
const STEPS = 10;

async function on(t, spec, story) {
  const host = await UploadHost.start(spec);
  t.after(() => host.stop());
  try {
    await story(host);
  } catch (error) {
    error.message += host.logs();
    throw error;
  }
}

// What a page of the site does, as docs/FIRST-PAGE.md has it: two visitors, one
// says something and the other hears it.
async function firstMessage(host, path) {
  const sockets = [0, 1].map(() => new Socket(`http://127.0.0.1:${host.port}${path}`, { transport: "longpoll" }));
  try {
    const [speaker, listener] = sockets.map((socket) => {
      socket.connect();
      return socket.channel("room:lobby");
    });
    const heard = new Promise((done) => listener.on("say", done));
    await within(30000, "the listener joins", new Promise((done, fail) => listener.join().receive("ok", done).receive("error", fail)));
    speaker.join();
    speaker.push("say", { text: "hello" });
    assert.equal((await within(30000, "the first message", heard)).text, "hello");
  } finally {
    for (const socket of sockets) socket.disconnect();
  }
}

// The whole way, without script. Returns the last page of the set-up.
async function walk(t, host) {
  const begun = performance.now();
  const steps = [];
  const step = (what, done) => {
    steps.push(what);
    return done();
  };

  step("upload the program and .htaccess", () => host.uploadProgram());
  let page = await step("open setup", () => host.open(`${host.socket}/setup`));
  assert.equal(title(page), "Set up", page.body);
  step("upload the file that it names", () => host.upload(fileToUpload(page)));
  page = await step("press Continue", () => host.open(`${host.socket}/setup`, { ...fields(page), ...OPEN }));
  while (title(page) === "One test") {
    const answers = [];
    for (const link of links(page)) answers.push(await step(`open ${link}`, () => host.open(link)));
    const seen = answers.some(({ body }) => body.includes(word(page))) ? "yes" : "no";
    page = await step(`press ${seen}`, () => host.open(`${host.socket}/setup`, { ...fields(page), seen }));
  }
  if (title(page) !== "It is set up") return page;
  const text = firstPage(page);
  if (host.socket === "/holdfast.cgi") assert.ok(MANUAL.includes(text), "docs/install/upload.md has the same page");
  step("upload a page and holdfast.js", () => {
    host.upload("first.html", text);
    host.upload("holdfast.js", CLIENT);
  });
  const opened = await step("open the page", () => host.open("/first.html"));
  assert.equal(opened.body, text);
  await firstMessage(host, /new Socket\("(.*)"\)/.exec(opened.body)[1]);

  t.diagnostic(`${steps.length} steps, ${Math.round(performance.now() - begun)} ms of them the host's: ${steps.join("; ")}`);
  assert.ok(steps.length <= STEPS, steps.join("\n"));
  return page;
}

function assertPrivate(dir) {
  assert.equal(statSync(dir).mode & 0o777, 0o700);
  for (const name of readdirSync(dir)) assert.equal(statSync(join(dir, name)).mode & 0o77, 0, name);
}

const leftovers = (host) =>
  [host.www, host.account, host.home].flatMap((path) => readdirSync(path)).filter((name) => /^holdfast-.*\.txt$|^\.htholdfast\.[0-9a-f]{16}$/.test(name));

describe("with nothing but uploads and addresses", { concurrency: true }, () => {
  it("lighttpd and CGI: the journal is in the home", (t) =>
    on(t, HOSTS.lighttpd, async (host) => {
      const page = await walk(t, host);
      assert.equal(fact(page, "Journal directory"), join(host.home, "holdfast"));
      assert.match(fact(page, "Side-car"), /is not beside this program/);
      assertPrivate(join(host.home, "holdfast"));
      assert.deepEqual(leftovers(host), []);
    }));

  it("Apache and mod_fcgid: beside the document root", (t) =>
    on(t, { ...HOSTS.fcgid, home: false }, async (host) => {
      const page = await walk(t, host);
      assert.match(fact(page, "Served by"), /FastCGI/);
      assert.equal(fact(page, "Journal directory"), join(host.account, "holdfast"));
      assertPrivate(join(host.account, "holdfast"));
      assert.deepEqual(leftovers(host), []);
    }));

  it(".htaccess and CGI, and nowhere else to write: beside the program, tested", (t) =>
    on(t, { ...HOSTS.htaccess, home: false, outside: false }, async (host) => {
      const page = await walk(t, host);
      const dir = join(host.www, ".htholdfast.d");
      assert.equal(fact(page, "Journal directory"), dir);
      assertPrivate(dir);
      assert.ok(!readFileSync(join(dir, "keys.json"), "utf8").includes("canary"), "nothing of the test is left");
      for (const name of ["", ...readdirSync(dir)]) {
        const { status } = await host.open(`/.htholdfast.d/${name}`);
        assert.equal(status, 403, name);
      }
      assert.deepEqual(leftovers(host), []);
    }));

  it("a side-car that was uploaded, too, comes with the first visitor, and the page says how to have none", (t) =>
    on(t, HOSTS.htaccess, async (host) => {
      host.upload("holdfast-sidecar", readFileSync(program("holdfast-sidecar")), 0o755);
      const page = await walk(t, host);
      const dir = join(host.home, "holdfast");
      assert.match(fact(page, "Side-car"), /is started when .* start = never/);
      assert.match(readFileSync(join(dir, "holdfast.conf"), "utf8"), /^start = on-demand$/m);
      assertPrivate(dir);
      assert.ok(!existsSync(join(dir, "holdfast.conf.before")));
      const run = join(dir, "sidecar.run");
      const pid = await until(30000, "it runs", () => Number(existsSync(run) && /^(\d+).*\n$/.exec(readFileSync(run, "utf8"))?.[1]) || false);
      process.kill(pid, "SIGTERM");
      await until(30000, "it has ended", () => !existsSync(`/proc/${pid}`));
    }));

  it("a side-car that cannot be executed is told of, and nothing is started", (t) =>
    on(t, HOSTS.lighttpd, async (host) => {
      host.upload("holdfast-sidecar", readFileSync(program("holdfast-sidecar")), 0o644);
      const page = await walk(t, host);
      assert.match(fact(page, "Side-car"), /cannot be executed \(mode 644\)/);
      assert.doesNotMatch(readFileSync(join(host.home, "holdfast", "holdfast.conf"), "utf8"), /^start/m);
    }));

  it("where everything of the account can be read by its address nothing is set up", (t) =>
    on(t, { ...HOSTS.lighttpd, home: false, outside: false }, async (host) => {
      const page = await walk(t, host);
      assert.equal(title(page), "There is no place");
      for (const words of ["account may not write in", ".htholdfast.d can be read by its address"]) assert.ok(page.body.includes(words), page.body);
      assert.deepEqual(readdirSync(host.www).filter((name) => name.startsWith(".ht")), []);
      assert.equal((await host.open("/holdfast.cgi/longpoll?vsn=2.0.0")).status, 500);
    }));

  // The address of the program suggests that /holdfast leads to ~/holdfast.
  it("a home that holds cgi-bin is tested first", (t) =>
    on(t, { ...HOSTS.lighttpd, aliases: { "/cgi-bin/": "cgi-bin/" }, socket: "/cgi-bin/holdfast.cgi", homeIsAccount: true }, async (host) => {
      const page = await walk(t, host);
      assert.equal(fact(page, "Journal directory"), join(host.account, "holdfast"));
      assert.equal((await host.open("/holdfast/keys.json")).status, 404);
    }));

  // ... and here that is so, and no variable of the web server says it.
  it("a home that has an address is found out", (t) =>
    on(t, { ...HOSTS.lighttpd, socket: "/me/www/holdfast.cgi", homeIsAccount: true }, async (host) => {
      symlinkSync("..", join(host.www, "me"));
      const page = await walk(t, host);
      assert.equal(title(page), "There is no place");
      for (const name of ["/holdfast", ".htholdfast.d"]) assert.ok(page.body.includes(`${name} can be read by its address`), page.body);
      assert.deepEqual(readdirSync(host.account).filter((name) => name.includes("holdfast")), []);
    }));
});

// --- a browser -----------------------------------------------------------------

describe("in a real Chromium", () => {
  it("the pages do the test and the first message by themselves", async (t) => {
    const browser = await launch();
    t.after(() => browser.close());
    await on(t, { ...HOSTS.htaccess, home: false, outside: false }, async (host) => {
      const address = (path) => `http://127.0.0.1:${host.port}${path}`;
      const page = await browser.newPage({ viewport: { width: 360, height: 740 } });
      const errors = [];
      page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
      page.on("pageerror", (error) => errors.push(error.message));

      host.uploadProgram();
      await page.goto(address("/holdfast.cgi/setup"));
      const name = await page.textContent(".file code");
      const [saved] = await Promise.all([page.waitForEvent("download"), page.click("a[download]")]);
      assert.equal(saved.suggestedFilename(), name);
      assert.match(page.url(), /setup\?k=[\w-]{43}$/, "a reload goes on with it");
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "360 pixels are enough");

      await page.check("input[name=open][value=yes]");
      await page.click("button");
      await page.waitForSelector(".said:has-text('not there yet')");
      assert.equal(await page.textContent(".file code"), name, "it stays the name");

      host.upload(name, "whatever");
      await page.check("input[name=open][value=yes]");
      await page.click("button");
      await page.waitForSelector("#heard:has-text('came back')", { timeout: 60000 });
      assert.match(await page.textContent("#heard"), /“hello” was sent to room:hello and came back \d+ ms later/);
      t.diagnostic(await page.textContent("#heard"));

      host.upload("first.html", await page.textContent("pre"));
      host.upload("holdfast.js", CLIENT);
      const windows = [await browser.newPage(), await browser.newPage()];
      for (const window of windows) await window.goto(address("/first.html"));
      // The other one hears what is said once it is there.
      await until(60000, "one window hears what the other says", async () => {
        await windows[0].fill("#text", "hello from the first page");
        await windows[0].press("#text", "Enter");
        return windows[1].waitForSelector("li:has-text('hello from the first page')", { timeout: 1000 });
      });

      // What could not be read is told on the console, and nothing else.
      assert.deepEqual(errors.filter((text) => !/status of 403/.test(text)), []);
    });
  });
});

// --- who would like to be the owner ---------------------------------------------

const journalsOf = (host) => [host.home, host.account, host.www].flatMap((path) => readdirSync(path).filter((name) => /^\.?(ht)?holdfast(\.d)?$/.test(name) && statSync(join(path, name)).isDirectory()));

describe("before it is set up", { concurrency: true }, () => {
  it("nobody gets far without the file", (t) =>
    on(t, HOSTS.lighttpd, async (host) => {
      host.uploadProgram();
      const asked = await host.open("/holdfast.cgi/setup");
      const form = { ...fields(asked), ...OPEN };
      const set = (more = {}, headers) => host.open("/holdfast.cgi/setup", { ...form, ...more }, headers);

      assert.match(said(await set()), /not there yet/);
      host.upload(fileToUpload(asked));
      assert.ok((await host.open("/")).body.includes(fileToUpload(asked)), "the name is in a listing");

      const other = fields(await host.open("/holdfast.cgi/setup")).k;
      assert.match(said(await set({ k: other })), /not there yet/, "another key");
      for (const k of ["", fileToUpload(asked), fileToUpload(asked).slice(9, 41), `${form.k}x`, form.k.slice(1)])
        assert.equal(title(await set({ k })), "Set up", k);
      assert.equal(title(await host.open(`/holdfast.cgi/setup?k=${form.k}&open=no`)), "Set up", "a link does nothing");

      for (const headers of [{ origin: "https://evil.example" }, { origin: "null" }, { "sec-fetch-site": "cross-site" }]) {
        const answer = await set({}, headers);
        assert.equal(answer.status, 403);
        assert.equal(title(answer), "Refused");
      }
      assert.deepEqual(journalsOf(host), []);
      assert.equal(title(await set({}, { origin: `http://127.0.0.1:${host.port}`, "sec-fetch-site": "same-origin" })), "It is set up");
      assert.ok(!host.logs().includes(form.k), "no key is in a log of ours");
    }));

  it("a link with somebody's key in it names no file to upload", (t) =>
    on(t, HOSTS.lighttpd, async (host) => {
      host.uploadProgram();
      const theirs = fields(await host.open("/holdfast.cgi/setup"));
      const page = await host.open(`/holdfast.cgi/setup?k=${theirs.k}`);
      assert.equal(fileToUpload(page), undefined);
      assert.match(page.body, /begin anew/);
      const pressed = await host.open("/holdfast.cgi/setup", { ...fields(page), ...OPEN });
      assert.equal(fileToUpload(pressed), undefined, "nor when a button is pressed");
      assert.match(said(pressed), /not there yet/);
    }));

  it("what only looks like the file is refused", (t) =>
    on(t, HOSTS.lighttpd, async (host) => {
      host.uploadProgram();
      const asked = await host.open("/holdfast.cgi/setup");
      const name = fileToUpload(asked);
      const answer = async () => said(await host.open("/holdfast.cgi/setup", { ...fields(asked), ...OPEN }));
      host.upload("page.html");
      symlinkSync("page.html", join(host.www, name));
      assert.match(await answer(), /a link/);
      rmSync(join(host.www, name));
      host.upload(name);
      chmodSync(host.www, 0o777);
      assert.match(await answer(), /755/);
      chmodSync(host.www, 0o755);
      if (process.getuid() === 0) {
        chownSync(join(host.www, name), 0, 0);
        assert.match(await answer(), /belongs to account number 0/);
        chownSync(host.www, 33, 33);
        assert.match(await answer(), /suEXEC/);
      }
      assert.deepEqual(journalsOf(host), []);
    }));

  it("a visitor is told no path of the host, whatever is wrong there", (t) =>
    on(t, HOSTS.lighttpd, async (host) => {
      host.uploadProgram();
      const pages = [await host.open("/holdfast.cgi/setup"), await host.open("/holdfast.cgi/doctor"), await host.open("/holdfast.cgi/longpoll?vsn=2.0.0")];
      host.upload(".htholdfast", "dir = /nowhere/at/all\n");
      const broken = await host.open("/holdfast.cgi/setup");
      pages.push(broken, await host.open("/holdfast.cgi/doctor"));
      for (const { body } of pages) assert.doesNotMatch(body, /\/nowhere|\/tmp\//);

      host.upload(fileToUpload(broken));
      const shown = await host.open("/holdfast.cgi/setup", fields(broken));
      assert.match(said(shown), /\/nowhere\/at\/all/, "the owner is");
    }));

  // Apache makes arguments of a query without "=", and in cgi-bin all is a script.
  it("the other programs do nothing for who asks for them by their address", (t) =>
    on(t, HOSTS.htaccess, async (host) => {
      host.uploadProgram();
      host.upload("tool.cgi", readFileSync(program("holdfast")), 0o755);
      host.upload("sidecar.cgi", readFileSync(program("holdfast-sidecar")), 0o755);
      const made = join(host.home, "box");
      for (const query of ["", "?--version"]) {
        const { status, body } = await host.open(`/sidecar.cgi${query}`);
        assert.equal(status, 403, body);
      }
      const tool = await host.open(`/tool.cgi?init+${made}`);
      assert.equal(tool.status, 403, tool.body);
      assert.ok(!existsSync(made), "a visitor has made a journal");
    }));

  it("other methods, and bodies that are no form of ours, are refused", (t) =>
    on(t, HOSTS.lighttpd, async (host) => {
      host.uploadProgram();
      const path = "/holdfast.cgi/setup";
      for (const method of ["PUT", "DELETE", "PATCH"]) assert.equal((await request({ port: host.port, path, method, body: "" })).status, 405, method);
      assert.equal((await request({ port: host.port, path, method: "POST", body: "k=".padEnd(5000, "x") })).status, 413);
      assert.equal(title(await request({ port: host.port, path, method: "POST", body: "k=%00&k=%zz&open=%" })), "Set up");
      const { body, headers } = await host.open(path);
      assert.match(headers["content-security-policy"], /^default-src 'none'; .*frame-ancestors 'none'$/);
      assert.equal(headers["cache-control"], "no-store");
      assert.equal(headers["referrer-policy"], "strict-origin");
      assert.equal(headers["access-control-allow-origin"], undefined);
      const crooked = await host.open(path, { ...fields({ body }), open: "yes", topics: '"><script>' });
      assert.ok(!crooked.body.includes('"><script>') && crooked.body.includes("&quot;&gt;&lt;script&gt;"));
    }));
});

describe("two set-ups", { concurrency: true }, () => {
  for (const [name, spec] of [["as CGI", HOSTS.lighttpd], ["under mod_fcgid", HOSTS.fcgid]])
    it(`at once, ${name}, make one journal`, (t) =>
      on(t, spec, async (host) => {
        host.uploadProgram();
        const asked = await Promise.all(Array.from({ length: 6 }, () => host.open("/holdfast.cgi/setup")));
        for (const page of asked) host.upload(fileToUpload(page));
        const done = await Promise.all(asked.map((page) => host.open("/holdfast.cgi/setup", { ...fields(page), ...OPEN })));
        const made = done.filter((page) => title(page) === "It is set up");
        for (const page of done) assert.match(`${title(page)} ${said(page)}`, /^It is set up|being set up right now|set up a moment ago|set up already/);
        assert.ok(made.length >= 1);
        assert.deepEqual(journalsOf(host), ["holdfast"]);
        assert.equal(host.logs().match(/event=set_up /g)?.length, 1);
        assert.deepEqual(leftovers(host).filter((name) => name.startsWith(".")), []);
        await firstMessage(host, "/holdfast.cgi");
      }));

  it("one after the other: the second makes nothing", (t) =>
    on(t, HOSTS.lighttpd, async (host) => {
      host.uploadProgram();
      const first = await prove(host);
      const key = /doctor\?k=([\w-]{43})"/.exec(first.body)[1];
      const secret = readFileSync(join(host.home, "holdfast/secret"));

      const visitor = await host.open("/holdfast.cgi/setup");
      assert.equal(visitor.status, 404);
      assert.doesNotMatch(visitor.body, /\/tmp\/|journal\.db/);
      const known = await host.open(`/holdfast.cgi/setup?k=${key}`);
      assert.equal(title(known), "It is set up");
      assert.equal(fact(known, "Journal directory"), join(host.home, "holdfast"));

      const asked = await host.open("/holdfast.cgi/doctor");
      const stranger = await host.open("/holdfast.cgi/setup", { ...fields(asked), ...OPEN });
      assert.equal(stranger.status, 404);
      host.upload(fileToUpload(asked));
      await host.open("/holdfast.cgi/setup", { ...fields(asked), open: "yes", topics: "*" });
      assert.ok(!existsSync(join(host.www, fileToUpload(asked))), "the file is not needed any more");
      assert.deepEqual(readFileSync(join(host.home, "holdfast/secret")), secret);
      const { status } = await request({ port: host.port, method: "POST", path: "/holdfast.cgi/publish", body: JSON.stringify({ topic: "other:1", event: "e", payload: {} }) });
      assert.equal(status, 401, "no right was added");
    }));

  it("the first killed anywhere: the second finishes it", (t) =>
    on(t, HOSTS.lighttpd, async (host) => {
      host.uploadProgram();
      const asked = await host.open("/holdfast.cgi/setup");
      host.upload(fileToUpload(asked));
      const body = new URLSearchParams({ ...fields(asked), ...OPEN }).toString();
      const env = {
        HOME: host.home, DOCUMENT_ROOT: host.www, SCRIPT_FILENAME: join(host.www, "holdfast.cgi"), SCRIPT_NAME: "/holdfast.cgi",
        PATH_INFO: "/setup", REQUEST_METHOD: "POST", CONTENT_LENGTH: String(body.length), HTTP_HOST: "localhost",
      };
      let killed = 0;
      for (let ms = 2; killed === ms / 2 - 1 && ms <= 30; ms += 2) {
        const child = own(spawn(join(host.www, "holdfast.cgi"), { env, ...NOBODY, stdio: ["pipe", "ignore", "ignore"] }));
        const ended = new Promise((done) => child.on("exit", (code, signal) => done(signal)));
        child.stdin.on("error", () => {}).end(body);
        await sleep(ms);
        child.kill("SIGKILL");
        killed += (await within(10000, "it ends", ended)) === "SIGKILL";
      }
      t.diagnostic(`killed ${killed} times`);
      const page = await host.open("/holdfast.cgi/setup", { ...fields(asked), ...OPEN });
      assert.equal(title(page), "It is set up", page.body);
      assert.deepEqual(leftovers(host).filter((name) => name.startsWith(".")), []);
      await firstMessage(host, "/holdfast.cgi");
    }));
});

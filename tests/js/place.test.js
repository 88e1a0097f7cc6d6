// Where the gateway finds its journal: arguments, variables of the web server,
// .htholdfast, the home. Started as web servers start it, with nothing else in
// its environment; the order in full is in tests/unit/test_place.c.
import { after, before, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { chmodSync, closeSync, copyFileSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { ask, variables } from "./lib/fastcgi.js";
import { own, program } from "./lib/server.js";
import { until, within } from "./lib/wait.js";

const run = promisify(execFile);
const PATH = `${process.env.PATH}:/usr/sbin:/sbin`;

let top; // removed at the end
let place; // of one test: home/, www/
let placeNo = 0;

before(() => (top = mkdtempSync(join(tmpdir(), "holdfast-place."))));
after(() => rmSync(top, { recursive: true, force: true }));

beforeEach(() => {
  place = join(top, String(++placeNo));
  for (const name of ["", "home", "www"]) mkdirSync(join(place, name));
});

const at = (name) => join(place, name);
const journal = async (name) => {
  await run(program("holdfast"), ["init", at(name)], { timeout: 10000 });
  return at(name);
};
const environment = (env = {}) => ({ PATH, HOME: at("home"), ...env });

// What the web server calls the script, and runs for it.
function script(name = "www/holdfast.cgi") {
  writeFileSync(at(name), `#!/bin/sh\nexec ${program("holdfast-gateway")}\n`);
  chmodSync(at(name), 0o755);
  return at(name);
}

// One request as plain CGI.
function cgi(command, env = {}, args = []) {
  const child = own(spawn(command, args, { env: environment({ ...variables(), PATH_INFO: "/longpoll", ...env }), stdio: ["ignore", "pipe", "pipe"] }));
  let out = "";
  let log = "";
  child.stdout.on("data", (part) => (out += part));
  child.stderr.on("data", (part) => (log += part));
  const done = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => {
      const split = out.indexOf("\r\n\r\n");
      resolve({ status: Number(out.match(/^Status: (\d+)/)?.[1]), head: out.slice(0, split), body: out.slice(split + 4), log });
    });
  });
  return within(10000, "the CGI program ends", done);
}

function assertServed(answer) {
  assert.equal(answer.status, 200, answer.log ?? answer.body);
  assert.equal(JSON.parse(answer.body).status, 410);
}

function assertNotReady(answer) {
  assert.equal(answer.status, 500);
  assert.match(answer.body, /^This service is not ready\./);
  assert.ok(!answer.body.includes("/"), "no path of this host is told");
}

describe("as CGI the journal is", () => {
  it("what the web server's variable names", async () => {
    const HOLDFAST_DIR = await journal("chat");
    assertServed(await cgi(program("holdfast-gateway"), { HOLDFAST_DIR }));
    assertServed(await cgi(program("holdfast-gateway"), { REDIRECT_HOLDFAST_DIR: HOLDFAST_DIR }));
  });

  it("never what a client names", async () => {
    const HTTP_HOLDFAST_DIR = await journal("chat");
    assertNotReady(await cgi(program("holdfast-gateway"), { HTTP_HOLDFAST_DIR, HTTP_REDIRECT_HOLDFAST_DIR: HTTP_HOLDFAST_DIR }));
  });

  it("what .htholdfast beside the script says", async () => {
    await journal("chat");
    writeFileSync(at("www/.htholdfast"), "dir = ../chat\n");
    assertServed(await cgi(script(), { SCRIPT_FILENAME: at("www/holdfast.cgi") }));
  });

  it("what .htholdfast beside a link to the program says", async () => {
    await journal("chat");
    writeFileSync(at("www/.htholdfast"), "dir = ../chat\n");
    symlinkSync(program("holdfast-gateway"), at("www/holdfast.cgi"));
    assertServed(await cgi(at("www/holdfast.cgi")));
  });

  it("what .htholdfast beside the program says, uploaded as it is", async () => {
    await journal("home/journal");
    writeFileSync(at("www/.htholdfast"), "; ours\ndir = ~/journal\n");
    copyFileSync(program("holdfast-gateway"), at("www/holdfast.cgi"));
    assertServed(await cgi(at("www/holdfast.cgi")));
  });

  it("else ~/holdfast", async () => {
    await journal("home/holdfast");
    assertServed(await cgi(script()));
  });

  it("--dir before all of them", async () => {
    await journal("chat");
    writeFileSync(at("www/.htholdfast"), "nonsense\n");
    const env = { HOLDFAST_DIR: at("missing"), SCRIPT_FILENAME: at("www/holdfast.cgi") };
    assertServed(await cgi(program("holdfast-gateway"), env, ["--dir", at("chat")]));
  });
});

describe("as CGI, where no journal is found,", () => {
  it("the log lists what was tried, and the visitor learns nothing", async () => {
    const answer = await cgi(script(), { SCRIPT_FILENAME: at("www/holdfast.cgi") });
    assertNotReady(answer);
    assert.match(answer.head, /^Content-Type: text\/plain/m);
    for (const tried of ["holdfast init", "--dir (not given)", "HOLDFAST_DIR (not set)", at("www/.htholdfast"), at("home/holdfast")])
      assert.ok(answer.log.includes(tried), `${tried} in ${answer.log}`);
  });

  it("a mistake in .htholdfast is named with its line", async () => {
    await journal("home/holdfast");
    writeFileSync(at("www/.htholdfast"), "; mine\ndri = /x\n");
    const answer = await cgi(script(), { SCRIPT_FILENAME: at("www/holdfast.cgi") });
    assertNotReady(answer);
    assert.ok(answer.log.includes(`${at("www/.htholdfast")}:2: unknown name 'dri': did you mean 'dir'?`), answer.log);
  });
});

// --- resident ---------------------------------------------------------------

async function resident(t, args = [], env = {}) {
  const socket = at("gateway.sock");
  const log = at("gateway.log");
  const fd = openSync(log, "a");
  const child = own(spawn(program("holdfast-gateway"), ["--socket", socket, ...args], { env: environment(env), stdio: ["ignore", fd, fd] }));
  closeSync(fd);
  const ended = new Promise((done) => child.on("exit", (code, signal) => done({ code, signal })));
  t.after(async () => {
    if (child.exitCode === null) child.kill("SIGTERM");
    assert.deepEqual(await within(8000, "the gateway ends", ended), { code: 0, signal: null }, readFileSync(log, "utf8"));
  });
  const accepts = () =>
    new Promise((done) => {
      const probe = net.connect(socket);
      probe.on("connect", () => done(probe.destroy() && true));
      probe.on("error", () => done(false));
    });
  await until(5000, "the gateway listens", accepts);
  const text = () => readFileSync(log, "utf8");
  // It listens before it has opened the journal.
  const says = (words) => until(5000, `${words} is logged`, () => words.test(text())).catch((error) => assert.fail(`${error.message}\n${text()}`));
  return { ask: (env, more) => ask(socket, { env, ...more }), log: text, says };
}

describe("a gateway that stays and was told nothing", () => {
  it("opens what the first request names, by whatever name, and nothing else", async (t) => {
    await journal("chat");
    await journal("other");
    await journal("home/holdfast");
    const gateway = await resident(t);
    await gateway.says(/event=waiting .*home\/holdfast/);
    assertServed(await gateway.ask({ HOLDFAST_DIR: at("chat") }));
    await gateway.says(/event=started .*chat.* said_by=HOLDFAST_DIR/);
    assertServed(await gateway.ask({ HOLDFAST_DIR: `${place}/www/../chat/` }));
    assertServed(await gateway.ask({}));
    assertNotReady(await gateway.ask({ HOLDFAST_DIR: at("other") }));
    await gateway.says(/event=other_directory .*other.*chat/);
    assertNotReady(await gateway.ask({ HOLDFAST_DIR: at("missing") }));
    assertServed(await gateway.ask({ HOLDFAST_DIR: at("chat") }));
  });

  it("takes what stands beside the script, else ~/holdfast", async (t) => {
    await journal("chat");
    await journal("home/holdfast");
    writeFileSync(at("www/.htholdfast"), "dir = ../chat\n");
    const gateway = await resident(t);
    assertServed(await gateway.ask({ SCRIPT_FILENAME: script("www/holdfast.fcgi") }));
    await gateway.says(/event=started .*chat.* said_by=\S*www\/\.htholdfast/);
  });

  it("measures the first request by the settings that it leads to", async (t) => {
    const HOLDFAST_DIR = await journal("chat");
    writeFileSync(join(HOLDFAST_DIR, "holdfast.conf"), "[http]\nmax_body = 10M\n");
    const gateway = await resident(t);
    const answer = await gateway.ask({ HOLDFAST_DIR }, { method: "POST", body: " ".repeat(9 * 1024 * 1024) });
    assert.equal(answer.status, 200, "read, and of no session");
  });

  it("refuses a first request that is too large for them", async (t) => {
    const HOLDFAST_DIR = await journal("chat");
    const gateway = await resident(t);
    assert.equal((await gateway.ask({ HOLDFAST_DIR }, { method: "POST", body: " ".repeat(9 * 1024 * 1024) })).status, 413);
  });

  it("wants the whole path from a request", async (t) => {
    await journal("chat");
    const gateway = await resident(t);
    assertNotReady(await gateway.ask({ HOLDFAST_DIR: "chat" }));
    await gateway.says(/give the whole path/);
  });

  it("tries again later, and then serves", async (t) => {
    const gateway = await resident(t);
    await gateway.says(/level=warn .*event=waiting .*holdfast init/);
    for (let i = 0; i < 5; i++) assertNotReady(await gateway.ask({}));
    assert.equal(gateway.log().match(/event=not_ready/g).length, 1, "one line for many requests");
    await journal("home/holdfast");
    await until(5000, "it is served", async () => (await gateway.ask({})).status === 200);
  });
});

describe("a gateway that stays and was told where", () => {
  it("by --dir serves requests that name the same, or nothing", async (t) => {
    await journal("chat");
    await journal("other");
    const gateway = await resident(t, ["--dir", at("chat")], { HOLDFAST_DIR: at("missing") });
    await gateway.says(/event=started .* said_by=--dir/);
    assertServed(await gateway.ask({}));
    assertServed(await gateway.ask({ HOLDFAST_DIR: at("chat") }));
    assertNotReady(await gateway.ask({ HOLDFAST_DIR: at("other") }));
  });

  it("by its environment opens it at once", async (t) => {
    const gateway = await resident(t, [], { HOLDFAST_DIR: await journal("chat") });
    await gateway.says(/event=started .* said_by=HOLDFAST_DIR/);
    assertServed(await gateway.ask({}));
  });
});

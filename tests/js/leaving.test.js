// A gateway that is asked to end, with many polls held: each is answered, so
// that a web server's reload is no error of anybody's page. By SIGTERM, which
// web servers send, and SIGUSR1, FastCGI's soft stop; resident and as CGI.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { closeSync, openSync, readFileSync } from "node:fs";
import { spawn } from "node:child_process";
import net from "node:net";
import { ask, variables } from "./lib/fastcgi.js";
import { own, program, Server, told } from "./lib/server.js";
import { sleep, until, within } from "./lib/wait.js";

const RESIDENT = 200;
const CGI = 40; // each is a process
const SIGNALS = ["SIGTERM", "SIGUSR1"];

let server;
let socket; // of a gateway that stays, for all that is not under test
const story = (body) => told(() => server, body);

before(async () => {
  const gateway = { hold: "30s", cgi_hold: "30s", held_first: 1000, cgi_max_held: 1000, max_held: 1000 };
  server = await Server.start({ sidecar: false, conf: { gateway } });
  socket = server.path("gateway-0.sock");
});
after(() => server?.stop());

const accepts = (path) =>
  new Promise((done) => {
    const probe = net.connect(path);
    probe.on("connect", () => done(probe.destroy() && true));
    probe.on("error", () => done(false));
  });

// As holdfast.js asks: so many stock clients would not be let in at once.
const OURS = "vsn=2.0.0&paced=1";

// The query of a session that has joined and read the reply.
async function joined(topic) {
  const { token } = JSON.parse((await ask(socket, { query: OURS })).body);
  const query = `${OURS}&token=${token}`;
  const body = JSON.stringify(["1", "1", topic, "phx_join", {}]);
  const env = { CONTENT_TYPE: "application/json" };
  assert.deepEqual(JSON.parse((await ask(socket, { method: "POST", query, body, env })).body), { status: 200 });
  const reply = JSON.parse((await ask(socket, { query })).body);
  assert.equal(reply.messages.length, 1);
  return `${OURS}&token=${reply.token}`;
}

const sessions = (count, topic) => Promise.all(Array.from({ length: count }, () => joined(topic)));

// Every one was answered "nothing yet, go on with this token"; and the token is
// good for what is published afterwards, at another process.
async function assertAnswered(answers, topic) {
  for (const answer of answers) assert.equal(answer.status, 204);
  await server.publish(topic, "tick", { i: 1 });
  const polls = answers.map(async ({ token }) => JSON.parse((await ask(socket, { query: `${OURS}&token=${token}` }, 10000)).body));
  for (const { messages } of await Promise.all(polls)) assert.deepEqual(messages.map((text) => JSON.parse(text)[4]), [{ i: 1 }]);
}

describe(`a gateway that holds ${RESIDENT} polls`, () => {
  for (const signal of SIGNALS)
    it(`answers all of them at ${signal}, and ends`, { timeout: 60000 }, story(async () => {
      const topic = `room:${signal}`;
      const path = server.path(`${signal}.sock`);
      const log = server.path(`${signal}.log`);
      const fd = openSync(log, "a");
      const child = own(spawn(program("holdfast-gateway"), ["--dir", server.dir, "--socket", path], { stdio: ["ignore", fd, fd] }));
      closeSync(fd);
      const ended = new Promise((done) => child.on("exit", (code, by) => done({ code, by })));
      await until(5000, "it listens", () => accepts(path));

      const queries = await sessions(RESIDENT, topic);
      const held = queries.map((query) => ask(path, { query }, 20000));
      assert.equal(await Promise.race([...held, sleep(1500)]), undefined, "none is answered before");
      const begun = performance.now();
      child.kill(signal);
      assert.deepEqual(await within(8000, "it ends", ended), { code: 0, by: null }, readFileSync(log, "utf8"));
      const took = performance.now() - begun;
      assert.ok(took < 4000, `${took} ms`);
      const answers = await Promise.all(held);
      for (const { status } of answers) assert.equal(status, 200);
      await assertAnswered(answers.map(({ body }) => JSON.parse(body)), topic);
    }));
});

// One poll as CGI; `done` gives its answer and how it ended.
function cgi(query) {
  const env = { PATH: process.env.PATH, GATEWAY_INTERFACE: "CGI/1.1", ...variables({ query }) };
  const child = own(spawn(program("holdfast-gateway"), ["--dir", server.dir], { env, stdio: ["ignore", "pipe", "pipe"] }));
  let out = "";
  child.log = "";
  child.stdout.on("data", (part) => (out += part));
  child.stderr.on("data", (part) => (child.log += part));
  child.done = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, by) => resolve({ code, by, head: out.split("\r\n\r\n")[0], body: out.split("\r\n\r\n")[1], log: child.log }));
  });
  return child;
}

// Only a process that waits in its loop holds its poll: signals are blocked
// there, and it sleeps.
const sleeps = (pid) => {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const blocked = BigInt(`0x${status.match(/^SigBlk:\s*(\w+)/m)[1]}`);
  return /^State:\s*S/m.test(status) && (blocked & (1n << 14n)) !== 0n;
};

describe(`${CGI} polls held as CGI`, () => {
  for (const signal of SIGNALS)
    it(`are answered at ${signal}`, { timeout: 60000 }, story(async () => {
      const topic = `room:cgi-${signal}`;
      const queries = await sessions(CGI, topic);
      const children = queries.map(cgi);
      await until(30000, "all wait", () => children.every(({ pid }) => sleeps(pid)), 200);
      await sleep(1000);
      assert.deepEqual(children.map(({ exitCode }) => exitCode).filter((code) => code !== null), [], "none ends before");
      const begun = performance.now();
      for (const child of children) child.kill(signal);
      const ends = await within(10000, "they end", Promise.all(children.map(({ done }) => done)));
      const took = performance.now() - begun;
      for (const { code, by, head, log } of ends) {
        assert.deepEqual({ code, by }, { code: 0, by: null }, log);
        assert.match(head, /^Status: 200 OK\r\n/);
      }
      assert.ok(took < 8000, `${took} ms`);
      await assertAnswered(ends.map(({ body }) => JSON.parse(body)), topic);
    }));

  it("a body that is still on its way is refused at SIGTERM", story(async () => {
    const env = { PATH: process.env.PATH, ...variables({ method: "POST" }), CONTENT_LENGTH: "100" };
    const child = own(spawn(program("holdfast-gateway"), ["--dir", server.dir], { env, stdio: ["pipe", "pipe", "ignore"] }));
    let out = "";
    child.stdout.on("data", (part) => (out += part));
    const ended = new Promise((done) => child.on("close", (code, by) => done({ code, by })));
    child.stdin.on("error", () => {});
    child.stdin.write("[");
    await until(10000, "it waits", () => sleeps(child.pid), 100);
    await sleep(500);
    child.kill("SIGTERM");
    assert.deepEqual(await within(8000, "it ends", ended), { code: 1, by: null });
    assert.match(out, /^Status: 500 /);
  }));
});

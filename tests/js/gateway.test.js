// The gateway as web servers start it and talk to it: records, routes, headers,
// limits, signals, spawning, CGI. What a session does is in longpoll.test.js.
import { after, afterEach, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { spawn, execFile } from "node:child_process";
import { existsSync, openSync, closeSync, readFileSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { ask, begin, FastCgi, params, record, requestBytes, TYPE, variables } from "./lib/fastcgi.js";
import { Poller } from "./lib/poll.js";
import { childrenOf, freePort, program, Server, told } from "./lib/server.js";
import { sleep, until, within } from "./lib/wait.js";

const run = promisify(execFile);
const SYSTEM_PATH = `${process.env.PATH}:/usr/sbin:/sbin`;

let server; // the journal, one gateway on a socket, lighttpd in front
let socket;
let topicNo = 0;
const topic = () => `room:gw-${++topicNo}`;
const story = (body) => told(() => server, body);

before(async () => {
  server = await Server.start({
    sidecar: false,
    conf: { gateway: { hold: "3s", cgi_hold: "3s", held_first: 1000, cgi_max_held: 1000 }, http: { origins: "good.example" } },
  });
  socket = server.path("gateway-0.sock");
});
after(() => server?.stop());

// --- processes of this file -------------------------------------------------

const started = new Set();
process.on("exit", () => {
  // lighttpd's gateways too, which would outlive it
  for (const pid of [...started].flatMap((child) => [child.pid, ...childrenOf(child.pid)])) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // gone already
    }
  }
});

// `log` gets what it prints; ended() is its fate.
function start(command, args, { log, env = {} } = {}) {
  const fd = openSync(log, "a");
  const child = spawn(command, args, { stdio: ["ignore", fd, fd], env: { ...process.env, PATH: SYSTEM_PATH, ...env } });
  closeSync(fd);
  started.add(child);
  child.ended = new Promise((done) => {
    child.on("error", (error) => done({ error }));
    child.on("exit", (code, signal) => done({ code, signal }));
  }).then((how) => {
    started.delete(child);
    return (child.how = how);
  });
  return child;
}

async function stop(child, signal = "SIGTERM") {
  if (!child.how) child.kill(signal);
  return within(8000, "a process ends", child.ended);
}

const accepts = (target) =>
  new Promise((done) => {
    const probe = net.connect(target);
    probe.on("connect", () => done(probe.destroy() && true));
    probe.on("error", () => done(false));
  });

async function startGateway(name) {
  const path = server.path(name);
  const child = start(program("holdfast-gateway"), ["--dir", server.dir, "--socket", path], { log: server.path(`${name}.log`) });
  await until(5000, "the gateway listens", () => accepts(path));
  return { child, path };
}

// A session that has joined `where`, spoken to over FastCGI.
async function session(path, where, env = {}) {
  const created = JSON.parse((await ask(path, { env })).body);
  assert.equal(created.status, 410);
  const query = (token) => `vsn=2.0.0&token=${token}`;
  const body = JSON.stringify(["1", "1", where, "phx_join", {}]);
  const post = { method: "POST", query: query(created.token), body, env: { CONTENT_TYPE: "application/json", ...env } };
  assert.deepEqual(JSON.parse((await ask(path, post)).body), { status: 200 });
  let token = created.token;
  const poll = { options: () => ({ query: query(token), env }) };
  poll.get = async (at = path, ms = 8000) => poll.take(await ask(at, poll.options(), ms));
  poll.take = ({ body: text }) => {
    const answer = JSON.parse(text);
    if (answer.token) token = answer.token;
    return { ...answer, payloads: (answer.messages ?? []).map((message) => JSON.parse(message)[4]) };
  };
  const joined = await poll.get();
  assert.equal(joined.payloads[0].status, "ok");
  return poll;
}

// --- over HTTP --------------------------------------------------------------

const JSON_HEADERS = {
  "content-type": "application/json; charset=utf-8",
  "access-control-allow-origin": "*",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
};

// lighttpd leaves out headers without a value.
function assertHeaders(answer, expected) {
  for (const [name, value] of Object.entries(expected)) assert.equal(answer.headers[name] ?? "", value, name);
  assert.equal(answer.headers["content-length"], String(Buffer.byteLength(answer.body)));
}

describe("every JSON answer has the headers of the protocol:", () => {
  const path = "/socket/longpoll?vsn=2.0.0&";
  const cases = {
    "a new session": [{ path }, 200, 410],
    "another version": [{ path: "/socket/longpoll?vsn=3.0.0" }, 200, 403],
    "a foreign origin": [{ path, headers: { origin: "http://evil.example" } }, 200, 403],
    "a push without session": [{ path, method: "POST", body: "[]" }, 200, 410],
    "a foreign preflight": [{ path, method: "OPTIONS", headers: { origin: "http://evil.example" } }, 200, 403],
    "a body over the limit": [{ path, method: "POST", body: "x".repeat(8000001) }, 413, 413],
  };
  for (const [what, [options, http, status]] of Object.entries(cases)) {
    it(what, story(async () => {
      const answer = await server.request(options);
      assert.equal(answer.status, http);
      assert.equal(JSON.parse(answer.body).status, status);
      assertHeaders(answer, JSON_HEADERS);
    }));
  }
});

describe("a preflight", () => {
  const preflight = (headers, path = "/socket/longpoll?vsn=2.0.0") => server.request({ method: "OPTIONS", path, headers });
  const allowed = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, POST, OPTIONS",
    "access-control-max-age": "3600",
  };

  it("from an allowed origin is told so, and the names it asked for", story(async () => {
    const asked = "content-type,x-phoenix-authtoken,X-Phoenix-Longpoll-Token";
    const headers = { origin: "https://good.example", "access-control-request-method": "POST", "access-control-request-headers": asked };
    const answer = await preflight(headers);
    assert.deepEqual([answer.status, answer.body], [200, ""]);
    assertHeaders(answer, { ...allowed, "access-control-allow-headers": asked });
  }));

  it("needs no version and no session", story(async () => {
    const answer = await preflight({}, "/socket/longpoll");
    assert.deepEqual([answer.status, answer.body], [200, ""]);
    assertHeaders(answer, { ...allowed, "access-control-allow-headers": "" });
  }));

  it("gets nothing back but names", story(async () => {
    const answer = await preflight({ origin: "https://good.example", "access-control-request-headers": "a: b; <script>" });
    assertHeaders(answer, { ...allowed, "access-control-allow-headers": "" });
  }));
});

it("the token may be in a header, which wins over the query", story(async () => {
  const poller = await new Poller(server.port).open();
  await poller.join(topic());
  const headers = { "x-phoenix-longpoll-token": poller.token };
  for (const path of ["/socket/longpoll?vsn=2.0.0", "/socket/longpoll?vsn=2.0.0&token=nonsense"]) {
    const body = JSON.stringify([null, "1", "phoenix", "heartbeat", {}]);
    const pushed = await server.request({ method: "POST", path, headers, body });
    assert.deepEqual(JSON.parse(pushed.body), { status: 200 });
    const polled = JSON.parse((await server.request({ path, headers })).body);
    assert.equal(polled.status, 200);
    headers["x-phoenix-longpoll-token"] = polled.token;
  }
}));

it("a body at the limit is not too large", story(async () => {
  const poller = await new Poller(server.port).open();
  const line = JSON.stringify([null, "1", "phoenix", "heartbeat", {}]);
  const body = line + "\n".repeat(8000000 - line.length);
  const answer = await server.request({ method: "POST", path: poller.url(), headers: { "content-type": "application/x-ndjson" }, body });
  assert.equal(answer.status, 200);
  assert.notEqual(JSON.parse(answer.body).status, 413);
}));

it("a connection that is kept serves one request after another", story(async () => {
  const connection = await FastCgi.open(socket);
  for (const id of [1, 2, 65535, 1]) {
    connection.send(requestBytes({ id, keep: true }));
    const answer = await connection.answer();
    assert.equal(answer.id, id);
    assert.equal(JSON.parse(answer.body).status, 410);
  }
  connection.send(requestBytes({ keep: false }));
  assert.equal((await connection.answer()).status, 200);
  await connection.end();
}));

// --- bad peers on the socket itself -----------------------------------------

describe("on its socket the gateway", () => {
  afterEach(async () => {
    assert.equal(server.gateways[0].how, undefined, "the gateway still runs");
    assert.equal(JSON.parse((await ask(socket)).body).status, 410);
  });

  const whole = requestBytes();
  const claim = (name, value) => {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32BE((name | 0x80000000) >>> 0, 0);
    bytes.writeUInt32BE((value | 0x80000000) >>> 0, 4);
    return bytes;
  };
  const closed = {
    HTTP: Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "another version": Buffer.concat([record(TYPE.begin, 1, [0, 1, 0, 0, 0, 0, 0, 0], { version: 2 })]),
    "the role of an authorizer": begin(1, { role: 2 }),
    "the role of a filter": begin(1, { role: 3 }),
    "a begin that is too short": record(TYPE.begin, 1, [0, 1, 0]),
    "a begin that is padded": record(TYPE.begin, 1, [0, 1, 0, 0, 0, 0, 0, 0], { padding: 8 }),
    "two requests at once": Buffer.concat([begin(1), begin(2)]),
    "parameters of another request": Buffer.concat([begin(1), record(TYPE.params, 2, "")]),
    "a body before the parameters": Buffer.concat([begin(1), record(TYPE.stdin, 1, "x")]),
    "a body without a request": record(TYPE.stdin, 1, "x"),
    "an end of a request": Buffer.concat([begin(1), record(TYPE.end, 1, Buffer.alloc(8))]),
    "a parameter cut short": Buffer.concat([begin(1), record(TYPE.params, 1, [5, 5, 65]), record(TYPE.params, 1)]),
    "a management record inside a request": Buffer.concat([begin(1), record(TYPE.getValues, 0)]),
    "a long management record": record(99, 0, Buffer.alloc(513)),
    zeros: Buffer.alloc(64),
  };
  for (const [what, bytes] of Object.entries(closed)) {
    it(`closes the connection for ${what}`, story(async () => {
      const connection = await FastCgi.open(socket);
      connection.send(bytes);
      await connection.end();
      assert.deepEqual(connection.records, []);
    }));
  }

  const large = {
    "a parameter of 100 kB": params({ HTTP_COOKIE: "x".repeat(100000) }),
    "lengths of 2^31-1 each": claim(0x7fffffff, 0x7fffffff),
    "lengths whose sum is 2^31-2, which end a process by libfcgi": claim(0x40000000, 0x3ffffffe),
    "a name of 2^31-1": claim(0x7fffffff, 0),
  };
  for (const [what, bytes] of Object.entries(large)) {
    it(`refuses ${what}`, story(async () => {
      const connection = await FastCgi.open(socket);
      connection.send(begin(1));
      for (let at = 0; at < bytes.length; at += 60000) connection.send(record(TYPE.params, 1, bytes.subarray(at, at + 60000)));
      connection.send(Buffer.concat([record(TYPE.params, 1, Buffer.alloc(40000)), record(TYPE.params, 1), record(TYPE.stdin, 1)]));
      const answer = await connection.answer();
      assert.equal(answer.status, 431);
      // a GET may be answered with it: only a status that clients know
      assert.deepEqual(JSON.parse(answer.body), { status: 500 });
      await connection.end();
    }));
  }

  it("answers what it is asked about itself", story(async () => {
    const connection = await FastCgi.open(socket);
    connection.send(Buffer.concat([record(TYPE.getValues, 0, params({ FCGI_MPXS_CONNS: "", FCGI_OTHER: "" })), record(77, 0)]));
    await until(3000, "two answers", () => connection.records.length === 2);
    assert.deepEqual(connection.records[0], [TYPE.valuesResult, 0, params({ FCGI_MPXS_CONNS: "0" })]);
    assert.deepEqual(connection.records[1], [TYPE.unknown, 0, Buffer.from([77, 0, 0, 0, 0, 0, 0, 0])]);
    connection.send(requestBytes());
    assert.equal(JSON.parse((await connection.answer()).body).status, 410);
  }));

  it("takes a request byte by byte", story(async () => {
    const connection = await FastCgi.open(socket);
    connection.socket.setNoDelay(true);
    for (const byte of whole) {
      connection.send(Buffer.from([byte]));
      if (byte === 1) await sleep(1);
    }
    assert.equal(JSON.parse((await connection.answer()).body).status, 410);
  }));

  it("is held up by nobody who is slow or silent", story(async () => {
    const idle = [];
    for (let i = 0; i < 200; i++) {
      const connection = await FastCgi.open(socket);
      if (i % 2) connection.send(whole.subarray(0, 1 + (i % (whole.length - 1))));
      idle.push(connection);
    }
    for (let i = 0; i < 20; i++) {
      const begun = performance.now();
      assert.equal(JSON.parse((await ask(socket)).body).status, 410);
      assert.ok(performance.now() - begun < 1000);
    }
    idle.forEach((connection) => connection.destroy());
  }));

  // CVE-2025-23016: a gateway linked to the library of Debian 12 would abort.
  it("survives one parameter record of 40 kB with lengths of 2^30", story(async () => {
    const connection = await FastCgi.open(socket);
    const lengths = claim(0x40000000, 0x3ffffffe);
    connection.send(Buffer.concat([begin(1), record(TYPE.params, 1, Buffer.concat([lengths, Buffer.alloc(40000 - lengths.length)]))]));
    connection.send(Buffer.concat([record(TYPE.params, 1), record(TYPE.stdin, 1)]));
    assert.equal((await connection.answer()).status, 431);
    await connection.end();
  }));

  // What the web server says of a body that has another length, or none.
  const lies = {
    "shorter than it was said to be": (length) => length + 10,
    "longer than it was said to be": (length) => length - 10,
    "said to have a negative length": () => -1,
    "said to have a length of no number": () => "1e3",
    "said to be larger than any number": () => "99999999999999999999999999",
    "said to be empty": () => 0,
  };
  for (const [what, said] of Object.entries(lies)) {
    it(`does nothing of a push that is ${what}`, story(async () => {
      const where = topic();
      const poll = await session(socket, where);
      const body = JSON.stringify(["1", "2", where, "say", { n: 1 }]);
      const env = { CONTENT_TYPE: "application/x-ndjson", CONTENT_LENGTH: said(body.length) };
      const answer = await ask(socket, { ...poll.options(), method: "POST", body, env });
      assert.deepEqual([answer.status, JSON.parse(answer.body)], [400, { status: 400 }]);
      assert.equal((await poll.get()).status, 204);
    }));
  }

  // From a client that sends it in chunks: the server hands on what there is.
  it("takes a push whose length nobody says", story(async () => {
    const where = topic();
    const poll = await session(socket, where);
    const body = JSON.stringify(["1", "2", where, "say", { n: 1 }]);
    const env = { CONTENT_TYPE: "application/x-ndjson", CONTENT_LENGTH: "" };
    const answer = await ask(socket, { ...poll.options(), method: "POST", body, env });
    assert.deepEqual(JSON.parse(answer.body), { status: 200 });
    assert.ok((await poll.get()).payloads.some(({ n }) => n === 1));
  }));

  it("gives a poll up when the server says that its client is gone, and answers it all the same", story(async () => {
    const where = topic();
    const poll = await session(socket, where);
    const connection = await FastCgi.open(socket);
    connection.send(requestBytes(poll.options()));
    await sleep(200);
    connection.socket.end();
    assert.deepEqual([(await connection.answer(1000)).status, connection.records], [200, []]);
    await connection.end();
    await server.publish(where, "tick", { i: 1 });
    assert.deepEqual((await poll.get()).payloads, [{ i: 1 }]);
  }));

  it("gives a poll up when the server takes it back", story(async () => {
    const where = topic();
    const poll = await session(socket, where);
    const connection = await FastCgi.open(socket);
    connection.send(requestBytes({ id: 3, keep: true, ...poll.options() }));
    await sleep(200);
    connection.send(record(TYPE.abort, 3));
    assert.deepEqual(await connection.answer(1000), { id: 3, status: 0, headers: {}, body: "" });
    await server.publish(where, "tick", { i: 1 });
    connection.send(requestBytes({ id: 4, keep: true, ...poll.options() }));
    assert.deepEqual(poll.take(await connection.answer()).payloads, [{ i: 1 }]);
    connection.destroy();
  }));
});

// --- signals ----------------------------------------------------------------

describe("a gateway that is asked to end", () => {
  for (const signal of ["SIGTERM", "SIGINT", "SIGUSR1"]) {
    it(`by ${signal} answers the polls it holds`, story(async () => {
      const { child, path } = await startGateway(`end-${signal}.sock`);
      const where = topic();
      const poll = await session(path, where);
      const held = ask(path, poll.options());
      await sleep(300);
      const begun = performance.now();
      const how = await stop(child, signal);
      assert.deepEqual(how, { code: 0, signal: null });
      const answer = poll.take(await held);
      assert.equal(answer.status, 204);
      assert.ok(answer.token);
      assert.ok(performance.now() - begun < 2000);
      assert.ok(!existsSync(path), "its socket is removed");
      // and the session goes on elsewhere
      await server.publish(where, "tick", { i: 1 });
      assert.deepEqual((await poll.get(socket)).payloads, [{ i: 1 }]);
    }));
  }

  it("waits for nobody longer than five seconds", { timeout: 20000 }, story(async () => {
    const { child, path } = await startGateway("patience.sock");
    const silent = await FastCgi.open(path);
    silent.send(begin(1));
    await sleep(100);
    const begun = performance.now();
    assert.deepEqual(await stop(child), { code: 0, signal: null });
    const took = performance.now() - begun;
    assert.ok(took > 4000 && took < 7000, `${took} ms`);
    silent.destroy();
  }));

  it("with kill -9 loses nothing, and its socket is taken over", story(async () => {
    const { child, path } = await startGateway("killed.sock");
    const where = topic();
    const poll = await session(path, where);
    const held = ask(path, poll.options()).catch(() => "lost");
    await sleep(200);
    assert.deepEqual(await stop(child, "SIGKILL"), { code: null, signal: "SIGKILL" });
    await server.publish(where, "tick", { i: 1 });
    const again = await startGateway("killed.sock");
    assert.deepEqual((await poll.get(path)).payloads, [{ i: 1 }]);
    await stop(again.child);
    await Promise.race([held, sleep(10)]);
  }));
});

// --- how it is started ------------------------------------------------------

const gateway = (args, options = {}) =>
  run(program("holdfast-gateway"), args, { timeout: 10000, env: { PATH: SYSTEM_PATH }, ...options }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );

describe("the command line", () => {
  it("knows --version and --help", async () => {
    assert.match((await gateway(["--version"])).stdout, /^holdfast-gateway \d+\.\d+/);
    assert.match((await gateway(["--help"])).stdout, /--socket PATH/);
  });

  it("is refused when it is wrong", async () => {
    for (const args of [["--nonsense"], ["extra"], ["--dir"], []]) {
      const { code, stderr } = await gateway(args);
      assert.equal(code, 2, args.join(" "));
      assert.match(stderr, /usage: holdfast-gateway/);
    }
  });

  it("must name a journal that is there", async () => {
    const path = server.path("none.sock");
    const missing = await gateway(["--socket", path, "--dir", server.path("missing")]);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /missing/);
    assert.ok(!existsSync(path));
  });

  it("cannot take a socket that somebody uses", async () => {
    const taken = await gateway(["--dir", server.dir, "--socket", socket]);
    assert.equal(taken.code, 1);
    assert.match(taken.stderr, /another gateway listens/);
  });

  it("makes a socket for the owner and the group", async () => {
    assert.equal(statSync(socket).mode & 0o7777, 0o660);
  });
});

const spawnFcgi = (args, log, own = []) =>
  start("spawn-fcgi", ["-n", ...args, "--", program("holdfast-gateway"), ...own], { log: server.path(log), env: { HOLDFAST_DIR: server.dir } });
const hasSpawnFcgi = SYSTEM_PATH.split(":").some((folder) => existsSync(join(folder, "spawn-fcgi")));

describe("started by spawn-fcgi", { skip: !hasSpawnFcgi }, () => {
  it("it serves the socket it is given", story(async () => {
    const path = server.path("spawned.sock");
    const child = spawnFcgi(["-s", path, "-b", "1024"], "spawned.log");
    await until(5000, "it listens", () => accepts(path));
    const where = topic();
    const poll = await session(path, where);
    await server.publish(where, "tick", { i: 1 });
    assert.deepEqual((await poll.get()).payloads, [{ i: 1 }]);
    assert.deepEqual(await stop(child), { code: 0, signal: null });
  }));

  // What a gateway says of how it is served, at its first request.
  const servedAs = async (name, software, args = []) => {
    const path = server.path(`${name}.sock`);
    const child = spawnFcgi(["-s", path, "-b", "1024"], `${name}.log`, args);
    await until(5000, "it listens", () => accepts(path));
    for (const env of [{ SERVER_SOFTWARE: software }, {}]) assert.equal((await ask(path, { env })).status, 200);
    await stop(child);
    return readFileSync(server.path(`${name}.log`), "utf8").match(/event=served .*/g).map((line) => line.match(/ as=(\S+)/)[1]).join();
  };

  it("it tells mod_fcgid by Apache, which starts no other program", story(async () => {
    assert.equal(await servedAs("apache", "Apache/2.4.71 (Debian)"), "fcgid");
    assert.equal(await servedAs("lighttpd", "lighttpd/1.4.69"), "resident");
    assert.equal(await servedAs("nginx", "nginx/1.22.1"), "resident_nginx");
  }));

  it("but the setting mode goes before that", story(async () => {
    const other = server.path("modes");
    const conf = (mode) => writeFileSync(join(other, "holdfast.conf"), `[gateway]\nmode = ${mode}\n`);
    await run(program("holdfast"), ["init", other]);
    conf("resident");
    assert.equal(await servedAs("mode-1", "Apache", ["--dir", other]), "resident_apache");
    conf("fcgid");
    assert.equal(await servedAs("mode-2", "other", ["--dir", other]), "fcgid");
  }));

  it("it refuses a TCP port", story(async () => {
    const child = spawnFcgi(["-a", "127.0.0.1", "-p", String(await freePort())], "tcp.log");
    const how = await within(5000, "it ends", child.ended);
    assert.equal(how.code, 1);
    assert.match(readFileSync(server.path("tcp.log"), "utf8"), /give it a Unix socket/);
  }));
});

// --- CGI, started by hand ---------------------------------------------------

// stdin is `body`; the answer as a server would read it
function cgi(env, { args = [], body = "", dir = server.dir, keepOpen = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program("holdfast-gateway"), dir ? ["--dir", dir, ...args] : args, { env: { PATH: SYSTEM_PATH, GATEWAY_INTERFACE: "CGI/1.1", ...env } });
    let out = "";
    let err = "";
    const timer = setTimeout(() => child.kill("SIGKILL"), 15000);
    child.stdout.on("data", (part) => (out += part));
    child.stderr.on("data", (part) => (err += part));
    child.stdin.on("error", () => {});
    child.stdin.write(body);
    if (!keepOpen) child.stdin.end();
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      const split = out.indexOf("\r\n\r\n");
      resolve({ code, head: out.slice(0, split), body: out.slice(split + 4), err });
    });
  });
}

describe("as CGI", () => {
  const poll = variables({ env: { SCRIPT_NAME: "/cgi-bin/any.cgi", PATH_INFO: "/longpoll", REQUEST_URI: "/cgi-bin/any.cgi/longpoll?vsn=2.0.0" } });

  it("a script of any name is a socket", story(async () => {
    const answer = await cgi(poll);
    assert.equal(answer.code, 0, answer.err);
    assert.match(answer.head, /^Status: 200 OK\r\n/);
    assert.equal(JSON.parse(answer.body).status, 410);
  }));

  it("nothing is wrong when nobody reads its answer any more", story(async () => {
    const child = spawn(program("holdfast-gateway"), ["--dir", server.dir], { env: { PATH: SYSTEM_PATH, GATEWAY_INTERFACE: "CGI/1.1", ...poll } });
    child.stdout.destroy();
    let err = "";
    child.stderr.on("data", (part) => (err += part));
    const code = await within(10000, "it ends", new Promise((done) => child.on("close", done)));
    assert.deepEqual([code, err], [0, ""]);
  }));

  it("it does not wait for the end of its input", story(async () => {
    const begun = performance.now();
    assert.equal((await cgi(poll, { keepOpen: true })).code, 0);
    assert.ok(performance.now() - begun < 3000);
  }));

  it("it does nothing of a body cut short", story(async () => {
    const answer = await cgi({ ...poll, REQUEST_METHOD: "POST", CONTENT_LENGTH: "100" }, { body: "[]" });
    assert.match(answer.head, /^Status: 400 /);
    assert.deepEqual(JSON.parse(answer.body), { status: 400 });
  }));

  it("a length that is none is refused", story(async () => {
    for (const length of ["-1", "1x", " 1"]) {
      const answer = await cgi({ ...poll, REQUEST_METHOD: "POST", CONTENT_LENGTH: length }, { body: "[]" });
      assert.match(answer.head, /^Status: 400 /, length);
      assert.deepEqual(JSON.parse(answer.body), { status: 400 });
    }
  }));

  it("a body over the limit is refused by its length alone", story(async () => {
    for (const length of ["8000001", "99999999999999999999999999"]) {
      const answer = await cgi({ ...poll, REQUEST_METHOD: "POST", CONTENT_LENGTH: length }, { body: "x" });
      assert.match(answer.head, /^Status: 413 Content Too Large\r\n/);
      assert.deepEqual(JSON.parse(answer.body), { status: 413 });
    }
  }));

  // Apache hands such a body on without a length, up to its end.
  it("a body in chunks is read to its end, and to the limit", story(async () => {
    const created = await cgi(poll);
    const query = `vsn=2.0.0&token=${JSON.parse(created.body).token}`;
    const env = { ...poll, REQUEST_METHOD: "POST", QUERY_STRING: query, HTTP_TRANSFER_ENCODING: "chunked" };
    const body = JSON.stringify([null, "1", "phoenix", "heartbeat", {}]);
    assert.deepEqual(JSON.parse((await cgi(env, { body })).body), { status: 200 });
    assert.equal(JSON.parse((await cgi({ ...poll, QUERY_STRING: query })).body).messages.length, 1);
    const large = await cgi(env, { body: "x".repeat(8000001) });
    assert.match(large.head, /^Status: 413 /);
  }));

  it("what went wrong is in the log, and not told to visitors", story(async () => {
    const answer = await cgi(poll, { dir: server.path("missing") });
    assert.equal(answer.code, 1);
    assert.match(answer.head, /^Status: 500 /);
    assert.match(answer.head, /^Content-Type: text\/plain/m);
    assert.match(answer.body, /not ready/);
    assert.ok(!answer.body.includes("/"), answer.body);
    assert.match(answer.err, /event=cgi_failed .*missing/);
  }));

  // Apache turns a query without '=' into arguments.
  it("a client's query is never taken for arguments", story(async () => {
    for (const QUERY_STRING of ["--help", "--socket+/tmp/x", "-"]) {
      const answer = await cgi({ ...poll, QUERY_STRING }, { args: QUERY_STRING.split("+"), dir: null });
      assert.equal(answer.code, 0);
      assert.match(answer.head, /^Status: 400 /);
      assert.doesNotMatch(answer.body, /usage/);
    }
  }));
});

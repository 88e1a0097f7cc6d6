// The helpers of lang/ with real servers: what PHP, Python and Perl publish, by
// SQL and over HTTP, reaches both transports; their tokens open doors, their
// pages go on live, their applications answer hooks.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import http from "node:http";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { Socket } from "../../www/holdfast.js";
import { Server, freePort, own, told, until, within } from "./lib/server.js";

const at = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const languages = {
  "PHP-curl": { // on a host that lets PHP open no URLs by itself
    library: at("lang/php/holdfast.php"),
    call: ["php", "-d", "allow_url_fopen=0", at("tests/lang/call.php")],
  },
  PHP: { library: at("lang/php/holdfast.php"), call: ["php", at("tests/lang/call.php")] },
  Python: { library: at("lang/python/holdfast.py"), call: ["python3", at("tests/lang/call.py")] },
  Perl: { library: at("lang/perl/Holdfast.pm"), call: ["perl", at("tests/lang/call.pl")] },
};
// where ./check has seen to it that all is installed nothing is skipped
const curl = process.env.HOLDFAST_ALL_RECIPES
  || execFileSync("php", ["-r", "echo function_exists('curl_init');"]).length > 0;
const transports = ["websocket", "longpoll"];
const bytes = { _binary: "AP8i" };
const STRANGE = `it's "é" \u{1f600}\u2028<b>\\`;

let server; // where nobody decides but policies
let hooked; // where applications do
let front; // passes hooks on to the three
const sockets = [];
const test = (name, body) =>
  it(
    name,
    told(() => server, body, 180000), // many processes, one after the other
  );

// All that comes from a child, which gets `input`.
function output(command, args, input, env = process.env) {
  return new Promise((resolve, reject) => {
    const child = own(spawn(command, args, { env }));
    const said = { stdout: [], stderr: [] };
    for (const name of ["stdout", "stderr"]) child[name].on("data", (part) => said[name].push(part));
    child.on("error", reject);
    child.on("close", (code) => {
      const [stdout, stderr] = [said.stdout, said.stderr].map((parts) => Buffer.concat(parts));
      if (code !== 0 || stdout.length === 0) reject(new Error(`${args}: ${code} ${stdout} ${stderr}`));
      else resolve(stdout);
    });
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

// calls: [["publish", topic, event, ...], ...]; their results
async function call(language, where, options, ...calls) {
  const { library, call: command } = languages[language];
  const asked = JSON.stringify({ where, options, calls: calls.map(([name, ...args]) => [name, args]) });
  const said = await within(
    120000,
    `${language} ends`,
    output(command[0], [...command.slice(1), library], asked),
  );
  return JSON.parse(said.toString());
}

async function ok(...args) {
  const results = await call(...args);
  return results.map((result) => ("ok" in result ? result.ok : assert.fail(JSON.stringify(result))));
}

const url = () => `http://127.0.0.1:${server.port}/socket`;

// A member of a topic, by our client.
async function member(to, topic, transport, { options = {}, params = {} } = {}) {
  const socket = new Socket(to.endpoint, { transport, WebSocket, ...options });
  sockets.push(socket);
  socket.connect();
  const channel = socket.channel(topic, params);
  const got = [];
  for (const event of ["note", "said", "welcome"]) channel.on(event, (payload) => got.push([event, payload]));
  const joined = await answerTo(channel.join(30000), `the join of ${topic}`);
  return { socket, channel, got, joined };
}

const push = (channel, event, payload) => answerTo(channel.push(event, payload, 30000), event);

// [status, response]
const answerTo = (pushed, what) =>
  within(
    30000,
    `an answer to ${what}`,
    new Promise((done) => {
      for (const status of ["ok", "error"]) pushed.receive(status, (response) => done([status, response]));
    }),
  );

before(async () => {
  server = await Server.start({ allow: [["room:*", "join"], ["open:*", "join,publish"]] });
});
after(async () => {
  for (const socket of sockets) socket.disconnect();
  await server?.stop();
});

for (const language of Object.keys(languages)) {
  const room = (name) => `room:${language}-${name}`;

  describe(language, { skip: language === "PHP-curl" && !curl && "this PHP has no extension curl" }, () => {
    test("publishes by SQL and over HTTP to both transports", async () => {
      const topic = room("both");
      const members = await Promise.all(transports.map((transport) => member(server, topic, transport)));
      for (const { joined } of members) assert.equal(joined[0], "ok");
      const [token] = await ok(language, server.dir, {}, ["token", "press", { "room:*": ["publish"] }]);
      const payloads = [{ body: STRANGE }, [1, "2", 1.5, null, true], "text"];
      const more = payloads.map((payload) => ["publish", topic, "note", payload]);
      const bySql = await ok(language, server.dir, {}, ...more);
      const byHttp = await ok(language, url(), { token }, ...more);
      assert.equal(new Set([...bySql, ...byHttp]).size, 6);
      for (const cursor of [...bySql, ...byHttp]) assert.match(cursor, /^j:[\w-]{11}\.\d+$/);
      for (const { got } of members) {
        await until(30000, "all six came", () => got.length === 6);
        assert.deepEqual(got, [...payloads, ...payloads].map((payload) => ["note", payload]));
      }
    });

    test("has the rights of its token over HTTP, and hears why it has not", async () => {
      const [token, old] = await ok(
        language,
        server.dir,
        {},
        ["token", "s7", { "plant:*": ["publish"] }],
        ["token", "s7", { "plant:*": ["publish"] }, 1],
      );
      const publish = ["publish", "plant:1", "note", 1];
      const [none] = await call(language, url(), {}, publish);
      assert.match(none.refused, /^(unauthorized|unmatched topic)$/);
      const [given, other, reserved] = await call(
        language,
        url(),
        { token },
        publish,
        ["publish", "room:1", "note", 1],
        ["publish", "plant:1", "phx_close", 1],
      );
      assert.ok(given.ok);
      assert.match(other.refused, /^(unauthorized|unmatched topic)$/);
      assert.equal(reserved.refused, "event not allowed");
      await until(30000, "the token has ended", async () => {
        const [late] = await call(language, url(), { token: old }, publish);
        return late.refused === "invalid token";
      });
    });

    test("opens a door with its token, on both transports", async () => {
      const [token] = await ok(language, server.dir, {}, ["token", "ann", { "vip:*": ["join", "publish"] }]);
      for (const transport of transports) {
        const guest = await member(server, "vip:1", transport);
        assert.equal(guest.joined[0], "error");
        guest.socket.disconnect();
        const { joined, channel } = await member(server, "vip:1", transport, { options: { authToken: token } });
        assert.equal(joined[0], "ok");
        assert.equal((await push(channel, "note", {}))[0], "ok");
      }
    });

    test("publishes once over HTTP whatever is repeated; many at once or none; bytes", async () => {
      const topic = `open:${language}`;
      const key = `k-${"x".repeat(22)}`;
      const line = (payload) => ({ topic, event: "note", payload });
      const [first, again, reused, many, bad, binary] = await call(
        language,
        url(),
        {},
        ["publish", topic, "note", { n: 1 }, { key }],
        ["publish", topic, "note", { n: 1 }, { key }],
        ["publish", topic, "note", { n: 2 }, { key }],
        ["publishMany", [line(3), line(4)]],
        ["publishMany", [line(5), { ...line(6), event: "phx_join" }]],
        ["publish", topic, "note", bytes],
      );
      assert.equal(first.ok, again.ok);
      assert.equal(reused.refused, "key_reused");
      assert.equal(many.ok.length, 2);
      assert.equal(bad.refused, "event not allowed");
      assert.match(bad.said, /^message 2: /);
      assert.ok(binary.ok);
      const rows = await server.sql(
        `SELECT kind, iif(kind, hex(payload), payload) AS text FROM messages WHERE topic = '${topic}' ORDER BY id`,
      );
      assert.deepEqual(
        rows.map(({ kind, text }) => `${kind}${text}`),
        ['0{"n":1}', "03", "04", "100FF22"],
      );
    });

    test("prints the same page by SQL and over HTTP, and it goes on live", async () => {
      const topic = room("page");
      const say = (n) => ["publish", topic, n === 4 ? "other" : "note", n === 3 ? bytes : { n }];
      await ok(language, server.dir, {}, ...[1, 2, 3, 4, 5].map(say));
      for (const page of [["page", topic, 3], ["page", topic, 9, "note"], ["page", topic, 0]]) {
        const [bySql] = await ok(language, server.dir, {}, page);
        const [byHttp] = await ok(language, url(), {}, page);
        assert.deepEqual(byHttp, bySql);
      }
      const [page, cursor] = await ok(language, url(), {}, ["page", topic, 9, "note"], ["cursor", topic]);
      assert.deepEqual(page.messages.map(({ payload }) => payload), [{ n: 1 }, { n: 2 }, bytes, { n: 5 }]);
      assert.deepEqual([cursor], await ok(language, server.dir, {}, ["cursor"]));
      await ok(language, server.dir, {}, say(6));
      for (const transport of transports) {
        const { got, joined } = await member(server, topic, transport, { params: { since: page.cursor } });
        assert.equal(joined[0], "ok");
        await until(30000, "what came after the page", () => got.length === 1);
        assert.deepEqual(got, [["note", { n: 6 }]]);
      }
    });

    test("gets a long page over HTTP in parts", async () => {
      const topic = room("long");
      const messages = Array.from({ length: 700 }, (_, n) => ({ topic, event: "note", payload: n }));
      await ok(language, server.dir, {}, ["publishMany", messages]);
      const [page] = await ok(language, url(), {}, ["page", topic, 650]);
      assert.deepEqual(page.messages.map(({ payload }) => payload), messages.slice(50).map(({ payload }) => payload));
    });

    test("says the same again until there is an answer, and no longer", async () => {
      const asked = [];
      const answers = [
        (res) => res.destroy(), // no answer at all
        (res) => res.writeHead(503, { "retry-after": "1" }).end('{"error":{"reason":"busy","message":"wait"}}'),
        (res) => res.writeHead(502).end("<html>"),
        (res) => res.writeHead(200).end('{"cursors":["j:a.1"]}'),
        (res) => res.writeHead(302, { location: "/elsewhere" }).end(),
        (res) => res.writeHead(404).end("<html>"),
        (res) => {
          res.writeHead(200); // and goes on for ever
          const drops = setInterval(() => res.write(" "), 50);
          res.on("close", () => clearInterval(drops));
        },
      ];
      const flaky = http.createServer((req, res) => {
        let body = "";
        req.on("data", (part) => (body += part));
        req.on("end", () => {
          const { "content-type": type, authorization, "x-phoenix-authtoken": again } = req.headers;
          asked.push([req.url, body, type, Date.now(), authorization, again]);
          answers[Math.min(asked.length, answers.length) - 1](res);
        });
      });
      await new Promise((done) => flaky.listen(0, "127.0.0.1", done));
      const where = `http://127.0.0.1:${flaky.address().port}/socket/`;
      const publish = ["publish", "room:a", "note", {}];
      const [given, moved, missing] = await call(
        language,
        where,
        { timeout: 30, token: "t" },
        ...[publish, publish, publish],
      );
      const [endless] = await call(language, where, { timeout: 1 }, publish);
      flaky.close();
      assert.equal(endless.refused, "no answer");
      assert.equal(given.ok, "j:a.1");
      const [first, ...repeats] = asked.slice(0, 4);
      assert.equal(first[0], "/socket/publish");
      assert.equal(first[2], "application/x-ndjson");
      assert.equal(Buffer.from(JSON.parse(first[1]).key, "base64url").length, 16);
      for (const [path, body] of repeats) assert.deepEqual([path, body], first.slice(0, 2));
      assert.ok(asked[2][3] - asked[1][3] >= 990, "Retry-After");
      assert.notEqual(asked[4][1], first[1], "another message has another key");
      assert.deepEqual(first.slice(4), ["Bearer t", "t"]); // the first of them is kept from programs by some servers
      assert.deepEqual([moved.refused, missing.refused], ["no answer", "no answer"]);
      assert.match(missing.said, /status 404/);
      const [nobody] = await call(language, `http://127.0.0.1:${await freePort()}/socket`, { timeout: 1 }, publish);
      assert.equal(nobody.refused, "no answer");
      assert.match(nobody.said, /refused|connect/i);
    });
  });
}

// --- hooks ----------------------------------------------------------------------

// As a web server starts a CGI program: headers, an empty line, the answer.
async function asCgi(library, headers, body, res) {
  const said = await output("perl", [at("tests/lang/app.pl")], body, {
    PATH: process.env.PATH,
    LIBRARY: library,
    HOLDFAST_DIR: hooked.dir,
    REQUEST_METHOD: "POST",
    CONTENT_LENGTH: String(body.length),
    HTTP_HOLDFAST_SIGNATURE: headers["holdfast-signature"] ?? "",
  });
  const end = said.indexOf("\r\n\r\n");
  res.statusCode = Number(/^Status: (\d+)/.exec(said.subarray(0, end))[1]);
  res.end(said.subarray(end + 4));
}

function pass(port, headers, body, res) {
  const req = http.request({ host: "127.0.0.1", port, path: "/", method: "POST", headers }, (answer) => {
    res.statusCode = answer.statusCode;
    answer.pipe(res);
  });
  req.on("error", () => res.destroy());
  req.end(body);
}

describe("an application behind hooks", () => {
  const children = [];
  const application = (command, args, library, stdout) => {
    const env = { ...process.env, LIBRARY: library, HOLDFAST_DIR: hooked.dir };
    const child = own(spawn(command, args, { env, stdio: ["ignore", stdout, "ignore"] }));
    children.push(child);
    return child;
  };

  before(async () => {
    const ports = {};
    front = http.createServer((req, res) => {
      const parts = [];
      req.on("data", (part) => parts.push(part));
      req.on("end", () => {
        const body = Buffer.concat(parts);
        const of = /"topic":"room:(PHP|Python|Perl)/.exec(body)?.[1] ?? front.deciding;
        if (of === "Perl") asCgi(languages.Perl.library, req.headers, body, res).catch(() => res.destroy());
        else pass(ports[of], req.headers, body, res);
      });
    });
    await new Promise((done) => front.listen(0, "127.0.0.1", done));
    hooked = await Server.start({
      conf: {
        hooks: {
          hook_url: `http://127.0.0.1:${front.address().port}/`,
          hook_events: "join, push, leave",
          hook_timeout: "20s",
        },
      },
    });
    ports.PHP = await freePort();
    application("php", ["-S", `127.0.0.1:${ports.PHP}`, at("tests/lang/app.php")], languages.PHP.library, "ignore");
    const python = application("python3", [at("tests/lang/app.py")], languages.Python.library, "pipe");
    ports.Python = await within(
      30000,
      "Python listens",
      new Promise((done) => python.stdout.once("data", (line) => done(Number(line)))),
    );
    const up = () =>
      new Promise((done) => {
        const req = http.get({ host: "127.0.0.1", port: ports.PHP }, (res) => done(res.resume().statusCode === 403));
        req.on("error", () => done(false));
      });
    await until(30000, "PHP listens, and refuses a stranger", up);
  });
  after(async () => {
    for (const socket of sockets.splice(0)) socket.disconnect();
    for (const child of children) child.kill("SIGKILL");
    await hooked?.stop();
    front?.close();
  });

  for (const language of ["PHP", "Python", "Perl"]) {
    for (const transport of transports) {
      it(
        `in ${language} decides over ${transport}`,
        told(
          () => hooked,
          async () => {
            const topic = `room:${language}-${transport}`;
            const { joined, channel, got } = await member(hooked, topic, transport);
            assert.equal(joined[0], "ok");
            await until(30000, "it is welcome", () => got.length === 1);
            assert.deepEqual(got[0], ["welcome", { to: topic }]);
            assert.deepEqual(await push(channel, "say", { text: STRANGE }), ["ok", {}]);
            await until(30000, "what it said comes", () => got.length === 2);
            assert.deepEqual(got[1], ["said", { text: STRANGE }]);
            const [status, answer] = await push(channel, "turn", new Uint8Array([0, 255, 34]).buffer);
            assert.equal(status, "ok");
            assert.deepEqual(new Uint8Array(answer), new Uint8Array([34, 255, 0]));
            assert.deepEqual(await push(channel, "fail", {}), ["error", { reason: "push crashed" }]);
            assert.equal((await push(channel, "say", {}))[0], "ok"); // the channel lives
            front.deciding = language;
            const staff = await member(hooked, "room:staff", transport);
            assert.deepEqual(staff.joined, ["error", { reason: "staff only" }]);
          },
        ),
      );
    }
  }
});

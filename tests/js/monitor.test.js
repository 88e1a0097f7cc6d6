// What the side-car tells those who run it: /metrics, /healthz, /healthz/ready.
// The format to the letter, and the figures of stories that are known.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { join } from "node:path";
import { readMetrics, value } from "./lib/prometheus.js";
import { RawWs } from "./lib/rawws.js";
import { Sidecar } from "./lib/sidecar.js";
import { childrenOf, program } from "./lib/server.js";
import { sleep, until, within } from "./lib/wait.js";

const SECTION = { monitor: "unix:monitor.sock" };
const start = ({ sidecar = {}, ...rest } = {}) =>
  Sidecar.start({ ...rest, conf: { ...rest.conf, sidecar: { ...SECTION, ...sidecar } } });

// One request on the monitor's address.
function ask(sidecar, path, { method = "GET", headers = {}, ms = 5000 } = {}) {
  const to = sidecar.monitorPort
    ? { host: "127.0.0.1", port: sidecar.monitorPort }
    : { socketPath: join(sidecar.dir, "monitor.sock") };
  return within(
    ms,
    `an answer of ${path}`,
    new Promise((resolve, reject) => {
      const req = http.request({ ...to, path, method, headers, agent: false }, (res) => {
        const parts = [];
        res.on("data", (part) => parts.push(part));
        res.on("error", reject);
        res.on("end", () =>
          resolve({ status: res.statusCode, headers: res.headers, body: Buffer.concat(parts).toString() }),
        );
      });
      req.on("error", reject);
      req.end();
    }),
  );
}

async function metrics(sidecar) {
  const { status, headers, body } = await ask(sidecar, "/metrics");
  assert.equal(status, 200);
  assert.equal(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
  return readMetrics(body);
}

// Until all of these are so: [name, labels, value].
const become = (sidecar, ...wanted) =>
  until(5000, JSON.stringify(wanted), async () => {
    const families = await metrics(sidecar);
    for (const [name, labels, expected] of wanted) {
      const got = value(families, name, labels);
      if (got !== expected) throw new Error(`${name} ${JSON.stringify(labels)} is ${got}`);
    }
    return families;
  });

const sql = (sidecar, text) =>
  execFileSync("sqlite3", ["-cmd", ".timeout 5000", join(sidecar.dir, "journal.db"), text]);
const insert = (sidecar, topic, payload) =>
  sql(
    sidecar,
    `INSERT INTO messages(topic, event, payload) VALUES ('${topic}', 'news', '${payload}')`,
  );

const serving = (options, body) => async () => {
  const sidecar = await start(options);
  try {
    await body(sidecar);
  } catch (error) {
    error.message += `\n${sidecar.log}`;
    throw error;
  } finally {
    await sidecar.stop();
  }
};

async function push(ws, ref, topic, event = "new") {
  ws.text(JSON.stringify(["1", ref, topic, event, {}]));
}

async function texts(ws, count) {
  const got = [];
  for (let i = 0; i < count; i++) got.push(await ws.json(5000, `text ${i + 1} of ${count}`));
  return got;
}

describe("the reader of the format", () => {
  const good =
    '# HELP holdfast_a_total A.\n# TYPE holdfast_a_total counter\nholdfast_a_total{x="\\\\\\"\\n"} 1\n';

  it("reads what is right", () =>
    assert.equal(value(readMetrics(good), "holdfast_a_total", { x: '\\"\n' }), 1));

  const bad = {
    "no end of line": good.slice(0, -1),
    "a sample twice": good + good.split("\n")[2] + "\n",
    "a family twice": good + good,
    "no TYPE": good.replace(/# TYPE.*\n/, ""),
    "no HELP": good.replace(/# HELP.*\n/, ""),
    "a gauge named _total": good.replace("counter", "gauge"),
    "a bad escape": good.replace("\\n", "\\t"),
    "a blank line": good + "\n",
    "a negative value": good.replace(" 1\n", " -1\n"),
    "no value": good.replace(" 1\n", " \n"),
    "a timestamp": good.replace(" 1\n", " 1 1700000000\n"),
    "a family without samples": good.replace(/holdfast_a_total\{.*\n/, ""),
    "a foreign sample": good.replace("holdfast_a_total{", "holdfast_b_total{"),
  };
  for (const [name, text] of Object.entries(bad))
    it(`refuses ${name}`, () => assert.throws(() => readMetrics(text)));

  const histogram = (buckets, count, sum = "1") =>
    "# HELP holdfast_h H.\n# TYPE holdfast_h histogram\n" +
    buckets.map(([le, n]) => `holdfast_h_bucket{le="${le}"} ${n}\n`).join("") +
    `holdfast_h_sum ${sum}\nholdfast_h_count ${count}\n`;

  it("reads a histogram", () =>
    void readMetrics(histogram([["0.1", 1], ["1", 1], ["+Inf", 3]], 3)));
  it("refuses histograms that contradict themselves", () => {
    for (const text of [
      histogram([["0.1", 1]], 1),
      histogram([["0.1", 2], ["+Inf", 1]], 1),
      histogram([["1", 1], ["0.1", 1], ["+Inf", 1]], 1),
      histogram([["0.1", 1], ["+Inf", 2]], 3),
    ])
      assert.throws(() => readMetrics(text), text);
  });
});

describe("the address of the monitor", () => {
  it("is none unless it is set, and never that of clients", async () => {
    const sidecar = await Sidecar.start();
    try {
      assert.ok(!existsSync(join(sidecar.dir, "monitor.sock")));
      for (const path of ["/metrics", "/healthz", "/healthz/ready"]) {
        const bytes = `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
        assert.equal((await sidecar.exchange(bytes)).status, 404);
      }
    } finally {
      await sidecar.stop();
    }
  });

  it("is refused where others reach it", async () => {
    for (const monitor of ["0.0.0.0:0", "[::]:0", "192.0.2.1:9464", "nonsense"])
      await assert.rejects(start({ sidecar: { monitor } }), /monitor|192\.0\.2\.1|nonsense/);
  });

  it("may be loopback, by a loopback name", async () => {
    const sidecar = await start({ sidecar: { monitor: "127.0.0.1:0" } });
    try {
      sidecar.monitorPort = Number(/monitor=127\.0\.0\.1:(\d+)/.exec(sidecar.log)[1]);
      assert.equal((await ask(sidecar, "/healthz")).status, 200);
      for (const Host of ["localhost:9464", "127.0.0.1", "[::1]:1"])
        assert.equal((await ask(sidecar, "/metrics", { headers: { Host } })).status, 200, Host);
      for (const Host of ["example.com", "evil.example:9464"])
        assert.equal((await ask(sidecar, "/metrics", { headers: { Host } })).status, 403, Host);
    } finally {
      await sidecar.stop();
    }
  });
});

describe("what is asked", () => {
  let sidecar;
  before(async () => (sidecar = await start()));
  after(() => sidecar?.stop());

  it("is answered in plain text that nobody keeps", async () => {
    for (const path of ["/healthz", "/healthz/ready", "/metrics"]) {
      const { status, headers } = await ask(sidecar, path);
      assert.equal(status, 200, path);
      assert.match(headers["content-type"], /^text\/plain; .*charset=utf-8$/);
      assert.equal(headers["cache-control"], "no-store");
      assert.equal(headers["x-content-type-options"], "nosniff");
      assert.equal(headers.connection, "close");
    }
    assert.equal((await ask(sidecar, "/healthz")).body, "live\n");
    assert.equal((await ask(sidecar, "/healthz/ready")).body, "ready\n");
  });

  it("may have a query, and be a HEAD", async () => {
    assert.equal((await ask(sidecar, "/metrics?x=1")).status, 200);
    const { status, headers, body } = await ask(sidecar, "/metrics", { method: "HEAD" });
    assert.equal(status, 200);
    assert.ok(Number(headers["content-length"]) > 5000);
    assert.equal(body, "");
  });

  it("is nothing else", async () => {
    for (const path of ["/", "/metrics/", "/healthz/readyy", "/socket/websocket", "/..%2fsecret"])
      assert.equal((await ask(sidecar, path)).status, 404, path);
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const { status, headers } = await ask(sidecar, "/metrics", { method });
      assert.equal(status, 405, method);
      assert.equal(headers.allow, "GET, HEAD");
    }
  });

  it("may be HTTP/1.0 without a Host, as load balancers ask", async () => {
    const got = await exchange(sidecar, "GET /healthz/ready HTTP/1.0\r\n\r\n");
    assert.match(got, /^HTTP\/1\.[01] 200 [^]*\r\n\r\nready\n$/);
  });
});

// Bytes as they are, to the monitor; what comes back until the end.
function exchange(sidecar, bytes, { ms = 9000 } = {}) {
  const socket = net.connect(join(sidecar.dir, "monitor.sock"));
  let text = "";
  return within(
    ms,
    "the end of the connection",
    new Promise((done) => {
      socket.on("data", (data) => (text += data.toString("latin1")));
      socket.on("error", () => done(text));
      socket.on("close", () => done(text));
      if (bytes) socket.write(bytes);
    }),
  );
}

describe("hostile askers", { timeout: 60000 }, () => {
  it("get an answer or the end, and nobody else waits", serving({}, async (sidecar) => {
    const head = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n";
    const cases = {
      garbage: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
      "a long path": `GET /${"a".repeat(20000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      "a long header": `${head}X: ${"a".repeat(40000)}\r\n\r\n`,
      "many headers": `${head}${"X: y\r\n".repeat(5000)}\r\n`,
      "a body": `POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n`,
      "a body that contradicts itself": `${head}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
      "an upgrade": `${head}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
      "no Host": "GET /metrics HTTP/1.1\r\n\r\n",
      "a thousand requests at once": `${head}\r\n`.repeat(1000),
      "HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    };
    const answers = Object.entries(cases).map(async ([name, bytes]) => {
      const got = await exchange(sidecar, bytes);
      assert.ok(got === "" || /^HTTP\/1\.[01] [245]\d\d /.test(got), `${name}: ${got.slice(0, 99)}`);
      assert.ok(got.split("HTTP/1.1 200").length <= 2, `${name}: one request a connection`);
    });
    await metrics(sidecar);
    await Promise.all(answers);
    await metrics(sidecar);
  }));

  it("that dribble or say nothing are cut after five seconds", serving({}, async (sidecar) => {
    const begun = performance.now();
    const silent = exchange(sidecar, "");
    const dribbling = new Promise((done) => {
      const socket = net.connect(join(sidecar.dir, "monitor.sock"));
      const timer = setInterval(() => socket.write("G"), 300);
      socket.on("error", () => {});
      socket.on("close", () => (clearInterval(timer), done()));
    });
    await within(9000, "both are cut", Promise.all([silent, dribbling]));
    assert.ok(performance.now() - begun > 3900, "not at once");
    assert.equal((await ask(sidecar, "/healthz")).status, 200);
  }));

  it("cannot sit on all places: the oldest gives way", serving({}, async (sidecar) => {
    const sitting = Array.from({ length: 100 }, () => {
      const socket = net.connect(join(sidecar.dir, "monitor.sock"));
      socket.on("error", () => {});
      socket.write("GET /metrics HTTP/1.1\r\n");
      return socket;
    });
    await sleep(300);
    for (let i = 0; i < 5; i++) await ask(sidecar, "/healthz/ready", { ms: 1000 });
    const open = () => sitting.filter((socket) => !socket.closed).length;
    await until(3000, "most were cut", () => open() <= 16);
    for (const socket of sitting) socket.destroy();
    const before = sidecar.descriptors();
    for (let i = 0; i < 50; i++) await ask(sidecar, "/healthz");
    await until(3000, "no descriptor is lost", () => sidecar.descriptors() <= before);
  }));
});

describe("the figures", { timeout: 60000 }, () => {
  it("begin at nothing and name what runs", serving({}, async (sidecar) => {
    const families = await metrics(sidecar);
    const version = execFileSync(program("holdfast-sidecar"), ["--version"]).toString().trim().split(" ")[1];
    assert.equal(value(families, "holdfast_build_info", { version }), 1);
    const started = value(families, "holdfast_start_time_seconds");
    assert.ok(Math.abs(Date.now() / 1000 - started) < 30, `started ${started}`);
    for (const [name, expected] of Object.entries({
      holdfast_ready: 1,
      holdfast_workers: 1,
      holdfast_workers_wanted: 1,
      holdfast_worker_restarts_total: 0,
      holdfast_handshakes_total: 0,
      holdfast_members: 0,
      holdfast_journal_lag_rows: 0,
      holdfast_wakeup_seconds_count: 0,
    }))
      assert.equal(value(families, name), expected, name);
    assert.ok(value(families, "holdfast_resident_bytes") > 1e6);
    assert.ok(value(families, "holdfast_journal_bytes") > 0);
    assert.ok(value(families, "holdfast_disk_free_bytes") > 0);
    assert.ok(value(families, "holdfast_cpu_seconds_total") > 0);
    assert.equal(value(families, "holdfast_wal_max_bytes"), 256 * 1024 * 1024);
  }));

  it("tell a story of joins, pushes and closes as it was", serving({}, async (sidecar) => {
    const clients = [];
    for (let i = 0; i < 5; i++) clients.push(await sidecar.joined("room:a"));
    const [a, b, c, d, e] = clients;
    a.text(JSON.stringify(["2", "2", "room:b", "phx_join", {}]));
    await texts(a, 1);
    a.text(JSON.stringify(["3", "3", "secret", "phx_join", {}])); // nobody may
    await texts(a, 1);
    for (let n = 0; n < 3; n++) await push(b, `p${n}`, "room:a");
    await push(b, "px", "room:a", "phx_mine"); // nobody may push such
    for (const ws of clients) await texts(ws, ws === b ? 7 : 3); // b: three rows, four replies
    insert(sidecar, "room:a", "1");
    insert(sidecar, "room:b", "2");
    insert(sidecar, "room:nobody", "3");
    for (const ws of clients) await texts(ws, ws === a ? 2 : 1);

    const families = await become(
      sidecar,
      ["holdfast_connections", { transport: "ws" }, 5],
      ["holdfast_connections", { transport: "wss" }, 0],
      ["holdfast_connections", { transport: "poll" }, 0],
      ["holdfast_accepted_total", {}, 5],
      ["holdfast_handshakes_total", {}, 5],
      ["holdfast_members", {}, 6],
      ["holdfast_topics", {}, 2],
      ["holdfast_lagging_members", {}, 0],
      ["holdfast_blocked_sockets", {}, 0],
      ["holdfast_joins_total", { result: "ok" }, 6],
      ["holdfast_joins_total", { result: "refused" }, 1],
      ["holdfast_pushes_total", { result: "ok" }, 3],
      ["holdfast_pushes_total", { result: "refused" }, 1],
      ["holdfast_pushes_total", { result: "failed" }, 0],
      ["holdfast_messages_received_total", {}, 11], // 7 joins, 4 pushes
      ["holdfast_rows_read_total", {}, 5],
      ["holdfast_encodings_total", {}, 5],
      ["holdfast_deliveries_total", {}, 21], // 3 + 1 rows to five, 1 to one
      ["holdfast_messages_sent_total", {}, 32], // and 11 replies
      ["holdfast_wakeup_seconds_count", {}, 5],
      ["holdfast_untimed_rows_total", {}, 0],
      ["holdfast_journal_lag_rows", {}, 0],
    );
    assert.ok(value(families, "holdfast_wakeup_seconds_sum") < 10);
    assert.ok(value(families, "holdfast_received_bytes_total") > 11 * 20);
    assert.ok(value(families, "holdfast_sent_bytes_total") > 32 * 20);
    assert.ok(value(families, "holdfast_turn_seconds_count") > 10);

    a.sendClose(1000);
    b.sendClose(4321);
    c.sendClose(undefined);
    d.destroy();
    e.send(3, "x"); // no such opcode
    await until(5000, "all have gone", () => clients.every((ws) => ws.closed));
    for (const ws of clients) ws.destroy();
    await become(
      sidecar,
      ["holdfast_connections", { transport: "ws" }, 0],
      ["holdfast_members", {}, 0],
      ["holdfast_topics", {}, 0],
      ["holdfast_closes_total", { by: "client", code: "1000" }, 1],
      ["holdfast_closes_total", { by: "client", code: "3000-4999" }, 1],
      ["holdfast_closes_total", { by: "client", code: "1005" }, 1],
      ["holdfast_closes_total", { by: "client", code: "1006" }, 1],
      ["holdfast_closes_total", { by: "server", code: "1002" }, 1],
      ["holdfast_closes_total", { by: "server", code: "1000" }, 0],
    );
  }));

  it("give each refusal its reason", serving({ sidecar: { max_sockets: 1, handshake: "500ms" } }, async (sidecar) => {
    const refused = async (reason, count, options) => {
      const ws = await sidecar.open(options);
      assert.notEqual(ws.status, 101, reason);
      await become(sidecar, ["holdfast_refusals_total", { reason }, count]);
    };
    await refused("path", 1, { path: "/elsewhere" });
    await refused("request", 1, { method: "POST" });
    await refused("request", 2, { headers: { Upgrade: "h2c", Connection: "Upgrade" } });
    await refused("subprotocol", 1, { headers: { "Sec-WebSocket-Protocol": "graphql-ws" } });
    await refused("origin", 1, { headers: { Origin: "https://evil.example" } });
    await refused("origin", 2, { path: "/socket/websocket?vsn=9.0.0" });
    await refused("token", 1, { headers: { Authorization: "Bearer nonsense" } });
    await sidecar.exchange("GET /socket", { ms: 4000 });
    await become(sidecar, ["holdfast_refusals_total", { reason: "slow" }, 1]);
    const one = await sidecar.joined();
    await refused("full", 1, {});
    const families = await become(
      sidecar,
      ["holdfast_sockets_max", {}, 1],
      ["holdfast_handshakes_total", {}, 1],
      ["holdfast_accepted_total", {}, 10],
      ["holdfast_ready", {}, 0],
    );
    const all = families.holdfast_refusals_total.samples.reduce((sum, { value: n }) => sum + n, 0);
    assert.equal(all, 9);
    one.destroy();
  }));

  it("tell wss from ws", serving({ secure: true }, async (sidecar) => {
    const secure = [await sidecar.joined(), await sidecar.joined()];
    const plain = await RawWs.open({ socket: sidecar.socket });
    assert.equal(plain.status, 101);
    const garbage = net.connect(sidecar.tlsPort, "127.0.0.1");
    garbage.on("error", () => {});
    garbage.write("\x00".repeat(100));
    await become(
      sidecar,
      ["holdfast_connections", { transport: "wss" }, 2],
      ["holdfast_connections", { transport: "ws" }, 1],
      ["holdfast_tls_handshakes_total", {}, 2],
      ["holdfast_handshakes_total", {}, 3],
      ["holdfast_refusals_total", { reason: "tls" }, 1],
    );
    for (const ws of [...secure, plain]) ws.destroy();
    garbage.destroy();
    await become(
      sidecar,
      ["holdfast_connections", { transport: "wss" }, 0],
      ["holdfast_connections", { transport: "ws" }, 0],
    );
  }));

  it("count a slow reader while it is one", serving({}, async (sidecar) => {
    const slow = await sidecar.joined();
    slow.socket.pause();
    const payload = JSON.stringify("x".repeat(30000));
    for (let n = 0; n < 60; n++) insert(sidecar, "room:a", payload);
    await become(sidecar, ["holdfast_blocked_sockets", {}, 1]);
    slow.socket.resume();
    await texts(slow, 60);
    await become(sidecar, ["holdfast_blocked_sockets", {}, 0], ["holdfast_deliveries_total", {}, 60]);
    slow.destroy();
  }));

  it("time foreign rows from their insert", serving({}, async (sidecar) => {
    const ws = await sidecar.joined();
    for (let n = 0; n < 5; n++) insert(sidecar, "room:a", n);
    sql(
      sidecar,
      "INSERT INTO messages(topic, event, payload, at) VALUES ('room:a', 'old', '1', 1)",
    );
    await texts(ws, 6);
    const families = await become(
      sidecar,
      ["holdfast_wakeup_seconds_count", {}, 5],
      ["holdfast_untimed_rows_total", {}, 1],
    );
    assert.equal(value(families, "holdfast_wakeup_seconds_bucket", { le: "2.5" }), 5);
    ws.destroy();
  }));

  it("count the polls that the gateway's processes hold", serving({}, async (sidecar) => {
    const hold = () => {
      const cgi = spawn(program("holdfast-gateway"), [], {
        stdio: ["ignore", "pipe", "ignore"],
        env: {
          GATEWAY_INTERFACE: "CGI/1.1",
          HOLDFAST_DIR: sidecar.dir,
          REQUEST_METHOD: "GET",
          QUERY_STRING: "topic=room:a&since=",
          SCRIPT_NAME: "/socket",
          PATH_INFO: "/events",
          REQUEST_URI: "/socket/events?topic=room:a&since=",
          SERVER_PROTOCOL: "HTTP/1.1",
          HTTP_HOST: "localhost",
          REMOTE_ADDR: "127.0.0.1",
        },
      });
      cgi.text = "";
      cgi.stdout.on("data", (data) => (cgi.text += data));
      return cgi;
    };
    const cgis = [hold(), hold()];
    try {
      await become(sidecar, ["holdfast_connections", { transport: "poll" }, 2]);
      const families = await metrics(sidecar);
      assert.ok(value(families, "holdfast_held_polls_max") >= 2);
      process.kill(cgis[0].pid, "SIGKILL"); // what it held is held no more
      await become(sidecar, ["holdfast_connections", { transport: "poll" }, 1]);
    } catch (error) {
      error.message += cgis.map(({ text }) => `\n${text}`).join("");
      throw error;
    } finally {
      for (const cgi of cgis) cgi.kill("SIGKILL");
    }
  }));
});

describe("several workers", { timeout: 60000 }, () => {
  const two = { sidecar: { workers: 2, listen: "127.0.0.1:0", drain: 0 } };
  // Clients until each worker has some; the kernel deals them out.
  async function onBoth(sidecar) {
    const clients = [];
    for (let i = 0; i < 24; i++) {
      const ws = await sidecar.open({ socket: undefined, port: sidecar.port });
      ws.text(JSON.stringify(["1", "1", "room:a", "phx_join", {}]));
      await texts(ws, 1);
      clients.push(ws);
    }
    return clients;
  }

  it("are added up, whoever is asked", serving(two, async (sidecar) => {
    const clients = await onBoth(sidecar);
    insert(sidecar, "room:a", "1");
    await Promise.all(clients.map((ws) => texts(ws, 1)));
    for (let i = 0; i < 5; i++)
      await become(
        sidecar,
        ["holdfast_workers", {}, 2],
        ["holdfast_connections", { transport: "ws" }, 24],
        ["holdfast_members", {}, 24],
        ["holdfast_topics", {}, 2],
        ["holdfast_joins_total", { result: "ok" }, 24],
        ["holdfast_deliveries_total", {}, 24],
        ["holdfast_rows_read_total", {}, 2],
        ["holdfast_wakeup_seconds_count", {}, 2],
      );
    for (const ws of clients) ws.destroy();
  }));

  it("that die are missed, and what they counted is not lost", serving(two, async (sidecar) => {
    const clients = await onBoth(sidecar);
    await become(sidecar, ["holdfast_joins_total", { result: "ok" }, 24]);
    const [victim] = childrenOf(sidecar.pid);
    process.kill(victim, "SIGKILL");
    const families = await become(
      sidecar,
      ["holdfast_worker_restarts_total", {}, 1],
      ["holdfast_workers", {}, 2],
    );
    const left = value(families, "holdfast_connections", { transport: "ws" });
    assert.ok(left > 0 && left < 24, `${left} of 24 are left`);
    await until(5000, "as many were cut", () => clients.filter((ws) => !ws.closed).length === left);
    assert.equal(value(families, "holdfast_handshakes_total"), 24);
    assert.equal(value(families, "holdfast_joins_total", { result: "ok" }), 24);
    await become(sidecar, ["holdfast_members", {}, left]);
    for (const ws of clients) ws.destroy();
  }));

  it("lag by what one of them has not read", serving(two, async (sidecar) => {
    const clients = await onBoth(sidecar);
    const [stopped] = childrenOf(sidecar.pid);
    await become(sidecar, ["holdfast_members", {}, 24], ["holdfast_journal_lag_rows", {}, 0]);
    process.kill(stopped, "SIGSTOP");
    try {
      for (let n = 0; n < 7; n++) insert(sidecar, "room:a", n);
      await become(sidecar, ["holdfast_journal_lag_rows", {}, 7]);
      await sleep(1500); // more than a second, so that its timer is late
    } finally {
      process.kill(stopped, "SIGCONT");
    }
    await become(sidecar, ["holdfast_journal_lag_rows", {}, 0]);
    await until(5000, "it was late", async () => {
      const families = await metrics(sidecar);
      const late = (name, labels) => value(families, `holdfast_loop_delay_seconds_${name}`, labels);
      return late("count") > late("bucket", { le: "0.25" });
    });
    for (const ws of clients) ws.destroy();
  }));
});

describe("not ready, in words", { timeout: 60000 }, () => {
  const notReady = async (sidecar, words) => {
    const { status, headers, body } = await until(5000, "503", async () => {
      const got = await ask(sidecar, "/healthz/ready");
      return got.status === 503 && got;
    });
    assert.equal(status, 503);
    assert.match(headers["content-type"], /^text\/plain/);
    assert.match(body, words);
    assert.equal((await ask(sidecar, "/healthz")).status, 200, "live all the same");
    assert.equal(value(await metrics(sidecar), "holdfast_ready"), 0);
  };
  const ready = (sidecar) =>
    until(5000, "ready again", async () => (await ask(sidecar, "/healthz/ready")).status === 200);

  it("while it says goodbye to its clients", serving({}, async (sidecar) => {
    const clients = [];
    for (let i = 0; i < 3; i++) clients.push(await sidecar.joined());
    for (const ws of clients) ws.socket.pause(); // who answers no goodbye is waited for
    sidecar.child.kill("SIGTERM");
    await notReady(sidecar, /^leaving: .*\n$/);
    await until(2000, "no worker takes connections", async () =>
      value(await metrics(sidecar), "holdfast_workers") === 0);
    for (const ws of clients) ws.destroy();
  }));

  it("when there is no room, until somebody leaves", serving({ sidecar: { max_sockets: 2 } }, async (sidecar) => {
    const clients = [await sidecar.joined(), await sidecar.joined()];
    await notReady(sidecar, /^room: 2 of 2 WebSockets are open; raise max_sockets .*\n$/);
    clients[0].destroy();
    await ready(sidecar);
    clients[1].destroy();
  }));

  it("when the disk has lost a sync", serving({}, async (sidecar) => {
    writeFileSync(join(sidecar.dir, "failed"), "2026-05-01T10:00:00Z process 1: a sync failed\n");
    await notReady(sidecar, /^journal: the disk lost .* holdfast check --rescue\n$/);
    rmSync(join(sidecar.dir, "failed"));
    await ready(sidecar);
  }));

  it("when the journal was replaced below it", serving({}, async (sidecar) => {
    const ws = await sidecar.joined(); // who waits, looks
    renameSync(join(sidecar.dir, "journal.db"), join(sidecar.dir, "moved.db"));
    await notReady(sidecar, /^journal: /);
    ws.destroy();
  }));
});

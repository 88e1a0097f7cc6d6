// How much one client address may have, and whose address that is: of the
// connection, or of the one that a proxy of ours speaks for (D21).
import { it } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { networkInterfaces } from "node:os";
import { RawWs } from "./lib/rawws.js";
import { Server } from "./lib/server.js";
import { Sidecar } from "./lib/sidecar.js";
import { sleep, until } from "./lib/wait.js";

const SECRET = "a secret of our proxy";
const HEARTBEAT = '[null,"h","phoenix","heartbeat",{}]';

const serving =
  (options, body) =>
  async (...args) => {
    const sidecar = await Sidecar.start(options);
    try {
      await body(sidecar, ...args);
    } catch (error) {
      error.message += `\n${sidecar.log}`;
      throw error;
    } finally {
      await sidecar.stop();
    }
  };

// An address of this machine that is not loopback: whoever connects to it comes
// from it.
const own = Object.values(networkInterfaces())
  .flat()
  .find((one) => one.family === "IPv4" && !one.internal)?.address;

const portOf = (sidecar) => Number(/address=[0-9.]+:(\d+)/.exec(sidecar.log)[1]);

const conf = (settings) => ({
  conf: { sidecar: settings, log: { level: "debug" } },
});

const from = (...lines) => ({ headers: { "X-Forwarded-For": lines.join(", ") } });

const logged = (sidecar, what) => until(2000, `${what} in the log`, () => what.test(sidecar.log));

async function beats(ws) {
  assert.equal(ws.status, 101, ws.body);
  ws.text(HEARTBEAT);
  assert.equal((await ws.json(5000, "the reply to a heartbeat"))[1], "h");
}

const statuses = async (count, open) => {
  const all = [];
  for (let i = 0; i < count; i++) all.push(await open());
  return all;
};
const end = (all) => all.forEach((ws) => ws.destroy());

it(
  "an address behind a proxy has so many sockets, and gets its place back",
  serving(conf({ max_sockets_per_address: "3" }), async (sidecar) => {
    const mine = await statuses(3, () => sidecar.open(from("192.0.2.1")));
    for (const ws of mine) await beats(ws);
    const fourth = await sidecar.open(from("192.0.2.1"));
    assert.equal(fourth.status, 429);
    assert.equal(fourth.headers["retry-after"], "5");
    assert.match(fourth.body, /too many connections/);
    await logged(sidecar, /event=address_refused .*address=192\.0\.2\.1 /);
    const others = [
      await sidecar.open(from("192.0.2.2")),
      await sidecar.open(from("192.0.2.1", "192.0.2.3")), // only a claim
      await sidecar.open(from("2001:db8:1:2::1")),
    ];
    for (const ws of others) await beats(ws);
    assert.equal(mine[1].closed, false);
    mine[0].destroy();
    await until(3000, "its place is free", async () => {
      const ws = await sidecar.open(from("192.0.2.1"));
      if (ws.status === 101) others.push(ws);
      return ws.status === 101;
    });
    end(mine);
    end(others);
  }),
);

it(
  "a /64 of IPv6 counts as one address",
  serving(conf({ max_sockets_per_address: "1" }), async (sidecar) => {
    const one = await sidecar.open(from("2001:db8:1:2::1"));
    await beats(one);
    assert.equal((await sidecar.open(from("2001:db8:1:2:ffff::9"))).status, 429);
    const other = await sidecar.open(from("2001:db8:1:3::1"));
    await beats(other);
    end([one, other]);
  }),
);

it(
  "an address that connects all the time is told when to come again",
  serving(
    conf({ max_sockets_per_address: "5", connect_rate_per_address: "1" }),
    async (sidecar) => {
      for (let i = 0; i < 5; i++) {
        const ws = await sidecar.open(from("192.0.2.1"));
        await beats(ws);
        ws.destroy();
      }
      const sixth = await sidecar.open(from("192.0.2.1"));
      assert.equal(sixth.status, 429);
      assert.equal(sixth.headers["retry-after"], "1");
      await beats(await sidecar.open(from("192.0.2.9")));
      await sleep(1100);
      await beats(await sidecar.open(from("192.0.2.1")));
    },
  ),
);

it(
  "who says nothing, and loopback, is not counted",
  serving(
    conf({ max_sockets_per_address: "1", connect_rate_per_address: "1" }),
    async (sidecar) => {
      const all = await statuses(5, () => sidecar.open());
      all.push(...(await statuses(5, () => sidecar.open(from("127.0.0.1")))));
      all.push(...(await statuses(5, () => sidecar.open(from("unknown")))));
      for (const ws of all) await beats(ws);
      end(all);
    },
  ),
);

it(
  "proxies of ours are passed over from the right, however many lines they write",
  serving(
    conf({ max_sockets_per_address: "1", proxies: "198.51.100.0/24, 2001:db8:ff::/48" }),
    async (sidecar) => {
      const first = await sidecar.open(from("192.0.2.1", "198.51.100.7", "2001:db8:ff::1"));
      await beats(first);
      assert.equal((await sidecar.open(from("10.0.0.1", "192.0.2.1", "198.51.100.9"))).status, 429);
      assert.equal((await sidecar.open(from("192.0.2.1:4711", "[2001:db8:ff::2]:443"))).status, 429);
      const lines = await sidecar.exchange(
        "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: localhost\r\n" +
          "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
          "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n",
        { ms: 900 },
      );
      assert.equal(lines.status, 429);
      await beats(await sidecar.open(from("192.0.2.1", "203.0.113.5")));
      first.destroy();
    },
  ),
);

it(
  "over TCP a proxy is believed by its secret, and nobody else is",
  serving(
    {
      ...conf({ max_sockets_per_address: "1", proxy_secret: SECRET }),
      up: ["--listen", "127.0.0.1:0"],
    },
    async (sidecar) => {
      const open = (address, secret) =>
        RawWs.open({
          port: sidecar.port,
          headers: {
            Host: "www.example.com",
            Origin: "https://www.example.com",
            "X-Forwarded-For": address,
            "X-Forwarded-Proto": "https",
            ...(secret ? { "X-Holdfast-Proxy": secret } : {}),
          },
        });
      const one = await open("192.0.2.1", SECRET);
      await beats(one);
      assert.equal((await open("192.0.2.1", SECRET)).status, 429);
      // the name is not for others to say
      assert.equal((await open("192.0.2.2")).status, 403);
      assert.equal((await open("192.0.2.2", "a secret of somebody")).status, 403);
      await logged(sidecar, /event=proxy_not_believed/);
      assert.ok(!sidecar.log.includes(SECRET));
      const liars = await statuses(3, () =>
        RawWs.open({ port: sidecar.port, headers: { "X-Forwarded-For": "192.0.2.1" } }),
      );
      for (const ws of liars) await beats(ws); // loopback, whatever they say
      end([one, ...liars]);
    },
  ),
);

it(
  "a connection of its own is refused when it is accepted, before it says anything",
  { skip: own ? false : "this machine has no address but loopback" },
  serving(
    {
      ...conf({ max_sockets_per_address: "2", handshake: "1s", proxy_secret: SECRET }),
      up: ["--listen", `${own}:0`],
    },
    async (sidecar) => {
      const port = portOf(sidecar);
      const connect = () => net.connect(port, own).on("error", () => {});
      const open = (headers = {}) =>
        new Promise((done, fail) => {
          const ws = new RawWs(net.connect(port, own));
          ws.key = "dGhlIHNhbXBsZSBub25jZQ==";
          const lines = Object.entries({
            Host: own,
            Upgrade: "websocket",
            Connection: "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": ws.key,
            ...headers,
          }).map(([name, value]) => `${name}: ${value}`);
          ws.write(`GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
          ws.answered.then(() => done(ws), fail);
        });
      const mine = await statuses(2, () => open());
      for (const ws of mine) await beats(ws);
      const third = await open();
      assert.equal(third.status, 429);
      assert.equal(third.headers["retry-after"], "5");
      const silent = connect();
      let answer = "";
      silent.on("data", (data) => (answer += data));
      await until(900, "an answer to nothing", () => answer.startsWith("HTTP/1.1 429 "));
      end(mine);
      await until(3000, "room again", async () => {
        const ws = await open();
        ws.destroy();
        return ws.status === 101;
      });
      await sleep(100);
      // what a proxy brings counts for its clients
      const brought = [];
      for (let i = 0; i < 8; i++)
        brought.push(
          await open({ "X-Holdfast-Proxy": SECRET, "X-Forwarded-For": `198.51.100.${i >> 1}` }),
        );
      for (const ws of brought) await beats(ws);
      const ninth = await open({ "X-Holdfast-Proxy": SECRET, "X-Forwarded-For": "198.51.100.1" });
      assert.equal(ninth.status, 429);
      end(brought);
    },
  ),
);

it(
  "handshakes that go nowhere take an address's own places, and no others'",
  { skip: own ? false : "this machine has no address but loopback" },
  serving(
    { ...conf({ handshake: "3s" }), up: ["--listen", `${own}:0`] },
    async (sidecar) => {
      const refused = [];
      const loris = Array.from({ length: 300 }, () =>
        net
          .connect(portOf(sidecar), own)
          .on("error", () => {})
          .on("data", (data) => refused.push(data)),
      );
      loris.forEach((socket) => socket.write("GET /socket/websocket HTTP/1.1\r\n"));
      await until(2000, "those beyond 125 are refused", () => refused.length === 175);
      loris.forEach((socket) => socket.destroy());
    },
  ),
);

it("the application is told the address, and the log", async () => {
  const asked = [];
  const application = http.createServer((request, response) => {
    let body = "";
    request.on("data", (data) => (body += data));
    request.on("end", () => {
      asked.push(JSON.parse(body));
      response.end('{"status":"ok"}');
    });
  });
  await new Promise((done) => application.listen(0, "127.0.0.1", done));
  const hooks = {
    hook_url: `http://127.0.0.1:${application.address().port}/`,
    hook_events: "connect",
  };
  try {
    await serving({ conf: { hooks, log: { level: "debug" } } }, async (sidecar) => {
      const ws = await sidecar.open(from("2001:db8::7"));
      await beats(ws);
      const nobody = await sidecar.open();
      await beats(nobody);
      assert.deepEqual(
        asked.map((call) => [call.hook, call.address]),
        [
          ["connect", "2001:db8::7"],
          ["connect", null],
        ],
      );
      await logged(sidecar, /event=connected .*address=2001:db8::7/);
      const bad = await sidecar.open({
        path: "/socket/websocket?vsn=3.0.0",
        headers: { "X-Forwarded-For": "192.0.2.77" },
      });
      assert.equal(bad.status, 403);
      await logged(sidecar, /event=connect_refused .*peer=192\.0\.2\.77/);
      end([ws, nobody]);
    })();
  } finally {
    application.closeAllConnections();
    application.close();
  }
});

// A client that names an address of its own, behind a real web server.
const behindLighttpd = async (settings) => {
  const server = await Server.start({
    conf: { log: { level: "debug" }, sidecar: settings },
  });
  try {
    const headers = { "X-Forwarded-For": "192.0.2.1" };
    const all = [
      await RawWs.open({ port: server.port }),
      await RawWs.open({ port: server.port, headers }),
    ];
    for (const ws of all) await beats(ws);
    end(all);
    const log = readFileSync(server.path("sidecar.log"), "utf8");
    return [...log.matchAll(/event=connected .*address=(\S+)/g)].map((m) => m[1]);
  } finally {
    await server.stop();
  }
};

it("behind lighttpd it is the address that asked lighttpd, whatever the client says", async () => {
  assert.deepEqual(await behindLighttpd({}), ["127.0.0.1", "127.0.0.1"]);
});

it("and if that is a proxy of ours, the address that asked the proxy", async () => {
  assert.deepEqual(await behindLighttpd({ proxies: "127.0.0.1" }), ['""', "192.0.2.1"]);
});

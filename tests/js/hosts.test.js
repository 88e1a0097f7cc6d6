// The recipes for lighttpd, nginx and haproxy in docs/hosts, each around the real programs;
// what is checked of all of them stands in lib/host_checks.js.
import { describe } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import http2 from "node:http2";
import net from "node:net";
import { checkHost, survives } from "./lib/host_checks.js";
import { haproxy, lighttpd, nginx, NOBODY } from "./lib/hosts.js";
import { Poller } from "./lib/poll.js";
import { freePort, sleep, until, within } from "./lib/server.js";

async function listener(host, where) {
  const poller = await new Poller(host.port, { path: host.longpoll }).open();
  await poller.join(where);
  return poller;
}

// Between two polls, and again while a poll is held.
async function isStartedAgain(host) {
  const poller = await listener(host, "room:killed");
  for (const held of [false, true]) {
    const [pid] = host.gatewayPids();
    const waiting = held ? poller.peek().catch(() => "lost") : null;
    await sleep(200);
    process.kill(pid, "SIGKILL");
    await until(10000, "another gateway", () => {
      const [now] = host.gatewayPids();
      return now && now !== pid;
    });
    await waiting;
    const n = held ? 2 : 1;
    await host.publish("room:killed", "n", { n });
    await until(10000, "a poll is answered again", () => poller.get(), 100);
    await poller.until(1 + n);
  }
  assert.deepEqual(poller.payloads("n"), [{ n: 1 }, { n: 2 }]);
}

// Whoever leaves a page leaves its poll; that is no trouble, and the token is to be
// in no log.
async function leavesInPeace(host) {
  const log = () => readFileSync(host.path("front.log"), "utf8");
  const before = log().length;
  const poller = await listener(host, "room:leaving");
  for (const leave of ["destroy", "resetAndDestroy"]) {
    const socket = net.connect(host.port, "127.0.0.1").on("error", () => {});
    socket.write(`GET ${poller.url()} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
    await sleep(300);
    socket[leave]();
    await sleep(300);
  }
  assert.equal(log().slice(before), "");
}

// lighttpd serves eight requests of one HTTP/2 connection at once; a ninth waits
// until one of them is done, polls or not.
async function holdsEightByHttp2(host) {
  const where = "room:streams";
  const pollers = [];
  for (let i = 0; i < 8; i++) pollers.push(await listener(host, where));
  const session = http2.connect(`http://127.0.0.1:${host.port}`);
  try {
    const streams = pollers.map((poller) => ask(session, poller.url()));
    await sleep(300);
    assert.equal(session.remoteSettings.maxConcurrentStreams, 8);
    let served = false;
    const page = ask(session, "/page.html").then((text) => (served = text));
    await sleep(300);
    assert.equal(served, false);
    await host.publish(where, "n", { n: 1 });
    const published = performance.now();
    for (const text of await Promise.all(streams)) assert.match(text, /"status":200.*\\"n\\":1/);
    assert.match(await page, /page of the site/);
    assert.ok(performance.now() - published < 1500);
  } finally {
    session.destroy();
  }
}

function ask(session, path) {
  const stream = session.request({ ":path": path });
  let text = "";
  stream.on("data", (part) => (text += part));
  stream.end();
  return within(10000, `an answer to ${path}`, new Promise((done, failed) => stream.on("error", failed).on("end", () => done(text))));
}

// Each with a side-car on a port in the place of its socket.
const SECRET = "some secret text";
const byPort = [
  {
    front: lighttpd,
    recipe: "lighttpd.conf",
    port: await freePort(),
    edit: (text, port) =>
      text
        .replace(/"socket" => ".*sidecar.sock"/, `"host" => "127.0.0.1", "port" => ${port}`)
        .replace('"mod_proxy"', '"mod_proxy", "mod_setenv"')
        .replace('proxy.header =', `setenv.set-request-header = ( "X-Holdfast-Proxy" => "${SECRET}" )\n    $&`),
  },
  {
    front: nginx,
    account: NOBODY,
    recipe: "nginx.conf",
    port: await freePort(),
    edit: (text, port) =>
      text.replace(/http:\/\/unix:.*sidecar.sock:/, `http://127.0.0.1:${port}`).replace("proxy_set_header Host", `proxy_set_header X-Holdfast-Proxy "${SECRET}";\n    $&`),
  },
  {
    front: haproxy,
    recipe: "haproxy.cfg",
    paths: () => ({ "bind :80": "bind 127.0.0.1:@PORT@" }),
    port: await freePort(),
    edit: (text, port) =>
      text.replace(/^    server sidecar .*/m, `    http-request set-header X-Holdfast-Proxy "${SECRET}"\n    server sidecar 127.0.0.1:${port}`),
  },
];

// They do little but wait: at once.
describe("the recipe for", { concurrency: true }, () => {
  checkHost({
    name: "lighttpd, with a gateway on a socket and a side-car",
    front: lighttpd,
    recipe: "lighttpd.conf",
    gateway: "socket",
    sidecar: true,
    more(check) {
      check("a browser that leaves in a hold leaves nothing in its log", leavesInPeace);
      check("by HTTP/2 eight polls of a browser are held, and what it asks for then waits", holdsEightByHttp2);
      check("a restart under load loses nothing to who resumes", (host, t) => survives(host, t, () => host.restart()));
    },
  });

  checkHost({
    name: "lighttpd, with a gateway that it starts",
    front: lighttpd,
    recipe: "lighttpd-spawn.conf",
    gateway: "spawned",
    more(check) {
      check("a gateway that was killed is started again, and nothing is missed", isStartedAgain);
    },
  });

  checkHost({
    name: "lighttpd, with four gateways that it starts",
    front: lighttpd,
    recipe: "lighttpd-spawn.conf",
    edit: (text) => text.replace('"max-procs" => 1', '"max-procs" => 4'),
    gateway: "spawned",
    processes: true,
  });

  checkHost({
    name: "lighttpd, with plain CGI",
    front: lighttpd,
    recipe: "lighttpd-cgi.conf",
    files: ["holdfast.cgi"],
    gateway: "cgi",
    holds: { stock: 5, ours: 5 },
  });

  checkHost({
    name: "nginx, with a gateway on a socket and a side-car",
    front: nginx,
    account: NOBODY,
    recipe: "nginx.conf",
    gateway: "socket",
    sidecar: true,
  });

  checkHost({
    name: "haproxy, with a gateway on a socket and a side-car",
    front: haproxy,
    recipe: "haproxy.cfg",
    paths: () => ({ "bind :80": "bind 127.0.0.1:@PORT@" }),
    gateway: "socket",
    sidecar: true,
  });

  // As docs/HOSTING.md says under "Whose address".
  for (const { front, recipe, edit, ...rest } of byPort)
    checkHost({
      name: `${recipe}, and WebSockets by a port, with proxy_secret`,
      front,
      recipe,
      edit: (text) => edit(text, rest.port),
      conf: { sidecar: { listen: `127.0.0.1:${rest.port}`, proxy_secret: SECRET } },
      gateway: "socket",
      sidecar: rest.port,
      only: "sockets",
      ...rest,
    });
});

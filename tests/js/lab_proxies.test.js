// The proxies of this world between a page and its server: haproxy, nginx, squid
// and tinyproxy as tests/middlebox/recipes set them up, www/holdfast.js as the page.
// It comes from a network that has the proxy into one that has not, or the other
// way round, and no message is lost by that. As in lab.test.js its timers run
// five times as fast.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import http from "node:http";
import WS from "ws";
import * as module from "../../www/holdfast.js";
import { holdfast, Scene, Scribe } from "./lib/lab.js";
import { fetchBy, Proxies, Tunnel } from "./lib/proxies.js";
import { Server, within } from "./lib/server.js";

const HURRY = 5;
const LIMITS = { useful: 25000, back: 110000 };
const NAMES = [
  "haproxy", "nginx", "squid-reverse", "tinyproxy-reverse", "squid-forward", "tinyproxy-forward", "tinyproxy-cut",
];

const lab = {};
const proxies = {};
before(async () => {
  lab.server = await Server.start({ conf: { gateway: { hold: "3s" }, http: { push_burst: 1000 } } });
  lab.writer = new Scribe(lab.server);
  for (const name of NAMES) proxies[name] = await Proxies.start(name, lab.server.port);
});
after(async () => {
  for (const proxy of Object.values(proxies)) await proxy.end();
  await lab.writer?.end();
  await lab.server?.stop();
});

// How an upgrade ends that goes this way: "open", an HTTP status, "hangs" if
// nothing came of it in a second and a half, or what the proxy said.
function tried(port, agent) {
  return new Promise((done) => {
    const ws = new WS(`ws://127.0.0.1:${port}/socket/websocket?vsn=2.0.0`, { agent });
    const timer = setTimeout(() => end("hangs"), 1500);
    const end = (how) => {
      clearTimeout(timer);
      done(how);
      ws.terminate();
    };
    ws.on("open", () => end("open"));
    ws.on("unexpected-response", (_, res) => end(res.statusCode));
    ws.on("error", ({ message }) => end(message));
  });
}

async function exact(scene) {
  const nothing = { lost: [], doubled: [], disordered: [] };
  await scene.quiet(30000);
  const { rows, pushes, down, up, statuses } = await scene.count();
  assert.deepEqual(down, nothing, "what the page was told");
  assert.deepEqual(up, nothing, "what the page has pushed");
  assert.deepEqual([...statuses], [["ok", pushes]]);
  return `${rows} rows, ${pushes} pushes`;
}

async function play(client, options, harm, when, t) {
  const scene = await Scene.laid(lab, client, options);
  try {
    const times = within(200000, "the scene", scene.through(harm(scene), when, LIMITS));
    const { useful, answered, back } = await times;
    const counted = await exact(scene);
    t.diagnostic(`first message ${useful} ms, first answer ${answered} ms, WebSocket again ${back} ms; ${counted}`);
    return scene;
  } catch (error) {
    error.message += `\n${scene.story}`;
    throw error;
  } finally {
    await scene.end();
  }
}

const page = (options) => holdfast(module, WS, { hurry: HURRY, options });
const BUSY = { rowEvery: 60, pushEvery: 300 };
const QUIET = { rowEvery: 3500, pushEvery: 4500 }; // so that silence is cut

// Proxies before the web server: [which, port of it, what becomes of an upgrade].
const REVERSE = [
  ["haproxy", "STRIP", 400],
  ["haproxy", "DENY", 403],
  ["haproxy", "DROP", "hangs"],
  ["haproxy", "TARPIT", "hangs"],
  ["haproxy", "CUT", "open"],
  ["nginx", "STRIP", 400],
  ["nginx", "HOLE", "hangs"],
  ["nginx", "CUT", "open"],
  ["squid-reverse", "STRIP", 400],
  ["tinyproxy-reverse", "STRIP", 400],
];

describe("before the web server", { concurrency: 40 }, () => {
  for (const [name, place, expected] of REVERSE) {
    for (const when of ["start", "later"]) {
      it(`${name}, ${place.toLowerCase()}, ${when === "start" ? "from the start" : "later"}`, async (t) => {
        const port = proxies[name].ports[place];
        assert.equal(await tried(port), expected);
        await play(page(), place === "CUT" ? QUIET : BUSY, () => ({
          harm: [`to 127.0.0.1:${port}`],
          live: ["drop upgrade"],
          heal: [`to 127.0.0.1:${lab.server.port}`],
          usable: true,
          lasts: place === "CUT" ? 8000 : 2500,
        }), when, t);
      });
    }
  }
});

describe("a forward proxy", { concurrency: 40 }, () => {
  // It is used while `by` is set, as where a laptop is at the office or is not.
  function laptop(proxy) {
    const place = { by: null };
    const byProxy = fetchBy(proxy);
    const agents = { tunnel: new Tunnel(proxy), direct: new http.Agent() };
    class Wire extends WS {
      constructor(url) {
        super(url, { agent: place.by ? agents.tunnel : agents.direct });
        place.cut = () => this.terminate();
      }
    }
    const fetched = (url, options) => (place.by ? byProxy(url, options) : fetch(url, options));
    return { place, client: holdfast(module, Wire, { hurry: HURRY, options: { fetch: fetched } }) };
  }

  for (const [name, expected] of [
    ["squid-forward", "the proxy says 403"],
    ["tinyproxy-forward", "the proxy says 403"],
    ["tinyproxy-cut", "open"],
  ]) {
    for (const when of ["start", "later"]) {
      it(`${name}, ${when === "start" ? "from the start" : "later"}`, async (t) => {
        const proxy = proxies[name].ports.FORWARD;
        assert.equal(await tried(lab.server.port, new Tunnel(proxy)), expected);
        const { place, client } = laptop(proxy);
        const cut = name === "tinyproxy-cut";
        // the tunnel ends at the web server itself: this proxy lets through no other port
        const direct = (scene) => Object.defineProperty(scene.box, "endpoint", { value: lab.server.endpoint });
        const harm = (scene) => {
          direct(scene);
          return {
            harm: [() => (place.by = proxy)],
            live: [() => place.cut()],
            heal: [() => (place.by = null)],
            usable: true,
            lasts: cut ? 8000 : 2500,
          };
        };
        await play(client, cut ? QUIET : BUSY, harm, when, t);
      });
    }
  }
});

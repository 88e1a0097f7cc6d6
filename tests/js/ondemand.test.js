// A side-car that gateways start when somebody could use it, behind real web
// servers: it comes, is killed at any moment, is not there, and no client notices.
// What is started and what not is tested in tests/cli/sidecar.sh.
import { after, afterEach, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { copyFileSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { listen } from "./lib/crowd.js";
import { apache, FORTY, Host, lighttpd, NOBODY } from "./lib/hosts.js";
import { accepts, program, sleep, told, until } from "./lib/server.js";

// It is free for as long as no side-car runs: so it is none of those that the
// kernel gives to whoever wants any.
async function lastingPort() {
  for (;;) {
    const some = 15000 + Math.floor(Math.random() * 15000);
    if (!(await accepts({ port: some, host: "127.0.0.1" }))) return some;
  }
}

const port = await lastingPort();
const ON_DEMAND = { sidecar: { start: "on-demand", drain: "0" } };

// Its processes, the parent first; none when it does not run.
async function processes(host) {
  try {
    const status = await host.holdfast("sidecar", "status");
    return /^side-car +process (.*)$/m.exec(status)[1].match(/\d+/g).map(Number).filter((_, i) => i !== 1);
  } catch {
    return [];
  }
}

// As a client without a token does.
const poll = (host) => host.request({ path: `${host.longpoll}?vsn=2.0.0` });

// A gateway that stays looks once a second whether there is one.
const runs = (host) =>
  until(
    30000,
    "a side-car runs",
    async () => {
      await poll(host);
      const pids = await processes(host);
      return pids.length > 1 && pids;
    },
    100,
  );

// With -9, all at once. After a boot, or long enough after, one may be started
// again at once; so may it here.
async function kill(host) {
  for (const pid of await processes(host)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // the parent's end was the worker's
    }
  }
  rmSync(join(host.dir, "sidecar.start"), { force: true });
}

const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

function checkOnDemand(spec) {
  describe(spec.name, { concurrency: false }, () => {
    let host;
    const pages = [];
    const visit = (...args) => {
      const page = listen(host, ...args);
      pages.push(page);
      return page;
    };
    const check = (name, body) => it(name, told(() => host, body, 90000));

    before(async () => {
      host = await Host.start(spec);
    });
    after(async () => {
      await host?.holdfast("sidecar", "stop").catch(() => {});
      const log = host ? readFileSync(join(host.dir, "sidecar.log"), "utf8") : "";
      await host?.stop();
      assert.doesNotMatch(log, /Sanitizer|runtime error:|Assertion .* failed/);
    });
    afterEach(() => Promise.all(pages.splice(0).map((page) => page.end())));

    check("the first visitor has one started, and moves to it without a gap", async () => {
      const first = visit("room:first", "ours", undefined);
      assert.equal((await first.joined).status, "ok");
      assert.equal(first.socket.transportName, "longpoll", "there is nothing else yet");
      await host.publish("room:first", "n", { n: 1 });
      await runs(host);
      const second = visit("room:first", "ours", "websocket");
      assert.equal((await second.joined).status, "ok", "who comes later has a WebSocket");
      await host.publish("room:first", "n", { n: 2 });
      first.socket.replaceTransport("websocket"); // which it does by itself, too, half a minute later
      await until(30000, "the first one has moved", () => first.socket.transportName === "websocket");
      await host.publish("room:first", "n", { n: 3 });
      await until(30000, "all is heard", () => [first, second].every(({ heard }) => heard.at(-1) === 3));
      first.assertWhole(3);
      second.assertWhole(3);
    });

    check("killed at any moment, while it starts too, it takes no message with it", async () => {
      const topic = "room:kills";
      const kinds = [["ours", undefined], ["ours", "longpoll"], ["since", "longpoll"]];
      const crowd = kinds.map(([kind, transport]) => visit(topic, kind, transport));
      for (const page of crowd) assert.equal((await page.joined).status, "ok", page.name);
      let n = 0;
      const say = async (times) => {
        while (times-- > 0) await host.publish(topic, "n", { n: ++n });
      };
      await say(1);
      for (const ms of [0, 15, 40, 150, 400]) {
        const [answer] = await Promise.all([poll(host), say(3)]);
        assert.equal(JSON.parse(answer.body).status, 410);
        await sleep(ms);
        await Promise.all([kill(host), say(3)]);
      }
      await runs(host); // whatever they left behind
      await say(3);
      await until(60000, "all is heard", () => crowd.every(({ heard }) => heard.at(-1) === n));
      for (const page of crowd) page.assertWhole(n);
    });

    check("the web server does not wait for it, and it outlives the web server", async () => {
      const before = await runs(host);
      await host.restart();
      assert.deepEqual(await processes(host), before);
      const page = visit("room:after", "ours", "websocket");
      assert.equal((await page.joined).status, "ok");
      await host.holdfast("sidecar", "stop");
      await until(10000, "it has ended", () => !before.some(isAlive));
    });
  });
}

describe("a side-car on demand", { concurrency: true }, () => {
  checkOnDemand({
    name: "behind lighttpd, which starts the gateway",
    front: lighttpd,
    recipe: "lighttpd-ondemand.conf",
    gateway: "spawned",
    conf: ON_DEMAND,
  });

  // Nothing was done but to upload files.
  checkOnDemand({
    name: "behind Apache, by .htaccess and plain CGI, beside the script",
    front: apache("EVENT", "CGI", "PROXY", "WSTUNNEL"),
    account: NOBODY,
    htaccess: ["htaccess-cgi", "htaccess-websocket"],
    paths: () => ({ "127.0.0.1:4000": `127.0.0.1:${port}` }),
    program: "www/holdfast.cgi",
    endpoint: "/holdfast.cgi",
    gateway: "cgi",
    conf: { ...FORTY, http: { origins: "www.example.com" }, sidecar: { ...ON_DEMAND.sidecar, listen: `127.0.0.1:${port}` } },
    prepare: (host) => copyFileSync(program("holdfast-sidecar"), host.path("www/holdfast-sidecar")),
  });
});

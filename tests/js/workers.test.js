// Several workers: what clients of one topic have of each other when they are on
// different ones, what is lost when one dies or all are replaced (nothing), and
// how clients are told to come back.
import { after, afterEach, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import { createInterface } from "node:readline";
import tls from "node:tls";
import { fileURLToPath } from "node:url";
import WebSocket from "ws";
import { Socket } from "../../www/holdfast.js";
import { connect, disconnectAll, resuming } from "./lib/phoenix.js";
import { Sidecar } from "./lib/sidecar.js";
import { freePort, own, program } from "./lib/server.js";
import { mint, readKeys } from "./lib/tokens.js";
import { sleep, until, within } from "./lib/wait.js";

const TCP = ["--listen", "127.0.0.1:0"];

const serving = (options, body) => async () => {
  const sidecar = await Sidecar.start({ up: TCP, ...options });
  try {
    await within(60000, "the test", body(sidecar));
  } catch (error) {
    error.message += `\n${sidecar.log}`;
    throw error;
  } finally {
    await disconnectAll();
    await sidecar.stop();
  }
};
const two = (conf = {}) => ({ conf: { ...conf, sidecar: { workers: 2, ...conf.sidecar } } });

// A client of that worker: the kernel chooses, so try until it does.
async function on(sidecar, worker, options = {}) {
  for (let tries = 0; tries < 100; tries++) {
    const before = sidecar.descriptors(worker);
    const ws = await sidecar.open({ socket: undefined, port: sidecar.port, ...options });
    assert.equal(ws.status, 101, ws.body);
    await sleep(20); // a handshake that was before it is over
    if (sidecar.descriptors(worker) > before) return ws;
    ws.destroy();
    await sleep(50);
  }
  throw new Error(`no client came to worker ${worker}`);
}

const onEach = (sidecar, options) =>
  Promise.resolve(sidecar.workers).then(async ([one, other]) => [
    await on(sidecar, one, options),
    await on(sidecar, other, options),
  ]);

async function join(ws, topic = "room:a", payload = {}) {
  ws.text(JSON.stringify(["1", "1", topic, "phx_join", payload]));
  const reply = await ws.json(5000, "the reply to a join");
  assert.equal(reply[4].status, "ok", JSON.stringify(reply));
  return ws;
}

// The next message with that event, for which it holds, if it is said.
async function next(ws, event, { ms = 5000, holds = () => true } = {}) {
  for (;;) {
    const message = await ws.json(ms, event);
    if (message[3] === event && holds(message[4])) return message;
  }
}

// Until exactly these are present, as states and diffs tell it.
async function present(ws, wanted, ms = 5000) {
  ws.here ??= new Set();
  while ([...ws.here].sort().join() !== wanted) {
    const [, , , event, payload] = await ws.json(ms, `present: ${wanted}, not ${[...ws.here]}`);
    if (event === "presence_state") ws.here = new Set(Object.keys(payload));
    if (event !== "presence_diff") continue;
    for (const key of Object.keys(payload.leaves)) ws.here.delete(key);
    for (const key of Object.keys(payload.joins)) ws.here.add(key);
  }
}

describe("clients of one topic on two workers", { concurrency: false }, () => {
  it(
    "hear each other and whoever inserts, all in one order",
    serving(two(), async (sidecar) => {
      const clients = await onEach(sidecar);
      for (const ws of clients) await join(ws);
      for (let i = 0; i < 100; i++)
        clients.forEach((ws, k) => ws.text(JSON.stringify(["1", "9", "room:a", "say", [k, i]])));
      await sidecar.holdfast("publish", "room:a", "say", '["inserted"]');
      const heard = await Promise.all(
        clients.map(async (ws) => {
          const got = [];
          while (got.length < 201) got.push(JSON.stringify((await next(ws, "say"))[4]));
          return got;
        }),
      );
      assert.deepEqual(heard[0], heard[1]);
      for (const k of [0, 1]) {
        const mine = heard[0].filter((text) => text.startsWith(`[${k},`));
        assert.deepEqual(
          mine,
          Array.from({ length: 100 }, (_, i) => `[${k},${i}]`),
        );
      }
      clients.forEach((ws) => ws.destroy());
    }),
  );

  it(
    "see each other come and go, also when a worker is killed",
    serving(
      { ...two({ http: { lease: "4s" } }), allow: [["room:*", "join,publish,presence"]] },
      async (sidecar) => {
        const [ann, bob] = await onEach(sidecar);
        const here = (key) => ({ presence: { key, meta: {} } });
        await join(ann, "room:a", here("ann"));
        await join(bob, "room:a", here("bob"));
        await present(ann, "ann,bob");
        await present(bob, "ann,bob");

        const cid = await on(sidecar, sidecar.workers[1]);
        await join(cid, "room:a", here("cid"));
        await present(ann, "ann,bob,cid");
        cid.destroy(); // at once
        await present(ann, "ann,bob", 2000);

        process.kill(sidecar.workers[1], "SIGKILL"); // within the lease of that worker
        const started = performance.now();
        const beat = () => ann.text('[null,"h","phoenix","heartbeat",{}]');
        const timer = setInterval(beat, 500); // so that it is not asked whether it lives
        await present(ann, "ann", 8000).finally(() => clearInterval(timer));
        const took = performance.now() - started;
        assert.ok(took < 5500, `gone after ${took} ms`);
        await sleep(500);
        assert.ok(!ann.closed, "the other worker's clients have noticed nothing");
        ann.destroy();
      },
    ),
  );

  it(
    "are ended on both by one disconnect",
    serving(two(), async (sidecar) => {
      const [key] = readKeys(sidecar);
      const token = await mint(key, { sub: "ann", topics: { "room:*": ["join"] } });
      const path = `/socket/websocket?vsn=2.0.0&access_token=${token}`;
      const clients = await onEach(sidecar, { path });
      const bystander = await sidecar.open({ socket: undefined, port: sidecar.port });
      for (const ws of clients) await join(ws);
      await sidecar.holdfast("disconnect", "ann");
      for (const ws of clients) {
        const got = await ws.inbox.next(3000, "1001");
        assert.deepEqual([got.kind, got.code], ["close", 1001]);
      }
      await sleep(200);
      assert.ok(!bystander.closed);
      bystander.destroy();
    }),
  );

  it("are answered by one application, whichever worker asks it", async () => {
    const asked = [];
    const app = http.createServer((req, res) => {
      let body = "";
      req.on("data", (data) => (body += data));
      req.on("end", () => {
        const call = JSON.parse(body);
        asked.push(call);
        const actions = [{ do: "broadcast_others", event: "told", payload: call.payload ?? null }];
        res.end(JSON.stringify({ status: "ok", response: { n: asked.length }, actions }));
      });
    });
    await new Promise((done) => app.listen(0, "127.0.0.1", done));
    const hooks = { hook_url: `http://127.0.0.1:${app.address().port}/`, hook_events: "join, push" };
    try {
      await serving(two({ hooks }), async (sidecar) => {
        const [ann, bob] = await onEach(sidecar);
        await join(ann);
        await join(bob);
        ann.text(JSON.stringify(["1", "5", "room:a", "ask", { from: "ann" }]));
        await next(bob, "told", { holds: ({ from }) => from === "ann" });
        bob.text(JSON.stringify(["1", "5", "room:a", "ask", { from: "bob" }]));
        await next(ann, "told", { holds: ({ from }) => from === "bob" });
        assert.equal(asked.length, 4);
        ann.destroy();
        bob.destroy();
      })();
    } finally {
      app.close();
    }
  });
});

// --- nothing is lost ----------------------------------------------------------

// Inserts rows {"n":1}, {"n":2}, ... until it is stopped, by the sqlite3 shell.
class Publisher {
  constructor(dir, topic, every = 10) {
    this.count = 0;
    this.shell = own(
      spawn("sqlite3", ["-cmd", ".timeout 5000", `${dir}/journal.db`], {
        stdio: ["pipe", "ignore", "pipe"],
      }),
    );
    this.wrong = "";
    this.shell.stderr.on("data", (data) => (this.wrong += data));
    this.timer = setInterval(() => {
      const payload = `{"n":${++this.count}}`;
      this.shell.stdin.write(
        `INSERT INTO messages(topic,event,payload) VALUES('${topic}','note','${payload}');\n`,
      );
    }, every);
  }

  async stop() {
    clearInterval(this.timer);
    const ended = new Promise((done) => this.shell.on("close", done));
    this.shell.stdin.end();
    await within(10000, "all rows are inserted", ended);
    assert.equal(this.wrong, "");
    return this.count;
  }
}

class Tcp extends WebSocket {}

describe("nothing is lost, doubled or out of order", { concurrency: false }, () => {
  // Readers of both kinds; what each has heard.
  async function readers(sidecar, each) {
    const endpoint = `ws://127.0.0.1:${sidecar.port}/socket`;
    const all = [];
    for (let i = 0; i < each; i++) {
      const socket = new Socket(endpoint, { transport: "websocket", WebSocket: Tcp });
      const channel = socket.channel("room:a");
      const notes = [];
      const gaps = [];
      channel.on("note", ({ n }) => notes.push(n));
      channel.onGap((gap) => gaps.push(gap));
      socket.connect();
      channel.join();
      all.push({
        name: `holdfast.js ${i}`,
        heard: () => notes,
        gaps: () => gaps,
        joined: () => channel.state === "joined",
        end: () => socket.disconnect(),
      });
    }
    for (let i = 0; i < each; i++) {
      const socket = connect("1.8.16", "websocket", endpoint);
      const { channel, state, notes } = resuming(socket, "room:a");
      all.push({
        name: `phoenix ${i}`,
        heard: () => notes.map(([{ n }]) => n),
        gaps: () => state.gaps,
        joined: () => channel.state === "joined",
        end: () => {},
      });
    }
    const everyone = () => all.every(({ joined }) => joined());
    await until(10000, "all have joined", everyone);
    return { all, everyone };
  }

  async function judge({ all }, publisher) {
    const count = await publisher.stop();
    const wanted = Array.from({ length: count }, (_, i) => i + 1);
    for (const { name, heard, gaps } of all) {
      await until(25000, `${name} has heard ${count}`, () => heard().at(-1) === count);
      assert.deepEqual(heard(), wanted, name);
      assert.deepEqual(gaps(), [], name);
    }
    all.forEach(({ end }) => end());
    return count;
  }

  it(
    "when one of two workers is killed, and then the other",
    serving(two(), async (sidecar) => {
      const crowd = await readers(sidecar, 6);
      const publisher = new Publisher(sidecar.dir, "room:a");
      const closes = () => crowd.all.filter(({ joined }) => !joined()).length;
      for (const worker of sidecar.workers) {
        await sleep(500);
        process.kill(worker, "SIGKILL");
        await until(3000, "its clients have noticed", () => closes() > 0, 1);
        assert.ok(closes() < 12, "the others have not");
        await until(20000, "all are back", crowd.everyone);
      }
      await sleep(500);
      const count = await judge(crowd, publisher);
      assert.ok(count > 100, `${count} messages`);
    }),
  );

  it("over a drain, to the next side-car on the same port", async () => {
    const port = await freePort();
    const up = ["--listen", `127.0.0.1:${port}`];
    await serving({ ...two({ sidecar: { drain: "2s" } }), up }, async (sidecar) => {
      const crowd = await readers(sidecar, 6);
      const publisher = new Publisher(sidecar.dir, "room:a");
      await sleep(500);
      await sidecar.stop({ keep: true });
      await sleep(300);
      await sidecar.up(...up);
      await until(25000, "all are back", crowd.everyone);
      await sleep(300);
      await judge(crowd, publisher);
    })();
  });

  it("to nobody who asks one of the workers alone to end", async () => {
    await serving(two(), async (sidecar) => {
      const crowd = await readers(sidecar, 6);
      const publisher = new Publisher(sidecar.dir, "room:a");
      await sleep(300);
      process.kill(sidecar.workers[0], "SIGTERM");
      await until(5000, "its clients are told", () => !crowd.everyone(), 1);
      await until(25000, "all are back", crowd.everyone);
      await judge(crowd, publisher);
    })();
  });
});

// --- draining -----------------------------------------------------------------

describe("a side-car that is told to end", { concurrency: false }, () => {
  it(
    "tells its clients one after the other, and each when to return",
    serving({ conf: { sidecar: { drain: "10s" } } }, async (sidecar) => {
      const count = 400; // told in 0.8 s, at 500 a second
      const crowd = await Promise.all(
        Array.from({ length: count }, () => sidecar.open({ socket: undefined, port: sidecar.port })),
      );
      await join(crowd[count - 1]); // heard of last, so told last
      const began = performance.now();
      const stopped = sidecar.stop({ keep: true });
      await sleep(100);
      await sidecar.holdfast("publish", "room:a", "late", "1");
      assert.equal((await next(crowd[count - 1], "late"))[4], 1, "who waits is served");
      const told = await Promise.all(
        crowd.map(async (ws) => {
          const { kind, code, reason } = await ws.inbox.next(5000, "a goodbye");
          assert.deepEqual([kind, code], ["close", 1012]);
          const [, ms] = /^retry_ms=(\d+)$/.exec(reason);
          return { at: performance.now() - began, ms: Number(ms) };
        }),
      );
      const ended = await stopped.then(() => performance.now() - began);
      const at = told.map((one) => one.at).sort((a, b) => a - b);
      assert.ok(at[count / 2] > 200, `half of them were told after ${at[count / 2]} ms`);
      assert.ok(at[count - 1] > 600 && at[count - 1] < 3000, `the last after ${at[count - 1]} ms`);
      assert.ok(ended < 4000, `the end after ${ended} ms`);
      // when the first one returns the end is over; the rest are a second and more apart
      const back = told.map((one) => one.at + one.ms).sort((a, b) => a - b);
      assert.ok(back[0] > 1500, `the first returns after ${back[0]} ms`);
      const spread = back[count - 1] - back[0];
      assert.ok(spread > 700 && spread < 3000, `they return over ${spread} ms`);
      await sidecar.up(...TCP);
    }),
  );

  it("refuses who comes too late, and its port is free for the next one at once", async () => {
    const port = await freePort();
    const up = ["--listen", `127.0.0.1:${port}`];
    await serving({ up }, async (sidecar) => {
      const deaf = await sidecar.open({ socket: undefined, port });
      deaf.socket.allowHalfOpen = true;
      deaf.socket.pause(); // keeps it for five seconds more
      const stopping = sidecar.stop({ keep: true });
      await until(2000, "it leaves", () => sidecar.log.includes("event=leaving"));
      await assert.rejects(
        new Promise((done, fail) => net.connect(port, "127.0.0.1").on("connect", done).on("error", fail)),
        /ECONNREFUSED/,
      );
      const heir = Object.assign(new Sidecar(), { dir: sidecar.dir });
      await heir.up(...up);
      const ws = await join(await heir.open({ socket: undefined, port }));
      ws.destroy();
      await heir.stop({ keep: true });
      await stopping;
      deaf.destroy();
      await sidecar.up(...up);
    })();
  });

  it("lets in who waits already, and tells them, too", async () => {
    const sidecar = await Sidecar.start({ up: TCP });
    const { worker, port } = sidecar;
    process.kill(worker, "SIGSTOP");
    const early = Array.from({ length: 300 }, () => sidecar.open({ socket: undefined, port }));
    await sleep(300); // they are in the backlog
    const stopped = sidecar.stop();
    await sleep(100);
    process.kill(worker, "SIGCONT");
    for (const ws of await Promise.all(early)) {
      assert.equal(ws.status, 101);
      assert.equal((await ws.inbox.next()).code, 1012);
    }
    await stopped;
  });

  for (const [what, signals] of Object.entries({
    "told so twice": ["SIGTERM", "SIGTERM"],
    "told so by SIGQUIT": ["SIGQUIT"],
  })) {
    it(`waits for nobody when it is ${what}`, async () => {
      const sidecar = await Sidecar.start({ up: TCP });
      const deaf = await sidecar.open({ socket: undefined, port: sidecar.port });
      deaf.socket.allowHalfOpen = true;
      deaf.socket.pause();
      const good = await sidecar.open({ socket: undefined, port: sidecar.port });
      const began = performance.now();
      for (const signal of signals) {
        sidecar.child.kill(signal);
        await sleep(300);
      }
      assert.equal((await good.inbox.next()).code, 1012);
      const how = await within(3000, "it ends", sidecar.ended);
      assert.equal(how.code, 0);
      assert.ok(performance.now() - began < 2500);
      deaf.destroy();
      await sidecar.stop();
    });
  }

  it("is in no hurry when its workers hear of it twice, as from a control group", async () => {
    const sidecar = await Sidecar.start({ up: TCP });
    const deaf = await sidecar.open({ socket: undefined, port: sidecar.port });
    deaf.socket.allowHalfOpen = true;
    deaf.socket.pause();
    const { worker } = sidecar;
    process.kill(worker, "SIGTERM");
    sidecar.child.kill("SIGTERM");
    await sleep(1000);
    assert.equal(sidecar.how, null, "it waits for the one that does not answer");
    deaf.destroy();
    await sidecar.stop();
  });
});

// --- sockets of a service manager ------------------------------------------------

describe("sockets that were passed", { concurrency: false }, () => {
  let sidecar;
  before(async () => {
    sidecar = await Sidecar.start(two({ sidecar: { drain: "1s" } })); // for its directory
    await sidecar.stop({ keep: true });
  });
  after(async () => {
    await sidecar.up();
    await sidecar.stop();
  });
  let child;
  let log;
  let ports;
  afterEach(() => child?.kill("SIGKILL"));

  // The side-car with what a manager holds for it; no address of its settings counts.
  async function manage(...options) {
    const manager = fileURLToPath(new URL("lib/manager.py", import.meta.url));
    const command = [program("holdfast-sidecar"), "--dir", sidecar.dir, "--listen", "unix:other.sock"];
    child = own(
      spawn("python3", [manager, ...options, ...command], { stdio: ["pipe", "pipe", "pipe"] }),
    );
    log = "";
    child.stderr.on("data", (data) => (log += data));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    ports = (await lines.next()).value.split(" ").slice(1).map(Number);
    await lines.next(); // it is started
  }

  const serves = (n) => () => (log.match(/event=serving/g) ?? []).length >= n;

  it("are served by all workers, and keep clients waiting while they are replaced", async () => {
    await manage();
    const [port] = ports;
    await until(10000, "both serve", serves(2));
    assert.match(log, new RegExp(`address=127\\.0\\.0\\.1:${port} `));
    const open = () => sidecar.open({ socket: undefined, port });
    const old = await join(await open());
    child.stdin.write("again\n");
    await until(5000, "they leave", () => log.includes("event=leaving"));
    const early = Array.from({ length: 20 }, () => open()); // nobody is refused
    assert.equal((await old.inbox.next()).code, 1012);
    for (const ws of await Promise.all(early)) {
      assert.equal(ws.status, 101);
      await join(ws);
      ws.destroy();
    }
    assert.ok(serves(3)(), log);
    const ended = new Promise((done) => child.on("close", done));
    child.stdin.end();
    assert.equal(await within(10000, "all end", ended), 0, log);
  });

  it("speak TLS where they are named tls, and only there", async () => {
    await sidecar.renew();
    const conf = path.join(sidecar.dir, "holdfast.conf");
    const plain = readFileSync(conf);
    appendFileSync(conf, "\n[sidecar]\ncertificate = cert.pem\nprivate_key = key.pem\n");
    try {
      // as FileDescriptorName= has it, "tlsx" is another one
      await manage("-n", "ws:tls:tlsx");
      await until(10000, "both serve", serves(2));
      const [ws, wss, other] = ports;
      assert.match(log, new RegExp(`=127.0.0.1:${ws},tls:127.0.0.1:${wss},127.0.0.1:${other} `));
      const secured = () => tls.connect({ host: "127.0.0.1", port: wss, rejectUnauthorized: false });
      for (const options of [{ port: ws }, { connect: secured }, { port: other }]) {
        const one = await sidecar.open({ socket: undefined, ...options });
        assert.equal(one.status, 101);
        await join(one);
        one.destroy();
      }
      const ended = new Promise((done) => child.on("close", done));
      child.stdin.end();
      assert.equal(await within(10000, "all end", ended), 0, log);
    } finally {
      writeFileSync(conf, plain);
    }
  });

  const has = spawnSync("systemd-socket-activate", ["--version"]).status === 0;
  it("come from systemd", { skip: !has && "there is no systemd-socket-activate" }, async () => {
    const port = await freePort();
    const args = ["-l", `127.0.0.1:${port}`, program("holdfast-sidecar"), "--dir", sidecar.dir];
    child = own(spawn("systemd-socket-activate", args, { stdio: ["ignore", "ignore", "pipe"] }));
    let log = "";
    child.stderr.on("data", (data) => (log += data));
    await until(5000, "systemd listens", () => /Listening on/.test(log));
    const ws = await join(await sidecar.open({ socket: undefined, port })); // starts it
    const ended = new Promise((done) => child.on("close", done));
    child.kill("SIGTERM"); // it has become the side-car
    assert.equal((await ws.inbox.next()).code, 1012);
    assert.equal(await within(10000, "it ends", ended), 0, log);
  });
});

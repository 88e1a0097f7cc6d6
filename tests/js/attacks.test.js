// Clients that mean harm, and others that notice nothing: a message each 20 ms
// goes from one bystander to another all the time, and somebody new is let in.
// How long that takes is bench/hostile.mjs; here it is what comes and what not,
// and what an attack can use up. (Bad input: hostile.test.js.)
import { after, it } from "node:test";
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import net from "node:net";
import { promisify } from "node:util";
import { frame, OP, RawWs } from "./lib/rawws.js";
import { Sidecar } from "./lib/sidecar.js";
import { sleep, until, within } from "./lib/wait.js";

const run = promisify(execFile);
const HEARTBEAT = '[null,"h","phoenix","heartbeat",{}]';
const HEAD =
  "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n" +
  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
// 500 frames and twice push_rate, then a second's pause (P-6.9)
const PER_SECOND = 600;

// Bystanders until `attack` is over; nothing may be missing.
const beside =
  (options, attack) =>
  async () => {
    const sidecar = await Sidecar.start({ ...options, up: ["--listen", "127.0.0.1:0"] });
    const where = { socket: undefined, port: sidecar.port };
    const open = async (more = {}) => answersPings(await sidecar.open({ ...where, ...more }));
    let over = false;
    try {
      const [speaks, hears] = [await open(), await open()];
      for (const ws of [speaks, hears]) {
        ws.text(JSON.stringify(["1", "1", "room:quiet", "phx_join", {}]));
        assert.equal((await ws.json())[4].status, "ok");
      }
      let said = 0;
      const talk = (async () => {
        for (; !over || said < 20; await sleep(20))
          speaks.text(JSON.stringify(["1", `${++said}`, "room:quiet", "tick", { said }]));
      })();
      await attack({ sidecar, open });
      over = true;
      await talk;
      for (let i = 1; i <= said; i++) {
        const [, , , event, payload] = await hears.json(10000, `message ${i} of ${said}`);
        assert.deepEqual([event, payload], ["tick", { said: i }]);
      }
      await beats(await open());
    } catch (error) {
      error.message += `\n${sidecar.log}`;
      throw error;
    } finally {
      over = true; // or it would talk for ever
      await sidecar.stop();
    }
  };

// As browsers do.
function answersPings(ws) {
  const push = ws.inbox.push.bind(ws.inbox);
  ws.inbox.push = (got) => (got.kind === "ping" ? ws.send(OP.pong, got.data) : push(got));
  return ws;
}

async function beats(ws) {
  assert.equal(ws.status, 101, ws.body);
  ws.text(HEARTBEAT);
  assert.equal((await ws.json(8000, "the reply to a heartbeat"))[1], "h");
}

// Writes `bytes` again and again, as fast as they are taken, until it ends.
function flood(ws, bytes) {
  const chunk = Buffer.concat(new Array(Math.ceil(65536 / bytes.length)).fill(bytes));
  const go = () => {
    while (!ws.socket.destroyed && ws.socket.write(chunk));
  };
  ws.socket.on("drain", go);
  go();
}

// What came in `ms` since the flood began, by kind.
async function count(ws, ms, wanted) {
  const end = performance.now() + ms;
  let all = 0;
  while (performance.now() < end) {
    const got = await ws.inbox.next(Math.max(1, end - performance.now())).catch(() => null);
    if (got && wanted(got)) all++;
  }
  return all;
}

const cpuOf = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
};

// Sanitizers reserve terabytes of addresses.
const sanitized = (pid) =>
  Number(/^VmSize:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))[1]) > 1e9;

function lowestFree(pid) {
  const open = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let free = 0;
  while (open.has(free)) free++;
  return free;
}

const limitDescriptors = (pid, limit) => run("prlimit", ["--pid", `${pid}`, `--nofile=${limit}:20000`]);

// From now on this process gets no further descriptor, or as many as ever. A file
// that it has open for a moment only would leave room for one.
async function noMoreDescriptors(pid, yes) {
  if (!yes) return limitDescriptors(pid, 4096);
  for (let limit = lowestFree(pid), full = 0; full < 3; full++) {
    await limitDescriptors(pid, limit);
    await sleep(20);
    const free = lowestFree(pid);
    if (free < limit) [limit, full] = [free, -1];
  }
}

it(
  "1,500 requests that never end keep nobody out for long",
  beside({ conf: { sidecar: { handshake: "3s" } } }, async ({ sidecar, open }) => {
    const before = sidecar.descriptors();
    const timers = [];
    const loris = Array.from({ length: 1500 }, () => {
      const socket = net.connect(sidecar.port, "127.0.0.1").on("error", () => {});
      let at = 0;
      timers.push(setInterval(() => socket.write(HEAD[at++ % 40]), 200));
      return socket;
    });
    await until(3000, "all are connected", () => loris.every((socket) => !socket.connecting));
    for (let i = 0; i < 5; i++) {
      const ws = await open();
      await beats(ws);
      ws.destroy();
    }
    assert.ok(sidecar.descriptors() < before + 1100);
    timers.forEach(clearInterval);
    loris.forEach((socket) => socket.destroy());
  }),
);

it(
  "pings without end are answered, but no faster than anybody needs",
  beside({}, async ({ sidecar, open }) => {
    const all = await Promise.all(Array.from({ length: 5 }, () => open()));
    const cpu = cpuOf(sidecar.worker);
    all.forEach((ws) => flood(ws, frame(OP.ping, "x")));
    const counts = await Promise.all(all.map((ws) => count(ws, 2500, ({ kind }) => kind === "pong")));
    for (const pongs of counts) assert.ok(pongs > 0 && pongs <= 4 * (PER_SECOND + 700), `${pongs}`);
    assert.ok(cpuOf(sidecar.worker) - cpu < 1.5, "its share of the processor is small");
    all.forEach((ws) => ws.destroy());
  }),
);

it(
  "pings without end whose answers nobody reads take no memory",
  beside({}, async ({ sidecar, open }) => {
    const before = sidecar.memory();
    const all = await Promise.all(Array.from({ length: 20 }, () => open()));
    for (const ws of all) {
      ws.socket.pause();
      flood(ws, frame(OP.ping, "x".repeat(125)));
    }
    await sleep(2500);
    // a sanitizer keeps what was freed
    if (!sanitized(sidecar.worker)) assert.ok(sidecar.memory() - before < 5e6);
    all.forEach((ws) => ws.destroy());
  }),
);

it(
  "messages without end are read no faster than anybody needs",
  beside({}, async ({ open }) => {
    const ws = await open();
    flood(ws, frame(OP.text, HEARTBEAT));
    const replies = await count(ws, 2500, ({ kind }) => kind === "text");
    assert.ok(replies > PER_SECOND / 2 && replies <= 4 * (PER_SECOND + 100), `${replies}`);
    ws.destroy();
  }),
);

it(
  "without a limit for pushes there is none for frames",
  beside({ conf: { http: { push_rate: "0" } } }, async ({ open }) => {
    const ws = await open();
    const started = performance.now();
    for (let group = 0; group < 20; group++) {
      for (let i = 0; i < 200; i++) ws.text(`[null,"${i}","phoenix","heartbeat",{}]`);
      for (let i = 0; i < 200; i++) assert.equal((await ws.json(8000))[1], `${i}`);
    }
    // it would take more than six pauses
    assert.ok(performance.now() - started < 6000);
    ws.destroy();
  }),
);

it(
  "who asks 20,000 times at once is held up until it has its answers, and gets them all",
  beside({ conf: { http: { push_rate: "0" } } }, async ({ open }) => {
    const ws = await open();
    ws.socket.pause();
    for (let i = 0; i < 20000; i++) ws.text(`[null,"${i}","phoenix","heartbeat",{}]`);
    await sleep(1500);
    ws.socket.resume();
    for (let i = 0; i < 20000; i++) assert.equal((await ws.json(8000))[1], `${i}`);
    ws.destroy();
  }),
);

it(
  "frames of one byte are put together, and no faster than that",
  beside({}, async ({ open }) => {
    const ws = await open();
    const last = HEARTBEAT.length - 1;
    const bytes = [...HEARTBEAT].map((c, i) =>
      frame(i === 0 ? OP.text : OP.more, c, { fin: i === last }),
    );
    flood(ws, Buffer.concat(bytes));
    const replies = await count(ws, 2500, ({ kind }) => kind === "text");
    assert.ok(replies > 0 && replies <= (4 * (PER_SECOND + 700)) / bytes.length, `${replies}`);
    ws.destroy();
  }),
);

it(
  "fragments without end come to an end",
  beside({}, async ({ open }) => {
    const ws = await open();
    ws.send(OP.text, "[", { fin: false });
    flood(ws, frame(OP.more, "", { fin: false }));
    const got = await ws.inbox.next(20000, "a close");
    assert.deepEqual([got.kind, got.code], ["close", 1008]);
    ws.destroy();
  }),
);

it(
  "who is held up and then hangs up is gone at once, and who says goodbye is heard",
  beside({}, async ({ sidecar, open }) => {
    await sleep(100);
    const before = sidecar.descriptors();
    const all = await Promise.all(Array.from({ length: 5 }, () => open()));
    for (const ws of all) flood(ws, frame(OP.ping, ""));
    await sleep(500);
    all.forEach((ws) => ws.socket.resetAndDestroy());
    await until(2000, "their descriptors are free", () => sidecar.descriptors() <= before);
    const polite = await open();
    for (let i = 0; i < PER_SECOND + 10; i++) polite.send(OP.pong, "");
    polite.sendClose(1000);
    const got = await polite.inbox.next(4000, "a close");
    assert.deepEqual([got.kind, got.code], ["close", 1000]);
    polite.destroy();
  }),
);

// Everybody but the bystanders says nothing for ever, though their machines
// still acknowledge what comes.
it(
  "clients that were stopped are pinged, and gone after a while",
  beside({ conf: { sidecar: { ping: "500ms", idle: "2s" } } }, async ({ sidecar }) => {
    await sleep(300);
    const before = sidecar.descriptors();
    const program = `
      import { RawWs } from ${JSON.stringify(new URL("./lib/rawws.js", import.meta.url).href)};
      for (let i = 0; i < 50; i++) {
        const ws = await RawWs.open({ port: ${sidecar.port} });
        ws.text('["1","1","room:quiet","phx_join",{}]');
        await ws.json();
      }
      console.log("there");
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      await within(10000, "they are there", new Promise((done) => child.stdout.once("data", done)));
      assert.ok(sidecar.descriptors() >= before + 50);
      child.kill("SIGSTOP");
      await until(12000, "they are gone", () => sidecar.descriptors() <= before);
    } finally {
      child.kill("SIGKILL");
    }
  }),
);

// A network of its own for the clients, whose cable is then pulled: no word of
// theirs comes any more, and none of ours is acknowledged.
const space = `hf${process.pid}`;
const ip = (...args) => run("ip", args);
const network = await ip("netns", "add", space)
  .then(() => ip("link", "add", `${space}a`, "type", "veth", "peer", "name", `${space}b`, "netns", space))
  .then(() => ip("addr", "add", "198.18.77.1/30", "dev", `${space}a`))
  .then(() => ip("link", "set", `${space}a`, "up"))
  .then(() => ip("-n", space, "addr", "add", "198.18.77.2/30", "dev", `${space}b`))
  .then(() => ip("-n", space, "link", "set", `${space}b`, "up"))
  .then(
    () => true,
    () => false,
  );
after(() => ip("netns", "del", space).catch(() => {}));

it(
  "clients whose line is cut are gone after a while, whatever waits for them",
  { skip: network ? false : "no network of our own to be had here" },
  async () => {
    const sidecar = await Sidecar.start({
      conf: { sidecar: { ping: "500ms", idle: "2s" } },
      up: ["--listen", "198.18.77.1:0"],
    });
    const port = Number(/address=198\.18\.77\.1:(\d+)/.exec(sidecar.log)[1]);
    const before = sidecar.descriptors();
    const program = `
      import net from "node:net";
      import { RawWs } from ${JSON.stringify(new URL("./lib/rawws.js", import.meta.url).href)};
      net.connect = ((connect) => (port) => connect(port, "198.18.77.1"))(net.connect);
      for (let i = 0; i < 20; i++) {
        const ws = await RawWs.open({ port: ${port} });
        ws.text('["1","1","room:a","phx_join",{}]');
        await ws.json();
      }
      console.log("there");
      setInterval(() => {}, 1000);`;
    const child = spawn(
      "ip",
      ["netns", "exec", space, process.execPath, "--input-type=module", "-e", program],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    try {
      await within(10000, "they are there", new Promise((done) => child.stdout.once("data", done)));
      assert.ok(sidecar.descriptors() >= before + 20);
      await ip("link", "set", `${space}a`, "down");
      await sidecar.holdfast("publish", "room:a", "x", JSON.stringify("x".repeat(30000)));
      // joining has opened one or two of its own
      await until(15000, "they are gone", () => sidecar.descriptors() <= before + 3);
    } finally {
      child.kill("SIGKILL");
      await sidecar.stop();
    }
  },
);

// Of topics that are allowed, and of topics that are not.
const JOINS = 10000;

async function joinWithoutEnd(ws, topic) {
  const frames = Array.from({ length: JOINS }, (_, i) =>
    frame(OP.text, JSON.stringify([`${i}`, `${i}`, `${topic}:${i}`, "phx_join", {}])),
  );
  ws.write(Buffer.concat(frames));
  const said = { ok: 0, rate_limited: 0 };
  for (let i = 0; i < JOINS; i++) {
    const [, ref, , event, { status, response }] = await ws.json(8000, `reply ${i}`);
    assert.deepEqual([event, ref], ["phx_reply", `${i}`]);
    const reason = status === "ok" ? "ok" : response.reason;
    said[reason] = (said[reason] ?? 0) + 1;
  }
  assert.equal(said.ok, topic === "room" ? 100 : 0);
  assert.ok(said.rate_limited > 0.75 * JOINS, JSON.stringify(said));
  ws.destroy();
}

it(
  "ten thousand joins at once are each answered, and few are let in",
  beside({}, async ({ open }) => {
    const [room, secret] = [await open(), await open()];
    await Promise.all([joinWithoutEnd(room, "room"), joinWithoutEnd(secret, "secret")]);
  }),
);

it(
  "without a descriptor left clients wait, nothing spins, and then they are served",
  beside({}, async ({ sidecar, open }) => {
    const { worker } = sidecar;
    await noMoreDescriptors(worker, true);
    const waiting = Array.from({ length: 10 }, () => open({ ms: 15000 }));
    waiting.forEach((one) => one.catch(() => {}));
    const first = await Promise.race([
      ...waiting.map((one) => one.then(() => "served")),
      sleep(1000).then(() => "waits"),
    ]);
    assert.equal(first, "waits");
    const cpu = cpuOf(worker);
    await sleep(1000);
    assert.ok(cpuOf(worker) - cpu < 0.4, "it does not spin");
    assert.match(sidecar.log, /event=accept_failed/);
    await noMoreDescriptors(worker, false);
    for (const ws of await Promise.all(waiting)) {
      await beats(ws);
      ws.destroy();
    }
  }),
);

it(
  "when the last descriptor goes while handshakes are under way, nobody else notices",
  beside({}, async ({ sidecar, open }) => {
    const { worker } = sidecar;
    const half = Array.from({ length: 3 }, () => {
      const socket = net.connect(sidecar.port, "127.0.0.1").on("error", () => {});
      socket.write(HEAD.slice(0, -4));
      return socket;
    });
    await sleep(300);
    await noMoreDescriptors(worker, true);
    const ends = half.map((socket) => new Promise((done) => socket.on("close", done)));
    half.forEach((socket) => {
      socket.resume();
      socket.write(HEAD.slice(-4));
    });
    await within(3000, "at least one is lost", Promise.any(ends));
    half.forEach((socket) => socket.destroy());
    await noMoreDescriptors(worker, false);
    await beats(await open());
  }),
);

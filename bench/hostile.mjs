// hostile.mjs - what others notice of a client that means harm
//
//     HOLDFAST_BIN=build node bench/hostile.mjs [SECONDS] [ATTACK...]
//
// Fifty bystanders sit in a room; one of them says something 40 times a second,
// and five times a second somebody new connects and joins. How long a message
// takes to each of them, and how long the new one waits, is measured without an
// attack, with the attack on another side-car of the same machine (that much is
// just a busy machine), and with the attack on theirs. All come by loopback,
// which no limit for addresses holds back. An attacker is a process of its own.
import { fork } from "node:child_process";
import { cpus } from "node:os";
import { readFileSync } from "node:fs";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { frame, OP, RawWs } from "../tests/js/lib/rawws.js";
import { Sidecar } from "../tests/js/lib/sidecar.js";
import { sleep } from "../tests/js/lib/wait.js";

const BYSTANDERS = 50;
const EVERY_MS = 25;
const now = () => performance.now();

/* --- attacks ---------------------------------------------------------------- */

const REQUEST =
  "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n" +
  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const HEARTBEAT = '[null,"1","phoenix","heartbeat",{}]';

const repeat = (one, bytes) => Buffer.concat(new Array(Math.ceil(bytes / one.length)).fill(one));
const join = (ref, topic) => frame(OP.text, JSON.stringify([`${ref}`, `${ref}`, topic, "phx_join", {}]));

// As much of `bytes` as the other side takes, for ever; begun anew when closed.
function flood(port, bytes, { first = Buffer.alloc(0), reads = true } = {}) {
  const socket = net.connect(port, "127.0.0.1");
  const go = () => {
    while (!socket.destroyed && socket.write(bytes));
  };
  socket.on("error", () => {});
  socket.on("close", () => setTimeout(() => flood(port, bytes, { first, reads }), 20));
  if (reads) socket.resume();
  else socket.pause();
  socket.write(REQUEST);
  socket.once("connect", () =>
    setTimeout(() => {
      socket.write(first);
      go();
    }, 100),
  );
  socket.on("drain", go);
}

const times = (count, one) => Array.from({ length: count }, (_, i) => one(i));

const attacks = {
  "slow-loris, 1,500 requests that never end": (port) =>
    times(1500, function dribble() {
      const socket = net.connect(port, "127.0.0.1").on("error", () => {});
      let at = 0;
      const timer = setInterval(() => socket.write(REQUEST[at++ % 40]), 500);
      socket.on("close", () => {
        clearInterval(timer);
        setTimeout(dribble, 20);
      });
    }),
  "connecting and hanging up, 20 at a time": (port) =>
    times(20, function again() {
      const socket = net.connect(port, "127.0.0.1").on("error", () => {});
      socket.write(REQUEST);
      socket.once("data", () => socket.destroy());
      socket.on("close", again);
    }),
  "50 that read nothing of 640 kB/s": async (port) => {
    const deaf = await Promise.all(times(50, () => RawWs.open({ port })));
    for (const ws of deaf) {
      ws.write(join(1, "room:loud"));
      ws.socket.pause();
    }
    const loud = await RawWs.open({ port });
    loud.socket.resume();
    loud.write(join(1, "room:loud"));
    let i = 0;
    setInterval(
      () => loud.text(JSON.stringify(["1", `${++i}`, "room:loud", "x", "x".repeat(16000)])),
      25,
    );
  },
  "a flood of pings, 20 sockets": (port) =>
    times(20, () => flood(port, repeat(frame(OP.ping, "", { mask: Buffer.alloc(4) }), 65536))),
  "a flood of pings, unread, 20 sockets": (port) =>
    times(20, () =>
      flood(port, repeat(frame(OP.ping, "x".repeat(125)), 65536), { reads: false }),
    ),
  "a flood of heartbeats, 20 sockets": (port) =>
    times(20, () => flood(port, repeat(frame(OP.text, HEARTBEAT), 65536))),
  "frames of one byte, 20 sockets": (port) => {
    const message = Buffer.concat(
      [...HEARTBEAT].map((c, i) =>
        frame(i === 0 ? OP.text : OP.more, c, { fin: i === HEARTBEAT.length - 1 }),
      ),
    );
    return times(20, () => flood(port, repeat(message, 65536)));
  },
  "fragments without end, 20 sockets": (port) =>
    times(20, () =>
      flood(port, repeat(frame(OP.more, "", { fin: false }), 65536), {
        first: frame(OP.text, "[", { fin: false }),
      }),
    ),
  "the largest messages there may be, 20 sockets": (port) =>
    times(20, () =>
      flood(port, frame(OP.text, `[null,"1","phoenix","heartbeat",{"x":"${"x".repeat(262000)}"}]`)),
    ),
  "10,000 joins again and again, one socket": (port) =>
    flood(port, Buffer.concat(times(10000, (i) => join(i + 1, `room:${i}`)))),
  "the same where nothing is allowed": (port) =>
    flood(port, Buffer.concat(times(10000, (i) => join(i + 1, `secret:${i}`)))),
  "a flood of pushes, 20 sockets": (port) =>
    times(20, (s) =>
      flood(port, repeat(frame(OP.text, `["1","2","room:flood${s}","x",{"x":1}]`), 65536), {
        first: join(1, `room:flood${s}`),
      }),
    ),
  "1,000 that are stopped (SIGSTOP) while a message goes to them": async (port) => {
    const all = await Promise.all(times(1000, () => RawWs.open({ port })));
    for (const ws of all) ws.write(join(1, "room:others"));
    await sleep(1000);
    process.kill(process.pid, "SIGSTOP");
  },
};

if (process.argv[2] === "--attack") {
  await attacks[process.argv[3]](Number(process.argv[4]));
  await new Promise(() => {});
}

/* --- bystanders -------------------------------------------------------------- */

async function joined(port, topic) {
  const ws = await RawWs.open({ port });
  ws.text(JSON.stringify(["1", "1", topic, "phx_join", {}]));
  const reply = await ws.json(20000);
  if (reply[4].status !== "ok") throw new Error(JSON.stringify(reply));
  return ws;
}

const quantile = (all, share) =>
  all.length ? all.sort((a, b) => a - b)[Math.min(all.length - 1, Math.floor(share * all.length))] : NaN;

const cpuOf = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
};

async function watch(sidecar, seconds) {
  const { port } = sidecar;
  const others = await Promise.all(
    Array.from({ length: BYSTANDERS }, () => joined(port, "room:others")),
  );
  const took = [];
  const waited = [];
  let said = 0;
  let lost = 0;
  for (const ws of others) {
    (async () => {
      for (;;) {
        const message = await ws.json(60000).catch(() => null);
        if (!message) return;
        if (message[3] === "said") took.push(now() - message[4].at);
      }
    })();
  }
  const end = now() + seconds * 1000;
  const cpu = cpuOf(sidecar.worker);
  const talking = (async () => {
    for (let ref = 2; now() < end; ref++) {
      others[0].text(JSON.stringify(["1", `${ref}`, "room:others", "said", { at: now() }]));
      said++;
      await sleep(EVERY_MS);
    }
  })();
  const coming = (async () => {
    while (now() < end) {
      const start = now();
      await joined(port, "room:others").then(
        (ws) => {
          waited.push(now() - start);
          ws.destroy();
        },
        () => lost++,
      );
      await sleep(200);
    }
  })();
  await Promise.all([talking, coming]);
  const used = (cpuOf(sidecar.worker) - cpu) / seconds;
  for (let i = 0; i < 100 && took.length < said * BYSTANDERS; i++) await sleep(50);
  for (const ws of others) ws.destroy();
  return { took, waited, missing: said * BYSTANDERS - took.length, lost, used };
}

const round = (ms) => (ms < 10 ? ms.toFixed(1) : ms.toFixed(0));

function line(what, { took, waited, missing, lost, used }) {
  console.log(
    `| ${what} | ${round(quantile(took, 0.5))} | ${round(quantile(took, 0.99))} | ` +
      `${round(quantile(took, 1))} | ${round(quantile(waited, 0.5))} | ` +
      `${round(quantile(waited, 1))} | ${missing + lost} | ${Math.round(used * 100)} % |`,
  );
}

const start = () => Sidecar.start({ up: ["--listen", "127.0.0.1:0"] });

async function under(name, elsewhere, seconds) {
  const sidecar = await start();
  const target = elsewhere ? await start() : sidecar;
  const attacker = fork(fileURLToPath(import.meta.url), ["--attack", name, `${target.port}`]);
  try {
    await sleep(2000);
    return await watch(sidecar, seconds);
  } finally {
    attacker.kill("SIGKILL");
    await new Promise((done) => (attacker.signalCode ? done() : attacker.on("exit", done)));
    for (const one of new Set([sidecar, target])) await one.stop();
  }
}

const [seconds = "8", ...names] = process.argv.slice(2);
const chosen = Object.keys(attacks).filter(
  (name) => names.length === 0 || names.some((part) => name.includes(part)),
);
console.log(
  `${cpus().length} cores; ${BYSTANDERS} bystanders, a message each ${EVERY_MS} ms, ${seconds} s each; ms\n\n` +
    "| attack | message p50 | p99 | longest | connect and join p50 | longest | missing | CPU of the worker |\n" +
    "|---|---|---|---|---|---|---|---|",
);
const quiet = await start();
line("none", await watch(quiet, Number(seconds)));
await quiet.stop();
for (const name of chosen) {
  line(`*elsewhere:* ${name}`, await under(name, true, Number(seconds)));
  line(name, await under(name, false, Number(seconds)));
}

// The room for held polls is one for all processes of a journal directory: a
// gateway that stays, and a process for each request as plain CGI makes them.
import { spawn } from "node:child_process";
import { after, before, it } from "node:test";
import assert from "node:assert/strict";
import { variables } from "./lib/fastcgi.js";
import { Poller } from "./lib/poll.js";
import { Server, own, program, sleep, told } from "./lib/server.js";

const TOPIC = "room:holds";
const ROOM = 4;

let server;
const test = (name, body) => it(name, { timeout: 60000 }, told(() => server, body));

before(async () => {
  const gateway = { held_first: ROOM, max_held: ROOM, cgi_max_held: ROOM, hold: "6s", cgi_hold: "6s", short_polls: 10 };
  server = await Server.start({ sidecar: false, conf: { gateway } });
});
after(() => server?.stop());

// A GET through a process of its own; `answer` comes when it ends.
function cgi(token, says = "paced=1") {
  const query = `vsn=2.0.0&${says}${token ? `&token=${token}` : ""}`;
  const env = variables({ query, env: { SCRIPT_NAME: "/socket", PATH_INFO: "/longpoll" } });
  const child = own(spawn(program("holdfast-gateway"), ["--dir", server.dir], { env: { GATEWAY_INTERFACE: "CGI/1.1", ...env } }));
  let out = "";
  let log = "";
  child.stdout.on("data", (part) => (out += part));
  child.stderr.on("data", (part) => (log += part));
  child.stdin.end();
  const answer = new Promise((resolve) =>
    child.on("close", () => {
      const at = out.indexOf("\r\n\r\n");
      resolve(at < 0 ? { log } : { ...JSON.parse(out.slice(at + 4)), log });
    }),
  );
  return { child, answer };
}

// One of ours that has joined, with its token.
async function joined() {
  const poller = new Poller(server.port, { query: "vsn=2.0.0&paced=1" });
  await poller.open();
  await poller.join(TOPIC);
  return poller;
}

const isHeld = async ({ answer }) => (await Promise.race([answer, sleep(700)])) === undefined;
const holding = async () => (await server.holdfast("status")).match(/^holding +(.*)$/m)[1];

test("a place taken by one process is missing in all others, and told by status", async () => {
  const [late, ...pollers] = await Promise.all(Array.from({ length: 4 }, joined));
  const held = pollers.map(({ token }) => cgi(token)); // three quarters, for anybody
  for (const poll of held) assert.ok(await isHeld(poll));
  assert.match(await holding(), /^3 of 4/);
  const active = await joined(); // who sends something may have the last one
  held.push(cgi(active.token));
  assert.ok(await isHeld(held.at(-1)));
  const begun = performance.now();
  const answer = await late.get();
  assert.ok(performance.now() - begun < 500);
  assert.equal(answer.status, 204);
  assert.ok(answer.next_ms >= 1000 && answer.next_ms <= 30000, String(answer.next_ms));

  await server.publish(TOPIC, "tick", { n: 1 }); // news needs no place
  assert.equal((await late.get()).status, 200);
  for (const poll of held) assert.equal((await poll.answer).status, 200);
  assert.match(await holding(), /^0 of /);
});

test("what a killed process held is free again, for the others", async () => {
  const pollers = await Promise.all(Array.from({ length: 4 }, joined));
  const held = pollers.slice(0, 3).map(({ token }) => cgi(token));
  for (const poll of held) assert.ok(await isHeld(poll));
  assert.ok((await cgi(pollers[3].token).answer).next_ms > 0);
  for (const { child } of held) child.kill("SIGKILL");
  await Promise.all(held.map(({ answer }) => answer));
  await sleep(1100); // looked for once a second
  const last = cgi(pollers[3].token);
  assert.ok(await isHeld(last));
  await server.publish(TOPIC, "tick", { n: 2 });
  assert.equal((await last.answer).status, 200);
});

test("a stock client without a place is refused, in whatever process, and ours is not", async () => {
  const pollers = await Promise.all(Array.from({ length: 3 }, joined));
  const held = pollers.map(({ token }) => cgi(token));
  for (const poll of held) assert.ok(await isHeld(poll));
  const stock = new Poller(server.port);
  assert.deepEqual(await stock.get(), { status: 500, messages: [], texts: undefined });
  const { log, ...refused } = await cgi(null, "x=1").answer;
  assert.deepEqual(refused, { status: 500 });
  assert.equal((await cgi(null).answer).status, 410);
  await server.publish(TOPIC, "tick", { n: 3 });
  await Promise.all(held.map(({ answer }) => answer));
  assert.equal((await stock.get()).status, 410);
});

test("a refusal that one process is told of makes the room smaller for all", async () => {
  const poller = await joined();
  const poll = cgi(poller.token, "paced=1&refused=508");
  assert.ok(await isHeld(poll));
  assert.match(await holding(), /^1 of 2, at most 3, .*refused with 508/);
  await server.publish(TOPIC, "tick", { n: 4 });
  const { log } = await poll.answer;
  assert.match(log, /event=holds_halved .*status=508 from=4 to=2 .*hint=/);
  const pollers = await Promise.all(Array.from({ length: 3 }, joined));
  const held = pollers.slice(0, 2).map(({ token }) => cgi(token));
  for (const other of held) assert.ok(await isHeld(other));
  assert.ok((await pollers[2].get()).next_ms >= 1000);
  await server.publish(TOPIC, "tick", { n: 5 });
  await Promise.all(held.map(({ answer }) => answer));
});

// fcgid.js - what is particular to mod_fcgid: a process has one request at a time
//
// So holds are those of a process that is kept for one poll, a POST over 131,072
// bytes is answered 500 by mod_fcgid itself, and a process that dies leaves its
// poll with an error page of Apache's.
import assert from "node:assert/strict";
import { listen } from "./crowd.js";
import { FORTY } from "./hosts.js";
import { request } from "./http.js";
import { sleep, until } from "./server.js";

// All processes are killed, and with them the polls that they hold. (With the
// program taken away instead, mod_fcgid lets everybody wait for half a minute.)
async function survivesKills(host, t) {
  const where = "room:fcgid-kills";
  const pages = ["ours", "since"].map((kind) => listen(host, where, kind, "longpoll"));
  try {
    for (const page of pages) assert.equal((await page.joined).status, "ok", page.name);
    for (let n = 1; n <= 3; n++) {
      await host.publish(where, "n", { n });
      await until(15000, `both have heard ${n}`, () => pages.every(({ heard }) => heard.at(-1) === n));
      const { status, body } = await killsWhileHeld(host);
      assert.throws(() => JSON.parse(body), "a page, and no JSON");
      t.diagnostic(`${status}, ${pages.map(({ joins }) => joins)} joins`);
    }
    await host.publish(where, "n", { n: 4 });
    await until(30000, "both are back", () => pages.every(({ heard }) => heard.at(-1) === 4));
    for (const page of pages) page.assertWhole(4);
  } finally {
    await Promise.all(pages.map((page) => page.end()));
  }
}

// One poll more is held, and then everything is dead: the answer to that poll.
// It may wait for a process first, and then live.
async function killsWhileHeld(host) {
  const ask = (token) => request({ port: host.port, path: `${host.longpoll}?vsn=2.0.0${token}` });
  return until(20000, "a held poll is answered with an error", async () => {
    const { token } = JSON.parse((await ask("")).body);
    const held = ask(`&token=${encodeURIComponent(token)}`);
    await sleep(500);
    for (const pid of host.gatewayPids()) process.kill(pid, "SIGKILL");
    const answer = await held;
    return answer.status === 500 && answer;
  });
}

export const fcgid = {
  gateway: "spawned",
  processes: true,
  conf: FORTY,
  holds: { stock: 5, ours: 5 },
  body: { within: 131072, over: 140000, status: 500 },
  // it starts about ten processes at once, and then one a second
  crowd: { ours: 2, since: 1, plain: 1 },
  outage: survivesKills,
};

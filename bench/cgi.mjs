// cgi.mjs - what a poll costs where every request is a process of its own
//
//     HOLDFAST_BIN=build node bench/cgi.mjs [COUNT [HELD]]      default: 500 100
//     STATIC_BIN=build   another build, of the static gateway of docs/HOSTING.md:
//                        its rows, too
//
// Processor time and memory of holdfast-gateway as plain CGI, started straight
// with the environment of a real request, beside two floors of the same run:
// an empty program, and one that is linked with libfcgi and asks SQLite for one
// row. `make bench` builds what it starts.
import { execFileSync, spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { variables } from "../tests/js/lib/fastcgi.js";

const build = resolve(process.env.HOLDFAST_BIN ?? ".");
const [count = 500, held = 100] = process.argv.slice(2).map(Number);
const top = mkdtempSync(join(tmpdir(), "holdfast-cgi."));
const dir = join(top, "journal");
const gatewayOf = (folder) => [join(folder, "holdfast-gateway"), "--dir", dir];
const gateway = gatewayOf(build);
const gateways = [["", gateway]];
if (process.env.STATIC_BIN) gateways.push([", static", gatewayOf(resolve(process.env.STATIC_BIN))]);
const holdfast = (...args) => execFileSync(join(build, "holdfast"), ["--dir", dir, ...args], { encoding: "utf8" });

const ENV = {
  PATH: "/usr/bin:/bin",
  GATEWAY_INTERFACE: "CGI/1.1",
  SERVER_NAME: "example.com",
  SERVER_PORT: "443",
  HTTPS: "on",
  DOCUMENT_ROOT: "/var/www/html",
  HTTP_ACCEPT: "application/json",
  HTTP_ACCEPT_ENCODING: "gzip, deflate, br, zstd",
  HTTP_ACCEPT_LANGUAGE: "en-GB,en;q=0.9,de;q=0.8",
  HTTP_REFERER: "https://example.com/chat/rooms/lobby",
  HTTP_USER_AGENT: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
};
const envOf = (request) => ({ ...ENV, ...variables({ query: "vsn=2.0.0", ...request }) });

function ask(request) {
  const { stdout, stderr, status } = spawnSync(gateway[0], gateway.slice(1), { env: envOf(request), input: request.body ?? "", encoding: "utf8" });
  if (status !== 0) throw new Error(`the gateway ended with ${status}: ${stderr}`);
  return JSON.parse(stdout.slice(stdout.indexOf("\r\n\r\n") + 4));
}

const polling = (token) => `vsn=2.0.0&paced=1&token=${token}`;

// Joined to a room of ten, its reply fetched: the next poll finds nothing. Its
// former token finds the reply, again and again.
function makeSession(i) {
  const { token } = ask({ query: "vsn=2.0.0&paced=1" });
  const body = JSON.stringify(["1", "1", `room:${i % 10}`, "phx_join", {}]);
  const pushed = ask({ query: polling(token), method: "POST", body, env: { CONTENT_TYPE: "application/json" } });
  if (pushed.status !== 200) throw new Error(`join: ${JSON.stringify(pushed)}`);
  const joined = ask({ query: polling(token) });
  if (joined.status !== 200) throw new Error(`first poll: ${JSON.stringify(joined)}`);
  return { finds: polling(token), waits: polling(joined.token) };
}

function measure(mode, n, how, program, queries) {
  const input = queries.map((query) => `${query}\n`).join("");
  return execFileSync(join(build, "bench/cgi"), [mode, n, how, ...program].map(String), { env: envOf({}), input, encoding: "utf8" }).trim();
}

const settings = join(dir, "holdfast.conf");
const hold = (original, seconds, room = 1000) =>
  writeFileSync(settings, `${original}\n[gateway]\ncgi_hold = ${seconds}s\nmax_held = ${room}\ncgi_max_held = ${room}\nheld_first = ${room}\nmax_held_per_address = 1000\n`);
const tell = (what, figures) => console.log(`${what.padEnd(34)} ${figures}`);

try {
  holdfast("init", dir);
  holdfast("allow", "room:*", "join,publish");
  const original = readFileSync(settings, "utf8");
  appendFileSync(settings, "");
  hold(original, 1);
  const sessions = Array.from({ length: held }, (_, i) => makeSession(i));
  const waits = sessions.map((session) => session.waits);
  const finds = sessions.map((session) => session.finds);
  const empty = [join(build, "bench/cgi_empty")];
  const floor = [join(build, "bench/cgi_floor"), join(dir, "journal.db")];
  console.log(`${cpus()[0].model.trim()}, ${cpus().length} cores, load ${loadavg()[0].toFixed(1)}; ${count} of each, ${held} held`);

  tell("empty program", measure("cpu", count, 1, empty, []));
  tell("libfcgi and one row", measure("cpu", count, 1, floor, []));
  tell("the floor, 1 s, 20 at once", measure("cpu", count, 20, [...floor, 1000], []));
  for (const [name, program] of gateways) {
    tell(`a poll that finds a reply${name}`, measure("cpu", count, 1, program, finds));
    tell(`a poll held 1 s, 20 at once${name}`, measure("cpu", count, 20, program, waits));
  }
  hold(original, 5);
  tell("the floor, held", measure("pss", held, 2500, [...floor, 5000], []));
  for (const [name, program] of gateways) tell(`a poll, held${name}`, measure("pss", held, 2500, program, waits));
  hold(original, 1, 0);
  const answer = ask({ query: waits[0] });
  if (answer.status !== 204 || !answer.next_ms) throw new Error(`it is to come later: ${JSON.stringify(answer)}`);
  for (const [name, program] of gateways) tell(`a poll with no room to wait${name}`, measure("cpu", count, 1, program, waits));
} finally {
  rmSync(top, { recursive: true, force: true });
}

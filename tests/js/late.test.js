// The libraries that our programs load when they need them (base/late.h), on a
// machine that has them not: what needs them says so, the rest goes on.
import { after, before, it } from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { variables } from "./lib/fastcgi.js";
import { Server, own, program, told, within } from "./lib/server.js";

let server;
const test = (name, body) => it(name, told(() => server, body));

const conf = { hooks: { hook_url: "http://127.0.0.1:9/", hook_events: "connect" } };
before(async () => {
  server = await Server.start({ conf });
});
after(() => server?.stop());

// The program, under the name of a library that this machine has not.
function without(library, name) {
  const bytes = readFileSync(program(name));
  const at = bytes.indexOf(`${library}.so.`);
  assert.ok(at > 0, `${name} names ${library}`);
  bytes.write("0\0", at + library.length + 4);
  const path = server.path(`${name}-without-${library}`);
  writeFileSync(path, bytes, { mode: 0o755 });
  return path;
}

async function ended(path, args, env) {
  const child = own(spawn(path, ["--dir", server.dir, ...args], { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] }));
  const said = { out: "", err: "" };
  child.stdout.on("data", (part) => (said.out += part));
  child.stderr.on("data", (part) => (said.err += part));
  const [code] = await within(8000, `${path} ends`, once(child, "close"));
  return { code, ...said };
}

const cgi = (path, query) => ended(path, [], { GATEWAY_INTERFACE: "CGI/1.1", ...variables({ query }) });

const gateway = () => ["holdfast-gateway", ["--socket", server.path("no.sock")]];
const sidecar = () => ["holdfast-sidecar", ["--listen", "unix:none.sock"]];

async function refusesToStart(library, [name, args], reason) {
  const { code, err } = await ended(without(library, name), args);
  assert.notEqual(code, 0);
  assert.match(err, reason);
}

test("without libcurl a resident program that has a hook_url does not start", async () => {
  for (const one of [gateway(), sidecar()]) await refusesToStart("libcurl", one, /hook_url needs libcurl: libcurl\.so\.0/);
});

test("without libcurl a plain CGI process refuses what it must ask, and says why", async () => {
  const { code, out, err } = await cgi(without("libcurl", "holdfast-gateway"), "vsn=2.0.0");
  assert.equal(code, 0);
  assert.match(out, /"status":500/);
  assert.match(err, /event=hook_failed .*hook=connect .*why="hook_url needs libcurl: libcurl\.so\.0/);
});

// Linked, since it speaks TLS, so the loader says it.
test("without libcrypto the side-car does not start", async () => {
  await refusesToStart("libcrypto", sidecar(), /libcrypto\.so\.0: cannot open shared object file/);
});

test("without libcrypto a key of two parts is refused, and one secret is not", async () => {
  const keys = join(server.dir, "keys.json");
  const secret = readFileSync(keys);
  const bare = without("libcrypto", "holdfast-gateway");
  const holdfast = without("libcrypto", "holdfast");
  const inspect = async () => ended(holdfast, ["token", "--sub", "ann"]);
  try {
    const made = await inspect();
    assert.equal(made.code, 0, made.err);
    writeFileSync(keys, JSON.stringify({ keys: [{ kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] }));
    const { code, err } = await ended(bare, ["--socket", server.path("no.sock")]);
    assert.notEqual(code, 0);
    assert.match(err, /keys\.json: key 1 needs OpenSSL: libcrypto\.so\.0/);
    assert.match((await inspect()).err, /key 1 needs OpenSSL: libcrypto\.so\.0/);
  } finally {
    writeFileSync(keys, secret);
  }
});

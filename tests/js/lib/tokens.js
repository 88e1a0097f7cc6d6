// tokens.js - tokens as an application mints them: with npm's jose and a key of
// the journal directory's keys.json
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SignJWT, importJWK } from "jose";

const file = (server) => join(server.dir, "keys.json");

export const readKeys = (server) => JSON.parse(readFileSync(file(server), "utf8")).keys;

// In place of the old file at one go, as an operator should.
export function writeKeys(server, keys, mode = 0o600) {
  const text = typeof keys === "string" ? keys : JSON.stringify({ keys });
  writeFileSync(`${file(server)}.new`, text, { mode });
  renameSync(`${file(server)}.new`, file(server));
}

// Claims as they are; `exp` in so many seconds, which may be below zero.
export async function mint(key, claims = {}, { ttl = 60, header = {} } = {}) {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ iat: now, exp: now + ttl, ...claims })
    .setProtectedHeader({ alg: key.alg, ...(key.kid ? { kid: key.kid } : {}), ...header })
    .sign(await importJWK(key, key.alg));
}

// The classic scripts, in which many names are letters, do what holdfast.js does: the
// tests of the client with each of them in its place.
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const SUITES = [
  "holdfast",
  "client_channel",
  "client_choice",
  "client_faults",
  "client_life",
  "client_presence",
];
const SCRIPTS = {
  "holdfast.min.js": [...SUITES, "client_tabs"],
  "holdfast.solo.min.js": SUITES,
};

/** @returns {Promise<string>} what a suite says, if it fails */
function failure(script, suite) {
  const args = ["--import", "./lib/built.js", "--test-timeout=60000", `${suite}.test.js`];
  const { NODE_TEST_CONTEXT: _, ...env } = process.env; // else it reports to us
  const options = { cwd: HERE, env: { ...env, BUILT: script }, timeout: 100000 };
  return new Promise((done) =>
    execFile(process.execPath, args, options, (error, out) => done(error ? out || error.message : "")),
  );
}

for (const [script, suites] of Object.entries(SCRIPTS))
  describe(script, () => {
    for (const suite of suites)
      it(`passes ${suite}.test.js`, async () => {
        assert.equal(await failure(script, suite), "");
      });
  });

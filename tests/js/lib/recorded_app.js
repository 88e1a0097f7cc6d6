// recorded_app.js - the recorded application, beside a server that asks it
//
// It is a hook application, tests/transcripts/app.py; see there. One process
// for each server, as each server has a secret of its own.
import { spawn } from "node:child_process";
import { openSync, closeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { own } from "./server.js";
import { within } from "./wait.js";

const APP = fileURLToPath(new URL("../../transcripts/app.py", import.meta.url));

export class RecordedApp {
  // `secret`: the file with the secret that its callers sign with
  static async start({ secret, log }) {
    const app = new RecordedApp();
    const fd = openSync(log, "a");
    app.child = own(
      spawn("python3", [APP, "--secret-file", secret], { stdio: ["pipe", "pipe", fd] }),
    );
    closeSync(fd);
    app.ended = new Promise((done) => {
      app.child.once("error", done);
      app.child.once("exit", done);
    });
    const said = new Promise((done, fail) => {
      app.child.stdout.once("data", (data) => done(String(data).trim()));
      app.ended.then((how) => fail(new Error(`${APP} ended: ${how}`)));
    });
    app.url = await within(15000, "the application listens", said);
    return app;
  }

  // For Server.start({ prepare }): this server asks it about everything.
  static async beside(server) {
    const app = await RecordedApp.start({
      secret: join(server.dir, "hook_secret"),
      log: server.path("app.log"),
    });
    server.configure({ hooks: { hook_url: app.url, hook_events: "connect, join, push" } });
    return app;
  }

  async stop() {
    this.child.stdin.end();
    await within(8000, "the application ends", this.ended);
  }
}

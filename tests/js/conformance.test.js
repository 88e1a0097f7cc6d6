// The cases of tests/conformance over real sockets: the side-car's echo itself,
// behind a lighttpd, which must not change a byte, and over TLS; and the
// channels, which have to refuse what an echo refuses.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import WebSocket from "ws";
import { FILES, readCases } from "./lib/cases.js";
import { playAll, ways } from "./lib/echo_client.js";
import { accepts, freePort, Process } from "./lib/server.js";
import { Sidecar } from "./lib/sidecar.js";
import { sleep, until, within } from "./lib/wait.js";

const ECHO = { up: ["--listen", "127.0.0.1:0", "--echo", "/echo"] };

// As docs/hosts has it, in front of our port.
class Lighttpd {
  static async start(sidecar) {
    const front = new Lighttpd();
    front.top = mkdtempSync(join(tmpdir(), "holdfast-lighttpd."));
    front.port = await freePort();
    const conf = join(front.top, "lighttpd.conf");
    writeFileSync(
      conf,
      `server.modules = ( "mod_proxy" )
server.bind = "127.0.0.1"
server.port = ${front.port}
server.document-root = "${front.top}"
server.max-fds = 4096
proxy.server = ( "" => (( "host" => "127.0.0.1", "port" => ${sidecar.port}, "disable-time" => 0 )) )
proxy.header = ( "upgrade" => "enable" )
`,
    );
    const log = join(front.top, "log");
    front.process = new Process("lighttpd", "lighttpd", ["-D", "-f", conf], log);
    await until(10000, "lighttpd serves", () => accepts({ port: front.port, host: "127.0.0.1" }));
    return front;
  }

  async stop() {
    await this.process.stop();
    rmSync(this.top, { recursive: true, force: true });
  }
}

describe("an echo", () => {
  let sidecar, front;
  before(async () => {
    sidecar = await Sidecar.start({ ...ECHO, secure: true });
    front = await Lighttpd.start(sidecar);
  });
  after(async () => {
    await front?.stop();
    await sidecar?.stop();
  });

  for (const file of FILES) {
    const jobs = readCases(file).flatMap((one) => ways(one).map((way) => ({ one, way })));
    const atOnce = file === "limits" ? 2 : 50; // of 16 MiB each
    const uncut = jobs.filter(({ way }) => !way.cut); // a TLS handshake takes 8 ms
    const routes = {
      itself: [jobs, () => ({ port: sidecar.port })],
      "through lighttpd": [jobs, () => ({ port: front.port })],
      "over TLS": [uncut, () => ({ port: sidecar.tlsPort, secure: true })],
    };
    for (const [route, [todo, where]] of Object.entries(routes))
      it(`${route} answers the cases of ${file} (${todo.length} connections)`, () =>
        playAll({ ...where(), path: "/echo" }, todo, { atOnce }));
  }

  // Only goodbyes: channels have answers of their own to messages.
  const refused = FILES.flatMap(readCases).filter(({ steps }) => {
    const { messages, pongs, code } = steps.at(-1).want;
    return code && !messages.length && !pongs.length;
  });
  it(`and channels say the same goodbyes (${refused.length} cases)`, async () => {
    const jobs = refused.flatMap((one) => [{ one }, { one, way: { piece: 7 } }]);
    await playAll({ port: sidecar.port, path: "/socket/websocket?vsn=2.0.0" }, jobs);
  });

  it("is nowhere but at its path", async () => {
    for (const path of ["/ech", "/echo/", "/echo2", "/socket/echo"]) {
      const ws = await sidecar.open({ socket: undefined, port: sidecar.port, path });
      assert.equal(ws.status, 404, path);
    }
    const ws = await sidecar.open({ socket: undefined, port: sidecar.port, path: "/echo?a=b" });
    assert.equal(ws.status, 101);
    ws.destroy();
  });

  it("asks for a handshake as everybody does", async () => {
    const ws = await sidecar.open({
      socket: undefined,
      port: sidecar.port,
      path: "/echo",
      headers: { "Sec-WebSocket-Version": "12" },
    });
    assert.equal(ws.status, 400);
  });

  it("tells the npm package ws the same back, and waits for who does not read", async () => {
    const ws = new WebSocket(`ws://127.0.0.1:${sidecar.port}/echo`, { maxPayload: 1 << 25 });
    const inbox = [];
    ws.on("message", (data, binary) => inbox.push(binary ? data : data.toString()));
    await within(5000, "open", new Promise((done) => ws.on("open", done)));
    assert.equal(ws.extensions, "");
    ws.pause();
    const sent = Array.from({ length: 200 }, (_, i) =>
      i % 2 ? `${i} ${"ä".repeat(i * 500)}` : Buffer.alloc(i * 500, i),
    );
    for (const message of sent) ws.send(message);
    await sleep(300);
    ws.resume();
    await until(10000, "all of them", () => inbox.length === sent.length);
    assert.deepEqual(inbox, sent);
    const pong = new Promise((done) => ws.on("pong", (data) => done(data.toString())));
    ws.ping("there?");
    assert.equal(await within(3000, "a pong", pong), "there?");
    const closed = new Promise((done) => ws.on("close", (code) => done(code)));
    ws.close(3000, "bye");
    assert.equal(await within(3000, "closed", closed), 3000);
  });
});

describe("without an echo", () => {
  it("there is nothing at its path", async () => {
    const sidecar = await Sidecar.start();
    assert.equal((await sidecar.open({ path: "/echo" })).status, 404);
    await sidecar.stop();
  });

  for (const [what, up] of [
    ["on a Unix socket, which a web server opens to all,", ["--echo", "/echo"]],
    ["at something that is no path", ["--listen", "127.0.0.1:0", "--echo", "echo"]],
  ]) {
    it(`${what} none is started`, async () => {
      const sidecar = await Sidecar.start();
      const second = Object.assign(new Sidecar(), { dir: sidecar.dir });
      await sidecar.stop({ keep: true });
      await assert.rejects(second.up(...up), /--echo/);
      assert.equal(second.how.code, 1);
      rmSync(sidecar.dir, { recursive: true, force: true });
    });
  }
});

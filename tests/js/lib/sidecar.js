// sidecar.js - the side-car alone, on the Unix socket of a journal directory of
// its own, with nothing in front of it
//
// Whole test files can be played another way, see ../sidecar_tls.test.js:
// HOLDFAST_TEST_TLS has clients come by wss, HOLDFAST_TEST_KEEP leaves sockets
// with libmicrohttpd (sidecar/upgrade.h).
import { execFile, spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import net from "node:net";
import tls from "node:tls";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { makeCertificate } from "./certificate.js";
import { RawWs } from "./rawws.js";
import { childrenOf, program } from "./server.js";
import { until, within } from "./wait.js";

const run = promisify(execFile);

export const OVER_TLS = Boolean(process.env.HOLDFAST_TEST_TLS);
export const KEPT = Boolean(process.env.HOLDFAST_TEST_KEEP);

const alive = new Set();
process.on("exit", () => {
  for (const pid of alive) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // gone already
    }
  }
});

export class Sidecar {
  processes = 1; // that serve

  // conf: { section: { name: value } }; files: its limit of open files; up:
  // further arguments; secure: it also listens with TLS, and clients come
  // there; binary: another side-car than that of the build
  static async start({
    conf = {},
    allow = [["room:*", "join,publish"]],
    files,
    up = [],
    secure = OVER_TLS,
    binary,
  } = {}) {
    const sidecar = new Sidecar();
    sidecar.secure = secure;
    sidecar.dir = mkdtempSync(join(tmpdir(), "holdfast-sidecar."));
    sidecar.files = files;
    sidecar.processes = conf.sidecar?.workers ?? 1;
    sidecar.binary = binary;
    await run(program("holdfast"), ["init", sidecar.dir]);
    if (secure) {
      await sidecar.renew();
      const tls = { listen_tls: "127.0.0.1:0", certificate: "cert.pem", private_key: "key.pem" };
      conf = { ...conf, sidecar: { ...tls, ...conf.sidecar } };
    }
    const lines = Object.entries(conf).flatMap(([section, settings]) => [
      `[${section}]`,
      ...Object.entries(settings).map(([name, value]) => `${name} = ${value}`),
    ]);
    appendFileSync(join(sidecar.dir, "holdfast.conf"), `\n${lines.join("\n")}\n`);
    for (const rule of allow) await sidecar.holdfast("allow", ...rule);
    await sidecar.up(...up);
    return sidecar;
  }

  async up(...args) {
    const command = [this.binary ?? program("holdfast-sidecar"), "--dir", this.dir, ...args];
    if (this.files) command.unshift("prlimit", `--nofile=${this.files}:${this.files}`);
    this.log = "";
    this.child = spawn(command[0], command.slice(1), { stdio: ["ignore", "ignore", "pipe"] });
    this.child.stderr.on("data", (data) => (this.log += data));
    this.how = null;
    this.ended = new Promise((done) =>
      this.child.on("close", (code, signal) => done({ code, signal })),
    ).then((how) => {
      alive.delete(this.pid);
      return (this.how = how);
    });
    alive.add(this.pid);
    const serving = () => (this.log.match(/event=serving/g) ?? []).length;
    await until(10000, "the side-car serves", () => this.how || serving() >= this.processes);
    if (this.how) throw new Error(`the side-car ended: ${JSON.stringify(this.how)}\n${this.log}`);
  }

  get pid() {
    return this.child.pid;
  }

  get worker() {
    return childrenOf(this.pid)[0];
  }

  get workers() {
    return childrenOf(this.pid).sort((a, b) => a - b);
  }

  // When it listens on TCP.
  get port() {
    return Number(/address=127\.0\.0\.1:(\d+)/.exec(this.log)?.[1]) || undefined;
  }

  // When it listens with TLS.
  get tlsPort() {
    return Number(/tls:127\.0\.0\.1:(\d+)/.exec(this.log)?.[1]) || undefined;
  }

  // Another certificate; SIGHUP has it read.
  renew(name) {
    return makeCertificate(join(this.dir, "cert.pem"), join(this.dir, "key.pem"), name);
  }

  // The way clients come, as bytes. What is written before TLS is done waits.
  connect(options = {}) {
    if (!this.secure) return net.connect({ path: this.socket, ...options });
    return tls.connect({
      host: "127.0.0.1",
      port: this.tlsPort,
      rejectUnauthorized: false,
      ...options,
    });
  }

  get socket() {
    return join(this.dir, "sidecar.sock");
  }

  holdfast(...args) {
    return run(program("holdfast"), ["--dir", this.dir, ...args], { timeout: 10000 });
  }

  // What RawWs.open takes besides.
  open(options = {}) {
    if (options.port) return RawWs.open(options);
    return RawWs.open({ connect: () => this.connect(), ...options });
  }

  // A client that has joined the topic; its joins use "1" for both refs.
  async joined(topic = "room:a", payload = {}) {
    const ws = await this.open();
    ws.text(JSON.stringify(["1", "1", topic, "phx_join", payload]));
    const reply = await ws.json(5000, "the reply to a join");
    if (reply[4].status !== "ok") throw new Error(`not joined: ${JSON.stringify(reply)}`);
    return ws;
  }

  // Bytes as they are; resolves with what came back until the end of the
  // stream, or with { open: true } if there was none within ms.
  async exchange(bytes, { ms = 5000, end = false, port } = {}) {
    const socket = port
      ? net.connect({ host: "127.0.0.1", port, allowHalfOpen: true })
      : this.connect({ allowHalfOpen: true });
    let text = "";
    const ended = new Promise((done) => {
      socket.on("data", (data) => (text += data.toString("latin1")));
      socket.on("error", () => done(false));
      socket.on("end", () => done(false));
      setTimeout(() => done(true), ms).unref();
    });
    socket.write(bytes);
    if (end) socket.end();
    const open = await ended;
    socket.destroy();
    return { text, open, ...parse(text) };
  }

  // Resident memory of the worker in bytes, less what it shares with others.
  memory() {
    const smaps = readFileSync(`/proc/${this.worker}/smaps_rollup`, "utf8");
    return 1024 * Number(/^Pss:\s+(\d+)/m.exec(smaps)[1]);
  }

  descriptors(worker = this.worker) {
    return readdirSync(`/proc/${worker}/fd`).length;
  }

  // It must end by itself, with success and no sanitizer's complaint.
  async stop({ keep = false } = {}) {
    try {
      if (!this.how) this.child.kill("SIGTERM");
      const how = await within(20000, "the side-car ends after SIGTERM", this.ended);
      if (how.code !== 0) throw new Error(`the side-car ended with ${JSON.stringify(how)}`);
      if (/Sanitizer|runtime error:|Assertion .* failed/.test(this.log))
        throw new Error("the side-car complained");
    } catch (error) {
      error.message += `\n${this.log}`;
      throw error;
    } finally {
      if (!this.how) this.child.kill("SIGKILL");
      if (!keep) rmSync(this.dir, { recursive: true, force: true });
    }
  }
}

function parse(text) {
  const head = text.indexOf("\r\n\r\n");
  const [first, ...lines] = text.slice(0, Math.max(head, 0)).split("\r\n");
  const headers = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return {
    status: Number(first.split(" ")[1]) || 0,
    headers,
    body: head < 0 ? "" : text.slice(head + 4),
  };
}

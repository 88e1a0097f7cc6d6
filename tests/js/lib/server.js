// server.js - the real programs under a real lighttpd, for one test file
//
//     lighttpd  :port       /socket/websocket -> side-car     (mod_proxy)
//                           /socket/longpoll  -> gateway 0    (FastCGI), and
//                           publish, events
//               :ports[1]   the same with gateway 1, if there are two
//               :port/www/  with `pages`: the browser side, PHP too
//
// Everything lives in a directory of its own and is ended by its process id.
// Programs are those of the build tree that HOLDFAST_BIN names. With
// HOLDFAST_TEST_KEEP set the directory stays, logs and journal in it.
import { spawn, execFile } from "node:child_process";
import {
  accessSync,
  constants,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
  openSync,
  closeSync,
} from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { request } from "./http.js";
import { until, within, sleep } from "./wait.js";

const run = promisify(execFile);
const WWW = fileURLToPath(new URL("../../../www/", import.meta.url));

// Our children and directories, so that none stays behind whatever ends this
// process.
const alive = new Set();
const tops = new Set();
function clean() {
  for (const pid of [...alive].flatMap((one) => [one, ...descendantsOf(one)])) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // gone already
    }
  }
  for (const top of tops) rmSync(top, { recursive: true, force: true });
}
process.on("exit", clean);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => process.exit(1));
}

// A child that somebody else started: it is not to stay behind either.
export function own(child) {
  if (!child.pid) return child;
  alive.add(child.pid);
  child.once("exit", () => alive.delete(child.pid));
  return child;
}

export function program(name) {
  const build = process.env.HOLDFAST_BIN;
  if (!build)
    throw new Error(
      "HOLDFAST_BIN is not set: say where holdfast, holdfast-gateway and holdfast-sidecar were built",
    );
  const path = join(build, name);
  try {
    accessSync(path, constants.X_OK);
  } catch {
    throw new Error(`${path} is missing: build it first`);
  }
  return path;
}

export async function freePort() {
  const probe = net.createServer();
  await new Promise((done) => probe.listen(0, "127.0.0.1", done));
  const { port } = probe.address();
  await new Promise((done) => probe.close(done));
  return port;
}

// Processes whose parent this is: the side-car's workers.
export function childrenOf(pid) {
  const found = [];
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      // pid (name) state ppid ...; the name may hold blanks and brackets
      const stat = readFileSync(`/proc/${entry}/stat`, "latin1");
      const parent = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1];
      if (Number(parent) === pid) found.push(Number(entry));
    } catch {
      // ended while we looked
    }
  }
  return found;
}

// ... and theirs: what a web server has started.
export const descendantsOf = (pid) =>
  childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);

export const accepts = (path) =>
  new Promise((done) => {
    const socket = net.connect(path);
    socket.on("connect", () => {
      socket.destroy();
      done(true);
    });
    socket.on("error", () => done(false));
  });

export class Process {
  // `as`: { uid, gid }, or {} for our own
  constructor(name, command, args, log, as = {}) {
    this.name = name;
    const fd = openSync(log, "a");
    this.child = spawn(command, args, {
      ...as,
      stdio: ["ignore", fd, fd],
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
    });
    closeSync(fd);
    this.pid = this.child.pid;
    this.ended = new Promise((done) => {
      this.child.on("error", (error) => done({ error }));
      this.child.on("exit", (code, signal) => done({ code, signal }));
    }).then((how) => {
      if (this.pid) alive.delete(this.pid);
      this.how = how;
      return how;
    });
    if (this.pid) alive.add(this.pid);
  }

  // Ask it to end, as an operator does.
  async stop(ms = 8000, signal = "SIGTERM") {
    if (!this.how) this.child.kill(signal);
    return within(ms, `${this.name} ends after ${signal}`, this.ended);
  }

  // With -9, and its workers at one go: these are stopped first, or they would
  // notice that their parent is dead and leave in good order.
  async kill() {
    const workers = descendantsOf(this.pid);
    const all = [this.pid, ...workers];
    const signals = [
      ...workers.map((pid) => [pid, "SIGSTOP"]),
      ...all.map((pid) => [pid, "SIGKILL"]),
    ];
    for (const [pid, signal] of signals) {
      try {
        process.kill(pid, signal);
      } catch {
        // it has ended by itself
      }
    }
    await within(5000, `${this.name} is dead`, this.ended);
    await until(5000, `the workers of ${this.name} are dead`, () =>
      workers.every((pid) => {
        try {
          return readFileSync(`/proc/${pid}/stat`, "latin1").includes(") Z ");
        } catch {
          return true;
        }
      }),
    );
  }
}

export class Server {
  // allow: list of [pattern, rights] or [pattern, rights, "off"] (echo);
  // conf: { section: { name: value } } on top of the defaults
  // prepare(server): called when the directory is made and nothing runs yet
  // pages: serve www/ as /www/
  static async start({
    allow = [["room:*", "join,publish"]],
    conf = {},
    gateways = 1,
    sidecar = true,
    prepare,
    pages = false,
  } = {}) {
    const server = new Server(gateways);
    server.pages = pages;
    try {
      await server.init(allow, conf, prepare);
      for (let i = 0; i < gateways; i++) await server.startGateway(i);
      if (sidecar) await server.startSidecar();
      await server.startFront();
    } catch (error) {
      error.message += server.logs();
      await server.abandon();
      throw error;
    }
    return server;
  }

  constructor(gateways) {
    for (const name of ["holdfast", "holdfast-gateway", "holdfast-sidecar"]) program(name);
    this.top = mkdtempSync(join(tmpdir(), "holdfast-js."));
    if (!process.env.HOLDFAST_TEST_KEEP) tops.add(this.top);
    this.dir = join(this.top, "journal");
    this.journal = join(this.dir, "journal.db");
    this.gateways = new Array(gateways).fill(null);
    this.ports = [];
    this.sidecar = null;
    this.front = null; // the web server
    this.as = {}; // who runs it all: { uid, gid }, or we
  }

  get port() {
    return this.ports[0];
  }

  // What phoenix.js is given; it appends /websocket or /longpoll itself.
  get endpoint() {
    return `ws://127.0.0.1:${this.port}/socket`;
  }

  program(name) {
    return program(name);
  }

  async holdfast(...args) {
    const input = typeof args.at(-1) === "object" ? args.pop().input : undefined;
    const options = { ...this.as, timeout: 10000 };
    const child = run(this.program("holdfast"), ["--dir", this.dir, ...args], options);
    child.child.stdin.end(input);
    return (await child).stdout;
  }

  async init(allow, conf, prepare) {
    this.mount = conf.http?.mount ?? "/socket";
    await run(this.program("holdfast"), ["init", this.dir], { ...this.as, timeout: 10000 });
    await prepare?.(this);
    this.configure(conf);
    for (const [pattern, rights, echo] of allow) {
      await this.holdfast("allow", ...(echo ? ["--echo", echo] : []), pattern, rights);
    }
  }

  // Settings in the file are read at start.
  configure(conf) {
    const file = join(this.dir, "holdfast.conf");
    const lines = [readFileSync(file, "utf8")];
    for (const [section, settings] of Object.entries(conf)) {
      lines.push(`[${section}]`);
      for (const [name, value] of Object.entries(settings)) lines.push(`${name} = ${value}`);
    }
    writeFileSync(file, `${lines.join("\n")}\n`, { mode: 0o600 });
  }

  path(name) {
    return join(this.top, name);
  }

  async startGateway(i = 0) {
    const socket = this.path(`gateway-${i}.sock`);
    const gateway = new Process(
      `gateway ${i}`,
      this.program("holdfast-gateway"),
      ["--dir", this.dir, "--socket", socket],
      this.path(`gateway-${i}.log`),
      this.as,
    );
    this.gateways[i] = gateway;
    await this.up(gateway, () => accepts(socket));
  }

  async startSidecar() {
    const sidecar = new Process(
      "side-car",
      this.program("holdfast-sidecar"),
      ["--dir", this.dir],
      this.path("sidecar.log"),
      this.as,
    );
    this.sidecar = sidecar;
    await this.up(sidecar, () => accepts(join(this.dir, "sidecar.sock")));
  }

  async up(proc, ready) {
    await until(10000, `${proc.name} is up`, async () => {
      if (proc.how) {
        const end = new Error(`${proc.name} ended: ${JSON.stringify(proc.how)}${this.logs()}`);
        return Promise.reject(end);
      }
      return ready();
    });
  }

  // Between the probe and lighttpd's bind somebody may take the port: again.
  async startFront() {
    for (let tries = 0; ; tries++) {
      this.ports = [];
      for (let i = 0; i < this.gateways.length; i++) this.ports.push(await freePort());
      const conf = this.path("lighttpd.conf");
      writeFileSync(conf, this.lighttpdConf());
      const lighttpd = new Process(
        "lighttpd",
        "lighttpd",
        ["-D", "-f", conf],
        this.path("lighttpd.log"),
      );
      this.front = lighttpd;
      try {
        await this.up(lighttpd, () => accepts({ port: this.port, host: "127.0.0.1" }));
        return;
      } catch (error) {
        await lighttpd.kill();
        if (tries === 2) throw error;
      }
    }
  }

  lighttpdConf() {
    const gateway = (i, path) =>
      `"${this.mount}/${path}" => (( "socket" => "${this.path(`gateway-${i}.sock`)}",
    "check-local" => "disable", "disable-time" => 0, "tcp-fin-propagate" => "enable" ))`;
    const fastcgi = (i) =>
      `fastcgi.server = ( ${["longpoll", "publish", "events"].map((path) => gateway(i, path)).join(", ")} )`;
    const others = this.ports
      .slice(1)
      .map((port, i) => `$SERVER["socket"] == "127.0.0.1:${port}" {\n  ${fastcgi(i + 1)}\n}`);
    return `
server.modules = ( "mod_proxy", "mod_fastcgi" )
server.bind = "127.0.0.1"
server.port = ${this.port}
server.document-root = "${this.top}"
mimetype.assign = ( ".html" => "text/html; charset=utf-8", ".css" => "text/css; charset=utf-8",
  ".js" => "text/javascript; charset=utf-8", ".json" => "application/json" )
server.errorlog = "${this.path("lighttpd.log")}"
server.max-keep-alive-idle = 30
server.max-fds = 4096
$HTTP["url"] =~ "^${this.mount}/websocket" {
  proxy.server = ( "" => (( "socket" => "${join(this.dir, "sidecar.sock")}", "disable-time" => 0 )) )
  proxy.header = ( "upgrade" => "enable" )
}
${fastcgi(0)}
${this.pages ? this.#lighttpdPages() : ""}
${others.join("\n")}
`;
  }

  // For PHP the journal's path is in HOLDFAST_JOURNAL.
  #lighttpdPages() {
    return `
server.modules += ( "mod_alias" )
alias.url = ( "/www/" => "${WWW}" )
index-file.names = ( "index.php", "index.html" )
fastcgi.server += ( ".php" => (( "bin-path" => "/usr/bin/php-cgi", "socket" => "${this.path("php.sock")}",
  "max-procs" => 1, "bin-environment" => ( "HOLDFAST_JOURNAL" => "${this.journal}" ) )) )
`;
  }

  // One row, committed by the command line.
  async publish(topic, event, payload) {
    const text = typeof payload === "string" ? payload : JSON.stringify(payload);
    return this.holdfast("publish", topic, event, text);
  }

  // Any statement, by the sqlite3 shell; rows come back as objects.
  async sql(statement) {
    const args = ["-json", "-cmd", ".timeout 5000", this.journal, statement];
    const options = { ...this.as, timeout: 10000, maxBuffer: 1 << 26 };
    const { stdout } = await run("sqlite3", args, options);
    return stdout.trim() ? JSON.parse(stdout) : [];
  }

  request(options) {
    return request({ port: this.port, ...options });
  }

  // Lines of sanitizers and of assert, whoever's log they are in.
  complaints() {
    const wrong = /Sanitizer|runtime error:|Assertion .* failed/;
    return this.#logFiles().flatMap((name) =>
      readFileSync(this.path(name), "utf8")
        .split("\n")
        .filter((line) => wrong.test(line))
        .map((line) => `${name}: ${line}`),
    );
  }

  #logFiles() {
    return readdirSync(this.top).filter((name) => name.endsWith(".log"));
  }

  logs() {
    let text = "";
    for (const name of this.#logFiles()) {
      const log = readFileSync(this.path(name), "utf8").trimEnd().split("\n");
      if (log.join("") !== "") text += `\n--- ${name} (last lines)\n${log.slice(-25).join("\n")}`;
    }
    return text;
  }

  async abandon() {
    for (const proc of [...this.gateways, this.sidecar, this.front]) {
      if (proc && !proc.how) await proc.kill().catch(() => {});
    }
    if (process.env.HOLDFAST_TEST_KEEP) console.error(`kept: ${this.top}`);
    else rmSync(this.top, { recursive: true, force: true });
    tops.delete(this.top);
  }

  // End everything; each of our programs must end by itself, with success, and
  // with nothing from a sanitizer in its log.
  // What runs in front of them ends after them: it need wait for nothing then.
  async stop() {
    const trouble = [];
    const stopped = [...this.gateways, this.sidecar].filter((proc) => proc && !proc.how);
    await Promise.all(
      stopped.map(async (proc) => {
        try {
          const how = await proc.stop();
          if (how.code !== 0) trouble.push(`${proc.name} ended with ${JSON.stringify(how)}`);
        } catch (error) {
          trouble.push(error.message);
        }
      }),
    );
    await this.stopFront?.().catch((error) => trouble.push(error.message));
    const logs = this.logs();
    trouble.push(...this.complaints());
    await this.abandon();
    if (trouble.length > 0) throw new Error(trouble.join("; ") + logs);
  }
}

// A test body that ends within a minute, with a server's logs added to what it
// throws.
export const told = (getServer, body, ms = 60000) => async (t) => {
  try {
    await within(ms, "the test", body(t));
  } catch (error) {
    error.message += getServer()?.logs() ?? "";
    throw error;
  }
};

export { sleep, until, within };

// pollers.mjs - many long-poll clients on kept connections, for the benchmarks
//
// And lighttpd with a gateway behind it for them. All of it ends with end().
import { execFileSync, spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childrenOf, program } from "../tests/js/lib/server.js";
import { until } from "../tests/js/lib/wait.js";

export const top = mkdtempSync(join(tmpdir(), "holdfast-pollers."));
const children = [];
const AT_ONCE = 50;

export function start(command, args, stdin = "ignore") {
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  const child = spawn(command, args, { stdio: [stdin, "ignore", "inherit"], env });
  children.push(child);
  return child;
}

// Nanoseconds on a processor, of all threads of a process and its children.
export const cpu = (pid) =>
  [pid, ...childrenOf(pid)].reduce(
    (sum, one) =>
      readdirSync(`/proc/${one}/task`).reduce(
        (all, task) => all + Number(readFileSync(`/proc/${one}/task/${task}/schedstat`, "utf8").split(" ")[0]),
        sum,
      ),
    0,
  );

export async function freePort() {
  const probe = net.createServer();
  await new Promise((done) => probe.listen(0, "127.0.0.1", done));
  const { port } = probe.address();
  await new Promise((done) => probe.close(done));
  return port;
}

export const accepts = (port) =>
  new Promise((done) => {
    const probe = net.connect(port, "127.0.0.1");
    probe.on("connect", () => done(probe.destroy() && true)).on("error", () => done(false));
  });

// A kept connection with one request under way.
export class Connection {
  constructor(port) {
    this.text = "";
    this.socket = net.connect(port, "127.0.0.1");
    this.socket.setNoDelay(true);
    this.socket.setEncoding("latin1");
    this.socket.on("data", (part) => this.#read(part));
    this.socket.on("error", (error) => this.fail?.(error));
    this.socket.on("close", () => this.fail?.(new Error("the server closed a connection")));
  }

  ask(head, body = "") {
    this.socket.write(`${head}\r\nHost: localhost\r\n${body && `Content-Length: ${body.length}\r\n`}\r\n${body}`);
    return new Promise((done, fail) => Object.assign(this, { done, fail }));
  }

  #read(part) {
    this.text += part;
    const end = this.text.indexOf("\r\n\r\n");
    if (end < 0) return;
    const length = Number(/content-length: *(\d+)/i.exec(this.text.slice(0, end))?.[1] ?? 0);
    if (this.text.length < end + 4 + length) return;
    const answer = { head: this.text.slice(0, end), body: this.text.slice(end + 4, end + 4 + length) };
    this.text = this.text.slice(end + 4 + length);
    this.fail = null;
    this.done(answer);
  }

  end() {
    this.fail = null;
    this.socket.destroy();
  }
}

export function end() {
  for (const { pid } of children)
    for (const one of [...childrenOf(pid), pid]) {
      try {
        process.kill(one, "SIGKILL");
      } catch {
        // it has ended by itself
      }
    }
  rmSync(top, { recursive: true, force: true });
}

// Takes numbers, which must be 1, 2, 3 ...
export class Subscriber {
  constructor(port) {
    this.connection = new Connection(port);
    this.got = 0;
    this.wrong = 0;
    this.polls = 0;
  }

  take(n) {
    if (n !== this.got + 1) this.wrong++;
    this.got = n;
  }

  async follow(through) {
    while (this.got < through) await this.poll();
  }
}

export class OurSubscriber extends Subscriber {
  token = "";

  async get() {
    const { body } = await this.connection.ask(`GET /socket/longpoll?vsn=2.0.0&paced=1&token=${this.token} HTTP/1.1`);
    const answer = JSON.parse(body);
    if (answer.token) this.token = answer.token;
    return answer;
  }

  async open() {
    if ((await this.get()).status !== 410) throw new Error("no session");
    const frame = JSON.stringify(["1", "1", "room:fanout", "phx_join", {}]);
    await this.connection.ask(`POST /socket/longpoll?vsn=2.0.0&token=${this.token} HTTP/1.1\r\nContent-Type: application/json`, frame);
    if ((await this.get()).status !== 200) throw new Error("not joined");
  }

  async poll() {
    this.polls++;
    const { status, messages = [] } = await this.get();
    if (status !== 200 && status !== 204) throw new Error(`a poll was answered with ${status}`);
    for (const text of messages) this.take(JSON.parse(text)[4].n);
  }
}

// `count` of what make() promises, made side by side.
export async function some(count, make) {
  const made = [];
  while (made.length < count)
    made.push(...(await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - made.length) }, make))));
  return made;
}

/* lighttpd with a gateway, and the sqlite3 shell, which publishes. */
export class Host {
  static async start(subscribers) {
    const host = new Host();
    host.dir = join(top, "journal");
    host.socket = join(top, "gateway.sock");
    host.port = await freePort();
    host.holdfast("init", host.dir);
    host.holdfast("allow", "room:*", "join");
    appendFileSync(join(host.dir, "holdfast.conf"), `\n[gateway]\nhold = 25s\nmax_held = ${Math.max(5000, 3 * subscribers)}\n`);
    writeFileSync(
      join(top, "lighttpd.conf"),
      `server.modules = ( "mod_fastcgi" )
server.bind = "127.0.0.1"
server.port = ${host.port}
server.document-root = "${top}"
server.errorlog = "${join(top, "lighttpd.log")}"
server.max-fds = 16384
server.max-connections = 4000
server.max-keep-alive-requests = 100000
fastcgi.server = ( "/socket/longpoll" => (( "socket" => "${host.socket}", "check-local" => "disable", "disable-time" => 0 )) )
`,
    );
    host.startGateway();
    host.lighttpd = start("lighttpd", ["-D", "-f", join(top, "lighttpd.conf")]);
    await until(10000, "lighttpd listens", () => accepts(host.port));
    host.shell = start("sqlite3", ["-cmd", ".timeout 5000", join(host.dir, "journal.db")], "pipe");
    host.shell.stdin.write("PRAGMA synchronous = NORMAL;\n");
    return host;
  }

  holdfast(...args) {
    execFileSync(program("holdfast"), ["--dir", this.dir, ...args]);
  }

  startGateway() {
    this.gateway = start(program("holdfast-gateway"), ["--dir", this.dir, "--socket", this.socket]);
  }

  async subscriber() {
    const subscriber = new OurSubscriber(this.port);
    await subscriber.open();
    return subscriber;
  }

  publish(n) {
    this.shell.stdin.write(`INSERT INTO messages (topic, event, payload) VALUES ('room:fanout', 'n', '{"n":${n}}');\n`);
  }
}

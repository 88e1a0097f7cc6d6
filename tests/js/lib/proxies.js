// proxies.js - the proxies of this world, as tests/middlebox/recipes have them
//
//     const proxies = await Proxies.start("squid-forward", server.port);
//     proxies.ports.FORWARD
//
// One process. In its recipe @TOP@ is a folder, @SERVER@ the port of the web server
// and @NOBODY@ one of somebody who takes connections and says nothing; every other
// @NAME@ is a free port, which it listens on.
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fill, NOBODY } from "./hosts.js";
import { accepts, freePort, Process } from "./server.js";
import { until } from "./wait.js";

const recipes = new URL("../../middlebox/recipes", import.meta.url).pathname;

// How each is run in the foreground; these two insist on lesser rights than root's.
const COMMANDS = {
  haproxy: { file: "haproxy.cfg", args: (conf) => ["-W", "-db", "-f", conf] },
  nginx: { file: "nginx.conf", args: (conf, top) => ["-e", join(top, "nginx.log"), "-p", top, "-c", conf] },
  squid: { args: (conf) => ["-N", "-f", conf], as: NOBODY },
  tinyproxy: { args: (conf) => ["-d", "-c", conf], as: NOBODY },
};

export class Proxies {
  static async start(name, server) {
    const proxies = new Proxies(name);
    for (let tries = 0; ; tries++) {
      try {
        await proxies.#begin(server);
        return proxies;
      } catch (error) {
        // somebody may have taken a port before it was bound
        if (tries === 2) error.message += `\n${proxies.logs()}`;
        await proxies.end(tries === 2);
        if (tries === 2) throw error;
      }
    }
  }

  constructor(name) {
    this.name = name;
    this.top = mkdtempSync(join(tmpdir(), "holdfast-proxy."));
    [this.command] = name.split("-");
    this.held = new Set(); // connections to nobody
    this.how = COMMANDS[this.command];
    if (this.how.as) chownSync(this.top, this.how.as.uid, this.how.as.gid);
  }

  async #begin(server) {
    const file = this.how.file ?? `${this.name}.conf`;
    const recipe = readFileSync(join(recipes, `${file}.in`), "utf8");
    this.ports = {};
    const names = new Set([...recipe.matchAll(/@([A-Z]+)@/g)].map(([, name]) => name));
    for (const name of ["TOP", "SERVER", "NOBODY"]) names.delete(name);
    for (const name of names) this.ports[name] = await freePort();
    const places = { "@TOP@": this.top, "@SERVER@": `${server}`, "@NOBODY@": `${await this.#hole()}` };
    for (const [name, port] of Object.entries(this.ports)) places[`@${name}@`] = `${port}`;
    const conf = join(this.top, file);
    writeFileSync(conf, fill(recipe, places));
    chmodSync(conf, 0o644);
    const { args, as } = this.how;
    this.process = new Process(this.name, this.command, args(conf, this.top), join(this.top, "out.log"), as);
    for (const port of Object.values(this.ports))
      await until(15000, `${this.name} is up`, () => {
        if (this.process.how) throw new Error(`it ended: ${JSON.stringify(this.process.how)}`);
        return accepts({ port, host: "127.0.0.1" });
      });
  }

  // The port of somebody who takes connections and says nothing.
  async #hole() {
    this.hole?.close();
    this.hole = net.createServer((socket) => {
      this.held.add(socket);
      socket.resume();
      socket.on("error", () => {});
      socket.on("close", () => this.held.delete(socket));
    });
    await new Promise((done) => this.hole.listen(0, "127.0.0.1", done));
    return this.hole.address().port;
  }

  logs() {
    const files = ["out.log", `${this.name}.log`, "nginx.log"];
    return files
      .map((name) => {
        try {
          return readFileSync(join(this.top, name), "utf8").split("\n").slice(-20).join("\n");
        } catch {
          return "";
        }
      })
      .join("");
  }

  // Its owner has nothing to ask of it, so it need not end in good order.
  async end(remove = true) {
    if (this.process && !this.process.how) await this.process.kill();
    for (const socket of this.held) socket.destroy();
    this.hole?.close();
    if (remove) rmSync(this.top, { recursive: true, force: true });
  }
}

// --- a client behind a forward proxy ------------------------------------------

// What a browser does that was told of a proxy: a tunnel for a WebSocket ...
export class Tunnel extends http.Agent {
  constructor(proxy) {
    super();
    this.proxy = proxy;
  }

  createConnection({ host, port }, done) {
    const path = `${host}:${port}`;
    const req = http.request({ host: "127.0.0.1", port: this.proxy, method: "CONNECT", path, agent: false });
    req.on("connect", (res, socket) => {
      if (res.statusCode === 200) return done(null, socket);
      socket.destroy();
      done(new Error(`the proxy says ${res.statusCode}`));
    });
    req.on("error", done);
    req.end();
  }
}

// ... and the whole URL in its other requests. As much of fetch as a client needs.
export function fetchBy(proxy) {
  return (url, { method = "GET", headers = {}, body, signal } = {}) =>
    new Promise((resolve, reject) => {
      const { host } = new URL(url);
      const where = { host: "127.0.0.1", port: proxy, path: String(url), agent: false };
      const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
      const req = http.request({ ...where, method, signal, headers: { ...headers, ...length, host } });
      req.on("error", reject);
      req.on("response", (res) => {
        const parts = [];
        res.on("error", reject);
        res.on("data", (part) => parts.push(part));
        res.on("end", () => resolve(new Response(Buffer.concat(parts), { status: res.statusCode, headers: res.headers })));
      });
      req.end(body);
    });
}

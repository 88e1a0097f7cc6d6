// hosts.js - a web server as its owner sets it up, around a recipe of docs/hosts
//
//     web server  :port   a small configuration of tests/hosts, which includes
//                         the recipe as it is in docs/hosts, with the paths of
//                         this directory in the place of those that stand there
//     gateway             on a socket and started by us as its unit for systemd
//                         says, or started by the web server, as the recipe has it
//     side-car            if the recipe has WebSockets, as its unit says
//
// What is tried is thus the file that users copy. A host is described by
//
//     name      what docs/HOSTING.md calls it
//     front     how this web server is run, see `lighttpd` and `nginx` below
//     recipe    file of docs/hosts; `files` further ones that belong to it
//     htaccess  instead: files of docs/hosts for the site's .htaccess
//     program   where the gateway was copied to, if the web server is to start it
//               from the site: "www/holdfast.fcgi"
//     gateway   "socket": by us. Else the web server starts it: "spawned" one or
//               more that stay, "cgi" one for each request
//     sidecar   true: there are WebSockets, too; a number: on this port
//     paths     (host) => { what stands in the files: what it is here }, beside
//               those of PATHS
//     edit      (text, name) => text: a variant of the files
//     conf      settings beside the defaults, as those of Server
//     account   { uid, gid } of who runs all of it; we, if not said (see NOBODY)
//
// and by what its users may expect of it, see host_checks.js.
import { chmodSync, chownSync, copyFileSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { accepts, descendantsOf, freePort, Process, program, Server, until } from "./server.js";

const source = new URL("../../..", import.meta.url).pathname;

// What stands in the recipes, and what it is on a host of ours.
const PATHS = {
  "/run/holdfast/gateway.sock": (host) => host.path("gateway.sock"),
  "/run/lighttpd/holdfast.sock": (host) => host.path("spawned.sock"),
  "/usr/local/bin/holdfast-gateway": (host) => host.program("holdfast-gateway"),
  "/usr/local/bin/holdfast-sidecar": (host) => host.program("holdfast-sidecar"),
  "/var/lib/holdfast": (host) => host.dir,
  "/var/www/cgi-bin/holdfast.cgi": (host) => host.path("www/holdfast.cgi"),
  "/home/me/holdfast": (host) => host.dir,
  "/home/me/run/gateway.sock": (host) => host.path("gateway.sock"),
};

// Where a held poll is a process: on a host that is known to allow so many. Else a
// check would have to wait until the sessions of the one before are forgotten.
export const FORTY = { gateway: { held_first: 40 } };

// For servers that as root give their work to an account of lesser rights, which
// could not open what is ours: then all of it runs as that account.
export const NOBODY = process.getuid() === 0 ? { uid: 65534, gid: 65534 } : undefined;

export function fill(text, replacements) {
  for (const [from, to] of Object.entries(replacements)) text = text.replaceAll(from, to);
  return text;
}

const count = (text, words) => text.split(words).length - 1;

// --- web servers ------------------------------------------------------------
//
// frame    of tests/hosts: the configuration around the recipe
// command  (host) => [program, arguments]; it stays in the foreground, and the
//          file it reads is host.path("server.conf")
// prepare  (host), when the files are there
// reload   (host) => a promise: the graceful one, once the new configuration
//          is in force
// stop     the signal by which it ends in good order
// options  of spawn, beside the account

export const lighttpd = {
  frame: "lighttpd.conf.in",
  command: (host) => ["lighttpd", ["-D", "-f", host.path("server.conf")]],
  async reload(host) {
    const starts = () => count(readFileSync(host.path("front.log"), "utf8"), "server started");
    const before = starts();
    host.front.child.kill("SIGUSR1");
    await until(20000, "lighttpd has started anew", () => starts() > before);
  },
  stop: "SIGTERM",
};

export const nginx = {
  frame: "nginx.conf.in",
  command: (host) => ["nginx", ["-e", host.path("front.log"), "-p", host.top, "-c", host.path("server.conf")]],
  prepare(host) {
    symlinkSync("/etc/nginx/fastcgi_params", host.path("fastcgi_params"));
  },
  async reload(host) {
    const before = descendantsOf(host.front.pid);
    host.front.child.kill("SIGHUP");
    await until(20000, "nginx has new workers", () =>
      descendantsOf(host.front.pid).some((pid) => !before.includes(pid)),
    );
  },
  stop: "SIGTERM",
};

// What of it is loaded: "EVENT" or "PREFORK", and "CGI", "FCGID", "PROXY". It
// signals its whole process group, which is therefore one of its own.
export const apache = (...parts) => ({
  frame: "apache.conf.in",
  command: (host) => [
    "apache2",
    [...["FOREGROUND", ...parts].flatMap((part) => ["-D", part]), "-f", host.path("server.conf")],
  ],
  options: { detached: true },
  async reload(host) {
    const starts = () => count(readFileSync(host.path("apache.log"), "utf8"), "resuming normal operations");
    const before = starts();
    host.front.child.kill("SIGUSR1");
    await until(20000, "Apache has started anew", () => starts() > before);
  },
  stop: "SIGTERM",
});

// It includes no files: the recipe stands within the frame.
export const haproxy = {
  frame: "haproxy.cfg.in",
  command: (host) => ["haproxy", ["-W", "-db", "-f", host.path("server.conf")]],
  async reload(host) {
    const before = descendantsOf(host.front.pid);
    host.front.child.kill("SIGUSR2");
    await until(20000, "haproxy has a new worker", () =>
      descendantsOf(host.front.pid).some((pid) => !before.includes(pid)),
    );
  },
  stop: "SIGTERM",
};

const NAMES = ["holdfast-gateway", "holdfast.fcgi", "holdfast.cgi"];

function isGateway(pid) {
  try {
    const [name] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return NAMES.includes(basename(name));
  } catch {
    return false; // it has ended
  }
}

// --- a host -----------------------------------------------------------------

export class Host extends Server {
  static async start(spec) {
    const host = new this(spec.gateway === "socket" ? 1 : 0);
    host.spec = spec;
    try {
      await host.#begin();
    } catch (error) {
      error.message += host.logs();
      await host.abandon();
      throw error;
    }
    return host;
  }

  async #begin() {
    const { account, gateway, sidecar } = this.spec;
    const { conf = gateway === "cgi" ? FORTY : {} } = this.spec;
    mkdirSync(this.path("bin"));
    mkdirSync(this.path("www"));
    writeFileSync(this.path("www/page.html"), "<p>A page of the site.\n");
    if (account) this.#belongTo(account);
    for (const name of ["holdfast", "holdfast-gateway", "holdfast-sidecar"]) this.#install(name);
    await this.init([["room:*", "join,publish"]], conf);
    if (this.spec.program) this.#installBeside();
    await this.spec.prepare?.(this);
    this.#writeRecipe();
    if (gateway === "socket") await this.startGateway();
    if (sidecar) await this.startSidecar();
    await this.startFront();
  }

  #belongTo({ uid, gid }) {
    this.as = { uid, gid };
    for (const path of [this.top, this.path("bin"), this.path("www")]) chownSync(path, uid, gid);
  }

  // By a path of ours, so that a test can take it away; for another account
  // a copy, for it may not be let into the build folder.
  #install(name) {
    if (this.spec.account) copyFileSync(program(name), this.program(name));
    else symlinkSync(program(name), this.program(name));
  }

  // As users do who have nothing but their site: a copy, and a line that says
  // where the journal is.
  #installBeside() {
    copyFileSync(program("holdfast-gateway"), this.gatewayFile);
    writeFileSync(this.path("www/.htholdfast"), `dir = ${this.dir}\n`);
  }

  program(name) {
    return this.path(join("bin", name));
  }

  // What is started as a gateway, by us or by the web server.
  get gatewayFile() {
    const { program: elsewhere } = this.spec;
    return elsewhere ? this.path(elsewhere) : this.program("holdfast-gateway");
  }

  // A file of docs/hosts, for this host.
  fromDocs(name) {
    const { paths = () => ({}), edit = (text) => text } = this.spec;
    const text = readFileSync(join(source, "docs/hosts", name), "utf8");
    const known = Object.entries(PATHS).map(([from, to]) => [from, to(this)]);
    return fill(edit(text, name), { ...paths(this), ...Object.fromEntries(known) });
  }

  #writeRecipe() {
    const { recipe, htaccess = [], files = [] } = this.spec;
    writeFileSync(this.path("recipe.conf"), recipe ? this.fromDocs(recipe) : "");
    if (htaccess.length > 0) {
      const texts = htaccess.map((name) => this.fromDocs(name));
      writeFileSync(this.path("www/.htaccess"), texts.join("\n"));
    }
    // scripts and the like go where the site's files are
    for (const name of files) {
      const path = this.path(join("www", basename(name)));
      const text = this.fromDocs(name);
      writeFileSync(path, text);
      if (text.startsWith("#!")) chmodSync(path, 0o755);
    }
  }

  // What systemd would run.
  #unit(name, log) {
    const [, line] = /^ExecStart=(.*)$/m.exec(this.fromDocs(`holdfast-${name}.service`));
    const [command, ...args] = line.split(" ");
    return new Process(name, command, args, this.path(log), this.as);
  }

  async startGateway() {
    this.gateways[0] = this.#unit("gateway", "gateway.log");
    await this.up(this.gateways[0], () => accepts(this.path("gateway.sock")));
  }

  async startSidecar() {
    this.sidecar = this.#unit("sidecar", "sidecar.log");
    const { sidecar: port } = this.spec;
    const where = port === true ? join(this.dir, "sidecar.sock") : { host: "127.0.0.1", port };
    await this.up(this.sidecar, () => accepts(where));
  }

  // Between the probe and the bind somebody may take the port: again.
  async startFront() {
    const { front } = this.spec;
    const frame = readFileSync(join(source, "tests/hosts", front.frame), "utf8");
    front.prepare?.(this);
    for (let tries = 0; ; tries++) {
      this.ports = [await freePort()];
      const recipe = readFileSync(this.path("recipe.conf"), "utf8");
      const conf = fill(frame, { "@RECIPE@": recipe, "@PORT@": String(this.port), "@TOP@": this.top });
      writeFileSync(this.path("server.conf"), conf);
      try {
        return await this.#runFront();
      } catch (error) {
        await this.front.kill();
        if (tries === 2) throw error;
      }
    }
  }

  #runFront() {
    const { front } = this.spec;
    const [command, args] = front.command(this);
    const options = { ...this.as, ...front.options };
    this.front = new Process(command, command, args, this.path("front.log"), options);
    return this.up(this.front, () => accepts({ port: this.port, host: "127.0.0.1" }));
  }

  get transports() {
    return this.spec.sidecar ? ["websocket", "longpoll"] : ["longpoll"];
  }

  // Where long-poll is, as a path.
  get longpoll() {
    return `${this.spec.endpoint ?? "/socket"}/longpoll`;
  }

  get endpoint() {
    return `ws://127.0.0.1:${this.port}${this.spec.endpoint ?? "/socket"}`;
  }

  // Gateways that run now, whoever started them.
  gatewayPids() {
    if (this.spec.gateway === "socket") return this.gateways.filter((g) => !g.how).map((g) => g.pid);
    return descendantsOf(this.front.pid).filter(isGateway);
  }

  // No gateway, as when a disk was full at an upgrade ...
  async outage() {
    if (this.spec.gateway === "socket") return this.gateways[0].stop();
    renameSync(this.gatewayFile, this.path("away"));
    for (const pid of this.gatewayPids()) process.kill(pid, "SIGTERM");
    await until(8000, "no gateway runs", () => this.gatewayPids().length === 0);
  }

  // ... and it is put right.
  async repair() {
    if (this.spec.gateway === "socket") return this.startGateway();
    renameSync(this.path("away"), this.gatewayFile);
  }

  reload() {
    return this.spec.front.reload(this);
  }

  async restart() {
    await this.front.stop(15000, this.spec.front.stop);
    await this.#runFront();
  }

  async stopFront() {
    const gateways = this.spec.gateway === "socket" ? [] : this.gatewayPids();
    await this.front.stop(15000, this.spec.front.stop);
    await until(10000, "the gateways end with it", () => !gateways.some(isGateway));
  }
}


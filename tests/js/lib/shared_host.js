// shared_host.js - an account on a classic shared host, of real parts
//
//     haproxy :port    counts the account's dynamic requests; the one that would
//        |             be beyond the limit is answered 508 with a page of HTML,
//        |             at once, whatever it is. Files are not counted.
//     lighttpd         a process for each dynamic request, by mod_cgi:
//        |-- /socket/...   holdfast-gateway
//        |-- /index.php    php-cgi, tests/hosts/site.php: the customer's own site
//        `-- /style.css    a file
//
// What happened is read from haproxy's log, which knows when each request came
// and how long it took, whatever the load does to whoever sent it.
import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { accepts, freePort, Process, program } from "./server.js";
import { until } from "./wait.js";

const run = promisify(execFile);
const source = (name) => fileURLToPath(new URL(`../../hosts/${name}`, import.meta.url));

// When it ended (ms since 1970), its status, how long it was under way (ms),
// bytes, how it ended (haproxy's two letters), method, URI.
const LOG_FORMAT = "%[date(0,ms)] %ST %Ta %B %ts %HM %HU";

const PAGE = "<!DOCTYPE html><title>508</title><h1>Resource Limit Is Reached</h1>";

export class SharedHost {
  // limit: how many dynamic requests at once; conf, allow: as for Server
  static async start({ limit = 20, conf = {}, allow = [["room:*", "join,publish"]] } = {}) {
    const host = new SharedHost(limit);
    try {
      await host.#makeJournal(conf, allow);
      await host.#makeSite();
      await host.#listen("lighttpd", (file) => ["-D", "-f", file], host.#lighttpdConf);
      await host.#listen("haproxy", (file) => ["-db", "-f", file], host.#haproxyConf);
    } catch (error) {
      error.message += host.logs();
      await host.stop();
      throw error;
    }
    return host;
  }

  constructor(limit) {
    this.limit = limit;
    this.gateway = program("holdfast-gateway");
    this.top = mkdtempSync(join(tmpdir(), "holdfast-host."));
    this.dir = join(this.top, "journal");
    this.journal = join(this.dir, "journal.db");
    this.ports = {};
    this.processes = {};
  }

  get port() {
    return this.ports.haproxy;
  }

  get endpoint() {
    return `ws://127.0.0.1:${this.port}/socket`;
  }

  path(name) {
    return join(this.top, name);
  }

  async holdfast(...args) {
    const options = { timeout: 20000 };
    return (await run(program("holdfast"), ["--dir", this.dir, ...args], options)).stdout;
  }

  // How many polls may be held now; undefined if nobody has asked yet.
  async budget() {
    const found = /^holding +\d+ of (\d+)/m.exec(await this.holdfast("status"));
    return found ? Number(found[1]) : undefined;
  }

  // Any statement, by the sqlite3 shell; rows come back as objects.
  async sql(statement) {
    const args = ["-json", "-cmd", ".timeout 10000", this.journal, statement];
    const { stdout } = await run("sqlite3", args, { timeout: 20000, maxBuffer: 1 << 26 });
    return stdout.trim() ? JSON.parse(stdout) : [];
  }

  // Every request so far, in the order in which they ended; those that are
  // under way are not there yet.
  requests() {
    const lines = readFileSync(this.path("haproxy.log"), "latin1").split("\n");
    return lines.flatMap((line) => {
      const [end, status, ms, bytes, how, method, uri] = line.split(" ");
      if (!uri?.startsWith("/")) return []; // a probe, or half a line
      const begun = Number(end) - Number(ms);
      return [{ begun, ended: Number(end), status: Number(status), ms: Number(ms), bytes: Number(bytes), how, method, uri }];
    });
  }

  // CPU time of all programs that have ended, in ms: lighttpd has waited for them.
  cpuOfPrograms() {
    const stat = readFileSync(`/proc/${this.processes.lighttpd.pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[13]) + Number(fields[14])) * 10; // cutime, cstime, in ticks of 10 ms
  }

  logs() {
    let text = "";
    for (const name of ["lighttpd.log", "haproxy.log"]) {
      try {
        const lines = readFileSync(this.path(name), "utf8").trimEnd().split("\n");
        text += `\n--- ${name} (last lines)\n${lines.slice(-25).join("\n")}`;
      } catch {
        // not begun
      }
    }
    return text;
  }

  // Held polls of a web server that is gone end by themselves, within their hold.
  async stop() {
    for (const name of ["haproxy", "lighttpd"]) {
      const process = this.processes[name];
      if (process && !process.how) await process.kill();
    }
    if (process.env.HOLDFAST_TEST_KEEP) console.error(`kept: ${this.top}`);
    else rmSync(this.top, { recursive: true, force: true });
  }

  async #makeJournal(conf, allow) {
    await run(program("holdfast"), ["init", this.dir], { timeout: 20000 });
    const lines = [];
    for (const [section, settings] of Object.entries(conf)) {
      lines.push(`[${section}]`);
      for (const [name, value] of Object.entries(settings)) lines.push(`${name} = ${value}`);
    }
    const file = join(this.dir, "holdfast.conf");
    writeFileSync(file, `${readFileSync(file, "utf8")}\n${lines.join("\n")}\n`, { mode: 0o600 });
    for (const [pattern, rights] of allow) await this.holdfast("allow", pattern, rights);
  }

  async #makeSite() {
    const root = this.path("www");
    mkdirSync(root);
    copyFileSync(source("site.php"), join(root, "index.php"));
    writeFileSync(join(root, "style.css"), "body { margin: 2em }\n".repeat(50));
    await run("sqlite3", [this.path("site.db"), `.read ${source("site.sql")}`], { timeout: 20000 });
  }

  // Between the probe and the bind somebody may take the port: again.
  async #listen(name, args, conf) {
    for (let tries = 0; ; tries++) {
      this.ports[name] = await freePort();
      const file = this.path(`${name}.conf`);
      writeFileSync(file, conf.call(this));
      const started = new Process(name, name, args(file), this.path(`${name}.log`));
      this.processes[name] = started;
      try {
        await until(10000, `${name} is up`, () =>
          started.how ? Promise.reject(new Error(JSON.stringify(started.how))) : accepts({ port: this.ports[name], host: "127.0.0.1" }),
        );
        return;
      } catch (error) {
        if (!started.how) await started.kill();
        if (tries === 2) throw error;
      }
    }
  }

  #lighttpdConf() {
    return `
server.modules = ( "mod_setenv", "mod_alias", "mod_cgi" )
server.bind = "127.0.0.1"
server.port = ${this.ports.lighttpd}
server.document-root = "${this.path("www")}"
server.errorlog = "${this.path("lighttpd.log")}"
server.max-fds = 4096
index-file.names = ( "index.php" )
mimetype.assign = ( ".css" => "text/css" )
setenv.set-environment = ( "HOLDFAST_DIR" => "${this.dir}" )
cgi.assign = ( ".php" => "/usr/bin/php-cgi" )
alias.url += ( "/socket" => "${this.gateway}" )
$HTTP["url"] =~ "^/socket(/|$)" {
  cgi.assign = ( "" => "" )
}
`;
  }

  // One thread, so that it counts exactly. A client that goes away is not told
  // to lighttpd: its program runs on, and counts as long as it runs.
  #haproxyConf() {
    return `
global
  maxconn 4000
  nbthread 1
  log stdout format raw local0
defaults
  mode http
  log global
  timeout connect 5s
  timeout client 120s
  timeout server 120s
  timeout http-keep-alive 120s
  option http-server-close
frontend host
  bind 127.0.0.1:${this.ports.haproxy}
  log-format "${LOG_FORMAT}"
  acl file path_end .css
  http-request return status 508 content-type text/html string "${PAGE.replaceAll(" ", "\\ ")}" if !file { be_conn(programs) ge ${this.limit} }
  use_backend files if file
  default_backend programs
backend programs
  server lighttpd 127.0.0.1:${this.ports.lighttpd}
backend files
  server lighttpd 127.0.0.1:${this.ports.lighttpd}
`;
  }
}

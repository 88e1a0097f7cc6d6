// upload.js - a web host, and somebody who can do nothing there but upload files
// and open addresses
//
//     top/account/            the account's own; on some hosts it may not write here
//     top/account/www/        the document root: what is uploaded goes here
//     top/account/home/       its home, where it has one
//     top/...                 the web server's files
//
// All of it runs as an account of its own if we are root, as it does on hosts
// with suEXEC. The program is that of the build tree; nothing else of ours is on
// the host, and nothing is configured for it but what a shared host has anyway.
import assert from "node:assert/strict";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { request } from "./http.js";
import { NOBODY } from "./hosts.js";
import { accepts, freePort, Process, program } from "./server.js";
import { until } from "./wait.js";

const source = (name) => fileURLToPath(new URL(`../../../${name}`, import.meta.url));

// --- web servers --------------------------------------------------------------

const lighttpd = {
  command: (file) => ["lighttpd", ["-D", "-f", file]],
  conf: (host) => `
server.modules = ( "mod_setenv", "mod_alias", "mod_cgi", "mod_dirlisting" )
server.bind = "127.0.0.1"
server.port = ${host.port}
server.document-root = "${host.www}"
server.errorlog = "${host.path("lighttpd.log")}"
setenv.set-environment = ( "HOME" => "${host.home}" )
mimetype.assign = ( ".html" => "text/html", ".js" => "text/javascript", "" => "application/octet-stream" )
dir-listing.activate = "enable"
cgi.assign = ( ".cgi" => "" )
${Object.entries(host.aliases).map(([from, to]) => `alias.url += ( "${from}" => "${host.account}/${to}" )`).join("\n")}
`,
};

const apache = (...parts) => ({
  command: (file) => ["apache2", [...["FOREGROUND", ...parts].flatMap((part) => ["-D", part]), "-f", file]],
  options: { detached: true }, // it signals its whole process group
  conf(host) {
    const home = `SetEnv HOME "${host.home}"\n${parts.includes("FCGID") ? `FcgidInitialEnv HOME "${host.home}"\n` : ""}`;
    writeFileSync(host.path("recipe.conf"), `${home}AddType text/html .html\nAddType text/javascript .js\n`);
    return readFileSync(source("tests/hosts/apache.conf.in"), "utf8")
      .replaceAll("@TOP@/www", host.www)
      .replaceAll("@TOP@", host.top)
      .replaceAll("@PORT@", String(host.port));
  },
});

export const HOSTS = {
  lighttpd: { front: lighttpd },
  fcgid: { front: apache("PREFORK", "FCGID"), htaccess: true },
  htaccess: { front: apache("EVENT", "CGI"), htaccess: true },
};

// --- the host -----------------------------------------------------------------

export class UploadHost {
  // home, outside: may the account write in its home, beside the document root?
  // aliases: addresses of folders of the account; socket: where the program is
  // uploaded to, as an address
  static async start({ front, htaccess = false, home = true, outside = true, aliases = {}, socket = "/holdfast.cgi", homeIsAccount = false }) {
    const host = new UploadHost({ htaccess, aliases, socket });
    if (homeIsAccount) host.home = host.account;
    try {
      host.#makeAccount(home, outside);
      await host.#listen(front);
    } catch (error) {
      error.message += host.logs();
      await host.stop();
      throw error;
    }
    return host;
  }

  constructor(options) {
    Object.assign(this, options);
    this.top = mkdtempSync(join(tmpdir(), "holdfast-upload."));
    this.account = join(this.top, "account");
    this.www = join(this.account, "www");
    this.home = join(this.account, "home");
  }

  path(name) {
    return join(this.top, name);
  }

  own(path) {
    if (NOBODY) chownSync(path, NOBODY.uid, NOBODY.gid);
  }

  #makeAccount(home, outside) {
    const cgiBin = join(this.account, "cgi-bin");
    const all = [this.account, this.www, this.home, cgiBin];
    for (const path of all) mkdirSync(path, { mode: 0o755, recursive: true });
    for (const path of [this.top, ...all]) this.own(path);
    chmodSync(this.top, 0o755);
    if (!home) chmodSync(this.home, 0o555);
    if (!outside) chmodSync(this.account, 0o555);
  }

  // Between the probe and the bind somebody may take the port: again.
  async #listen(front) {
    for (let tries = 0; ; tries++) {
      this.port = await freePort();
      writeFileSync(this.path("server.conf"), front.conf(this));
      const [command, args] = front.command(this.path("server.conf"));
      this.front = new Process(command, command, args, this.path("front.log"), { ...NOBODY, ...front.options });
      try {
        await until(20000, `${command} is up`, () =>
          this.front.how ? Promise.reject(new Error(JSON.stringify(this.front.how))) : accepts({ port: this.port, host: "127.0.0.1" }),
        );
        return;
      } catch (error) {
        if (!this.front.how) await this.front.kill();
        if (tries === 2) throw error;
      }
    }
  }

  logs() {
    return ["front.log", "lighttpd.log", "apache.log"]
      .filter((name) => existsSync(this.path(name)))
      .map((name) => `\n--- ${name}\n${readFileSync(this.path(name), "utf8").split("\n").slice(-25).join("\n")}`)
      .join("");
  }

  async stop() {
    if (this.front && !this.front.how) await this.front.kill();
    for (const path of [this.account, this.home]) if (existsSync(path)) chmodSync(path, 0o755);
    if (process.env.HOLDFAST_TEST_KEEP) console.error(`kept: ${this.top}`);
    else rmSync(this.top, { recursive: true, force: true, maxRetries: 5 });
  }

  // --- all that its customer can do -------------------------------------------

  // Into the document root, as a program for file transfer does it.
  upload(name, content = "", mode = 0o644) {
    const path = join(this.socket.startsWith("/cgi-bin/") && !/\.(html|js)$/.test(name) ? join(this.account, "cgi-bin") : this.www, name);
    writeFileSync(path, content);
    chmodSync(path, mode);
    this.own(path);
  }

  uploadProgram() {
    this.upload("holdfast.cgi", readFileSync(program("holdfast-gateway")), 0o755);
    if (this.htaccess) this.upload(".htaccess", readFileSync(source("docs/hosts/htaccess-upload")));
  }

  // An address, or a form: { name: value }.
  open(path, form, headers = {}) {
    if (!form) return request({ port: this.port, path, headers });
    return request({
      port: this.port,
      method: "POST",
      path,
      headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
      body: new URLSearchParams(form).toString(),
    });
  }
}

// --- reading pages --------------------------------------------------------------

const unescape = (text) =>
  text.replace(/&(lt|gt|quot|#39|amp);/g, (_, name) => ({ lt: "<", gt: ">", quot: '"', "#39": "'", amp: "&" })[name]);

const attribute = (tag, name) => {
  const found = new RegExp(` ${name}="([^"]*)"`).exec(tag);
  return found && unescape(found[1]);
};

export const title = ({ body }) => unescape(/<title>(.*) · Holdfast<\/title>/.exec(body)?.[1] ?? body);
export const said = ({ body }) => unescape(/<p class="said[^>]*>(.*)<\/p>/.exec(body)?.[1] ?? "");

// What a form sends if nothing is chosen: its hidden fields.
export function fields({ body }) {
  const hidden = (body.match(/<input type="hidden"[^>]*>/g) ?? []).map((tag) => [attribute(tag, "name"), attribute(tag, "value")]);
  return Object.fromEntries(hidden);
}

export const fileToUpload = ({ body }) => /<code>(holdfast-[0-9a-f]{32}\.txt)<\/code>/.exec(body)?.[1];
export const links = ({ body }) => [...body.matchAll(/<li><a rel="noreferrer" href="([^"]*)">/g)].map(([, href]) => unescape(href));
export const fact = ({ body }, name) => unescape(new RegExp(`<dt>${name}</dt><dd>(.*)</dd>`).exec(body)?.[1] ?? "");
export const word = ({ body }) => attribute(/<form[^>]*id="test"[^>]*>/.exec(body)?.[0] ?? "", "data-word");
export const firstPage = ({ body }) => unescape(/<pre><code>(&lt;!doctype.*?)<\/code><\/pre>/s.exec(body)[1]);

export const OPEN = { open: "yes", topics: "room:*" };

// From the page to the file to the next page; for tests that are about what
// comes after.
export async function prove(host, page = "setup", choice = OPEN) {
  const asked = await host.open(`${host.socket}/${page}`);
  assert.equal(asked.status, 200, asked.body + host.logs());
  host.upload(fileToUpload(asked));
  return host.open(`${host.socket}/${page}`, { ...fields(asked), ...choice });
}

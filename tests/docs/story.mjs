// story.mjs - a page is read as a story: its blocks are done one after the other,
// by somebody called "me", in an empty home
//
//     me          where blocks run and where HOME is. What a block of shell sets
//                 (variables, the folder) is there in the next one
//     me/holdfast the journal directory, with `server`; also as ~/journal
//     www         the document root, with `server`: lighttpd with the recipe
//                 docs/hosts/lighttpd.conf, PHP, gateway and side-car, the client
//
// What stands on the page for a place or an address of the reader is replaced by
// ours, see REPLACED; in what is printed it is replaced back.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { closeSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { launch } from "../js/lib/browser.js";
import { Host, lighttpd } from "../js/lib/hosts.js";
import { own, program, until, within } from "../js/lib/server.js";
import { TOP, read } from "./blocks.mjs";

const SECONDS = 60; // for one block

// --- where it happens --------------------------------------------------------

const PHP = `
server.modules += ( "mod_cgi" )
mimetype.assign = ( ".html" => "text/html; charset=utf-8", ".js" => "text/javascript; charset=utf-8",
  ".css" => "text/css; charset=utf-8", ".json" => "application/json", ".txt" => "text/plain; charset=utf-8" )
index-file.names = ( "index.php", "index.html" )
cgi.assign = ( ".php" => "/usr/bin/php-cgi" )
`;

class Site extends Host {
  constructor(gateways) {
    super(gateways);
    mkdirSync(this.path("me"), { recursive: true });
    this.dir = this.path("me/holdfast");
    this.journal = join(this.dir, "journal.db");
  }

  // The settings of the page may name an address of its own web server, which
  // therefore is there before those who read them.
  async startGateway() {
    await super.startFront();
    const file = join(this.dir, "holdfast.conf");
    writeFileSync(file, `${readFileSync(file, "utf8")}\n${this.spec.settings(this)}`);
    await super.startGateway();
  }

  async startFront() {}
}

const SITE = {
  name: "the site of a page",
  front: lighttpd,
  recipe: "lighttpd.conf",
  gateway: "socket",
  sidecar: true,
  edit: (text, name) => (name === "lighttpd.conf" ? text + PHP : text),
  prepare(host) {
    symlinkSync(host.dir, host.path("me/journal"));
    writeFileSync(host.path("www/.user.ini"), `session.save_path = ${host.top}\n`);
    const client = readdirSync(join(TOP, "www")).filter((name) => name.startsWith("holdfast."));
    for (const file of [...client.map((name) => `www/${name}`), "lang/php/holdfast.php"])
      copyFileSync(join(TOP, file), host.path(join("www", basename(file))));
  },
};

// What a reader has in these places. The longer one first.
const REPLACED = [
  ["https://www.example.com", (story) => story.url],
  ["https://example.com", (story) => story.url],
  ["http://localhost", (story) => story.url],
  ["/var/www/html", (story) => join(story.top, "www")],
  ["/var/lib/holdfast", (story) => join(story.top, "me/holdfast")],
  ["/home/me", (story) => join(story.top, "me")],
  ["/tmp", (story) => join(story.top, "tmp")],
  ["j:mYcp-eDbWX4.4711", (story) => story.cursor()],
];

// --- running -----------------------------------------------------------------

const LANGUAGES = {
  sh: ["sh"],
  php: ["php", "-d", `include_path=.:${join(TOP, "lang/php")}:${TOP}`],
  python: ["python3"],
  perl: ["perl"],
  ruby: ["ruby"],
  js: ["node"],
  micropython: ["node", join(TOP, "tests/docs/micropython.mjs")],
};

// Variables and the folder go from one block of shell to the next.
const shell = (text, vars) => `set -a
test ! -e "${vars}" || . "${vars}"
trap '{ export -p; echo "cd '"'"'$PWD'"'"'"; } >"${vars}"' EXIT
set -e
${text}`;

// What the pages' fragments for a browser talk about, "script with ...".
const NAMES = {
  Socket: "const { Socket } = holdfast;",
  Presence: "const { Presence } = holdfast;",
  socket: 'const socket = new holdfast.Socket("/socket"); socket.connect();',
  channel: 'const channel = socket.channel("room:fragment");',
  joined: "await new Promise((done) => channel.join().receive('ok', done));",
  badge: "const badge = document.body.appendChild(document.createElement('p'));",
  load: "const load = () => console.log('load');",
  show: "const show = (what) => console.log(JSON.stringify(what));",
};

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

// A line of the page as a pattern for what is printed: "..." is anything, and a
// cursor, an epoch, a long number, a token or a version of a kernel are never the same.
function pattern(line) {
  const parts = line.split(/(\.\.\.|j:[\w-]{11}\.\d+|\b\d{9,}\b|\b[0-9a-f]{16,}\b)/);
  const body = parts.map((part, i) => {
    if (i % 2 === 0) return escaped(part).replace(/ +/g, " +");
    if (part === "...") return ".*";
    if (part.startsWith("j:")) return "j:[\\w-]{11}\\.\\d+";
    return /^\d+$/.test(part) ? "\\d{9,}" : "[0-9a-f]{16,}";
  });
  return new RegExp(`^${body.join("")}$`);
}

function assertPrinted(wanted, printed) {
  const rest = printed.trimEnd().split("\n");
  let skip = false;
  for (const line of wanted.trimEnd().split("\n")) {
    if (line.trim() === "...") {
      skip = true;
      continue;
    }
    const at = skip ? rest.findIndex((one) => pattern(line).test(one)) : 0;
    const one = rest[at] ?? "(nothing more)";
    assert.match(one, pattern(line), `printed was:\n${printed}`);
    rest.splice(0, at + 1);
    skip = false;
  }
  assert.ok(skip || rest.length === 0, `more was printed:\n${rest.join("\n")}`);
}

let browser; // one for all pages
export async function closeBrowser() {
  await (await browser)?.close();
}

export class Story {
  printed = "";
  tabs = new Map(); // file -> { page, said, trouble }
  contexts = []; // of the browser
  left = []; // how to end what was started
  count = 0;

  static async begin(name, server, conf) {
    const story = new Story();
    story.name = name;
    const settings = (site) => {
      [story.site, story.top] = [site, site.top];
      return story.here(conf);
    };
    if (server) await Site.start({ ...SITE, settings });
    story.top ??= mkdtempSync(join(tmpdir(), "holdfast-docs."));
    for (const name of ["me/bin", "tmp", "www", "run"]) mkdirSync(join(story.top, name), { recursive: true });
    writeFileSync(join(story.home, ".curlrc"), "silent\nshow-error\n"); // as at a terminal
    for (const name of ["holdfast", "holdfast-gateway", "holdfast-sidecar"])
      symlinkSync(program(name), join(story.home, "bin", name));
    return story;
  }

  get url() {
    return this.site ? `http://127.0.0.1:${this.site.port}` : "http://127.0.0.1:1";
  }

  get home() {
    return join(this.top, "me");
  }

  here(text) {
    const names = REPLACED.map(([name]) => escaped(name)).join("|");
    return text.replace(new RegExp(names, "g"), (name) => REPLACED.find(([one]) => one === name)[1](this));
  }

  there(text) {
    const places = REPLACED.slice(0, -1);
    return places.reverse().reduce((said, [name, ours]) => said.replaceAll(ours(this), name), text);
  }

  // Where the journal has come to.
  cursor() {
    const status = execFileSync(program("holdfast"), ["--dir", join(this.home, "holdfast"), "status"], { encoding: "utf8" });
    return /^head +(\S+)$/m.exec(status)[1];
  }

  async do(block) {
    const { verb, rest, then } = block.mark;
    await this[verb](block, rest);
    for (const { file, does, words } of then) await this[does](file, words);
  }

  // --- verbs

  async run(block, rest) {
    const [first, ...others] = rest.split(" ");
    const known = first === "sql" || Object.hasOwn(LANGUAGES, first);
    const how = (known ? others : [first, ...others]).join(" ");
    const language = known ? first : block.language || "sh";
    assert.ok(language === "sql" || LANGUAGES[language], `nothing is known that runs "${language}"`);
    const child = this.#start(language, this.#written(language, block.text));
    if (how === "in the background") return;
    const code = await within(SECONDS * 1000, "the end of the block", child.ended);
    const printed = this.there(child.said());
    if (!block.hidden) this.printed = printed;
    if (how === "fails") assert.notEqual(code, 0, `it did not fail:\n${printed}`);
    else assert.equal(code, 0, printed);
  }

  prints(block) {
    assertPrinted(block.text, this.printed);
  }

  // Kept for a later block, or for the web server.
  save(block, name) {
    const file = this.#place(name);
    writeFileSync(file, this.here(block.text), { mode: block.text.startsWith("#!") ? 0o755 : 0o644 });
    return this.#looksRight(block, file);
  }

  async page(block, name) {
    await this.save(block, `www/${name}`);
    const tab = await this.#open(name, `${this.url}/${name}`);
    if (/\.join\(/.test(block.text)) await until(30000, "the page has joined", () => tab.joined, 20);
  }

  async script(block, rest) {
    const names = rest.replace(/^with /, "").split(/, */).filter(Boolean);
    for (const name of names) assert.ok(NAMES[name], `no "${name}" is known here`);
    const needed = Object.keys(NAMES).filter((name) => names.includes(name));
    const name = `script-${block.line}.html`;
    const lines = ['import * as holdfast from "/holdfast.js";', ...needed.map((one) => NAMES[one])];
    const code = `${lines.join("\n")}\n${block.text}\ndocument.title = "done";`;
    const text = `<!DOCTYPE html><meta charset="utf-8"><body><script type="module">\n${code}</script>`;
    writeFileSync(this.#place(`www/${name}`), this.here(text));
    const tab = await this.#open(name, `${this.url}/${name}`);
    await until(30000, "the script has run to its end", async () => (await tab.page.title()) === "done" || tab.trouble.length > 0, 50);
    assert.deepEqual(tab.trouble, []);
    this.tabs.set(undefined, tab);
  }

  // Lines of holdfast.conf that nobody refuses.
  async conf(block) {
    const dir = mkdtempSync(join(this.top, "tmp/conf."));
    const file = join(dir, "j/holdfast.conf");
    const made = this.#spawn("holdfast", ["init", join(dir, "j")]);
    assert.equal(await within(SECONDS * 1000, "a journal is made", made.ended), 0, made.said());
    writeFileSync(file, `${readFileSync(file, "utf8")}\n${this.here(block.text)}`);
    const check = this.#spawn("holdfast-gateway", ["--dir", join(dir, "j"), "--check-config"]);
    await within(SECONDS * 1000, "the settings are read", check.ended);
    assert.match(check.said(), /^ok +settings/m);
    assert.doesNotMatch(check.said(), /^problem +settings/m);
  }

  json(block) {
    JSON.parse(block.text);
  }

  // Messages of the protocol, each of them JSON. What begins otherwise goes on with
  // the one before; of bytes and heads of HTTP there is nothing to be read here.
  wire(block) {
    const messages = block.text.split(/^(?=->|<-|\.\.\.)/m).filter((one) => one.trim() !== "");
    for (const message of messages) {
      const [, said] = /^(?:->|<-) ([^]+)$/.exec(message) ?? [];
      if (message.trim() === "...") continue;
      assert.ok(said, `this is no message: ${message}`);
      const at = said.search(/[[{]/);
      assert.ok(at === 0 || /^ *(HTTP \d|GET |POST |([0-9a-f]{2} )+)/.test(said), `this is no message: ${message}`);
      if (at >= 0) JSON.parse(said.slice(at));
    }
  }

  // What is pasted stands in that file, in this order; there perhaps as a comment.
  file(block, name) {
    const bare = (line) => line.replace(/^ *[#;]? */, "").trimEnd();
    const lines = read(name).split("\n").map(bare);
    let at = 0;
    for (const line of block.text.split("\n").map(bare)) {
      if (line === "" || line === "...") continue;
      const found = lines.indexOf(line, at);
      assert.ok(found >= 0, `${name} does not have, or not here: ${line}`);
      at = found + 1;
    }
  }

  // Another test does it: one that is there and reads this page.
  by(block, names) {
    for (const name of names.split(", ")) {
      assert.ok(existsSync(join(TOP, name)), `${name} is not there`);
      const words = [basename(this.name), block.text.trim().split(/\s/)[0], block.name ?? ""];
      assert.ok(words.some((word) => word && read(name).includes(word)), `${name} has nothing to do with ${this.name}`);
    }
  }

  no() {}

  // --- how

  #place(name) {
    const file = name.startsWith("www/") ? join(this.top, name) : join(this.home, name);
    mkdirSync(dirname(file), { recursive: true });
    return file;
  }

  #written(language, text) {
    const file = join(this.top, "run", `${++this.count}.${language === "js" ? "mjs" : language}`);
    const ours = this.here(text);
    writeFileSync(file, language === "sh" ? shell(ours, join(this.top, "run/vars")) : ours);
    return file;
  }

  #start(language, file) {
    const sql = ["sqlite3", "-bail", "-batch", "-cmd", ".timeout 5000", join(this.home, "holdfast/journal.db"), `.read ${file}`];
    const [command, ...args] = language === "sql" ? sql : [...LANGUAGES[language], file];
    return this.#spawn(command, args);
  }

  // Into a file: what it leaves in the background may hold on to it.
  #spawn(command, args) {
    const log = join(this.top, "run", `${++this.count}.out`);
    const fd = openSync(log, "a");
    const child = own(
      spawn(command, args, {
        cwd: this.home,
        detached: true, // a group of its own, ended as a whole
        stdio: ["ignore", fd, fd],
        env: {
          PATH: `${join(this.home, "bin")}:${process.env.PATH}:/usr/sbin:/sbin`,
          PYTHONPATH: join(TOP, "lang/python"),
          PERL5LIB: join(TOP, "lang/perl"),
          HOME: this.home,
          TMPDIR: join(this.top, "tmp"),
          LANG: "C.UTF-8",
          // as if they lay beside the program
          PYTHONPATH: join(TOP, "lang/python"),
          PYTHONDONTWRITEBYTECODE: "1",
          PERL5LIB: join(TOP, "lang/perl"),
        },
      }),
    );
    closeSync(fd);
    this.left.push(() => {
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // it has ended, and all that it started
      }
    });
    const ended = new Promise((done, failed) => child.on("exit", done).on("error", failed));
    return { ended, said: () => readFileSync(log, "utf8") };
  }

  // A language that can look without running does so.
  async #looksRight(block, file) {
    const look = { php: ["php", "-l", file], python: ["python3", "-m", "py_compile", file], perl: ["perl", "-c", file], sh: ["sh", "-n", file] };
    if (!look[block.language]) return;
    const [command, ...args] = look[block.language];
    const child = this.#spawn(command, args);
    const code = await within(SECONDS * 1000, `${command} has looked at it`, child.ended);
    assert.equal(code, 0, child.said());
  }

  // Each page in a browser of its own, as it were: none shares its connection.
  async #open(name, url) {
    browser ??= launch();
    const context = await (await browser).newContext();
    this.contexts.push(context);
    const tab = { page: await context.newPage(), said: "", trouble: [], joined: false };
    this.tabs.set(name, tab);
    tab.page.on("pageerror", (error) => tab.trouble.push(error.message));
    tab.page.on("console", (message) => {
      tab.said += `${message.text()}\n`;
      if (message.type() === "error" && !/favicon/.test(message.location().url)) tab.trouble.push(message.text());
    });
    tab.page.on("websocket", (socket) =>
      socket.on("framereceived", ({ payload }) => {
        if (/"phx_reply",\{"status":"ok"/.test(payload) && !/"phoenix"/.test(payload)) tab.joined = true;
      }),
    );
    await tab.page.goto(url);
    assert.deepEqual(tab.trouble, []);
    return tab;
  }

  // On the page or its console; no name: the last script.
  async shows(file, words) {
    const tab = this.#tab(file);
    const look = async () => `${await tab.page.innerText("body")}\n${tab.said}`;
    await until(30000, `${file ?? "the page"} shows "${words}"`, async () => (await look()).includes(words), 50).catch(async (error) => {
      throw new Error(`${error.message}; it shows:\n${await look()}\n${tab.trouble.join("\n")}`);
    });
    assert.deepEqual(tab.trouble, []);
  }

  // As somebody who writes into its first field and presses Enter.
  async says(file, words) {
    const field = this.#tab(file).page.locator("input, textarea").first();
    await field.fill(words);
    await field.press("Enter");
  }

  // To an address of the site, in the same browser; one is opened if need be.
  async goes(file, address) {
    const url = `${this.url}/${address}`;
    if (this.tabs.has(file)) await this.#tab(file).page.goto(url);
    else await this.#open(file, url);
  }

  #tab(file) {
    assert.ok(this.tabs.has(file), `no page ${file} is open`);
    return this.tabs.get(file);
  }

  // What went into the background by itself, too: its environment tells.
  #endStrays() {
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      try {
        if (`\0${readFileSync(`/proc/${pid}/environ`, "latin1")}`.includes(`\0HOME=${this.home}\0`)) process.kill(Number(pid), "SIGKILL");
      } catch {
        // it has ended, or is somebody else's
      }
    }
  }

  async end() {
    for (const context of this.contexts) await context.close();
    for (const kill of this.left) kill();
    this.#endStrays();
    if (this.site) await this.site.stop();
    else rmSync(this.top, { recursive: true, force: true });
  }
}

// The example pages as their users put them up: www/examples/plain-php, and
// www/examples/wordpress in a real WordPress (Debian's, on a MariaDB of its own),
// in a real browser.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { launch } from "./lib/browser.js";
import { Process, Server, accepts, told, until } from "./lib/server.js";

const run = promisify(execFile);
const at = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const MINUTE = 60000;

let server;
let browser;
before(async () => {
  server = await Server.start({ pages: true, allow: [] });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});
const test = (name, body) =>
  it(
    name,
    told(() => server, body, 3 * MINUTE), // a whole WordPress, and a browser
  );

// Put files into a folder of the document root, as somebody uploads them.
function upload(folder, ...paths) {
  mkdirSync(server.path(folder), { recursive: true });
  for (const path of paths) cpSync(at(path), server.path(`${folder}/${path.split("/").at(-1)}`));
  writeFileSync(server.path(`${folder}/.htholdfast`), `dir = ${server.dir}\n`);
}

// A visitor with cookies of his own.
async function visitor() {
  const context = await browser.newContext();
  // WordPress' pages have pictures from elsewhere
  await context.route((url) => url.hostname !== "127.0.0.1", (route) => route.abort());
  const page = await context.newPage();
  page.setDefaultTimeout(MINUTE);
  page.open = async (path) => {
    const answer = await page.goto(`http://127.0.0.1:${server.port}${path}`, { waitUntil: "domcontentloaded" });
    assert.equal(answer.status(), 200, await answer.text());
  };
  page.mistakes = [];
  page.on("pageerror", (error) => page.mistakes.push(String(error)));
  return page;
}

const shows = (page, where, text) => page.locator(where, { hasText: text }).first().waitFor();
describe("a guest book in plain PHP", () => {
  before(() => upload("guests", "www/examples/plain-php/index.php", "lang/php/holdfast.php", "www/holdfast.js"));

  test("shows what is written to all, at once, and who has no form of ours writes nothing", async () => {
    const [ann, bob] = [await visitor(), await visitor()];
    await bob.open("/guests/");
    await ann.open("/guests/");
    await ann.fill("input[name=name]", "Ann <b>");
    await ann.click("button");
    await ann.fill("input[name=text]", "it's \"me\" <i>é");
    await ann.click("button");
    for (const page of [ann, bob]) await shows(page, "#entries li", 'Ann <b> it\'s "me" <i>é');
    await bob.reload();
    await shows(bob, "#entries li", 'Ann <b> it\'s "me" <i>é'); // printed by PHP
    assert.equal(await bob.locator("#entries li").count(), 1);
    const { status } = await server.request({
      path: "/guests/",
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: "text=spam&name=x",
    });
    assert.equal(status, 403);
    assert.deepEqual([...ann.mistakes, ...bob.mistakes], []);
    assert.equal((await server.sql("SELECT id FROM messages WHERE topic = 'room:guests'")).length, 1);
    // the page's token follows this one topic and does nothing else
    const { body } = await server.request({ path: "/guests/?token" });
    const { token } = JSON.parse(body);
    const said = await server.holdfast("token", "--inspect", token);
    assert.match(said, /^topic +"room:guests" \["join"\]$/m);
  });

  test("takes a name that anybody may choose for no login, however long it is", async () => {
    const page = await visitor();
    await page.open("/guests/");
    await page.evaluate(() => (document.querySelector("input[name=name]").maxLength = 1000));
    await page.fill("input[name=name]", "😀".repeat(40));
    await page.click("button");
    await page.fill("input[name=text]", "many");
    await page.click("button");
    await shows(page, "#entries li", "many"); // as it came, for the form does not load the page
    const { status, text } = await page.evaluate(async () => {
      const answer = await fetch("?token");
      return { status: answer.status, text: await answer.text() };
    });
    assert.equal(status, 200, text);
    const said = await server.holdfast("token", "--inspect", JSON.parse(text).token);
    assert.doesNotMatch(said, /^sub/m);
  });

  test("works without JavaScript", async () => {
    const context = await browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    page.setDefaultTimeout(MINUTE);
    await page.goto(`http://127.0.0.1:${server.port}/guests/`);
    await page.fill("input[name=name]", "Cy");
    await page.click("button");
    await page.fill("input[name=text]", "no script");
    await page.click("button");
    await shows(page, "#entries li", "Cy no script");
  });
});

// --- WordPress ------------------------------------------------------------------

const WORDPRESS = "/usr/share/wordpress";
const missing = [WORDPRESS, "/usr/sbin/mariadbd", "/usr/bin/mariadb-install-db"].find((path) => !existsSync(path));
const skip = missing && !process.env.HOLDFAST_ALL_RECIPES && `there is no ${missing}`;

describe("a WordPress with our plugin", { skip }, () => {
  let database;
  const socket = () => server.path("db.sock");

  // PHP inside of this WordPress, as wp-cron or WP-CLI is
  async function wordpress(code) {
    const script = server.path("wp.php");
    writeFileSync(
      script,
      `<?php $_SERVER['HTTP_HOST'] = '127.0.0.1'; $_SERVER['REQUEST_METHOD'] = 'GET';
       ${code.includes("wp_install(") ? "define('WP_INSTALLING', true);" : ""}
       require '${server.path("wp")}/wp-load.php'; ${code}`,
    );
    const { stdout } = await run("php", [script], { timeout: 2 * MINUTE });
    return stdout;
  }

  const asRoot = process.getuid() === 0 ? ["--user=root"] : [];

  before(async () => {
    // a database of our own, which listens on a file only
    const data = server.path("db");
    await run(
      "mariadb-install-db",
      ["--no-defaults", `--datadir=${data}`, "--auth-root-authentication-method=normal", "--skip-test-db", ...asRoot],
      { timeout: 2 * MINUTE },
    );
    database = new Process(
      "mariadbd",
      "mariadbd",
      ["--no-defaults", `--datadir=${data}`, `--socket=${socket()}`, `--pid-file=${server.path("db.pid")}`,
        "--skip-networking", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M", ...asRoot],
      server.path("mariadb.log"),
    );
    await server.up(database, () => accepts(socket()));
    await run("mariadb", ["--no-defaults", `--socket=${socket()}`, "-uroot", "-e", "CREATE DATABASE wp"], { timeout: MINUTE });

    // WordPress: the files, as they are uploaded (Debian's point to elsewhere)
    await run("cp", ["-rL", WORDPRESS, server.path("wp")], { timeout: MINUTE }).catch(() => {
      // .htaccess may point to nowhere
    });
    rmSync(server.path("wp/.htaccess"), { force: true });
    writeFileSync(
      server.path("wp/wp-config.php"),
      `<?php
foreach (['DB_NAME' => 'wp', 'DB_USER' => 'root', 'DB_PASSWORD' => '', 'DB_HOST' => 'localhost:${socket()}',
    'DB_CHARSET' => 'utf8mb4', 'DB_COLLATE' => '', 'AUTH_KEY' => 'a', 'SECURE_AUTH_KEY' => 'b', 'LOGGED_IN_KEY' => 'c',
    'NONCE_KEY' => 'd', 'AUTH_SALT' => 'e', 'SECURE_AUTH_SALT' => 'f', 'LOGGED_IN_SALT' => 'g', 'NONCE_SALT' => 'h',
    'WP_HOME' => 'http://127.0.0.1:${server.port}/wp', 'WP_SITEURL' => 'http://127.0.0.1:${server.port}/wp',
    'DISABLE_WP_CRON' => true, 'WP_HTTP_BLOCK_EXTERNAL' => true, 'AUTOMATIC_UPDATER_DISABLED' => true,
    'WP_DEBUG' => true, 'WP_DEBUG_DISPLAY' => false, 'WP_DEBUG_LOG' => '${server.path("wordpress.log")}'] as $name => $value) {
    define($name, $value);
}
$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
`,
    );
    const plugin = "wp/wp-content/plugins/holdfast-live";
    upload(plugin, "www/examples/wordpress/holdfast-live.php", "www/examples/wordpress/live.js",
      "lang/php/holdfast.php", "www/holdfast.min.js");
    await wordpress(`
      require ABSPATH . 'wp-admin/includes/upgrade.php';
      function wp_mail() { return true; }
      wp_install('Ours', 'admin', 'admin@example.com', true, '', 'secret');
      update_option('permalink_structure', '');`); // it had tried whether this server rewrites
    const said = await wordpress(`
      require ABSPATH . 'wp-admin/includes/plugin.php';
      $failed = activate_plugin('holdfast-live/holdfast-live.php');
      if ($failed) { echo $failed->get_error_message(); exit(1); }
      echo wp_insert_post(['post_title' => 'Chat', 'post_status' => 'publish', 'post_type' => 'page',
          'post_content' => '[holdfast_chat room="lobby"]']);`);
    chat = Number(said);
  });
  after(() => database?.stop(MINUTE));
  let chat;

  async function logIn(page) {
    await page.open("/wp/wp-login.php");
    await page.fill("#user_login", "admin");
    await page.fill("#user_pass", "secret");
    await Promise.all([page.waitForURL(/wp-admin/, { waitUntil: "commit" }), page.click("#wp-submit")]);
  }

  // By the admin, which needs no approval, or by a guest, whom WordPress lets
  // comment every 15 seconds; its number.
  async function comment(text, approved, post = 1) {
    const said = await wordpress(`wp_set_current_user(${approved ? 1 : 0});
      echo wp_new_comment(['comment_post_ID' => ${post}, 'comment_content' => '${text}', 'comment_author' => 'Eve',
      'comment_author_email' => 'eve@example.com', 'comment_author_url' => '', 'comment_author_IP' => '127.0.0.1',
      'comment_agent' => '', 'user_id' => ${approved ? 1 : 0}, 'comment_parent' => 0]);`);
    assert.match(said, /^[1-9][0-9]*$/);
    return Number(said);
  }

  test("shows a comment to who reads the article, when it is approved", async () => {
    const reader = await visitor();
    await reader.open("/wp/?p=1");
    const waiting = await comment("<i>please</i> <script>wait()</script>", false);
    await comment("first <b>one</b>", true);
    await shows(reader, ".holdfast-live-comments li", "first one");
    assert.equal(await reader.locator(".holdfast-live-comments li").count(), 1);
    await wordpress(`wp_set_comment_status(${waiting}, 'approve');`);
    await shows(reader, ".holdfast-live-comments li", "please");
    assert.equal(await reader.locator(".holdfast-live-comments script").count(), 0);
    assert.deepEqual(reader.mistakes, []);
    // on the page as it is printed now they stand once
    await reader.reload();
    assert.equal(await reader.locator(`#comment-${waiting}`).count(), 1);
    const rows = await server.sql("SELECT id FROM messages WHERE topic = 'post:1' AND event = 'comment'");
    assert.equal(rows.length, 2);
  });

  test("tells nobody of comments on what is not public", async () => {
    const secret = Number(await wordpress(`echo wp_insert_post(['post_title' => 'S', 'post_content' => 's',
      'post_status' => 'private', 'comment_status' => 'open']);`));
    // published, but of a kind that has no page: orders and tickets are such
    const internal = Number(await wordpress(`echo wp_insert_post(['post_title' => 'I', 'post_content' => 'i',
      'post_status' => 'publish', 'post_type' => 'wp_block', 'comment_status' => 'open']);`));
    for (const post of [secret, internal]) {
      await comment("secret", true, post);
      assert.deepEqual(await server.sql(`SELECT id FROM messages WHERE topic = 'post:${post}'`), []);
    }
  });

  test("is a chat for who is logged in, and all read it", async () => {
    const [admin, guest] = [await visitor(), await visitor()];
    await logIn(admin);
    await admin.open(`/wp/?page_id=${chat}`);
    await guest.open(`/wp/?page_id=${chat}`);
    assert.equal(await guest.locator(".holdfast-live-chat form").count(), 0);
    await admin.fill(".holdfast-live-chat input", "hello & é");
    await admin.press(".holdfast-live-chat input", "Enter");
    for (const page of [admin, guest]) await shows(page, ".holdfast-live-chat li", "admin hello & é");
    await guest.reload();
    await shows(guest, ".holdfast-live-chat li", "admin hello & é");

    // saying something needs the login and the page's nonce
    const say = `/wp/index.php?rest_route=/holdfast-live/v1/say&topic=room:lobby&text=x`;
    const by = (page, headers) => page.context().request.post(`http://127.0.0.1:${server.port}${say}`, { headers });
    assert.equal((await by(guest, {})).status(), 401);
    assert.equal((await by(admin, {})).status(), 401); // a form on another site
    assert.equal((await by(admin, { "X-WP-Nonce": "wrong" })).status(), 403);
    const nonce = await admin.evaluate(() => holdfastLive.nonce);
    assert.equal((await by(admin, { "X-WP-Nonce": nonce })).status(), 200);
    const other = say.replace("room:lobby", "post:1");
    const answer = await admin.context().request.post(`http://127.0.0.1:${server.port}${other}`, { headers: { "X-WP-Nonce": nonce } });
    assert.equal(answer.status(), 400);
    assert.deepEqual([...admin.mistakes, ...guest.mistakes], []);

    // a token says who somebody is, and lets nobody publish
    const token = await admin.evaluate(async () => {
      const { token: where, nonce: with_it } = window.holdfastLive;
      return (await (await fetch(where, { headers: { "X-WP-Nonce": with_it } })).json()).token;
    });
    const said = await server.holdfast("token", "--inspect", token);
    assert.match(said, /^sub +wp:1$/m);
    assert.doesNotMatch(said, /publish/);

    // logging out ends what is connected in his name
    await wordpress("wp_set_current_user(1); wp_logout();");
    const ends = "SELECT id FROM messages WHERE topic = 'user_socket:wp:1' AND event = 'disconnect'";
    assert.equal((await server.sql(ends)).length, 1);
  });

  test("goes on as a site when Holdfast is away", async () => {
    const plugin = server.path("wp/wp-content/plugins/holdfast-live/.htholdfast");
    rmSync(plugin);
    writeFileSync(plugin, "dir = /nowhere\n");
    await comment("without it", true);
    const guest = await visitor();
    await guest.open("/wp/?p=1");
    assert.equal(await guest.locator(".holdfast-live-comments").count(), 0);
    await guest.open(`/wp/?page_id=${chat}`);
    await shows(guest, "p", "The chat is not there at the moment.");
    writeFileSync(plugin, `dir = ${server.dir}\n`);
    await guest.open(`/wp/?page_id=${chat}`);
    assert.equal(await guest.locator(".holdfast-live-chat").count(), 1);
  });

  test("writes nothing into WordPress' log of mistakes but that", async () => {
    const log = existsSync(server.path("wordpress.log")) ? readFileSync(server.path("wordpress.log"), "utf8") : "";
    const ours = log.split("\n").filter((line) => /holdfast-live|holdfast\.php/.test(line) && !/there is no journal/.test(line));
    assert.deepEqual(ours, []);
  });
});

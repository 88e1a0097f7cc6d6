// The doctor against real web servers: each trouble of docs/TROUBLES.md that lies
// between a browser and the gateway is made, and found; a good host has none of
// them. `holdfast doctor URL` asks as the page does. What is about the machine
// stands in tests/cli/doctor.sh.
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { launch } from "./lib/browser.js";
import { apache, haproxy, Host, lighttpd, nginx, NOBODY } from "./lib/hosts.js";
import { request } from "./lib/http.js";
import { told, until } from "./lib/server.js";

const run = promisify(execFile);
const FRONT = [
  "not-reached", "front-end-timeout", "request-limit", "requests-wait", "authorization-stripped", "auth-token-stripped",
  "query-lost", "body-limit", "host-changed", "scheme-hidden", "origin-refused", "no-upgrade", "upgrade-hangs", "clock-skew",
  "no-child-process",
];

// The report of `holdfast doctor`, and the ids in it.
async function examine(host, ...args) {
  const url = `http://127.0.0.1:${host.port}${host.spec.endpoint ?? "/socket"}`;
  const options = { ...host.as, timeout: 90000, maxBuffer: 1 << 20 };
  const all = ["--dir", host.dir, "doctor", "--json", "--hold", "2s", ...args, url];
  const { stdout } = await run(host.program("holdfast"), all, options).catch((error) => {
    if (error.code !== 1 || !error.stdout) throw error; // 1: there is a problem
    return error;
  });
  const report = JSON.parse(stdout);
  report.ids = report.findings.flatMap(({ id }) => id ?? []);
  report.text = (id) => report.findings.find((finding) => finding.id === id).text;
  return report;
}

const none = (report, ids) => {
  const found = report.findings.filter(({ id }) => ids.includes(id));
  assert.deepEqual(found.map(({ id, text }) => `${id}: ${text}`), []);
};

// A host while `body` runs.
const on = (name, spec, body) =>
  test(name, (t) => {
    let host;
    return told(
      () => host,
      async () => {
        host = await Host.start(spec);
        t.after(() => host.abandon());
        await body(host);
      },
      120000,
    )(t);
  });

// lighttpd in front of a gateway and a side-car that we start, the recipe edited.
const ours = (edit = (text) => text, more = {}) => ({
  front: lighttpd, recipe: "lighttpd.conf", gateway: "socket", sidecar: true, edit, ...more,
});
const behindNginx = (edit = (text) => text, more = {}) => ({
  front: nginx, account: NOBODY, recipe: "nginx.conf", gateway: "socket", sidecar: true, edit, ...more,
});

describe("the doctor", { concurrency: 8 }, () => {
  on("a good host has no trouble, and its facts are those of the account that serves", ours(), async (host) => {
    const report = await examine(host, "--parallel", "20");
    none(report, FRONT);
    none(report, ["cgi", "mod-fcgid", "no-sidecar", "no-locks", "disk-full", "directory"]);
    for (const subject of ["gateway", "headers", "time-out", "parallel", "body", "websocket", "locks", "background"])
      assert.ok(report.findings.some((finding) => finding.subject === subject && finding.level === "ok"), subject);
    assert.deepEqual(report.changes, []);
    assert.match(report.findings.find(({ subject }) => subject === "background").text, /FastCGI/);
  });

  on("nginx with its recipe has none either", behindNginx(), async (host) => none(await examine(host), FRONT));

  on("a web server that ends requests early is found, and a shorter hold is written", behindNginx((text) => text.replace("fastcgi_read_timeout 60s", "fastcgi_read_timeout 4s")), async (host) => {
    const report = await examine(host, "--hold", "12s", "--apply");
    assert.ok(report.ids.includes("front-end-timeout"), report.ids.join());
    assert.match(report.text("front-end-timeout"), /ended after \d+\.\d s/);
    const [change] = report.changes;
    assert.deepEqual([change.name, change.now, change.for], ["hold", "25s", "front-end-timeout"]);
    assert.ok(parseInt(change.to, 10) < 10, change.to);
    const conf = readFileSync(join(host.dir, "holdfast.conf"), "utf8");
    assert.match(conf, new RegExp(`^hold = ${change.to}$`, "m"));
    assert.ok(!/^hold = /m.test(readFileSync(join(host.dir, "holdfast.conf.before"), "utf8")));
    // and with it polls are not cut any more
    await host.gateways[0].stop();
    await host.startGateway();
    none(await examine(host), ["front-end-timeout"]);
  });

  on("headers that are taken away are found, each by its name", behindNginx((text) => text.replace("include fastcgi_params;", '$& fastcgi_param HTTP_AUTHORIZATION ""; fastcgi_param HTTP_X_PHOENIX_AUTHTOKEN "";')), async (host) => {
    const report = await examine(host);
    assert.ok(report.ids.includes("authorization-stripped"));
    assert.ok(report.ids.includes("auth-token-stripped"));
  });

  on("Apache keeps Authorization to itself without CGIPassAuth", { front: apache("EVENT", "PROXY", "WSTUNNEL"), account: NOBODY, recipe: "apache-event.conf", gateway: "socket", edit: (text) => text.replaceAll("CGIPassAuth On", "CGIPassAuth Off") }, async (host) => {
    const report = await examine(host);
    assert.ok(report.ids.includes("authorization-stripped"));
    none(report, ["auth-token-stripped", "query-lost", "front-end-timeout"]);
    assert.ok(report.ids.includes("no-sidecar"), "none runs, and that is no trouble");
  });

  on("answers that are held back are noted, behind Apache", { front: apache("EVENT", "PROXY", "WSTUNNEL"), account: NOBODY, recipe: "apache-event.conf", gateway: "socket" }, async (host) => {
    const report = await examine(host);
    assert.ok(report.ids.includes("buffered"), report.ids.join());
    assert.equal(report.findings.find(({ id }) => id === "buffered").level, "note");
    none(report, FRONT);
  });

  on("and nginx passes them on", behindNginx(), async (host) => none(await examine(host), ["buffered"]));

  on("a query that is lost on the way is found", behindNginx((text) => text.replace("include fastcgi_params;", 'fastcgi_param QUERY_STRING ""; $&')), async (host) => {
    assert.ok((await examine(host)).ids.includes("query-lost"));
  });

  on("a small limit of bodies is found", behindNginx((text) => text.replace("client_max_body_size 8m", "client_max_body_size 100k")), async (host) => {
    const report = await examine(host);
    assert.ok(report.ids.includes("body-limit"));
    assert.match(report.text("body-limit"), /413/);
  });

  on("a site that is asked for by another name is found, and that its pages are refused", behindNginx((text) => text.replace("include fastcgi_params;", "fastcgi_param HTTP_HOST inner.example; $&")), async (host) => {
    const report = await examine(host);
    assert.ok(report.ids.includes("host-changed"));
    assert.ok(report.ids.includes("origin-refused"));
    assert.equal(report.verdict, "problem");
  });

  on("WebSockets that do not reach the side-car are found", ours((text) => text.replace('"upgrade" => "enable"', '"upgrade" => "disable"')), async (host) => {
    const report = await examine(host);
    assert.ok(report.ids.includes("no-upgrade"), report.ids.join());
    none(report, ["no-sidecar", "upgrade-hangs"]);
  });

  on("and those that are swallowed", { front: haproxy, recipe: "haproxy.cfg", paths: () => ({ "bind :80": "bind 127.0.0.1:@PORT@" }), gateway: "socket", sidecar: true, edit: (text) => text.replace("    use_backend holdfast-sockets", "    http-request silent-drop if { hdr(Upgrade) -i websocket }\n$&") }, async (host) => {
    assert.ok((await examine(host)).ids.includes("upgrade-hangs"));
  });

  on("haproxy with its recipe has no trouble", { front: haproxy, recipe: "haproxy.cfg", paths: () => ({ "bind :80": "bind 127.0.0.1:@PORT@" }), gateway: "socket", sidecar: true }, async (host) => none(await examine(host), FRONT));

  on("a host that allows three requests at once is found, and what to do", { front: haproxy, recipe: "haproxy.cfg", paths: () => ({ "bind :80": "bind 127.0.0.1:@PORT@" }), gateway: "socket", edit: (text) => text.replace("use_backend holdfast-polls if", "http-request deny deny_status 503 if { be_conn(holdfast-polls) ge 3 }\n    $&") }, async (host) => {
    const report = await examine(host, "--parallel", "12");
    assert.ok(report.ids.includes("request-limit"), report.ids.join());
    assert.match(report.text("request-limit"), /of 12 at once \d were served, the others got 503/);
    const names = report.changes.map(({ name }) => name);
    assert.ok(names.includes("held_first") && names.includes("max_held"), names.join());
    none(await examine(host), ["request-limit"]); // which it does not look for unasked
  });

  on("one that lets them wait for each other is found", { front: haproxy, recipe: "haproxy.cfg", paths: () => ({ "bind :80": "bind 127.0.0.1:@PORT@" }), gateway: "socket", edit: (text) => text.replace(/^(    server gateway .*)$/m, "    timeout queue 30s\n$1 maxconn 2") }, async (host) => {
    const report = await examine(host, "--parallel", "6");
    assert.ok(report.ids.includes("requests-wait"), report.ids.join());
  });

  on("plain CGI is noted, and all else works", { front: lighttpd, recipe: "lighttpd-cgi.conf", files: ["holdfast.cgi"], gateway: "cgi" }, async (host) => {
    const report = await examine(host);
    assert.ok(report.ids.includes("cgi"));
    none(report, FRONT);
    assert.match(report.findings.find(({ subject }) => subject === "background").text, /CGI/);
  });

  on("mod_fcgid is noted, and its limit of bodies found", { front: apache("PREFORK", "FCGID"), account: NOBODY, recipe: "apache-fcgid.conf" }, async (host) => {
    const report = await examine(host);
    assert.ok(report.ids.includes("mod-fcgid"), report.ids.join());
    assert.ok(report.ids.includes("body-limit"), report.ids.join());
    none(report, FRONT.filter((id) => id !== "body-limit"));
  });

  on("a gateway that is away, or elsewhere, is found", ours(), async (host) => {
    await host.gateways[0].stop();
    const report = await examine(host);
    assert.deepEqual(report.ids, ["not-reached"]);
    assert.match(report.text("not-reached"), /50\d/);
  });

  // --- who may ask -----------------------------------------------------------

  on("without the owner's key nothing is answered and nothing is changed", ours(), async (host) => {
    const before = readFileSync(join(host.dir, "holdfast.conf"), "utf8");
    for (const question of ["facts", "echo", "hold", "trickle", "judge", "apply", "else"])
      for (const key of ["", "A".repeat(43)]) {
        const answer = await request({
          port: host.port, method: "POST", path: `/socket/doctor/${question}?k=${key}`, body: `k=${key}&ms=20000&changes=hold%3D3`,
          headers: { "content-type": "application/x-www-form-urlencoded" },
        });
        assert.equal(answer.status, 403, question);
        assert.equal(answer.headers["access-control-allow-origin"], undefined);
      }
    assert.equal(readFileSync(join(host.dir, "holdfast.conf"), "utf8"), before);
  });

  on("what is asked is bounded, and other settings are not to be changed", ours(), async (host) => {
    const key = (await host.holdfast("doctor", "--page")).match(/k=([\w-]{43})\n$/)[1];
    const ask = (question, body, size) =>
      request({ port: host.port, method: "POST", path: `/socket/doctor/${question}?k=${key}`, body: body.padEnd(size ?? 0), headers: { "content-type": "application/x-www-form-urlencoded" } });
    assert.equal((await ask("judge", "measured=%5B%5D")).status, 400);
    assert.equal((await ask("judge", "measured=nothing")).status, 400);
    assert.equal((await ask("judge", "measured=%7B%7D")).status, 200);
    assert.equal((await ask("judge", "measured=", 5000)).status, 413);
    assert.equal((await ask("nothing", "")).status, 404);
    assert.equal((await ask("hold", "ms=99999999")).body, '{"held":0}');
    for (const changes of ["", "mount=9", "hold=0", "hold=99", "hold=-1", "holding=3", "hook_url=1"])
      assert.equal((await ask("apply", `changes=${encodeURIComponent(changes)}`)).status, 400, changes);
    assert.equal((await ask("apply", "changes=hold%3D9%2Cmount%3D3")).status, 200);
    const conf = readFileSync(join(host.dir, "holdfast.conf"), "utf8");
    assert.match(conf, /^hold = 9s$/m);
    assert.ok(!/^mount = /m.test(conf));
  });

  on("a directory that cannot be opened is explained to who has uploaded the file", { front: lighttpd, recipe: "lighttpd-cgi.conf", files: ["holdfast.cgi"], gateway: "cgi" }, async (host) => {
    const ask = (path, form) =>
      request({ port: host.port, method: form ? "POST" : "GET", path: `/socket/${path}`, body: form && new URLSearchParams(form).toString(), headers: { "content-type": "application/x-www-form-urlencoded", origin: `http://127.0.0.1:${host.port}`, host: `127.0.0.1:${host.port}` } });
    chmodSync(host.dir, 0o755);
    const page = (await ask("doctor")).body;
    const k = /name="k" value="([\w-]{43})"/.exec(page)[1];
    const name = /holdfast-[0-9a-f]{32}\.txt/.exec(page)[0];
    assert.equal((await ask("doctor/facts", { k })).status, 403, "before the file is there");
    // beside the program, which the script names: that is where the owner's files are
    const refused = await ask("doctor", { k, shown: "yes" });
    assert.match(refused.body, /<h2>Show that this site is yours/);
    writeFileSync(host.path(`www/${name}`), "");
    const shown = await ask("doctor", { k, shown: "yes" });
    assert.match(shown.body, /cannot be opened/);
    const facts = JSON.parse((await ask("doctor/facts", { k })).body);
    assert.ok(facts.findings.some(({ id }) => id === "directory"));
    assert.equal(facts.verdict, "problem");
    chmodSync(host.dir, 0o700);
  });

  // --- the page --------------------------------------------------------------

  on("the page says the same in a browser, on a small screen, and writes the settings", behindNginx((text) => text.replace("fastcgi_read_timeout 60s", "fastcgi_read_timeout 4s")), async (host) => {
    const path = (await host.holdfast("doctor", "--page")).trim();
    const browser = await launch();
    try {
      const page = await browser.newPage({ viewport: { width: 360, height: 640 } });
      const errors = [];
      page.on("pageerror", (error) => errors.push(String(error)));
      page.on("console", (line) => line.text().includes("Content Security Policy") && errors.push(line.text()));
      await page.goto(`http://127.0.0.1:${host.port}${path}`);
      await page.click("form button");
      await page.waitForSelector("body[data-done]", { timeout: 90000 });
      const ids = await page.$$eval("#findings li", (items) => items.map((item) => item.dataset.id).filter(Boolean));
      assert.ok(ids.includes("front-end-timeout"), ids.join());
      none({ findings: ids.map((id) => ({ id })) }, FRONT.filter((id) => id !== "front-end-timeout"));
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 360), "no scrolling sideways");
      assert.match(await page.textContent("#diff"), /- hold = 25s\n\+ hold = \ds/);
      await page.click("#apply");
      await until(20000, "the settings are written", () => /^hold = \ds$/m.test(readFileSync(join(host.dir, "holdfast.conf"), "utf8")));
      assert.deepEqual(errors, []);
      const asked = await page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name));
      assert.ok(asked.some((url) => url.includes("/doctor/judge")), asked.join());
      const key = /k=(.*)/.exec(path)[1];
      assert.ok(!asked.some((url) => url.includes(key)), "the key is in an access log only once, with the page");
    } finally {
      await browser.close();
    }
  });
});

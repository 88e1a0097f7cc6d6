// The recipes for Apache in docs/hosts, around the real programs: for who has a
// server of their own, and for who has nothing but .htaccess under somebody
// else's. What is checked of all hosts stands in lib/host_checks.js.
import { describe } from "node:test";
import assert from "node:assert/strict";
import { checkHost } from "./lib/host_checks.js";
import { fcgid } from "./lib/fcgid.js";
import { apache, NOBODY } from "./lib/hosts.js";
import { request } from "./lib/http.js";
import { freePort } from "./lib/server.js";

async function hidesItsFiles(host) {
  for (const name of [".htholdfast", ".htaccess"]) {
    const { status } = await request({ port: host.port, path: `/${name}` });
    assert.equal(status, 403, name);
  }
}

const hides = (_, check) => check("nobody is shown where the journal is", hidesItsFiles);
const port = await freePort();
const known = await freePort();

// They do little but wait: at once.
describe("Apache", { concurrency: true }, () => {
  checkHost({
    name: "event with a gateway on a socket and a side-car",
    front: apache("EVENT", "PROXY", "WSTUNNEL"),
    account: NOBODY,
    recipe: "apache-event.conf",
    gateway: "socket",
    sidecar: true,
  });

  // Which module carries them differs from host to host.
  for (const [module, parts] of [
    ["mod_proxy_http alone", []],
    ["mod_proxy_wstunnel", ["WSTUNNEL", "TUNNELS"]],
  ])
    checkHost({
      name: `event, and WebSockets by ${module}`,
      front: apache("EVENT", "PROXY", ...parts),
      account: NOBODY,
      recipe: "apache-event.conf",
      gateway: "socket",
      sidecar: true,
      only: "sockets",
    });

  checkHost({
    name: "event, and WebSockets by upgrade=websocket",
    front: apache("EVENT", "PROXY"),
    account: NOBODY,
    recipe: "apache-event.conf",
    edit: (text) => text.replace(/\|ws:(.*) retry=0/, "|http:$1 upgrade=websocket retry=0"),
    gateway: "socket",
    sidecar: true,
    only: "sockets",
  });

  checkHost({
    ...fcgid,
    name: "prefork with gateways that mod_fcgid starts",
    front: apache("PREFORK", "FCGID"),
    account: NOBODY,
    recipe: "apache-fcgid.conf",
  });

  checkHost({
    name: "event with plain CGI",
    front: apache("EVENT", "CGI"),
    account: NOBODY,
    recipe: "apache-cgi.conf",
    gateway: "cgi",
    holds: { stock: 5, ours: 5 },
  });

  checkHost(
    {
      ...fcgid,
      name: ".htaccess: mod_fcgid, and WebSockets by the socket of a side-car",
      front: apache("EVENT", "FCGID", "PROXY", "WSTUNNEL"),
      account: NOBODY,
      htaccess: ["htaccess-fcgid", "htaccess-websocket"],
      // what its comment says of hosts where Apache runs as the user
      paths: (host) => ({ "ws://127.0.0.1:4000/": `unix:${host.dir}/sidecar.sock|ws://%{HTTP_HOST}/` }),
      program: "www/holdfast.fcgi",
      endpoint: "/holdfast.fcgi",
      sidecar: true,
    },
    hides,
  );

  checkHost({
    name: ".htaccess: a gateway on a socket, and WebSockets by the port of a side-car",
    front: apache("EVENT", "PROXY", "WSTUNNEL"),
    account: NOBODY,
    htaccess: ["htaccess-socket", "htaccess-websocket"],
    paths: () => ({ "127.0.0.1:4000": `127.0.0.1:${port}` }),
    conf: { http: { origins: "www.example.com" }, sidecar: { listen: `127.0.0.1:${port}` } },
    gateway: "socket",
    sidecar: port,
    anonymous: true,
  });

  // As docs/HOSTING.md says under "Whose address".
  checkHost({
    name: "event, and WebSockets by a port, with proxy_secret",
    front: apache("EVENT", "PROXY", "HEADERS"),
    account: NOBODY,
    recipe: "apache-event.conf",
    edit: (text) =>
      text.replace(
        /"unix:[^|]*sidecar.sock\|ws:\/\/localhost(.*)$/m,
        `"ws://127.0.0.1:${known}$1\n    RequestHeader set X-Holdfast-Proxy "some secret text"`,
      ),
    conf: { sidecar: { listen: `127.0.0.1:${known}`, proxy_secret: "some secret text" } },
    gateway: "socket",
    sidecar: known,
    only: "sockets",
  });

  checkHost(
    {
      name: ".htaccess: plain CGI",
      front: apache("PREFORK", "CGI"),
      account: NOBODY,
      htaccess: ["htaccess-cgi"],
      program: "www/holdfast.cgi",
      endpoint: "/holdfast.cgi",
      gateway: "cgi",
      holds: { stock: 5, ours: 5 },
    },
    hides,
  );
});

// The recipes for lighttpd in docs/hosts, each around the real programs; what is
// checked of all of them stands in lib/host_checks.js.
import { describe } from "node:test";
import { checkHost } from "./lib/host_checks.js";
import { lighttpd } from "./lib/hosts.js";

// They do little but wait: at once.
describe("lighttpd", { concurrency: true }, () => {
  checkHost({
    name: "with a gateway on a socket and a side-car",
    front: lighttpd,
    recipe: "lighttpd.conf",
    gateway: "socket",
    sidecar: true,
  });

  checkHost({
    name: "with a gateway that it starts",
    front: lighttpd,
    recipe: "lighttpd-spawn.conf",
    gateway: "spawned",
  });

  checkHost({
    name: "with four gateways that it starts",
    front: lighttpd,
    recipe: "lighttpd-spawn.conf",
    edit: (text) => text.replace('"max-procs" => 1', '"max-procs" => 4'),
    gateway: "spawned",
    processes: true,
  });

  checkHost({
    name: "with plain CGI",
    front: lighttpd,
    recipe: "lighttpd-cgi.conf",
    files: ["holdfast.cgi"],
    gateway: "cgi",
    holds: { stock: 5, ours: 5 },
  });
});

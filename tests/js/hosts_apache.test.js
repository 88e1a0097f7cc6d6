// The recipes for who has an Apache of their own, around the real programs;
// what is checked of all hosts stands in lib/host_checks.js.
import { describe } from "node:test";
import { checkHost } from "./lib/host_checks.js";
import { fcgid } from "./lib/fcgid.js";
import { apache, NOBODY } from "./lib/hosts.js";

// They do little but wait: at once.
describe("Apache", { concurrency: true }, () => {
  checkHost({
    name: "event with a gateway on a socket and a side-car",
    front: apache("EVENT", "PROXY"),
    account: NOBODY,
    recipe: "apache-event.conf",
    gateway: "socket",
    sidecar: true,
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
});

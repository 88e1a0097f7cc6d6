// The recipe for nginx in docs/hosts, around the real programs; what is checked
// of all hosts stands in lib/host_checks.js.
import { checkHost } from "./lib/host_checks.js";
import { nginx, NOBODY } from "./lib/hosts.js";

checkHost({
  name: "nginx with a gateway on a socket and a side-car",
  front: nginx,
  account: NOBODY,
  recipe: "nginx.conf",
  gateway: "socket",
  sidecar: true,
});

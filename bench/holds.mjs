// holds.mjs - a site beside a chat on a shared host that refuses the 21st
// dynamic request at once: what the site's visitors and the chat's clients see
//
//     HOLDFAST_BIN=build node bench/holds.mjs [--clients 5,50,500]
//         [--mix ours,half,stock] [--control] [--check] [--json FILE]
//         [--window SECONDS] [--settle SECONDS]
//
// Nine runs, a little under three minutes each: so many clients, all of them
// www/holdfast.js, every other one, or none (those are the npm package phoenix).
// See tests/js/lib/simulation.js for what happens in a run. --control: with the
// budget told that the host allows a thousand. --check: exit code 1 if a run is
// not as it should be (with --control: if it is). --json: for holds_plot.mjs.
// The npm packages of tests/js are needed, haproxy, lighttpd and php-cgi.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { MIXES, simulate, UNBOUNDED } from "../tests/js/lib/simulation.js";

const { values } = parseArgs({
  options: {
    clients: { type: "string", default: "5,50,500" },
    mix: { type: "string", default: MIXES.join(",") },
    control: { type: "boolean", default: false },
    check: { type: "boolean", default: false },
    json: { type: "string" },
    window: { type: "string", default: "60" },
    settle: { type: "string", default: "60" },
  },
});

function faults({ site, wrong, late, filesRefused, neverAdmitted, chat }) {
  const found = [...wrong.slice(0, 5), ...late.slice(0, 5).map((name) => `${name} did not catch up`)];
  const must = (holds, text) => holds || found.push(text);
  must(site.beside.refusedShare < 0.001, `${site.beside.refused} of ${site.beside.asked} pages were refused`);
  must(site.p95Ratio <= 2, `the site's p95 is ${site.p95Ratio.toFixed(2)} times that without chat`);
  must(filesRefused === 0, `${filesRefused} files were refused`);
  must(neverAdmitted.ours === 0, `${neverAdmitted.ours} of our clients were never admitted`);
  must(chat.failed === 0, `${chat.failed} requests of the chat failed`);
  return found;
}

const each = (n) => (n === null ? "-" : n.toFixed(3));
const percent = (part) => `${(part * 100).toFixed(0)} %`;
const heads = [
  "clients", "mix", "pages refused", "their p95", "held", "polls a client and s, ours", "stock", "a row takes (p50, p95), ours",
  "stock", "polls a s", "refused", "connected", "CPU of the chat", "of its clients",
];
const time = (delay) => (delay ? `${delay.p50}, ${delay.p95} ms` : "-");

function row(r) {
  const { site, chat, delays, connected, cpu, held } = r;
  const perClient = chat.pollsPerClientAndSecond;
  return [
    r.clients, r.mix, `${site.beside.refused} of ${site.beside.asked}`, `${site.alone.p95} -> ${site.beside.p95} ms`, held.toFixed(1),
    each(perClient.ours), each(perClient.stock), time(delays.ours), time(delays.stock),
    chat.pollsPerSecond.toFixed(1), chat.pollsRefused + chat.postsRefused, connected.ours + connected.stock,
    percent(cpu.programsBeside - cpu.programsAlone), percent(cpu.crowd),
  ];
}
const line = (cells) => console.log(`| ${cells.join(" | ")} |`);

let bad = 0;
const results = [];
line(heads);
line(heads.map(() => "---"));
for (const clients of values.clients.split(",").map(Number)) {
  for (const mix of values.mix.split(",")) {
    const result = await simulate({
      clients,
      mix,
      conf: values.control ? UNBOUNDED : {},
      times: { window: Number(values.window), settle: Number(values.settle) },
    });
    results.push(result);
    line(row(result));
    const found = faults(result);
    if (values.control ? found.length === 0 : found.length > 0) bad++;
    for (const text of found) console.log(`  ${values.control ? "as it should be" : "FAULT"}: ${text}`);
    if (values.json) writeFileSync(values.json, JSON.stringify(results));
  }
}
process.exit(values.check && bad > 0 ? 1 : 0);

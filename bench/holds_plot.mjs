// holds_plot.mjs - the picture of docs/HOLDS.md, of what holds.mjs measured
//
//     node bench/holds_plot.mjs RUNS.json [CONTROL.json] >docs/holds.svg
//
// A panel for each run: above what was under way, of the most that the host
// allows; below polls a second. A row of panels for each number of clients, a
// column for each mix, and a last row for the runs of CONTROL.json.
import { readFileSync } from "node:fs";

const PANEL = { width: 290, gap: 30, above: 110, below: 34, head: 26, row: 212 };
const LEFT = 44;
const TOP = 84;
const MIXES = { ours: "all ours", half: "half stock", stock: "all stock" };

const [file, controlFile] = process.argv.slice(2);
if (!file) {
  console.error("usage: holds_plot.mjs RUNS.json [CONTROL.json]");
  process.exit(2);
}
const runs = JSON.parse(readFileSync(file, "utf8"));
const control = controlFile ? JSON.parse(readFileSync(controlFile, "utf8")) : [];

const STYLE = `
  svg { --ink: #1f2328; --faint: #8b949e; --grid: #d8dee4; --held: #9ec5f4; --busy: #3572b0;
        --budget: #b35900; --refused: #cf222e; --paper: #ffffff; --phase: #f3f5f7; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e6edf3; --faint: #8b949e; --grid: #30363d; --held: #1f4a7d; --busy: #6cb0ff;
          --budget: #f0a04b; --refused: #ff6b63; --paper: #0d1117; --phase: #161b22; } }
  .paper { fill: var(--paper) } .phase { fill: var(--phase) }
  text { font: 11px system-ui, sans-serif; fill: var(--ink) }
  .title { font-size: 13px; font-weight: 600 } .faint { fill: var(--faint) }
  .right { text-anchor: end } .middle { text-anchor: middle }
  .grid { stroke: var(--grid) } .limit { stroke: var(--ink); stroke-dasharray: 4 3 }
  .held { fill: var(--held) } .busy { fill: none; stroke: var(--busy) }
  .budget { fill: none; stroke: var(--budget); stroke-width: 1.6 }
  .refused { stroke: var(--refused); stroke-width: 1.5 } .rate { fill: none; stroke: var(--busy) }`;

const round = (n) => Math.round(n * 10) / 10;
const points = (list) => list.map(([x, y]) => `${round(x)},${round(y)}`).join(" ");

function axis(x, y, height, top, marks) {
  return marks.map((value) => {
    const at = round(y + height - (value / top) * height);
    return `<line class="grid" x1="${x}" x2="${x + PANEL.width}" y1="${at}" y2="${at}"/>
      <text class="faint right" x="${x - 5}" y="${at + 4}">${value}</text>`;
  }).join("");
}

// 1, 2, 5, 10, ... at or above
function nice(most) {
  for (let step = 1; ; step *= 10)
    for (const times of [1, 2, 5]) if (times * step >= most) return times * step;
}

function panel(run, x, y) {
  const { timeline: seconds, limit, site, cameAt, from, chat } = run;
  const { width, above, below } = PANEL;
  const toX = (at) => x + (at / seconds.length) * width;
  const top = limit + 4;
  const toY = (n) => y + above - (Math.min(n, top) / top) * above;
  const rateY = y + above + 16;
  const rateTop = nice(Math.max(...seconds.map(({ polls }) => polls)));
  const rates = seconds.map(({ at, polls }) => [toX(at + 0.5), rateY + below - (polls / rateTop) * below]);
  const held = seconds.map(({ at, held: n }) => [toX(at + 0.5), toY(n)]);
  const known = seconds.filter(({ budget }) => budget !== undefined);
  const refused = (name, y1, y2) =>
    seconds.filter((s) => s[name] > 0).map(({ at }) => `M${round(toX(at + 0.5))} ${y1}V${y2}`).join("");
  return `<rect class="phase" x="${round(toX(from))}" y="${y}" width="${round(x + width - toX(from))}" height="${above + 16 + below}"/>
    ${axis(x, y, above, top, [0, 10, 20].filter((n) => n <= top))}
    <line class="limit" x1="${x}" x2="${x + width}" y1="${round(toY(limit))}" y2="${round(toY(limit))}"/>
    <polygon class="held" points="${points([[held[0][0], toY(0)], ...held, [held.at(-1)[0], toY(0)]])}"/>
    <polyline class="busy" points="${points(seconds.map(({ at, busy }) => [toX(at + 0.5), toY(busy)]))}"/>
    ${known.length ? `<polyline class="budget" points="${points(known.map(({ at, budget }) => [toX(at + 0.5), toY(budget)]))}"/>` : ""}
    <path class="refused" d="${refused("siteRefused", y - 8, y + 4)}"/>
    ${axis(x, rateY, below, rateTop, [0, rateTop])}
    <polyline class="rate" points="${points(rates)}"/>
    <line class="grid" x1="${round(toX(cameAt))}" x2="${round(toX(cameAt))}" y1="${y}" y2="${rateY + below}"/>
    <text class="faint" x="${x}" y="${rateY + below + 14}">${site.beside.refused} of ${site.beside.asked} pages refused, p95
      ${site.alone.p95} → ${site.beside.p95} ms, ${chat.pollsPerSecond.toFixed(0)} polls/s</text>`;
}

function legend(x, y) {
  const entries = [
    [`<rect class="held" x="0" y="-8" width="16" height="9"/>`, "polls that are held", 140],
    [`<line class="busy" x1="0" x2="16" y1="-4" y2="-4"/>`, "all requests under way, pages too", 228],
    [`<line class="budget" x1="0" x2="16" y1="-4" y2="-4"/>`, "the budget", 100],
    [`<line class="limit" x1="0" x2="16" y1="-4" y2="-4"/>`, "what the host allows", 152],
    [`<line class="refused" x1="8" x2="8" y1="-10" y2="2"/>`, "a second in which a page was refused", 242],
    [`<rect class="phase" x="0" y="-9" width="16" height="11"/>`, "counted", 80],
  ];
  let at = x;
  return entries.map(([sign, text, width]) => {
    const drawn = `<g transform="translate(${at} ${y})">${sign}<text x="22" y="0">${text}</text></g>`;
    at += width;
    return drawn;
  }).join("");
}

const mixes = Object.keys(MIXES).filter((mix) => [...runs, ...control].some((run) => run.mix === mix));
const rows = [...new Set(runs.map(({ clients }) => clients))].map((clients) => ({
  title: `${clients} clients`,
  runs: runs.filter((run) => run.clients === clients),
}));
for (const clients of new Set(control.map((run) => run.clients)))
  rows.push({ title: `${clients} clients, no budget`, runs: control.filter((run) => run.clients === clients) });

const width = LEFT + mixes.length * (PANEL.width + PANEL.gap);
const height = TOP + rows.length * PANEL.row;
const body = rows.map((row, i) =>
  row.runs.map((run) => {
    const x = LEFT + mixes.indexOf(run.mix) * (PANEL.width + PANEL.gap);
    const y = TOP + i * PANEL.row + PANEL.head;
    return `<text class="title" x="${x}" y="${y - 14}">${row.title}, ${MIXES[run.mix]}</text>${panel(run, x, y)}`;
  }).join("\n"),
).join("\n");

console.log(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img"
  aria-label="Requests under way, the budget, refusals and polls a second in ${runs.length + control.length} runs">
<style>${STYLE}</style>
<rect class="paper" width="${width}" height="${height}"/>
<text class="title" x="${LEFT}" y="24">A site and a chat on a host that allows 20 dynamic requests at once</text>
<text class="faint" x="${LEFT}" y="42">Above: requests under way, by the second. Below: polls a second. The clients come at the first upright line.</text>
${legend(LEFT, 64)}
${body}
</svg>`);

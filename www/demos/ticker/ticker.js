// The ticker: a channel, and a chart of what comes over it. Prices are made by
// ticker.php, which knows nothing of channels: it inserts rows into a table.
import { Socket } from "../../holdfast.js";
import { panel } from "../panel.js";
import { options } from "../plug.js";

const KEEP = 120; // ticks in the chart: a minute
const LATE_MS = 2500; // of a tick that was missed, and came after all
const $ = (id) => document.getElementById(id);

const socket = new Socket("/socket", options);
const channel = socket.channel("demo:ticker", { last: KEEP });
panel(socket, channel, "prices");
channel.on("prices", tick);
channel.onGap(() => (ticks = []));
channel.join();
socket.connect();

let ticks = [];
let fastest = Infinity; // way of a tick, by two clocks that may differ
let chosen;
let frame = null;

function tick({ at, prices }) {
  const way = Date.now() - at;
  fastest = Math.min(fastest, way);
  ticks = [...ticks, { at, prices, late: way - fastest > LATE_MS }].slice(-KEEP);
  if (!chosen) offer(Object.keys(prices));
  frame ??= requestAnimationFrame(draw); // once for many that come together
}

// --- the list ----------------------------------------------------------------

function offer(names) {
  for (const name of names) {
    const row = document.createElement("label");
    row.innerHTML = `<input type="radio" name="chosen"><b></b>
      <svg preserveAspectRatio="none" aria-hidden="true"><path/></svg>
      <span class="price"></span><span class="change"></span>`;
    row.dataset.name = row.querySelector("b").textContent = name;
    row.querySelector("input").addEventListener("change", () => draw((chosen = name)));
    $("list").append(row);
  }
  $("list").querySelector("input").checked = chosen = names[0];
}

// --- the chart -----------------------------------------------------------------

function draw() {
  frame = null;
  for (const row of $("list").children) {
    const of = series(row.dataset.name);
    row.dataset.way = of.change < 0 ? "down" : "up";
    row.querySelector("svg").setAttribute("viewBox", box(of.points));
    row.querySelector("path").setAttribute("d", path(of.points));
    row.querySelector(".price").textContent = of.now.toFixed(2);
    row.querySelector(".change").textContent = percent(of.change);
    if (row.dataset.name === chosen) drawChosen(of);
  }
}

function drawChosen({ points, now, change, low, high }) {
  const late = points.filter((_, i) => ticks[i].late || ticks[i + 1]?.late);
  const span = Math.round((ticks.at(-1).at - ticks[0].at) / 1000);
  $("chart").dataset.way = change < 0 ? "down" : "up";
  $("name").textContent = chosen;
  $("price").textContent = now.toFixed(2);
  $("change").textContent = percent(change);
  $("lines").ariaLabel = `${chosen}: ${now.toFixed(2)}, ${percent(change)} in ${span} seconds`;
  $("high").textContent = high.toFixed(2);
  $("low").textContent = low.toFixed(2);
  $("span").textContent = `${span} s ago`;
  $("lines").setAttribute("viewBox", box(points));
  $("line").setAttribute("d", path(points));
  $("area").setAttribute("d", `${path(points)}V100H0Z`);
  $("late").setAttribute("d", path(late));
  $("dot").style.top = `${points.at(-1)[1]}%`;
  $("caught").hidden = late.length === 0;
}

/** A name's prices as points, the oldest at the left. */
function series(name) {
  const prices = ticks.map((tick) => tick.prices[name]);
  const low = Math.min(...prices);
  const high = Math.max(...prices);
  const y = (price) => (high > low ? 94 - (88 * (price - low)) / (high - low) : 50);
  const points = prices.map((price, x) => [x, y(price)]);
  const now = prices.at(-1);
  return { points, low, high, now, change: now / prices[0] - 1 };
}

function box(points) {
  return `0 0 ${Math.max(points.length - 1, 1)} 100`;
}

/** A line through points; a hole between two that are no neighbours. */
function path(points) {
  return points
    .map(([x, y], i) => `${x === points[i - 1]?.[0] + 1 ? "L" : "M"}${x} ${y.toFixed(1)}`)
    .join("");
}

function percent(change) {
  return `${change < 0 ? "▼" : "▲"} ${Math.abs(100 * change).toFixed(2)} %`;
}

/**
 * panel.js - beside every demo: the two plugs, and what a pulled one does
 *
 *     panel(socket, channel, "message");
 *
 * It fills the page's #status and #panel. That nothing is lost is not claimed
 * but looked up: when the connection is back, and every ten seconds in which
 * something came, what the page was called with is compared with what the
 * journal holds, asked for by plain HTTP.
 */
import { isPulled, pull } from "./plug.js";

const NAMES = { websocket: "WebSocket", longpoll: "Long-poll" };
const WORDS = { closed: "Not connected", connecting: "Connecting…", waiting: "Reconnecting…" };
const SETTLE_MS = 1500; // what was missed has arrived by then
const COMPARE_MS = 10000;
const $ = (selector) => document.querySelector(selector);

const PLUG = (name, title) => `
  <button type="button" role="switch" data-plug="${name}">
    <svg viewBox="0 0 24 24" aria-hidden="true">
      <path d="M9 3v6m6-6v6M6 9h12v3a6 6 0 0 1-12 0zm6 9v4"/>
    </svg>
    <span><b>${title}</b> <small></small></span>
    <i aria-hidden="true"></i>
  </button>`;

const HTML = `
  <section class="plugs card" aria-labelledby="plugs">
    <h2 id="plugs">Pull a plug</h2>
    ${PLUG("websocket", "WebSocket")}${PLUG("longpoll", "Long-poll")}
    <p>Without one the page goes on by the other. Without both it waits, and
      catches up.</p>
  </section>
  <details class="card">
    <summary>What happens here</summary>
    <dl id="tally">
      <div><dt>arrived</dt><dd id="arrived">0</dd></div>
      <div><dt>lost</dt><dd id="lost">–</dd></div>
      <div><dt>twice</dt><dd id="twice">–</dd></div>
    </dl>
    <p><span id="verdict">Not yet compared with the journal.</span>
      <button type="button" id="compare">Compare now</button></p>
    <ol id="changes" aria-label="Changes of the connection"></ol>
  </details>`;

export function panel(socket, channel, event) {
  $("#panel").innerHTML = HTML;
  $("#panel details").open = matchMedia("(min-width: 56rem)").matches;
  const compare = comparison(socket, channel, event);
  let timer;

  socket.onChange((state, reason, transport) => {
    show(state, transport);
    log(state, reason, transport);
    clearTimeout(timer);
    if (state === "open") timer = setTimeout(compare, SETTLE_MS);
  });
  for (const button of document.querySelectorAll("[data-plug]")) {
    button.addEventListener("click", () => {
      pull(button.dataset.plug, !isPulled(button.dataset.plug));
      show(socket.state, socket.transportName);
    });
  }
  show(socket.state, socket.transportName);
}

function show(state, transport) {
  $("#status").dataset.state = state;
  $("#status").textContent = WORDS[state] ?? `Live · ${NAMES[transport]}`;
  for (const button of document.querySelectorAll("[data-plug]")) {
    const { plug } = button.dataset;
    const used = state === "open" && plug === transport ? "in use" : "ready";
    button.ariaChecked = String(!isPulled(plug));
    button.querySelector("small").textContent = isPulled(plug) ? "pulled" : used;
  }
}

/** What came of it, with the reason that began it. */
let why = null;

function log(state, reason, transport) {
  const first = why === null;
  why ??= reason;
  if (state === "connecting" || (state !== "open" && !first)) return;
  const item = document.createElement("li");
  item.innerHTML = "<time></time> <b></b> <span></span>";
  const what = state === "open" ? `${NAMES[transport]} is live` : "No connection";
  const now = new Date().toLocaleTimeString([], { timeStyle: "medium" });
  item.querySelector("time").textContent = now;
  item.querySelector("b").textContent = what;
  item.querySelector("span").textContent = `${why.text} (${why.number})`;
  $("#changes").prepend(item);
  if ($("#changes").childElementCount > 20) $("#changes").lastElementChild.remove();
  if (state === "open") why = null;
}

/** The cursors the page was called with, against those in the journal. */
function comparison(socket, channel, event) {
  const count = { arrived: 0, compared: 0, lost: 0, twice: 0 };
  let from = null; // compared up to here
  let here = []; // what came since, in its order
  let running = false;

  channel.on(event, (_payload, cursor) => {
    here.push(cursor);
    $("#arrived").textContent = ++count.arrived;
  });
  socket.onMessage(({ topic, payload }) => {
    if (topic === channel.topic) from ??= payload?.response?.cursor ?? null;
  });
  channel.onGap(({ cursor }) => {
    from = cursor;
    here = [];
  });

  async function compare() {
    if (running || from === null) return;
    if (here.length === 0) return report(true);
    running = true;
    try {
      const upTo = here.at(-1);
      const kept = await journal(channel.topic, event, from, upTo);
      const came = here.splice(0, here.indexOf(upTo) + 1);
      const once = new Set(came);
      count.compared += kept.length;
      count.lost += kept.filter((cursor) => !once.has(cursor)).length;
      count.twice += came.length - once.size;
      from = upTo;
      report(kept.join() === came.join());
    } catch (error) {
      $("#verdict").textContent = `The journal could not be asked: ${error.message}.`;
    }
    running = false;
  }

  function report(same) {
    $("#lost").textContent = count.lost;
    $("#twice").textContent = count.twice;
    $("#verdict").textContent = count.compared === 0
      ? "Nothing has come that could be compared."
      : same
      ? `The journal has the same ${count.compared}, in the same order.`
      : "That is not what the journal has: please tell us.";
  }

  $("#compare").addEventListener("click", compare);
  setInterval(() => here.length > 0 && compare(), COMPARE_MS);
  return compare;
}

/** Cursors of the topic's rows after `from`, up to `upTo`; past the plugs. */
async function journal(topic, event, from, upTo) {
  const cursors = [];
  for (let since = from; !cursors.includes(upTo); ) {
    const query = new URLSearchParams({ topic, since, hold: 0 });
    const answer = await (await fetch(`/socket/events?${query}`)).json();
    if (answer.gap) throw new Error("it keeps them no more");
    if (answer.error) throw new Error(answer.error.message);
    for (const row of answer.messages) {
      if (row.event === event) cursors.push(row.cursor);
      if (row.cursor === upTo) return cursors;
    }
    if (!answer.more) throw new Error("it knows nothing of the newest");
    since = answer.cursor;
  }
  return cursors;
}

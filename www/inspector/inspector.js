// The inspector: what one socket of this site does, as a page. It connects by
// itself, or watches a page that is open in another tab. README.md tells how.
//
// Frames come in by the thousand and from anybody, so: text only ever becomes
// text (no innerHTML); a record keeps a bounded part (record.js); the page is
// drawn once per picture at most, and of the list only the rows in sight.
import { Socket } from "../holdfast.js";
import { Record, redact, visible } from "./record.js";

const $ = (id) => document.getElementById(id);
const NAMES = { websocket: "WebSocket", longpoll: "long-poll" };
const PAGES = 8; // watched at once
const ASK_MS = 5000; // pages are asked what they are so often
const ANSWER_MS = 1000; // one that lives has answered
const GONE_MS = 12000; // without an answer
const CARDS_MS = 250; // the cards are drawn no oftener
const TEXT_MAX = 65536; // chars of a payload that are drawn

// What may help who does not know the words. By the numbers of REASONS.
const HINTS = {
  5: "Something refuses WebSockets, or nothing serves /socket/websocket: the web server's error log says which.",
  6: "The connection opens, but nothing comes back through it. A proxy or a firewall that lets the handshake pass and no more does this.",
  7: "The other side, or something in between, ended it. If it happens after a fixed time, a proxy has a time-out of that length.",
  8: "The connection looked alive, but nothing came through it any more: a network that changed, a machine that slept.",
  9: "Polls are not answered by Holdfast. Open /socket/longpoll?vsn=2.0.0 in a browser: it should show {\"status\":410,...}.",
  12: "The server refuses this page: its host, its origin or its token. The log of the gateway or side-car says which, and what to change.",
  13: "What was sent was not accepted: a proxy swallows POST, or the journal cannot be written (holdfast status).",
  15: "The server is being restarted and has said when to return.",
  23: "The topic's policy does not allow it, or the token does not: holdfast status lists the policies.",
  30: "WebSocket has proved itself in the background, so it is used again.",
  31: "Answers come, but late. A crowded network, or a proxy that collects what it should pass on.",
  32: "WebSocket opened or lived too briefly several times in a row. It is tried again in the background.",
  33: "One direction works and the other does not: typical of a proxy that swallows POST.",
  40: "The server has sent more than arrived. The topic was joined again, and what was missing has been brought.",
  61: "The browser says that there is no network.",
  63: "The page was asked for a token and gave none: look at its own errors.",
};

/** A new element with text in it: whatever the text is, it stays text. */
function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = visible(String(text));
  return element;
}

// Only what has changed is written: the rest need not be laid out again.
function write(element, text) {
  const seen = visible(String(text));
  if (element.textContent !== seen) element.textContent = seen;
}

const pad = (n, digits = 2) => String(n).padStart(digits, "0");
function clockTime(at) {
  const date = new Date(at);
  const ms = pad(date.getMilliseconds(), 3);
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${ms}`;
}
const size = (n) => (n < 1000 ? `${n} B` : n < 1e6 ? `${(n / 1000).toFixed(1)} kB` : `${(n / 1e6).toFixed(1)} MB`);
const length = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : ms < 10000 ? `${(ms / 1000).toFixed(1)} s` : ago(ms));
function ago(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}
const because = (reason) => (reason ? `${reason.text} (${reason.number})` : "–");

// --- what is looked at -------------------------------------------------------

const nothing = new Record("");
let current = nothing;
let own = null; // {socket, record}: our own connection
const pages = new Map(); // name -> {record, title, heard}, of the watched
let watcher = null; // the BroadcastChannel

function look(record) {
  if (record === current) return;
  record.paused = current.paused;
  current = record;
  choose(null);
  rebuild();
  drawPages();
}

// --- by ourselves ------------------------------------------------------------

function connect() {
  disconnect();
  const endpoint = $("endpoint").value.trim();
  const topic = $("topic").value.trim();
  const since = $("since").value.trim();
  const secret = $("token").value.trim();
  const record = new Record(redact(endpoint.split("?")[0]));
  const socket = new Socket(endpoint, {
    transport: $("transport").value || undefined,
    ...(secret ? { authToken: () => secret } : {}),
    tabs: false, // a connection of its own is to be seen
    inspect: false,
    logger: (kind, text, data) => {
      record.take(Date.now(), kind, text, data);
      soon();
    },
  });
  socket.endPointURL(); // throws if it is none
  if (topic) {
    const channel = socket.channel(topic, since ? { since } : {});
    channel.join().receive("error", (answer) => trouble(`not joined: ${answer?.reason ?? "refused"}`));
  }
  own = { socket, record };
  look(record);
  socket.connect();
  write($("where"), `${topic || "No topic"} at ${record.name}`);
  showForm(false);
}

function disconnect() {
  own?.socket.disconnect();
  showForm(true);
}

function showForm(on) {
  $("how").hidden = $("go").hidden = !on;
  $("where").hidden = $("leave").hidden = on;
}

function trouble(text) {
  write($("connect-error"), redact(text));
}

$("connect").addEventListener("submit", (event) => {
  event.preventDefault();
  trouble("");
  try {
    connect();
  } catch (error) {
    trouble(error.message);
  }
  soon();
});
$("leave").addEventListener("click", () => {
  disconnect();
  $("go").focus();
  soon();
});

// --- a page in another tab -----------------------------------------------------

const KEY = "holdfast.inspect";

function allowed() {
  try {
    return Boolean(localStorage[KEY]);
  } catch {
    return false; // the browser keeps nothing for this site
  }
}

function allow(on) {
  try {
    if (on) localStorage[KEY] = "1";
    else delete localStorage[KEY];
  } catch {
    // as it is said below
  }
  $("watching").checked = allowed();
  drawPages();
}

function watch() {
  if (typeof BroadcastChannel === "undefined") return;
  watcher = new BroadcastChannel(KEY);
  watcher.onmessage = ({ data }) => {
    if (Array.isArray(data)) heard(...data);
  };
  ask();
  setInterval(ask, ASK_MS);
}

let askedAt = 0;
function ask() {
  const asked = (askedAt = Date.now());
  if (mode() === "watch" || own === null) watcher.postMessage("?");
  setTimeout(() => succeed(asked), ANSWER_MS);
  drawPages();
}

function heard(name, at, kind, text, data) {
  if (typeof name !== "string" || name.length > 500) return;
  let page = pages.get(name);
  if (!page) {
    if (pages.size >= PAGES && !forget()) return;
    const path = redact(name.replace(/ [\d.e-]+$/, "")).slice(0, 100);
    const title = titleOf(path);
    page = { record: new Record(title), path, title };
    pages.set(name, page);
    if (mode() === "watch" && !pageOf(current)) look(page.record);
    else renew(page);
  }
  const fresh = page.heard === undefined;
  page.heard = Date.now();
  if (fresh) drawPages();
  page.record.take(at, kind, text, data);
  if (page.record === current) soon();
}

/** A page that was loaded again is looked at in its new life, once. */
let heir = null;
function renew(page) {
  if (page.path === pageOf(current)?.path) heir = page;
  if (Date.now() - askedAt > ANSWER_MS) ask();
}

function succeed(asked) {
  const before = pageOf(current);
  // an answer takes longer than no time
  if (heir && before?.path === heir.path && before.heard <= asked && mode() === "watch") {
    look(heir.record);
    heir = null;
  }
  drawPages();
}

// several of one path are told apart by a number
const numbers = new Map();
function titleOf(path) {
  const number = (numbers.get(path) ?? 0) + 1;
  numbers.set(path, number);
  if (numbers.size > 1000) numbers.clear();
  return number > 1 ? `${path} (${number})` : path;
}

const pageOf = (record) => [...pages.values()].find((page) => page.record === record);

/** Room for another page: the one that has been silent for longest goes. */
function forget() {
  const others = [...pages].filter(([, page]) => page.record !== current);
  const [oldest] = others.sort(([, a], [, b]) => a.heard - b.heard);
  return oldest !== undefined && pages.delete(oldest[0]);
}

function drawPages() {
  const list = $("pages");
  const now = Date.now();
  const options = [...pages].map(([name, { title, heard, record }]) => [
    name,
    now - heard > GONE_MS ? `${title}: does not answer` : title,
    record === current,
  ]);
  const drawn = JSON.stringify(options);
  if (list.dataset.drawn !== drawn) {
    list.dataset.drawn = drawn;
    list.replaceChildren(
      ...options.map(([name, title, selected]) => {
        const option = make("option", "", title);
        option.value = name;
        option.selected = selected;
        return option;
      }),
    );
  }
  $("pages-label").hidden = options.length === 0;
  const there = [...pages.values()].filter(({ heard }) => now - heard <= GONE_MS).length;
  write($("watch-label"), there > 0 ? `Watch a page · ${there}` : "Watch a page");
  write($("watch-hint"), watchHint());
}

function watchHint() {
  if (typeof BroadcastChannel === "undefined") return "This browser has no BroadcastChannel: pages cannot report.";
  if (pages.size > 0) return "Pages that do not answer were closed, or their machine sleeps.";
  if (!allowed())
    return "Switch it on, then load the page anew that you want to watch, in another tab of this browser. Switch it off when you have seen enough.";
  return "No page reports yet. Load it anew in another tab of this browser: pages look at the switch when they are loaded.";
}

$("watching").addEventListener("change", ({ target }) => allow(target.checked));
$("pages").addEventListener("change", ({ target }) => {
  heir = null;
  look(pages.get(target.value)?.record ?? nothing);
});

const mode = () => document.querySelector("input[name=mode]:checked").value;
function showMode() {
  $("connect").hidden = mode() !== "connect";
  $("watch").hidden = mode() !== "watch";
  if (mode() === "watch") {
    look([...pages.values()].at(-1)?.record ?? nothing);
    if (watcher) ask();
  } else {
    look(own?.record ?? nothing);
  }
  soon();
}
for (const radio of document.querySelectorAll("input[name=mode]")) radio.addEventListener("change", showMode);

// --- drawing, when there is time -------------------------------------------------

let planned = false;
let cardsAt = 0;

function soon() {
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => {
    planned = false;
    drawList();
    if (performance.now() - cardsAt > CARDS_MS) drawCards();
  });
}

setInterval(() => {
  if (!document.hidden) drawCards();
}, 1000);

function drawCards() {
  cardsAt = performance.now();
  const { state, transport, changedAt, choice, reason, gaps } = current;
  const name = NAMES[transport] ?? transport ?? "none";
  const words = {
    open: `Open · ${name}`,
    connecting: `Connecting · ${name}`,
    waiting: "Waiting to try again",
    closed: "Closed",
  };
  const silent = Date.now() - (pageOf(current)?.heard ?? Infinity) > GONE_MS;
  $("status").dataset.state = silent ? "silent" : (state ?? "");
  write($("status"), silent ? "Does not answer" : (words[state] ?? (current === nothing ? "Nothing to look at yet" : "Not known yet")));
  const since = changedAt === null ? "" : ` for ${ago(Date.now() - changedAt)}`;
  write($("state"), state === null ? "not known" : `${state}${since}`);
  write($("transport-used"), name);
  const unseen = state === null ? "–" : "before this page looked";
  write($("choice"), transport && !choice ? unseen : because(choice));
  write($("reason"), reason ? because(reason) : unseen);
  const last = gaps.at(-1);
  write($("gaps"), last ? `${gaps.length}, the last at ${clockTime(last.at)} in ${last.topic}: ${last.gap}` : "none");
  $("gaps").classList.toggle("bad", gaps.length > 0);
  const hint = HINTS[choice?.number] ?? HINTS[reason?.number];
  $("hint").hidden = !hint;
  write($("hint"), hint ?? "");
  drawTrips();
  drawTopics();
  drawChanges();
}

const BARS = 60;
const bars = Array.from({ length: BARS }, (_, i) => {
  const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  bar.setAttribute("x", i * 4 + 0.5);
  bar.setAttribute("width", 3);
  return bar;
});
$("trips").append(...bars);

function drawTrips() {
  const trips = current.trips.slice(-BARS);
  const sorted = trips.map((trip) => trip.ms).sort((a, b) => a - b);
  const most = Math.max(sorted.at(-1) ?? 0, 1);
  bars.forEach((bar, i) => {
    const trip = trips[i - BARS + trips.length];
    const height = trip ? Math.max(2, (trip.ms / most) * 46) : 0;
    bar.setAttribute("y", 48 - height);
    bar.setAttribute("height", height);
    bar.setAttribute("class", trip?.event === "heartbeat" ? "beat" : "");
  });
  const figures = trips.length
    ? `last ${length(trips.at(-1).ms)} · median ${length(sorted[sorted.length >> 1])} · longest ${length(most)}`
    : "";
  write($("trips-figures"), figures);
  $("trips").setAttribute("aria-label", figures || "No round trips yet");
}

function drawTopics() {
  const items = [...current.topics].slice(-50).map(([name, topic]) => {
    const item = make("li");
    const state = make("span", `pill ${topic.state ?? ""}`, topic.state ?? "not known");
    const head = make("p", "top");
    head.append(make("b", "", name), state);
    const figures = [`${topic.rows} ${topic.rows === 1 ? "row" : "rows"}`];
    if (topic.repeated > 0) figures.push(`${topic.repeated} repeated, passed over`);
    if (topic.gaps > 0) figures.push(`${topic.gaps} ${topic.gaps === 1 ? "gap" : "gaps"}`);
    if (topic.reason && topic.state !== "joined") figures.push(because(topic.reason));
    item.append(head, make("p", "cursor", topic.cursor ?? "no cursor yet"), make("p", "soft", figures.join(" · ")));
    return item;
  });
  replace($("topics"), items);
}

function drawChanges() {
  const items = current.changes.slice(-50).reverse().map(({ at, what, state, transport, reason }) => {
    const item = make("li");
    const words = [what === "connection" ? "" : what, state, NAMES[transport] ? `on ${NAMES[transport]}` : ""];
    item.append(make("time", "", clockTime(at)), make("b", "", words.filter(Boolean).join(" ")));
    if (reason) item.append(make("span", "", because(reason)));
    return item;
  });
  replace($("changes"), items);
}

// Nothing is moved below somebody's pointer or reader while it is the same.
function replace(list, items) {
  const text = items.map((item) => item.textContent + item.innerHTML.length).join("\n");
  if (list.dataset.drawn === text) return;
  list.dataset.drawn = text;
  list.replaceChildren(...items);
}

// --- the list of frames ------------------------------------------------------------

const list = $("list");
const rows = $("rows");
const filter = { text: "", up: true, down: true, beats: true };
let shown = []; // the frames that pass the filter
let seenNo = 0; // the newest that was looked at
let chosen = null;
let follow = true; // the newest are in sight, and stay so

function passes(frame) {
  if (!(frame.up ? filter.up : filter.down)) return false;
  if (!filter.beats && frame.topic === "phoenix") return false;
  if (filter.text === "") return true;
  return [frame.topic, frame.event, frame.ref, frame.of, frame.status, frame.text].some(
    (text) => text !== null && text.toLowerCase().includes(filter.text),
  );
}

function rebuild() {
  shown = current.frames.filter(passes);
  seenNo = current.frames.at(-1)?.no ?? 0;
  follow = true;
  cardsAt = 0;
  soon();
}

/** @returns {number} how many rows have gone at the top */
function update() {
  const { frames } = current;
  const firstNo = frames[0]?.no ?? Infinity;
  const left = shown.findIndex((frame) => frame.no >= firstNo);
  const gone = left === -1 ? shown.length : left;
  if (gone > 0) shown.splice(0, gone);
  let from = frames.length;
  while (from > 0 && frames[from - 1].no > seenNo) from--;
  for (const frame of frames.slice(from)) if (passes(frame)) shown.push(frame);
  seenNo = Math.max(seenNo, frames.at(-1)?.no ?? 0);
  return gone;
}

const pool = [];
function rowOf(i) {
  if (pool[i]) return pool[i];
  const row = make("div", "row");
  row.setAttribute("role", "row");
  for (const name of ["at", "way", "topic", "event", "ref", "size", "ms"]) {
    const cell = make("span", name);
    cell.setAttribute("role", "gridcell");
    row.append(cell);
  }
  row.addEventListener("click", () => choose(row.frame));
  rows.append(row);
  pool[i] = row;
  return row;
}

function says({ event, of, status, again }) {
  if (event === "phx_reply") return `${of ?? "reply"} ← ${status ?? "?"}`;
  return again ? `${event} · again` : (event ?? "–");
}

function fill(row, frame) {
  const [at, way, topic, event, ref, bytes, ms] = row.children;
  write(at, clockTime(frame.at));
  write(way, frame.up ? "↑" : "↓");
  way.setAttribute("aria-label", frame.up ? "sent" : "received");
  write(topic, frame.topic ?? "–");
  write(event, says(frame));
  write(ref, frame.ref ?? "");
  write(bytes, size(frame.bytes));
  row.frame = frame;
  const bad = frame.event === "phx_error" || frame.status === "error" || frame.event === "phx_close";
  row.className = `row ${frame.up ? "up" : "down"}${bad ? " wrong" : ""}${frame.topic === "phoenix" ? " beat" : ""}`;
  write(ms, frame.ms === null ? "" : length(frame.ms));
}

const rowHeight = () => Number.parseFloat(getComputedStyle(list).getPropertyValue("--row")) || 26;

function drawList() {
  const height = rowHeight();
  const gone = update();
  rows.style.height = `${shown.length * height}px`;
  if (follow) list.scrollTop = list.scrollHeight;
  else if (gone > 0) list.scrollTop -= gone * height;
  const first = Math.max(0, Math.floor(list.scrollTop / height) - 8);
  const count = Math.min(shown.length - first, Math.ceil(list.clientHeight / height) + 16);
  for (let i = 0; i < Math.max(count, pool.length); i++) {
    if (i >= count) {
      pool[i].hidden = true;
      continue;
    }
    const row = rowOf(i);
    const frame = shown[first + i];
    row.hidden = false;
    fill(row, frame);
    row.id = `frame-${frame.no}`;
    row.style.transform = `translateY(${(first + i) * height}px)`;
    row.setAttribute("aria-rowindex", first + i + 2);
    row.setAttribute("aria-selected", frame === chosen);
  }
  $("frames").setAttribute("aria-rowcount", shown.length + 1);
  if (chosen && shown.includes(chosen)) $("frames").setAttribute("aria-activedescendant", `frame-${chosen.no}`);
  else $("frames").removeAttribute("aria-activedescendant");
  $("none").hidden = shown.length > 0;
  write($("none"), current.frames.length > 0 ? "No frame passes the filter." : "Frames appear here, as they are sent and received.");
  write($("count"), counted());
}

function counted() {
  const { frames, gone, unrecorded, paused } = current;
  const parts = [`${shown.length} of ${frames.length} frames`];
  if (gone > 0) parts.push(`${gone} older ones made room`);
  if (unrecorded > 0) parts.push(`${unrecorded} not recorded in pauses`);
  if (paused) parts.push("paused");
  return parts.join(" · ");
}

list.addEventListener("scroll", () => {
  follow = list.scrollHeight - list.scrollTop - list.clientHeight < 30;
  soon();
});
new ResizeObserver(soon).observe(list);

// --- one frame ---------------------------------------------------------------------

function choose(frame) {
  chosen = frame;
  $("detail").hidden = !frame;
  if (frame) {
    write($("detail-title"), `${frame.up ? "Sent" : "Received"}: ${says(frame)}`);
    const fields = [
      ["Time", new Date(frame.at).toISOString()],
      ["Topic", frame.topic ?? "null"],
      ["Ref", frame.ref ?? "null"],
      ["Join ref", frame.joinRef ?? "null"],
      ["Payload", `${size(frame.bytes)}${frame.cut ? ", not all of it kept" : ""}`],
    ];
    if (frame.ms !== null) fields.push(["Round trip", length(frame.ms)]);
    if (frame.key !== null) fields.push(["Key", frame.key]);
    $("fields").replaceChildren(
      ...fields.map(([name, value]) => {
        const pair = make("div");
        pair.append(make("dt", "", name), make("dd", "", value));
        return pair;
      }),
    );
    write($("payload"), pretty(frame));
    $("payload").scrollTop = 0;
    follow = false;
    reveal(shown.indexOf(frame));
  }
  soon();
}

/** Below the head, which stays, and above the end. */
function reveal(i) {
  const height = rowHeight();
  const room = list.clientHeight - $("head").offsetHeight;
  list.scrollTop = Math.max(Math.min(list.scrollTop, i * height), (i + 1) * height - room);
}

function pretty({ text, cut }) {
  let whole = text;
  if (!cut && text.length <= TEXT_MAX) {
    try {
      whole = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      // bytes
    }
  }
  const more = whole.length - TEXT_MAX;
  return more > 0 ? `${whole.slice(0, TEXT_MAX)}\n… ${more} characters more; all of it is in an export` : whole;
}

$("close").addEventListener("click", () => {
  choose(null);
  $("frames").focus();
});
$("copy").addEventListener("click", async ({ currentTarget }) => {
  try {
    await navigator.clipboard.writeText($("payload").textContent);
    currentTarget.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren($("payload"));
    currentTarget.textContent = "Marked";
  }
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
});

$("frames").addEventListener("keydown", (event) => {
  const page = Math.max(1, Math.floor(list.clientHeight / rowHeight()) - 2);
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
  if (event.key === "Escape" && chosen) return choose(null);
  if (!(event.key in steps) || shown.length === 0) return;
  event.preventDefault();
  const now = shown.indexOf(chosen);
  const from = now === -1 ? (steps[event.key] < 0 ? shown.length : -1) : now;
  const to = Math.max(0, Math.min(shown.length - 1, from + steps[event.key]));
  choose(shown[to]);
});

// --- the tools -----------------------------------------------------------------------

$("filter").addEventListener("input", ({ target }) => {
  filter.text = target.value.trim().toLowerCase();
  rebuild();
});
for (const name of ["up", "down", "beats"])
  $(name).addEventListener("click", ({ currentTarget }) => {
    filter[name] = !filter[name];
    currentTarget.setAttribute("aria-pressed", filter[name]);
    rebuild();
  });
$("pause").addEventListener("click", ({ currentTarget }) => {
  current.paused = !current.paused;
  currentTarget.setAttribute("aria-pressed", current.paused);
  currentTarget.textContent = current.paused ? "Go on" : "Pause";
  soon();
});
$("clear").addEventListener("click", () => {
  current.clear();
  choose(null);
  rebuild();
});

$("export").addEventListener("click", () => $("export-dialog").showModal());
$("export-dialog").addEventListener("close", ({ target }) => {
  if (target.returnValue !== "save") return;
  const payloads = $("with-payloads").checked;
  const about = {
    what: "holdfast inspector",
    version: 1,
    made: new Date().toISOString(),
    seen_from: mode() === "watch" ? "a page of this site" : "a connection of its own",
    browser: navigator.userAgent,
    online: navigator.onLine,
    network: navigator.connection?.effectiveType ?? null,
    payloads,
  };
  const text = JSON.stringify({ ...about, ...current.report({ payloads }) }, null, 1);
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `holdfast-${about.made.slice(0, 19).replace(/[:T]/g, "-")}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
});

// --- to begin with ---------------------------------------------------------------------

$("watching").checked = allowed();
if (allowed()) document.querySelector("input[value=watch]").checked = true;
watch(); // pages may report without the switch
showMode();
drawCards();

// The chat of the demo: a socket, a channel, and a page that shows what they do.
import { Socket } from "../../holdfast.js";

const TOPIC = "demo:lobby";
const KEEP = 500; // messages in the page
const $ = (id) => document.getElementById(id);

// --- the connection --------------------------------------------------------

const forced = new URLSearchParams(location.search).get("transport") === "longpoll";
const socket = new Socket("/socket", { transport: forced ? "longpoll" : undefined });
const channel = socket.channel(TOPIC);
const NAMES = { websocket: "WebSocket", longpoll: "long-poll" };
let usedLast = null;

socket.onChange((state, reason, transport) => {
  const name = NAMES[transport] ?? "none";
  const words = {
    connecting: usedLast ? "Reconnecting…" : "Connecting…",
    open: `Live · ${name}`,
    waiting: "Reconnecting…",
    closed: "Not connected",
  };
  $("status").dataset.state = state;
  $("status").textContent = words[state];
  $("transport").textContent = state === "open" ? name : "none";
  if (state !== "open") return showReason(reason);
  if (usedLast && usedLast !== name) note(`now over ${name}`);
  usedLast = name;
});
channel.onGap(() => note("some messages are gone: you were away too long"));
channel.on("message", (message) => show(message));
channel
  .join()
  .receive("ok", ({ cursor }) => ($("cursor").textContent = cursor))
  .receive("error", ({ reason }) => note(`the server does not let you in: ${reason}`));
socket.connect();

function showReason({ number, text }) {
  $("why").textContent = `${text} (${number})`;
}

$("force").setAttribute("aria-checked", forced);
$("force").addEventListener("click", ({ currentTarget }) => {
  const on = currentTarget.getAttribute("aria-checked") !== "true";
  currentTarget.setAttribute("aria-checked", on);
  socket.replaceTransport(on ? "longpoll" : undefined);
});

// --- what arrives ------------------------------------------------------------

// Anybody may publish anything here, so nothing is taken for granted.
function show(message) {
  if (typeof message?.text !== "string") return;
  $("sending").querySelector(`[data-id="${CSS.escape(message.id)}"]`)?.remove();
  append(bubble(message));
  $("cursor").textContent = channel.cursor;
}

function note(text) {
  const item = document.createElement("li");
  item.className = "note";
  item.textContent = text;
  append(item);
}

function append(item) {
  const all = $("messages");
  const before = all.lastElementChild?.dataset.from;
  item.classList.toggle("more", before !== undefined && before === item.dataset.from);
  const follow = atEnd();
  all.append(item);
  if (all.childElementCount > KEEP) all.firstElementChild.remove();
  if (follow) toEnd();
  else $("latest").hidden = false;
}

// Somebody who reads further up is left there.
function atEnd() {
  const { scrollHeight, scrollTop, clientHeight } = $("log");
  return scrollHeight - scrollTop - clientHeight < 80;
}

function toEnd() {
  $("log").scrollTop = $("log").scrollHeight;
  $("latest").hidden = true;
}
$("latest").addEventListener("click", toEnd);
$("log").addEventListener("scroll", () => ($("latest").hidden ||= atEnd()));

function bubble({ id, from, name, text, at }) {
  const item = document.createElement("li");
  const who = String(name ?? "").trim().slice(0, 40) || "somebody";
  const given = new Date(typeof at === "number" ? at : NaN);
  const when = Number.isNaN(given.getTime()) ? new Date() : given;
  item.className = `message${from === me ? " mine" : ""}`;
  item.dataset.id = id;
  item.dataset.from = from ?? `name ${who}`;
  item.style.setProperty("--hue", [...who].reduce((h, c) => (h * 31 + c.codePointAt(0)) % 360, 7));
  item.innerHTML = '<span class="face" aria-hidden="true"></span><header><b></b><time></time></header><p></p>';
  item.querySelector(".face").textContent = [...who][0].toUpperCase();
  item.querySelector("b").textContent = who;
  item.querySelector("time").dateTime = when.toISOString();
  item.querySelector("time").textContent = when.toLocaleTimeString([], { timeStyle: "short" });
  item.querySelector("p").textContent = text;
  return item;
}

// --- what is sent --------------------------------------------------------------

// A tab is somebody of its own, and stays it when the page is loaded again.
const me = (sessionStorage.me ??= Math.random().toString(36).slice(2));
const pick = (words) => words[Math.floor(Math.random() * words.length)];
$("name").value = sessionStorage.name ??=
  `${pick(["Calm", "Brave", "Merry", "Swift", "Gentle"])} ${pick(["Otter", "Urchin", "Limpet", "Seal", "Heron"])}`;
$("name").addEventListener("change", ({ target }) => (sessionStorage.name = target.value));

let sent = 0;
$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  send({ id: `${me}-${Date.now()}-${++sent}`, from: me, name: $("name").value, text, at: Date.now() });
  $("text").value = "";
  $("text").focus();
});

// It waits below the others until it comes back as everybody sees it.
function send(message) {
  const item = bubble(message);
  $("sending").append(item);
  toEnd();
  channel
    .push("message", message)
    .receive("error", ({ reason }) => failed(item, message, `not sent: ${reason}`))
    .receive("timeout", () => failed(item, message, "not confirmed"));
}

function failed(item, message, why) {
  const again = document.createElement("button");
  again.type = "button";
  again.textContent = "Send again";
  again.addEventListener("click", () => {
    item.remove();
    send(message);
  });
  const small = document.createElement("small");
  small.append(`${why}: `, again);
  const follow = atEnd();
  item.classList.add("failed");
  item.append(small);
  if (follow) toEnd();
}

if (matchMedia("(min-width: 56rem)").matches) $("more").open = true;

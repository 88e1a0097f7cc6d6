// The chat: a socket, a channel, who is present, and what was said before.
import { Presence, Socket } from "../../holdfast.js";
import { chip, clean, face, hue, me, nameInput, present } from "../me.js";
import { panel } from "../panel.js";
import { options } from "../plug.js";

const KEEP = 500; // messages in the page
const PATIENCE_MS = 300000; // what is written without a connection goes out later
const $ = (id) => document.getElementById(id);

const socket = new Socket("/socket", options);
const channel = socket.channel("demo:lobby", () => ({ last: 50, presence: present() }));
const presence = new Presence(channel);

panel(socket, channel, "message");
channel.on("message", show);
presence.onSync(() => {
  const everybody = presence.list((id, { metas: [{ name }] }) =>
    chip(clean(name), hue(id), id === me.id ? "you" : ""),
  );
  $("people").replaceChildren(...everybody);
});
channel.onGap(() => note("some messages are gone: you were away too long"));
channel.join().receive("error", ({ reason }) => note(`the server does not let you in: ${reason}`));
socket.connect();

// --- what arrives ------------------------------------------------------------

// Anybody may publish anything here, so nothing is taken for granted.
function show(message) {
  if (typeof message?.text !== "string") return;
  $("sending").querySelector(`[data-id="${CSS.escape(message.id)}"]`)?.remove();
  append(bubble(message));
}

function note(text) {
  const item = document.createElement("li");
  item.className = "note";
  item.textContent = text;
  append(item);
}

function append(item) {
  const before = $("messages").lastElementChild?.dataset.from;
  item.classList.toggle("more", before !== undefined && before === item.dataset.from);
  $("messages").append(item);
  if ($("messages").childElementCount > KEEP) $("messages").firstElementChild.remove();
  if (following) toEnd();
  else $("latest").hidden = false;
}

// Somebody who reads further up is left there.
let following = true;

function toEnd() {
  $("log").scrollTop = $("log").scrollHeight;
}
$("latest").addEventListener("click", toEnd);
$("log").addEventListener("scroll", () => {
  const { scrollHeight, scrollTop, clientHeight } = $("log");
  following = scrollHeight - scrollTop - clientHeight < 80;
  if (following) $("latest").hidden = true;
});
new ResizeObserver(() => following && toEnd()).observe($("log"));

function bubble({ id, from, name, text, at }) {
  const item = document.createElement("li");
  const who = clean(name);
  const when = new Date(Math.abs(at) < 8e15 ? at : Date.now());
  item.className = `message${from === me.id ? " mine" : ""}`;
  item.dataset.id = id;
  item.dataset.from = from ?? `name ${who}`;
  item.innerHTML = "<div><b></b> <time></time></div><p></p>";
  item.prepend(face(who, hue(typeof from === "string" ? from : who)));
  item.querySelector("b").textContent = who;
  item.querySelector("time").dateTime = when.toISOString();
  item.querySelector("time").textContent = when.toLocaleTimeString([], { timeStyle: "short" });
  item.querySelector("p").textContent = text;
  return item;
}

// --- what is sent --------------------------------------------------------------

nameInput($("name"), channel);
$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  const id = crypto.getRandomValues(new Uint32Array(2)).join("-");
  if (text) send({ id, from: me.id, name: me.name, text, at: Date.now() });
  $("text").value = "";
  $("text").focus();
});

// It waits below the others until it comes back as everybody sees it.
function send(message) {
  const item = bubble(message);
  $("sending").append(item);
  toEnd();
  channel
    .push("message", message, PATIENCE_MS)
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
  item.classList.add("failed");
  item.append(small);
  toEnd();
}

// Pairs: what is tapped goes out as a message, and counts when it comes back,
// in the one order that all players see. The rules are in rules.js.
import { Presence, Socket } from "../../holdfast.js";
import { chip, clean, me, nameInput, present } from "../me.js";
import { panel } from "../panel.js";
import { options } from "../plug.js";
import { Game, THINGS, TILES } from "./rules.js";

const COLUMNS = 6;
const LAST = 1000; // messages a newcomer plays over: several rounds
const PATIENCE_MS = 60000; // a tap goes out when there is a connection again
const LOOK_MS = 1300; // two that are not alike stay up so long
const PLAYED_MS = 600; // what was played before has come by then
const $ = (id) => document.getElementById(id);

const socket = new Socket("/socket", options);
const channel = socket.channel("demo:pairs", () => ({ last: LAST, presence: present() }));
const presence = new Presence(channel);
const game = new Game();
let ready = false; // to say that nothing was dealt

panel(socket, channel, "flip");
for (const event of ["deal", "flip"]) channel.on(event, (message) => played(event, message));
presence.onSync(redraw);
channel.onGap(() => location.reload());
channel.join().receive("ok", () => setTimeout(() => redraw((ready = true)), PLAYED_MS));
socket.connect();

// --- what is played ------------------------------------------------------------

function played(event, message) {
  const happened = game.play(event, message);
  if (happened?.deal) say("New tiles: go!");
  if (happened?.up) turned(happened);
  if (!happened && event === "flip" && message?.by === me.id) say("Too late: somebody was first.");
  redraw();
}

function turned({ by, name, up, pair }) {
  const thing = game.tiles[up.at(-1)];
  const what = `${thing} ${THINGS[thing]}`;
  const who = by === me.id ? "You" : clean(name);
  if (pair) say(`${who} found a pair: ${what}.`);
  else if (by === me.id) say(`${what}. ${up.length > 1 ? "Not the same." : "Where is the other?"}`);
  if (pair || up.length === 1) return;
  for (const tile of up) looks.set(tile, performance.now() + LOOK_MS);
  setTimeout(redraw, LOOK_MS + 20);
}

function flip(tile) {
  const mine = tile === game.hands.get(me.id) || "asked" in buttons[tile].dataset;
  if (!game.tiles[tile] || tile in game.owner || mine) return;
  const message = { deal: game.deal, tile, by: me.id, name: me.name };
  buttons[tile].dataset.asked = "";
  const answered = () => delete buttons[tile].dataset.asked;
  const push = channel.push("flip", message, PATIENCE_MS);
  for (const status of ["ok", "error", "timeout"]) push.receive(status, answered);
}

$("deal").addEventListener("click", () => {
  const deal = crypto.getRandomValues(new Uint32Array(2)).join("-");
  channel.push("deal", { deal, after: game.deal }, PATIENCE_MS);
  buttons[0].focus();
});

// --- what is seen ----------------------------------------------------------------

const looks = new Map(); // tile -> until when it is seen
let frame = null;

function redraw() {
  frame ??= requestAnimationFrame(draw);
}

function draw() {
  frame = null;
  const now = performance.now();
  for (const [tile, until] of looks) if (until < now) looks.delete(tile);
  const holders = new Map([...game.hands].map(([player, tile]) => [tile, player]));
  buttons.forEach((button, tile) => {
    const who = game.owner[tile] ?? holders.get(tile);
    const up = who !== undefined || looks.has(tile);
    const state = tile in game.owner ? "taken" : up ? "up" : "down";
    const place = `Row ${1 + Math.floor(tile / COLUMNS)}, column ${1 + (tile % COLUMNS)}`;
    const by = who ? `, ${state === "up" ? "turned by" : "taken by"} ${nameOf(who)}` : "";
    button.dataset.state = state;
    button.style.setProperty("--hue", who ? hue(who) : 0);
    button.firstChild.textContent = up ? game.tiles[tile] : "";
    button.lastChild.textContent = who ? [...nameOf(who)][0].toUpperCase() : "";
    button.ariaLabel = `${place}: ${up ? THINGS[game.tiles[tile]] + by : "hidden"}`;
  });
  drawPlayers();
  drawEnd();
}

/** Colours far apart, in the order in which they came to play. */
function hue(player) {
  const all = everybody();
  return Math.round(all.indexOf(player) * 137.5 + 160) % 360;
}

function everybody() {
  return [...new Set([...game.names.keys(), ...presence.list((id) => id)])];
}

function nameOf(player) {
  const there = presence.state[player]?.metas[0].name;
  return clean(there ?? game.names.get(player));
}

function drawPlayers() {
  const here = new Set(presence.list((id) => id));
  const counts = everybody().filter((id) => here.has(id) || game.score(id) > 0);
  const ranked = counts.sort((a, b) => game.score(b) - game.score(a));
  $("players").replaceChildren(
    ...ranked.map((id) => {
      const item = chip(nameOf(id), hue(id), `${game.score(id)}${id === me.id ? " · you" : ""}`);
      item.classList.toggle("gone", !here.has(id));
      return item;
    }),
  );
}

function drawEnd() {
  const players = [...game.names.keys()];
  const best = Math.max(...players.map((id) => game.score(id)));
  const winners = players.filter((id) => game.score(id) === best).map(nameOf);
  const [title, text] = game.over
    ? [`${winners.join(" and ")} won`, `${best} pairs. Again?`]
    : game.deal === null
      ? ["Nothing on the table", `${TILES / 2} pairs, hidden. Who finds most?`]
      : ["A round is on", "It began before what is kept. Deal new tiles?"];
  $("over").hidden = !ready || (game.tiles.length > 0 && !game.over);
  $("over").querySelector("h2").textContent = title;
  $("over").querySelector("p").textContent = text;
}

function say(text) {
  $("said").textContent = text;
}

// --- the table -------------------------------------------------------------------

const buttons = Array.from({ length: TILES }, (_, tile) => {
  const button = document.createElement("button");
  button.type = "button";
  button.innerHTML = "<span></span><small></small>";
  button.tabIndex = tile === 0 ? 0 : -1;
  button.addEventListener("click", () => flip(tile));
  button.addEventListener("focus", () => {
    for (const other of buttons) other.tabIndex = other === button ? 0 : -1;
  });
  button.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -COLUMNS, ArrowDown: COLUMNS }[event.key];
    if (!step) return;
    event.preventDefault();
    buttons[tile + step]?.focus();
  });
  return button;
});
$("board").append(...buttons);
nameInput($("name"), channel);
redraw();

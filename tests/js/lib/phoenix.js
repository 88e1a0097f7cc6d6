// phoenix.js - the npm clients as they are, in Node
//
// Version 1.7 finds its globals through `self` only, which a browser has and
// Node has not. fetch and XMLHttpRequest: 1.8 takes the latter when there is
// one, 1.7 knows nothing else.
import WebSocket from "ws";
import { XMLHttpRequest } from "./xhr.js";
import { until, within } from "./wait.js";

export { WebSocket };

// The client reports each page of the web server that is no JSON; tests make
// many of these.
const { log } = console;
console.log = (first, ...rest) => first !== "failed to parse JSON response" && log(first, ...rest);

globalThis.self ??= globalThis;
globalThis.XMLHttpRequest = XMLHttpRequest;

export const clients = {
  "1.8.16": await import("phoenix-1.8"),
  "1.7.23": await import("phoenix-1.7"),
};
export const transports = ["websocket", "longpoll"];

const open = new Set();

// A socket of this version over this transport only. `Wire` replaces the
// WebSocket class, for tests that want a bad line.
export function connect(version, transport, endpoint, options = {}) {
  const { Socket, LongPoll } = clients[version];
  const { Wire = WebSocket, ...rest } = options;
  const socket = new Socket(endpoint, {
    transport: transport === "longpoll" ? LongPoll : Wire,
    ...rest,
  });
  open.add(socket);
  socket.connect();
  return socket;
}

// After each test: no timer and no socket stays.
export async function disconnectAll() {
  const all = [...open];
  open.clear();
  await Promise.all(
    all.map((socket) =>
      within(8000, "a socket is closed", new Promise((done) => socket.disconnect(done))),
    ),
  );
}

// A push (join, leave, message) as a promise of { status, response }.
export function answer(push, ms = 8000) {
  return within(
    ms,
    "an answer to a push",
    new Promise((done) => {
      for (const status of ["ok", "error", "timeout"]) {
        push.receive(status, (response) => done({ status, response }));
      }
    }),
  );
}

// What a channel hears of application events: [event, payload, ref].
export function hear(channel, ...events) {
  const heard = [];
  for (const event of events) {
    channel.on(event, (payload, ref) => heard.push([event, payload, ref]));
  }
  return heard;
}

export const hears = (heard, count, ms = 8000) =>
  until(ms, `${count} messages (${heard.length} before)`, () => heard.length >= count);

// A channel that resumes, the way an application does with a stock client:
// join params are a function that names the last cursor. A message of an older
// join must not move the cursor: the channel drops it.
export function resuming(socket, topic) {
  const state = { since: "", gaps: [], cursors: [] };
  const channel = socket.channel(topic, () => ({ since: state.since }));
  socket.onMessage(({ topic: where, ref, join_ref: joinRef }) => {
    if (where !== topic || typeof ref !== "string" || !ref.startsWith("j:")) return;
    if (joinRef === null || joinRef === channel.joinRef()) state.since = ref;
  });
  const joining = channel.join();
  joining.receive("ok", (response) => {
    if (response.gap) state.gaps.push(response.gap);
    state.cursors.push(response.cursor);
    state.since = response.cursor;
  });
  return { channel, state, joined: answer(joining) };
}

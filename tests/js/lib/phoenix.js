// phoenix.js - the npm clients as they are, in Node
//
// Versions up to 1.7 find their globals through `self` only, which a browser has
// and Node has not. fetch and XMLHttpRequest: 1.8 takes the latter when there is
// one, the others know nothing else.
import WS from "ws";
import { guarded, uncaught, XMLHttpRequest } from "./xhr.js";
import { until, within } from "./wait.js";

export { uncaught };

// As in a browser, what a handler throws is reported and the page goes on.
export class WebSocket extends WS {}
for (const name of ["onopen", "onmessage", "onerror", "onclose"]) {
  const own = Object.getOwnPropertyDescriptor(WS.prototype, name);
  Object.defineProperty(WebSocket.prototype, name, {
    get: own.get,
    set(handler) {
      own.set.call(this, guarded(handler));
    },
  });
}

// The client reports each page of the web server that is no JSON; tests make
// many of these.
const { log } = console;
console.log = (first, ...rest) => first !== "failed to parse JSON response" && log(first, ...rest);

// A page takes its timers along when it goes. 1.5 forgets that of its next
// heartbeat when it is disconnected, and would keep the process for a minute;
// 1.8 with fetch those that bound its requests.
const FORGOTTEN = [20000, 30000];
const { setTimeout } = globalThis;
globalThis.setTimeout = Object.assign((work, ms, ...rest) => {
  const timer = setTimeout(work, ms, ...rest);
  return FORGOTTEN.includes(ms) ? timer.unref() : timer;
}, setTimeout);

globalThis.self ??= globalThis;
globalThis.XMLHttpRequest = XMLHttpRequest;

// 1.4 and 1.5 are CommonJS
async function load(name) {
  const module = await import(name);
  return module.default ?? module;
}

export const clients = {
  "1.8.16": await load("phoenix-1.8"),
  "1.8.12": await load("phoenix-1.8.12"),
  "1.7.23": await load("phoenix-1.7"),
  "1.6.16": await load("phoenix-1.6"),
  "1.5.14": await load("phoenix-1.5"),
  "1.4.17": await load("phoenix-1.4"),
};
export const versions = Object.keys(clients);

const number = (version) => {
  const [major, minor, patch] = version.split(".").map(Number);
  return (major * 1000 + minor) * 1000 + patch;
};
const since = (first) =>
  Object.fromEntries(versions.map((version) => [version, number(version) >= number(first)]));

// What a version can, and what it makes of trouble. This table is the only place
// where tests know one version from another; docs/PROTOCOL.md section 14 says
// the same in words.
export const can = {
  bytes: since("1.5.0"), // sends and reads binary messages on WebSocket
  ping: since("1.6.10"), // socket.ping()
  ndjson: since("1.7.0"), // all pushes of one turn in one POST
  bytesByPoll: since("1.7.7"), // sends binary messages by long-poll
  fallback: since("1.7.11"), // longPollFallbackMs
  batches: since("1.7.22"), // at most 100 lines in one POST
  fetch: since("1.8.0"), // without XMLHttpRequest
  authToken: since("1.8.0"),
  knows403: since("1.5.0"), // before, it throws, and stays "connecting"
  rejoinsAfter410: since("1.8.2"), // before, it polls on and believes itself joined
  returnsAfter1000: Object.fromEntries(
    versions.map((v) => [v, number(v) < number("1.6.3") || number(v) >= number("1.8.16")]),
  ),
  // joins again after socket.disconnect() and socket.connect(); before, a page
  // needs new ones, Socket and Channel
  rejoinsByConnect: since("1.5.0"),
  // a connection that it has given up it leaves at once; before, it waits until the
  // browser has
  leavesSilent: since("1.6.0"),
  namesCloses: since("1.6.0"), // a long-poll's onClose has a code
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
  await Promise.all(all.map(disconnect));
  const thrown = uncaught.splice(0);
  if (thrown.length > 0) throw new AggregateError(thrown, "a handler of the client threw");
}

export async function disconnect(socket) {
  open.delete(socket);
  await within(8000, "a socket is closed", new Promise((done) => socket.disconnect(done)));
  clearInterval(socket.heartbeatTimer); // 1.4 leaves it running
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
// `before`: what an earlier page of the same user had come to.
export function resuming(socket, topic, before = {}) {
  const { state = { since: "", gaps: [], cursors: [] }, notes = [] } = before;
  const channel = socket.channel(topic, () => ({ since: state.since }));
  socket.onMessage(({ topic: where, ref, join_ref: joinRef }) => {
    if (where !== topic || typeof ref !== "string" || !ref.startsWith("j:")) return;
    if (joinRef === null || joinRef === channel.joinRef()) state.since = ref;
  });
  channel.on("note", (payload, ref, joinRef) => {
    if (joinRef === channel.joinRef()) notes.push([payload, ref]); // 1.4 does not look itself
  });
  const joining = channel.join();
  joining.receive("ok", (response) => {
    if (response.gap) state.gaps.push(response.gap);
    state.cursors.push(response.cursor);
    state.since = response.cursor;
  });
  return { channel, state, notes, joined: answer(joining, 25000) };
}

// world.js - a server, a network and a clock inside one test
//
// The clock stands still unless told; a whole minute passes in no time. The
// server keeps a journal and speaks both transports, as small as it can be and
// still tell whether a client loses, doubles or reorders anything. The network
// does what `world.net` says:
//
//     websocket  "ok"; "refuse"; "hang": never opens; "mute": opens, and what
//                the client sends goes nowhere
//     longpoll   "ok"; "refuse"; "html": a page of somebody else;
//                "lose answer": the server has seen it, the client hears
//                nothing; "swallow": not even the server, and no error
//                (`get` and `post` the same for one of the two)
//     up, down   "ok"; "swallow": what the client, what the server sends from
//                now on by a WebSocket that is open goes nowhere
//     lag        ms that anything by WebSocket takes longer
//     cut        ms after which a WebSocket ends that opens now; 0: it does not
//     rows       "ok"; "lose": those of the journal never arrive by WebSocket,
//                answers do
//     delay()    how long anything takes, in ms
//
// The page can be hidden (`throttle`: its timers run only so often), frozen
// until it is thawed, or asleep with its machine; what the network brings it
// meanwhile waits, behind the timers that are due by then.
import { setImmediate as turn } from "node:timers/promises";

const EPOCH = "AAECAwQFBgc";

/** What `net` is when nothing is wrong. */
export const WORKS = {
  rows: "ok",
  websocket: "ok",
  longpoll: "ok",
  get: null,
  post: null,
  up: "ok",
  down: "ok",
  lag: 0,
  cut: 0,
};

export class World {
  now = 0;
  skew = 0; // of the system's clock, ms
  throttle = 1; // the client's timers fire at multiples of this
  net = { ...WORKS, delay: () => 1 };
  rows = []; // the journal: {id, topic, event, payload}
  seq = 0;
  trimmed = 0; // rows up to here are no longer there
  joins = []; // payload of every join the server has seen
  leaves = 0; // that were sent to it
  heartbeats = 0;
  parked = 0; // polls it holds
  posts = []; // body of every POST it was sent
  gets = []; // token of every GET it was sent
  dialled = []; // transport of every connection attempt
  dialledAt = []; // and when it was
  refuse = null; // response of a join that is to be refused
  limit = (_push) => null; // response of a push that is to be refused
  keys = new Map(); // of pushes that were taken -> {what, cursor}
  repeats = 0; // pushes that came again with their key
  present = new Map(); // topic -> {key: {metas}}
  deaf = false; // the server answers nothing but heartbeats
  forbid = false; // to push
  takes = () => true; // this token (undefined: an anonymous visitor)
  shown = []; // token of every connection attempt
  renewals = []; // tokens that came over a connection
  #frozen = null; // what came in for the client since it was frozen
  #timers = [];
  #timerNo = 0;
  #silences = 0;
  #sockets = new Set();
  #sessions = new Map();

  constructor(random = () => 0.5) {
    const world = this;
    this.random = random;
    this.clock = {
      setTimeout: (callback, ms) => this.later(callback, ms, true),
      clearTimeout: (no) => (this.#timers = this.#timers.filter((t) => t.no !== no)),
      now: () => this.now + 1000,
      wall: () => 1.7e12 + this.now + this.skew,
      random: () => this.random(),
    };
    this.WebSocket = class extends FakeWebSocket {
      constructor(url, protocols = []) {
        super(url, world, protocols);
      }
    };
    this.fetch = (url, options) => this.#fetch(new URL(url), options);
  }

  get options() {
    const { clock, fetch, WebSocket } = this;
    return { clock, fetch, WebSocket };
  }

  /** Timers of the client that have been set and neither fired nor been cleared. */
  get timers() {
    return this.#timers.filter(({ client }) => client).length;
  }

  // Let time pass; everything that is due happens, in order.
  async pass(ms) {
    const end = this.now + ms;
    await turn();
    for (;;) {
      this.#timers.sort((a, b) => a.at - b.at || a.no - b.no);
      const timer = this.#timers.find(({ client }) => !(client && this.#frozen));
      if (!timer || timer.at > end) break;
      this.#timers.splice(this.#timers.indexOf(timer), 1);
      this.now = Math.max(this.now, timer.at); // one that was frozen is late
      timer.callback();
      await turn();
    }
    this.now = end;
  }

  // client: a timer of the page, which is not of the network's
  later(callback, ms, client = false) {
    // as platforms have it: what is too long, or no number, is at once
    const at = this.now + (ms > 0 && (ms < 2 ** 31 || !client) ? ms : 0);
    const next = client ? Math.ceil(at / this.throttle) * this.throttle : at;
    this.#timers.push({ no: ++this.#timerNo, at: next, callback, client });
    return this.#timerNo;
  }

  // --- what befalls the client's machine --------------------------------------

  freeze() {
    this.#frozen ??= [];
  }

  async thaw() {
    const waiting = this.#frozen ?? [];
    this.#frozen = null;
    await this.pass(0);
    for (const bring of waiting) bring();
    await turn();
  }

  // For so long, by a clock that stands still meanwhile, as most systems' does.
  sleep(ms) {
    this.skew += ms;
  }

  // To the client, unless it is frozen.
  bring(callback) {
    if (this.#frozen) this.#frozen.push(callback);
    else callback();
  }

  // What is connected stays so, and nothing passes any more.
  silence() {
    for (const socket of this.#sockets) socket.mute = socket.deaf = true;
    this.#silences++;
  }

  // --- what tests do to it ---------------------------------------------------

  publish(topic, event, payload) {
    const row = { id: ++this.seq, topic, event, payload };
    this.rows.push(row);
    for (const peer of this.#peers()) peer.published(row);
    return row;
  }

  // Somebody else comes to the topic, or goes.
  enter(topic, key) {
    const there = { metas: [{ phx_ref: `r${++this.seq}` }] };
    const all = this.present.get(topic) ?? {};
    this.present.set(topic, { ...all, [key]: there });
    this.publish(topic, "presence_diff", { joins: { [key]: there }, leaves: {} });
  }

  exit(topic, key) {
    const { [key]: gone, ...others } = this.present.get(topic);
    this.present.set(topic, others);
    this.publish(topic, "presence_diff", { joins: {}, leaves: { [key]: gone } });
  }

  // A frame to everybody who joined the topic, of their join.
  tellMembers(topic, event, payload) {
    for (const peer of this.#peers()) this.#tellMember(peer, topic, event, payload);
  }

  // A row to everybody who joined the topic, which is not in the journal.
  tellRow(topic, cursor, event, payload) {
    for (const peer of this.#peers()) peer.send([peer.members.get(topic), cursor, topic, event, payload]);
  }

  #tellMember(peer, topic, event, payload) {
    const joinRef = peer.members.get(topic);
    if (joinRef === undefined) return;
    peer.members.delete(topic);
    peer.heads.delete(topic);
    peer.send([joinRef, joinRef, topic, event, payload]);
  }

  // Whoever showed a token that is not taken any more is told, and sent away.
  expire(reason = "token_expired") {
    for (const peer of this.#peers()) {
      if (this.takes(peer.token)) continue;
      for (const topic of [...peer.members.keys()]) this.#tellMember(peer, topic, "phx_error", { reason });
      peer.lastWords = true;
      peer.end?.(500);
    }
    for (const socket of [...this.#sockets])
      if (!this.takes(socket.peer.token)) socket.end({ code: 1008 });
  }

  // The members are none any more, and nobody tells them.
  forget(topic) {
    for (const peer of this.#peers()) peer.members.delete(topic);
  }

  // Who is joined by WebSocket now is brought no row of this join any more.
  lose() {
    for (const { peer } of this.#sockets) peer.lost = new Set(peer.members.values());
  }

  // With a close frame of the server, if `close` says code and reason.
  cutSockets(close) {
    for (const socket of [...this.#sockets]) socket.cut(close);
  }

  // The sessions are no more; what the next poll is answered.
  endSessions(status = 500) {
    for (const session of this.#sessions.values()) session.end(status);
  }

  trim() {
    this.trimmed = this.seq;
    this.rows = [];
  }

  get connections() {
    return this.#sockets.size;
  }

  get memberCount() {
    return this.#peers().filter((peer) => peer.members.size > 0).length;
  }

  // --- the server --------------------------------------------------------------

  #peers() {
    const sessions = [...this.#sessions.values()].filter((s) => !s.over);
    return [...[...this.#sockets].map((s) => s.peer), ...sessions];
  }

  dial(name) {
    this.dialled.push(name);
    this.dialledAt.push(this.now);
  }

  socketOpened(socket) {
    this.#sockets.add(socket);
  }

  socketClosed(socket) {
    this.#sockets.delete(socket);
  }

  cursor(id) {
    return `j:${EPOCH}.${id}`;
  }

  async #fetch(url, { method, body, signal, headers }) {
    const shown = headers?.["x-phoenix-authtoken"];
    const token = url.searchParams.get("token");
    const how = this.net[method.toLowerCase()] ?? this.net.longpoll;
    if (method === "GET" && !token) this.dial("longpoll");
    if (method === "POST") this.posts.push(body);
    else this.gets.push(token);

    const silences = this.#silences;
    await this.#onTheWay(signal);
    if (how === "refuse") throw new TypeError("refused");
    if (how === "swallow") await this.#onTheWay(signal, 1e9);
    if (how === "html") return { json: async () => JSON.parse("<html>") };
    const answer = method === "POST" ? this.#post(token, body) : await this.#get(token, signal, shown);
    await this.#onTheWay(signal, silences === this.#silences ? undefined : 1e9);
    await new Promise((arrived) => this.bring(arrived));
    if (signal.aborted) throw new DOMException("aborted", "AbortError");
    if (how === "lose answer") throw new TypeError("connection reset");
    return { json: async () => answer };
  }

  #onTheWay(signal, ms = this.net.delay()) {
    return new Promise((resolve, reject) => {
      const timer = this.later(resolve, ms);
      const abort = () => {
        this.clock.clearTimeout(timer);
        reject(new DOMException("aborted", "AbortError"));
      };
      if (signal.aborted) abort();
      else signal.addEventListener("abort", abort);
    });
  }

  #post(token, body) {
    const session = this.#sessions.get(token.split(".")[0]);
    if (!session || session.over) return { status: 410 };
    for (const line of body.split("\n")) session.receive(JSON.parse(line));
    return { status: 200 };
  }

  async #get(token, signal, shown) {
    const [name, cursor] = token.split(".");
    const session = this.#sessions.get(name);
    if (!session) return this.#newSession(shown);
    const more = () => session.hasMore(Number(cursor));
    const over = () => session.over && !(session.lastWords && more());
    if (over()) return session.over === 410 ? this.#newSession(shown) : { status: session.over };
    if (shown !== session.token && this.takes(shown)) session.token = shown; // P-8.9
    if (!more()) await session.held(signal);
    if (over()) return { status: session.over };
    return session.answer(Number(cursor));
  }

  #newSession(shown) {
    this.shown.push(shown);
    if (!this.takes(shown)) return { status: 403 };
    const name = `s${this.#sessions.size + 1}`;
    const session = new Session(name, this);
    session.token = shown;
    this.#sessions.set(name, session);
    return { status: 410, token: `${name}.${this.seq}`, messages: [] };
  }
}

// One client as the server sees it, whatever the transport.
class Peer {
  members = new Map(); // topic -> join_ref
  token; // it showed
  lost = new Set(); // join_refs
  heads = new Map(); // topic -> cursor of the row that was sent last

  constructor(world, send, lossy = false) {
    this.world = world;
    this.send = send;
    this.lossy = lossy;
  }

  published({ id, topic, event, payload }) {
    const { world } = this;
    const joinRef = this.members.get(topic);
    if (joinRef === undefined) return;
    this.heads.set(topic, world.cursor(id));
    if (this.lossy && (world.net.rows === "lose" || this.lost.has(joinRef))) return;
    this.send([joinRef, world.cursor(id), topic, event, payload]);
  }

  receive([joinRef, ref, topic, event, payload, options]) {
    const reply = (status, response, jr = joinRef) =>
      this.send([jr, ref, topic, "phx_reply", { status, response }]);
    if (event === "heartbeat") {
      this.world.heartbeats++;
      const response = payload.heads ? { heads: Object.fromEntries(this.heads) } : {};
      return reply("ok", response, null);
    }
    if (this.world.deaf) return;
    const joined = this.members.get(topic);
    if (event === "phx_join") return this.#join(joinRef, topic, payload, joined, reply);
    if (event === "phx_leave") {
      this.world.leaves++;
      if (joined !== undefined && joinRef !== null && joined !== joinRef) return;
      this.members.delete(topic);
      this.heads.delete(topic);
      reply("ok", {});
      if (joined !== undefined) this.send([joined, joined, topic, "phx_close", {}]);
      return;
    }
    if (joined === undefined) return reply("error", { reason: "unmatched topic" }, null);
    if (joinRef !== null && joined !== joinRef) return;
    if (event === "access_token") {
      this.world.renewals.push(payload.access_token);
      const good = this.world.takes(payload.access_token);
      if (good) this.token = payload.access_token;
      return good ? reply("ok", {}, joined) : reply("error", { reason: "unauthorized" }, joined);
    }
    if (this.world.forbid) return reply("error", { reason: "unauthorized" });
    this.#push({ topic, event, payload, ...options }, reply);
  }

  #push({ topic, event, payload, key, after }, reply) {
    const { world } = this;
    const refusal = world.limit({ topic, event, payload, key });
    if (refusal) return reply("error", refusal);
    const what = JSON.stringify([event, payload]);
    const known = key && world.keys.get(`${topic} ${key}`);
    if (known) world.repeats++;
    if (known && known.what !== what) return reply("error", { reason: "key_reused" });
    if (known) return reply("ok", { cursor: known.cursor });
    if (after && !world.keys.has(`${topic} ${after}`)) return reply("error", { reason: "too early" });
    const cursor = world.cursor(world.publish(topic, event, payload).id);
    if (key) world.keys.set(`${topic} ${key}`, { what, cursor });
    reply("ok", key ? { cursor } : {});
  }

  #join(joinRef, topic, payload, old, reply) {
    const { world } = this;
    world.joins.push(payload);
    if (world.refuse) {
      reply("error", world.refuse);
      if (old !== undefined) this.send([old, old, topic, "phx_close", {}]);
      return this.members.delete(topic);
    }
    if (!/^(j:.*\.\d+)?$/.test(payload.since)) return reply("error", { reason: "invalid since" });
    const since = payload.since === "" ? world.seq : Number(payload.since.split(".")[1]);
    const gap = since < world.trimmed;
    const from = gap ? world.seq : since;
    const response = { cursor: world.cursor(from), recovered: payload.since !== "" && !gap };
    if (gap) response.gap = "trimmed";
    reply("ok", response);
    if (old !== undefined) this.send([old, old, topic, "phx_close", {}]);
    this.members.set(topic, joinRef);
    this.heads.set(topic, world.cursor(from));
    const state = world.present.get(topic);
    for (const row of world.rows)
      // the state holds what the diffs before it said
      if (row.topic === topic && row.id > from && row.event !== "presence_diff") this.published(row);
    if (state) this.send([joinRef, null, topic, "presence_state", state]);
  }
}

// A long-poll session: its frames stay until a later token acknowledges them.
class Session extends Peer {
  over = 0;
  lastWords = false; // are still told
  #frames = []; // {id, text}
  #sent = 0;
  #wake = null;

  constructor(name, world) {
    super(world, (frame) => this.#queue(frame));
    this.name = name;
  }

  #queue(frame) {
    this.#frames.push({ id: ++this.#sent, text: JSON.stringify(frame) });
    this.#wake?.();
  }

  end(status) {
    this.over = status;
    this.#wake?.();
  }

  hasMore(cursor) {
    return this.#sent > this.#after(cursor);
  }

  // the session's first token holds the journal's head: nothing is sent yet
  #after(cursor) {
    return cursor < 1e6 ? 0 : cursor - 1e6;
  }

  held(signal) {
    const { world } = this;
    this.#wake?.(); // of two polls the older one ends (P-7.9)
    world.parked++;
    return new Promise((resolve) => {
      const timer = world.later(() => this.#wake(), 10000);
      this.#wake = () => {
        this.#wake = null;
        world.parked--;
        world.clock.clearTimeout(timer);
        resolve();
      };
      signal.addEventListener("abort", () => this.#wake?.());
    });
  }

  answer(cursor) {
    const frames = this.#frames.filter((f) => f.id > this.#after(cursor));
    const page = frames.slice(0, 20);
    const last = page.length ? page[page.length - 1].id : this.#after(cursor);
    const status = page.length ? 200 : 204;
    return { status, token: `${this.name}.${1e6 + last}`, messages: page.map((f) => f.text) };
  }
}

class FakeWebSocket {
  readyState = 0;
  onopen = null;
  onmessage = null;
  onerror = null;
  onclose = null;
  #world;
  #lost = false; // with all that is on its way
  #up = { at: 0 }; // what is on its way keeps its order: when the last arrives
  #down = { at: 0 };

  constructor(url, world, [, bearer]) {
    this.url = url;
    this.#world = world;
    world.dial("websocket");
    this.peer = new Peer(world, (frame) => this.#arrive(JSON.stringify(frame)), true);
    this.peer.token = bearer && Buffer.from(bearer.slice(21), "base64url").toString("latin1");
    world.shown.push(this.peer.token);
    const how = world.takes(this.peer.token) ? world.net.websocket : "refuse";
    if (how === "hang") return;
    this.#travel(this.#up, () => {
      if (this.readyState !== 0) return;
      if (how === "refuse") return this.cut();
      this.mute = how === "mute";
      this.readyState = 1;
      if (world.net.cut) world.later(() => this.cut(), world.net.cut);
      world.socketOpened(this);
      world.bring(() => this.onopen?.({}));
    });
  }

  send(text) {
    if (this.readyState === 0) throw new Error("InvalidStateError");
    if (this.#world.net.up === "swallow") this.mute = true; // for good: it is a stream
    if (this.readyState !== 1 || this.mute) return;
    this.#travel(this.#up, () => this.peer.receive(JSON.parse(text)));
  }

  // What was sent still arrives. What has arrived may still be handed over: the
  // npm package does that.
  close() {
    this.readyState = 3;
    this.#world.socketClosed(this);
  }

  // By the server, behind what it has said.
  end(close) {
    this.#travel(this.#down, () => this.cut(close));
  }

  // The line is gone; what was on it, too.
  cut({ code = 1006, reason = "" } = {}) {
    if (this.readyState === 3) return;
    this.close();
    this.#lost = true;
    this.#world.bring(() => {
      this.onerror?.({});
      this.onclose?.({ code, reason });
    });
  }

  #arrive(data) {
    if (this.#world.net.down === "swallow") this.deaf = true;
    if (this.deaf) return;
    this.#travel(this.#down, () => this.#world.bring(() => this.onmessage?.({ data })));
  }

  #travel(way, arrive) {
    const world = this.#world;
    way.at = Math.max(way.at, world.now + world.net.delay() + world.net.lag);
    world.later(() => this.#lost || arrive(), way.at - world.now);
  }
}

/**
 * holdfast.js - channels over WebSocket or long-poll, whichever works
 *
 * Public: Socket, Channel, Push, with the names and call shapes of phoenix.js;
 * REASONS, the numbered reasons of every change. It runs as it is in browsers
 * and Node: no build step, no dependency.
 *
 *     import { Socket } from "/holdfast.js";
 *
 *     const socket = new Socket("/socket");
 *     socket.connect();
 *     const channel = socket.channel("demo:lobby");
 *     channel.on("say", (message) => console.log(message.text));
 *     channel.onGap(() => console.log("too long away: load the page again"));
 *     channel.join().receive("ok", () => channel.push("say", { text: "hi" }));
 *
 * What is not in phoenix.js: a connection counts only once the server has
 * answered over it, else the next transport is tried; every join says after
 * which message to go on (`since`), so that nothing published in between is
 * lost, and each message reaches the page once. A push whose answer cannot
 * come any more ends as "timeout": it may or may not have had effect. Ours
 * too: socket.onChange, .transportName, .replaceTransport(name), channel.onGap
 * and .cursor. Callbacks always run later than the call that causes them.
 */

// --- states and reasons --------------------------------------------------

/**
 * What a Socket and a Channel can be, and what may follow.
 *
 *     socket   connecting  a link is tried; it has not been useful yet
 *              open        the server has answered over the link
 *              waiting     no link; a timer runs until the next try
 *     channel  errored     not joined, and wants to be: joins again by itself
 */
const NEXT = {
  socket: {
    closed: ["connecting"],
    connecting: ["connecting", "open", "waiting", "closed"],
    open: ["connecting", "waiting", "closed"],
    waiting: ["connecting", "closed"],
  },
  channel: {
    closed: ["joining"],
    joining: ["joined", "errored", "leaving", "closed"],
    joined: ["errored", "leaving", "closed"],
    errored: ["joining", "leaving", "closed"],
    leaving: ["closed"],
  },
};

/**
 * Why something changed. The numbers never change their meaning.
 * @typedef {{number: number, text: string}} Reason
 */
export const REASONS = Object.freeze({
  connect: { number: 1, text: "connect() was called" },
  useful: { number: 2, text: "the server answered" },
  disconnect: { number: 3, text: "disconnect() was called" },
  replaced: { number: 4, text: "another transport was asked for" },
  refused: { number: 5, text: "the connection ended before any answer" },
  unproven: { number: 6, text: "no answer in time" },
  dropped: { number: 7, text: "the connection ended" },
  mute: { number: 8, text: "a heartbeat was not answered" },
  unreachable: { number: 9, text: "polls got no proper answer" },
  gone: { number: 10, text: "the server does not know the session" },
  fault: { number: 11, text: "the server ended the session" },
  forbidden: { number: 12, text: "the server refuses this client" },
  unsent: { number: 13, text: "messages were not accepted" },
  retry: { number: 14, text: "time to try again" },
  restart: { number: 15, text: "the server restarts" },

  join: { number: 20, text: "join() was called" },
  joined: { number: 21, text: "the join was accepted" },
  rejoin: { number: 22, text: "joining again" },
  joinRefused: { number: 23, text: "the join was refused" },
  joinLate: { number: 24, text: "the join was not answered in time" },
  lost: { number: 25, text: "connection lost" },
  failed: { number: 26, text: "the server reported an error" },
  ended: { number: 27, text: "the server closed the channel" },
  leave: { number: 28, text: "leave() was called" },
  left: { number: 29, text: "the channel was left" },
});

/** @returns {string} the state after, or throws: a mistake of ours */
function step(machine, from, to) {
  if (!NEXT[machine][from].includes(to))
    throw new Error(`holdfast: ${machine} cannot go from ${from} to ${to}`);
  return to;
}

// --- small things --------------------------------------------------------

const TIMEOUT_MS = 10000; // a join or push waits so long for its answer
const HEARTBEAT_MS = 30000; // the server closes after 60 s of silence
const FALLBACK_MS = 2500; // a WebSocket has so long to become useful
const GET_MS = 40000; // a poll is held 25 s; one that takes longer is lost
const POST_MS = 20000;
const SETTLED_MS = 10000; // a link that lived so long was a good one
const POLL_TRIES = 5; // failed polls in a row before the link is given up
const NEXT_MS = 30000; // the longest pause a server may ask for
const REFUSALS = [500, 503, 508]; // of a web server that lets no more in
const BATCH_LINES = 100; // Phoenix drops what is beyond
const BATCH_CHARS = 65536; // of one POST, but at least one message
const BUFFER_MAX = 1000; // pushes waiting for their channel's join

const GAP = Symbol("gap"); // no event from the wire can be this

/** Full jitter: many clients that lost one server do not return as one. */
function backoff(random, first, most) {
  return (tries) => random() * Math.min(most, first * 2 ** (tries - 1));
}

/**
 * The application is called when our own work of this turn is done, in order,
 * so it may call us back as it likes. `choose` says whom at that moment: who
 * was taken off meanwhile is not called. One that throws harms no other.
 */
function tell(choose, ...args) {
  queueMicrotask(() => {
    for (const callback of choose()) {
      try {
        callback(...args);
      } catch (error) {
        (globalThis.reportError ?? console.error)(error);
      }
    }
  });
}

/** A value that may be given as a function, evaluated for every use. */
function closure(value) {
  return typeof value === "function" ? value : () => value;
}

/** {o: {a: 1}} -> ["o%5Ba%5D=1"] */
function query(params, prefix) {
  return Object.entries(params).flatMap(([key, value]) => {
    const name = prefix === undefined ? key : `${prefix}[${key}]`;
    if (value !== null && typeof value === "object") return query(value, name);
    return [`${encodeURIComponent(name)}=${encodeURIComponent(value)}`];
  });
}

/** A cursor is "j:<epoch>.<id>". Is `cursor` at or before `last`? */
function known(cursor, last) {
  const dot = cursor.lastIndexOf(".") + 1;
  return (
    typeof last === "string" &&
    cursor.slice(0, dot) === last.slice(0, dot) &&
    Number(cursor.slice(dot)) <= Number(last.slice(dot))
  );
}

const SYSTEM = {
  setTimeout: (callback, ms) => globalThis.setTimeout(callback, ms),
  clearTimeout: (timer) => globalThis.clearTimeout(timer),
  now: () => performance.now(),
  random: () => Math.random(),
};

// --- frames --------------------------------------------------------------

/**
 * @typedef {object} Message
 * @property {string|null} join_ref which join of the channel it belongs to
 * @property {string|null} ref of a push; in rows of the journal their cursor
 * @property {string} topic
 * @property {string} event
 * @property {any} payload
 */

/** @param {Message} message */
export function encode({ join_ref, ref, topic, event, payload }) {
  return JSON.stringify([join_ref, ref, topic, event, payload]);
}

/** @returns {Message|null} null: not a frame */
export function decode(text) {
  let frame;
  try {
    frame = JSON.parse(text);
  } catch {
    return null;
  }
  if (!Array.isArray(frame) || frame.length < 5) return null;
  const [join_ref, ref, topic, event, payload] = frame;
  return { join_ref, ref, topic, event, payload };
}

// --- links ---------------------------------------------------------------

/**
 * A link carries frames and knows no channels: send(text), close(), and three
 * callbacks, none of which comes after close(): onopen() when frames may be
 * sent, onframe(text), onclose(reason) once, when it is of no more use.
 */
class Link {
  onopen = () => {};
  onframe = (_text) => {};
  onclose = (_reason) => {};
  ended = false;
  returnMs = null; // when the server wants us back, if it said so

  close() {
    this.ended = true;
  }

  /** @param {Reason} reason */
  fail(reason) {
    if (this.ended) return;
    this.close();
    this.onclose(reason);
  }
}

/**
 * Long-poll: one GET at a time brings frames, one POST at a time takes them.
 *
 * The token of an answer acknowledges it when it comes back, so a GET that
 * failed in whatever way is repeated with the same token and brings the same
 * messages. A POST that failed may or may not have had effect, and may still
 * have one later: then the session is given up.
 *
 * Where the server may hold few polls it says when to come back (next_ms);
 * answers to what we send are fetched at once all the same. And it is told when
 * the web server before it refused us, so that it holds fewer.
 */
export class PollLink extends Link {
  heartbeats = false; // a poll that fails is noticed by itself
  #url;
  #io;
  #token = null;
  #queue = [];
  #posting = false;
  #posted = false; // a POST was answered since the last GET began
  #heard = false; // something came over this link
  #parked = null; // aborts the GET under way
  #wake = null; // ends the pause

  /** @param {string} url with a query, to which the token is added */
  constructor(url, io) {
    super();
    this.#url = url;
    this.#io = io;
    this.#poll();
  }

  send(text) {
    this.#queue.push(text);
    if (this.#posting) return;
    this.#posting = true;
    // all that is sent in this turn shares a POST
    queueMicrotask(() => this.#post());
  }

  /** What is queued still leaves, but nobody waits for it. */
  close() {
    super.close();
    this.#parked?.abort();
    this.#wake?.();
  }

  async #poll() {
    const pause = backoff(this.#io.clock.random, 500, 5000);
    for (let failures = 0; !this.ended; ) {
      this.#posted = false;
      const answer = await this.#request("GET");
      if (this.ended) return;
      const reason = this.#take(answer);
      if (!reason) {
        failures = 0;
        const ms = Math.min(answer.next_ms, NEXT_MS);
        if (ms > 0 && !this.#posted) await this.#pause(ms);
        continue;
      }
      failures++;
      const again = reason === REASONS.unreachable && this.#token;
      if (!again || failures > POLL_TRIES) return this.fail(reason);
      await this.#pause(pause(failures));
    }
  }

  /** @returns {Reason|null} null: a good answer, and taken */
  #take({ status, token, messages = [] }) {
    if (status === 500) return REASONS.fault;
    if (status === 403) return REASONS.forbidden;
    if (status === 410 && this.#token) return REASONS.gone;
    const good = status === 200 || status === 204 || status === 410;
    if (!good || typeof token !== "string" || !Array.isArray(messages))
      return REASONS.unreachable;

    this.#token = token;
    if (messages.length > 0) this.#heard = true;
    if (this.#heard) this.#io.refused = 0; // a session without channels counts for nothing
    if (status === 410) this.onopen();
    for (const text of messages) this.onframe(text);
    return null;
  }

  async #post() {
    while (this.#queue.length > 0) {
      const body = this.#batch().join("\n");
      const { status } = await this.#request("POST", body);
      if (status === 200) {
        this.#posted = true;
        this.#wake?.();
        continue;
      }
      this.#queue = [];
      this.fail(REASONS.unsent);
    }
    this.#posting = false;
  }

  #batch() {
    let chars = 0;
    let lines = 0;
    while (lines < Math.min(this.#queue.length, BATCH_LINES)) {
      chars += this.#queue[lines].length;
      if (lines > 0 && chars > BATCH_CHARS) break;
      lines++;
    }
    return this.#queue.splice(0, lines);
  }

  /** The JSON object of the answer; {} if there was none, or not in time. */
  async #request(method, body) {
    const { fetch, clock, refused } = this.#io;
    const get = method === "GET";
    const abort = new AbortController();
    const timer = clock.setTimeout(() => abort.abort(), get ? GET_MS : POST_MS);
    const says = get ? `&paced=1${refused ? `&refused=${refused}` : ""}` : "";
    const token = encodeURIComponent(this.#token ?? "");
    if (get) this.#parked = abort;
    try {
      const response = await fetch(`${this.#url}${says}&token=${token}`, {
        method,
        body,
        headers: body && { "content-type": "application/x-ndjson" },
        cache: "no-store",
        signal: abort.signal,
      });
      const answer = await response.json().catch(() => null);
      if (!answer?.status && REFUSALS.includes(response.status))
        this.#io.refused = response.status;
      return Object(answer);
    } catch {
      return {};
    } finally {
      clock.clearTimeout(timer);
    }
  }

  #pause(ms) {
    const { clock } = this.#io;
    return new Promise((resolve) => {
      const timer = clock.setTimeout(resolve, ms);
      this.#wake = () => resolve(clock.clearTimeout(timer));
    });
  }
}

/** WebSocket: frames as they are, in text messages. */
export class SocketLink extends Link {
  heartbeats = true; // a dead one may look alive for minutes
  #ws = null;

  /** @param {string} url */
  constructor(url, io) {
    super();
    try {
      this.#ws = new io.WebSocket(url);
    } catch {
      // a page's policy may forbid it; not before we have an owner
      queueMicrotask(() => this.fail(REASONS.refused));
      return;
    }
    this.#ws.onopen = () => this.onopen();
    this.#ws.onmessage = ({ data }) => {
      if (!this.ended) this.onframe(data);
    };
    this.#ws.onerror = () => {}; // a close follows
    this.#ws.onclose = ({ code, reason }) => this.#closed(code, reason);
  }

  send(text) {
    this.#ws.send(text);
  }

  close() {
    super.close();
    this.#ws?.close(1000);
  }

  /** One that restarts tells each client when to return, in its turn. */
  #closed(code, reason) {
    const [, ms] = (code === 1012 && /^retry_ms=(\d{1,9})$/.exec(reason)) || [];
    if (ms === undefined) return this.fail(REASONS.dropped);
    this.returnMs = Math.min(Number(ms), NEXT_MS);
    this.fail(REASONS.restart);
  }
}

// --- channels ------------------------------------------------------------

/** One message on its way to the server, and who waits for its answer. */
export class Push {
  #clock;
  #timer;
  #hooks = [];
  #answer = null;
  ref = null; // once it was sent

  /** @internal made by Channel */
  constructor(event, payload, timeout, clock) {
    this.event = event;
    this.payload = payload;
    this.timeout = timeout;
    this.#clock = clock;
  }

  /**
   * Call back when the answer has this status: "ok", "error", whatever the
   * application replies, or "timeout": no answer, the effect is unknown.
   * @param {string} status
   * @param {(response: any) => void} callback
   * @returns {this}
   */
  receive(status, callback) {
    if (this.#answer?.status === status) tell(() => [callback], this.#answer.response);
    this.#hooks.push({ status, callback });
    return this;
  }

  /** @internal the time for an answer begins (again, for a join) */
  start(late) {
    this.#clock.clearTimeout(this.#timer);
    this.#answer = null;
    this.#timer = this.#clock.setTimeout(late, this.timeout);
  }

  /** @internal nobody waits any more, and nobody is told */
  stop() {
    this.#clock.clearTimeout(this.#timer);
  }

  /** @internal */
  settle(status, response) {
    this.stop();
    this.#answer = { status, response };
    const hooks = this.#hooks.filter((hook) => hook.status === status);
    tell(() => hooks.map((hook) => hook.callback), response);
  }
}

/**
 * One topic this page listens to and speaks on; made by socket.channel().
 *
 *     closed --join()--> joining --ok--> joined --leave()--> leaving -> closed
 *                           ^               |
 *                           +--- errored <--+  connection lost, phx_error
 */
export class Channel {
  /** Where the journal's stream has been read to; null before a join. */
  cursor = null;
  state = "closed";
  #socket;
  #params;
  #clock;
  #joinRef = null; // of the join sent over this link; null: none, or it failed
  #joinPush = null;
  #bindings = [];
  #nextBinding = 1;
  #waiting = []; // pushes made before the join is accepted
  #pending = new Map(); // ref -> push that was sent
  #rejoinTimer;
  #rejoins = 0;

  /** @internal made by Socket */
  constructor(topic, params, socket, clock) {
    this.topic = topic;
    this.timeout = socket.timeout;
    this.#params = closure(params);
    this.#socket = socket;
    this.#clock = clock;
  }

  /**
   * Join, and join again whenever the connection was lost, until leave().
   * The answers of later joins run the same hooks.
   * @returns {Push}
   */
  join(timeout = this.timeout) {
    if (this.#joinPush) throw new Error("join() can only be called once per channel");
    this.timeout = timeout;
    this.#joinPush = new Push("phx_join", null, timeout, this.#clock);
    this.#join(REASONS.join);
    return this.#joinPush;
  }

  /**
   * Send an event; kept until the join is accepted.
   * @param {string} event
   * @param {object} payload
   * @returns {Push}
   */
  push(event, payload = {}, timeout = this.timeout) {
    if (!this.#joinPush) throw new Error(`join() '${this.topic}' before pushing to it`);
    const push = new Push(event, payload, timeout, this.#clock);
    push.start(() => this.#late(push));
    if (this.state === "joined") this.#send(push);
    else if (this.state === "leaving" || this.state === "closed")
      push.settle("error", { reason: "channel closed" });
    else if (this.#waiting.length >= BUFFER_MAX)
      push.settle("error", { reason: "too many pushes wait" });
    else this.#waiting.push(push);
    return push;
  }

  /** Leave for good; "ok" when the server knows, or there is none. */
  leave(timeout = this.timeout) {
    const push = new Push("phx_leave", {}, timeout, this.#clock);
    const close = () => this.#close("leave", REASONS.left);
    const there = this.state === "joined" || this.state === "joining";
    push.receive("ok", close).receive("timeout", close);
    if (this.state !== "leaving" && this.state !== "closed") {
      this.#joinPush.stop();
      this.#clock.clearTimeout(this.#rejoinTimer);
      this.#enter("leaving", REASONS.leave);
    }
    push.start(() => this.#late(push));
    if (there && this.#socket.writable) this.#send(push);
    else push.settle("ok", {});
    return push;
  }

  /**
   * @param {string|symbol} event
   * @param {(payload: any, ref: any, joinRef: any) => void} callback
   * @returns {number} for off()
   */
  on(event, callback) {
    const ref = this.#nextBinding++;
    this.#bindings.push({ event, ref, callback });
    return ref;
  }

  /** Without a ref: all callbacks of the event. */
  off(event, ref) {
    this.#bindings = this.#bindings.filter(
      (b) => b.event !== event || (ref !== undefined && b.ref !== ref),
    );
  }

  onClose(callback) {
    return this.on("phx_close", callback);
  }

  onError(callback) {
    return this.on("phx_error", callback);
  }

  /** Messages in between are no longer in the journal: load afresh. */
  onGap(callback) {
    return this.on(GAP, callback);
  }

  /** @internal frames can be sent (again) */
  linkUp() {
    if (this.state === "errored") this.#join(REASONS.rejoin);
    else if (this.state === "joining") this.#sendJoin();
  }

  /** @internal no answer will come over the link that was */
  linkLost() {
    const payload = { reason: REASONS.lost.text };
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    this.#clock.clearTimeout(this.#rejoinTimer);
    if (this.state === "joined" || this.state === "joining")
      this.#fail(REASONS.lost, payload);
    for (const push of pending) push.settle("timeout", payload);
  }

  /** @internal any message of our topic */
  receive({ join_ref, ref, event, payload }) {
    // refs are never used twice, so a reply is for us if we know its ref
    if (event === "phx_reply" && this.#pending.has(ref)) {
      const push = this.#pending.get(ref);
      this.#pending.delete(ref);
      push.settle(payload?.status, payload?.response);
      return;
    }
    // an older join's; its rows come again after our own `since`
    if (join_ref !== null && join_ref !== this.#joinRef) return;
    if (event === "phx_reply") this.#joinReply(ref, payload);
    else if (event === "phx_close") this.#close(payload, REASONS.ended);
    else if (event === "phx_error") this.#fail(REASONS.failed, payload);
    else this.#row(event, payload, ref, join_ref);
  }

  #row(event, payload, ref, joinRef) {
    if (typeof ref === "string" && ref.startsWith("j:")) {
      if (known(ref, this.cursor)) return;
      this.cursor = ref;
    }
    this.#tell(event, payload, ref, joinRef);
  }

  #join(reason) {
    this.#enter("joining", reason);
    this.#joinPush.start(() => this.#joinLate());
    if (this.#socket.writable) this.#sendJoin();
  }

  #sendJoin() {
    const params = this.#params() ?? {};
    const since = this.cursor ?? params.since ?? "";
    this.#joinRef = this.#socket.makeRef();
    this.#transmit("phx_join", this.#joinRef, { ...params, since });
  }

  #joinReply(ref, payload) {
    if (this.state !== "joining" || ref !== this.#joinRef) return;
    const { status, response } = payload;
    if (status === "ok") this.#joined(response);
    else this.#fail(REASONS.joinRefused);
    this.#joinPush.settle(status, response);
    if (status === "ok" && response?.gap) this.#tell(GAP, response);
  }

  #joined(response) {
    if (typeof response?.cursor === "string") this.cursor = response.cursor;
    this.#rejoins = 0;
    this.#enter("joined", REASONS.joined);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const push of waiting) this.#send(push);
  }

  #joinLate() {
    // if it was sent, the server may take it all the same: take it back
    if (this.#joinRef) this.#transmit("phx_leave", this.#socket.makeRef(), {});
    this.#fail(REASONS.joinLate);
    this.#joinPush.settle("timeout", { reason: "no answer" });
  }

  #late(push) {
    this.#pending.delete(push.ref);
    this.#waiting = this.#waiting.filter((other) => other !== push);
    push.settle("timeout", { reason: "no answer" });
  }

  /** Not joined any more. `payload`: what onError is told, if it is. */
  #fail(reason, payload) {
    if (this.state !== "joined" && this.state !== "joining") return;
    this.#joinRef = null; // what still comes for this join is not ours
    this.#enter("errored", reason);
    if (this.#socket.writable) this.#rejoinLater();
    if (payload) this.#tell("phx_error", payload);
  }

  #rejoinLater() {
    const delay = this.#socket.rejoinAfterMs(++this.#rejoins);
    this.#rejoinTimer = this.#clock.setTimeout(() => {
      if (this.#socket.writable) this.#join(REASONS.rejoin);
    }, delay);
  }

  #close(payload, reason) {
    this.#socket.remove(this);
    if (this.state === "closed") return;
    this.#clock.clearTimeout(this.#rejoinTimer);
    this.#joinPush.stop();
    this.#enter("closed", reason);
    const waiting = this.#waiting;
    const pending = [...this.#pending.values()];
    this.#waiting = [];
    this.#pending.clear();
    this.#tell("phx_close", payload);
    for (const push of waiting) push.settle("error", { reason: "channel closed" });
    for (const push of pending) push.settle("timeout", { reason: "channel closed" });
  }

  #send(push) {
    push.ref = this.#socket.makeRef();
    this.#pending.set(push.ref, push);
    this.#transmit(push.event, push.ref, push.payload);
  }

  #transmit(event, ref, payload) {
    const { topic } = this;
    const join_ref = this.#joinRef;
    this.#socket.send({ join_ref, ref, topic, event, payload });
  }

  #tell(event, payload, ref = null, joinRef = this.#joinRef) {
    const bound = () => {
      const last = this.state === "leaving" || this.state === "closed";
      if (last && event !== "phx_close") return [];
      return this.#bindings.filter((b) => b.event === event);
    };
    tell(() => bound().map((b) => b.callback), payload, ref, joinRef);
  }

  #enter(state, reason) {
    this.state = step("channel", this.state, state);
    this.#socket.log("channel", `${this.topic} ${state}`, reason);
  }
}

// --- the socket ----------------------------------------------------------

/**
 * @typedef {object} Options
 * @property {object|(() => object)} [params] sent with every connection
 * @property {number} [timeout] of joins and pushes, ms
 * @property {number} [heartbeatIntervalMs]
 * @property {number} [longPollFallbackMs] what a WebSocket has to be useful
 * @property {"websocket"|"longpoll"} [transport] only this one
 * @property {(tries: number) => number} [reconnectAfterMs]
 * @property {(tries: number) => number} [rejoinAfterMs]
 * @property {(kind: string, text: string, data: any) => void} [logger]
 * @property {typeof fetch} [fetch] these three for tests and odd platforms
 * @property {typeof WebSocket} [WebSocket]
 * @property {object} [clock] setTimeout, clearTimeout, now, random
 */

/**
 *     closed --connect()--> connecting --answer--> open --disconnect()-> closed
 *                             |  ^  ^               |
 *        WebSocket not useful:|  |  +--- waiting <--+ link lost
 *        try long-poll        +--+
 */
export class Socket {
  state = "closed";
  /** "websocket", "longpoll", or null while there is no link. */
  transportName = null;
  channels = [];
  #io;
  #link = null;
  #linkIsUp = false;
  #linkIsUseful = false;
  #usefulSince = 0;
  #timer; // the link's time to become useful, or until the next try
  #pulse; // until the next heartbeat, or the answer to this one
  #heartbeat; // ref of the last one
  #tries = 0;
  #ref = 0;
  #listeners = [];
  #nextListener = 1;

  /**
   * @param {string} endPoint such as "/socket" or "wss://host/socket"
   * @param {Options} opts
   */
  constructor(endPoint, opts = {}) {
    const clock = { ...SYSTEM, ...opts.clock };
    this.endPoint = endPoint;
    this.params = closure(opts.params ?? {});
    this.timeout = opts.timeout ?? TIMEOUT_MS;
    this.heartbeatIntervalMs = opts.heartbeatIntervalMs ?? HEARTBEAT_MS;
    this.longPollFallbackMs = opts.longPollFallbackMs ?? FALLBACK_MS;
    this.transport = opts.transport;
    this.logger = opts.logger ?? null;
    this.reconnectAfterMs = opts.reconnectAfterMs ?? backoff(clock.random, 500, 10000);
    this.rejoinAfterMs = opts.rejoinAfterMs ?? backoff(clock.random, 1000, 10000);
    this.#io = {
      clock,
      fetch: opts.fetch ?? ((...args) => globalThis.fetch(...args)),
      WebSocket: "WebSocket" in opts ? opts.WebSocket : globalThis.WebSocket,
      refused: 0, // HTTP status of the last refusal, until the server knows
    };
  }

  /** Connect, and stay connected; while it waits, try at once. */
  connect() {
    if (this.state === "closed" || this.state === "waiting")
      this.#dial(this.#firstChoice(), REASONS.connect);
  }

  /** The arguments code and reason of phoenix.js have no use here. */
  disconnect(callback) {
    if (this.state !== "closed") {
      this.#drop();
      this.#enter("closed", REASONS.disconnect);
    }
    callback?.();
  }

  /**
   * Use this transport from now on; undefined: choose by what works.
   * @param {"websocket"|"longpoll"|undefined} name
   */
  replaceTransport(name) {
    this.transport = name;
    if (this.state === "closed") return;
    if (this.#link && this.transportName === this.#firstChoice()) return;
    this.#drop();
    this.#dial(this.#firstChoice(), REASONS.replaced);
  }

  /** @returns {Channel} */
  channel(topic, params = {}) {
    const channel = new Channel(topic, params, this, this.#io.clock);
    this.channels.push(channel);
    return channel;
  }

  remove(channel) {
    this.channels = this.channels.filter((other) => other !== channel);
  }

  isConnected() {
    return this.state === "open";
  }

  connectionState() {
    return this.state === "waiting" ? "closed" : this.state;
  }

  onOpen(callback) {
    return this.#listen("open", callback);
  }

  /** callback(reason): a connection that was open is no more. */
  onClose(callback) {
    return this.#listen("close", callback);
  }

  /** callback(reason, transport): an attempt failed or a link was lost. */
  onError(callback) {
    return this.#listen("error", callback);
  }

  /** callback(message), after the channels have seen it */
  onMessage(callback) {
    return this.#listen("message", callback);
  }

  /** callback(state, reason, transport): ours, whatever changed. */
  onChange(callback) {
    return this.#listen("change", callback);
  }

  /** @param {number[]} refs as the functions above returned them */
  off(refs) {
    this.#listeners = this.#listeners.filter((l) => !refs.includes(l.ref));
  }

  makeRef() {
    return String(++this.#ref);
  }

  log(kind, text, data) {
    this.logger?.(kind, text, data);
  }

  endPointURL(transport = "websocket") {
    const url = new URL(this.endPoint, globalThis.location?.href);
    const secure = /^(https|wss):$/.test(url.protocol) ? "s" : "";
    const pairs = query({ ...this.params(), vsn: "2.0.0" });
    if (url.search) pairs.unshift(url.search.slice(1));
    url.protocol = (transport === "websocket" ? "ws" : "http") + secure;
    url.pathname = `${url.pathname.replace(/\/+$/, "")}/${transport}`;
    url.search = pairs.join("&");
    url.hash = "";
    return url.href;
  }

  /** @internal may frames be sent? Earlier than "open" says. */
  get writable() {
    return this.#linkIsUp;
  }

  /** @internal */
  send(message) {
    this.log("push", `${message.topic} ${message.event}`, message);
    this.#link.send(encode(message));
  }

  #firstChoice() {
    const auto = this.#io.WebSocket ? "websocket" : "longpoll";
    return this.transport ?? auto;
  }

  #dial(name, reason) {
    const { clock } = this.#io;
    const Kind = name === "websocket" ? SocketLink : PollLink;
    const link = new Kind(this.endPointURL(name), this.#io);
    const fallback = name === "websocket" && !this.transport;
    link.onopen = () => this.#up();
    link.onframe = (text) => this.#receive(text);
    link.onclose = (why) => this.#lost(why);
    this.#link = link;
    this.transportName = name;
    clock.clearTimeout(this.#timer);
    this.#timer = clock.setTimeout(
      () => this.#lost(REASONS.unproven),
      fallback ? this.longPollFallbackMs : this.timeout,
    );
    this.#enter("connecting", reason);
  }

  /**
   * Frames can be sent. Joins go out with the heartbeat that proves the
   * link: should it be mute they are said again elsewhere, and pushes wait
   * for the answer to a join anyway.
   */
  #up() {
    this.#linkIsUp = true;
    if (this.#link.heartbeats) this.#beat();
    for (const channel of this.channels) channel.linkUp();
    if (!this.#link.heartbeats) this.#useful();
  }

  #useful() {
    this.#io.clock.clearTimeout(this.#timer);
    this.#linkIsUseful = true;
    this.#usefulSince = this.#io.clock.now();
    this.#enter("open", REASONS.useful);
  }

  #receive(text) {
    const message = decode(text);
    if (!message) return this.log("transport", "not a frame", text);
    if (!this.#linkIsUseful) this.#useful();
    this.log("receive", `${message.topic} ${message.event}`, message);

    if (message.ref === this.#heartbeat) this.#beatLater();
    for (const channel of this.channels)
      if (channel.topic === message.topic) channel.receive(message);
    this.#tell("message", message);
  }

  #beat() {
    const { clock } = this.#io;
    const patience = Math.min(this.timeout, this.heartbeatIntervalMs);
    this.#heartbeat = this.makeRef();
    const mute = () => this.#lost(REASONS.mute);
    this.#pulse = clock.setTimeout(mute, patience);
    this.send({
      join_ref: null,
      ref: this.#heartbeat,
      topic: "phoenix",
      event: "heartbeat",
      payload: {},
    });
  }

  #beatLater() {
    const { clock } = this.#io;
    clock.clearTimeout(this.#pulse);
    this.#pulse = clock.setTimeout(() => this.#beat(), this.heartbeatIntervalMs);
  }

  /** The link is of no more use: try the other one, or later again. */
  #lost(reason) {
    const name = this.transportName;
    const useful = this.#linkIsUseful;
    const age = this.#io.clock.now() - this.#usefulSince;
    const returnMs = this.#link.returnMs;
    const early = reason === REASONS.dropped && !useful;
    const why = early ? REASONS.refused : reason;
    if (useful && age > SETTLED_MS) this.#tries = 0;
    this.#drop();
    const other = name === "websocket" && !useful && returnMs === null;
    if (other && !this.transport) this.#dial("longpoll", why);
    else this.#wait(why, returnMs);
    this.#tell("error", why, name);
  }

  #wait(reason, returnMs) {
    const delay = returnMs ?? this.reconnectAfterMs(++this.#tries);
    this.#timer = this.#io.clock.setTimeout(
      () => this.#dial(this.#firstChoice(), REASONS.retry),
      delay,
    );
    this.#enter("waiting", reason);
  }

  /** Forget the link, and all that waits for something from it. */
  #drop() {
    this.#io.clock.clearTimeout(this.#timer);
    this.#io.clock.clearTimeout(this.#pulse);
    this.#link?.close();
    this.#link = null;
    this.#linkIsUp = this.#linkIsUseful = false;
    this.transportName = null;
    for (const channel of this.channels) channel.linkLost();
  }

  #enter(state, reason) {
    const before = this.state;
    this.state = step("socket", before, state);
    this.log("transport", `${this.transportName} ${state}`, reason);
    this.#tell("change", state, reason, this.transportName);
    if (state === "open") this.#tell("open");
    if (before === "open") this.#tell("close", reason);
  }

  #listen(kind, callback) {
    const ref = this.#nextListener++;
    this.#listeners.push({ kind, ref, callback });
    return ref;
  }

  #tell(kind, ...args) {
    const asked = () => this.#listeners.filter((l) => l.kind === kind);
    tell(() => asked().map((l) => l.callback), ...args);
  }
}

// Made of holdfast.js by build.mjs; do not edit.
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __export = (target, all) => {
  for (var name in all)
    __defProp(target, name, { get: all[name], enumerable: true });
};
var __copyProps = (to, from, except, desc) => {
  if (from && typeof from === "object" || typeof from === "function") {
    for (let key of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key) && key !== except)
        __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
  }
  return to;
};
var __toCommonJS = (mod) => __copyProps(__defProp({}, "__esModule", { value: true }), mod);

// <stdin>
var stdin_exports = {};
__export(stdin_exports, {
  Channel: () => Channel,
  LongPoll: () => LongPoll,
  PollLink: () => PollLink,
  Presence: () => Presence,
  Push: () => Push,
  REASONS: () => REASONS,
  Serializer: () => Serializer,
  Socket: () => Socket,
  SocketLink: () => SocketLink,
  decode: () => decode,
  encode: () => encode
});
module.exports = __toCommonJS(stdin_exports);

// holdfast.js
var NEXT = {
  socket: {
    closed: ["connecting"],
    connecting: ["connecting", "open", "waiting", "closed"],
    open: ["open", "connecting", "waiting", "closed"],
    waiting: ["connecting", "open", "waiting", "closed"]
  },
  channel: {
    closed: ["joining"],
    joining: ["joined", "errored", "leaving", "closed"],
    joined: ["errored", "leaving", "closed"],
    errored: ["joining", "leaving", "closed"],
    leaving: ["closed"]
  }
};
var REASONS = Object.freeze({
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
  works: { number: 30, text: "WebSocket works again" },
  late: { number: 31, text: "the answer to a heartbeat is late" },
  unfit: { number: 32, text: "WebSocket has failed too often here" },
  unheard: { number: 33, text: "what is sent arrives, and its answer does not" },
  loss: { number: 40, text: "messages did not arrive" },
  leads: { number: 50, text: "this tab connects for all" },
  follows: { number: 51, text: "another tab connects for this one" },
  apart: { number: 52, text: "this tab connects by itself" },
  woke: { number: 60, text: "woken up" },
  offline: { number: 61, text: "the browser is offline" },
  hidden: { number: 62, text: "the page was left" },
  noToken: { number: 63, text: "no token could be had" }
});
var CHECKED = true;
var TABS = true;
function check(machine, from, to) {
  if (!NEXT[machine][from].includes(to))
    throw new Error(`holdfast: ${machine} cannot go from ${from} to ${to}`);
}
var TIMEOUT_MS = 1e4;
var HEARTBEAT_MS = 3e4;
var FALLBACK_MS = 2500;
var GET_MS = 4e4;
var POST_MS = 1e4;
var REPLY_MS = 5e3;
var OVERLAP_MS = 5e3;
var SETTLED_MS = 1e4;
var SHORT_MS = 3e4;
var UNFIT = 3;
var PROBE_MS = 15e3;
var PROBE_MOST_MS = 6e5;
var VERDICT_MS = 36e5;
var POLL_TRIES = 5;
var NEXT_MS = 3e4;
var REFUSALS = [500, 503, 508];
var BATCH_LINES = 100;
var BATCH_CHARS = 65536;
var BUFFER_MAX = 1e3;
var REPEAT_MS = 54e4;
var RETRY = ["rate_limited", "busy", "too early"];
var TICK_MS = 5e3;
var LATE_MS = 3e3;
var THROTTLED_MS = 65e3;
var CHECK_MS = 5e3;
var OFFLINE_MS = 3e4;
var ONLINE_MS = 1e3;
var BEARER = "base64url.bearer.phx.";
var RENEW = 0.8;
var SERVED_MS = 3e4;
var PATIENCE_MS = 6e5;
var TAB_MS = 1250;
var MUTE_TICKS = 5;
var TAB_CHARS = 13;
var TOO_MANY = "too many channels joined";
function backoff(random, first, most) {
  return (tries) => random() * Math.min(most, first * 2 ** (tries - 1));
}
function tell(choose, ...args) {
  queueMicrotask(() => {
    for (const callback of attempt(choose) ?? []) attempt(callback, ...args);
  });
}
function attempt(callback, ...args) {
  try {
    return callback(...args);
  } catch (error) {
    (globalThis.reportError ?? console.error)(error);
  }
}
var told = (ms) => ms > 0 ? Math.min(ms, NEXT_MS) : 0;
var afterMs = (choose, tries) => attempt(choose, tries) ?? NEXT_MS;
function closure(value) {
  return typeof value === "function" ? value : () => value;
}
function snapshot(value) {
  return value instanceof ArrayBuffer ? value.slice(0) : JSON.parse(JSON.stringify(value));
}
function unique() {
  const bytes = crypto.getRandomValues(new Uint8Array(18));
  return btoa(String.fromCharCode(...bytes)).replace(/[+/]/g, "-");
}
function append(search, value, name) {
  if (value === null || typeof value !== "object") return search.append(name, value);
  for (const key in value) append(search, value[key], name ? `${name}[${key}]` : key);
}
var reasonOf = (number) => Object.values(REASONS).find((reason) => reason.number === number) ?? REASONS.follows;
var held = (signal) => new Promise((done) => signal.addEventListener("abort", done));
function known(cursor, last) {
  const [epoch] = `${cursor}`.split(".");
  const longer = cursor?.length - last?.length;
  return `${last}`.startsWith(`${epoch}.`) && (longer ? longer < 0 : cursor <= last);
}
function base64(text, [from, to, from2, to2]) {
  return text.replaceAll(from, to).replaceAll(from2, to2).replaceAll("=", "");
}
var claims = (token) => JSON.parse(atob(base64(token.split(".")[1], "-+_/")));
var SYSTEM = {
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: (timer) => clearTimeout(timer),
  now: () => performance.now(),
  wall: () => Date.now(),
  // anybody may set it: never to wait by
  random: () => Math.random()
};
var Timer = class {
  #clock;
  #timer;
  constructor(clock) {
    this.#clock = clock;
  }
  set(ms, callback) {
    this.stop();
    this.#timer = this.#clock.setTimeout(callback, Math.min(ms, 1e9));
  }
  /**
   * What somebody else has to be done with by then. A timer of a hidden page or
   * after a sleep is late itself, and what it waits for may stand in the queue
   * behind it. So the last eighth begins when the first part is over: by its end
   * the queue has been read.
   */
  due(ms, callback) {
    const moment = ms >> 3;
    this.set(ms - moment, () => this.set(moment, callback));
  }
  stop() {
    this.#clock.clearTimeout(this.#timer);
  }
};
function encode({ join_ref, ref, topic, event, payload, options }) {
  if (payload instanceof ArrayBuffer) {
    const text2 = Array.from(new Uint8Array(payload), (byte) => String.fromCharCode(byte));
    payload = { _binary: btoa(text2.join("")) };
    options = { ...options, bytes: true };
  }
  const frame = [join_ref, ref, topic, event, payload];
  const text = JSON.stringify(options ? [...frame, options] : frame);
  return text.replace(/\\(\\|ud[89a-f]..)/g, (all, what) => what === "\\" ? all : "\\ufffd");
}
function decode(data) {
  try {
    if (data instanceof ArrayBuffer) return decodeBinary(data);
    const frame = JSON.parse(data);
    if (!Array.isArray(frame) || frame.length < 5) return null;
    const [join_ref, ref, topic, event, payload] = frame;
    const message = { join_ref, ref, topic, event, payload: bytesIn(payload) };
    if (event === "phx_reply" && payload) payload.response = bytesIn(payload.response);
    return message;
  } catch {
    return null;
  }
}
function bytesIn(value) {
  if (typeof value?._binary !== "string" || Object.keys(value).length > 1) return value;
  try {
    return Uint8Array.from(atob(value._binary), (char) => char.charCodeAt(0)).buffer;
  } catch {
    return value;
  }
}
function decodeBinary(data) {
  const bytes = new Uint8Array(data);
  const count = [3, 4, 2][bytes[0]];
  let at = 1 + count;
  const names = Array.from(
    bytes.subarray(1, at),
    (size) => new TextDecoder().decode(bytes.subarray(at, at += size))
  );
  const payload = data.slice(at);
  const event = names.pop();
  const topic = names.pop();
  const [join_ref = null, ref = null] = names;
  if (!count || at > bytes.length) return null;
  return count === 4 ? { join_ref, ref, topic, event: "phx_reply", payload: { status: event, response: payload } } : { join_ref, ref, topic, event, payload };
}
var Link = class {
  /** @type {() => void} */
  onopen;
  /** @type {(data: string|ArrayBuffer) => void} */
  onframe;
  /** @type {() => void} */
  ondoubt;
  /** @type {(reason: Reason) => void} */
  onclose;
  ended;
  returnMs = null;
  // when the server wants us back, if it said so
  silence = REASONS.unproven;
  // what it means if no answer comes
  // what follows is the Line's
  name;
  // of its transport
  reason;
  // why it was dialled
  opened;
  counted;
  // among the failures
  usefulAt = 0;
  // when the server answered over it
  asked;
  // something was sent, and nothing has been answered since
  doubt;
  // until that is too long
  timer;
  // its time for the next step, or until its next heartbeat
  heartbeat = null;
  // ref of the one that waits for its answer
  checked;
  // which is urgent
  /** @param {string} url with a query, to which more is added */
  constructor(url, io) {
    this.url = url;
    this.io = io;
  }
  /** Once, when the callbacks are set. The token, if there is one, is shown. */
  start(_token) {
  }
  close() {
    this.ended = true;
  }
  /** Something may be wrong with the way: what waits for an answer asks anew. */
  check() {
  }
  /** @param {Reason} reason */
  fail(reason) {
    if (this.ended) return;
    this.close();
    this.onclose(reason);
  }
};
var PollLink = class extends Link {
  beats = false;
  // a poll that fails is noticed by itself, mostly
  #token;
  #queue = [];
  #posting;
  #posted;
  // a POST was answered since the last GET began
  #heard;
  // something of a channel came over this link
  #parked;
  // aborts the GET under way
  #hurry;
  // it has not much time left
  #wake;
  // ends the pause
  start() {
    this.#poll();
  }
  send(message) {
    this.#queue.push(encode(message));
    if (this.#posting) return;
    this.#posting = true;
    queueMicrotask(() => this.#post());
  }
  /** What is queued still leaves, but nobody waits for it. */
  close() {
    super.close();
    this.#parked?.abort();
    this.#wake?.();
  }
  /** The same token brings the same messages; of two polls the newer gets them. */
  check() {
    this.#parked?.abort();
  }
  async #poll() {
    const pause = backoff(this.io.clock.random, 500, 5e3);
    for (let failures = 0; !this.ended; ) {
      this.#posted = false;
      this.returnMs = null;
      const answer = await this.#request("GET");
      if (this.ended) return;
      const reason = this.#take(answer);
      if (!reason) {
        failures = 0;
        const ms = told(answer.next_ms);
        if (ms && !this.#posted) await this.#pause(ms);
        continue;
      }
      failures++;
      const again = reason === REASONS.unreachable && this.#token;
      if (!again || failures > POLL_TRIES) return this.fail(reason);
      await this.#pause(this.returnMs ?? pause(failures));
    }
  }
  /** @returns {Reason|null} null: a good answer, and taken */
  #take({ status, token, messages = [] }) {
    if (status === 500) return REASONS.fault;
    if (status === 403) return REASONS.forbidden;
    if (status === 410 && this.#token) return REASONS.gone;
    if (![200, 204, 410].includes(status) || !token || !Array.isArray(messages))
      return REASONS.unreachable;
    this.#token = token;
    if (messages.length > 0) this.silence = REASONS.mute;
    if (messages.some((text) => !/"phoenix"/.test(text))) this.#heard = true;
    if (this.#heard) this.io.refused = 0;
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
        this.silence = REASONS.unheard;
        this.#wake?.();
        this.#hurry?.();
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
    do
      chars += this.#queue[lines++].length;
    while (lines < Math.min(this.#queue.length, BATCH_LINES) && chars + this.#queue[lines].length <= BATCH_CHARS);
    return this.#queue.splice(0, lines);
  }
  /** The JSON object of the answer; {} if there was none, or not in time. */
  async #request(method, body) {
    const { fetch, clock, refused, bearer: bearer2 } = this.io;
    const get = method === "GET";
    const abort = new AbortController();
    const timer = new Timer(clock);
    const late = () => {
      abort.abort();
      if (get && !this.ended) this.ondoubt();
    };
    timer.due(get ? GET_MS : POST_MS + body.length / 8, late);
    const says = get ? `&paced=1${refused ? `&refused=${refused}` : ""}` : "";
    const token = encodeURIComponent(this.#token ?? "");
    if (get) {
      this.#parked = abort;
      this.#hurry = () => {
        this.#hurry = null;
        timer.due(REPLY_MS, late);
      };
    }
    try {
      const response = await fetch(`${this.url}${says}&token=${token}`, {
        method,
        body,
        headers: body ? { "content-type": "application/x-ndjson" } : bearer2?.token && { "x-phoenix-authtoken": bearer2.token },
        cache: "no-store",
        signal: abort.signal
      });
      if (get) {
        this.#hurry = null;
        timer.due(GET_MS, late);
      }
      const answer = await response.json().catch(() => null);
      if (!answer?.status) this.#turnedAway(response);
      return Object(answer);
    } catch {
      return {};
    } finally {
      timer.stop();
      if (get) this.#hurry = null;
    }
  }
  /** By somebody before the server; to many at once it says the same time. */
  #turnedAway({ status, headers }) {
    const ms = told(headers?.get("retry-after") * 1e3);
    if (ms) this.returnMs = ms * (1 + this.io.clock.random() / 2);
    if (REFUSALS.includes(status)) this.io.refused = status;
  }
  #pause(ms) {
    const timer = new Timer(this.io.clock);
    return new Promise((resolve) => {
      timer.set(ms, resolve);
      this.#wake = () => resolve(timer.stop());
    });
  }
};
var SocketLink = class extends Link {
  beats = true;
  // a dead one may look alive for minutes
  #ws;
  start(token) {
    const bearer2 = token && ["phoenix", BEARER + base64(btoa(token), "+-/_")];
    try {
      const ws = new this.io.WebSocket(this.url, bearer2);
      this.#ws = ws;
      ws.binaryType = "arraybuffer";
      ws.onopen = () => this.ended || this.onopen();
      ws.onmessage = ({ data }) => this.ended || this.onframe(data);
      ws.onerror = () => {
      };
      ws.onclose = (event) => this.#closed(event);
    } catch {
      queueMicrotask(() => this.fail(REASONS.refused));
    }
  }
  send(message) {
    this.#ws.send(encode(message));
  }
  close() {
    super.close();
    this.#ws?.close(1e3);
  }
  /** One that restarts tells each client when to return, in its turn. */
  #closed({ code, reason }) {
    const [, ms] = /^1012 retry_ms=(\d{1,9})$/.exec(`${code} ${reason}`) ?? [];
    if (ms) this.returnMs = told(ms);
    this.fail(ms ? REASONS.restart : REASONS.dropped);
  }
};
var Carrier = class {
  /** @type {() => void} */
  onup;
  /** @type {() => void} */
  ondown;
  /** @type {(message: Message) => void} */
  onframe;
  /** @type {(state: string, reason: Reason, transport: string|null) => void} */
  onchange;
  /** @type {(reason: Reason, transport: string) => void} */
  onerror;
  /** @type {() => object} */
  beat;
  /** @type {() => void} only of tabs: they cannot share, use a Line */
  onapart;
  /**
   * Is who shows this token somebody else, who must not share with the others?
   * @param {string} [_token]
   * @returns {any}
   */
  moved(_token) {
  }
};
var Line = class extends Carrier {
  #host;
  #io;
  #link;
  // what is sent goes over it
  #older;
  // the one before, still read
  #next;
  // one that is tried beside it
  #spare;
  // the other transport, as long as it was not tried either
  #timer;
  // until the next link is dialled
  #tries = 0;
  // that came to nothing, since a link lasted
  #strikes = 0;
  // failures of WebSocket in a row where long-poll works
  #blamed;
  // there is one more, and long-poll has still to work
  #probeMs;
  // doubled then
  #told;
  // the server said how long to wait
  #ended;
  constructor(host, io) {
    super();
    this.#host = host;
    this.#io = io;
    this.#timer = new Timer(io.clock);
    this.#recall();
  }
  open(reason) {
    const unfit = this.#mayChoose && this.#strikes >= UNFIT;
    this.#spare = this.#mayChoose && (unfit ? "websocket" : "longpoll");
    if (unfit) this.#dial("longpoll", REASONS.unfit);
    else this.#dial(this.#wanted, reason);
  }
  check(reason) {
    const link = this.#link;
    this.#recall();
    if (!link) {
      if (reason === REASONS.connect || !this.#told) this.open(reason);
    } else if (link.usefulAt && !link.checked) {
      link.checked = true;
      link.check();
      this.#beat(link, CHECK_MS);
      if (!this.#next && link.name !== this.#wanted) this.#probe();
    }
  }
  replace(reason) {
    this.#next = this.#end(this.#next);
    this.#spare = this.#mayChoose && "longpoll";
    if (this.#link?.name === this.#wanted) return this.#plan();
    if (this.#link && !this.#link.usefulAt) this.#leave();
    this.#dial(this.#wanted, reason);
  }
  send(message) {
    const link = this.#link;
    if (link.beats && !link.asked) link.doubt.due(this.#host.longPollFallbackMs, link.ondoubt);
    link.asked = true;
    this.#send(link, message);
  }
  settled() {
    this.#older = this.#end(this.#older);
  }
  close() {
    this.#ended = true;
    this.#timer.stop();
    for (const link of [this.#older, this.#next, this.#link]) this.#end(link);
  }
  get #mayChoose() {
    return !this.#host.transport && this.#io.WebSocket;
  }
  /** The transport to have, if it works. */
  get #wanted() {
    return this.#host.transport ?? (this.#io.WebSocket ? "websocket" : "longpoll");
  }
  /** Of all pages of the origin, on this network. */
  get #key() {
    const network = this.#io.page.navigator?.connection?.type;
    return `holdfast ${this.#host.endPoint.split("?")[0]} ${network}`;
  }
  #recall() {
    const { page, clock } = this.#io;
    this.#forgive();
    try {
      const [count, at] = page.localStorage[this.#key].split(" ");
      if (Math.abs(clock.wall() - at) < VERDICT_MS) this.#strikes = Number(count);
    } catch {
    }
  }
  #remember() {
    const { page, clock } = this.#io;
    try {
      page.localStorage[this.#key] = `${this.#strikes} ${clock.wall()}`;
    } catch {
    }
  }
  #forgive() {
    this.#blamed = false;
    this.#strikes = 0;
    this.#probeMs = PROBE_MS;
  }
  /** Beside the link there is, if there is one. */
  #dial(name, reason) {
    const { bearer: bearer2 } = this.#io;
    const Kind = name === "websocket" ? SocketLink : PollLink;
    const url = `${this.#host.endPointURL(name)}&client_id=${this.#host.clientId}`;
    if (this.#ended) return;
    const link = new Kind(url, this.#io);
    link.name = name;
    link.reason = reason;
    link.timer = new Timer(this.#io.clock);
    link.doubt = new Timer(this.#io.clock);
    link.onopen = () => this.#opened(link);
    link.onframe = (data) => attempt(() => this.#receive(link, data));
    link.ondoubt = () => link.heartbeat || this.#beat(link);
    link.onclose = (why) => this.#lost(link, why);
    if (this.#spare === name) this.#spare = null;
    if (this.#link) this.#next = link;
    else this.#link = link;
    this.#timer.stop();
    if (!this.#link.usefulAt) this.onchange("connecting", reason, name);
    const start = (token) => {
      if (link.ended) return;
      this.#deadline(link, this.#host.timeout);
      link.start(token);
      this.#plan();
    };
    const failed = () => {
      link.counted = true;
      this.#spare = null;
      link.fail(REASONS.noToken);
    };
    if (bearer2) bearer2.get().then(start, failed);
    else start();
  }
  #probe() {
    this.#dial(this.#wanted, this.#host.transport ? REASONS.replaced : REASONS.works);
  }
  /** What is dialled beside the link there is, if nothing happens. */
  #plan() {
    const { usefulAt, name, heartbeat } = this.#link;
    const ms = this.#host.longPollFallbackMs;
    const timer = this.#timer;
    timer.stop();
    if (this.#next) return;
    if (!usefulAt) {
      if (this.#spare) timer.due(ms, () => this.#dial(this.#spare, REASONS.unproven));
    } else if (name !== this.#wanted)
      timer.set(this.#probeMs * (1 - this.#io.clock.random() / 2), () => this.#probe());
    else if (heartbeat && this.#mayChoose)
      timer.due(ms, () => this.#dial("longpoll", REASONS.late));
  }
  /**
   * Frames can be sent. Joins go out with the heartbeat that proves the
   * link: should it be mute they are said again elsewhere, and pushes wait
   * for the answer to a join anyway.
   */
  #opened(link) {
    link.opened = true;
    this.#beat(link);
    if (link === this.#link) this.onup();
    else if (!this.#link.usefulAt) this.#use(link, this.#link);
  }
  #use(link, next) {
    this.#link = link;
    this.#next = next;
    this.onup();
  }
  /** The server has answered. */
  #useful(link) {
    const before = this.#link;
    const takesOver = before.usefulAt > 0;
    link.usefulAt = this.#io.clock.now();
    link.silence = REASONS.mute;
    if (takesOver) {
      if (link.reason === REASONS.late) this.#failed(before);
      this.settled();
      this.#older = before;
      before.doubt.stop();
      before.timer.set(OVERLAP_MS, () => this.settled());
    }
    if (link !== before) this.#use(link, takesOver ? null : before);
    if (link.name === this.#wanted) this.#next = this.#end(this.#next);
    else if (this.#next) {
      this.#next.reason = REASONS.works;
      this.#failed(this.#next);
    }
    this.onchange("open", takesOver ? link.reason : REASONS.useful, link.name);
    this.#proven(link);
    this.#plan();
  }
  /** When a link becomes useful, and by each of its heartbeats. */
  #proven({ beats, usefulAt }) {
    const age = this.#io.clock.now() - usefulAt;
    if (beats && age > PROBE_MOST_MS) this.#probeMs = PROBE_MS;
    if (beats && age > SHORT_MS && this.#strikes) {
      this.#strikes = 0;
      this.#remember();
    }
    if (!beats && this.#blamed) {
      this.#blamed = false;
      this.#probeMs = Math.min(this.#probeMs * 2, PROBE_MOST_MS);
      this.#remember();
    }
  }
  /** Each link counts once. */
  #failed(link) {
    if (link.counted || !this.#mayChoose) return;
    link.counted = true;
    this.#strikes++;
    this.#blamed = true;
  }
  #receive(link, data) {
    const message = decode(data);
    if (!message) return this.#host.log("transport", "not a frame", data);
    if (!link.usefulAt) this.#useful(link);
    if (message.event === "phx_reply") {
      link.asked = false;
      link.doubt.stop();
    }
    if (link === this.#link && message.ref === link.heartbeat) this.#answered(link);
    this.onframe(message);
  }
  #answered(link) {
    link.heartbeat = null;
    link.checked = false;
    link.timer.stop();
    if (link.beats) link.timer.set(this.#host.heartbeatIntervalMs, () => this.#beat(link));
    if (link.name === this.#wanted) this.#timer.stop();
    if (this.#next?.reason === REASONS.late) this.#next = this.#end(this.#next);
    this.#proven(link);
  }
  #send(link, message) {
    this.#host.log("push", `${message.topic} ${message.event}`, message);
    link.send(message);
  }
  #beat(link, ms = this.#host.timeout) {
    const { heartbeatIntervalMs, longPollFallbackMs } = this.#host;
    link.heartbeat = this.#host.makeRef();
    const better = link !== this.#link && link.reason === REASONS.works;
    this.#deadline(link, Math.min(better ? longPollFallbackMs : ms, heartbeatIntervalMs));
    if (link.usefulAt && link.name === this.#wanted) this.#plan();
    this.#send(link, {
      join_ref: null,
      ref: link.heartbeat,
      topic: "phoenix",
      event: "heartbeat",
      payload: this.beat()
    });
  }
  #deadline(link, ms) {
    link.timer.due(ms, () => this.#lost(link, link.silence));
  }
  /** The link is of no more use: go on with another one, or later. */
  #lost(link, reason) {
    if (link === this.#older) return this.settled();
    const { name, usefulAt, returnMs, beats } = link;
    const why = reason === REASONS.dropped && !usefulAt ? REASONS.refused : reason;
    const age = usefulAt && this.#io.clock.now() - usefulAt;
    if (why === REASONS.forbidden || why === REASONS.refused && this.#host.transport)
      this.#io.bearer?.refused();
    if (age > SETTLED_MS) this.#tries = 0;
    if (!beats && !usefulAt) this.#forgive();
    else if (beats && age < SHORT_MS && returnMs === null) this.#failed(link);
    if (link === this.#link) this.#leave();
    else this.#next = this.#end(link);
    if (this.#link) this.#goOn(why);
    else if (this.#spare && !usefulAt && returnMs === null) this.#dial(this.#spare, why);
    else this.#wait(why, returnMs);
    if (!this.#link?.usefulAt) this.onerror(why, name);
  }
  /** What was tried beside it takes its place. */
  #leave() {
    const { opened } = this.#link;
    this.#end(this.#link);
    this.settled();
    this.#link = this.#next;
    this.#next = null;
    if (opened) this.ondown();
  }
  #goOn(why) {
    const { name, usefulAt, opened } = this.#link;
    if (usefulAt) this.#proven(this.#link);
    else {
      this.onchange("connecting", why, name);
      if (opened) this.onup();
    }
    this.#plan();
  }
  /**
   * Where there is no network a try is no proof of anything. But what a browser
   * thinks of the network is no proof either, so now and then there is one.
   */
  #wait(reason, returnMs) {
    const { clock, page } = this.#io;
    const offline = page.navigator?.onLine === false;
    const ms = offline ? OFFLINE_MS * (1 - clock.random() / 2) : returnMs ?? afterMs(this.#host.reconnectAfterMs, ++this.#tries);
    if (this.#ended) return;
    this.#told = returnMs !== null;
    this.#timer.set(ms, () => this.open(REASONS.retry));
    this.onchange("waiting", offline ? REASONS.offline : reason, null);
  }
  #end(link) {
    link?.timer.stop();
    link?.doubt.stop();
    link?.close();
  }
};
function identity(...parts) {
  return JSON.stringify(parts).replace(/\bey[\w-]+\.ey[\w-]+\.[\w-]+/g, (token) => {
    try {
      return JSON.stringify({ ...claims(token), exp: 0, iat: 0, nbf: 0, jti: 0 });
    } catch {
      return token;
    }
  });
}
var covers = (cursor, { payload: { since, last } }) => typeof cursor === "string" && (since === "" ? !last : known(cursor, since));
var Hub = class {
  #topics = /* @__PURE__ */ new Map();
  #host;
  #line;
  #tell;
  /**
   * @param {(kind: string, ...args) => void} tell tabs: "frame", to, message, with
   *   `to`: tab -> join_ref, of whom it is for; null: all. "part", tab: go apart
   */
  constructor(host, line, tell2) {
    this.#host = host;
    this.#line = line;
    this.#tell = tell2;
  }
  /** Another link, or none. Tabs join again. */
  renew() {
    this.#topics.clear();
  }
  /** A tab is no more. */
  drop(tab) {
    for (const it of this.#topics.values()) {
      delete it.ports[tab];
      it.waits = it.waits.filter((wait) => wait.tab !== tab);
      this.#ask(it);
    }
  }
  /** @param {Message} message of a tab */
  send(tab, message) {
    const { topic, event, join_ref, payload } = message;
    const joining = event === "phx_join";
    const wait = { ...message, tab };
    let it = this.#topics.get(topic);
    const joined = it?.ports[tab] === join_ref;
    if (!joining && event !== "phx_leave") {
      const here = joined || join_ref === null && it?.ports[tab];
      if (here || topic === "phoenix") this.#line.send({ ...message, join_ref: null });
      return;
    }
    if (joining) {
      const key = identity({ ...payload, since: 0 });
      it ??= { topic, key, ports: {}, waits: [], asked: null, ref: null, cursor: null };
      const here = [...Object.keys(it.ports), ...it.waits.map((other) => other.tab)];
      if (it.key !== key && here.some((other) => other !== tab)) return this.#tell("part", tab);
      it.key = key;
      it.payload = payload;
      this.#topics.set(topic, it);
    } else if (joined) delete it.ports[tab];
    else if (it) {
      it.waits = it.waits.filter((other) => other.tab !== tab || other.join_ref !== join_ref);
      it.asked = null;
      it.ref = "";
    }
    if (joining || joined) it.waits.push(wait);
    else this.#reply(wait, "ok", {});
    if (it) this.#ask(it);
  }
  /** @param {Message} message of the server */
  receive(message) {
    const { join_ref, ref, topic, event, payload } = message;
    const it = this.#topics.get(topic);
    if (topic === "phoenix") this.#tell("frame", null, message);
    else if (event === "phx_reply") {
      if (it?.asked?.ref === ref) this.#answered(it, payload);
      else this.#tell("frame", { [String(ref).slice(0, TAB_CHARS)]: null }, message);
    } else if (it && (join_ref === null || join_ref === it.ref)) {
      if (/^j:/.test(ref) && !known(ref, it.cursor)) it.cursor = ref;
      if (event !== "phx_close" && event !== "phx_error")
        return this.#tell("frame", it.ports, message);
      this.#over(it, event, payload);
      this.#ask(it);
    }
  }
  /** Ask the server what has to be asked next, if anything. */
  #ask(it) {
    const { topic, waits, ports, cursor } = it;
    if (it.asked) return;
    const joins = waits.filter((wait) => wait.event === "phx_join");
    const wanted = joins.length > 0 || Object.keys(ports).length > 0;
    if (waits.length === 0 && it.ref !== "" && wanted === (it.ref !== null)) {
      if (!wanted) this.#topics.delete(topic);
      return;
    }
    const older = joins.filter((wait) => !covers(cursor, wait));
    const oldest = (a, b) => known(b.payload.since, a.payload.since) ? b : a;
    const pick = older.reduce(oldest, older[0]);
    const ref = this.#host.makeRef();
    for (const wait of waits) wait.asked = true;
    it.asked = { ref, pick, wanted };
    this.#line.send({
      join_ref: wanted ? ref : null,
      ref,
      topic,
      event: wanted ? "phx_join" : "phx_leave",
      payload: pick?.payload ?? { ...it.payload, since: cursor ?? "" }
    });
  }
  #answered(it, { status, response }) {
    const { ref, pick, wanted } = it.asked;
    const { cursor = null, gap, reason } = Object(response);
    const ok = wanted && status === "ok";
    const beyond2 = typeof cursor === "string" && !known(cursor, it.cursor);
    it.asked = null;
    if (!ok || beyond2) this.#over(it, "phx_error", { reason: gap ?? reason });
    if (beyond2) it.cursor = cursor;
    if (ok) it.ref = ref;
    const served = (wait) => wait.event === "phx_leave" ? wait.asked : wait === pick || ok && !gap && covers(cursor, wait);
    const answer = it.waits.filter(served);
    it.waits = it.waits.filter((wait) => !served(wait));
    for (const wait of answer) {
      const { tab, event, join_ref } = wait;
      const { since } = wait.payload;
      const former = it.ports[tab];
      const begins = since || (wait === pick ? cursor : it.cursor);
      const more = ok && !gap && { cursor: begins, recovered: since !== "" };
      if (event === "phx_leave") {
        this.#reply(wait, "ok", {});
        this.#close(wait);
        continue;
      }
      if (ok) it.ports[tab] = join_ref;
      if (reason === TOO_MANY) this.#tell("part", tab);
      else this.#reply(wait, status, { ...response, ...more });
      if (ok && former) this.#close({ ...wait, join_ref: former });
    }
    this.#ask(it);
  }
  /** Nobody is joined any more. */
  #over(it, event, payload) {
    for (const [tab, join_ref] of Object.entries(it.ports))
      this.#close({ tab, join_ref, topic: it.topic }, event, payload);
    it.ports = {};
    it.ref = it.cursor = null;
  }
  #reply({ tab, join_ref, ref, topic }, status, response) {
    const payload = { status, response };
    this.#tell("frame", { [tab]: join_ref }, { ref, topic, event: "phx_reply", payload });
  }
  #close({ tab, join_ref: ref, topic }, event = "phx_close", payload = {}) {
    this.#tell("frame", { [tab]: ref }, { ref, topic, event, payload });
  }
};
var mayShare = ({ document, navigator, BroadcastChannel: bus }) => document && navigator?.locks && bus;
var NO_NEWS = { term: 0, up: "" };
var Tabs = class extends Carrier {
  #host;
  #io;
  #id;
  // another whenever we come, so that what ends is not what begins
  #name;
  // of the lock, and of what we say to each other
  #end;
  // aborted: we share no more
  #timer;
  #bus = null;
  // to the others
  #queued = false;
  // for the lock
  #claim;
  // with which the lock is ours
  #line = null;
  // this and what follows, while we lead
  #hub = null;
  #term;
  #tabs;
  // that have sent something
  #news = NO_NEWS;
  // as the leader said it last
  #silent;
  // ticks since
  constructor(host, io) {
    super();
    this.#host = host;
    this.#io = io;
  }
  async open(reason) {
    const { page } = this.#io;
    const { signal } = this.#end = new AbortController();
    this.#id = this.#host.tab + unique();
    this.#silent = 0;
    this.#tick();
    this.onchange("connecting", reason, null);
    try {
      const name = await this.#group(await this.#io.bearer?.get());
      await page.navigator.locks.request(name + this.#id, { signal }, () => {
        if (signal.aborted) return null;
        this.#name = name;
        this.#bus = new page.BroadcastChannel(name);
        this.#bus.onmessage = ({ data }) => this.#hear(data);
        this.#bus.postMessage(["ask"]);
        this.#stand({ signal });
        return held(signal);
      });
    } catch {
      if (!signal.aborted) this.#apart();
    }
  }
  check(reason) {
    if (this.#line) this.#line.check(reason);
    else this.#bus?.postMessage(["ask", reason.number]);
  }
  /** Those with another transport are other tabs. */
  replace(reason) {
    this.#quit();
    this.open(reason);
  }
  send(message) {
    const data = ["say", this.#news.up, this.#id, message];
    if (this.#hub) return this.#hear(data);
    this.#host.log("push", `${message.topic} ${message.event}`, message);
    this.#bus.postMessage(data);
  }
  settled() {
    this.#line?.settled();
  }
  close() {
    this.ondown = () => {
    };
    this.#quit();
  }
  /** Then we go to those we belong to now. */
  async moved(token) {
    const name = this.#name;
    if (token && !/^ey/.test(token) && this.#tabs?.size === 0) return;
    const moved = name && await this.#group(token) !== name;
    if (moved && !this.#end.signal.aborted) this.replace(REASONS.connect);
    return moved;
  }
  /** Nobody comes to this name who does not know all that it is made of. */
  async #group(token) {
    const { endPoint, params, transport } = this.#host;
    const url = new URL(endPoint, globalThis.location?.href).href;
    const text = new TextEncoder().encode(identity(url, attempt(params), transport, token));
    const hash = await crypto.subtle.digest("SHA-256", text);
    return `holdfast:1:${btoa(String.fromCharCode(...new Uint8Array(hash)))}`;
  }
  /** Wait for the lock, or take it, and lead while we have it. */
  async #stand(options) {
    const { signal } = this.#end;
    const { locks } = this.#io.page.navigator;
    if (options.signal) this.#queued = true;
    const lead = async () => {
      const now = (await locks.query()).held;
      const [ours, us] = ["", this.#id].map((end) => now.find((l) => l.name === this.#name + end));
      const moved = await this.moved(await this.#io.bearer?.get());
      if (moved || signal.aborted || ours?.clientId !== us?.clientId) return;
      this.#claim = options;
      if (!this.#hub) this.#lead();
      await held(signal);
    };
    await locks.request(this.#name, options, lead).catch(() => {
    });
    if (signal.aborted) return;
    if (options.signal) this.#queued = false;
    if (this.#hub && this.#claim === options) this.#resign();
  }
  #lead() {
    const term = this.#news.term + 1 + this.#io.clock.random();
    const line = new Line(this.#host, this.#io);
    const tabs = /* @__PURE__ */ new Set();
    const tell2 = (...data) => {
      if (tabs.size > 0 || data[0] === "news") this.#bus.postMessage(data);
      this.#hear(data);
    };
    const hub = new Hub(this.#host, line, (kind, ...rest) => tell2(kind, this.#news.up, ...rest));
    let news = { term, up: "", client: this.#host.clientId };
    const change = (what) => tell2("news", news = { ...news, ...what });
    const renew = (up) => {
      hub.renew();
      change({ up });
    };
    line.onup = () => renew(`${term} ${this.#host.makeRef()}`);
    line.ondown = () => renew("");
    line.onchange = (state, { number }, transport) => change({ state, reason: number, transport });
    line.onerror = (...error) => this.onerror(...error);
    line.onframe = (message) => hub.receive(message);
    line.beat = () => {
      this.#bus.postMessage(["beat"]);
      return this.beat();
    };
    this.#term = term;
    this.#line = line;
    this.#hub = hub;
    this.#tabs = tabs;
    line.open(REASONS.leads);
  }
  /** The lock was stolen: we were frozen, say. */
  #resign() {
    this.#line.close();
    this.#line = this.#hub = null;
    const reason = REASONS.follows.number;
    this.#follow({ ...this.#news, up: "", state: "connecting", reason, transport: null });
  }
  #tick() {
    this.#timer = this.#io.clock.setTimeout(() => this.#tick(), TAB_MS);
    if (this.#hub) return;
    if (this.#silent > MUTE_TICKS + 2) return this.#apart();
    if (this.#bus) {
      if (!this.#queued) this.#stand({ signal: this.#end.signal });
      if (this.#silent === MUTE_TICKS) this.#stand({ steal: true });
      if (this.#silent > 0) this.#bus.postMessage(["ask"]);
    }
    this.#silent++;
  }
  /** What is not as we say it is passed over. */
  #hear(data) {
    const [kind, a, b, c] = Array.isArray(data) ? data : [];
    const { up } = this.#news;
    if (kind === "news" && a?.state) this.#follow(a);
    else if (kind === "frame" && a && a === up) this.#receive(b, c);
    else if (kind === "beat") this.beat();
    else if (kind === "part" && a === up && b === this.#id) queueMicrotask(() => this.#apart());
    else if (this.#hub && kind === "say" && a === up) this.#serve(b, c);
    else if (this.#hub && kind === "ask") {
      this.#bus.postMessage(["news", this.#news]);
      if (a) this.#line.check(reasonOf(a));
    }
  }
  #follow(news) {
    const later = news.term > this.#news.term;
    if (!later && news.term !== this.#news.term) return;
    if (later && this.#hub && news.term !== this.#term) this.#resign();
    const last = this.#news;
    const { up, state, reason, transport, client } = news;
    this.#silent = 0;
    this.#news = news;
    this.#host.clientId = client;
    if (last.up && (later || !up)) this.ondown();
    if (state !== last.state || reason !== last.reason || transport !== last.transport)
      this.onchange(state, reasonOf(reason), transport);
    if (up && up !== last.up) this.onup();
  }
  #receive(to, message) {
    this.#silent = 0;
    const us = to && [this.#id, this.#host.tab].find((id) => Object.hasOwn(to, id));
    if (!to || us) this.onframe({ ...message, join_ref: to?.[us] ?? null });
  }
  #serve(tab, message) {
    const hub = this.#hub;
    const gone = () => {
      if (this.#hub !== hub) return;
      this.#tabs.delete(tab);
      hub.drop(tab);
    };
    if (tab !== this.#id && !this.#tabs.has(tab)) {
      const options = { mode: "shared", signal: this.#end.signal };
      this.#tabs.add(tab);
      this.#io.page.navigator.locks.request(this.#name + tab, options, gone).catch(() => {
      });
    }
    hub.send(tab, message);
  }
  #apart() {
    if (this.#end.signal.aborted) return;
    this.#quit();
    this.onapart();
  }
  #quit() {
    const { up } = this.#news;
    this.#end.abort();
    this.#io.clock.clearTimeout(this.#timer);
    this.#bus?.close();
    this.#line?.close();
    this.#bus = this.#line = this.#hub = null;
    this.#queued = false;
    this.#news = NO_NEWS;
    this.#host.clientId = unique();
    if (up) this.ondown();
  }
};
function live({ clock, page }, check2, leave) {
  const { document } = page;
  const end = new AbortController();
  const timer = new Timer(clock);
  const wait = (ms, online) => {
    const due = clock.wall() + ms;
    timer.set(ms, () => {
      const late = document?.hidden ? THROTTLED_MS : LATE_MS;
      if (online || Math.abs(clock.wall() - due) > late) check2();
      wait(TICK_MS);
    });
  };
  const hear = ({ type }) => {
    if (type === "pagehide") leave();
    else if (type === "online") wait(clock.random() * ONLINE_MS, true);
    else if (type !== "visibilitychange" || !document.hidden) check2();
  };
  const listen = (target, ...types) => {
    for (const type of types) target?.addEventListener?.(type, hear, { signal: end.signal });
  };
  listen(page, "online", "offline", "pagehide", "pageshow");
  listen(document, "visibilitychange", "resume");
  wait(TICK_MS);
  return () => {
    end.abort();
    timer.stop();
  };
}
function lifetime(token, wall) {
  try {
    const { exp, iat } = claims(token);
    const left = exp * 1e3 - wall;
    const span = (exp - iat) * 1e3;
    return left > 0 && !(left > span) ? left : span;
  } catch {
    return NaN;
  }
}
function bearer(give, clock, onfresh) {
  const pause = backoff(clock.random, 1e3, PATIENCE_MS);
  const timer = new Timer(clock);
  let promise;
  let ended = false;
  let soon = false;
  let tries = 0;
  let askedAt;
  const later = (ms, then) => ended || timer.set(ms, then);
  const forget = () => promise = null;
  const renew = () => {
    forget();
    self.get().catch(again);
  };
  const again = () => {
    tries = clock.now() - askedAt < SERVED_MS ? tries + 1 : 0;
    soon = true;
    later(tries && pause(tries), renew);
  };
  const ask = async () => {
    askedAt = clock.now();
    const given = give();
    const limit = new Timer(clock);
    const late = new Promise((_, reject) => limit.set(TIMEOUT_MS, reject));
    const answer = Promise.race([given, late]).finally(() => limit.stop());
    const token = await answer || void 0;
    const ms = lifetime(token, clock.wall()) * RENEW;
    soon = false;
    if (ms > 0) later(Math.max(ms, 1e3), renew);
    else later(TICK_MS, forget);
    if (token !== self.token && !ended) onfresh(self.token = token);
    return token;
  };
  const self = {
    token: void 0,
    get() {
      promise ??= ask();
      promise.catch(forget);
      return promise;
    },
    refused() {
      if (!soon) again();
    },
    end() {
      ended = true;
      timer.stop();
    }
  };
  return self;
}
var bare = (object) => Object.assign(/* @__PURE__ */ Object.create(null), object);
var without = (metas = [], others = []) => metas.filter((meta) => !others.some((other) => other.phx_ref === meta.phx_ref));
function beyond(state, other) {
  const more = bare();
  for (const key in state) {
    const metas = without(state[key].metas, other[key]?.metas);
    if (metas.length > 0) more[key] = { ...state[key], metas };
  }
  return more;
}
var Presence = class _Presence {
  /** key -> {metas: [...]} */
  state = bare();
  /** @internal [joinRef, diff] of a join whose state is still to come */
  pendingDiffs = [];
  /** @internal of the join the state belongs to */
  joinRef = null;
  /** @internal */
  caller = {};
  /**
   * @param {Channel} channel
   * @param {{events?: {state: string, diff: string}}} opts
   */
  constructor(channel, opts = {}) {
    const { state, diff } = opts.events ?? { state: "presence_state", diff: "presence_diff" };
    const call = (name) => (...args) => attempt(() => this.caller[name]?.(...args));
    const sync = (how, change) => {
      this.state = _Presence[how](this.state, change, call("onJoin"), call("onLeave"));
    };
    const done = call("onSync");
    this.channel = channel;
    channel.on(state, (now, _ref, joinRef) => {
      this.joinRef = joinRef;
      sync("syncState", now);
      for (const [ref, change] of this.pendingDiffs)
        if (ref === joinRef) sync("syncDiff", change);
      this.pendingDiffs = [];
      done();
    });
    channel.on(diff, (change, _ref, joinRef) => {
      if (joinRef !== this.joinRef) return this.pendingDiffs.push([joinRef, change]);
      sync("syncDiff", change);
      done();
    });
  }
  /** callback(key, before, joined): before is undefined for a new key */
  onJoin(callback) {
    this.caller.onJoin = callback;
  }
  /** callback(key, left over, gone): nothing is left over of who is gone */
  onLeave(callback) {
    this.caller.onLeave = callback;
  }
  onSync(callback) {
    this.caller.onSync = callback;
  }
  /** @param {(key: string, presence: any) => any} [by] */
  list(by) {
    return _Presence.list(this.state, by);
  }
  inPendingSyncState() {
    return !this.joinRef || this.joinRef !== this.channel.joinRef();
  }
  /** The state that follows, and what changed told to the callbacks. */
  static syncState(current, next, onJoin, onLeave) {
    const [before, after] = [current, next].map((state) => bare(snapshot(state)));
    const diff = { joins: beyond(after, before), leaves: beyond(before, after) };
    return _Presence.syncDiff(before, diff, onJoin, onLeave);
  }
  static syncDiff(state, diff, onJoin, onLeave) {
    const next = bare(state);
    const { joins, leaves } = snapshot(diff);
    for (const [key, joined] of Object.entries(joins)) {
      const before = next[key];
      const metas = [...without(before?.metas, joined.metas), ...joined.metas];
      next[key] = { ...joined, metas };
      onJoin?.(key, before, joined);
    }
    for (const [key, left] of Object.entries(leaves)) {
      const current = next[key];
      if (!current) continue;
      current.metas = without(current.metas, left.metas);
      onLeave?.(key, current, left);
      if (current.metas.length === 0) delete next[key];
    }
    return next;
  }
  static list(presences, chooser = (_key, presence) => presence) {
    return Object.keys(presences).map((key) => chooser(key, presences[key]));
  }
};
var Push = class {
  #timer;
  #hooks = [];
  #answer;
  ref = null;
  // once it was sent
  /** @internal the join it was sent with last, and so over which link */
  sentWith = null;
  /** @internal the one before, if it was not answered over that */
  unsure = null;
  /** @internal by the system's clock, which goes on when the machine sleeps */
  startedAt = 0;
  /** @internal why the server did not take it yet */
  refusal;
  /** @internal made by Channel */
  constructor(channel, event, payload, timeout, options) {
    this.#timer = new Timer(channel.socket.clock);
    this.channel = channel;
    this.event = event;
    this.payload = payload;
    this.timeout = Math.min(timeout, REPEAT_MS);
    this.options = options;
  }
  /**
   * Call back when the answer has this status: "ok", "error", whatever the
   * application replies, or "timeout": no answer, the effect is unknown.
   * @param {string} status
   * @param {(response: any) => void} callback
   * @returns {this}
   */
  receive(status, callback) {
    const answer = this.#answer;
    if (answer?.status === status) tell(() => [() => callback(answer.response)]);
    this.#hooks.push({ status, callback });
    return this;
  }
  /** @internal the time for an answer begins (again, for a join) */
  start(late) {
    this.#answer = null;
    this.startedAt = this.channel.socket.clock.wall();
    this.#timer.due(this.timeout, late);
  }
  /** @internal nobody waits any more, and nobody is told */
  stop() {
    this.#timer.stop();
  }
  /** @internal */
  settle(status, response) {
    const hooks = this.#hooks.filter((hook) => hook.status === status);
    const answer = { status, response };
    this.stop();
    this.#answer = answer;
    tell(() => {
      Object.assign(answer, this.channel.handle("phx_reply", { ...answer }, this.ref));
      return hooks.map(({ callback }) => () => callback(answer.response));
    });
  }
};
var Channel = class {
  /** Where the journal's stream has been read to; null before a join. */
  cursor = null;
  /** @type {"closed"|"joining"|"joined"|"errored"|"leaving"} */
  state = "closed";
  joinPush = null;
  #joinRef = null;
  // of the join sent over this link; null: none, or it failed
  #olderRef = null;
  // of the one before, over the link that was replaced
  #moving;
  // joined there, and the join over this link not answered yet
  #beatRef = null;
  // of the join that was accepted when the last heartbeat left
  #bindings = [];
  #nextBinding = 1;
  #pushes = [];
  // not answered yet, in their order
  #window = Infinity;
  // so many of them may be under way
  #pause;
  // until pushes may be sent again, after a refusal
  #rejoinTimer;
  #rejoins = 0;
  /** @internal made by Socket */
  constructor(topic, params, socket) {
    this.topic = topic;
    this.timeout = socket.timeout;
    this.params = closure(params);
    this.#rejoinTimer = new Timer(socket.clock);
    this.socket = socket;
  }
  /**
   * Join, and join again whenever the connection was lost, until leave().
   * The answers of later joins run the same hooks.
   * @returns {Push}
   */
  join(timeout = this.timeout) {
    if (this.joinPush) throw new Error("join() can only be called once per channel");
    this.timeout = timeout;
    this.joinPush = new Push(this, "phx_join", null, timeout);
    this.#join(REASONS.join);
    return this.joinPush;
  }
  /**
   * Send an event, after those before it; it has its effect once. What is not
   * answered is said again over every new connection, for `timeout` ms.
   * @param {string} event
   * @param {object|ArrayBuffer} payload
   * @param {number} timeout nine minutes at most
   * @param {{key?: string|false}} options a key of your own, with which it may
   *   be said again by a later page; false: never say it again
   * @returns {Push}
   */
  push(event, payload, timeout = this.timeout, { key = unique() } = {}) {
    if (!this.joinPush) throw new Error(`join() '${this.topic}' before pushing to it`);
    const options = key ? { key } : void 0;
    const push = new Push(this, event, snapshot(payload ?? {}), timeout, options);
    push.start(() => this.#late(push));
    if (this.#over)
      push.settle("error", { reason: "channel closed" });
    else if (this.#pushes.length >= BUFFER_MAX)
      push.settle("error", { reason: "too many pushes wait" });
    else {
      this.#pushes.push(push);
      this.#flush();
    }
    return push;
  }
  /** Leave for good; "ok" when the server knows, or there is none. */
  leave(timeout = this.timeout) {
    const push = new Push(this, "phx_leave", {}, timeout);
    const close = () => this.#close("leave", REASONS.left);
    const there = this.#there;
    push.receive("ok", close).receive("timeout", close);
    if (!this.#over) {
      this.joinPush?.stop();
      this.#moving = false;
      this.#enter("leaving", REASONS.leave);
    }
    push.start(() => this.#late(push));
    if (there && this.socket.writable) {
      this.#pushes.push(push);
      this.#send(push);
    } else {
      this.part();
      push.settle("ok", {});
    }
    return push;
  }
  /**
   * @param {string} event
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
      (b) => b.event !== event || ref !== void 0 && b.ref !== ref
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
    return this.on("phx_gap", callback);
  }
  /**
   * To be replaced by the application, if it wants: sees every event before the
   * callbacks do, and returns the payload that they get.
   */
  onMessage(_event, payload, _ref, _joinRef) {
    return payload;
  }
  canPush() {
    return this.isJoined() && this.socket.isConnected();
  }
  isClosed() {
    return this.state === "closed";
  }
  isErrored() {
    return this.state === "errored";
  }
  isJoined() {
    return this.state === "joined";
  }
  isJoining() {
    return this.state === "joining";
  }
  isLeaving() {
    return this.state === "leaving";
  }
  /** Of the join whose messages are heard. */
  joinRef() {
    return this.#moving ? this.#olderRef : this.#joinRef;
  }
  /** Join again now; a channel that is joined stays so meanwhile. */
  rejoin() {
    if (this.socket.writable) this.linkUp();
  }
  /** @internal so that others see us go at once */
  part() {
    const { ref } = this.joinPush ?? {};
    if (ref && this.socket.writable) this.#transmit("phx_leave", this.socket.makeRef(), {}, void 0, ref);
  }
  /** @internal is the link before this one still needed? */
  get unsettled() {
    const waits = ({ sentWith }) => sentWith && sentWith !== this.#joinRef;
    return this.#moving || this.isJoining() || this.isLeaving() || this.#pushes.some(waits);
  }
  /** @internal frames can be sent (again), maybe over another link */
  linkUp() {
    if (this.state === "errored") return this.#join(REASONS.rejoin);
    if (!this.#there) return;
    const joined = this.isJoined();
    this.#olderRef = joined && !this.#moving ? this.#joinRef : null;
    this.#moving = joined;
    if (joined) this.#rejoinTimer.set(this.timeout, () => this.#joinLate());
    this.#sendJoin();
  }
  /** @internal no answer will come over the link that was */
  linkLost() {
    const payload = { reason: REASONS.lost.text };
    this.#fail(REASONS.lost, payload);
    for (const push of this.#pushes)
      if (push.sentWith && !push.options) this.#settle(push, "timeout", payload);
  }
  /** @internal a heartbeat leaves */
  beat() {
    this.#beatRef = this.isJoined() && !this.#moving ? this.#joinRef : null;
  }
  /** @internal its answer: this row and all before it had been sent to us */
  head(cursor) {
    const same = this.#beatRef && this.#beatRef === this.#joinRef;
    if (same && typeof cursor === "string" && !known(cursor, this.cursor))
      this.#fail(REASONS.loss);
  }
  /** @internal any message of our topic */
  receive({ join_ref, ref, event, payload }) {
    const push = event === "phx_reply" && this.#pushes.find((one) => one.ref === ref);
    if (push) return this.#reply(push, Object(payload));
    const ours = join_ref === null || join_ref === this.#joinRef;
    if (!ours && (join_ref !== this.#olderRef || event.startsWith("phx_"))) return;
    if (event === "phx_reply") this.#joinReply(ref, Object(payload));
    else if (event === "phx_close") this.#close(payload, REASONS.ended);
    else if (event === "phx_error") this.#fail(REASONS.failed, payload);
    else this.#row(event, payload, ref, join_ref);
  }
  #row(event, payload, ref, joinRef) {
    const present = event.startsWith("presence_");
    if (present && joinRef && joinRef !== this.joinRef()) return;
    if (typeof ref === "string" && ref.startsWith("j:")) {
      const old = known(ref, this.cursor);
      if (!old) this.cursor = ref;
      else if (!present) return;
    }
    this.#tell(event, payload, ref, joinRef);
  }
  #reply(push, { status, response }) {
    const { reason, retry_ms } = Object(response);
    const early = reason === "unmatched topic";
    if (status === "error" && (early || RETRY.includes(reason)) && push.event !== "phx_leave") {
      if (early && push.sentWith === this.#joinRef) this.#fail(REASONS.failed);
      push.sentWith = push.unsure;
      push.refusal = response;
      if (reason === "too early") {
        for (const one of this.#pushes.slice(0, this.#pushes.indexOf(push)))
          if (one.options) one.sentWith &&= "lost";
      }
      if (!early && (retry_ms || !this.#pause)) this.#holdBack(retry_ms);
    } else {
      this.#settle(push, status, response);
      this.#window++;
    }
    this.#flush();
    this.socket.settle();
  }
  /** Then the one refused comes first, alone: the others would be refused, too. */
  #holdBack(ms) {
    const resume = () => {
      this.#pause = null;
      this.#window = 1;
      this.#flush();
    };
    this.socket.clock.clearTimeout(this.#pause);
    const wait = told(ms) || afterMs(this.socket.rejoinAfterMs, 1);
    this.#pause = this.socket.clock.setTimeout(resume, wait);
  }
  #join(reason) {
    this.#enter("joining", reason);
    this.joinPush.start(() => this.#joinLate());
    if (this.socket.writable) this.#sendJoin();
  }
  #sendJoin() {
    const params = attempt(() => snapshot(this.params() ?? {}));
    const since = [this.cursor, params?.since].find((at) => typeof at === "string") ?? "";
    this.joinPush.ref = this.#joinRef = this.socket.makeRef();
    this.#transmit("phx_join", this.#joinRef, { ...params, since });
  }
  #joinReply(ref, { status, response }) {
    const moving = this.#moving;
    if (this.state !== "joining" && !moving || ref !== this.#joinRef) return;
    const { cursor, gap, retry_ms } = Object(response);
    const ahead = typeof cursor === "string" && !known(cursor, this.cursor);
    if (status === "ok") {
      if (ahead) this.cursor = cursor;
      this.#rejoins = 0;
      if (moving) this.#rejoinTimer.stop();
      else this.#enter("joined", REASONS.joined);
      this.#moving = false;
      this.#flush();
      this.socket.settle();
    } else this.#fail(REASONS.joinRefused, void 0, retry_ms);
    if (status !== "ok" || !moving) this.joinPush.settle(status, response);
    if (status === "ok" && gap && ahead) this.#tell("phx_gap", response);
  }
  #joinLate() {
    this.part();
    this.#fail(REASONS.joinLate);
    this.joinPush.settle("timeout", { reason: "no answer" });
  }
  #late(push) {
    const refusal = !push.sentWith && push.refusal;
    this.#settle(push, refusal ? "error" : "timeout", refusal || { reason: "no answer" });
    this.#flush();
  }
  #settle(push, status, response) {
    this.#pushes = this.#pushes.filter((other) => other !== push);
    push.settle(status, response);
  }
  /** Not joined any more. `payload`: what onError is told, if it is. */
  #fail(reason, payload, ms) {
    if (!this.#there) return;
    this.#joinRef = this.#olderRef = null;
    this.#moving = false;
    this.#enter("errored", reason);
    if (this.socket.writable) {
      const wait = told(ms) || afterMs(this.socket.rejoinAfterMs, ++this.#rejoins);
      this.#rejoinTimer.set(wait, () => {
        if (this.socket.writable) this.#join(REASONS.rejoin);
      });
    }
    if (payload) this.#tell("phx_error", payload);
    this.socket.settle();
  }
  #close(payload, reason) {
    this.socket.remove(this);
    if (this.state === "closed") return;
    this.socket.clock.clearTimeout(this.#pause);
    this.joinPush?.stop();
    this.#enter("closed", reason);
    this.#tell("phx_close", payload);
    for (const push of this.#pushes)
      this.#settle(push, push.sentWith ? "timeout" : "error", { reason: "channel closed" });
  }
  /** Send what the join of now has not been told yet, and may be. */
  #flush() {
    if (!this.isJoined() || this.#moving || this.#pause) return;
    const oldest = this.socket.clock.wall() - REPEAT_MS;
    const stale = this.#pushes.filter((push) => push.sentWith && push.startedAt < oldest);
    for (const push of stale) this.#settle(push, "timeout", { reason: "no answer" });
    if (this.#pushes.length === 0) this.#window = Infinity;
    let after;
    for (const push of this.#pushes.slice(0, this.#window)) {
      const again = push.sentWith === null || push.options;
      if (again && push.sentWith !== this.#joinRef) this.#send(push, after);
      after = push.options ? push.options.key : after;
    }
  }
  /** `after`: the key of the one before, if that is not answered yet. */
  #send(push, after) {
    push.ref ??= this.socket.makeRef();
    push.unsure = push.sentWith;
    push.sentWith = this.#joinRef;
    const options = push.options && { ...push.options, after };
    this.#transmit(push.event, push.ref, push.payload, options);
  }
  #transmit(event, ref, payload, options, join_ref = this.#joinRef) {
    const { topic } = this;
    this.socket.send({ join_ref, ref, topic, event, payload, options });
  }
  /** @internal what the application makes of a payload */
  handle(event, payload, ref, joinRef = this.joinRef()) {
    const handled = this.onMessage(event, payload, ref, joinRef);
    if (payload && !handled)
      throw new Error("onMessage must return the payload");
    return handled;
  }
  #tell(event, payload, ref = null, joinRef) {
    const join = joinRef ?? this.joinRef();
    tell(() => {
      if (this.#over && event !== "phx_close") return [];
      const handled = this.handle(event, payload, ref, join);
      const bound = this.#bindings.filter((b) => b.event === event);
      return bound.map(({ callback }) => () => callback(handled, ref, join));
    });
  }
  get #over() {
    return this.isLeaving() || this.isClosed();
  }
  /** Wants to be joined, and may be. */
  get #there() {
    return this.isJoined() || this.isJoining();
  }
  #enter(state, reason) {
    this.#rejoinTimer.stop();
    if (CHECKED) check("channel", this.state, state);
    this.state = state;
    this.log(reason);
  }
  /** @internal */
  log(data = this.cursor) {
    this.socket.log("channel", `${this.topic} ${this.state}`, data);
  }
};
var LongPoll = "longpoll";
var Serializer = {
  encode: (message, callback) => callback(encode(message)),
  decode: (data, callback) => callback(decode(data))
};
var Socket = class {
  /** @type {"closed"|"connecting"|"open"|"waiting"} */
  state = "closed";
  /** "websocket", "longpoll", or null while there is no link. */
  transportName = null;
  channels = [];
  #io;
  #carrier;
  // a Line, or what has its face; none: closed, or left
  #stop;
  // ends what listens to the page
  /** @internal may frames be sent? Earlier than "open" says. */
  writable = false;
  #renewal;
  // ref of the message that brings a fresher token
  #ref = 0;
  #listeners = [];
  #buffer = [];
  // what push() was given while nothing could be sent
  #name;
  // of this socket, among all that the inspector watches
  #inspector;
  /**
   * @param {string} endPoint such as "/socket" or "wss://host/socket"
   * @param {Options} opts
   */
  constructor(endPoint, opts = {}) {
    const clock = { ...SYSTEM, ...opts.clock };
    this.clock = clock;
    const given = typeof opts.transport === "function" ? opts.transport : void 0;
    this.endPoint = endPoint;
    this.clientId = unique();
    this.params = closure(opts.params ?? {});
    this.timeout = opts.timeout ?? TIMEOUT_MS;
    this.heartbeatIntervalMs = opts.heartbeatIntervalMs ?? HEARTBEAT_MS;
    this.longPollFallbackMs = opts.longPollFallbackMs || FALLBACK_MS;
    this.transport = given ? void 0 : opts.transport;
    this.authToken = opts.authToken && closure(opts.authToken);
    this.logger = opts.logger ?? null;
    if (opts.debug) this.logger ??= (kind, text, data) => console.log(`${kind}: ${text}`, data);
    this.reconnectAfterMs = opts.reconnectAfterMs ?? backoff(clock.random, 500, 1e4);
    this.rejoinAfterMs = opts.rejoinAfterMs ?? backoff(clock.random, 1e3, 1e4);
    this.#io = {
      clock,
      fetch: opts.fetch ?? ((...args) => globalThis.fetch(...args)),
      WebSocket: { WebSocket: given ?? globalThis.WebSocket, ...opts }.WebSocket,
      page: opts.page ?? globalThis,
      refused: 0
      // HTTP status of the last refusal, until the server knows
    };
    this.tab = TABS && opts.tabs !== false && mayShare(this.#io.page) ? unique().slice(0, TAB_CHARS) : "";
    try {
      if (opts.inspect ?? localStorage["holdfast.inspect"]) {
        this.#name = `${location.pathname} ${Math.random()}`;
        this.#inspector = new BroadcastChannel("holdfast.inspect");
        this.#inspector.onmessage = ({ data }) => {
          if (data !== "?") return;
          this.log("transport", `${this.transportName} ${this.state}`);
          for (const channel of this.channels) channel.log();
        };
      }
    } catch {
    }
  }
  /**
   * Connect, and stay connected; while it waits, try at once.
   * @param {object|(() => object)} [params] instead of those of the options
   */
  connect(params) {
    if (params) this.params = closure(params);
    if (this.state === "closed") {
      const renewed = (token) => this.#renewed(token);
      const { authToken } = this;
      this.#io.bearer = authToken ? bearer(authToken, this.#io.clock, renewed) : null;
      this.#stop = live(
        this.#io,
        () => this.#check(REASONS.woke),
        () => this.#release("waiting", REASONS.hidden)
      );
      this.#carry(REASONS.connect);
    } else if (this.state === "waiting") this.#check(REASONS.connect);
  }
  /** The arguments code and reason of phoenix.js have no use here. */
  disconnect(callback) {
    if (this.state !== "closed") {
      this.#stop();
      this.#io.bearer?.end();
      this.#release("closed", REASONS.disconnect);
    }
    callback?.();
  }
  /**
   * Use this transport from now on; undefined: choose by what works. What is
   * there is used until the other one has become useful.
   * @param {"websocket"|"longpoll"|undefined} name
   */
  replaceTransport(name) {
    this.transport = typeof name === "function" ? void 0 : name;
    this.#carrier?.replace(REASONS.replaced);
  }
  /** @returns {"longpoll"} */
  getLongPollTransport() {
    return LongPoll;
  }
  /** @returns {Channel} */
  channel(topic, params = {}) {
    const channel = new Channel(topic, params, this);
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
  /** @param {string[]} refs as the functions above returned them */
  off(refs) {
    this.#listeners = this.#listeners.filter((l) => !refs.includes(l.ref));
  }
  protocol() {
    return new URL(this.endPointURL()).protocol.slice(0, -1);
  }
  hasLogger() {
    return this.logger !== null;
  }
  /**
   * How long is the way to the server and back? callback(ms)
   * @returns {boolean} false: there is no connection
   */
  ping(callback) {
    if (!this.isConnected()) return false;
    const ref = this.makeRef();
    const { now } = this.#io.clock;
    const start = now();
    const listener = this.onMessage((message) => {
      if (message.ref !== ref) return;
      this.off([listener]);
      callback(now() - start);
    });
    this.push({ topic: "phoenix", event: "heartbeat", payload: {}, ref });
    return true;
  }
  /**
   * Send a message as it is, now or with the next connection, and forget it.
   * @param {Partial<Message>} message
   */
  push(message) {
    const whole = { join_ref: null, ...message, payload: snapshot(message.payload ?? {}) };
    if (this.writable) this.send(whole);
    else if (this.#buffer.length < BUFFER_MAX) this.#buffer.push(whole);
  }
  makeRef() {
    return `${this.tab}${++this.#ref}`;
  }
  /**
   * What happens: for the logger, and for the inspector if it may watch.
   * @param {[kind: "transport"|"channel"|"push"|"receive", text: string, data?: any]} what
   *   data: a Reason, a Message; a cursor, where the inspector has asked
   */
  log(...what) {
    if (this.logger) attempt(this.logger, ...what);
    try {
      this.#inspector?.postMessage([this.#name, Date.now(), ...what]);
    } catch {
    }
  }
  endPointURL(transport = "websocket") {
    const url = new URL(this.endPoint, globalThis.location?.href);
    url.protocol = url.protocol.replace(/ws|http/, transport === "websocket" ? "ws" : "http");
    url.pathname = url.pathname.replace(/\/*$/, `/${transport}`);
    url.hash = "";
    append(url.searchParams, { ...attempt(this.params), vsn: "2.0.0" });
    return url.href;
  }
  /** @internal */
  send(message) {
    this.#carrier.send(message);
  }
  /** @internal something was answered, or is not waited for any more */
  settle() {
    if (!this.channels.some((channel) => channel.unsettled)) this.#carrier?.settled();
  }
  #carry(reason, Carrier2 = TABS && this.tab ? Tabs : Line) {
    const carrier = new Carrier2(this, this.#io);
    this.#carrier = carrier;
    carrier.onup = () => this.#up();
    carrier.ondown = () => this.#down();
    carrier.onframe = (message) => this.#receive(message);
    carrier.onchange = (...change) => this.#enter(...change);
    carrier.onerror = (...error) => this.#tell("error", ...error);
    carrier.beat = () => {
      for (const channel of this.channels) channel.beat();
      return { heads: true };
    };
    if (TABS) carrier.onapart = () => this.#carry(REASONS.apart, Line);
    carrier.open(reason);
  }
  #release(state, reason) {
    if (this.writable) for (const channel of this.channels) channel.part();
    this.#carrier?.close();
    this.#carrier = null;
    if (this.writable) this.#down();
    this.#enter(state, reason, null);
  }
  /** A page that was left and is looked at is back, whatever it was told. */
  #check(reason) {
    if (this.#carrier) this.#carrier.check(reason);
    else this.#carry(reason);
  }
  /** There is another token: the server is told, so that nothing ends. */
  async #renewed(access_token) {
    if (await this.#carrier?.moved(access_token)) return;
    const joined = this.channels.find(({ state }) => state === "joined");
    if (this.state === "waiting") this.#carrier?.check(REASONS.retry);
    else if (this.state !== "open") return;
    else if (joined && access_token) {
      const { topic } = joined;
      const payload = { access_token };
      const ref = this.#renewal = this.makeRef();
      this.send({ join_ref: null, ref, topic, event: "access_token", payload });
    } else {
      this.#release("waiting", REASONS.retry);
      this.#carry(REASONS.retry);
    }
  }
  #up() {
    this.writable = true;
    for (const channel of this.channels) channel.linkUp();
    for (const message of this.#buffer.splice(0)) this.send(message);
    this.settle();
  }
  #down() {
    this.writable = false;
    for (const channel of this.channels) channel.linkLost();
  }
  #receive(message) {
    const { topic, event, ref, join_ref, payload } = message;
    const { reason = payload?.reason, heads } = Object(payload?.response);
    this.log("receive", `${topic} ${event}`, message);
    if (ref === join_ref || ref === this.#renewal) {
      if (reason === "token_expired" || reason === "unauthorized") this.#io.bearer?.refused();
    }
    for (const channel of this.channels) {
      if (channel.topic === topic) channel.receive(message);
      if (topic === "phoenix" && heads) channel.head(heads[channel.topic]);
    }
    this.#tell("message", message);
  }
  #enter(state, reason, transport) {
    const before = this.state;
    if (CHECKED) check("socket", before, state);
    this.state = state;
    this.transportName = transport;
    this.log("transport", `${transport} ${state}`, reason);
    this.#tell("change", state, reason, transport);
    if (before === state) return;
    if (state === "open") this.#tell("open");
    if (before === "open") this.#tell("close", reason);
  }
  #listen(kind, callback) {
    const ref = this.makeRef();
    this.#listeners.push({ kind, ref, callback });
    return ref;
  }
  #tell(kind, ...args) {
    const asked = () => this.#listeners.filter((l) => l.kind === kind);
    tell(() => asked().map((l) => l.callback), ...args);
  }
};

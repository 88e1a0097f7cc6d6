/**
 * record.js - what the inspector knows of one socket, from what that logs
 *
 * Everything that comes in may be hostile, messages of others above all: it is
 * copied as text, never kept as an object; what looks like a token is taken out
 * before anything is kept; and every list has an end, where the oldest goes.
 */

export const LIMITS = {
  frames: 5000, // at most; the oldest go 250 at a time
  chars: 8 << 20, // of all payloads together
  payload: 256 << 10, // chars of one; the rest is not kept
  name: 300, // chars of a topic, an event or a ref
  changes: 200,
  topics: 200,
  trips: 240, // round trips
  gaps: 100,
  pending: 1000, // pushes that wait for their reply
  keys: 1000, // of pushes
};

// --- what is not to be seen --------------------------------------------------

const REMOVED = "[removed]";
const WORDS = "token|secret|passw|authorization|api_?key|jwt|credential|cookie|client_?id";
const NAMES = new RegExp(WORDS, "i");
const SUSPECT = new RegExp(`${WORDS}|eyJ|bearer`, "i"); // nearly no text is

// Bounded, all of them, or a hostile text would take for ever.
const RUNS = /[\w.-]{20,}/g;
const IN_URL = new RegExp(`((?:${WORDS})[\\w-]{0,20}=)[^&\\s"']+`, "gi");
const IN_JSON = new RegExp(`((?:${WORDS})[\\w-]{0,20}"\\s{0,4}:\\s{0,4})"[^"]*"`, "gi");
const BEARER = /(\bbearer\s{1,4})[\w.~+/=-]{8,}/gi;

/** A JSON Web Token begins with {" in base64url, and has dots. */
const isToken = (run) => run.indexOf(".", run.indexOf("eyJ")) > 0 && run.includes("eyJ");

/** Text without what may be a token. */
export function redact(text) {
  if (!SUSPECT.test(text)) return text;
  return text
    .replace(RUNS, (run) => (isToken(run) ? REMOVED : run))
    .replace(IN_URL, `$1${REMOVED}`)
    .replace(IN_JSON, `$1"${REMOVED}"`)
    .replace(BEARER, `$1${REMOVED}`);
}

function hide(name, value) {
  if (NAMES.test(name) && value !== null && typeof value !== "boolean") return REMOVED;
  return typeof value === "string" ? redact(value) : value;
}

/** What cannot be seen, or makes other text look different, as \u{...}. */
export const visible = (text) =>
  text.replace(/(?![\n\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);

const bytesOf = (text) => new TextEncoder().encode(text).length;

/** A topic, an event or a ref: a short text, whatever it was. */
function brief(value) {
  if (value === null || value === undefined) return null;
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return redact(text.length > LIMITS.name ? `${text.slice(0, LIMITS.name)}…` : text);
}

const HEX_MAX = 1024; // bytes that are kept of a binary payload

const view = (bytes) =>
  ArrayBuffer.isView(bytes)
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new Uint8Array(bytes);

const isBytes = (value) => value instanceof ArrayBuffer || ArrayBuffer.isView(value);

function hexOf(bytes) {
  const first = [...view(bytes).subarray(0, HEX_MAX)];
  return `bytes ${first.map((byte) => byte.toString(16).padStart(2, "0")).join(" ")}`;
}

/** @returns {{text: string, bytes: number, cut: boolean}} */
function copy(payload) {
  if (isBytes(payload))
    return { text: hexOf(payload), bytes: payload.byteLength, cut: payload.byteLength > HEX_MAX };
  if (isBytes(payload?.response)) {
    const { response } = payload;
    const { text } = copy({ ...payload, response: hexOf(response) });
    return { text, bytes: response.byteLength, cut: response.byteLength > HEX_MAX };
  }
  const sent = JSON.stringify(payload) ?? "null";
  const text = SUSPECT.test(sent) ? JSON.stringify(payload, hide) : sent;
  const cut = text.length > LIMITS.payload;
  return { text: cut ? text.slice(0, LIMITS.payload) : text, bytes: bytesOf(sent), cut };
}

// --- cursors -------------------------------------------------------------------

const isCursor = (text) => typeof text === "string" && /^j:[\w-]{1,20}\.\d{1,18}$/.test(text);

/** Is `cursor` at or before `last`, in the same history? */
function atOrBefore(cursor, last) {
  const dot = cursor.lastIndexOf(".") + 1;
  return (
    last !== null &&
    cursor.slice(0, dot) === last.slice(0, dot) &&
    Number(cursor.slice(dot)) <= Number(last.slice(dot))
  );
}

function push(list, item, most) {
  list.push(item);
  if (list.length > most) list.shift();
}

/** The oldest goes. */
function shorten(all, most) {
  if (all.size > most) all.delete(all.keys().next().value);
}

/** The reason of a change, if it is one. */
function reasonOf(data) {
  const { number, text } = Object(data);
  return Number.isFinite(number) && typeof text === "string"
    ? { number, text: text.slice(0, LIMITS.name) }
    : null;
}

// --- a socket --------------------------------------------------------------------

/**
 * @typedef {object} Frame
 * @property {number} no rises, without holes
 * @property {number} at ms since 1970
 * @property {boolean} up from the page to the server
 * @property {string|null} topic
 * @property {string|null} event
 * @property {string|null} ref of rows: their cursor
 * @property {string|null} joinRef
 * @property {number} bytes of the payload, as it was
 * @property {string} text of the payload, without tokens
 * @property {boolean} cut the text is not all of it
 * @property {number|null} ms until the reply, on the push and on the reply
 * @property {string|null} status of a reply
 * @property {string|null} of which push a reply is: its event
 * @property {string|null} key of a push
 * @property {boolean} again it was pushed before, with that key
 */
export class Record {
  state = null; // not known yet
  transport = null;
  changedAt = null;
  reason = null; // of the last change
  choice = null; // the reason the transport in use was tried for
  changes = []; // {at, what, state, transport, reason}
  topics = new Map(); // {state, reason, cursor, head, rows, repeated, gaps, at}
  gaps = []; // {at, topic, gap, cursor}
  trips = []; // {at, ms, event}
  /** @type {Frame[]} */
  frames = [];
  gone = 0; // frames that made room for others
  unrecorded = 0; // that came while it was paused
  paused = false;
  lastAt = null;
  #chars = 0;
  #no = 0;
  #pending = new Map(); // ref -> frame
  #keys = new Set();

  /** @param {string} name of the page or the end point */
  constructor(name) {
    this.name = name;
  }

  /** One call of a socket's logger. */
  take(at, kind, text, data) {
    if (!Number.isFinite(at) || typeof text !== "string") return;
    this.lastAt = at;
    try {
      if (kind === "transport") this.#transport(at, text, data);
      else if (kind === "channel") this.#channel(at, text, data);
      else if (kind === "push" || kind === "receive") this.#message(at, kind === "push", Object(data));
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
      // nothing that has a text: of no interest
    }
  }

  clear() {
    this.frames = [];
    this.gone = this.unrecorded = this.#chars = 0;
  }

  /** All of it as an object to be kept or sent, without tokens. */
  report({ payloads = false } = {}) {
    const time = (at) => (at === null ? null : new Date(at).toISOString());
    const timed = (list) => list.map(({ at, ...rest }) => ({ at: time(at), ...rest }));
    return {
      name: this.name,
      state: this.state,
      transport: this.transport,
      since: time(this.changedAt),
      reason: this.reason,
      chosen_because: this.choice,
      changes: timed(this.changes),
      topics: [...this.topics].map(([topic, { at, ...rest }]) => ({ topic, ...rest, last_row: time(at) })),
      gaps: timed(this.gaps),
      round_trips: timed(this.trips),
      frames_gone: this.gone,
      frames_unrecorded: this.unrecorded,
      frames: this.frames.map((f) => ({
        at: time(f.at),
        direction: f.up ? "up" : "down",
        topic: f.topic,
        event: f.event,
        ref: f.ref,
        join_ref: f.joinRef,
        bytes: f.bytes,
        ...(f.status === null ? {} : { status: f.status, reply_to: f.of }),
        ...(f.ms === null ? {} : { round_trip_ms: f.ms }),
        ...(f.again ? { again: true } : {}),
        ...(payloads ? { payload: f.text, ...(f.cut ? { payload_cut: true } : {}) } : {}),
      })),
    };
  }

  /** "websocket open" and its reason; whatever else a transport has to say */
  #transport(at, text, data) {
    const [, transport, state] = /^(\w+) (connecting|open|waiting|closed)$/.exec(text) ?? [];
    const reason = reasonOf(data);
    if (state === undefined) {
      return this.#change({ at, what: redact(text).slice(0, LIMITS.name), state: null, transport: null, reason });
    }
    const used = transport === "null" || transport === "undefined" ? null : transport;
    const same = state === this.state && used === this.transport;
    if (same && !reason) return; // it was only asked
    if (reason) {
      this.reason = reason;
      if (state === "connecting" || used !== this.transport) this.choice = used && reason;
    }
    if (!same) this.changedAt = reason && at; // asked: it may have been so for hours
    this.state = state;
    this.transport = used;
    this.#change({ at, what: "connection", state, transport: used, reason });
  }

  #channel(at, text, data) {
    const [, name, state] = /^(.*) (closed|joining|joined|errored|leaving)$/s.exec(text) ?? [];
    if (state === undefined) return;
    const topic = this.#topic(brief(name));
    const reason = reasonOf(data);
    if (isCursor(data)) topic.cursor = data;
    if (topic.state === state && !reason) return;
    topic.state = state;
    topic.reason = reason;
    this.#change({ at, what: brief(name), state, transport: null, reason });
  }

  #change(change) {
    push(this.changes, change, LIMITS.changes);
  }

  #topic(name) {
    let topic = this.topics.get(name);
    if (!topic) {
      topic = { state: null, reason: null, cursor: null, head: null, rows: 0, repeated: 0, gaps: 0, at: null };
      shorten(this.topics.set(name, topic), LIMITS.topics);
    }
    return topic;
  }

  #message(at, up, { join_ref, ref, topic, event, payload, options }) {
    const frame = {
      no: 0,
      at,
      up,
      topic: brief(topic),
      event: brief(event),
      ref: brief(ref),
      joinRef: brief(join_ref),
      ...copy(payload),
      ms: null,
      status: null,
      of: null,
      key: brief(Object(options).key),
      again: false,
    };
    if (up) this.#sent(frame);
    else this.#received(frame, Object(payload), ref);
    if (this.paused) this.unrecorded++;
    else this.#keep(frame);
  }

  #sent(frame) {
    const { ref, key } = frame;
    if (key !== null) {
      frame.again = this.#keys.has(key);
      shorten(this.#keys.add(key), LIMITS.keys);
    }
    if (ref !== null) shorten(this.#pending.set(ref, frame), LIMITS.pending);
  }

  #received(frame, payload, ref) {
    if (frame.event === "phx_reply") this.#replied(frame, payload);
    else if (isCursor(ref)) this.#row(frame, ref);
    else if (frame.event === "phx_error" && payload.reason === "gap") this.#gap(frame, "live");
  }

  #replied(frame, { status, response }) {
    frame.status = brief(status);
    const sent = this.#pending.get(frame.ref);
    if (!sent) return;
    this.#pending.delete(frame.ref);
    frame.of = sent.event;
    const ms = frame.at - sent.at;
    if (ms >= 0) {
      frame.ms = sent.ms = ms;
      push(this.trips, { at: frame.at, ms, event: sent.event }, LIMITS.trips);
    }
    const { cursor, gap, heads } = Object(response);
    if (sent.event === "phx_join" && isCursor(cursor)) this.#joined(frame, cursor, gap);
    if (sent.topic !== "phoenix") return;
    for (const [name, head] of Object.entries(Object(heads)).slice(0, LIMITS.topics))
      if (isCursor(head)) this.#topic(brief(name)).head = head;
  }

  #joined(frame, cursor, gap) {
    this.#topic(frame.topic).cursor = cursor;
    if (typeof gap === "string") this.#gap(frame, brief(gap), cursor);
  }

  #row(frame, cursor) {
    const topic = this.#topic(frame.topic);
    if (atOrBefore(cursor, topic.cursor)) {
      topic.repeated++; // after a change of transport; the client passes it over
      return;
    }
    topic.rows++;
    topic.cursor = cursor;
    topic.at = frame.at;
  }

  #gap({ at, topic }, gap, cursor = null) {
    this.#topic(topic).gaps++;
    push(this.gaps, { at, topic, gap, cursor }, LIMITS.gaps);
  }

  #keep(frame) {
    frame.no = ++this.#no;
    this.frames.push(frame);
    this.#chars += frame.text.length;
    // many at once, for all the others move
    let drop = this.frames.length > LIMITS.frames ? 250 : 0;
    let chars = this.frames.slice(0, drop).reduce((sum, { text }) => sum + text.length, 0);
    while (this.#chars - chars > LIMITS.chars) chars += this.frames[drop++].text.length;
    if (drop === 0) return;
    this.#chars -= chars;
    this.gone += drop;
    this.frames.splice(0, drop);
  }
}

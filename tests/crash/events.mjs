// events.mjs - what happens in a run, as lines that history.py reads; chance
// that can be repeated; messages
import { createHash } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";

// Numbers in [0, 1) that depend on the seed and the name only (mulberry32):
// each party has its own, so that what one does is not moved by another.
export class Chance {
  #state;

  constructor(seed, name) {
    this.#state = createHash("sha1").update(`${seed} ${name}`).digest().readUInt32LE();
  }

  number() {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  // An integer, both ends included.
  between(low, high) {
    return low + Math.floor(this.number() * (high - low + 1));
  }

  of(list) {
    return list[this.between(0, list.length - 1)];
  }

  // One name of { name: weight }.
  weighed(weights) {
    const all = Object.entries(weights);
    let left = this.number() * all.reduce((sum, [, weight]) => sum + weight, 0);
    return (all.find(([, weight]) => (left -= weight) < 0) ?? all.at(-1))[0];
  }
}

export class EventLog {
  #fd;
  #lines = [];
  #timer;

  constructor(path) {
    this.#fd = openSync(path, "w", 0o600);
    this.#timer = setInterval(() => this.flush(), 200);
  }

  add(ev, fields = {}) {
    this.#lines.push(JSON.stringify({ ev, ms: Date.now(), ...fields }));
  }

  flush() {
    if (this.#lines.length > 0) writeSync(this.#fd, `${this.#lines.join("\n")}\n`);
    this.#lines = [];
  }

  close() {
    clearInterval(this.#timer);
    this.flush();
    closeSync(this.#fd);
  }
}

// The digest by which two payloads are compared: of the text.
export const sum = (text) => createHash("sha1").update(text).digest("hex").slice(0, 12);

const PADS = ["", "x".repeat(100), '"\\/\b\u0007é\u{1f600}', "[1,2", "y".repeat(3000)];
const PAD_WEIGHTS = { 0: 10, 1: 10, 2: 2, 3: 2, 4: 1 };

// The next message of a publisher, noted as sent before anybody has it.
export function message(run, chance, name, number, keyed) {
  const uid = `${name}-${number}`;
  const payload = JSON.stringify({ uid, pad: PADS[chance.weighed(PAD_WEIGHTS)] });
  const topic = chance.of(run.topics);
  const [pub, key] = keyed ? [name, `key-${number}`] : [null, null];
  run.log.add("sent", { uid, topic, pub, key, sum: sum(payload) });
  return { uid, topic, pub, key, payload };
}

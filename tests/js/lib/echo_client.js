// echo_client.js - plays a case of tests/conformance against a server, over a
// socket: in pieces, cut wherever the test says
import net from "node:net";
import tls from "node:tls";
import { randomBytes } from "node:crypto";
import { frame, OP } from "./rawws.js";
import { sleep, within } from "./wait.js";

const KINDS = { 1: "text", 2: "binary" };

class EchoClient {
  // `secure`: over TLS, whosever certificate it is.
  static async open({ port, path, secure }) {
    const where = { port, host: "127.0.0.1", noDelay: true, rejectUnauthorized: false };
    const client = new EchoClient(secure ? tls.connect(where) : net.connect(where));
    client.socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\n` +
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
        `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n\r\n`,
    );
    await client.until(10000, "a 101", () => client.status);
    if (client.status !== 101) throw new Error(`status ${client.status}`);
    return client;
  }

  constructor(socket) {
    this.socket = socket;
    this.parts = []; // bytes that are no whole frame yet
    this.have = 0;
    this.need = 1; // do not look before there are so many
    this.status = 0;
    this.heard = { messages: [], pongs: [], code: 0 };
    this.wrong = ""; // what a server must not do
    this.ended = ""; // how, once it has
    socket.on("data", (data) => this.#data(data));
    socket.on("end", () => this.#end("end of stream"));
    socket.on("error", (error) => this.#end(error.message));
  }

  async until(ms, what, look) {
    const end = performance.now() + ms;
    while (!look()) {
      const left = end - performance.now();
      if (left <= 0) throw new Error(`not within ${ms} ms: ${what}`);
      let timer;
      await new Promise((wake) => {
        this.wake = wake;
        timer = setTimeout(wake, left);
      });
      clearTimeout(timer);
    }
  }

  hangUp() {
    this.socket.destroy();
  }

  #end(how) {
    this.ended ||= how;
    this.wake?.();
  }

  #data(data) {
    this.parts.push(data);
    this.have += data.length;
    while (this.have >= this.need) {
      const bytes = this.parts.length === 1 ? this.parts[0] : Buffer.concat(this.parts);
      const used = this.status ? this.#frame(bytes) : this.#head(bytes);
      this.parts = [bytes.subarray(used)];
      this.have = bytes.length - used;
      if (used === 0) break;
    }
    this.wake?.();
  }

  #head(bytes) {
    const end = bytes.indexOf("\r\n\r\n");
    if (end < 0) return 0;
    this.status = Number(bytes.toString("latin1", 9, 12));
    this.need = 2;
    return end + 4;
  }

  // How many bytes the whole frame at the front has; 0 when it is not whole.
  #frame(b) {
    const short = b[1] & 127;
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    this.need = head;
    if (b.length < head) return 0;
    const length =
      short < 126 ? short : short === 126 ? b.readUInt16BE(2) : Number(b.readBigUInt64BE(2));
    this.need = head + length;
    if (b.length < this.need) return 0;
    if ((b[0] & 0xf0) !== 0x80 || b[1] & 128) this.wrong = "reserved bits, a fragment or a mask";
    this.#take(b[0] & 15, Buffer.from(b.subarray(head, head + length)));
    this.need = 2;
    return head + length;
  }

  #take(opcode, payload) {
    const { heard } = this;
    if (heard.code) this.wrong = "something behind the goodbye";
    if (KINDS[opcode]) heard.messages.push({ kind: KINDS[opcode], payload });
    else if (opcode === OP.pong) heard.pongs.push(payload);
    else if (opcode === OP.close) heard.code = payload.length ? payload.readUInt16BE(0) : 1005;
    else this.wrong = `a frame ${opcode}`;
  }
}

const same = (a, b) =>
  a.code === b.code &&
  a.messages.length === b.messages.length &&
  a.pongs.length === b.pongs.length &&
  a.messages.every(
    ({ kind, payload }, i) => kind === b.messages[i].kind && payload.equals(b.messages[i].payload),
  ) &&
  a.pongs.every((payload, i) => payload.equals(b.pongs[i]));

const show = ({ messages, pongs, code }) =>
  `${messages.map(({ kind, payload }) => `${kind}(${payload.toString("latin1", 0, 40)})`)} ` +
  `pongs ${pongs.map((payload) => payload.toString("latin1", 0, 20))} code ${code}`;

async function feed(client, bytes, begin, { piece, cut }) {
  for (let at = 0; at < bytes.length; ) {
    let end = Math.min(at + piece, bytes.length);
    if (cut > begin + at && cut < begin + end) end = cut - begin;
    if (client.socket.writable) client.socket.write(bytes.subarray(at, end));
    at = end;
    // so that the server reads what has come, as a rule
    if (at < bytes.length) await (piece > 1000 ? sleep(1) : new Promise(setImmediate));
  }
}

// Whose goodbye comes while we still write may be gone before it is read: our
// write fails, and Node forgets what was there to read. So once more, twice.
export async function play(where, one, way, tries = 3) {
  for (;;) {
    try {
      return await playOnce(where, one, way);
    } catch (error) {
      if (--tries === 0 || !/ (write EPIPE|read ECONNRESET)\n/.test(error.message)) throw error;
    }
  }
}

// Fed in pieces of so many bytes, and cut at `cut` besides.
async function playOnce(where, { name, steps, staysOpen }, { piece = Infinity, cut = 0 } = {}) {
  const client = await EchoClient.open(where);
  let begin = 0;
  let want;
  try {
    for (const step of steps) {
      ({ want } = step);
      await feed(client, step.send, begin, { piece, cut });
      begin += step.send.length;
      await client.until(30000, "the answer", () => client.ended || same(client.heard, want));
      if (step === steps.at(-1) ? staysOpen : !want.code) await sleep(20); // no more, no less
      if (client.wrong || !same(client.heard, want)) throw new Error("more than that");
    }
    if (!staysOpen) {
      if (!want.code) client.socket.write(frame(OP.close, Buffer.from([3, 232])));
      await client.until(10000, "the end of the stream", () => client.ended);
      if (client.heard.code !== (want.code || 1000)) throw new Error("another goodbye");
      if (client.wrong) throw new Error(client.wrong);
    }
  } catch (error) {
    throw new Error(
      `${name}, in pieces of ${piece}, cut at ${cut}: ${error.message} ${client.wrong} ${client.ended}\n` +
        `  heard ${show(client.heard)}\n   want ${show(want)}`,
    );
  } finally {
    client.hangUp();
  }
}

// All ways to feed it: whole, cut everywhere, byte by byte; a long one here and
// there, and in chops.
export function ways({ steps }) {
  const length = steps.reduce((sum, { send }) => sum + send.length, 0);
  const cuts = [1, 2, 3, 6, 10, 13, 14, 15, 65535, 65536, length >> 1, length - 1];
  const out = [{}];
  if (length <= 300) for (let cut = 1; cut < length; cut++) out.push({ cut });
  else if (length < 1 << 17) for (const cut of cuts) if (cut < length) out.push({ cut });
  if (length <= 600) out.push({ piece: 1 });
  else if (length < 1 << 18) out.push({ piece: 61 });
  if (length > 997 && length < 2 << 20) out.push({ piece: 997 });
  return out;
}

export async function playAll(where, jobs, { atOnce = 50, ms = 300000 } = {}) {
  const queue = jobs[Symbol.iterator]();
  const worker = async () => {
    for (const { one, way } of queue) await play(where, one, way);
  };
  await within(ms, "all cases", Promise.all(Array.from({ length: atOnce }, worker)));
}

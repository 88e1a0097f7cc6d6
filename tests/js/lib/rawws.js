// rawws.js - a WebSocket client that may do anything wrong
//
// Every byte of the handshake and of a frame is the test's choice. What comes
// back is put into an inbox, whole messages and control frames in the order of
// their arrival:
//
//     { kind: "text" | "binary" | "ping" | "pong", data }
//     { kind: "close", code, reason }     1005: a close frame without a code,
//                                         1006: the end without a close frame
import net from "node:net";
import { createHash, randomBytes } from "node:crypto";
import { Inbox, within } from "./wait.js";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const KINDS = { 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong" };

export const OP = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

// One frame as bytes. RFC 6455 section 5.2.
export function frame(
  opcode,
  payload = Buffer.alloc(0),
  { fin = true, masked = true, rsv = 0, mask } = {},
) {
  const data = Buffer.from(payload);
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  const bit = masked ? 0x80 : 0;
  if (data.length < 126) head.push(bit | data.length);
  else if (data.length < 65536) head.push(bit | 126, data.length >> 8, data.length & 255);
  else {
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(data.length));
    head.push(bit | 127, ...length);
  }
  if (!masked) return Buffer.concat([Buffer.from(head), data]);
  const key = mask ?? randomBytes(4);
  for (let i = 0; i < data.length; i++) data[i] ^= key[i & 3];
  return Buffer.concat([Buffer.from(head), key, data]);
}

export class RawWs {
  // `to`: { port }, { socket: path } or { connect: a function }. Given headers replace
  // those of a good handshake only as a whole: as soon as Upgrade is among
  // them nothing but Host is added. Resolves when the head of the answer is
  // there (and its body, if it is no 101): see status, headers, body.
  static async open({
    port,
    socket,
    connect,
    path = "/socket/websocket?vsn=2.0.0",
    headers = {},
    method = "GET",
    ms = 8000,
  }) {
    connect ??= () => (socket ? net.connect(socket) : net.connect(port, "127.0.0.1"));
    const ws = new RawWs(connect());
    const given = Object.keys(headers).map((name) => name.toLowerCase());
    const all = given.includes("upgrade")
      ? { ...headers }
      : {
          Connection: "Upgrade",
          Upgrade: "websocket",
          "Sec-WebSocket-Version": "13",
          "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
          ...headers,
        };
    if (!given.includes("host")) all.Host = port ? `127.0.0.1:${port}` : "localhost";
    ws.key = all["Sec-WebSocket-Key"];
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
    ws.write(`${method} ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
    await within(ms, "an answer to the handshake", ws.answered);
    return ws;
  }

  constructor(socket) {
    this.socket = socket;
    this.inbox = new Inbox("WebSocket");
    this.bytes = Buffer.alloc(0);
    this.parts = null; // of a fragmented message
    this.closed = false; // a close frame, or the end, has been seen
    this.status = null;
    this.headers = {};
    this.body = "";
    this.answered = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    socket.on("data", (data) => this.#data(data));
    socket.on("error", (error) => this.#end(error));
    socket.on("close", () => this.#end(new Error("closed before an answer to the handshake")));
  }

  // Bytes as they are.
  write(bytes) {
    this.socket.write(bytes);
  }

  send(opcode, payload, options) {
    this.write(frame(opcode, payload, options));
  }

  text(text) {
    this.send(OP.text, Buffer.from(text));
  }

  sendClose(code, reason = "") {
    const body = Buffer.alloc(code === undefined ? 0 : 2);
    if (code !== undefined) body.writeUInt16BE(code);
    this.send(OP.close, Buffer.concat([body, Buffer.from(reason)]));
  }

  // The next text message, parsed.
  async json(ms, what) {
    const got = await this.inbox.next(ms, what);
    if (got.kind !== "text") throw new Error(`expected a text, got ${JSON.stringify(got)}`);
    return JSON.parse(got.data.toString());
  }

  destroy() {
    this.closed = true;
    this.socket.destroy();
  }

  #data(data) {
    this.bytes = Buffer.concat([this.bytes, data]);
    if (this.status === null) this.#head();
    if (this.status === 101) while (this.#frame());
    else if (this.status !== null) this.#refusal();
  }

  #head() {
    const end = this.bytes.indexOf("\r\n\r\n");
    if (end < 0) return;
    const [first, ...lines] = this.bytes.subarray(0, end).toString("latin1").split("\r\n");
    this.bytes = this.bytes.subarray(end + 4);
    for (const line of lines) {
      const colon = line.indexOf(":");
      this.headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    this.status = Number(first.split(" ")[1]);
    if (this.status !== 101) return;
    const accept = createHash("sha1")
      .update(this.key + GUID)
      .digest("base64");
    if (this.headers["sec-websocket-accept"] === accept) this.resolve(this);
    else
      this.reject(new Error(`wrong Sec-WebSocket-Accept: ${this.headers["sec-websocket-accept"]}`));
  }

  #refusal() {
    const length = this.headers["content-length"];
    if (length === undefined || this.bytes.length < Number(length)) return; // the end will tell
    this.#refused();
  }

  #refused() {
    this.body = this.bytes.toString();
    if (this.headers["transfer-encoding"] === "chunked") this.body = unchunk(this.body);
    this.resolve(this);
    this.destroy();
  }

  #frame() {
    const b = this.bytes;
    if (b.length < 2) return false;
    const opcode = b[0] & 15;
    let length = b[1] & 127;
    let at = 2;
    if (length === 126) {
      if (b.length < 4) return false;
      length = b.readUInt16BE(2);
      at = 4;
    } else if (length === 127) {
      if (b.length < 10) return false;
      length = Number(b.readBigUInt64BE(2));
      at = 10;
    }
    if (b.length < at + length) return false;
    const data = Buffer.from(b.subarray(at, at + length));
    this.bytes = b.subarray(at + length);
    if (b[1] & 128) throw new Error("a server must not mask");
    this.#take(opcode, Boolean(b[0] & 128), data);
    return true;
  }

  #take(opcode, fin, data) {
    if (opcode >= 8) return this.#control(opcode, data);
    if (opcode !== 0) this.parts = { opcode, data: [] };
    this.parts.data.push(data);
    if (fin)
      this.inbox.push({ kind: KINDS[this.parts.opcode], data: Buffer.concat(this.parts.data) });
  }

  #control(opcode, data) {
    if (opcode !== 8) return this.inbox.push({ kind: KINDS[opcode], data });
    if (this.closed) return;
    this.closed = true;
    const code = data.length >= 2 ? data.readUInt16BE(0) : 1005;
    this.inbox.push({ kind: "close", code, reason: data.subarray(2).toString() });
  }

  #end(error) {
    if (this.status !== null && this.status !== 101) this.#refused();
    else this.reject(error);
    this.answered.catch(() => {}); // somebody may have stopped waiting
    if (this.closed) return;
    this.closed = true;
    if (this.status === 101) this.inbox.push({ kind: "close", code: 1006, reason: "" });
  }
}

function unchunk(text) {
  let out = "";
  for (let at = 0; ;) {
    const end = text.indexOf("\r\n", at);
    const length = parseInt(text.slice(at, end), 16);
    if (end < 0 || !(length > 0)) return out;
    out += text.slice(end + 2, end + 2 + length);
    at = end + 2 + length + 2;
  }
}

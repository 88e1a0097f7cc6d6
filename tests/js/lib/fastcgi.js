// fastcgi.js - a web server's end of FastCGI, byte by byte if need be
import net from "node:net";
import { until, within } from "./wait.js";

export const TYPE = { begin: 1, abort: 2, end: 3, params: 4, stdin: 5, stdout: 6, getValues: 9, valuesResult: 10, unknown: 11 };

export function record(type, id, content = "", { padding = 0, version = 1 } = {}) {
  const body = Buffer.from(content);
  const header = Buffer.from([version, type, id >> 8, id & 255, body.length >> 8, body.length & 255, padding, 0]);
  return Buffer.concat([header, body, Buffer.alloc(padding)]);
}

export const begin = (id, { role = 1, keep = false } = {}) => record(TYPE.begin, id, [0, role, keep ? 1 : 0, 0, 0, 0, 0, 0]);

function length(n) {
  const long = Buffer.alloc(4);
  long.writeUInt32BE((n | 0x80000000) >>> 0);
  return n < 128 ? Buffer.from([n]) : long;
}

export function params(values) {
  const parts = [];
  for (const [name, value] of Object.entries(values)) {
    const bytes = Buffer.from(String(value));
    parts.push(length(Buffer.byteLength(name)), length(bytes.length), Buffer.from(name), bytes);
  }
  return Buffer.concat(parts);
}

function stream(type, id, bytes, chunk = 32768) {
  const parts = [];
  for (let at = 0; at < bytes.length; at += chunk) parts.push(record(type, id, bytes.subarray(at, at + chunk)));
  return Buffer.concat([...parts, record(type, id)]);
}

// What lighttpd would say of a request; `env` on top of it.
export function variables({ method = "GET", query = "vsn=2.0.0", body, env = {} } = {}) {
  return {
    REQUEST_METHOD: method,
    SCRIPT_NAME: "/socket/longpoll",
    PATH_INFO: "",
    REQUEST_URI: `/socket/longpoll?${query}`,
    QUERY_STRING: query,
    SERVER_PROTOCOL: "HTTP/1.1",
    SERVER_SOFTWARE: "test",
    REMOTE_ADDR: "127.0.0.1",
    HTTP_HOST: "localhost",
    ...(body === undefined ? {} : { CONTENT_LENGTH: Buffer.byteLength(body) }),
    ...env,
  };
}

export function requestBytes({ id = 1, keep = false, chunk, ...rest } = {}) {
  return Buffer.concat([
    begin(id, { keep }),
    stream(TYPE.params, id, params(variables(rest))),
    stream(TYPE.stdin, id, Buffer.from(rest.body ?? ""), chunk),
  ]);
}

export class FastCgi {
  static async open(path) {
    const socket = net.connect(path);
    await new Promise((done, fail) => socket.on("connect", done).on("error", fail));
    return new FastCgi(socket);
  }

  constructor(socket) {
    this.socket = socket;
    this.bytes = Buffer.alloc(0);
    this.records = []; // [type, id, content]
    this.closed = false;
    socket.on("error", () => {});
    socket.on("close", () => (this.closed = true));
    socket.on("data", (part) => {
      this.bytes = Buffer.concat([this.bytes, part]);
      this.cut();
    });
  }

  cut() {
    while (this.bytes.length >= 8) {
      const content = this.bytes.readUInt16BE(4);
      const whole = 8 + content + this.bytes[6];
      if (this.bytes.length < whole) return;
      this.records.push([this.bytes[1], this.bytes.readUInt16BE(2), this.bytes.subarray(8, 8 + content)]);
      this.bytes = this.bytes.subarray(whole);
    }
  }

  send(bytes) {
    this.socket.write(bytes);
  }

  // The answer to the oldest request that has one: { status, headers, body },
  // status 0 if it was ended without any.
  async answer(ms = 5000) {
    await until(ms, "an end of a request", () => this.records.some(([type]) => type === TYPE.end));
    const end = this.records.findIndex(([type]) => type === TYPE.end);
    const id = this.records[end][1];
    const out = this.records.splice(0, end + 1).filter(([type, of]) => type === TYPE.stdout && of === id);
    const text = Buffer.concat(out.map(([, , content]) => content)).toString("utf8");
    if (text === "") return { id, status: 0, headers: {}, body: "" };
    const split = text.indexOf("\r\n\r\n");
    const headers = Object.fromEntries(
      text
        .slice(0, split)
        .split("\r\n")
        .map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 2)]),
    );
    return { id, status: Number(headers.status.slice(0, 3)), headers, body: text.slice(split + 4) };
  }

  async end(ms = 5000) {
    await until(ms, "the connection is closed", () => this.closed);
  }

  destroy() {
    this.socket.destroy();
  }
}

// One request on a connection of its own, which the gateway closes behind its
// answer: to wait for that is to be there at once.
export async function ask(path, options = {}, ms = 5000) {
  const connection = await FastCgi.open(path);
  const closed = new Promise((done) => connection.socket.on("close", done));
  try {
    connection.send(requestBytes(options));
    await within(ms, "the connection is closed", closed);
    return await connection.answer(ms);
  } finally {
    connection.destroy();
  }
}

// line.js - a forwarder between one client and the web server: a bad line
//
// Everything passes as it is, until a test says what is to happen to the next
// requests: `line.fail("GET", ...)`, once per fault. A fault is
//
//     "reset"     the connection is reset, the server sees nothing of it
//     "hang"      no answer ever, the server sees nothing of it
//     "lose"      the server answers, and the connection is reset instead
//     "retry"     the server answers, nobody hears it, the same request is sent
//                 again and its answer is passed on: what proxies do
//     "double"    the request is sent twice at once; the answer of the later one
//                 is passed on, both are kept in `line.first` and `line.second`
//     "gone"      the token is cut off the request: a new session
//     {status, body, type}     an answer made up, status being that of HTTP
//
// and for WebSockets (method "WS")
//
//     "reset", "hang"          as above, before the handshake
//     "mute"      nothing that the client says reaches the server
//
// Instead of one fault a function may be given, which is asked for every request
// from then on, until `line.heal()`.
import http from "node:http";
import net from "node:net";
import { within } from "./wait.js";

const tokenOf = (path) => new URL(path, "http://any").searchParams.get("token");

export class Line {
  static async open(server) {
    const line = new Line(server);
    await new Promise((done) => line.http.listen(0, "127.0.0.1", done));
    return line;
  }

  constructor(server) {
    this.port0 = server.port;
    this.log = []; // { method, token, body, answer: { http, status, token } }
    this.faults = { GET: [], POST: [], WS: [] };
    this.origin = null; // set: the page is from there
    this.inTurn = false; // true: a POST waits until the one before is answered
    this.posted = Promise.resolve();
    this.first = null;
    this.second = null;
    this.sockets = new Set(); // open WebSockets: { client, upstream }
    this.http = http.createServer((req, res) => this.#request(req, res));
    this.http.on("upgrade", (req, client, head) => this.#upgrade(req, client, head));
    this.all = new Set();
    this.http.on("connection", (socket) => {
      this.all.add(socket);
      socket.on("close", () => this.all.delete(socket));
    });
    this.http.on("clientError", (_, socket) => socket.destroy());
    this.agent = new http.Agent({ keepAlive: true });
  }

  get endpoint() {
    return `ws://127.0.0.1:${this.http.address().port}/socket`;
  }

  fail(method, ...faults) {
    this.faults[method].push(...faults);
  }

  heal() {
    for (const list of Object.values(this.faults)) list.length = 0;
  }

  // Every WebSocket of it, as when a cable is cut.
  cut() {
    for (const { client, upstream } of this.sockets) {
      client.destroy();
      upstream.destroy();
    }
  }

  // Nothing passes any more by the WebSockets there are.
  mute() {
    for (const { client, upstream } of this.sockets) {
      upstream.unpipe(client);
      client.unpipe(upstream);
      client.resume();
      upstream.resume();
    }
  }

  // Every WebSocket is closed with this code, as by the server.
  close(code) {
    for (const { client, upstream } of this.sockets) {
      upstream.unpipe(client);
      upstream.destroy();
      client.resume();
      client.end(Buffer.from([0x88, 2, code >> 8, code & 255]));
    }
  }

  // What was asked by this method: requests of the log.
  asked(method) {
    return this.log.filter((entry) => entry.method === method);
  }

  async end() {
    this.cut();
    this.agent.destroy();
    const closed = new Promise((done) => this.http.close(done));
    for (const socket of this.all) socket.destroy();
    await within(5000, "the forwarder is closed", closed);
  }

  #next(method, about) {
    const [fault] = this.faults[method] ?? [];
    if (typeof fault === "function") return fault(about);
    return this.faults[method]?.shift();
  }

  #headers(req) {
    return this.origin ? { ...req.headers, origin: this.origin } : req.headers;
  }

  #ask({ method, path, headers, body }, res) {
    return new Promise((resolve, reject) => {
      const options = { port: this.port0, host: "127.0.0.1", agent: this.agent };
      const up = http.request({ ...options, method, path, headers });
      res.once("close", () => res.writableEnded || up.destroy(new Error("the client has gone")));
      up.on("error", reject);
      up.on("response", (answer) => {
        const parts = [];
        answer.on("data", (part) => parts.push(part));
        answer.on("error", reject);
        answer.on("end", () =>
          resolve({
            http: answer.statusCode,
            headers: answer.headers,
            text: Buffer.concat(parts).toString(),
          }),
        );
      });
      up.end(body);
    });
  }

  async #request(req, res) {
    const parts = [];
    try {
      for await (const part of req) parts.push(part);
    } catch {
      return; // the client has gone
    }
    const ask = {
      method: req.method,
      path: req.url,
      headers: this.#headers(req),
      body: Buffer.concat(parts),
    };
    const entry = { method: ask.method, token: tokenOf(ask.path), body: ask.body.toString() };
    this.log.push(entry);
    let answered = () => {};
    if (this.inTurn && ask.method === "POST") {
      const before = this.posted;
      this.posted = new Promise((done) => (answered = done));
      await before;
    }
    const fault = this.#next(ask.method, entry);
    try {
      const answer = await this.#answer(fault, ask, res);
      if (!answer) return;
      entry.answer = { http: answer.http };
      try {
        const { status, token } = JSON.parse(answer.text);
        Object.assign(entry.answer, { status, token });
      } catch {
        // a page of the web server
      }
      if (fault === "lose") res.destroy();
      else res.writeHead(answer.http, answer.headers).end(answer.text);
    } catch {
      res.destroy();
    } finally {
      answered();
    }
  }

  async #answer(fault, ask, res) {
    if (typeof fault === "object") {
      const { status = 200, body = "", type = "application/json" } = fault;
      return { http: status, headers: { "content-type": type, "content-length": body.length }, text: body };
    }
    switch (fault) {
      case "reset":
        return void res.destroy();
      case "hang":
        return undefined;
      case "gone":
        return this.#ask({ ...ask, path: ask.path.replace(/&?token=[^&]*/, "") }, res);
      case "retry":
        await this.#ask(ask, res);
        return this.#ask(ask, res);
      case "double": {
        const first = this.#ask(ask, res);
        await new Promise((done) => setTimeout(done, 50));
        const second = await this.#ask(ask, res);
        this.second = JSON.parse(second.text);
        this.first = JSON.parse((await first).text);
        return second;
      }
      default:
        return this.#ask(ask, res);
    }
  }

  #upgrade(req, client, head) {
    this.log.push({ method: "WS" });
    const fault = this.#next("WS", req);
    client.on("error", () => {});
    if (fault === "reset") return client.destroy();
    if (fault === "hang") return;
    const upstream = net.connect(this.port0, "127.0.0.1");
    const pair = { client, upstream };
    this.sockets.add(pair);
    upstream.on("error", () => client.destroy());
    client.on("close", () => {
      this.sockets.delete(pair);
      upstream.destroy();
    });
    upstream.on("close", () => {
      this.sockets.delete(pair);
      client.end();
    });
    const lines = Object.entries(this.#headers(req)).map(([name, value]) => `${name}: ${value}`);
    upstream.write(`GET ${req.url} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
    upstream.write(head);
    upstream.pipe(client);
    if (fault === "mute") client.resume();
    else client.pipe(upstream);
  }
}

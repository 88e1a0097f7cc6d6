// xhr.js - XMLHttpRequest over node:http, as far as phoenix.js looks at it
//
// Faithful to the XMLHttpRequest standard where the client can tell: the order
// of events, readyState 4 with an empty text after an error, a time-out or an
// abort (the handler of readystatechange runs first, then that of error,
// timeout or abort), and request headers that a page may not set are refused.
import http from "node:http";

// What handlers threw: a browser reports it and goes on.
export const uncaught = [];
export function guarded(handler) {
  if (!handler) return handler;
  return function (...args) {
    try {
      return handler.apply(this, args);
    } catch (error) {
      uncaught.push(error);
    }
  };
}

const FORBIDDEN = new Set([
  "connection",
  "content-length",
  "cookie",
  "host",
  "origin",
  "referer",
  "te",
  "upgrade",
]);

const agent = new http.Agent({ keepAlive: true });

// Browsers send it with every request that a page of another origin makes;
// tests set it to play one.
export const page = { origin: null };

export class XMLHttpRequest {
  readyState = 0;
  status = 0;
  responseText = "";
  timeout = 0;
  onreadystatechange = null;
  onprogress = null;
  onload = null;
  onerror = null;
  ontimeout = null;
  onabort = null;
  onloadend = null;
  #method;
  #url;
  #headers = {};
  #answer = {};
  #req = null;
  #timer = null;

  open(method, url) {
    this.#method = method.toUpperCase();
    this.#url = new URL(url);
    this.#headers = {};
    this.#state(1);
  }

  setRequestHeader(name, value) {
    if (this.readyState !== 1 || this.#req) throw new Error("InvalidStateError");
    const key = name.toLowerCase();
    if (FORBIDDEN.has(key)) return;
    this.#headers[key] = key in this.#headers ? `${this.#headers[key]}, ${value}` : String(value);
  }

  getResponseHeader(name) {
    return this.#answer[name.toLowerCase()] ?? null;
  }

  send(body = null) {
    if (this.readyState !== 1 || this.#req) throw new Error("InvalidStateError");
    const headers = { ...this.#headers };
    if (page.origin) headers.origin = page.origin;
    const hasBody = body !== null && this.#method !== "GET" && this.#method !== "HEAD";
    if (hasBody) {
      if (typeof body === "string") headers["content-type"] ??= "text/plain;charset=UTF-8";
      headers["content-length"] = Buffer.byteLength(body);
    }
    const req = http.request(this.#url, { method: this.#method, headers, agent });
    this.#req = req;
    if (this.timeout > 0) this.#timer = setTimeout(() => this.#fail("timeout"), this.timeout);
    req.on("error", () => this.#current(req) && this.#fail("error"));
    req.on("response", (res) => this.#receive(req, res));
    req.end(body instanceof ArrayBuffer ? Buffer.from(body) : hasBody ? body : undefined);
  }

  abort() {
    if (!this.#req) return;
    this.#fail("abort");
    this.readyState = 0; // without an event, as the standard has it
  }

  #receive(req, res) {
    if (!this.#current(req)) return;
    const decoder = new TextDecoder();
    this.status = res.statusCode;
    this.#answer = res.headers;
    this.#state(2);
    res.on("data", (part) => {
      if (!this.#current(req)) return;
      this.responseText += decoder.decode(part, { stream: true });
      this.#state(3);
      this.#fire("progress");
    });
    res.on("end", () => {
      if (!this.#current(req)) return;
      if (!res.complete) return this.#fail("error");
      this.responseText += decoder.decode();
      this.#over();
      this.#state(4);
      this.#fire("load");
      this.#fire("loadend");
    });
    res.on("error", () => this.#current(req) && this.#fail("error"));
  }

  #fail(kind) {
    const req = this.#req;
    this.#over();
    req?.destroy();
    this.status = 0;
    this.responseText = "";
    this.#answer = {};
    this.#state(4);
    this.#fire(kind);
    this.#fire("loadend");
  }

  #fire(name) {
    guarded(this[`on${name}`])?.call(this, {});
  }

  #current(req) {
    return this.#req === req;
  }

  #over() {
    clearTimeout(this.#timer);
    this.#req = null;
  }

  #state(state) {
    this.readyState = state;
    this.#fire("readystatechange");
  }
}

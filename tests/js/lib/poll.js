// poll.js - a long-poll client as bare as can be: it keeps its token, no more
import assert from "node:assert/strict";
import { request } from "./http.js";

export class Poller {
  // `port` may be changed between requests: another gateway, the same session.
  constructor(port, { path = "/socket/longpoll", query = "vsn=2.0.0", headers = {} } = {}) {
    this.port = port;
    this.path = path;
    this.query = query;
    this.headers = headers; // of every GET
    this.token = null;
    this.received = []; // decoded messages, in order
  }

  url(token = this.token) {
    return `${this.path}?${this.query}${token === null ? "" : `&token=${encodeURIComponent(token)}`}`;
  }

  // A GET whose answer is looked at but not taken: as if it had been lost.
  async peek({ token = this.token, ms = 15000, signal } = {}) {
    const res = await request({ port: this.port, path: this.url(token), headers: this.headers, ms, signal });
    assert.equal(res.status, 200, res.body);
    const body = JSON.parse(res.body);
    const messages = (body.messages ?? []).map((text) => JSON.parse(text));
    return { ...body, messages, texts: body.messages };
  }

  // A GET: takes the token and the messages.
  async get(options) {
    const answer = await this.peek(options);
    if (answer.token) this.token = answer.token;
    if (answer.status === 200) this.received.push(...answer.messages);
    return answer;
  }

  // A POST of these frames; `token` another one of the session.
  async post(frames, { token = this.token, type = "application/x-ndjson" } = {}) {
    const body = frames
      .map((frame) => (typeof frame === "string" ? frame : JSON.stringify(frame)))
      .join("\n");
    const res = await request({
      port: this.port,
      method: "POST",
      path: this.url(token),
      headers: type ? { "content-type": type } : {},
      body,
    });
    assert.equal(res.status, 200, res.body);
    return JSON.parse(res.body);
  }

  async open() {
    const answer = await this.get();
    assert.equal(answer.status, 410);
    assert.ok(answer.token);
    return this;
  }

  // Poll until so many messages are there in all.
  async until(count, ms = 10000) {
    const end = performance.now() + ms;
    while (this.received.length < count) {
      if (performance.now() > end) {
        throw new Error(
          `${this.received.length} of ${count} messages after ${ms} ms: ${JSON.stringify(this.received)}`,
        );
      }
      const { status } = await this.get();
      if (status !== 200 && status !== 204)
        throw new Error(`a poll was answered with status ${status}`);
    }
    return this.received;
  }

  async join(topic, params = {}, ref = "1") {
    const before = this.received.length;
    assert.deepEqual(await this.post([[ref, ref, topic, "phx_join", params]]), { status: 200 });
    await this.until(before + 1);
    const reply = this.received[before];
    assert.deepEqual(reply.slice(0, 4), [ref, ref, topic, "phx_reply"]);
    assert.equal(reply[4].status, "ok", JSON.stringify(reply));
    return reply[4].response;
  }

  // What came on this topic with this event: payloads.
  payloads(event) {
    return this.received.filter((message) => message[3] === event).map((message) => message[4]);
  }
}

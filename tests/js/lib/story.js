// story.js - one stock client on a line of its own, while its topic is written to
//
// Rows come all the time, numbered, as {"uid":"n-1"}, {"uid":"n-2"}, ...; at the
// end the client must have heard each once, in order, and must be alive.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { Line } from "./line.js";
import { answer, can, connect, disconnect, hears, resuming } from "./phoenix.js";
import { own } from "./server.js";
import { until, within } from "./wait.js";

// Rows of many topics, by one sqlite3 shell.
export class Writer {
  constructor(server) {
    this.child = own(
      spawn("sqlite3", ["-cmd", ".timeout 10000", server.journal], {
        ...server.as,
        stdio: ["pipe", "ignore", "pipe"],
      }),
    );
    this.trouble = "";
    this.child.stderr.on("data", (part) => (this.trouble += part));
    this.ended = new Promise((done) => this.child.once("close", done));
  }

  write(topic, payload, event = "note") {
    const quoted = JSON.stringify(payload).replaceAll("'", "''");
    this.child.stdin.write(
      `INSERT INTO messages (topic, event, payload) VALUES ('${topic}', '${event}', '${quoted}');\n`,
    );
  }

  async end() {
    this.child.stdin.end();
    await within(10000, "the writer is done", this.ended);
    assert.equal(this.trouble, "");
  }
}

let stories = 0;

export class Story {
  // options: those of the Socket, or a function that makes them; prepare: what is done to the line before
  static async begin(server, writer, version, transport, { options = {}, prepare } = {}) {
    const story = await Story.laid(server, writer, version, transport);
    prepare?.(story.line);
    story.options = typeof options === "function" ? options() : options;
    story.follow(story.options);
    return story;
  }

  // The line only.
  static async laid(server, writer, version, transport) {
    const story = new Story(version, transport, writer);
    story.line = await Line.open(server);
    return story;
  }

  // ... and joined, with some rows heard
  static async joined(...args) {
    const story = await Story.begin(...args);
    try {
      assert.equal((await story.following.joined).status, "ok");
      await hears(story.notes, 3, 25000);
    } catch (error) {
      await story.end();
      throw error;
    }
    return story;
  }

  constructor(version, transport, writer) {
    Object.assign(this, { version, transport, writer });
    this.topic = `room:story-${++stories}`;
    this.written = 0;
    this.opens = 0;
    this.closes = []; // codes, as the application is told them
    this.ticking = setInterval(() => this.write(), 25);
  }

  write() {
    this.writer.write(this.topic, { uid: `n-${++this.written}` });
  }

  follow(options) {
    this.socket = connect(this.version, this.transport, this.line.endpoint, options);
    this.socket.onOpen(() => this.opens++);
    this.socket.onClose((event) => this.closes.push(event?.code));
    // a page that was there before has left its cursor, if it had come to one
    const before = this.joins > 0 ? this.following : {};
    this.following = resuming(this.socket, this.topic, before);
    const { channel, state, notes } = this.following;
    Object.assign(this, { channel, state, notes });
    this.said ??= [];
    channel.on("say", (payload, _, joinRef) => {
      if (joinRef === channel.joinRef()) this.said.push(payload.n);
    });
  }

  // It joins, at whichever try.
  arrives(ms = 25000) {
    return until(ms, "it is joined", () => this.joins > 0 && this.channel.state === "joined");
  }

  // Nothing is under way to it.
  async quiet() {
    clearInterval(this.ticking);
    const last = () => this.notes.at(-1)?.[0].uid === `n-${this.written}`;
    await until(20000, "it has heard the last row", last);
  }

  get joins() {
    return this.state?.cursors.length ?? 0;
  }

  // What the client does comes to a further join.
  rejoins(count = 1, ms = 25000) {
    const before = this.joins;
    return () => until(ms, `it joins again (${before} before)`, () => this.joins >= before + count);
  }

  say(n, ms = 20000) {
    return answer(this.channel.push("say", { n }, ms), ms + 4000);
  }

  // Nobody hangs for good, and from the first join on nothing is lost, doubled or
  // out of order.
  async good() {
    clearInterval(this.ticking);
    this.write();
    await hears(this.notes, 1, 20000);
    const from = Number(this.notes[0][0].uid.slice(2));
    const count = this.written - from + 1;
    await hears(this.notes, count, 20000);
    assert.equal((await this.say("last")).status, "ok");
    assert.deepEqual(
      this.notes.map(([{ uid }]) => uid),
      Array.from({ length: count }, (_, i) => `n-${i + from}`),
    );
    assert.deepEqual(this.state.gaps, []);
  }

  // As a page does that knows that something is wrong.
  async connectAnew() {
    await disconnect(this.socket);
    if (can.rejoinsByConnect[this.version]) this.socket.connect();
    else this.follow(this.options);
  }

  async end() {
    clearInterval(this.ticking);
    if (this.socket) await disconnect(this.socket);
    await this.line.end();
  }
}

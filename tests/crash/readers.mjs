// readers.mjs - who reads while everything is killed, and goes on by `since`
//
// Each keeps the cursor of the last row it handled and nothing else, and notes
// what it was given. They differ in who speaks the protocol: the npm clients
// unmodified, our own client, a bare one that changes its transport whenever it
// likes and keeps a long-poll session over dead gateways, `holdfast tail`.
import { spawn } from "node:child_process";
import { Socket } from "../../www/holdfast.js";
import { connect, WebSocket } from "../js/lib/phoenix.js";
import { Poller } from "../js/lib/poll.js";
import { RawWs } from "../js/lib/rawws.js";
import { own, program } from "../js/lib/server.js";
import { parseCursor } from "../js/lib/trace.js";
import { sleep, until, within } from "../js/lib/wait.js";
import { Chance, sum } from "./events.mjs";

// Quicker than an application would: a run is to see many of these.
const HASTE = { reconnectAfterMs: () => 60, rejoinAfterMs: () => 60, timeout: 5000 };

class Reader {
  since = {}; // topic -> cursor of the last row, or where the join began
  joined = {}; // topic -> is there a join that was answered?
  #sessions = 0;

  constructor(run, name, topics = run.topics) {
    this.run = run;
    this.name = name;
    this.topics = topics;
    this.chance = new Chance(run.seed, name);
    for (const topic of topics) this.joined[topic] = false;
  }

  noteJoin(topic, { cursor, gap = null }, asked) {
    const { epoch, id } = parseCursor(cursor);
    const sess = ++this.#sessions;
    const fields = { client: this.name, topic, sess, cursor: id, since: asked, gap, epoch };
    this.run.log.add("joined", fields);
    this.since[topic] = cursor;
    this.joined[topic] = true;
  }

  noteRow(topic, cursor, text) {
    if (typeof cursor !== "string" || !cursor.startsWith("j:"))
      return this.fault(`a row of ${topic} without its cursor: ${text.slice(0, 80)}`);
    const { epoch, id } = parseCursor(cursor);
    const { uid } = JSON.parse(text);
    const fields = { client: this.name, topic, sess: this.#sessions, id, uid, epoch };
    this.run.log.add("deliver", { ...fields, sum: sum(text) });
    this.since[topic] = cursor;
  }

  fault(text) {
    this.run.log.add("fault", { text: `${this.name}: ${text}` });
  }

  // Has it come as far as these ids? In a newer history ids say nothing.
  behind(goals) {
    return this.topics.filter((topic) => {
      const { epoch, id } = parseCursor(this.since[topic] ?? "j:AAAAAAAAAAA.0");
      return (
        !this.joined[topic] || (goals[topic]?.epoch === epoch && id < (goals[topic]?.id ?? 0))
      );
    });
  }

  end() {
    for (const topic of this.topics) {
      const state = this.joined[topic] ? "joined" : "joining";
      this.run.log.add("end", { client: this.name, topic, state, pushes: 0 });
    }
  }
}

// What stock client and ours have in common: channels with callbacks.
class ChannelReader extends Reader {
  channels = {};

  follow(socket) {
    this.socket = socket;
    for (const topic of this.topics) {
      let asked = "";
      const params = () => ({ since: (asked = this.since[topic] ?? "") });
      const channel = socket.channel(topic, params);
      channel.on("note", (payload, ref) => this.noteRow(topic, ref, JSON.stringify(payload)));
      channel.onError(() => (this.joined[topic] = false));
      // ours says nothing of a join by which it went over to another connection,
      // but for what that one could not bring
      channel.onGap?.((response) => this.noteJoin(topic, response, asked));
      channel
        .join(HASTE.timeout)
        .receive("ok", (response) => this.noteJoin(topic, response, asked))
        .receive("error", ({ reason }) => {
          if (reason !== "busy") this.fault(`join of ${topic} refused: ${reason}`);
        });
      this.channels[topic] = channel;
    }
  }

  async work() {}

  async stop() {
    await within(8000, "a socket is closed", new Promise((done) => this.socket.disconnect(done)));
  }
}

export class StockReader extends ChannelReader {
  constructor(run, name, version, transport) {
    super(run, name);
    this.follow(connect(version, transport, run.server.endpoint, HASTE));
  }
}

// Ours chooses its transport by itself, and now and then is told to.
export class OurReader extends ChannelReader {
  #wanted = true;

  constructor(run, name) {
    super(run, name);
    const socket = new Socket(run.server.endpoint.replace("ws:", "http:"), { ...HASTE, WebSocket });
    this.follow(socket);
    socket.connect();
  }

  async work() {
    while (this.#wanted) {
      await sleep(this.chance.between(300, 3000));
      if (this.#wanted) this.socket.replaceTransport(this.chance.of(["websocket", "longpoll"]));
    }
  }

  async stop() {
    this.#wanted = false;
    await super.stop();
  }
}

// No client at all, only frames.
export class Roamer extends Reader {
  #wanted = true;
  #ref = 0;
  #refs = {}; // topic -> join_ref of its newest join
  #asked = {};
  #until = 0; // when this connection is given up
  #abort = new AbortController();

  async work() {
    while (this.#wanted) {
      this.#until = performance.now() + this.chance.between(100, 2500);
      try {
        await (this.chance.number() < 0.4 ? this.#overWebSocket() : this.#overLongPoll());
      } catch (error) {
        // the line was cut, or nobody is there: try another way
        this.run.log.add("cut", { client: this.name, why: error.message });
      }
      for (const topic of this.topics) this.joined[topic] = false;
      if (this.#wanted) await sleep(this.chance.between(10, 100));
    }
  }

  async stop() {
    this.#wanted = false;
    this.#abort.abort();
  }

  #go() {
    return this.#wanted && performance.now() < this.#until;
  }

  // Stay where it is, for the end of the run.
  settle() {
    this.#until = Infinity;
  }

  #join(topic) {
    const ref = String(++this.#ref);
    this.#refs[topic] = ref;
    this.#asked[topic] = this.since[topic] ?? "";
    this.joined[topic] = false;
    return JSON.stringify([ref, ref, topic, "phx_join", { since: this.#asked[topic] }]);
  }

  // -> a frame to send, or null
  #take(text) {
    const [joinRef, ref, topic, event, payload] = JSON.parse(text);
    const ours = joinRef === this.#refs[topic];
    if (event === "note" && joinRef === null) this.fault(`a row of ${topic} without join_ref`);
    if (!ours) return null;
    if (event === "phx_error" || event === "phx_close") return this.#join(topic);
    if (event === "phx_reply" && ref === this.#refs[topic]) {
      if (payload.status !== "ok") {
        if (payload.response.reason !== "busy") this.fault(`join refused: ${text}`);
        return this.#join(topic);
      }
      this.noteJoin(topic, payload.response, this.#asked[topic]);
    } else if (event === "note") {
      if (!this.joined[topic]) this.fault(`a row of ${topic} before its join was answered`);
      // byte for byte: the server writes no blanks of its own
      const head = JSON.stringify([joinRef, ref, topic, event]);
      this.noteRow(topic, ref, text.slice(head.length, -1));
    }
    return null;
  }

  async #overWebSocket() {
    const ws = await RawWs.open({ port: this.run.server.port, ms: 3000 });
    if (ws.status !== 101) return;
    try {
      for (const topic of this.topics) ws.text(this.#join(topic));
      while (this.#go() || (this.#wanted && ws.inbox.items.length > 0)) {
        const got = await ws.inbox.next(200).catch(() => null);
        if (got?.kind === "close") return;
        const answer = got?.kind === "text" && this.#take(got.data.toString());
        if (answer) ws.text(answer);
      }
    } finally {
      ws.destroy();
    }
  }

  async #overLongPoll() {
    const poller = new Poller(this.run.server.port);
    await poller.open();
    await this.#post(poller, this.topics.map((topic) => this.#join(topic)));
    while (this.#go()) {
      poller.port = this.chance.of(this.run.server.ports);
      const answer = await this.#poll(poller);
      if (!answer) {
        await sleep(this.chance.between(20, 150)); // the same token again
        continue;
      }
      if (answer.status !== 200 && answer.status !== 204) return;
      const replies = (answer.texts ?? []).map((text) => this.#take(text)).filter(Boolean);
      if (replies.length > 0) await this.#post(poller, replies);
      if (this.chance.number() < 0.2) await sleep(this.chance.between(0, 500));
    }
  }

  async #post(poller, frames) {
    const { status } = await poller.post(frames);
    if (status !== 200) throw new Error(`a POST was answered ${status}`);
  }

  // null: no answer, or one of lighttpd, whose gateway is dead. Now and then
  // an answer is "lost": the same token must bring the same again.
  async #poll(poller) {
    const { token } = poller;
    const options = { ms: 4000, signal: this.#abort.signal };
    try {
      if (this.chance.number() < 0.1)
        this.#noteAnswer("answer", token, await poller.peek(options));
      const answer = await poller.get(options);
      this.#noteAnswer("got", token, answer);
      return answer;
    } catch (error) {
      this.run.log.add("cut", { client: this.name, why: error.message });
      return null;
    }
  }

  #noteAnswer(ev, token, { status, texts = [] }) {
    if (status !== 200) return;
    const ids = texts.map((text) => {
      const [, ref, , event] = JSON.parse(text);
      return event === "note" ? ["row", parseCursor(ref).id] : ["frame", text];
    });
    this.run.log.add(ev, { client: this.name, token, status, ids });
  }
}

// `holdfast tail --since`, one topic each.
export class Tail extends Reader {
  #child = null;

  constructor(run, name, topic) {
    super(run, name, [topic]);
    this.topic = topic;
  }

  get pids() {
    return this.#child ? [this.#child.pid] : [];
  }

  async start() {
    const since = this.since[this.topic] ?? (await this.run.head());
    await this.#spawn(since, this.since[this.topic] ?? "", null);
  }

  async #spawn(since, asked, gap) {
    const args = ["--dir", this.run.server.dir, "tail", "--since", since, this.topic];
    const child = own(spawn(program("holdfast"), args, { stdio: ["ignore", "pipe", "pipe"] }));
    let pending = "";
    let words = "";
    this.noteJoin(this.topic, { cursor: since, gap }, asked);
    child.stderr.on("data", (part) => (words += part));
    child.stdout.on("data", (part) => {
      const lines = (pending + part).split("\n");
      pending = lines.pop();
      for (const line of lines) this.#line(line);
    });
    this.ended = new Promise((done) =>
      child.once("close", (code, signal) => {
        if (this.#child === child) this.#child = null;
        this.joined[this.topic] = false;
        if (code === 1 && this.run.wanted) this.#refused(words);
        else if (code !== 0 && signal === null)
          this.run.trouble(`${this.name}: exit ${code}: ${words}`);
        done(signal);
      }),
    );
    this.#child = child;
  }

  #line(line) {
    const [, cursor] = /^\{"cursor":"(j:[^"]+)"/.exec(line) ?? [];
    const at = line.indexOf(',"payload":');
    this.noteRow(this.topic, cursor, line.slice(at + 11, -1));
  }

  // It cannot go on from there, and has said why: from the end, then.
  async #refused(words) {
    const asked = this.since[this.topic];
    const gap = /no longer kept/.test(words) ? "trimmed" : "reset";
    if (gap === "reset" && !/another journal|beyond|--since start/.test(words))
      return this.run.trouble(`${this.name}: ${words}`);
    await this.#spawn(await this.run.head(), asked, gap);
  }

  async work() {}

  async strike(signal) {
    if (!this.#child?.kill(signal)) return false;
    return (await within(10000, `${this.name} ends`, this.ended)) === signal;
  }

  async stop() {
    this.#child?.kill("SIGTERM");
    await within(10000, `${this.name} ends`, this.ended);
  }
}

// Until each has come as far as the goals; -> the names of those that have not.
export async function caughtUp(readers, goals, ms) {
  const late = () => readers.filter((reader) => reader.behind(goals).length > 0);
  try {
    await until(ms, "all have caught up", () => late().length === 0, 50);
    return [];
  } catch {
    return late().map((reader) => `${reader.name} (${reader.behind(goals).join(", ")})`);
  }
}

// lab.js - one page behind a bad network, while its topic is written to
//
//     client -- middlebox -- lighttpd -- gateway and side-car -- journal
//
// A scene is a client of one kind, on a topic and a middlebox of its own. Rows are
// INSERTed all the time and the page pushes all the time; when the network has
// been bad and good again, what the application's callbacks were called with is
// compared with the journal: nothing lost, doubled or out of order. What the
// network does is one of HARMS.
//
// The client's own timers may run faster than the world's (`hurry`), so that what
// takes half a minute in life fits into a test; the server's do not.
import { Middlebox } from "./middlebox.js";
import { Writer } from "./story.js";
import { sleep, until } from "./wait.js";

// What the network does to a page, and how long that lasts.
//
//     begin    what holds from before the page connects until it is over
//     harm     what goes wrong ...
//     live     ... and what happens to connections that are there, when it does so
//              while the page is connected
//     usable   something still works meanwhile, so the page is to be of use
//     when     "start", "later": only then; else both
//     lasts    ms that it lasts at least
export const HARMS = [
  { name: "upgrades are refused (403)", harm: ["refuse"], live: ["drop upgrade"], usable: true },
  { name: "Upgrade is stripped", harm: ["strip"], live: ["drop upgrade"], usable: true },
  { name: "a proxy of HTTP/1.0", harm: ["http10"], live: ["drop upgrade"], usable: true },
  { name: "upgrades are reset", harm: ["reset"], live: ["drop upgrade"], usable: true },
  { name: "upgrades hang", harm: ["hang"], live: ["drop upgrade"], usable: true },
  { name: "WebSockets open and are mute", harm: ["mute"], usable: true },
  { name: "... mute upwards", harm: ["mute-up"], usable: true },
  { name: "... mute downwards", harm: ["mute-down"], usable: true },
  { name: "WebSockets are cut after 1 s", harm: ["cut=1000"], usable: true, lasts: 6000 },
  {
    name: "POSTs are swallowed, polls pass, WebSockets are back",
    begin: ["refuse"], harm: ["swallow", "pass upgrade"], usable: true, when: "later",
  },
  { name: "POSTs are swallowed, no WebSockets", begin: ["refuse"], harm: ["swallow"], when: "later" },
  { name: "answers to POSTs are lost, no WebSockets", begin: ["refuse"], harm: ["lose"], when: "later" },
  { name: "answers to polls are lost, no WebSockets", begin: ["refuse"], harm: ["lose get"], when: "later" },
  { name: "polls are swallowed, no WebSockets", begin: ["refuse"], harm: ["swallow get"], when: "later" },
  { name: "polls are doubled, no WebSockets", begin: ["refuse"], harm: ["double"], usable: true },
  { name: "answers are cut short, no WebSockets", begin: ["refuse"], harm: ["truncate=30 get"], when: "later" },
  { name: "everything takes 300 ms longer each way", harm: ["delay=300"], usable: true },
  { name: "a hotel's page, whatever is asked for", harm: ["portal"], live: ["drop"] },
  { name: "a storm of 502", harm: ["status=502"], live: ["drop"] },
  { name: "a storm of 508", harm: ["status=508"], live: ["drop"] },
  { name: "everything is cut", harm: ["reset all"], live: ["drop"] },
  { name: "another address", harm: ["move"], usable: true, when: "later" },
];

// --- clients -----------------------------------------------------------------
//
// A client is what is made by open({ endpoint, topic, heard, joined, changed }): it
// calls heard(key) for each message of the application, joined(cursor) for each join
// that was accepted, changed(state, number of the reason, transport), and has
//
//     push(n, done)   push event "say"; done(status)
//     transport()     "websocket", "longpoll" while it is open, else null
//     close()         a promise

// What the page is told of a message: "note 5", "say 7".
const keyOf = (event, n) => `${event} ${n}`;

// Timers of a client that lives `hurry` times as fast.
export function hurried(hurry) {
  const begun = Date.now();
  return {
    setTimeout: (callback, ms) => setTimeout(callback, ms / hurry),
    clearTimeout: (timer) => clearTimeout(timer),
    now: () => performance.now() * hurry,
    wall: () => begun + performance.now() * hurry,
  };
}

// `module`: www/holdfast.js. It is asked for each push for as long as `patience`.
export function holdfast(module, WebSocket, { hurry = 1, patience = 100000, options = {} } = {}) {
  return {
    name: "holdfast",
    open({ endpoint, topic, heard, joined, changed }) {
      const socket = new module.Socket(endpoint, { WebSocket, clock: hurried(hurry), ...options });
      const channel = socket.channel(topic);
      for (const event of ["note", "say"]) channel.on(event, ({ n }) => heard(keyOf(event, n)));
      channel.onGap((gap) => heard(`gap ${JSON.stringify(gap)}`));
      socket.onChange((state, reason, transport) => changed?.(state, reason.number, transport));
      channel.join(patience * hurry).receive("ok", ({ cursor }) => joined(cursor));
      socket.connect();
      return {
        socket,
        push(n, done) {
          const push = channel.push("say", { n }, patience * hurry);
          for (const status of ["ok", "error", "timeout"]) push.receive(status, () => done(status));
        },
        transport: () => (socket.state === "open" ? socket.transportName : null),
        async close() {
          socket.disconnect();
        },
      };
    },
  };
}

// www/holdfast.js in a real browser: `prepare(endpoint)`, a promise, gives the page (of
// playwright) it is to run in, loaded from the server that serves /www/.
export function inBrowser(prepare, { hurry = 1, patience = 100000 } = {}) {
  return {
    name: "holdfast",
    // The page, while the network still is good.
    load: prepare,
    open({ loaded, topic, heard, joined, changed }) {
      let transport = null;
      const answers = new Map();
      const told = {
        heard,
        joined,
        changed(state, number, name) {
          transport = state === "open" ? name : null;
          changed(state, number, name);
        },
        answered: (n, status) => answers.get(n)(status),
      };
      let turn = (async () => {
        await loaded.exposeFunction("tell", (what, ...args) => told[what](...args));
        await loaded.evaluate(beginInPage, { clock: hurried.toString(), hurry, topic, patience });
      })().catch((error) => heard(`error ${error.message}`));
      return {
        push(n, done) {
          answers.set(n, done);
          // one after the other: evaluations may overtake each other
          turn = turn.then(() => loaded.evaluate((number) => globalThis.say(number), n));
          turn = turn.catch((error) => done(error.message));
        },
        transport: () => transport,
        async close() {
          await turn;
          await loaded.context().close();
        },
      };
    },
  };
}

// Runs in the page.
async function beginInPage({ clock, hurry, topic, patience }) {
  const { Socket } = await import("/www/holdfast.js");
  const hurried = new Function(`return ${clock}`)();
  const socket = new Socket("/socket", { clock: hurried(hurry) });
  const channel = socket.channel(topic);
  for (const event of ["note", "say"])
    channel.on(event, ({ n }) => globalThis.tell("heard", `${event} ${n}`));
  channel.onGap((gap) => globalThis.tell("heard", `gap ${JSON.stringify(gap)}`));
  socket.onChange((state, { number }, transport) => globalThis.tell("changed", state, number, transport));
  channel.join(patience * hurry).receive("ok", ({ cursor }) => globalThis.tell("joined", cursor));
  globalThis.say = (n) => {
    const push = channel.push("say", { n }, patience * hurry);
    for (const status of ["ok", "error", "timeout"])
      push.receive(status, () => globalThis.tell("answered", n, status));
  };
  socket.connect();
}

// The npm package as everybody uses it, or with `since` as docs/PROTOCOL.md
// section 14 says (`resume`).
export function phoenix(module, WebSocket, { resume = false, options = {} } = {}) {
  return {
    name: resume ? "phoenix.js with since" : "phoenix.js",
    open({ endpoint, topic, heard, joined }) {
      const { Socket, LongPoll } = module;
      const settings = { transport: WebSocket, longPollFallbackMs: 2500, ...options };
      const socket = new Socket(endpoint, settings);
      let since = "";
      const channel = socket.channel(topic, () => (resume ? { since } : {}));
      socket.onMessage(({ topic: where, ref, join_ref: joinRef }) => {
        if (where !== topic || typeof ref !== "string" || !ref.startsWith("j:")) return;
        if (joinRef === null || joinRef === channel.joinRef()) since = ref;
      });
      for (const event of ["note", "say"]) channel.on(event, ({ n }) => heard(keyOf(event, n)));
      channel.join().receive("ok", ({ cursor }) => {
        if (cursor) since = cursor;
        joined(cursor);
      });
      socket.connect();
      return {
        socket,
        push(n, done) {
          const push = channel.push("say", { n });
          for (const status of ["ok", "error", "timeout"]) push.receive(status, () => done(status));
        },
        transport() {
          if (!socket.isConnected()) return null;
          return socket.transport === LongPoll ? "longpoll" : "websocket";
        },
        close: () => new Promise((done) => socket.disconnect(done)),
      };
    },
  };
}

// --- counting ----------------------------------------------------------------

// How often each is in the list.
function tally(list) {
  const counts = new Map();
  for (const key of list) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

// What of `expected`, in its order, `got` lacks, has too often, has in the wrong
// order: { lost, doubled, disordered }, lists of what it is.
export function compare(expected, got) {
  const wanted = tally(expected);
  const had = tally(got);
  const place = new Map(expected.map((key, i) => [key, i]));
  const lost = [...wanted].filter(([key, count]) => (had.get(key) ?? 0) < count);
  const doubled = [...had].filter(([key, count]) => count > (wanted.get(key) ?? 0));
  const disordered = got.filter((key, i) => i > 0 && place.get(key) < place.get(got[i - 1]));
  return { lost: lost.map(([key]) => key), doubled: doubled.map(([key]) => key), disordered };
}

const idOf = (cursor) => Number(cursor.slice(cursor.lastIndexOf(".") + 1));

// --- rows --------------------------------------------------------------------

// Rows of all scenes that are due together share a transaction, and its sync.
export class Scribe extends Writer {
  #due = [];
  #timer = null;

  write(topic, payload, event = "note") {
    this.#due.push([topic, payload, event]);
    this.#timer ??= setTimeout(() => this.#commit(), 5);
  }

  #commit() {
    this.#timer = null;
    this.child.stdin.write("BEGIN IMMEDIATE;\n");
    for (const row of this.#due.splice(0)) super.write(...row);
    this.child.stdin.write("COMMIT;\n");
  }

  async end() {
    clearTimeout(this.#timer);
    this.#commit();
    await super.end();
  }
}

// --- a scene -----------------------------------------------------------------

let scenes = 0;

export class Scene {
  // lab: { server, writer }, a Scribe; every: ms between rows, and between pushes
  static async laid(lab, client, { rowEvery = 50, pushEvery = 250 } = {}) {
    const scene = new Scene(lab, client);
    scene.box = await Middlebox.start(lab.server.port);
    // a timer that is late makes up for it
    const begun = performance.now();
    const due = () => (performance.now() - begun) / rowEvery;
    scene.timers = [
      setInterval(() => {
        while (scene.written < due()) scene.write();
      }, rowEvery),
      setInterval(() => scene.connected && scene.push(), pushEvery),
    ];
    return scene;
  }

  constructor(lab, client) {
    Object.assign(this, { lab, client });
    this.topic = `room:lab-${process.pid}-${++scenes}`;
    this.written = 0;
    this.pushed = 0;
    this.answers = []; // of pushes: [n, status]
    this.heard = []; // keys, as the application is told them
    this.heardAt = []; // and when
    this.cursors = []; // of accepted joins
    this.changes = []; // [ms since connect, state, number of the reason, transport]
    this.connected = false;
  }

  write() {
    this.lab.writer.write(this.topic, { n: ++this.written });
  }

  push() {
    const n = ++this.pushed;
    this.page.push(n, (status) => this.answers.push([n, status]));
  }

  // Commands, of the middlebox or of a test that has further ones (functions).
  async say(...commands) {
    for (const command of commands) {
      if (typeof command === "string") await this.box.say(command);
      else await command(this);
    }
  }

  // What is needed before the page can connect.
  async load() {
    this.loaded = await this.client.load?.(this.box.endpoint);
  }

  connect() {
    this.begunAt = performance.now();
    this.connected = true;
    this.page = this.client.open({
      endpoint: this.box.endpoint,
      loaded: this.loaded,
      topic: this.topic,
      heard: (key) => {
        this.heard.push(key);
        this.heardAt.push(performance.now());
      },
      joined: (cursor) => this.cursors.push(cursor),
      changed: (...change) => this.changes.push([Math.round(performance.now() - this.begunAt), ...change]),
    });
  }

  // Until a message comes that was written after this call: how long, in ms.
  async useful(ms) {
    const from = performance.now();
    const { written } = this;
    let looked = this.heard.length;
    await until(ms, "something useful", () => {
      for (; looked < this.heard.length; looked++) {
        const [event, n] = this.heard[looked].split(" ");
        if (event === "note" && Number(n) > written) return true;
      }
      return false;
    });
    return Math.round(this.heardAt[looked] - from);
  }

  // Until a push made after this call is answered: how long, in ms. First some that
  // were made before must be, as the order is theirs.
  async answered(ms) {
    const from = performance.now();
    const { pushed } = this;
    const newer = () => this.answers.some(([n, status]) => n > pushed && status === "ok");
    await until(ms, "a push is answered", newer);
    return Math.round(performance.now() - from);
  }

  // Until it is open over this transport.
  async over(name, ms) {
    const from = performance.now();
    await until(ms, `it is on ${name}`, () => this.page.transport() === name);
    return Math.round(performance.now() - from);
  }

  // Through one harm from begin to end; the times of it, in ms, from connect or
  // from when it went wrong (or from when it was over, if it leaves nothing of use):
  // `useful` until the first message, `answered` until the first answer to a push;
  // `back` until it is on a WebSocket again when it is over.
  async through({ begin = [], harm, live = [], heal = ["pass"], usable, lasts = 2500 }, when, limits) {
    const both = async () => {
      const [useful, answered] = await Promise.all([this.useful(limits.useful), this.answered(limits.useful)]);
      return { useful, answered };
    };
    await this.say("pass");
    await this.load();
    await this.say(...begin);
    if (when === "start") {
      await this.say(...harm);
      this.connect();
    } else {
      this.connect();
      await both();
      await this.over(begin.length > 0 ? "longpoll" : "websocket", limits.useful);
      await sleep(500);
      await this.say(...harm, ...live);
    }
    let times = usable ? await both() : null;
    await sleep(lasts);
    await this.say(...heal);
    const healed = performance.now();
    const after = await both();
    times ??= after;
    times.back = await this.over("websocket", limits.back).then(
      () => Math.round(performance.now() - healed),
      (error) => {
        if (!limits.mayStay) throw error;
        return null;
      },
    );
    await sleep(500);
    return times;
  }

  // Nothing is written or pushed any more; all has come that will.
  async quiet(ms) {
    this.timers.forEach(clearInterval);
    this.connected = false;
    this.write();
    const last = keyOf("note", this.written);
    await until(ms, "it has heard the last row", () => this.heard.includes(last));
    const all = () => this.answers.length === this.pushed;
    await until(ms, "all its pushes are answered", all).catch(() => {}); // this shows in count()
    await sleep(300);
  }

  // What the application was told, beside the journal.
  async count() {
    const rows = await this.lab.server.sql(
      `SELECT id, event, json_extract(payload, '$.n') AS n FROM messages WHERE topic = '${this.topic}' ORDER BY id`,
    );
    // from where the first join began; where that is not said, from the first heard
    const [cursor] = this.cursors;
    const first = rows.findIndex(({ event, n }) => keyOf(event, n) === this.heard[0]);
    const begun = cursor ? rows.findIndex(({ id }) => id > idOf(cursor)) : first;
    const expected = begun < 0 ? [] : rows.slice(begun).map(({ event, n }) => keyOf(event, n));
    const says = rows.filter(({ event }) => event === "say").map(({ n }) => n);
    const pushes = Array.from({ length: this.pushed }, (_, i) => i + 1);
    const down = compare([...new Set(expected)], this.heard);
    const up = compare(pushes, says);
    const statuses = tally(this.answers.map(([, status]) => status));
    return { rows: expected.length, pushes: this.pushed, down, up, statuses };
  }

  async end() {
    this.timers.forEach(clearInterval);
    this.connected = false;
    await this.page?.close();
    await this.box?.end();
  }

  // For whoever reads of a failure.
  get story() {
    return this.changes.map((change) => change.join(" ")).join("; ");
  }
}

// Harms, and when they begin.
export const cases = (harms = HARMS) =>
  harms.flatMap((harm) => (harm.when ? [harm.when] : ["start", "later"]).map((when) => ({ harm, when })));

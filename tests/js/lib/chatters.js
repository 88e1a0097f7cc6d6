// chatters.js - many clients in a process of their own, told what to do by messages
//
//     -> { endpoint, clients: [{ name, kind, topic, after, every, first }] }
//            kind "ours" is www/holdfast.js, "stock" the npm package phoenix with
//            a `since` function; each comes `after` ms, and pushes a note `every`
//            ms (0: never), for the first time `first` ms after that
//     -> { quiet: { topic: id, ... } }   nobody pushes any more; whoever is
//                    connected is to come to these rows
//     <- { behind: [name, ...] }         once a second until nobody is
//     -> { report: true }
//     <- { clients: [{ name, kind, topic, first, got, gotAt, gaps, joins,
//          connected, said: [[uid, status], ...] }], cpu }   cursors as row ids; ms
import process from "node:process";
import { Socket } from "../../../www/holdfast.js";
import { clients as stock } from "./phoenix.js";

const { Socket: StockSocket, LongPoll } = stock["1.8.16"];
const idOf = (cursor) => Number(cursor.slice(cursor.lastIndexOf(".") + 1));

class Client {
  first = null; // where its stream began, once it was admitted
  got = [];
  gotAt = []; // ms since 1970
  gaps = 0;
  joins = 0;
  said = [];

  constructor({ name, kind, topic, after, every, first: sayAfter }, endpoint) {
    Object.assign(this, { name, kind, topic, every, sayAfter });
    setTimeout(() => this.come(endpoint), after);
  }

  come(endpoint) {
    const params = { c: this.name };
    if (this.kind === "ours") this.comeAsOurs(endpoint, params);
    else this.comeAsStock(endpoint, params);
    this.channel.on("note", (_, ref) => {
      this.got.push(idOf(ref));
      this.gotAt.push(Date.now());
    });
    this.joining = this.channel.join();
    this.joining.receive("ok", ({ cursor, gap }) => {
      this.joins++;
      this.first ??= idOf(cursor);
      this.since = cursor;
      if (gap) this.gaps++;
    });
    if (this.every > 0) this.ticking = setTimeout(() => this.sayOn(), this.sayAfter);
  }

  comeAsOurs(endpoint, params) {
    this.socket = new Socket(endpoint, { transport: "longpoll", params });
    this.channel = this.socket.channel(this.topic);
    this.socket.connect();
  }

  // As docs/PROTOCOL.md P-5.1 tells its users to.
  comeAsStock(endpoint, params) {
    this.since = "";
    this.socket = new StockSocket(endpoint, { transport: LongPoll, params });
    this.channel = this.socket.channel(this.topic, () => ({ since: this.since }));
    this.socket.onMessage(({ topic, ref, join_ref: joinRef }) => {
      if (topic !== this.topic || !/^j:/.test(ref)) return;
      if (joinRef === this.channel.joinRef()) this.since = ref;
    });
    this.socket.connect();
  }

  sayOn() {
    this.say();
    this.ticking = setInterval(() => this.say(), this.every);
  }

  // One at a time, and only who is connected: what a push that waits for a
  // connection is worth is another test's matter.
  say() {
    if (!this.connected || this.speaking) return;
    const uid = `${this.name}-${this.said.length}`;
    const said = [uid, "open"];
    this.said.push(said);
    this.speaking = true;
    const push = this.channel.push("note", { uid });
    for (const status of ["ok", "error", "timeout"]) {
      push.receive(status, () => {
        said[1] = status;
        this.speaking = false;
      });
    }
  }

  get connected() {
    if (!this.channel) return false;
    return this.kind === "ours"
      ? this.channel.state === "joined"
      : this.channel.state === "joined" && this.socket.isConnected();
  }

  // One of ours is to be connected; a stock client may have been refused.
  behind(last) {
    if (this.kind === "stock" && !this.connected) return false;
    return !this.connected || !(this.got.at(-1) >= last);
  }

  report() {
    const { name, kind, topic, first, got, gotAt, gaps, joins, connected, said } = this;
    return { name, kind, topic, first, got, gotAt, gaps, joins, connected, said };
  }
}

let clients = [];

process.on("message", ({ endpoint, clients: wanted, quiet, report }) => {
  if (wanted) clients = wanted.map((client) => new Client(client, endpoint));
  if (quiet) {
    for (const { ticking } of clients) clearTimeout(ticking); // of either kind
    const look = () => {
      const behind = clients.filter((client) => client.behind(quiet[client.topic]));
      process.send({ behind: behind.map(({ name }) => name) });
      if (behind.length > 0) setTimeout(look, 1000);
    };
    look();
  }
  if (report) {
    const { user, system } = process.cpuUsage();
    const message = { clients: clients.map((client) => client.report()), cpu: (user + system) / 1000 };
    process.send(message, () => process.exit(0));
  }
});
process.on("disconnect", () => process.exit(0));

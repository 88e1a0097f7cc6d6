// trace.js - what clients saw, in the form that tests/model/checker.py reads
//
// Clients write down what happens to them, as it happens; the rows come from
// the journal afterwards and are put in front, as if all had been committed
// before the first was delivered. That loosens nothing: the checker compares
// places in the order, not times.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { answer, hear } from "./phoenix.js";
import { within } from "./wait.js";

const CHECKER = fileURLToPath(new URL("../../model/checker.py", import.meta.url));

export const parseCursor = (cursor) => {
  const [, epoch, id] = /^j:([\w-]{11})\.(\d+)$/.exec(cursor) ?? [];
  if (!epoch) throw new Error(`no cursor: ${JSON.stringify(cursor)}`);
  return { epoch, id: Number(id) };
};

export class Trace {
  constructor() {
    this.clients = {};
    this.events = [];
    this.epoch = null;
  }

  add(ev, fields) {
    this.events.push({ ev, ...fields });
  }

  // A stock client that resumes with `since` (kind b of the model) joins.
  follow(name, socket, topic) {
    this.clients[name] = "b";
    let sess = 0;
    let since = "";
    let asked = "";
    const channel = socket.channel(topic, () => ({ since: (asked = since) }));
    const heard = hear(channel, "note");
    const me = { client: name, topic };
    channel.on("note", ({ uid }, ref) => {
      const { epoch, id } = parseCursor(ref);
      this.add("deliver", { ...me, sess, id, uid, epoch });
    });
    socket.onMessage(({ topic: where, event, ref, join_ref: joinRef }) => {
      if (
        where !== topic ||
        event !== "note" ||
        (joinRef !== null && joinRef !== channel.joinRef())
      )
        return;
      this.add("recv", { ...me, sess, what: "row", id: parseCursor(ref).id, jr: joinRef });
      since = ref;
    });
    const joining = channel.join();
    joining.receive("ok", ({ cursor, gap }) => {
      const { epoch, id } = parseCursor(cursor);
      this.epoch ??= epoch;
      this.add("joined", {
        ...me,
        sess: ++sess,
        cursor: id,
        gap: Boolean(gap),
        since: asked,
        epoch,
      });
      since = cursor;
    });
    return { channel, heard, joined: answer(joining), joins: () => sess };
  }

  // Who published was answered: this uid has this id.
  acked(rows) {
    for (const { uid, id } of rows) this.add("acked", { uid, cursor: id });
  }

  // The whole trace: what the journal holds, what was seen, the end.
  async lines(server, topic) {
    const rows = await server.sql(
      `SELECT id, json_extract(payload, '$.uid') AS uid FROM messages
       WHERE topic = '${topic}' AND event = 'note' ORDER BY id`,
    );
    const all = [{ ev: "begin", clients: this.clients }];
    for (const { id, uid } of rows) {
      all.push({
        ev: "commit",
        id,
        topic,
        uid,
        pub: uid.split("-")[0],
        key: null,
        epoch: this.epoch,
      });
    }
    all.push(...this.events, { ev: "calm" });
    for (const client of Object.keys(this.clients)) {
      all.push({ ev: "end", client, topic, state: "joined", pushes: 0 });
    }
    return all.map((event, at) => ({ ...event, at }));
  }
}

// What the checker says about a trace: a line for each broken promise.
export async function check(trace) {
  const child = spawn("python3", [CHECKER], { stdio: ["pipe", "pipe", "inherit"] });
  let out = "";
  child.stdout.on("data", (part) => (out += part));
  const ended = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  child.stdin.end(trace.map((event) => JSON.stringify(event)).join("\n"));
  const code = await within(20000, "the checker is done", ended);
  const found = out.split("\n").filter(Boolean);
  if (code !== 0 && found.length === 0) throw new Error(`checker.py failed with exit code ${code}`);
  return found;
}

// A chat as one writes it for phoenix.js.
import { Channel, LongPoll, Presence, Push, Socket } from "phoenix";

interface Line {
  name: string;
  text: string;
}

class Chat {
  private readonly socket: Socket;
  private readonly channel: Channel;
  private readonly presence: Presence;
  private readonly refs: string[] = [];
  private since = "";
  lines: Line[] = [];
  there: string[] = [];

  constructor(room: string, name: string, byPoll = false) {
    this.socket = new Socket("/socket", {
      params: () => ({ client: "chat" }),
      ...(byPoll ? { transport: LongPoll } : {}),
      longPollFallbackMs: 2500,
      authToken: "abc",
      timeout: 5000,
      heartbeatIntervalMs: 20000,
      reconnectAfterMs: (tries) => [10, 50, 100][tries - 1] ?? 1000,
      rejoinAfterMs: (tries: number) => 1000 * tries,
      logger: (kind, message, data) => console.log(kind, message, data),
    });
    this.refs.push(
      this.socket.onOpen(() => this.show("here")),
      this.socket.onClose(() => this.show("away")),
      this.socket.onError((error) => console.log(error)),
      this.socket.onMessage((message) => console.log(message)),
    );
    this.socket.connect();

    this.channel = this.socket.channel(`room:${room}`, { name });
    this.channel.on("line", (line: Line) => void this.lines.push(line));
    this.channel.onMessage = (_event, payload, _ref) => payload;
    this.channel.onClose(() => this.show("left"));
    this.channel.onError((reason) => this.show(String(reason)));
    const typing = this.channel.on("typing", (payload) => this.show(payload.name));
    this.channel.off("typing", typing);

    this.presence = new Presence(this.channel);
    this.presence.onJoin((id, current, newPresence) => console.log(id, current, newPresence.metas));
    this.presence.onLeave((id, current) => console.log(id, current.metas.length));
    this.presence.onSync(() => {
      this.there = this.presence.list((id, { metas }) => `${id}: ${metas.length}`);
    });

    this.channel
      .join()
      .receive("ok", ({ cursor }) => (this.since = cursor))
      .receive("error", ({ reason }) => this.show(reason))
      .receive("timeout", () => this.show("no answer"));
  }

  say(line: Line): Push {
    return this.channel.push("line", line, 10000).receive("ok", () => this.show("kept"));
  }

  async latency(): Promise<number> {
    return new Promise((resolve) => {
      if (!this.socket.ping((ms) => resolve(ms))) resolve(NaN);
    });
  }

  leave(): void {
    this.channel.leave().receive("ok", () => this.socket.disconnect(() => this.show("bye")));
  }

  show(text: string): void {
    const state: "connecting" | "open" | "closing" | "closed" = this.socket.connectionState();
    console.log(text, state, this.socket.isConnected(), this.channel.state, this.channel.topic, this.since);
  }
}

new Chat("1", "ann").say({ name: "ann", text: "hello" });
const merged = Presence.syncDiff({}, { joins: {}, leaves: {} });
const all: string[] = Presence.list(Presence.syncState({}, merged), (id) => id);
console.log(all);

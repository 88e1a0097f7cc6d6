// Made of holdfast.js by build.mjs; do not edit.
/**
 * Types of holdfast.js: channels over WebSocket or long-poll, whichever works.
 * The guide and the reference are docs/CLIENT.md.
 */

// --- what comes and goes -------------------------------------------------

/**
 * The events of a channel and what they carry:
 *
 *     type Room = { say: { text: string }; typing: { name: string } };
 *     const room = socket.channel<Room>("room:1");
 *     room.on("say", ({ text }) => show(text));
 *
 * Without it events have any name and carry anything.
 */
export type Events = Record<string, any>;

/** A value, or a function that gives it anew for every use. */
export type Given<T> = T | (() => T);

/** A frame, as `socket.onMessage` hears it. */
export interface Message {
  /** Which join of the channel it belongs to. */
  join_ref: string | null;
  /** Of a push and its answer; of a message of the journal its cursor. */
  ref: string | null;
  topic: string;
  event: string;
  payload: any;
}

/** Why something changed. A number keeps its meaning for ever. */
export interface Reason {
  readonly number: number;
  readonly text: string;
}

export type ReasonName =
  | "connect"
  | "useful"
  | "disconnect"
  | "replaced"
  | "refused"
  | "unproven"
  | "dropped"
  | "mute"
  | "unreachable"
  | "gone"
  | "fault"
  | "forbidden"
  | "unsent"
  | "retry"
  | "restart"
  | "join"
  | "joined"
  | "rejoin"
  | "joinRefused"
  | "joinLate"
  | "lost"
  | "failed"
  | "ended"
  | "leave"
  | "left"
  | "works"
  | "late"
  | "unfit"
  | "unheard"
  | "woke"
  | "offline"
  | "hidden"
  | "noToken";

/** Every reason by its name; docs/CLIENT.md has them in a table. */
export const REASONS: Readonly<Record<ReasonName, Reason>>;

export type TransportName = "websocket" | "longpoll";

/** A socket is "waiting" while a timer runs until the next try. */
export type SocketState = "closed" | "connecting" | "open" | "waiting";

/** "errored": not joined, and wants to be; it joins again by itself. */
export type ChannelState = "closed" | "joining" | "joined" | "errored" | "leaving";

// --- the socket ----------------------------------------------------------

/** All of it may be left out. */
export interface Options {
  /** Sent with every connection, in the URL: no secrets. */
  params?: Given<object>;
  /** Who visits: a token, or a function that gives one or a promise of one. */
  authToken?: Given<string | null | undefined> | (() => Promise<string | null | undefined>);
  /** ms that a join or push waits for its answer; 10000. */
  timeout?: number;
  /** ms between two heartbeats; 30000. */
  heartbeatIntervalMs?: number;
  /** ms that a WebSocket has to become useful; 2500. */
  longPollFallbackMs?: number;
  /** Only this one; else what works. */
  transport?: TransportName;
  /** ms to wait before the n-th try to connect. */
  reconnectAfterMs?: (tries: number) => number;
  /** ms to wait before the n-th try to join. */
  rejoinAfterMs?: (tries: number) => number;
  /** Called with all that happens; `kind` is "transport", "channel", "push" or "receive". */
  logger?: (kind: string, text: string, data: any) => void;
  /** Let the inspector watch; else as localStorage["holdfast.inspect"] says. */
  inspect?: boolean;
  /** In place of the platform's, for tests and odd platforms. */
  fetch?: typeof fetch;
  /** In place of the platform's; undefined where there is none. */
  WebSocket?: (new (url: string, protocols?: string[]) => any) | undefined;
  /** In place of the platform's. */
  clock?: Partial<Clock>;
  /** What has the events, the document and the navigator of a page. */
  page?: object;
}

export interface Clock {
  setTimeout(callback: () => void, ms: number): any;
  clearTimeout(timer: any): void;
  /** ms since some moment; never steps back. */
  now(): number;
  /** ms since 1970; anybody may set it. */
  wall(): number;
  /** From 0 to below 1. */
  random(): number;
}

/** One connection of a page to a server, over whichever transport works. */
export class Socket {
  /**
   * @param endPoint such as "/socket" or "wss://host/socket"; without the
   *   name of a transport, which is added
   */
  constructor(endPoint: string, options?: Options);

  readonly endPoint: string;
  readonly state: SocketState;
  /** null while there is no connection. */
  readonly transportName: TransportName | null;
  /** Those that were made and not left. */
  readonly channels: Channel[];
  /** Of joins and pushes that name none, ms. */
  timeout: number;
  logger: Options["logger"] | null;

  /** Connect, and stay connected; while it waits, try at once. */
  connect(): void;
  /** End the connection; channels join again after the next connect(). */
  disconnect(callback?: () => void): void;
  /** Use this transport from now on; without a name: what works. */
  replaceTransport(name?: TransportName): void;

  /** A channel of this topic; `params` go with each join. */
  channel<E extends Events = Events>(topic: string, params?: Given<object>): Channel<E>;

  /** Has the server answered over the connection there is? */
  isConnected(): boolean;
  /** As phoenix.js has it: "closed" while it waits. */
  connectionState(): "closed" | "connecting" | "open";
  endPointURL(transport?: TransportName): string;

  onOpen(callback: () => void): number;
  /** A connection that was open is no more. */
  onClose(callback: (reason: Reason) => void): number;
  /** An attempt failed or a connection was lost. */
  onError(callback: (reason: Reason, transport: TransportName | null) => void): number;
  /** Every frame, after the channels have seen it. */
  onMessage(callback: (message: Message) => void): number;
  /** Whatever changed, and why. */
  onChange(
    callback: (state: SocketState, reason: Reason, transport: TransportName | null) => void,
  ): number;
  /** Take callbacks off. */
  off(refs: number[]): void;

  /** A ref that was never used on this socket. */
  makeRef(): string;
  log(kind: string, text: string, data?: any): void;
}

// --- the channel ---------------------------------------------------------

/** One topic that a page listens to and speaks on; made by socket.channel(). */
export class Channel<E extends Events = Events> {
  private constructor();

  readonly topic: string;
  readonly state: ChannelState;
  /** Where the topic has been read to; null before a join. */
  readonly cursor: string | null;
  /** Of joins and pushes that name none, ms. */
  timeout: number;

  /** Join, and join again whenever the connection was lost, until leave(). */
  join(timeout?: number): Push;
  /** Publish; kept until the join is accepted. */
  push<K extends keyof E & string>(event: K, payload?: E[K], timeout?: number): Push;
  /** Leave for good. */
  leave(timeout?: number): Push;

  /** Call back with each message of this event; returns a number for off(). */
  on<K extends keyof E & string>(
    event: K,
    callback: (payload: E[K], ref: string | null, joinRef: string | null) => void,
  ): number;
  /** Take this callback off; without a ref all of the event. */
  off(event: keyof E & string, ref?: number): void;
  /** It was left, or the server closed it. */
  onClose(callback: (reason: any) => void): number;
  /** The connection was lost, or the server reported an error; it joins again. */
  onError(callback: (reason: any) => void): number;
  /** What lies between is no longer in the journal: load afresh. */
  onGap(callback: (answer: { gap: "trimmed" | "reset"; cursor: string }) => void): number;
}

/** One message on its way to the server, and who waits for its answer. */
export class Push {
  private constructor();

  readonly event: string;
  /**
   * Call back when the answer is "ok", "error", what your application replies,
   * or "timeout": it may or may not have had effect.
   */
  receive<R = any>(status: string, callback: (response: R) => void): this;
}

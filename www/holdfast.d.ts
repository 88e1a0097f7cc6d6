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

/** A frame, as `socket.onMessage` hears it. Bytes are an ArrayBuffer. */
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
  | "loss"
  | "leads"
  | "follows"
  | "apart"
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
  /**
   * Only this one; else what works. Of phoenix.js' classes WebSocket, or one
   * with its face, is the one to use, and LongPoll means long-poll only.
   */
  transport?: TransportName | (new (url: string, protocols?: string[]) => any);
  /** ms to wait before the n-th try to connect. */
  reconnectAfterMs?: (tries: number) => number;
  /** ms to wait before the n-th try to join. */
  rejoinAfterMs?: (tries: number) => number;
  /** Called with all that happens; `kind` is "transport", "channel", "push" or "receive". */
  logger?: (kind: string, text: string, data: any) => void;
  /** Log to the console. */
  debug?: boolean;
  /** false: a connection of its own for this tab. */
  tabs?: boolean;
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
  /** What the options said, each to be changed at any time. */
  params: () => object;
  readonly authToken: (() => string | Promise<string>) | undefined;
  timeout: number;
  heartbeatIntervalMs: number;
  longPollFallbackMs: number;
  readonly transport: TransportName | undefined;
  reconnectAfterMs: (tries: number) => number;
  rejoinAfterMs: (tries: number) => number;
  logger: Options["logger"] | null;

  /** Connect, and stay connected; while it waits, try at once. */
  connect(params?: Given<object>): void;
  /** End the connection; channels join again after the next connect(). */
  disconnect(callback?: () => void, code?: number, reason?: string): void;
  /** Use this transport from now on; without a name, or with a class: what works. */
  replaceTransport(name?: Options["transport"]): void;

  /** Take a channel off the list; leave() does so. */
  remove(channel: Channel): void;
  /** A channel of this topic; `params` go with each join. */
  channel<E extends Events = Events>(topic: string, params?: Given<object>): Channel<E>;

  /** Has the server answered over the connection there is? */
  isConnected(): boolean;
  /** As phoenix.js has it: "closed" while it waits. */
  connectionState(): "closed" | "connecting" | "open";
  endPointURL(transport?: TransportName): string;
  /** "ws" or "wss" */
  protocol(): string;
  /** How many ms there and back? false: there is no connection. */
  ping(callback: (ms: number) => void): boolean;
  /** Send a message as it is, now or with the next connection. */
  push(message: { topic: string; event: string; payload: any; ref?: string; join_ref?: string }): void;
  /** Forget a channel; leave() does it. */
  remove(channel: Channel<any>): void;
  hasLogger(): boolean;

  onOpen(callback: () => void): string;
  /** A connection that was open is no more. */
  onClose(callback: (reason: Reason) => void): string;
  /** An attempt failed or a connection was lost. */
  onError(callback: (reason: Reason, transport: TransportName | null) => void): string;
  /** Every frame, after the channels have seen it. */
  onMessage(callback: (message: Message) => void): string;
  /** Whatever changed, and why. */
  onChange(
    callback: (state: SocketState, reason: Reason, transport: TransportName | null) => void,
  ): string;
  /** Take callbacks off. */
  off(refs: string[]): void;

  getLongPollTransport(): "longpoll";
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
  readonly socket: Socket;
  readonly params: () => object;
  /** What join() returned. */
  readonly joinPush: Push | null;

  /** Join, and join again whenever the connection was lost, until leave(). */
  join(timeout?: number): Push;
  /**
   * Publish, once and after what was pushed before: what is not answered is said
   * again over every new connection, until `timeout` (nine minutes at most).
   */
  push<K extends keyof E & string>(
    event: K,
    payload?: E[K] | ArrayBuffer,
    timeout?: number,
    options?: PushOptions,
  ): Push;
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
  /** To be replaced: sees every payload before the callbacks do, and returns it. */
  onMessage(event: string, payload: any, ref: string | null, joinRef: string | null): any;

  /** Is the server there to take a push at once? */
  canPush(): boolean;
  isClosed(): boolean;
  isErrored(): boolean;
  isJoined(): boolean;
  isJoining(): boolean;
  isLeaving(): boolean;
  /** Of the join whose messages are heard. */
  joinRef(): string | null;
  /** Join again now; a channel that is joined stays so meanwhile. */
  rejoin(): void;
}

export interface PushOptions {
  /**
   * By which the server knows the push again. A random one; or one of your own,
   * of 22 characters at least that nobody can guess; or false: it is never said again.
   */
  key?: string | false;
}

/** One message on its way to the server, and who waits for its answer. */
export class Push {
  private constructor();

  readonly channel: Channel<any>;
  readonly event: string;
  readonly payload: any;
  readonly timeout: number;
  /** null until it was sent */
  readonly ref: string | null;
  /**
   * Call back when the answer is "ok", "error", what your application replies,
   * or "timeout": it may or may not have had effect.
   */
  receive<R = any>(status: string, callback: (response: R) => void): this;
}

// --- presence ------------------------------------------------------------

export type PresenceMeta = { phx_ref: string; phx_ref_prev?: string } & Record<string, any>;
export type PresenceEntry = { metas: PresenceMeta[] } & Record<string, any>;
export type PresenceState = Record<string, PresenceEntry>;
export interface PresenceDiff {
  joins: PresenceState;
  leaves: PresenceState;
}
/** `before` is undefined for a new key. */
export type PresenceJoin = (
  key: string,
  before: PresenceEntry | undefined,
  joined: PresenceEntry,
) => void;
/** `rest`: what is left over, no metas where somebody is gone. */
export type PresenceLeave = (key: string, rest: PresenceEntry, left: PresenceEntry) => void;

/** Who is present on the topic of a channel. */
export class Presence {
  constructor(channel: Channel<any>, options?: { events?: { state: string; diff: string } });

  readonly channel: Channel<any>;
  readonly state: PresenceState;
  onJoin(callback: PresenceJoin): void;
  onLeave(callback: PresenceLeave): void;
  /** What is shown can be shown anew. */
  onSync(callback: () => void): void;
  list(): PresenceEntry[];
  list<T>(chooser: (key: string, entry: PresenceEntry) => T): T[];
  inPendingSyncState(): boolean;

  static syncState(
    current: PresenceState,
    next: PresenceState,
    onJoin?: PresenceJoin,
    onLeave?: PresenceLeave,
  ): PresenceState;
  static syncDiff(
    state: PresenceState,
    diff: PresenceDiff,
    onJoin?: PresenceJoin,
    onLeave?: PresenceLeave,
  ): PresenceState;
  static list<T = PresenceEntry>(
    presences: PresenceState,
    chooser?: (key: string, entry: PresenceEntry) => T,
  ): T[];
}

// --- for those who come from phoenix.js ------------------------------------

/** Where phoenix.js has a class: `transport: LongPoll`. */
export const LongPoll: "longpoll";

export const Serializer: {
  encode<T>(message: Message, callback: (data: string) => T): T;
  decode<T>(data: string | ArrayBuffer, callback: (message: Message | null) => T): T;
};

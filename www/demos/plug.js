/**
 * plug.js - options for a Socket whose two plugs can be pulled
 *
 *     import { Socket } from "../../holdfast.js";
 *     import { options, pull } from "../plug.js";
 *
 *     const socket = new Socket("/socket", options);
 *     pull("websocket", true); // as if somebody had stumbled over the cable
 *
 * A pulled plug cuts what is open without a goodbye, and whatever was on its
 * way in either direction with it; nothing new gets through until it is back.
 * `?pull=websocket` begins without it.
 */
const pulled = new Set(new URLSearchParams(location.search).getAll("pull"));
const sockets = new Set();
let cable = new AbortController(); // of the requests under way

class PluggedSocket extends WebSocket {
  constructor(...args) {
    if (pulled.has("websocket")) throw new Error("the plug is pulled");
    super(...args);
    sockets.add(this);
    this.addEventListener("close", () => sockets.delete(this));
  }

  /** Nothing is heard of it any more but that it is gone. */
  cut() {
    const { onclose } = this;
    this.onopen = this.onmessage = this.onclose = null;
    this.close();
    onclose?.call(this, new CloseEvent("close", { code: 1006 }));
  }
}

export const options = {
  inspect: true, // ../inspector/ may watch
  // the tabs of a site share one connection, and what they find out about the
  // network; but a plug here is this page's own: no tabs, no localStorage
  tabs: false,
  page: {
    document,
    navigator,
    addEventListener: (...args) => addEventListener(...args),
    removeEventListener: (...args) => removeEventListener(...args),
  },
  WebSocket: PluggedSocket,
  fetch: async (url, { signal, ...init } = {}) => {
    if (pulled.has("longpoll")) throw new TypeError("the plug is pulled");
    const signals = [cable.signal, signal].filter(Boolean);
    return fetch(url, { ...init, signal: AbortSignal.any(signals) });
  },
};

/** @param {"websocket"|"longpoll"} name */
export function isPulled(name) {
  return pulled.has(name);
}

/**
 * @param {"websocket"|"longpoll"} name
 * @param {boolean} out pulled, or back in
 */
export function pull(name, out) {
  if (!out) {
    pulled.delete(name);
    // browsers say so when a cable is back, and nobody waits for a timer then
    dispatchEvent(new Event("online"));
    return;
  }
  pulled.add(name);
  if (name === "websocket") return [...sockets].forEach((socket) => socket.cut());
  cable.abort();
  cable = new AbortController();
}

// client.js - what tests of www/holdfast.js in a World say again and again
//
// Sockets made here are closed after each test, and what a callback of the page
// threw without being expected fails it: take it out of `complaints`.
import { afterEach } from "node:test";
import assert from "node:assert/strict";
import { Socket } from "../../../www/holdfast.js";

export const TOPIC = "demo:lobby";
export const ENDPOINT = "http://host.example/socket";

export const complaints = []; // what callbacks threw
const sockets = [];
console.error = (error) => complaints.push(error.message);

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.disconnect();
  assert.deepEqual(complaints.splice(0), []);
});

export function connect(world, options = {}, Kind = Socket) {
  const socket = new Kind(ENDPOINT, { ...world.options, ...options });
  sockets.push(socket);
  socket.connect();
  return socket;
}

// A channel that notes what its application is told.
export function listen(socket, topic = TOPIC, params) {
  const channel = socket.channel(topic, params);
  const heard = { n: [], refs: [], joins: [], errors: [], closes: [], gaps: [] };
  channel.on("n", ({ n }, ref) => {
    heard.n.push(n);
    heard.refs.push(ref);
  });
  channel.onError((reason) => heard.errors.push(reason));
  channel.onClose((reason) => heard.closes.push(reason));
  channel.onGap((gap) => heard.gaps.push(gap));
  for (const status of ["ok", "error", "timeout"]) {
    if (status === "ok") heard.join = channel.join();
    heard.join.receive(status, (response) => heard.joins.push([status, response]));
  }
  return { channel, heard };
}

export function outcome(push) {
  const seen = [];
  for (const status of ["ok", "error", "timeout"]) {
    push.receive(status, (response) => seen.push([status, response]));
  }
  return seen;
}

export const publish = (world, ...numbers) => numbers.forEach((n) => world.publish(TOPIC, "n", { n }));
export const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

export function reasonsOf(socket) {
  const seen = [];
  socket.onChange((state, reason, transport) => seen.push([state, reason.number, transport]));
  return seen;
}

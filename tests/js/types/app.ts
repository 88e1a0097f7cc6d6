// What the types of holdfast.js know, and what they refuse.
import { REASONS, Socket } from "holdfast";
import type { Channel, Options, Push, Reason, TransportName } from "holdfast";

type Room = {
  say: { text: string };
  typing: { name: string };
};

const options: Options = { transport: "longpoll", params: () => ({ a: 1 }) };
const socket = new Socket("/socket", options);
socket.onChange((state, reason: Reason, transport: TransportName | null) => {
  if (state === "waiting" && reason === REASONS.restart) console.log(reason.number, transport);
});

const room: Channel<Room> = socket.channel<Room>("room:1");
room.on("say", ({ text }, ref) => console.log(text.length, ref?.length));
room.onGap(({ gap, cursor }) => console.log(gap === "trimmed", cursor.length));
const push: Push = room.push("say", { text: "hello" });
push.receive("ok", ({ cursor }: { cursor: string }) => console.log(cursor.length));
push.receive<{ reason: string }>("error", ({ reason }) => console.log(reason.length));
const cursor: string | null = room.cursor;
socket.replaceTransport();
socket.replaceTransport("websocket");

const any = socket.channel("room:2", { since: cursor });
any.on("whatever", (payload) => console.log(payload.of.any.kind));

// @ts-expect-error an event that the room does not have
room.on("shout", () => {});
// @ts-expect-error another payload
room.push("say", { txt: "hello" });
// @ts-expect-error there is no such member
room.on("say", ({ txt }) => console.log(txt));
// @ts-expect-error channels are made by a socket
new (Object.getPrototypeOf(room).constructor as typeof Channel)("room:3");
// @ts-expect-error no such transport
socket.replaceTransport("smoke");
// @ts-expect-error no such option
new Socket("/socket", { heartbeat: 5 });
// @ts-expect-error no such state
if (socket.state === "closing") socket.connect();
// @ts-expect-error reasons cannot be changed
REASONS.connect.number = 2;
// @ts-expect-error no such reason
console.log(REASONS.nothing);

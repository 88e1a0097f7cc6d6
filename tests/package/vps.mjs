// vps.mjs URL COUNT - the stock client, once by WebSocket and once by long-poll
//
// Both join room:1, by `since` as docs/PROTOCOL.md section 5 has it, and say so;
// then COUNT messages are to come to each, which are printed. The last word is
// "all"; anything else fails, after a minute and a half at the latest.
import { answer, connect, disconnectAll, hear, hears, transports, versions } from "../js/lib/phoenix.js";

const [url, count] = process.argv.slice(2);
const MS = 90_000;

async function follow(transport) {
  const endpoint = transport === "websocket" ? url.replace(/^http/, "ws") : url;
  const socket = connect(versions[0], transport, endpoint);
  let since = "";
  socket.onMessage(({ ref }) => {
    if (typeof ref === "string" && ref.startsWith("j:")) since = ref;
  });
  const channel = socket.channel("room:1", () => ({ since }));
  const heard = hear(channel, "message");
  const joining = channel.join();
  joining.receive("ok", (response) => (since = response.cursor));
  const { status } = await answer(joining, MS);
  if (status !== "ok") throw new Error(`${transport}: the join was answered "${status}"`);
  console.log(`${transport} joined`);
  await hears(heard, Number(count), MS).finally(() => {
    for (const [, payload] of heard) console.log(`${transport} said ${payload.text}`);
  });
}

await Promise.all(transports.map(follow));
await disconnectAll();
console.log("all");
process.exit(0);

// bench/tabs.mjs - what the tabs of one browser ask of the server
//
//     HOLDFAST_BIN=BUILD node bench/tabs.mjs [SECONDS]
//
// One or ten tabs of a real Chromium, each joined to one topic to which a message
// comes every 10 s, on either transport, sharing a connection or not: connections,
// HTTP requests and messages on WebSockets towards the server, each minute. The
// first 5 s, in which they connect, do not count. Ten polls at once are more than a
// browser opens to one host over HTTP/1.1 (six, pages included): so only five tabs
// poll for themselves.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { launch } from "../tests/js/lib/browser.js";
import { Server, sleep, until } from "../tests/js/lib/server.js";

const SECONDS = Number(process.argv[2] ?? 60);
const PAGE = `<!doctype html><title>a tab</title><script type="module">
  import { Socket } from "/www/holdfast.js";
  const { transport, tabs } = Object.fromEntries(new URLSearchParams(location.search));
  const socket = new Socket("/socket", { transport, tabs: tabs === "true" });
  window.channel = socket.channel("room:tabs");
  window.heard = 0;
  channel.on("n", () => heard++);
  channel.join();
  socket.connect();
</script>`;

const server = await Server.start({ pages: true });
writeFileSync(join(server.top, "tab.html"), PAGE);
const browser = await launch();

async function measure(transport, count, shared) {
  const seen = { requests: 0, frames: 0, sockets: 0, heard: 0 };
  const context = await browser.newContext(); // a browser of its own: storage, locks
  const tabs = [];
  for (let i = 0; i < count; i++) {
    const tab = await context.newPage();
    tab.on("request", (request) => (seen.requests += request.url().includes("/socket/")));
    tab.on("websocket", (ws) => {
      seen.sockets++;
      ws.on("close", () => seen.sockets--);
      ws.on("framesent", () => seen.frames++);
    });
    await tab.goto(`http://127.0.0.1:${server.port}/tab.html?transport=${transport}&tabs=${shared}`);
    await until(20000, "it is joined", () => tab.evaluate(() => channel.isJoined()));
    tabs.push(tab);
  }
  await sleep(5000);
  seen.requests = seen.frames = 0;
  await sleep(SECONDS * 1000);
  const { requests, frames, sockets } = seen;
  const heard = await Promise.all(tabs.map((tab) => tab.evaluate(() => heard)));
  await context.close();
  const minute = (n) => ((n * 60) / SECONDS).toFixed(0);
  const fewest = Math.min(...heard);
  return `| ${transport} | ${count} | ${shared ? "yes" : "no"} | ${sockets} | ${minute(requests)} | ${minute(frames)} | ${fewest} |`;
}

let ended = false;
const stream = (async () => {
  for (let n = 1; !ended; n++) {
    await server.publish("room:tabs", "n", { n });
    for (let i = 0; i < 100 && !ended; i++) await sleep(100);
  }
})();
console.log("| transport | tabs | share | WebSockets | requests | messages up | heard by each, at least |");
console.log("|---|---|---|---|---|---|---|");
const kinds = ["websocket", "longpoll"].flatMap((transport) =>
  [[1, true], [10, true], [transport === "longpoll" ? 5 : 10, false]].map(([count, shared]) => [transport, count, shared]));
for (const line of await Promise.all(kinds.map((kind) => measure(...kind)))) console.log(line);
ended = true;
await stream;
await browser.close();
await server.stop();

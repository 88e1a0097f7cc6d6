// restart.mjs - the gateway is replaced while a thousand polls are held
//
//     HOLDFAST_BIN=build node bench/restart.mjs [SUBSCRIBERS [TIMES]]
//                                               default: 1000 5
//
// Through lighttpd; the sqlite3 shell publishes a row every 10 ms all the time.
// TIMES gateways are ended by SIGTERM and TIMES by SIGKILL, each as soon as at
// least nine polls in ten are held, and the next one is started at once. A client
// whose poll was answered by an error page asks again with the same token after
// up to half a second. Everybody must get every number once and in order.
import { end, Host, OurSubscriber, some } from "./pollers.mjs";
import { sleep, until } from "../tests/js/lib/wait.js";

const [SUBSCRIBERS = 1000, TIMES = 5] = process.argv.slice(2).map(Number);
const EVERY_MS = 10;

class Patient extends OurSubscriber {
  pages = 0; // answered by lighttpd itself
  held = false;

  async follow(through) {
    while (this.got < through()) {
      this.held = true;
      try {
        await this.poll();
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error; // a page is not JSON
        this.pages++;
        await sleep(500 * Math.random());
      } finally {
        this.held = false;
      }
    }
  }
}

try {
  const host = await Host.start(SUBSCRIBERS);
  const subscribers = await some(SUBSCRIBERS, async () => {
    const subscriber = new Patient(host.port);
    await subscriber.open();
    return subscriber;
  });
  let [n, going, last] = [0, true, Infinity];
  const through = () => last;
  const all = Promise.all(subscribers.map((subscriber) => subscriber.follow(through)));
  const publishing = (async () => {
    while (going) {
      host.publish(++n);
      await sleep(EVERY_MS);
    }
    last = ++n; // which answers those who are held
    host.publish(n);
  })();
  const sum = (name) => subscribers.reduce((total, one) => total + one[name], 0);

  console.log(`${SUBSCRIBERS} subscribers, a row every ${EVERY_MS} ms`);
  for (const signal of ["SIGTERM", "SIGKILL"]) {
    const pages = sum("pages");
    for (let i = 0; i < TIMES; i++) {
      await sleep(1000);
      await until(30000, "nine in ten are held", () => subscribers.filter(({ held }) => held).length >= 0.9 * SUBSCRIBERS);
      const old = host.gateway;
      const ended = new Promise((done) => old.on("exit", done));
      old.kill(signal);
      await ended;
      host.startGateway();
    }
    await sleep(1000);
    console.log(`  ${TIMES} x ${signal}: ${sum("pages") - pages} polls answered by a page of lighttpd`);
  }
  going = false;
  await publishing;
  await all;
  const missing = subscribers.filter(({ got }) => got !== n).length;
  console.log(`  ${n} rows to each: ${sum("wrong")} lost, doubled or out of order; ${missing} subscribers without the last; ${(sum("got") / sum("polls")).toFixed(1)} rows a poll`);
} finally {
  end();
}
process.exit(0);

// fanout.mjs - one message to a thousand held polls, beside nchan's long-poll
//
//     HOLDFAST_BIN=build node bench/fanout.mjs [SUBSCRIBERS [MESSAGES]]
//                                              default: 1000 100
//
// The same clients, on kept connections, poll one topic through lighttpd and the
// gateway, then one channel of nchan (nginx with one worker, Debian's
// libnginx-mod-nchan). "singly": the next message is published when everybody
// has the former one and is held again, so each delivery costs a poll. "every N
// ms": as a busy room does; who asks again meets what came meanwhile. Each
// client sees to it that it gets every number once and in order. What counts is
// the time on a processor of all that serves: lighttpd and gateway with its
// writer and watcher, or nginx; ours are published by the sqlite3 shell, whose
// time does not count, nchan's by a POST, whose share is a thousandth.
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { accepts, Connection, cpu, end, freePort, Host, some, start, Subscriber, top } from "./pollers.mjs";
import { sleep, until } from "../tests/js/lib/wait.js";

const [SUBSCRIBERS = 1000, MESSAGES = 100] = process.argv.slice(2).map(Number);
const PACES = [null, 50, 5]; // ms between messages; null: singly

async function ours() {
  const host = await Host.start(SUBSCRIBERS);
  return {
    name: "lighttpd + gateway",
    subscriber: () => host.subscriber(),
    publish: (n) => host.publish(n),
    used: () => ({ lighttpd: cpu(host.lighttpd.pid), gateway: cpu(host.gateway.pid) }),
  };
}

class NchanSubscriber extends Subscriber {
  since = "";

  async poll() {
    this.polls++;
    const { head, body } = await this.connection.ask(`GET /sub HTTP/1.1${this.since}`);
    if (!head.startsWith("HTTP/1.1 200")) throw new Error(head);
    const [modified, tag] = [/last-modified: *([^\r]+)/i, /etag: *([^\r]+)/i].map((field) => field.exec(head)[1]);
    this.since = `\r\nIf-Modified-Since: ${modified}\r\nIf-None-Match: ${tag}`;
    this.take(JSON.parse(body).n);
  }
}

async function nchan() {
  const port = await freePort();
  const conf = join(top, "nginx.conf");

  mkdirSync(join(top, "nginx"));
  writeFileSync(
    conf,
    `load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
daemon off; pid ${join(top, "nginx.pid")}; error_log ${join(top, "nginx.log")}; worker_processes 1;
worker_rlimit_nofile 16384;
events { worker_connections 8192; }
http {
  access_log off; keepalive_timeout 120; keepalive_requests 100000;
  ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${join(top, "nginx")};`).join(" ")}
  server {
    listen 127.0.0.1:${port};
    location = /sub { nchan_subscriber longpoll; nchan_channel_id fanout; nchan_subscriber_timeout 60s;
      nchan_subscriber_first_message newest; }
    location = /pub { nchan_publisher; nchan_channel_id fanout; nchan_message_buffer_length ${MESSAGES + 10}; nchan_message_timeout 10m; }
  }
}
`,
  );
  const nginx = start("nginx", ["-c", conf, "-e", join(top, "nginx.log")]);
  await until(10000, "nginx listens", () => accepts(port));
  const publisher = new Connection(port);
  return {
    name: "nginx with nchan",
    subscriber: async () => new NchanSubscriber(port),
    publish: (n) => publisher.ask("POST /pub HTTP/1.1\r\nContent-Type: application/json", JSON.stringify({ n })),
    used: () => ({ nginx: cpu(nginx.pid) }),
  };
}

async function measure(side, pace, from) {
  const { subscribers } = side;
  const through = from + MESSAGES;
  const [before, began] = [side.used(), performance.now()];
  const polls = subscribers.reduce((sum, { polls: n }) => sum + n, 0);

  if (pace === null) {
    for (let n = from + 1; n <= through; n++) {
      const all = Promise.all(subscribers.map((subscriber) => subscriber.follow(n)));
      await sleep(100); // everybody is held
      await side.publish(n);
      await all;
    }
  } else {
    const all = Promise.all(subscribers.map((subscriber) => subscriber.follow(through)));
    await sleep(100);
    for (let n = from + 1; n <= through; n++) {
      side.publish(n);
      await sleep(pace);
    }
    await all;
  }
  await sleep(100);
  const used = Object.entries(side.used()).map(([name, ns]) => [name, (ns - before[name]) / 1e9]);
  const seconds = used.reduce((sum, [, s]) => sum + s, 0);
  const deliveries = subscribers.length * MESSAGES;
  const wrong = subscribers.reduce((sum, subscriber) => sum + subscriber.wrong, 0);
  console.log(
    `${side.name.padEnd(18)} ${(pace === null ? "singly" : `every ${pace} ms`).padEnd(12)} ` +
      `${Math.round(deliveries / seconds)} deliveries a CPU second ` +
      `(${used.map(([name, s]) => `${name} ${((s * 1e6) / deliveries).toFixed(1)}`).join(" + ")} us each); ` +
      `${(deliveries / (subscribers.reduce((sum, { polls: n }) => sum + n, 0) - polls)).toFixed(2)} a poll; ` +
      `${wrong} lost, doubled or out of order; ${((performance.now() - began) / 1000).toFixed(1)} s`,
  );
  return deliveries / seconds;
}

async function run(make) {
  const side = await make();
  side.subscribers = await some(SUBSCRIBERS, side.subscriber);
  const rates = [];
  for (const [i, pace] of PACES.entries()) rates.push(await measure(side, pace, i * MESSAGES));
  side.subscribers.forEach((subscriber) => subscriber.connection.end());
  return rates;
}

try {
  console.log(`${cpus()[0].model.trim()}, ${cpus().length} cores; ${SUBSCRIBERS} subscribers, ${MESSAGES} messages each way`);
  const [us, them] = [await run(ours), await run(nchan)];
  PACES.forEach((pace, i) => console.log(`times nchan, ${pace === null ? "singly" : `every ${pace} ms`}: ${(us[i] / them[i]).toFixed(2)}`));
} finally {
  end();
}
process.exit(0);

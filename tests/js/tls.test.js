// wss, spoken by the side-car itself: handshakes of both versions, requests and
// frames that come in odd pieces, certificates renewed while people are
// connected, and a real browser.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import tls from "node:tls";
import { chromium } from "playwright-core";
import WebSocket from "ws";
import { RawWs, frame, OP } from "./lib/rawws.js";
import { Sidecar } from "./lib/sidecar.js";
import { sleep, until, within } from "./lib/wait.js";

const HEARTBEAT = '[null,"h","phoenix","heartbeat",{}]';
const BEAT = [null, "h", "phoenix", "phx_reply", { status: "ok", response: {} }];
const REQUEST = [
  "GET /socket/websocket?vsn=2.0.0 HTTP/1.1",
  "Host: localhost",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "\r\n",
].join("\r\n");

async function beats(ws) {
  ws.text(HEARTBEAT);
  assert.deepEqual(await ws.json(5000, "the reply to a heartbeat"), BEAT);
}

const collect = (socket) => {
  const got = { text: "", ended: false };
  socket.on("data", (data) => (got.text += data.toString("latin1")));
  socket.on("error", () => (got.ended = true));
  socket.on("close", () => (got.ended = true));
  return got;
};

// What openssl s_client says; the client ends at once.
const sClient = (sidecar, ...args) =>
  new Promise((done) => {
    const child = execFile(
      "openssl",
      ["s_client", "-connect", `127.0.0.1:${sidecar.tlsPort}`, ...args],
      { timeout: 10000 },
      (error, stdout, stderr) => done({ code: error?.code ?? 0, text: stdout + stderr }),
    );
    child.stdin.end();
  });

describe("wss", () => {
  let sidecar;
  before(async () => {
    sidecar = await Sidecar.start({
      secure: true,
      conf: { sidecar: { handshake: "1s" } },
      allow: [["room:*", "join,publish"]],
    });
  });
  after(() => sidecar?.stop());

  it("serves channels", async () => {
    const a = await sidecar.joined("room:a");
    const b = await sidecar.joined("room:a");
    b.text(JSON.stringify(["1", "2", "room:a", "say", { text: "secret" }]));
    const news = [await a.json(), await b.json(), await b.json()];
    assert.ok(news.some((frame) => frame[3] === "say" && frame[4].text === "secret"));
    a.destroy();
    b.destroy();
  });

  it("is spoken in TLS 1.2 and 1.3, and in nothing older", async () => {
    for (const [option, protocol] of [
      ["-tls1_2", "TLSv1.2"],
      ["-tls1_3", "TLSv1.3"],
    ]) {
      const { text } = await sClient(sidecar, option);
      assert.match(text, new RegExp(`New, ${protocol}|Protocol *: ${protocol}`));
      assert.match(text, /Secure Renegotiation IS|TLSv1.3/);
    }
    for (const option of ["-tls1", "-tls1_1"]) {
      const { text } = await sClient(sidecar, option, "-cipher", "ALL:@SECLEVEL=0");
      assert.match(text, /alert|no protocols available|unsupported protocol/, text);
      assert.doesNotMatch(text, /Cipher is [A-Z0-9]+-/);
    }
  });

  it("offers http/1.1 by ALPN, and refuses who wants only something else", async () => {
    assert.match((await sClient(sidecar, "-alpn", "h2,http/1.1")).text, /ALPN protocol: http\/1.1/);
    assert.match((await sClient(sidecar, "-alpn", "h2")).text, /alert no application protocol/);
    assert.match((await sClient(sidecar)).text, /No ALPN negotiated/);
  });

  it("sends no session tickets", async () => {
    const socket = sidecar.connect();
    let tickets = 0;
    socket.on("session", () => tickets++);
    const got = collect(socket);
    socket.write(REQUEST);
    await until(5000, "a 101", () => got.text.includes(" 101 "));
    assert.equal(tickets, 0);
    socket.destroy();
  });

  it("takes a request dribbled in small records, with frames in the last one", async () => {
    const socket = sidecar.connect();
    const got = collect(socket);
    const bytes = Buffer.concat([
      Buffer.from(REQUEST),
      frame(OP.text, HEARTBEAT),
      frame(OP.ping, "x"),
    ]);
    for (let at = 0; at < bytes.length; at += 7) {
      socket.write(bytes.subarray(at, at + 7));
      await sleep(1);
    }
    const answers = ["phx_reply", "\x8a\x01x"];
    await until(5000, "both answers", () => answers.every((one) => got.text.includes(one)));
    socket.destroy();
  });

  it("takes the first frame in the record of the request", async () => {
    const socket = sidecar.connect();
    const got = collect(socket);
    socket.write(Buffer.concat([Buffer.from(REQUEST), frame(OP.text, HEARTBEAT)]));
    await until(5000, "an answer", () => got.text.includes("phx_reply"));
    socket.destroy();
  });

  // More than libmicrohttpd has read, the pair of sockets holds, and one record
  // carries: what is left in each of them must come, and in order.
  for (const padding of [0, 400]) {
    it(`takes 600 frames of ${padding + 40} bytes behind the request, in order`, async () => {
      const count = 600;
      const socket = sidecar.connect();
      const got = collect(socket);
      const beat = (i) => frame(OP.text, `[null,"${i}","phoenix","heartbeat",{"x":"${"x".repeat(padding)}"}]`);
      const beats = Array.from({ length: count }, (_, i) => beat(i));
      socket.write(Buffer.concat([Buffer.from(REQUEST), ...beats]));
      await until(9000, "all answers", () => got.text.includes(`"${count - 1}"`));
      const refs = [...got.text.matchAll(/\[null,"(\d+)"/g)].map((m) => Number(m[1]));
      assert.deepEqual(
        refs,
        Array.from({ length: count }, (_, i) => i),
      );
      socket.destroy();
    });
  }

  it("takes frames one byte to a record", async () => {
    const ws = await sidecar.open();
    const bytes = Buffer.concat([frame(OP.text, HEARTBEAT), frame(OP.ping, "last")]);
    for (const byte of bytes) ws.write(Buffer.from([byte]));
    const got = [await ws.inbox.next(), await ws.inbox.next()];
    assert.deepEqual(got.map((one) => one.kind).sort(), ["pong", "text"]);
    ws.destroy();
  });

  it("carries messages larger than a record, both ways", async () => {
    const ws = await sidecar.joined("room:big");
    const text = "y".repeat(60000);
    ws.text(JSON.stringify(["1", "2", "room:big", "say", { text }]));
    const news = [await ws.json(), await ws.json()];
    assert.ok(news.some((frame) => frame[3] === "say" && frame[4].text === text));
    ws.destroy();
  });

  it("catches up a client that reads slowly", async () => {
    const ws = await sidecar.joined("room:slow");
    ws.socket.pause();
    const text = "z".repeat(20000);
    const other = await sidecar.joined("room:slow");
    for (let i = 0; i < 60; i++)
      other.text(JSON.stringify(["1", `${i}`, "room:slow", "say", { i, text }]));
    await until(9000, "all are journaled", async () => {
      const { stdout } = await sidecar.holdfast("history", "--last", "1", "room:slow");
      return stdout.includes('"i":59');
    }, 200);
    ws.socket.resume();
    for (let i = 0; i < 60; i++) assert.equal((await ws.json(9000, `message ${i}`))[4].i, i);
    ws.destroy();
    other.destroy();
  });

  it("answers what is no WebSocket, and closes", async () => {
    const socket = sidecar.connect();
    const got = collect(socket);
    socket.write("GET /index.html HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n");
    await until(5000, "the end", () => got.ended);
    assert.match(got.text, /^HTTP\/1.1 404 [\s\S]*there is nothing here/);
  });

  it("answers plain HTTP with a word on TLS", async () => {
    const socket = net.connect(sidecar.tlsPort, "127.0.0.1");
    const got = collect(socket);
    socket.write(REQUEST);
    await until(5000, "the end", () => got.ended);
    assert.match(got.text, /^HTTP\/1.1 400 [\s\S]*wss:\/\/\n$/);
  });

  it("cuts who does not get on with the handshake, whatever trickles in", async () => {
    const hello = await new Promise((done) => {
      const server = net.createServer((socket) => {
        socket.once("data", (data) => {
          socket.destroy();
          server.close();
          done(data);
        });
        socket.on("error", () => {});
      });
      server.listen(0, "127.0.0.1", () =>
        tls.connect({ port: server.address().port }).on("error", () => {}),
      );
    });
    const silent = net.connect(sidecar.tlsPort, "127.0.0.1");
    const dribbling = net.connect(sidecar.tlsPort, "127.0.0.1");
    const secured = sidecar.connect(); // and no request
    const all = [silent, dribbling, secured].map(collect);
    const began = performance.now();
    for (let at = 0; at < hello.length && !all[1].ended; at++) {
      dribbling.write(hello.subarray(at, at + 1));
      await sleep(50);
    }
    await until(9000, "all are cut", () => all.every((one) => one.ended));
    assert.ok(performance.now() - began < 6000);
  });

  // The library keeps a descriptor, and 22 KB, for each connection it is not told
  // to let go.
  it("has one descriptor for each client that stays, and nothing else of it", async () => {
    await sleep(1500); // what others left is cut
    const before = sidecar.descriptors();
    const clients = await Promise.all(Array.from({ length: 50 }, () => sidecar.open()));
    for (const ws of clients) await beats(ws);
    assert.equal(sidecar.descriptors(), before + clients.length);
    for (const ws of clients) ws.destroy();
    await until(5000, "as many descriptors as before", () => sidecar.descriptors() <= before);
  });

  it("leaves nothing behind, however clients go", async () => {
    await sleep(1500); // what others left is cut
    const before = sidecar.descriptors();
    for (let i = 0; i < 100; i++) {
      const socket = i % 6 === 5 ? net.connect(sidecar.tlsPort, "127.0.0.1") : sidecar.connect();
      const kind = i % 6;
      socket.on("error", () => {});
      if (kind === 0) socket.end();
      if (kind === 1) socket.end(REQUEST);
      if (kind === 2) socket.write(REQUEST.slice(0, 60), () => socket.destroy());
      if (kind === 3) socket.write(REQUEST, () => socket.destroy());
      if (kind === 4) socket.on("secureConnect", () => socket.destroy());
      if (kind === 5) socket.write("\x16\x03\x01\x02", () => socket.destroy());
    }
    await until(9000, "as many descriptors as before", () => sidecar.descriptors() <= before);
  });

  it("is what a browser speaks", async () => {
    const browser = await chromium.launch({
      executablePath: "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
    });
    try {
      const page = await browser.newPage({ ignoreHTTPSErrors: true });
      const origin = `https://127.0.0.1:${sidecar.tlsPort}`;
      assert.equal((await page.goto(`${origin}/`)).status(), 404); // a page of that origin
      const reply = await page.evaluate(
        (text) =>
          new Promise((done, fail) => {
            const ws = new WebSocket(`wss://${location.host}/socket/websocket?vsn=2.0.0`);
            ws.onopen = () => ws.send(text);
            ws.onmessage = (event) => done(event.data);
            ws.onclose = (event) => fail(new Error(`closed with ${event.code}`));
          }),
        HEARTBEAT,
      );
      assert.deepEqual(JSON.parse(reply), BEAT);
    } finally {
      await browser.close();
    }
  });

  it("is what the npm package ws speaks", async () => {
    const ws = new WebSocket(`wss://localhost:${sidecar.tlsPort}/socket/websocket?vsn=2.0.0`, {
      rejectUnauthorized: false,
      lookup: (name, options, found) => found(null, [{ address: "127.0.0.1", family: 4 }]),
    });
    await within(5000, "open", new Promise((done) => ws.once("open", done)));
    const reply = new Promise((done) => ws.once("message", done));
    ws.send(HEARTBEAT);
    assert.deepEqual(JSON.parse(await within(5000, "a reply", reply)), BEAT);
    const closed = new Promise((done) => ws.once("close", done));
    ws.close(1000);
    assert.equal(await within(5000, "a close", closed), 1000);
  });
});

describe("a certificate", () => {
  const nameOf = (socket) => socket.getPeerCertificate().subject.CN;

  it("is read anew at SIGHUP, and who is connected does not notice", async () => {
    const sidecar = await Sidecar.start({ secure: true });
    try {
      const ws = await sidecar.open();
      const first = nameOf(ws.socket);
      await sidecar.renew("renewed");
      sidecar.child.kill("SIGHUP");
      await until(5000, "it is read", () => sidecar.log.includes("event=certificate_renewed"));
      const later = await sidecar.open();
      assert.equal(nameOf(later.socket), "renewed");
      assert.notEqual(first, "renewed");
      await beats(ws);
      await beats(later);

      // half a file changes nothing
      writeFileSync(join(sidecar.dir, "cert.pem"), "-----BEGIN CERTIFICATE-----\nMIIB");
      sidecar.child.kill("SIGHUP");
      await until(5000, "it is refused", () => sidecar.log.includes("event=certificate_kept"));
      assert.match(sidecar.log, /event=certificate_kept .*reason="[^"]*cert\.pem/);
      const last = await sidecar.open();
      assert.equal(nameOf(last.socket), "renewed");
      for (const one of [ws, later, last]) {
        await beats(one);
        one.destroy();
      }
    } finally {
      await sidecar.stop();
    }
  });

  it("that cannot be used is told at the start, and before it", async () => {
    const sidecar = await Sidecar.start({ secure: true });
    await sidecar.stop({ keep: true });
    try {
      writeFileSync(join(sidecar.dir, "key.pem"), "no key");
      await assert.rejects(sidecar.up(), /private key [^ ]*key\.pem/);
      const { text } = await new Promise((done) =>
        execFile(
          join(process.env.HOLDFAST_BIN, "holdfast-sidecar"),
          ["--check-config", "--dir", sidecar.dir],
          (error, stdout, stderr) => done({ text: stdout + stderr }),
        ),
      );
      assert.match(text, /private key [^ ]*key\.pem/);
      await sidecar.renew();
      await sidecar.up();
    } finally {
      await sidecar.stop();
    }
  });

  it("is asked for where an address with TLS is named", async () => {
    await assert.rejects(
      Sidecar.start({ conf: { sidecar: { listen_tls: "127.0.0.1:0" } } }),
      /listen_tls needs certificate and private_key/,
    );
    await assert.rejects(
      Sidecar.start({ secure: true, conf: { sidecar: { listen_tls: "unix:x.sock" } } }),
      /a Unix socket does not speak TLS/,
    );
  });
});

describe("at the end", () => {
  it("clients on wss are told to come back", async () => {
    const sidecar = await Sidecar.start({ secure: true, conf: { sidecar: { drain: "0s" } } });
    const ws = await sidecar.open();
    await beats(ws);
    sidecar.child.kill("SIGTERM");
    const got = await ws.inbox.next(5000, "a goodbye");
    assert.equal(got.kind, "close");
    assert.equal(got.code, 1012);
    ws.sendClose(1012);
    ws.socket.end();
    await sidecar.stop();
  });
});

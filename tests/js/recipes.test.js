// The recipes of docs/SQL.md that a browser must notice: a page's first cursor
// serves the stock clients on both transports, and policies written by a script
// count at once. What the recipes do to the journal is tested in tests/sql.
import { after, afterEach, before, test } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { answer, connect, disconnectAll, hear, hears, transports, versions } from "./lib/phoenix.js";
import { Server, told, until } from "./lib/server.js";

const page = readFileSync(new URL("../../docs/SQL.md", import.meta.url), "utf8");
const commands = { php: "php", python: "python3", sh: "sh" };
let server;

before(async () => {
  server = await Server.start();
});
after(() => server?.stop());
afterEach(disconnectAll);

async function recipe(language, name) {
  const [, text] = page.split(`\n\`\`\`${language} ${name}\n`);
  assert.ok(text, `docs/SQL.md has ${language} ${name}`);
  const file = server.path(`${name}.${language}`);
  writeFileSync(
    file,
    text.slice(0, text.indexOf("\n```\n") + 1).replaceAll("/home/me/journal/journal.db", server.journal),
  );
  const { stdout } = await promisify(execFile)(commands[language], [file], { timeout: 20000 });
  return stdout.trim();
}

let topicNo = 0;
for (const language of ["php", "python"])
  for (const version of versions)
    for (const transport of transports)
      test(
        `a cursor by ${language} is where phoenix ${version} goes on by ${transport}`,
        told(
          () => server,
          async () => {
            const where = `room:page-${++topicNo}`;
            await server.publish(where, "note", { n: 1 });
            const since = await recipe(language, "cursor");
            assert.match(since, /^j:[\w-]{11}\.\d+$/);
            await server.publish(where, "note", { n: 2 });
            const socket = connect(version, transport, server.endpoint);
            const channel = socket.channel(where, { since });
            const heard = hear(channel, "note");
            const { status, response } = await answer(channel.join());
            assert.equal(status, "ok", JSON.stringify(response));
            assert.equal(response.recovered, true);
            await server.publish(where, "note", { n: 3 });
            await hears(heard, 2);
            assert.deepEqual(
              heard.map(([, payload]) => payload),
              [{ n: 2 }, { n: 3 }],
            );
          },
        ),
      );

for (const transport of transports)
  test(
    `a policy by SQL lets in at once, and its end shuts out, by ${transport}`,
    told(
      () => server,
      async () => {
        const socket = connect("1.8.16", transport, server.endpoint);
        const where = `demo:sql-${transport}`;
        const join = async () => {
          const channel = socket.channel(where);
          const { status } = await answer(channel.join());
          channel.leave();
          return status;
        };
        assert.equal(await join(), "error");
        await recipe("php", "allow");
        await until(2000, "it is let in", async () => (await join()) === "ok");
        await recipe("sh", "forbid");
        await until(2000, "it is shut out", async () => (await join()) === "error");
      },
    ),
  );

for (const transport of transports)
  test(
    `a policy's end puts out who is there, by ${transport}`,
    told(
      () => server,
      async () => {
        const socket = connect("1.8.16", transport, server.endpoint);
        const channel = socket.channel(`demo:there-${transport}`);
        await recipe("php", "allow");
        assert.equal((await answer(channel.join())).status, "ok");
        let ended = false;
        channel.onError(() => (ended = true));
        await recipe("sh", "forbid");
        await until(5000, "the member is put out", () => ended);
      },
    ),
  );

// publishers.js - whoever can open SQLite, and the command line
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { program } from "./server.js";
import { within } from "./wait.js";

const script = (name) => fileURLToPath(new URL(`../../publishers/${name}`, import.meta.url));

export const foreign = {
  "PHP, SQLite3 class": ["php", script("sqlite3.php")],
  "PHP, PDO": ["php", script("pdo.php")],
  "Python, sqlite3": ["python3", script("publish.py")],
  "Perl, DBD::SQLite": ["perl", script("publish.pl")],
  "the sqlite3 shell": ["sh", script("publish.sh")],
};

function collect(command, args, input) {
  const child = spawn(command, args, {
    stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stdout.on("data", (part) => (out += part));
  child.stderr.on("data", (part) => (err += part));
  const done = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) =>
      code === 0
        ? resolve(out)
        : reject(new Error(`${command} ${args.join(" ")}: exit ${code}\n${err}`)),
    );
  });
  if (input !== undefined) child.stdin.end(input);
  return within(60000, `${command} is done`, done).finally(() => child.kill("SIGKILL"));
}

// -> [{ uid, id }], in its own order
export async function publishForeign(kind, server, { topic, name, count, pause = 0 }) {
  const [command, file] = foreign[kind];
  const out = await collect(command, [
    file,
    server.journal,
    topic,
    name,
    String(count),
    String(pause),
  ]);
  return out
    .trim()
    .split("\n")
    .map((line) => line.split(" "))
    .map(([uid, id]) => ({ uid, id: Number(id) }));
}

// Many rows by the command line, from its standard input.
export async function publishLines(server, { topic, name, count }) {
  const lines = [];
  for (let i = 1; i <= count; i++) {
    lines.push(JSON.stringify({ topic, event: "note", payload: { uid: `${name}-${i}` } }));
  }
  const out = await collect(
    program("holdfast"),
    ["--dir", server.dir, "publish"],
    `${lines.join("\n")}\n`,
  );
  return out
    .trim()
    .split("\n")
    .map((cursor, i) => ({
      uid: `${name}-${i + 1}`,
      id: Number(cursor.slice(cursor.lastIndexOf(".") + 1)),
    }));
}

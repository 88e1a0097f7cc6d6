// micropython.mjs FILE - runs a program by the real MicroPython, as on a device
//
// It is MicroPython's own build for WebAssembly, which has no network and no pins.
// So three things that firmware has are made here, and no more of them than it
// has, in the folder micropython/: os.urandom; requests, which asks by curl, as
// HTTP/1.0 like the one of MicroPython; and machine.Pin, whose value is in the
// file pin-N of the current folder. The flash begins with the files of that folder,
// and is gone afterwards.
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(new URL("../js/package.json", import.meta.url));
const { loadMicroPython } = await import(require.resolve("@micropython/micropython-webassembly-pyscript/micropython.mjs"));

const firmware = new URL("micropython/", import.meta.url);
const micropython = await loadMicroPython({ stdout: (line) => console.log(line), heapsize: 192 * 1024 });

// "status\nbody", or "error" when there was no answer.
function ask(method, url, headers, body, seconds) {
  const args = ["-sS", "--http1.0", "-X", method, "-m", String(seconds), "-w", "\n%{http_code}", url];
  for (const [name, value] of Object.entries(JSON.parse(headers))) args.push("-H", `${name}: ${value}`);
  if (body !== null) args.push("--data-binary", "@-");
  const done = spawnSync("curl", args, { input: body ?? "", encoding: "utf8" });
  if (done.status !== 0) return "error";
  const at = done.stdout.lastIndexOf("\n");
  return `${done.stdout.slice(at + 1)}\n${done.stdout.slice(0, at)}`;
}

function fill(folder, from, names) {
  micropython.FS.mkdir(folder);
  for (const name of names) micropython.FS.writeFile(`${folder}/${name}`, readFileSync(new URL(name, from)));
}

const files = readdirSync(".", { withFileTypes: true }).filter((entry) => entry.isFile());
const flash = files.map(({ name }) => name).filter((name) => /^[\w-]+\.(py|txt)$/.test(name));
fill("/firmware", firmware, readdirSync(firmware));
fill("/flash", pathToFileURL(`${process.cwd()}/`), flash);
micropython.registerJsModule("_board", {
  ask,
  random: (count) => randomBytes(count).toString("hex"),
  pin: (number, value) => writeFileSync(`pin-${number}`, `${value}\n`),
});
try {
  micropython.runPython('import sys\nsys.path[:] = ["/flash", "/firmware"]\nimport os\nos.chdir("/flash")');
  micropython.runPython(readFileSync(process.argv[2], "utf8"));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

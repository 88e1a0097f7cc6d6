// build.mjs - makes of holdfast.js what others than modules can load
//
//     node www/build.mjs       after every change of holdfast.js or holdfast.d.ts
//
//     holdfast.min.js          for <script src>: the global Holdfast
//     holdfast.cjs             for require()
//     holdfast.d.cts           what TypeScript reads beside the latter
//     LICENSE                  the package's own copy
//
// The same sources give the same bytes everywhere; tests/js/package.test.js sees
// to it that they were made. The tools come with `npm ci` in tests/js.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const tools = createRequire(new URL("../tests/js/package.json", import.meta.url));
const here = fileURLToPath(new URL(".", import.meta.url));

// What the classic script offers; a module has some more, for tests.
const PUBLIC = ["Socket", "Channel", "Push", "Presence", "LongPoll", "Serializer", "REASONS"];

export const MOST = 8000; // bytes of the classic script, gzipped

const NOTE = "Made of holdfast.js by build.mjs; do not edit.";
const TARGET = "es2022"; // of browsers: Chromium 94, Firefox 93, Safari 16.4

async function bundle(contents, options) {
  const { outputFiles } = await tools("esbuild").build({
    stdin: { contents, resolveDir: here },
    absWorkingDir: here, // names of files in comments are relative to it
    bundle: true,
    write: false,
    target: TARGET,
    charset: "utf8",
    ...options,
  });
  return outputFiles[0].text;
}

// What finds mistakes of ours is for those who can mend them.
function unchecked(source) {
  const [before, after, ...more] = source.split("\nconst CHECKED = true;");
  if (after === undefined || more.length > 0) throw new Error("where is CHECKED in holdfast.js?");
  return `${before}\nconst CHECKED = false;${after}`;
}

// A reason's text is its name there; docs/CLIENT.md has the words.
function terse(source) {
  const table = /\nexport const REASONS = Object\.freeze\((\{[^;]*\})\);\n/;
  const numbers = table.exec(source)?.[1].replace(/\{ number: (\d+), text: "[^"]*" \}/g, "$1");
  if (!numbers || /number/.test(numbers)) throw new Error("where are REASONS in holdfast.js?");
  const list = `Object.entries(${numbers}).map(([text, number]) => [text, { number, text }])`;
  return source.replace(table, () => `\nconst REASONS = Object.freeze(Object.fromEntries(${list}));\n`);
}

async function classic() {
  const names = PUBLIC.join(", ");
  const source = unchecked(readFileSync(`${here}holdfast.js`, "utf8"));
  const code = await bundle(`${terse(source)}\nglobalThis.Holdfast = { ${names} };`, {
    format: "iife",
    minify: true,
  });
  const { code: smaller } = await tools("terser").minify(code, {
    compress: { passes: 3, ecma: 2020 },
    mangle: true,
    format: { comments: false },
  });
  return `// Holdfast, MIT\n${smaller}\n`;
}

const common = () =>
  bundle('export * from "./holdfast.js";', { format: "cjs", banner: { js: `// ${NOTE}` } });

const types = () => `// ${NOTE}\n${readFileSync(`${here}holdfast.d.ts`, "utf8")}`;

/** @returns {Promise<Record<string, string>>} file name -> text */
export async function build() {
  return {
    "holdfast.min.js": await classic(),
    "holdfast.cjs": await common(),
    "holdfast.d.cts": types(),
    LICENSE: readFileSync(new URL("../LICENSE", import.meta.url), "utf8"),
  };
}

export const gzipped = (text) => gzipSync(text, { level: 9 }).length;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = await build();
  for (const [name, text] of Object.entries(files)) writeFileSync(here + name, text);
  console.log(`holdfast.min.js: ${gzipped(files["holdfast.min.js"])} bytes gzipped, of ${MOST}`);
}

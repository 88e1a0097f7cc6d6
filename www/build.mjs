// build.mjs - makes of holdfast.js what others than modules can load
//
//     node www/build.mjs       after every change of holdfast.js or holdfast.d.ts
//
//     holdfast.min.js          for <script src>: the global Holdfast
//     holdfast.solo.min.js     the same, but each tab has a connection of its own
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

/** Bytes of the classic scripts, gzipped, at most. */
export const MOST = { "holdfast.min.js": 11750, "holdfast.solo.min.js": 9250 };

// Members of things that no application gets hold of, or has no business with: they
// have a letter for a name there. Never what is an option, is sent to anybody, other
// tabs too, or has this name in the platform as well and is used here.
const INTERNAL = `
  bearer beat beats callback caller check checked clientId counted doubt due end ended
  fail handle head heartbeat io kind linkLost linkUp onapart onchange ondoubt ondown
  onframe onup open opened part pendingDiffs ports refusal refused returnMs sentWith
  settle settled silence start startedAt stop tab timer unsettled url usefulAt waits
  wanted writable
`;

function internal() {
  const types = readFileSync(`${here}holdfast.d.ts`, "utf8");
  const names = INTERNAL.trim().split(/\s+/);
  for (const name of names)
    if (new RegExp(`^  ((readonly|static) )?${name}\\??[:(<]`, "m").test(types)) throw new Error(`${name} is public`);
  return names;
}

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
function without(source, constant) {
  const [before, after, ...more] = source.split(`\nconst ${constant} = true;`);
  if (after === undefined || more.length > 0) throw new Error(`where is ${constant} in holdfast.js?`);
  return `${before}\nconst ${constant} = false;${after}`;
}

// A reason's text is its name there, and what is meant by its name here is meant by
// its number; docs/CLIENT.md has the words.
function terse(source) {
  const table = /\nexport const REASONS = Object\.freeze\(\{([^;]*)\}\);\n/.exec(source);
  const names = [];
  for (const [, name, number] of table?.[1].matchAll(/(\w+): \{ number: (\d+), text: "[^"]*" \}/g) ?? [])
    names[number] = name;
  if (names.length === 0) throw new Error("where are REASONS in holdfast.js?");
  const all = `
const NUMBERED = "${names.join()}".split(",").map((text, number) => ({ number, text }));
const REASONS = Object.fromEntries(NUMBERED.map((it) => [it.text, it]).filter(([name]) => name));
`;
  return source
    .replace(/^  [a-z]\w*;.*\n/gm, "") // public members without a value, named for their types
    .replace(/\bREASONS\.(\w+)\b/g, (_, name) => {
      if (!names.includes(name)) throw new Error(`there is no REASONS.${name} in holdfast.js`);
      return `NUMBERED[${names.indexOf(name)}]`;
    })
    .replace(table[0], () => all);
}

async function classic(...absent) {
  const names = PUBLIC.join(", ");
  const source = absent.reduce(without, readFileSync(`${here}holdfast.js`, "utf8"));
  const code = await bundle(`${terse(source)}\nglobalThis.Holdfast = { ${names} };`, {
    format: "iife",
    minify: true,
    mangleProps: new RegExp(`^(${internal().join("|")})$`),
  });
  const { code: smaller } = await tools("terser").minify(code, {
    // no getter of ours has an effect, and no function is called with `new` that is an arrow
    compress: { passes: 3, ecma: 2020, hoist_funs: true, pure_getters: true, unsafe: true, unsafe_arrows: true, unsafe_methods: true },
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
    "holdfast.min.js": await classic("CHECKED"),
    "holdfast.solo.min.js": await classic("CHECKED", "TABS"),
    "holdfast.cjs": await common(),
    "holdfast.d.cts": types(),
    LICENSE: readFileSync(new URL("../LICENSE", import.meta.url), "utf8"),
  };
}

export const gzipped = (text) => gzipSync(text, { level: 9 }).length;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = await build();
  for (const [name, text] of Object.entries(files)) writeFileSync(here + name, text);
  for (const [name, most] of Object.entries(MOST))
    console.log(`${name}: ${gzipped(files[name])} bytes gzipped, of ${most}`);
}

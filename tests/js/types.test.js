// The types of holdfast.js: that applications compile with them, and that they
// say what there is; and that docs/CLIENT.md does.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import * as holdfast from "../../www/holdfast.js";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const WWW = fileURLToPath(new URL("../../www", import.meta.url));
const PACKED = ["package.json", "holdfast.js", "holdfast.cjs", "holdfast.d.ts", "holdfast.d.cts"];

let dir; // a project that has both packages
before(() => {
  dir = mkdtempSync(join(tmpdir(), "holdfast-types."));
  const modules = join(dir, "node_modules");
  mkdirSync(join(modules, "holdfast"), { recursive: true });
  for (const name of PACKED) copyFileSync(join(WWW, name), join(modules, "holdfast", name));
  mkdirSync(join(modules, "@types"));
  symlinkSync(join(HERE, "node_modules", "@types", "phoenix"), join(modules, "@types", "phoenix"));
});
after(() => rmSync(dir, { recursive: true, force: true }));

const STRICT = { strict: true, noEmit: true, target: ts.ScriptTarget.ES2022, types: [] };
const MODULES = { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler };

// What the compiler says of a text in this file; "" if it is content.
function complaints(name, text, options = MODULES) {
  const file = join(dir, name);
  writeFileSync(file, text);
  const program = ts.createProgram([file], { ...STRICT, ...options });
  const host = {
    getCanonicalFileName: (path) => path,
    getCurrentDirectory: () => dir,
    getNewLine: () => "\n",
  };
  return ts.formatDiagnostics(ts.getPreEmitDiagnostics(program), host);
}

const read = (name) => readFileSync(join(HERE, "types", name), "utf8");

describe("an application in TypeScript", () => {
  const NODE = {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
  };
  const WAYS = {
    "as a module of Node": ["app.mts", NODE],
    "as CommonJS of Node": ["app.cts", NODE],
    "for a bundler": ["app.ts", MODULES],
  };
  for (const [how, [file, options]] of Object.entries(WAYS))
    it(`compiles ${how}`, () => assert.equal(complaints(file, read("app.ts"), options), ""));

  for (const from of ["phoenix", "holdfast"])
    it(`that was written for phoenix.js compiles with the types of ${from}`, () => {
      const text = read("phoenix_app.ts").replace('from "phoenix"', `from "${from}"`);
      assert.equal(complaints(`${from}_app.ts`, text), "");
    });
});

// --- the types beside the code -------------------------------------------

// Both as the compiler sees them: name of what is exported -> its members.
// holdfast.js is copied, for beside holdfast.d.ts it is not looked at.
function declared() {
  copyFileSync(join(WWW, "holdfast.js"), join(dir, "source.js"));
  copyFileSync(join(WWW, "holdfast.d.ts"), join(dir, "types.d.ts"));
  const files = ["source.js", "types.d.ts"].map((name) => join(dir, name));
  const program = ts.createProgram(files, { ...STRICT, ...MODULES, allowJs: true });
  const checker = program.getTypeChecker();
  const internal = (member) => member.getJsDocTags(checker).some(({ name }) => name === "internal");
  const names = (type) =>
    checker
      .getPropertiesOfType(type)
      .filter((member) => !/^#|^prototype$/.test(member.name) && !internal(member))
      .map(({ name }) => name)
      .sort();
  return files.map((file) => {
    const module = checker.getSymbolAtLocation(program.getSourceFile(file));
    const classes = checker
      .getExportsOfModule(module)
      .filter((symbol) => symbol.flags & ts.SymbolFlags.Class)
      .map((symbol) => [
        symbol.name,
        {
          members: names(checker.getDeclaredTypeOfSymbol(symbol)),
          statics: names(checker.getTypeOfSymbol(symbol)),
        },
      ]);
    return Object.fromEntries(classes);
  });
}

function options() {
  const text = readFileSync(join(WWW, "holdfast.d.ts"), "utf8");
  const file = ts.createSourceFile("types.d.ts", text, ts.ScriptTarget.ES2022, true);
  const found = file.statements.find((one) => ts.isInterfaceDeclaration(one) && one.name.text === "Options");
  return found.members.map(({ name }) => name.text);
}

describe("the types", () => {
  it("have every public member, and no other", () => {
    const [source, types] = declared();
    assert.ok(Object.keys(types).length >= 3);
    for (const name of Object.keys(types)) assert.deepEqual(types[name], source[name], name);
  });

  it("have every reason", () => {
    const all = Object.keys(holdfast.REASONS).map((name) => `"${name}": true`);
    const text = `import type { ReasonName } from "holdfast";
      export const all: Record<ReasonName, true> = { ${all.join(", ")} };`;
    assert.equal(complaints("reasons.ts", text), "");
  });
});

// What is said of it in its comments. Much of it says nothing of its types, and
// most that may be null is known not to be.
describe("holdfast.js", () => {
  it("does what its comments say, as far as a compiler sees", () => {
    const lax = { noImplicitAny: false, strictNullChecks: false, strictPropertyInitialization: false };
    const options = { ...MODULES, ...lax, allowJs: true, checkJs: true };
    const text = readFileSync(join(WWW, "holdfast.js"), "utf8");
    assert.equal(complaints("holdfast.js", text, options), "");
  });

  it("is what its types say", () => {
    copyFileSync(join(WWW, "holdfast.js"), join(dir, "source.js"));
    const text = `import * as source from "./source.js";
      import type * as types from "holdfast";
      export const socket: types.Socket = new source.Socket("/socket");
      export const channel: types.Channel = new source.Socket("/socket").channel("a");
      export const push: types.Push = new source.Socket("/socket").channel("a").join();
      export const presence: types.Presence = new source.Presence(new source.Socket("").channel("a"));
      export const all: typeof types.REASONS = source.REASONS;`;
    const lax = { noImplicitAny: false, strictNullChecks: false };
    assert.equal(complaints("assign.ts", text, { ...MODULES, ...lax, allowJs: true }), "");
  });
});

// --- the manual ----------------------------------------------------------

const manual = readFileSync(new URL("../../docs/CLIENT.md", import.meta.url), "utf8");

// The cells of a section's tables, row by row, without heads.
function rows(title) {
  const section = manual.split(/^## /m).find((part) => part.startsWith(`${title}\n`));
  const lines = section.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| |"));
  return lines.map((line) => line.slice(1, -1).split("|").map((cell) => cell.trim()));
}

const named = (title) => new Set(rows(title).flatMap(([first]) => first.match(/\w+/g) ?? []));

describe("the manual", () => {
  it("has every reason, in the order of its number", () => {
    const reasons = Object.entries(holdfast.REASONS).map(([name, { number, text }]) => [
      String(number),
      `\`${name}\``,
      text,
    ]);
    const wanted = reasons.sort(([a], [b]) => a - b);
    assert.deepEqual(rows("Reasons"), wanted);
  });

  it("has every option", () => {
    const missing = options().filter((name) => !named("Options").has(name));
    assert.deepEqual(missing, []);
  });

  for (const name of ["Socket", "Channel", "Push"])
    it(`has every member of ${name}`, () => {
      const { members } = declared()[1][name];
      assert.deepEqual(members.filter((member) => !named(name).has(member)), []);
    });
});

// blocks.mjs - the code blocks of a page, each with the mark that says what is
// done with it
//
// A mark is an HTML comment before its block, see README.md. Nothing is run here:
// this file knows Markdown as far as these pages use it, and the words of marks.
import { readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const TOP = fileURLToPath(new URL("../..", import.meta.url));

// Pages for people: those below docs/, and what stands beside pages and examples.
export function pages() {
  const below = (folder, wanted) =>
    readdirSync(join(TOP, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && wanted.test(entry.name))
      .map((entry) => relative(TOP, join(entry.parentPath ?? entry.path, entry.name)))
      .sort();
  return ["README.md", "ARCHITECTURE.md", ...below("docs", /\.md$/), ...below("www", /^README\.md$/)];
}

export const read = (name) => readFileSync(join(TOP, name), "utf8");

// What a mark may say: the verb, and what has to stand behind it.
const VERBS = {
  run: /^(?:(?:php|python|perl|ruby|js|sql|sh|micropython)(?: |$))?(?:in the background|fails)?$/,
  prints: /^$/,
  page: /^[\w./-]+$/,
  save: /^[\w./-]+$/,
  script: /^(?:with [\w, ]+)?$/,
  conf: /^$/,
  json: /^$/,
  wire: /^$/,
  file: /^[\w./-]+$/,
  by: /^[\w./-]+(?:, [\w./-]+)*$/,
  no: /\w+ \w+/,
};

// What an open page has to do then: "; chat.html says hi; chat.html shows hi".
const STEP = /; (?=(?:[\w./-]+ )?(?:shows|says|goes) )/;
function steps(texts) {
  const parts = texts.map((one) => /^(?:([\w./-]+) )?(shows|says|goes) ([^]+)$/.exec(one.trim()));
  return parts.map(([, file, does, words]) => ({ file, does, words }));
}

// "run php; chat.html shows hello" -> { verb, rest, then: [{ file, does, words }] }
export function parseMark(text) {
  const [said, ...more] = text.split(STEP);
  const [, verb, rest = ""] = /^(\w+)(?: ([^]*))?$/.exec(said.trim()) ?? [];
  if (!Object.hasOwn(VERBS, verb ?? "")) return { wrong: `there is no mark "${said.trim()}"` };
  if (!VERBS[verb].test(rest)) return { wrong: `"${verb}" is not followed by "${rest}"` };
  return { verb, rest, then: steps(more) };
}

// Commands that the page does not show, as a block of shell that is not counted.
function hidden(line, text) {
  const [commands, ...more] = text.split(STEP);
  return { line, hidden: true, language: "sh", text: commands, mark: { verb: "run", rest: "", then: steps(more) } };
}

const FENCE = /^( {0,3})(```+)(.*)$/;
const isCode = (line) => /^ {4}/.test(line);

// The end of a comment that begins in lines[i]: its text, and the line behind it.
function comment(lines, i) {
  let text = "";
  for (; i < lines.length; i++) {
    text += `${lines[i]}\n`;
    if (lines[i].includes("-->")) break;
  }
  return [/<!--([^]*?)-->/.exec(text)?.[1].replace(/\s*\n\s*/g, " ").trim() ?? "", i + 1];
}

function fenced(lines, i) {
  const [, indent, fence, info] = FENCE.exec(lines[i]);
  const end = lines.findIndex((line, at) => at > i && line.trim() === fence);
  if (end < 0) throw new Error(`the block of line ${i + 1} has no end`);
  const text = lines.slice(i + 1, end).map((line) => line.slice(indent.length));
  const [language, name] = info.trim().split(/\s+/);
  return [{ line: i + 1, language, name, text: `${text.join("\n")}\n` }, end + 1];
}

// Blank lines within belong to it, those behind it do not.
function indented(lines, i) {
  let end = i;
  for (let at = i; at < lines.length && (isCode(lines[at]) || lines[at].trim() === ""); at++)
    if (isCode(lines[at])) end = at + 1;
  const text = lines.slice(i, end).map((line) => line.slice(4));
  return [{ line: i + 1, language: "", text: `${text.join("\n")}\n` }, end];
}

// { server, blocks, trouble }: `trouble` are marks that cannot be, as texts.
// A block is { line, language, name, text, mark }; without a mark it is an error.
export function blocksOf(text) {
  const lines = text.split("\n");
  const page = { server: "", blocks: [], trouble: [] };
  let mark;
  let always; // of "test, from here:"
  let blank = true;
  const found = ([block, next]) => {
    page.blocks.push({ ...block, mark: mark ?? always });
    mark = undefined;
    return next;
  };
  for (let i = 0; i < lines.length; ) {
    const at = i + 1;
    if (FENCE.test(lines[i])) {
      i = found(fenced(lines, i));
      blank = true;
    } else if (isCode(lines[i]) && blank) {
      i = found(indented(lines, i));
    } else if (/^<!--/.test(lines[i])) {
      const [said, next] = comment(lines, i);
      const [, word, what] = /^(test|test, from here|test, first):\s*([^]*)$/.exec(said) ?? [];
      i = next;
      blank = true;
      if (!word) continue;
      if (word === "test, first") {
        page.blocks.push(hidden(at, what));
        continue;
      }
      if (word === "test" && /^server(?: with conf)?$/.test(what)) {
        page.server = what;
        continue;
      }
      const parsed = what === "" ? undefined : parseMark(what);
      if (parsed?.wrong) page.trouble.push(`line ${at}: ${parsed.wrong}`);
      else if (word === "test") mark = parsed;
      else always = parsed;
    } else {
      blank = lines[i].trim() === "" || /^#/.test(lines[i]);
      if (mark && !blank) {
        page.trouble.push(`line ${at}: no block follows the mark "${mark.verb}"`);
        mark = undefined;
      }
      i++;
    }
  }
  return page;
}

// --- links -------------------------------------------------------------------

// As GitHub names a heading.
const anchor = (heading) =>
  heading
    .toLowerCase()
    .replace(/`|\*|\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replace(/ /g, "-");

const withoutCode = (text) => text.replace(/^( {0,3})```[^]*?^\1```$/gm, "").replace(/^ {4}.*$/gm, "");

export function anchors(text) {
  const seen = new Map();
  const found = new Set([...text.matchAll(/<a (?:id|name)="([^"]+)"/g)].map(([, id]) => id));
  for (const [, heading] of withoutCode(text).matchAll(/^#+ +(.*)$/gm)) {
    const name = anchor(heading.trim());
    const count = seen.get(name) ?? 0;
    seen.set(name, count + 1);
    found.add(count ? `${name}-${count}` : name);
  }
  return found;
}

// [{ path, id }] of all links that stay within the project.
export function links(text) {
  const code = withoutCode(text).replace(/`[^`\n]*`/g, "");
  const all = [...code.matchAll(/\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"/g)].map(([, a, b]) => a ?? b);
  return all.filter((to) => !/^[a-z]+:/.test(to)).map((to) => {
    const [path, id] = to.split("#");
    return { to, path, id };
  });
}

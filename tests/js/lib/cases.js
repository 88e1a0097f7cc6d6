// cases.js - reads tests/conformance; README.md there says how cases are written
import { readFileSync } from "node:fs";
import { frame } from "./rawws.js";

const OPCODES = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };
const folder = new URL("../../conformance/", import.meta.url);

export const FILES = ["framing", "control", "fragments", "utf8", "close", "limits"];

// "..." with \xNN, and how often.
function string(text, times) {
  const bytes = text.replace(/\\x(..)/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.alloc(bytes.length * times, bytes, "latin1");
}

// The items of a line: { word, fin, masked, rsv, code, payload, piece }.
function items(line) {
  const out = [];
  const rest = /\s*(?:([a-z]+\d*)([+!]|:\d)*|(\d+)|"([^"]*)"(?:\*(\d+))?|\/(\d+))/y;
  let last;
  while (rest.lastIndex < line.trimEnd().length) {
    const at = rest.lastIndex;
    const found = rest.exec(line);
    if (!found) throw new Error(`a case cannot be read: ${line.slice(at)}`);
    const [all, word, , code, text, times, piece] = found;
    if (word) {
      const rsv = Number(/:(\d)/.exec(all)?.[1] ?? 0);
      last = { word, fin: !all.includes("+"), masked: !all.includes("!"), rsv, parts: [] };
      out.push(last);
    } else if (code) {
      last.code = Number(code);
      last.parts.push(Buffer.from([last.code >> 8, last.code & 255]));
    } else if (text !== undefined) last.parts.push(string(text, Number(times ?? 1)));
    else last.piece = Number(piece);
  }
  for (const item of out) item.payload = Buffer.concat(item.parts);
  return out;
}

function frames({ word, fin, masked, rsv, payload, piece = payload.length }) {
  if (word === "raw") return payload;
  const out = [];
  let opcode = OPCODES[word] ?? Number(word.slice(2));
  for (let at = 0; ; at += piece) {
    const last = at + piece >= payload.length;
    const part = payload.subarray(at, last ? payload.length : at + piece);
    out.push(frame(opcode, part, { fin: last && fin, masked, rsv }));
    if (last) return Buffer.concat(out);
    opcode = OPCODES.more;
  }
}

// { name, staysOpen, steps: [{ send, want: { messages, pongs, code } }] }, where
// `want` is all that has come by the end of the step, and code 0 is none.
export function readCases(file) {
  const cases = [];
  let steps, last;
  for (const line of readFileSync(new URL(`${file}.cases`, folder), "latin1").split("\n")) {
    const kind = line[0];
    if (!kind || kind === "#") continue;
    if (kind === "=") {
      steps = [];
      cases.push({ name: line.slice(2), steps, staysOpen: false });
    } else if (kind === ">") {
      if (last !== ">") {
        const before = steps.at(-1)?.want ?? { messages: [], pongs: [], code: 0 };
        const want = { ...before, messages: [...before.messages], pongs: [...before.pongs] };
        steps.push({ send: [], want });
      }
      cases.at(-1).staysOpen = false;
      steps.at(-1).send.push(...items(line.slice(1)).map(frames));
    } else if (kind === "<") {
      for (const { word, code, payload } of items(line.slice(1))) {
        const { want } = steps.at(-1);
        cases.at(-1).staysOpen = word === "nothing";
        if (word === "close") want.code = code ?? 1005;
        else if (word === "pong") want.pongs.push(payload);
        else if (word !== "nothing") want.messages.push({ kind: word, payload });
      }
    }
    last = kind;
  }
  for (const { steps } of cases) for (const step of steps) step.send = Buffer.concat(step.send);
  return cases;
}

// built.js - node --import ./lib/built.js x.test.js: the tests get a classic script of
// www/, $BUILT, where they import holdfast.js.
import { readFileSync } from "node:fs";
import { register } from "node:module";

const url = new URL(`../../../www/${process.env.BUILT}`, import.meta.url);
const script = readFileSync(url, "utf8");
const hooks = `
  export async function load(url, context, next) {
    if (!url.endsWith("/www/holdfast.js")) return next(url, context);
    const source = ${JSON.stringify(`${script}
      export const { Socket, Channel, Push, Presence, LongPoll, Serializer, REASONS } = globalThis.Holdfast;
      export const encode = (message) => Serializer.encode(message, (text) => text);
      export const decode = (data) => Serializer.decode(data, (message) => message);
    `)};
    return { format: "module", source, shortCircuit: true };
  }`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);

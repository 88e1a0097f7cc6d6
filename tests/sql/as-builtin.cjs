// as-builtin.cjs - for a node without node:sqlite: the npm package
// @photostructure/sqlite, which has the same calls, under that name
const Module = require("node:module");
const load = Module._load;
Module._load = function (name, ...rest) {
  return load.call(this, name === "node:sqlite" ? "@photostructure/sqlite" : name, ...rest);
};

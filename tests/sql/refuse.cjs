// refuse.cjs JOURNAL <cases: see refusals.sh
const { readFileSync } = require("node:fs");
const { DatabaseSync } = require("node:sqlite");

const db = new DatabaseSync(process.argv[2]);
for (const line of readFileSync(0, "utf8").trimEnd().split("\n")) {
  const first = line.split("\t");
  const sql = first.pop();
  db.exec("BEGIN IMMEDIATE");
  first.forEach((each) => db.exec(each));
  try {
    db.prepare(sql).run();
    console.log("taken");
  } catch (error) {
    console.log(error.message);
  }
  db.exec("ROLLBACK");
}

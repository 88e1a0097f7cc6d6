// middlebox.js - the proxy that does harm (tests/middlebox), as a child of ours
//
//     const box = await Middlebox.start(server.port);
//     await box.say("refuse");           // the commands: tests/middlebox/rules.h,
//     await box.say("drop upgrade");     // and middlebox.c
//     await box.end();
//
// Clients come to box.port. It ends with its standard input, and so with us.
import { spawn } from "node:child_process";
import { own, program } from "./server.js";
import { Inbox, within } from "./wait.js";

export class Middlebox {
  static async start(port) {
    const box = new Middlebox(port);
    const line = await box.#lines.next(5000, "the middlebox listens");
    box.port = Number(/^listening (\d+)$/.exec(line)[1]);
    return box;
  }

  #lines = new Inbox("the middlebox");
  #rest = "";
  #turn = Promise.resolve();

  constructor(port) {
    const command = program("tests/middlebox/middlebox");
    this.child = own(spawn(command, [`127.0.0.1:${port}`], { stdio: ["pipe", "pipe", "pipe"] }));
    this.log = "";
    this.child.stderr.on("data", (part) => (this.log += part));
    this.child.stdin.on("error", () => {}); // its end says more
    this.child.stdout.on("data", (part) => {
      const lines = (this.#rest + part).split("\n");
      this.#rest = lines.pop();
      for (const line of lines) this.#lines.push(line);
    });
    this.ended = new Promise((done) => this.child.once("close", (code, signal) => done({ code, signal })));
  }

  get endpoint() {
    return `ws://127.0.0.1:${this.port}/socket`;
  }

  // One command or several, one after the other; what the last one answered.
  say(...commands) {
    this.#turn = this.#turn.then(async () => {
      let answer;
      for (const command of commands) {
        this.child.stdin.write(`${command}\n`);
        answer = await this.#lines.next(5000, `an answer to "${command}"${this.log}`);
        if (answer !== "ok" && !answer.startsWith("ok ")) throw new Error(`${command}: ${answer}`);
      }
      return answer.slice(3);
    });
    const said = this.#turn;
    this.#turn = said.catch(() => {});
    return said;
  }

  // { upgrade, get, post, open }: requests so far, connections now.
  async seen() {
    const counts = (await this.say("seen")).split(" ").map((part) => part.split("="));
    return Object.fromEntries(counts.map(([name, count]) => [name, Number(count)]));
  }

  async end() {
    this.child.stdin.end();
    const how = await within(5000, "the middlebox ends", this.ended);
    if (how.code !== 0 || this.log !== "")
      throw new Error(`the middlebox ended with ${JSON.stringify(how)}\n${this.log}`);
  }
}

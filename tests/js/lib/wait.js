// wait.js - every wait has an end, and says what it waited for
import { setTimeout as sleep } from "node:timers/promises";

export { sleep };

// Ends are generous for a machine that does nothing else. Where much else runs
// beside, HOLDFAST_PATIENCE=3 makes each three times as far away: what comes, comes
// no later by it.
const patience = Number(process.env.HOLDFAST_PATIENCE ?? 1);

// The promise, or an error once ms have passed.
export async function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms * patience} ms: ${what}`)), ms * patience);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

// Until look() gives something true, which is returned. An error thrown by
// look() counts as "not yet" and is shown if it stays so.
export async function until(ms, what, look, every = 10) {
  const end = performance.now() + ms * patience;
  for (;;) {
    let trouble = "";
    try {
      const seen = await look();
      if (seen) return seen;
    } catch (error) {
      trouble = `: ${error.message}`;
    }
    if (performance.now() > end) throw new Error(`not within ${ms * patience} ms: ${what}${trouble}`);
    await sleep(every);
  }
}

// A list that can be waited for: what arrives is pushed, `next` takes the
// oldest that nobody has taken.
export class Inbox {
  constructor(name) {
    this.name = name;
    this.items = [];
    this.waiting = new Set();
  }

  push(item) {
    this.items.push(item);
    for (const wake of this.waiting) wake();
  }

  async next(ms = 5000, what = "something more") {
    const end = performance.now() + ms * patience;
    while (this.items.length === 0) {
      const left = end - performance.now();
      if (left <= 0) throw new Error(`${this.name}: not within ${ms * patience} ms: ${what}`);
      await new Promise((done) => {
        const wake = () => {
          clearTimeout(timer);
          this.waiting.delete(wake);
          done();
        };
        const timer = setTimeout(wake, left);
        this.waiting.add(wake);
      });
    }
    return this.items.shift();
  }

  // Nothing arrives for so long.
  async silence(ms) {
    await sleep(ms);
    if (this.items.length > 0) {
      throw new Error(`${this.name}: expected silence, got ${JSON.stringify(this.items)}`);
    }
  }
}

/**
 * rules.js - Pairs as a fold: messages in, in the journal's order, a board out
 *
 * Everybody may turn tiles at any time. Whoever turns two that are alike keeps
 * them, even one that somebody else has just turned up and still looks for the
 * other of. There is no referee: each page plays the same messages in the same
 * order by these rules and so comes to the same board, whatever its connection
 * went through meanwhile, and however late it came.
 *
 *     deal  {deal, after}           new tiles, shuffled by the text `deal`
 *     flip  {deal, tile, by, name}  somebody turns a tile up
 *
 * What breaks a rule counts for nothing. So does a deal that does not follow the
 * round on the table: of two who press the button together the first one deals.
 */
export const THINGS = {
  "🐙": "octopus", "🦀": "crab", "🐠": "reef fish", "🐡": "blowfish", "🐬": "dolphin",
  "🐳": "whale", "🦈": "shark", "🐚": "shell", "🦑": "squid", "🦐": "shrimp",
  "🐢": "turtle", "🦞": "lobster", "🐧": "penguin", "⚓": "anchor", "⛵": "boat",
  "🌊": "wave", "🌴": "palm tree", "🐌": "snail",
};
export const TILES = 2 * Object.keys(THINGS).length;

export class Game {
  deal = null; // which round; null until one was seen
  tiles = []; // what is on them
  owner = []; // who has each, or nothing
  hands = new Map(); // player -> the tile they turned up first
  names = new Map(); // of all who have played

  /** @returns {object|null} what happened; null: nothing, it was against the rules */
  play(event, message) {
    const { deal } = Object(message);
    if (typeof deal !== "string") return null;
    if (event === "deal") return this.#deal(deal, message.after ?? null);
    if (event !== "flip") return null;
    this.deal ??= deal; // it began before what we were told of
    return deal === this.deal ? this.#flip(message) : null;
  }

  #deal(deal, after) {
    if (after !== this.deal || deal === this.deal) return null;
    this.deal = deal;
    this.tiles = shuffle([...Object.keys(THINGS), ...Object.keys(THINGS)], deal);
    this.owner = [];
    this.hands.clear();
    this.names.clear();
    return { deal };
  }

  #flip({ tile, by, name }) {
    const first = this.hands.get(by);
    if (typeof by !== "string" || !Number.isInteger(tile) || !(tile in this.tiles)) return null;
    if (tile in this.owner || tile === first) return null;
    this.names.set(by, name);
    if (first === undefined) {
      this.hands.set(by, tile);
      return { by, name, up: [tile] };
    }
    this.hands.delete(by);
    const pair = this.tiles[first] === this.tiles[tile];
    if (pair) this.#take(by, first, tile);
    return { by, name, up: [first, tile], pair };
  }

  #take(by, ...tiles) {
    for (const tile of tiles) this.owner[tile] = by;
    for (const [player, tile] of this.hands)
      if (tiles.includes(tile)) this.hands.delete(player);
  }

  /** Pairs of each player. */
  score(player) {
    return this.owner.filter((owner) => owner === player).length / 2;
  }

  get over() {
    return this.tiles.length > 0 && Object.keys(this.owner).length === this.tiles.length;
  }
}

/** The same order everywhere for the same text. */
function shuffle(list, seed) {
  let state = 0;
  for (const letter of seed) state = (Math.imul(state, 31) + letter.codePointAt(0)) | 0;
  for (let last = list.length - 1; last > 0; last--) {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x3d4d51cb) | 0;
    const other = (state >>> 0) % (last + 1);
    [list[last], list[other]] = [list[other], list[last]];
  }
  return list;
}

// books.js - what a simulation's log and its clients' reports say
//
// A request is { kind, begun, ended, status, ms, method, uri }, of haproxy's log;
// times are ms since 1970.

// What is wrong with what a client heard, or null. Every row of its room after
// the place of its first join was due, in order and once; that it came to the
// last one is asked in the silence before.
function judge({ name, first, got, gaps }, rows) {
  if (first === null) return got.length === 0 ? null : `${name} heard rows before it had joined`;
  const due = rows.filter((id) => id > first);
  const wrong = got.findIndex((id, i) => id !== due[i]);
  if (wrong >= 0) return `${name}: row ${due[wrong]} was due, ${got[wrong]} came`;
  if (gaps > 0) return `${name} was told of ${gaps} gaps`;
  return null;
}

// A push that was answered ok is in the journal, any other at most: once.
function judgeSaid({ said }, count) {
  return said.flatMap(([uid, status]) => {
    const times = count.get(uid) ?? 0;
    if (status === "ok" && times !== 1) return [`${uid} was acknowledged and is ${times} times in the journal`];
    return times > 1 ? [`${uid} is ${times} times in the journal`] : [];
  });
}

export function judgeAll(clients, rows) {
  const byTopic = new Map();
  const count = new Map();
  for (const { id, topic, uid } of rows) {
    if (!byTopic.has(topic)) byTopic.set(topic, []);
    byTopic.get(topic).push(id);
    count.set(uid, (count.get(uid) ?? 0) + 1);
  }
  const wrong = clients.map((client) => judge(client, byTopic.get(client.topic) ?? [])).filter(Boolean);
  return [...wrong, ...clients.flatMap((client) => judgeSaid(client, count))];
}

const share = (part, all) => (all.length === 0 ? 0 : part.length / all.length);
export const kindOf = ({ method, uri }) => {
  if (uri.startsWith("/index.php")) return "site";
  if (uri.startsWith("/style.css")) return "file";
  return method === "POST" ? "post" : "poll";
};
const nameOf = ({ uri }) => /[?&]c=(\d+)/.exec(uri)?.[1];

function percentile(numbers, p) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted.length === 0 ? null : sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))];
}

// What the site's visitors saw between two moments.
export function site(requests, from, to) {
  const asked = requests.filter((r) => r.kind === "site" && r.begun >= from && r.begun < to);
  const answered = asked.filter(({ status }) => status === 200).map(({ ms }) => ms);
  const refused = asked.filter(({ status }) => status !== 200);
  return {
    asked: asked.length,
    refused: refused.length,
    refusedShare: share(refused, asked),
    p50: percentile(answered, 0.5),
    p95: percentile(answered, 0.95),
  };
}

// What the clients did between two moments. A poll of 500 ms and more was held.
export function chat(requests, clients, from, to) {
  const seconds = (to - from) / 1000;
  const within = requests.filter((r) => r.begun >= from && r.begun < to);
  const perClient = (kind) => {
    const names = new Set(clients.filter((c) => c.kind === kind).map(({ name }) => name));
    const polls = within.filter((r) => r.kind === "poll" && names.has(nameOf(r)));
    return names.size === 0 ? null : polls.length / names.size / seconds;
  };
  const polls = within.filter(({ kind }) => kind === "poll");
  const posts = within.filter(({ kind }) => kind === "post");
  return {
    pollsPerSecond: polls.length / seconds,
    pollsPerClientAndSecond: { ours: perClient("ours"), stock: perClient("stock") },
    held: polls.filter(({ ms }) => ms >= 500).length,
    pollsRefused: polls.filter(({ status }) => status === 508).length,
    posts: posts.length,
    postsRefused: posts.filter(({ status }) => status === 508).length,
    failed: within.filter(({ status }) => status !== 200 && status !== 508).length,
  };
}

// Second by second, for the plot: how much was under way in the middle of it,
// what was refused in it.
export function timeline(requests, begun, end) {
  const seconds = Array.from({ length: Math.floor((end - begun) / 1000) }, (_, at) => ({
    at, held: 0, busy: 0, polls: 0, siteRefused: 0, chatRefused: 0,
  }));
  for (const r of requests) {
    if (r.kind === "file") continue;
    const at = Math.floor((r.begun - begun) / 1000);
    const own = seconds[at];
    if (own && r.kind === "poll") own.polls++;
    if (own && r.status === 508) own[r.kind === "site" ? "siteRefused" : "chatRefused"]++;
    const first = Math.max(0, Math.ceil((r.begun - begun) / 1000 - 0.5));
    for (let i = first; i < seconds.length && begun + (i + 0.5) * 1000 < r.ended; i++) {
      seconds[i].busy++;
      if (r.kind === "poll" && r.ms >= 500) seconds[i].held++;
    }
  }
  return seconds;
}

// How long rows took from their commit to the clients, of those that were
// published between two moments.
export function delays(clients, rows, kind, from, to) {
  const at = new Map(rows.filter((row) => row.at >= from && row.at < to).map((row) => [row.id, row.at]));
  const all = clients
    .filter((client) => client.kind === kind)
    .flatMap(({ got, gotAt }) => got.flatMap((id, i) => (at.has(id) ? [gotAt[i] - at.get(id)] : [])));
  return all.length === 0 ? null : { p50: percentile(all, 0.5), p95: percentile(all, 0.95), max: percentile(all, 1) };
}

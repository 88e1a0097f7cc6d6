// prometheus.js - a strict reader of the text format of Prometheus 0.0.4
//
// Stricter than the format: every family has HELP and TYPE, in this order, once,
// right before its samples; a counter's name ends in _total, and no other's; names
// begin with holdfast_; no timestamps, no comments, no blank lines.

const NAME = /^holdfast_[a-z](?:[a-z_]*[a-z])?$/;
const LABEL = /^[a-z][a-z_]*$/;
const NUMBER = /^(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?$/;
const SUFFIXES = { counter: [""], gauge: [""], histogram: ["_bucket", "_sum", "_count"] };

const wrong = (line, what) => {
  throw new Error(`${what}: ${JSON.stringify(line)}`);
};

// `text` behind an opening brace; what stands behind the closing one is `rest`.
function readLabels(line, text) {
  const labels = {};
  for (;;) {
    const name = /^([^=]*)="/.exec(text);
    if (!name || !LABEL.test(name[1])) wrong(line, "no label");
    if (name[1] in labels) wrong(line, "a label twice");
    text = text.slice(name[0].length);
    const value = /^((?:[^"\\\n]|\\[\\"n])*)"/.exec(text);
    if (!value) wrong(line, "no label value");
    labels[name[1]] = value[1].replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
    text = text.slice(value[0].length);
    if (text[0] === "}") return { labels, rest: text.slice(1) };
    if (text[0] !== ",") wrong(line, "neither , nor } behind a label");
    text = text.slice(1);
  }
}

function readSample(line) {
  const end = line.search(/[{ ]/);
  if (end < 0) wrong(line, "no sample");
  const name = line.slice(0, end);
  const { labels, rest } =
    line[end] === "{" ? readLabels(line, line.slice(end + 1)) : { labels: {}, rest: line.slice(end) };
  if (rest[0] !== " " || !NUMBER.test(rest.slice(1))) wrong(line, "no value");
  return { name, labels, value: Number(rest.slice(1)) };
}

function checkHistogram({ name, samples }) {
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`);
  const bounds = buckets.map(({ labels }) => (labels.le === "+Inf" ? Infinity : Number(labels.le)));
  const of = (suffix) => {
    const found = samples.filter((sample) => sample.name === name + suffix);
    if (found.length !== 1 || Object.keys(found[0].labels).length > 0) wrong(name, `no ${suffix}`);
    return found[0].value;
  };
  for (const { labels } of buckets)
    if (Object.keys(labels).join() !== "le" || (labels.le !== "+Inf" && !NUMBER.test(labels.le)))
      wrong(name, "no bound");
  if (bounds.at(-1) !== Infinity) wrong(name, "no +Inf");
  for (let i = 1; i < buckets.length; i++) {
    if (bounds[i] <= bounds[i - 1]) wrong(name, "bounds do not rise");
    if (buckets[i].value < buckets[i - 1].value) wrong(name, "buckets do not rise");
  }
  if (of("_count") !== buckets.at(-1).value) wrong(name, "_count is not +Inf");
  of("_sum");
}

// { name: { type, help, samples } }; throws at the first mistake.
export function readMetrics(text) {
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  const families = {};
  const seen = new Set();
  let family = null;
  for (const line of text.slice(0, -1).split("\n")) {
    const help = /^# HELP ([^ ]+) (.+)$/.exec(line);
    const type = /^# TYPE ([^ ]+) ([a-z]+)$/.exec(line);
    if (help) {
      const name = help[1];
      if (family && family.samples.length === 0) wrong(line, "the last family has no samples");
      if (!NAME.test(name)) wrong(line, "no name");
      if (name in families) wrong(line, "a family twice");
      if (/\\[^\\n]|\\$/.test(help[2].replaceAll("\\\\", ""))) wrong(line, "a bad escape");
      family = families[name] = { name, help: help[2], type: null, samples: [] };
    } else if (type) {
      if (family?.name !== type[1] || family.type) wrong(line, "a TYPE without its HELP");
      if (!SUFFIXES[type[2]]) wrong(line, "no type");
      if ((type[2] === "counter") !== type[1].endsWith("_total")) wrong(line, "_total and type");
      family.type = type[2];
    } else {
      const sample = readSample(line);
      if (!family?.type) wrong(line, "a sample without its TYPE");
      if (!SUFFIXES[family.type].some((suffix) => sample.name === family.name + suffix))
        wrong(line, `a sample of another family than ${family.name}`);
      const key = sample.name + JSON.stringify(Object.entries(sample.labels).sort());
      if (seen.has(key)) wrong(line, "a sample twice");
      seen.add(key);
      family.samples.push(sample);
    }
  }
  if (!family?.samples.length) throw new Error("the last family has no samples");
  for (const each of Object.values(families)) if (each.type === "histogram") checkHistogram(each);
  return families;
}

// The one value of that name with those labels.
export function value(families, name, labels = {}) {
  const family = families[name.replace(/_(?:bucket|sum|count)$/, "")] ?? families[name];
  const found = (family?.samples ?? []).filter(
    (sample) =>
      sample.name === name &&
      Object.entries(labels).every(([label, text]) => sample.labels[label] === text),
  );
  if (found.length !== 1) throw new Error(`${found.length} of ${name} ${JSON.stringify(labels)}`);
  return found[0].value;
}

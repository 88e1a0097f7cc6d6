// recorded_app.js - the recorded application taken out of a recording
//
// The recordings were made with an application that answered pushes by their
// event. Holdfast without an application does one thing with each push: it is
// broadcast to the topic's members (to the sender only where echo is on), then
// answered ok with {}; and a join that is allowed is answered {}. So of the
// application's events
//
//     echo          is answered {}, not with its payload; with echo on the
//                   payload comes back as a broadcast before
//     shout         is answered too, after its broadcast
//     shout_ack     is what every push does: sent as shout
//     shout_others  is that with echo off: sent as shout
//     ok            as recorded, with echo off
//
// Everything else of the recording stays.

const ANSWERED = new Set(["phx_join", "echo"]);
const SENT_AS = { shout_ack: "shout", shout_others: "shout" };

const isFrame = (text) => {
  try {
    return Array.isArray(JSON.parse(text));
  } catch {
    return false;
  }
};

const ok = (ref, topic, joinRef) =>
  JSON.stringify([joinRef, ref, topic, "phx_reply", { status: "ok", response: {} }]);
const isReply = ([, ref, topic, event], push) =>
  event === "phx_reply" && ref === push.ref && topic === push.topic;

// What must change in what is received after this push.
function edit(received, push, echo) {
  const out = [];
  for (const text of received) {
    const frame = JSON.parse(text);
    if (
      ANSWERED.has(push.event) &&
      !push.done &&
      isReply(frame, push) &&
      frame[4].status === "ok"
    ) {
      push.done = true;
      if (echo && push.event === "echo")
        out.push(JSON.stringify([null, null, push.topic, "echo", push.payload]));
      out.push(ok(push.ref, push.topic, frame[0]));
      continue;
    }
    out.push(text);
    const own =
      frame[3] === "shout" &&
      frame[2] === push.topic &&
      JSON.stringify(frame[4]) === JSON.stringify(push.payload);
    if (push.event === "shout" && !push.done && own) {
      push.done = true;
      out.push(ok(push.ref, push.topic, push.joinRef));
    }
  }
  return out;
}

// Received texts of a step, and the step (or steps) with others.
const receivedOf = (step) => {
  if (step.do === "ws-recv" && step.text) return [step.text];
  if (step.do !== "http-response" || !step.body?.includes('"messages":["')) return null;
  return JSON.parse(step.body).messages;
};

function withReceived(step, texts) {
  if (step.do === "ws-recv")
    return texts.map((text, i) => ({ ...step, n: i ? step.n + i / 10 : step.n, text }));
  return [{ ...step, body: JSON.stringify({ ...JSON.parse(step.body), messages: texts }) }];
}

// One line sent; pushes of the application are noted.
function rewrite(line, client, pushes, before) {
  if (!isFrame(line)) return line;
  const frame = JSON.parse(line);
  const [joinRef, ref, topic, event, payload] = frame;
  if (ANSWERED.has(event) || event === "shout")
    pushes.push({ client, joinRef, ref, topic, event, payload, done: false });
  if (event === "shout_others") before.push({ do: "policy", echo: "off" });
  if (!(event in SENT_AS)) return line;
  return JSON.stringify([joinRef, ref, topic, SENT_AS[event], payload]);
}

export function withoutApplication(steps, echo) {
  const pushes = [];
  return steps.flatMap((step) => {
    const before = [];
    if (step.do === "ws-send" && step.text) {
      const text = rewrite(step.text, step.client, pushes, before);
      return [...before, { ...step, text }];
    }
    if (step.do === "http-request" && step.body) {
      const body = step.body
        .split(/\r?\n/)
        .map((line) => rewrite(line, step.client, pushes, before))
        .join("\n");
      return [...before, { ...step, body }];
    }
    let texts = receivedOf(step);
    if (!texts) return [step];
    for (const push of pushes.filter(({ client }) => client === step.client))
      texts = edit(texts, push, echo);
    return withReceived(step, texts);
  });
}

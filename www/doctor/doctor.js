"use strict";
// What is between this browser and the gateway: measured here, judged there. Each
// question is a POST below doctor/ (gateway/probe.h says what they are).
{
  const $ = (id) => document.getElementById(id);
  const form = $("form");
  const socket = location.origin + form.dataset.socket;
  const key = form.elements.k.value;
  const HOLD = 37000; // longer than any poll is held
  const PARALLEL = 6; // of one site at once: no browser asks more by HTTP/1.1
  const PARALLEL_MS = 4000;
  const BODY = 140000;
  const order = ["problem", "warning", "note", "ok"];
  let told = [];
  let changes = [];

  // Status 0: no answer. The time-out is longer than anything that is asked for.
  async function ask(question, fields = {}, ms = 60000) {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), ms);
    const begun = performance.now();
    const out = { status: 0, took: 0, first: 0, text: "" };
    try {
      const response = await fetch(`${socket}/doctor/${question}?probe=holdfast`, {
        method: "POST",
        cache: "no-store",
        signal: stop.signal,
        headers: { Authorization: "Bearer holdfast-doctor", "X-Phoenix-AuthToken": "holdfast-doctor" },
        body: new URLSearchParams({ k: key, page: location.origin, ...fields }),
      });
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        out.first ||= Math.round(performance.now() - begun);
        out.text += decoder.decode(value, { stream: true });
      }
      out.status = response.status;
    } catch {
      // whatever came so far counts
    }
    clearTimeout(timer);
    out.took = Math.round(performance.now() - begun);
    return out;
  }

  const read = (text) => {
    try {
      const value = JSON.parse(text);
      return value && typeof value === "object" ? value : null;
    } catch {
      return null;
    }
  };

  async function body() {
    try {
      const response = await fetch(`${socket}/longpoll?vsn=2.0.0`, { method: "POST", body: " ".repeat(BODY) });
      // any answer of the gateway says that it arrived
      return { bytes: BODY, status: read(await response.text()) ? 200 : response.status };
    } catch {
      return { bytes: BODY, status: 0 };
    }
  }

  // A browser does not tell a refusal's status.
  const websocket = () =>
    new Promise((resolve) => {
      const ws = new WebSocket(`${socket.replace(/^http/, "ws")}/websocket?vsn=2.0.0`);
      const end = (result) => {
        clearTimeout(timer);
        ws.onopen = ws.onerror = ws.onclose = null;
        ws.close();
        resolve({ result });
      };
      const timer = setTimeout(end, 10000, "hung");
      ws.onopen = () => end("opened");
      ws.onerror = ws.onclose = () => end("refused");
    });

  async function parallel() {
    const all = await Promise.all(Array.from({ length: PARALLEL }, () => ask("hold", { ms: PARALLEL_MS })));
    const good = all.filter(({ status }) => status === 200);
    const refused = all.find(({ status }) => status !== 200);
    return {
      ms: PARALLEL_MS,
      asked: PARALLEL,
      ok: good.length,
      refused: refused ? refused.status : 0,
      slowest: Math.max(0, ...good.map(({ took }) => took)),
    };
  }

  const element = (name, text, className = "") => Object.assign(document.createElement(name), { textContent: text, className });

  function show(finding) {
    const item = element("li", "", finding.level);
    item.dataset.id = finding.id || "";
    item.append(element("b", finding.level), element("span", `${finding.subject}: ${finding.text}`));
    if (finding.id) {
      const more = element("dl", "");
      more.append(element("dt", "Why it matters"), element("dd", finding.why));
      more.append(element("dt", "What to do"), element("dd", finding.do));
      more.append(element("dt", "More"), element("dd", finding.link));
      item.append(more);
    }
    return item;
  }

  function tell(reports) {
    told = reports.flatMap(({ findings }) => findings);
    told.sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
    $("findings").replaceChildren(...told.map(show));
    const seen = new Map();
    for (const change of reports.flatMap((report) => report.changes)) if (!seen.has(change.name)) seen.set(change.name, change);
    changes = [...seen.values()];
    $("diff").textContent = changes.map(({ name, now, to }) => `- ${name} = ${now}\n+ ${name} = ${to}`).join("\n");
    $("changes").hidden = changes.length === 0;
    $("whole").hidden = false;
  }

  const now = (text) => ($("now").textContent = text);

  function notReached({ status, text }) {
    const refused = read(text);
    $("said").textContent =
      refused && refused.error
        ? `The gateway refuses: ${refused.error}.`
        : `${socket}/doctor was answered with ${status || "nothing"}, and not by the gateway.`;
    now("");
  }

  async function examine(withParallel) {
    const measured = { page: location.origin };
    now("Does it answer ...");
    const echo = await ask("echo");
    if (echo.status !== 200 || !read(echo.text)) return notReached(echo);
    measured.echo = read(echo.text);
    now("Looking at the host ...");
    await ask("facts"); // starts a process, of which is told below
    now("How answers come ...");
    const trickle = await ask("trickle");
    if (trickle.status === 200) measured.trickle = { first: trickle.first, last: trickle.took };
    measured.body = await body();
    measured.websocket = await websocket();
    now("How long a request may last: 37 seconds at most ...");
    const hold = await ask("hold", { ms: HOLD }, HOLD + 20000);
    measured.holds = [{ ms: HOLD, took: hold.took, status: hold.status }];
    if (withParallel) {
      now("How many requests at once ...");
      measured.parallel = await parallel();
    }
    measured.clock = Date.now();
    now("What follows ...");
    const facts = await ask("facts");
    const judged = await ask("judge", { measured: JSON.stringify(measured) });
    tell([judged, facts].map(({ text }) => read(text)).filter((report) => report && report.findings));
    now(withParallel ? "Done. A browser asks six requests at once; `holdfast doctor --parallel N URL` asks more." : "Done.");
    document.body.dataset.done = "yes";
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    $("said").textContent = "";
    await examine(form.elements.parallel.checked);
    button.disabled = false;
  });

  $("apply").addEventListener("click", async () => {
    const list = changes.map(({ name, to }) => `${name}=${parseInt(to, 10)}`).join(",");
    const done = await ask("apply", { changes: list });
    const answer = read(done.text) || {};
    now(
      answer.changed
        ? `Written.${answer.restart ? " A gateway that stays has to be started anew." : ""}`
        : `Nothing was changed: ${answer.error || done.status}`,
    );
    $("apply").disabled = Boolean(answer.changed);
  });

  $("copy").addEventListener("click", () => {
    const lines = told.map(({ level, subject, text, link }) => `${level} ${subject}: ${text}${link ? ` (${link})` : ""}`);
    const link = element("a", "");
    link.href = URL.createObjectURL(new Blob([lines.join("\n")], { type: "text/plain" }));
    link.download = "holdfast-doctor.txt";
    link.click();
  });
}

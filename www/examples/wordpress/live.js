// live.js - the page's side of the plugin: one connection, comments and chats
(() => {
  const { socket: mount, token, say, nonce } = window.holdfastLive;
  const headers = { "X-WP-Nonce": nonce };
  const socket = new Holdfast.Socket(mount, {
    authToken: async () => {
      let answer = await fetch(token, { headers, cache: "no-store" });
      // a page that was kept by a cache has an old nonce: then as anybody
      if (answer.status === 403) answer = await fetch(token, { cache: "no-store", credentials: "omit" });
      return (await answer.json()).token;
    },
  });

  // Goes on where the page ends. What came meanwhile and is not kept any more is
  // on the page as it is now.
  function follow(box, event, show) {
    const { topic, since } = box.dataset;
    const channel = socket.channel(topic, { since });
    channel.on(event, show);
    channel.onGap(() => location.reload());
    channel.join();
  }

  for (const list of document.querySelectorAll(".holdfast-live-comments")) {
    follow(list, "comment", ({ id, author, html }) => {
      if (document.getElementById(`comment-${id}`)) return; // the page has it
      const item = document.createElement("li");
      const who = document.createElement("b");
      item.id = `comment-${id}`;
      item.className = "comment";
      who.textContent = author;
      const text = document.createElement("div");
      text.innerHTML = html; // as WordPress itself prints it
      item.append(who, text);
      list.append(item);
    });
  }

  for (const box of document.querySelectorAll(".holdfast-live-chat")) {
    follow(box, "said", ({ name, text }) => {
      const item = document.createElement("li");
      const who = document.createElement("b");
      who.textContent = name;
      item.append(who, ` ${text}`);
      box.querySelector("ol").append(item);
    });
    box.querySelector("form")?.addEventListener("submit", async (event) => {
      event.preventDefault();
      const form = event.target;
      const answer = await fetch(say, {
        method: "POST",
        headers: { ...headers, "Content-Type": "application/json" },
        body: JSON.stringify({ topic: box.dataset.topic, text: form.text.value }),
      }).catch(() => ({ ok: false }));
      form.text.setCustomValidity(answer.ok ? "" : "It was not sent; please try again.");
      if (answer.ok) form.reset();
      else form.reportValidity();
      form.text.addEventListener("input", () => form.text.setCustomValidity(""), { once: true });
    });
  }

  socket.connect();
})();

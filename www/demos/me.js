/**
 * me.js - who somebody is in the demos: an id, a name, a colour
 *
 * Without accounts: a page is somebody of its own, and stays it when it is
 * loaded again. (Frames of one tab share their storage: hence the search.)
 */
const STORE = `me${location.search}`;
const pick = (words) => words[Math.floor(Math.random() * words.length)];

export const me = JSON.parse(sessionStorage.getItem(STORE)) ?? {
  id: Math.random().toString(36).slice(2),
  name: `${pick(["Calm", "Brave", "Merry", "Swift", "Gentle", "Wise"])} ${pick([
    "Otter", "Urchin", "Limpet", "Seal", "Heron", "Turtle",
  ])}`,
};
sessionStorage.setItem(STORE, JSON.stringify(me));

/** What a join says of me, so that others see me come and go. */
export function present() {
  return { key: me.id, meta: { name: me.name } };
}

/** An input that holds my name, and tells the others when it is another. */
export function nameInput(input, channel) {
  input.value = me.name;
  input.addEventListener("change", () => {
    me.name = input.value = clean(input.value, me.name);
    sessionStorage.setItem(STORE, JSON.stringify(me));
    const payload = { name: me.name };
    channel.push("presence", { type: "presence", event: "track", payload });
  });
}

/** Anybody may publish anything here: this is a name, whatever it was. */
export function clean(name, otherwise = "somebody") {
  return (typeof name === "string" && name.trim().slice(0, 40)) || otherwise;
}

/** Somebody as a chip: a letter on their colour, the name, and what else is to say. */
export function chip(name, hue, more = "") {
  const item = document.createElement("li");
  item.innerHTML = "<bdi></bdi><small></small>";
  item.prepend(face(name, hue));
  item.querySelector("bdi").textContent = name;
  item.querySelector("small").textContent = more;
  return item;
}

export function face(name, hue) {
  const element = document.createElement("span");
  element.className = "face";
  element.ariaHidden = "true";
  element.style.setProperty("--hue", hue);
  element.textContent = [...name][0].toUpperCase();
  return element;
}

/** The colour of somebody of whom no more is known than this text. */
export function hue(id) {
  return [...id].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);
}

// page.js - what a browser tells a page, at the test's word
//
// The option `page` of a Socket: events of window and document, and what can be
// asked there. Nothing happens by itself.
export class Page extends EventTarget {
  document = Object.assign(new EventTarget(), { hidden: false });
  navigator = { onLine: true };

  #tell(target, type, more = {}) {
    target.dispatchEvent(Object.assign(new Event(type), more));
  }

  hide() {
    this.document.hidden = true;
    this.#tell(this.document, "visibilitychange");
  }

  show() {
    this.document.hidden = false;
    this.#tell(this.document, "visibilitychange");
  }

  resume() {
    this.#tell(this.document, "resume");
  }

  offline() {
    this.navigator.onLine = false;
    this.#tell(this, "offline");
  }

  online() {
    this.navigator.onLine = true;
    this.#tell(this, "online");
  }

  // For another page. In the order of Chromium; `persisted`: it may come back.
  leave(persisted = true) {
    this.#tell(this, "pagehide", { persisted });
    this.hide();
  }

  back() {
    this.resume();
    this.show();
    this.#tell(this, "pageshow", { persisted: true });
  }
}

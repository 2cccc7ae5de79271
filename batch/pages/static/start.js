// What the three ways of reviewing begin with: this tab's name, its outbox, its leases, what it has to tell people.

import { Pictures, make, say } from "./dom.js";
import { KEYS } from "./keys.js";
import { Outbox, get } from "./outbox.js";

const RENEW = 120000; // milliseconds; a lease lasts for five minutes

export function begin() {
  const root = document.getElementById("review");
  const given = JSON.parse(root.dataset.given);
  const tab = [...crypto.getRandomValues(new Uint32Array(4))].map((number) => number.toString(16)).join("-");
  const outbox = new Outbox(given.person, tab, showUnsent);
  const notices = new Notices();
  outbox.onLeftBehind = (result) => notices.refused(result, null);
  for (const { keys, words } of KEYS) {
    document.getElementById("keys").append(make("tr", {},
      make("th", { scope: "row" }, ...keys.map((key) => make("kbd", {}, key))), make("td", {}, words)));
  }
  return { root, given, tab, outbox, notices, pictures: new Pictures(), source: new Source(given, tab) };
}

// Photos of the server's, leased to this tab for as long as it is open.
class Source {
  constructor(given, tab) {
    this.given = given;
    this.tab = tab;
    this.held = new Set();
    setInterval(() => this.#renew(), RENEW);
    window.addEventListener("pagehide", () => navigator.sendBeacon(given.addresses.release, json({ tab })));
  }

  // Those that are not known yet; nothing where the server cannot be asked.
  async more(known) {
    let after = "";
    for (;;) {
      const address = new URL(this.given.addresses.photos, location.href);
      for (const [name, value] of Object.entries(this.given.query)) address.searchParams.set(name, value);
      address.searchParams.set("tab", this.tab);
      if (this.given.unseen) address.searchParams.set("has", [...known].slice(0, 150).join(","));
      if (after) address.searchParams.set("after", after);
      const page = await get(address);
      if (!page?.photos) {
        if (page?.status === 401) location.reload();
        return [];
      }
      const fresh = page.photos.filter((photo) => !known.has(photo.id));
      for (const photo of fresh) this.held.add(photo.id);
      if (fresh.length || !page.after) return fresh;
      after = page.after;
    }
  }

  decided(photo) {
    this.held.delete(photo.id);
  }

  undone(photo) {
    this.held.add(photo.id);
  }

  #renew() {
    if (!this.held.size) return;
    fetch(this.given.addresses.renew, {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ tab: this.tab, ids: [...this.held].slice(-100) }),
    }).catch(() => {}); // then somebody else may get them; a decision that comes second is told so
  }
}

function json(content) {
  return new Blob([JSON.stringify(content)], { type: "application/json" });
}

function showUnsent(count, isSignedOut) {
  const place = document.getElementById("unsent");
  place.hidden = !count;
  if (!count) return;
  const words = count === 1 ? "1 decision is on its way" : `${count} decisions are on their way`;
  place.replaceChildren(words);
  if (isSignedOut) place.append("; you have been signed out: ", make("a", { href: location.href, target: "_blank" }, "sign in again"), ", and they are stored.");
  else if (!navigator.onLine) place.append("; there is no network. They are kept here and sent again.");
  else place.append(" …");
}

// What could not be done as decided: said where it is seen, without stopping the work.
class Notices {
  constructor() {
    this.place = document.getElementById("notices");
  }

  refused(result, photo, insist) {
    const { problem, over } = result.answer;
    const note = make("div", { class: "note" }, make("p", {}, photo?.name ? `${photo.name}: ` : "", problem || "This decision could not be stored."));
    const close = () => note.remove();
    const acts = make("p", { class: "acts" });
    if (over && insist) {
      acts.append(make("button", { type: "button", on: { click: close } }, `Leave it: ${result.answer.theirs}`),
        make("button", { type: "button", on: { click: () => { close(); insist(over); } } }, `Mine counts: ${result.answer.yours}`));
    } else acts.append(make("button", { type: "button", on: { click: close } }, "Close"));
    note.append(acts);
    this.place.prepend(note);
    say(problem || "");
  }
}

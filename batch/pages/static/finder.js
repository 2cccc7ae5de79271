// The text box in which an answer is found by its first letters: a combobox, as screen readers know it.

import { make } from "./dom.js";
import { letterOf } from "./keys.js";

const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

export class Finder {
  // `options` are { words, more, value }; `take(value)` is called with the one that was chosen.
  constructor(input, list, options, take) {
    Object.assign(this, { input, list, options, take, found: [], active: 0 });
    input.addEventListener("input", () => this.#look());
    input.addEventListener("keydown", (event) => this.#key(event));
    input.addEventListener("blur", () => this.#close());
    list.addEventListener("pointerdown", (event) => event.preventDefault());
    list.addEventListener("click", (event) => {
      const place = [...list.children].indexOf(event.target.closest("[role=option]"));
      if (place >= 0) this.#choose(place);
    });
    input.addEventListener("focus", () => this.#look());
  }

  begin(letter) {
    this.input.focus();
    this.input.value = letter;
    this.#look();
  }

  #look() {
    const typed = plain(this.input.value.trim());
    const begins = (text) => plain(text).startsWith(typed);
    this.found = this.options.filter((option) => begins(option.words));
    if (typed && !this.found.length) this.found = this.options.filter((option) => plain(option.words).includes(typed));
    this.active = 0;
    this.list.replaceChildren(...this.found.map((option, place) => make(
      "li", { role: "option", id: `${this.list.id}-${place}`, "aria-selected": place === 0 },
      make("span", {}, option.words), make("span", { class: "soft" }, option.more))));
    if (!this.found.length) this.list.append(make("li", { class: "soft" }, "no such answer"));
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.#mark();
  }

  #key(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") {
      event.preventDefault();
      if (this.input.value.trim() || event.target.dataset.moved) this.#choose(this.active);
    } else if (event.key === "Escape") {
      event.preventDefault();
      this.input.value = "";
      this.input.blur();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.input.dataset.moved = "yes";
      this.active = Math.max(0, Math.min(this.found.length - 1, this.active + step));
      this.#mark();
    } else if (event.key.length === 1 && !/^[\x20-\x7eà-ÿ]$/i.test(event.key) && letterOf(event)) {
      event.preventDefault(); // a layout without Latin letters
      this.input.value += letterOf(event);
      this.#look();
    }
  }

  #mark() {
    [...this.list.children].forEach((option, place) => option.setAttribute("aria-selected", String(place === this.active)));
    const active = this.list.children[this.active];
    if (this.found.length) this.input.setAttribute("aria-activedescendant", active.id);
    else this.input.removeAttribute("aria-activedescendant");
    active?.scrollIntoView({ block: "nearest" });
  }

  #choose(place) {
    const option = this.found[place];
    if (!option) return;
    this.input.value = "";
    this.input.blur();
    this.take(option.value);
  }

  #close() {
    this.list.hidden = true;
    delete this.input.dataset.moved;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }
}

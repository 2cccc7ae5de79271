// One photo at a time: what is shown of it, what people answer, what they take back. The pages that use it say where
// photos come from (`source.more()`), what an answer is sent to, and whether the model's answer is shown at all.

import { Finder } from "./finder.js";
import { make, percent, picture, say } from "./dom.js";

const CANNOT_TELL = { cannot_tell: true }, NO_CLOTHING = { no_clothing: true };
const AHEAD = 10;

export class Desk {
  // `addresses`: decide, undo. `choices`: { categories: [{main, sub}], colours: [], backgrounds: [] }.
  constructor(root, { addresses, choices, outbox, source, pictures, notices, unseen = false, onEmpty = () => {} }) {
    Object.assign(this, { root, addresses, choices, outbox, source, pictures, notices, unseen, onEmpty });
    this.queue = [];
    this.skipped = [];
    this.done = [];
    this.current = null;
    this.place = (name) => root.querySelector(`[data-place="${name}"]`);
    const options = choices.categories.map(({ main, sub }) => ({ words: sub, more: main === sub ? "" : main, value: { main, sub } }));
    if (!unseen) options.push(...choices.colours.map((colour) => ({ words: colour, more: "colour", value: { colour } })));
    this.finder = new Finder(this.place("find"), this.place("found"), options, (value) => this.#found(value));
    this.actions = {
      digit: (number) => this.#numbered(number),
      letter: (letter) => this.current && this.finder.begin(letter),
      accept: () => this.accept(),
      on: () => this.skip(),
      back: () => this.back(),
      undo: () => this.undo(),
      leave: () => this.#zoom(false),
    };
    root.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-act]");
      if (button) this.actions[button.dataset.act](button.dataset.number ? Number(button.dataset.number) : undefined);
    });
    this.place("mat").addEventListener("click", (event) => { if (event.target.closest("img")) this.#zoom(); });
  }

  async start() {
    await this.#fill();
    this.#show(this.queue.shift() || null);
  }

  // Shows the next one at once, and asks for more in time.
  next() {
    this.#show(this.queue.shift() || null);
    this.#fill().then(() => { if (!this.current && this.queue.length) this.#show(this.queue.shift()); });
  }

  accept() {
    const photo = this.current;
    if (!photo) return;
    if (photo.chosen.sub) this.#decide({ ...photo.chosen });
    else say("There is no answer to accept: choose one.");
  }

  skip() {
    if (!this.current) return;
    this.skipped.push(this.current);
    this.next();
  }

  back() {
    const before = this.skipped.pop();
    if (!before) return;
    if (this.current) this.queue.unshift(this.current);
    this.#show(before);
  }

  async undo() {
    const last = this.done.pop();
    if (!last) {
      if (this.addresses.newest) await this.#undoEarlier();
      return;
    }
    if (this.current) this.queue.unshift(this.current);
    this.#show({ ...last.photo, chosen: { ...last.photo.answer } });
    this.source.undone?.(last.photo);
    say("Taken back.");
    if (this.outbox.withdraw(last.key)) return;
    const { settled } = this.outbox.send(this.addresses.undo, { receipt: last.receipt }, { after: last.receipt ? "" : last.key });
    const result = await settled;
    if (!result.ok) this.notices.refused(result, last.photo);
  }

  // A decision of before this page was opened.
  async #undoEarlier() {
    const { settled } = this.outbox.send(this.addresses.newest, {});
    const result = await settled;
    if (!result.ok) return this.notices.refused(result, null);
    if (!result.answer.photo) return say("There is nothing left to take back.");
    if (this.current) this.queue.unshift(this.current);
    this.#show(ready(result.answer.photo));
  }

  #decide(verdict, over = "") {
    const photo = this.current;
    const { key, settled } = this.outbox.send(this.addresses.decide, { id: photo.id, verdict, over });
    const entry = { photo, key, receipt: "" };
    this.done.push(entry);
    this.source.decided?.(photo);
    this.next();
    settled.then((result) => {
      if (result.ok) entry.receipt = result.answer.receipt;
      else {
        this.done = this.done.filter((other) => other !== entry);
        this.notices.refused(result, photo, (receipt) => this.#again(photo, verdict, receipt));
      }
    });
  }

  #again(photo, verdict, over) {
    const { key, settled } = this.outbox.send(this.addresses.decide, { id: photo.id, verdict, over });
    const entry = { photo, key, receipt: "" };
    this.done.push(entry);
    settled.then((result) => {
      if (result.ok) entry.receipt = result.answer.receipt;
      else this.notices.refused(result, photo);
    });
  }

  #numbered(number) {
    const button = this.current && this.root.querySelector(`button[data-number="${number}"]:not([hidden])`);
    if (!button) return;
    const photo = this.current;
    if (number >= 1 && number <= 3) this.#decide({ ...photo.chosen, ...photo.categories[number - 1].value });
    else if (number <= 6 && number >= 4) this.#choose({ colour: photo.colours[number - 4].value });
    else if (number === 7) this.#choose({ background: this.#otherBackground(photo) });
    else if (number === 8) this.#zoom();
    else this.#decide(number === 9 ? CANNOT_TELL : NO_CLOTHING);
  }

  #found(value) {
    if (!this.current) return;
    if (value.sub) this.#decide({ ...this.current.chosen, ...value });
    else this.#choose(value);
  }

  #choose(change) {
    Object.assign(this.current.chosen, change);
    this.#panel();
    say(Object.values(change)[0]);
  }

  #otherBackground(photo) {
    const all = this.choices.backgrounds;
    return all[(all.indexOf(photo.chosen.background) + 1) % all.length];
  }

  async #fill() {
    if (this.filling || this.queue.length >= AHEAD) return;
    this.filling = true;
    const known = new Set([this.current, ...this.queue, ...this.skipped, ...this.done.map((entry) => entry.photo).reverse()]
      .filter(Boolean).map((photo) => photo.id));
    const found = await this.source.more(known);
    this.filling = false;
    for (const photo of found || []) {
      if ([this.current, ...this.queue, ...this.done.map((entry) => entry.photo)].some((one) => one?.id === photo.id)) continue;
      this.queue.push(ready(photo));
    }
    for (const photo of this.queue.slice(0, AHEAD)) this.pictures.fetch(photo.picture);
  }

  #show(photo) {
    this.current = photo;
    this.root.classList.toggle("empty", !photo);
    this.#zoom(false);
    this.place("empty").hidden = Boolean(photo);
    this.place("panel").hidden = !photo;
    if (!photo) {
      this.place("mat").replaceChildren();
      this.onEmpty();
      return;
    }
    for (const ahead of this.queue.slice(0, AHEAD)) this.pictures.fetch(ahead.picture);
    this.place("mat").replaceChildren(picture(photo.picture, this.unseen ? "the photo" : photo.name, this.pictures.fetch(photo.picture)));
    this.#panel();
    if (!this.unseen) say(`${photo.name}: ${photo.chosen.sub || "no answer"}`);
  }

  #panel() {
    const photo = this.current;
    if (this.unseen) return;
    this.place("name").textContent = photo.name;
    this.place("reason").textContent = [photo.reason, photo.doubts].filter(Boolean).join(", ");
    this.place("story").href = photo.story;
    const isChosen = (value) => value.sub === photo.chosen.sub && value.main === photo.chosen.main;
    this.place("categories").replaceChildren(...photo.categories.map(({ value, sure }, place) =>
      choice(place + 1, value.sub, sure, isChosen(value))));
    this.place("colours").replaceChildren(...photo.colours.map(({ value, sure }, place) =>
      choice(place + 4, value, sure, value === photo.chosen.colour)));
    this.place("colours-of").hidden = !photo.colours.length;
    const other = photo.colours.every(({ value }) => value !== photo.chosen.colour) && photo.chosen.colour;
    if (other) this.place("colours").append(make("span", { class: "chosen" }, other));
    this.place("background").replaceChildren(photo.chosen.background || "no answer");
    this.place("background-of").hidden = !this.choices.backgrounds.length;
    this.place("accepting").textContent = photo.chosen.sub ? `Accept ${photo.chosen.sub}` : "Choose an answer";
  }

  #zoom(wanted) {
    const isLarge = this.place("mat").classList.toggle("larger", wanted);
    this.root.querySelector('button[data-number="8"]').setAttribute("aria-pressed", String(isLarge));
  }
}

// A photo as the server sends it, with what people have chosen so far: the model's answer, until they change it.
export function ready(photo) {
  return { ...photo, chosen: { ...photo.answer } };
}

function choice(number, words, sure, isChosen) {
  return make("button", { type: "button", "data-act": "digit", "data-number": number, "aria-pressed": isChosen },
    make("kbd", { "aria-hidden": "true" }, number), make("span", { class: "words" }, words), make("span", { class: "soft" }, percent(sure)));
}

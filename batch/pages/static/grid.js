// Many at once: photos that the model calls the same, in rows of eight. The wrong ones are marked, Enter accepts the
// rest, and the marked ones come one by one.

import { Desk, ready } from "./desk.js";
import { make, percent, picture, say } from "./dom.js";
import { listen } from "./keys.js";
import { begin } from "./start.js";

const SHOWN = 24, ROW = 8;

const { root, given, outbox, notices, pictures, source } = begin();
const place = (name) => root.querySelector(`[data-grid="${name}"]`);
let queue = [], shown = [], marked = new Set(), row = 0, history = [], skipped = [], filling = null;
const decidedLately = new Set(); // perhaps not stored yet: the server may still call them waiting

const desk = new Desk(document.getElementById("desk"), {
  addresses: given.addresses, choices: given.choices, outbox, pictures, notices, onEmpty: nextGrid,
  source: {
    more: async () => [],
    decided: (photo) => { gone(photo); history.push(() => { turnTo("one"); return takeBackOne(); }); },
    undone: (photo) => back(photo),
  },
});
const takeBackOne = desk.undo.bind(desk);

const isMany = () => !place("many").hidden;
const either = (name, many) => (detail) => (isMany() ? many(detail) : desk.actions[name](detail));
const actions = {
  digit: either("digit", (number) => mark(ROW * row + number - 1, number)),
  accept: either("accept", acceptRest),
  on: either("on", () => (row + 1 < rows() ? go(row + 1) : skipGrid())),
  back: either("back", () => (row ? go(row - 1) : backGrid())),
  undo: () => undo(),
  letter: (letter) => { if (!isMany()) desk.actions.letter(letter); },
  leave: () => desk.actions.leave(),
};
desk.actions.undo = actions.undo;
desk.undo = actions.undo;
listen(actions);
for (const button of root.querySelectorAll("[data-many]")) button.addEventListener("click", () => actions[button.dataset.many]());
root.classList.add("ready");
nextGrid();

async function nextGrid() {
  turnTo("many");
  if (queue.length < SHOWN) await fill();
  showGrid(cut());
  fill();
}

// The next photos of one category, from the front of the queue.
function cut() {
  const first = queue[0];
  const isSame = (photo) => photo.answer.sub === first.answer.sub && photo.answer.main === first.answer.main;
  const same = queue.filter(isSame).slice(0, SHOWN);
  queue = queue.filter((photo) => !same.includes(photo));
  return same;
}

function showGrid(photos, marks = new Set()) {
  shown = photos;
  marked = marks;
  row = 0;
  place("empty").hidden = Boolean(shown.length);
  place("acts").hidden = !shown.length;
  if (!shown.length) {
    place("title").textContent = "Nothing more waits here";
    place("rows").replaceChildren();
    if (skipped.length) place("again").hidden = false;
    return;
  }
  place("again").hidden = true;
  const [{ answer }] = shown;
  if (!answer.sub) marked = new Set(shown.keys()); // the model has no answer that could be accepted
  place("title").textContent = answer.sub ? `The model says: ${answer.sub}` : "The model has no answer";
  place("rows").replaceChildren(...Array.from({ length: rows() }, (_, number) =>
    make("div", { class: "row", role: "group", "aria-label": `Row ${number + 1}` }, ...shown.slice(ROW * number, ROW * (number + 1)).map((photo, within) => tile(photo, ROW * number + within)))));
  paint();
  say(`${shown.length} photos that the model calls ${answer.sub || "nothing"}.`);
}

function tile(photo, number) {
  return make("button", { type: "button", class: "tile-photo", "aria-pressed": "false", on: { click: () => mark(number) } },
    make("kbd", { "aria-hidden": "true" }, number % ROW + 1), picture(photo.small, photo.name),
    make("span", { class: "soft" }, percent(photo.sure)), make("span", { class: "wrong" }, "wrong"));
}

function mark(number, digit) {
  if (number >= shown.length || (digit !== undefined && (digit < 1 || digit > ROW))) return;
  if (marked.has(number)) marked.delete(number);
  else marked.add(number);
  paint();
  say(`${shown[number].name}: ${marked.has(number) ? "wrong" : "right"}`);
}

function paint() {
  [...place("rows").children].forEach((one, number) => one.classList.toggle("active", number === row));
  [...place("rows").querySelectorAll(".tile-photo")].forEach((one, number) => one.setAttribute("aria-pressed", String(marked.has(number))));
  const rest = shown.length - marked.size;
  place("accepting").textContent = marked.size ? `Accept the other ${rest}, then decide on ${marked.size}` : rest === 1 ? "Accept it" : `Accept all ${rest}`;
}

function rows() {
  return Math.ceil(shown.length / ROW);
}

function go(number) {
  row = number;
  paint();
  place("rows").children[row].scrollIntoView({ block: "nearest" });
}

function acceptRest() {
  if (!shown.length) return;
  const photos = shown, marks = marked;
  const rest = photos.filter((_, number) => !marks.has(number));
  const wrong = photos.filter((_, number) => marks.has(number));
  if (rest.length) accept(photos, marks, rest);
  if (wrong.length) {
    desk.queue.push(...wrong.map(ready));
    turnTo("one");
    desk.next();
  } else nextGrid();
}

function accept(photos, marks, rest) {
  const { key, settled } = outbox.send(given.addresses.decideAll, {
    verdicts: rest.map((photo) => ({ id: photo.id, verdict: photo.answer })),
  });
  rest.forEach(gone);
  const entry = { key, settled };
  history.push(() => takeBackGrid(entry, photos, marks, rest));
  settled.then((result) => {
    if (!result.ok) return notices.refused(result, null);
    for (const one of result.answer.results) {
      if (one.problem) notices.refused({ answer: { problem: one.problem } }, rest.find((photo) => photo.id === one.id));
    }
  });
}

async function takeBackGrid({ key, settled }, photos, marks, rest) {
  queue.unshift(...shown.filter((photo) => isMany() && !photos.includes(photo)));
  desk.queue = [];
  desk.current = null;
  turnTo("many");
  rest.forEach(back);
  showGrid(photos, marks);
  say("Taken back.");
  if (outbox.withdraw(key)) return;
  const { ok, answer } = await settled;
  if (!ok) return;
  for (const receipt of answer.receipts.reverse()) {
    const undone = await outbox.send(given.addresses.undo, { receipt }).settled;
    if (!undone.ok) notices.refused(undone, null);
  }
}

function undo() {
  const last = history.pop();
  if (last) last();
  else say("There is nothing left to take back here.");
}

function skipGrid() {
  skipped.push(shown);
  nextGrid();
}

function backGrid() {
  const before = skipped.pop();
  if (!before) return;
  queue.unshift(...shown);
  showGrid(before);
}

place("again").addEventListener("click", () => {
  queue.push(...skipped.splice(0).flat());
  nextGrid();
});

function gone(photo) {
  decidedLately.add(photo.id);
  source.decided(photo);
}

function back(photo) {
  decidedLately.delete(photo.id);
  source.undone(photo);
}

function turnTo(which) {
  place("many").hidden = which !== "many";
  document.getElementById("desk").hidden = which !== "one";
}

function fill() {
  filling ||= (async () => {
    const known = new Set([...shown, ...queue, ...skipped.flat(), ...desk.queue, desk.current].filter(Boolean).map((photo) => photo.id));
    for (const photo of decidedLately) known.add(photo);
    const found = (await source.more(known)).filter((photo) => !decidedLately.has(photo.id));
    queue.push(...found);
    for (const photo of found) new Image().src = photo.small;
    filling = null;
  })();
  return filling;
}

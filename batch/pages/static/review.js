// One by one.

import { Desk } from "./desk.js";
import { make } from "./dom.js";
import { listen } from "./keys.js";
import { begin } from "./start.js";

const { root, given, outbox, notices, pictures, source } = begin();
const desk = new Desk(document.getElementById("desk"), {
  addresses: given.addresses, choices: given.choices, outbox, source, pictures, notices, onEmpty: showEnd,
});
listen(desk.actions);
root.classList.add("ready");
desk.start();

function showEnd() {
  const place = desk.place("empty");
  place.replaceChildren(make("h2", {}, "Nothing more waits here"));
  if (desk.skipped.length) {
    const count = desk.skipped.length;
    place.append(make("p", {}, count === 1 ? "You went on from one without deciding." : `You went on from ${count} without deciding.`),
      make("p", { class: "acts" }, make("button", { type: "button", class: "main", on: { click: () => {
        desk.queue.push(...desk.skipped.splice(0));
        desk.next();
      } } }, "Go through them again")));
  } else place.append(make("p", {}, "Photos that others look at just now come back if they leave them."));
  place.append(make("p", {}, make("a", { href: given.addresses.home }, "To last night")));
}

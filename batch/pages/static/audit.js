// The audit: photos that were filed, without a trace of what the model said.

import { Desk } from "./desk.js";
import { make } from "./dom.js";
import { listen } from "./keys.js";
import { begin } from "./start.js";

const { root, given, tab, outbox, notices, pictures, source } = begin();
const bound = {
  send: (address, body, options) => outbox.send(address, { tab, ...body }, options),
  withdraw: (key) => outbox.withdraw(key),
};
const desk = new Desk(document.getElementById("desk"), {
  addresses: given.addresses, choices: given.choices, outbox: bound, source, pictures, notices, unseen: true, onEmpty: showEnd,
});
desk.root.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-category]");
  if (button && desk.current) desk.finder.take(given.choices.categories[Number(button.dataset.category)]);
});
listen(desk.actions);
root.classList.add("ready");
desk.start();

function showEnd() {
  desk.place("empty").replaceChildren(
    make("h2", {}, "Nothing is left for you to check"),
    make("p", {}, "Each night marks some of those that it files; they come here. What others have on their screens comes back if they leave it."),
    make("p", {}, make("a", { href: given.addresses.home }, "To last night")));
}

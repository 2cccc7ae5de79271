// Keys: each means one thing on every page. They rest while a text box has the focus or help is open, and go by
// their place on the keyboard or by what they write, whichever does not depend on the layout.

export const KEYS = [
  { name: "digit", keys: ["0", "…", "9"], words: "choose what has this number" },
  { name: "accept", keys: ["Enter"], words: "accept what is shown, and go on" },
  { name: "letter", keys: ["a", "…", "z"], words: "find another answer by its first letters; Enter takes it" },
  { name: "on", keys: ["→"], words: "go on, without deciding" },
  { name: "back", keys: ["←"], words: "go back, without deciding" },
  { name: "undo", keys: ["Backspace"], words: "take back your last decision" },
  { name: "leave", keys: ["Esc"], words: "leave the text box, the larger picture, or this help" },
  { name: "help", keys: ["?"], words: "show these keys" },
];

const BY_CODE = {
  Enter: "accept", NumpadEnter: "accept", ArrowRight: "on", ArrowLeft: "back", Backspace: "undo", Escape: "leave",
};

// Calls actions[name](detail) for each key; a page that has no such action leaves the key to the browser.
export function listen(actions) {
  const help = document.getElementById("help");
  const all = { help: () => help.showModal(), ...actions };
  for (const button of document.querySelectorAll("[data-help]")) button.addEventListener("click", all.help);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || document.querySelector("dialog[open]")) return;
    if (rests(event.target)) return;
    const [name, detail] = meaning(event);
    if (!name || !all[name]) return;
    if (name === "accept" && ownsEnter(event.target)) return;
    if (event.repeat && name !== "on" && name !== "back") { event.preventDefault(); return; }
    event.preventDefault();
    all[name](detail);
  });
  // a button that was clicked would keep the focus, and take the next Enter for itself
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest("button");
    if (button && event.detail > 0) button.blur();
  });
}

function meaning(event) {
  const digit = /^(?:Digit|Numpad)([0-9])$/.exec(event.code);
  if (event.key === "?") return ["help"];
  if (digit && !event.shiftKey) return ["digit", Number(digit[1])];
  if (digit && !/^[0-9]$/.test(event.key)) return [];
  if (digit) return ["digit", Number(digit[1])];
  if (BY_CODE[event.code] || BY_CODE[event.key]) return [BY_CODE[event.code] || BY_CODE[event.key]];
  const letter = letterOf(event);
  return letter ? ["letter", letter] : [];
}

// The letter that a key writes; on a layout without Latin letters, the Latin one at its place.
export function letterOf(event) {
  if (event.key.length !== 1) return "";
  if (/^[a-zà-ÿ]$/i.test(event.key)) return event.key.toLowerCase();
  const place = /^Key([A-Z])$/.exec(event.code);
  return place && /\p{L}/u.test(event.key) ? place[1].toLowerCase() : "";
}

function rests(target) {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches("textarea, select, input:not([type=checkbox]):not([type=radio]):not([type=button])"));
}

// Enter on a link or button that was reached by Tab is that one's.
function ownsEnter(target) {
  return target instanceof HTMLElement && target.matches("a[href], button, summary, [role=option]");
}

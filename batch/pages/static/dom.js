// What every page's script needs of the document. Text only ever becomes text, whatever a file is called.

export function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") for (const [event, action] of Object.entries(value)) made.addEventListener(event, action);
    else if (key.startsWith("aria-")) made.setAttribute(key, String(value));
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined && value !== null) made.setAttribute(key, String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function percent(share) {
  return share === null || share === undefined ? "" : `${Math.round(100 * share)}\u00a0%`;
}

// What a screen reader says, and others need not see.
export function say(text) {
  const place = document.getElementById("said");
  if (place) place.textContent = text;
}

// A picture that is there when it is shown; photos without one get a word in its place.
export class Pictures {
  #known = new Map();

  fetch(address) {
    if (!this.#known.has(address)) {
      const image = new Image();
      image.decoding = "async";
      image.src = address;
      this.#known.set(address, image);
      image.decode().catch(() => { image.dataset.missing = "yes"; });
      while (this.#known.size > 60) this.#known.delete(this.#known.keys().next().value);
    }
    return this.#known.get(address);
  }
}

export function picture(address, alt, image = new Image()) {
  image.alt = alt;
  const shown = make("span", { class: "frame" }, image);
  const missing = () => shown.replaceChildren(make("span", { class: "none" }, "no picture", make("span", { class: "unseen" }, ` of ${alt}`)));
  image.addEventListener("error", missing);
  if (!image.src) image.src = address;
  else if (image.complete && !image.naturalWidth) missing();
  return shown;
}

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

// Pictures that are fetched ahead, so that they are there when they are shown. Of a photo without one the server sends a
// picture that says so.
export class Pictures {
  #known = new Map();

  fetch(address) {
    if (!this.#known.has(address)) {
      const image = new Image();
      image.src = address;
      image.decode().catch(() => {}); // no network: the browser tries again when it is shown
      this.#known.set(address, image);
      while (this.#known.size > 60) this.#known.delete(this.#known.keys().next().value);
    }
    return this.#known.get(address);
  }
}

export function picture(address, alt, image = new Image()) {
  image.alt = alt;
  if (!image.src) image.src = address;
  return make("span", { class: "frame" }, image);
}

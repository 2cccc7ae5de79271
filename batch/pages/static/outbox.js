// Decisions on their way. Each is sent at once and kept in the browser until the server has it: one that could not be
// sent (no network, the pages restarted, the session over) is counted where people see it, and sent again.

const PLACE = "nightsort.unsent.";
const STALE = 15000; // milliseconds after which another tab's unsent ones are taken for left behind
const FIRST_WAIT = 1000, LONGEST_WAIT = 30000;
const MOST_FAULTS = 5; // so often is sent what makes the server fail; then people are told, and the others go on
const LATER = [423, 429, 502, 503, 504];

export class Outbox {
  #items = [];
  #waiting = new Map();
  #wait = FIRST_WAIT;
  #busy = false;
  #timer = 0;
  #flying = null;

  constructor(person, tab, show) {
    this.person = person;
    this.mine = `${PLACE}${person}.`;
    this.place = this.mine + tab;
    this.show = show;
    window.addEventListener("online", () => this.#again());
    window.addEventListener("beforeunload", (event) => { if (this.#items.length) event.preventDefault(); });
    setInterval(() => { if (this.#items.length) this.#keep(); this.#adopt(); }, STALE / 3);
    this.#adopt();
  }

  // Sends `body` to `address`. `after` is the key of an earlier item whose receipt this one needs.
  // Resolves to { ok, status, answer } when the server has answered, however long that takes.
  send(address, body, { after = "" } = {}) {
    const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
    const settled = new Promise((resolve) => this.#waiting.set(key, resolve));
    this.#items.push({ key, address, body, after, receipt: "" });
    this.#keep();
    this.#run();
    return { key, settled };
  }

  // Forgets an item that has not been sent yet; whether there was one.
  withdraw(key) {
    const place = this.#items.findIndex((item) => item.key === key);
    if (place < 0 || this.#flying === key) return false;
    this.#items.splice(place, 1);
    this.#keep();
    return true;
  }

  async #run() {
    if (this.#busy) return;
    this.#busy = true;
    clearTimeout(this.#timer);
    while (this.#items.length) {
      const item = this.#items[0];
      this.#flying = item.key;
      const body = { ...item.body, as: this.person };
      const result = await post(item.address, item.after ? { ...body, receipt: item.receipt } : body);
      this.#flying = null;
      this.signedOut = result?.status === 401;
      const isFault = result?.status === 500 && (item.faults = (item.faults || 0) + 1) < MOST_FAULTS;
      if (!result || this.signedOut || isFault) {
        this.#timer = setTimeout(() => this.#run(), this.#wait);
        this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT);
        break;
      }
      this.#wait = FIRST_WAIT;
      this.#items.shift();
      for (const other of this.#items) if (other.after === item.key) other.receipt = result.answer.receipt || "";
      this.#items = this.#items.filter((other) => other.after !== item.key || other.receipt);
      this.#keep();
      const resolve = this.#waiting.get(item.key);
      this.#waiting.delete(item.key);
      if (resolve) resolve(result);
      else if (!result.ok) this.onLeftBehind?.(result);
    }
    this.#busy = false;
    this.#tell();
  }

  #again() {
    this.#wait = FIRST_WAIT;
    this.#run();
  }

  #keep() {
    try {
      if (this.#items.length) localStorage.setItem(this.place, JSON.stringify({ at: Date.now(), items: this.#items }));
      else localStorage.removeItem(this.place);
    } catch { /* a browser that keeps nothing: they are still sent, and counted */ }
    this.#tell();
  }

  // Takes over what a tab that was closed, or died, could not send.
  #adopt() {
    try {
      for (const place of Object.keys(localStorage)) {
        if (!place.startsWith(this.mine) || place === this.place) continue;
        const left = JSON.parse(localStorage.getItem(place));
        if (Date.now() - left.at < STALE) continue;
        localStorage.removeItem(place);
        this.#items.push(...left.items);
        this.#keep();
        this.#run();
      }
    } catch { /* as above */ }
  }

  #tell() {
    this.show(this.#items.length, Boolean(this.signedOut));
  }
}

// Resolves to nothing when the server could not be reached, or cannot answer now.
export async function post(address, body) {
  try {
    const reply = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(20000),
    });
    if (LATER.includes(reply.status)) return null;
    const answer = await reply.json().catch(() => ({ problem: reply.statusText }));
    return { ok: reply.ok, status: reply.status, answer };
  } catch {
    return null;
  }
}

export async function get(address) {
  try {
    const reply = await fetch(address, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(20000) });
    return reply.ok ? await reply.json() : { status: reply.status };
  } catch {
    return null;
  }
}

// The watch list, and the search that fills it: a combobox for the keyboard, a list for the finger.

import { byId, element, svg } from "./dom.js";
import { count, percent, price } from "./format.js";

const WIDTH = 56;
const HEIGHT = 24;
const PAUSE_MS = 150;

export class WatchList {
  // `choose` is called with a symbol, and `search` with a text.
  constructor(choose, search) {
    this.choose = choose;
    this.list = byId("list");
    this.input = byId("search");
    this.rows = new Map();
    this.active = null;
    this.input.addEventListener("input", () => {
      clearTimeout(this.pause);
      this.pause = setTimeout(() => search(this.input.value.trim()), PAUSE_MS);
    });
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("focus", () => document.body.classList.add("searching"));
    this.input.addEventListener("blur", () => setTimeout(() => document.body.classList.remove("searching"), 150));
    this.list.addEventListener("click", (event) => {
      const row = event.target.closest("[role=option]");
      if (row) this.choose(row.dataset.symbol);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      event.preventDefault();
      this.input.focus();
      this.input.select();
    });
  }

  // What was searched for need not be where one looks now.
  clear() {
    clearTimeout(this.pause);
    this.input.value = "";
  }

  // These symbols, in this order, of so many that were found.
  order({ symbols, found }) {
    const rows = new Map(symbols.map((symbol, place) => [symbol, this.rows.get(symbol) ?? row(symbol, place)]));
    this.rows = rows;
    this.list.replaceChildren(...[...rows.values()].map((one) => one.element));
    if (!symbols.length) this.list.append(element("p", { class: "empty" }, "No symbol like that."));
    const more = found > symbols.length;
    byId("found").textContent = more ? `${symbols.length} of ${count(found)}: search for others` : count(found);
    this.mark(this.current);
    if (!rows.has(this.active) || this.fresh) this.activate(symbols[0] ?? null);
    this.fresh = false;
  }

  lines(all) {
    for (const [symbol, closes] of all) this.rows.get(symbol)?.show(closes);
  }

  // The symbol of the chart.
  mark(symbol) {
    this.current = symbol;
    for (const [name, one] of this.rows) one.element.setAttribute("aria-selected", String(name === symbol));
  }

  activate(symbol) {
    this.rows.get(this.active)?.element.classList.remove("active");
    this.active = symbol;
    const one = this.rows.get(symbol)?.element;
    const searching = document.activeElement === this.input;
    this.input.setAttribute("aria-activedescendant", one && searching ? one.id : "");
    if (!one || !searching) return;
    one.classList.add("active");
    one.scrollIntoView({ block: "nearest" });
  }

  key(event) {
    const symbols = [...this.rows.keys()];
    const place = symbols.indexOf(this.active);
    if (event.key === "ArrowDown") this.activate(symbols[Math.min(place + 1, symbols.length - 1)]);
    else if (event.key === "ArrowUp") this.activate(symbols[Math.max(place - 1, 0)]);
    else if (event.key === "Enter" && this.active !== null) {
      this.choose(this.active);
      this.input.blur();
    } else if (event.key === "Escape") {
      this.input.value = "";
      this.input.dispatchEvent(new Event("input"));
      this.input.blur();
    } else return;
    event.preventDefault();
  }
}

let made = 0;

function row(symbol) {
  const last = element("span", { class: "last" });
  const change = element("span", { class: "change" });
  const line = svg("polyline", { "vector-effect": "non-scaling-stroke" });
  const spark = svg("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, line);
  const name = element("bdi", { class: "name", title: symbol }, symbol);
  const option = { role: "option", id: `option-${(made += 1)}`, "data-symbol": symbol, "aria-selected": "false" };
  const whole = element("div", option, name, spark, last, change);
  return {
    element: whole,
    show(closes) {
      const [first, now] = [closes[0], closes[closes.length - 1]];
      if (now === undefined) return;
      last.textContent = price(now);
      change.textContent = first ? percent((now - first) / Math.abs(first)) : "";
      whole.dataset.direction = now > first ? "up" : now < first ? "down" : "flat";
      line.setAttribute("points", points(closes));
    },
  };
}

function points(closes) {
  const [low, high] = [Math.min(...closes), Math.max(...closes)];
  const step = WIDTH / Math.max(1, closes.length - 1);
  const scale = high > low ? (HEIGHT - 4) / (high - low) : 0;
  const at = (close, place) => `${(place * step).toFixed(1)},${(HEIGHT - 2 - (scale ? (close - low) * scale : HEIGHT / 2 - 2)).toFixed(1)}`;
  return closes.map(at).join(" ");
}

function isTyping(target) {
  return target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
}

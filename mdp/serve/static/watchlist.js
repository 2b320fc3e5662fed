// The watch list, and the search that fills it: a combobox for the keyboard, a list for touch.

import { byId, element, svg } from "./dom.js";
import { change, count, price, short } from "./format.js";
import { way } from "./marks.js";

const WIDTH = 56;
const HEIGHT = 24;
const PAUSE_MS = 150;

export class WatchList {
  // `choose` is called with a symbol and its provider, and `search` with a text.
  constructor(choose, search) {
    this.choose = (key) => choose(...JSON.parse(key).reverse());
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
      if (row) this.choose(row.dataset.key);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      event.preventDefault();
      this.input.focus();
      this.input.select();
    });
  }

  // Shows these pairs of provider and symbol, in this order, of `found` matches.
  order({ symbols, found }) {
    const areMixed = new Set(symbols.map(([provider]) => provider)).size > 1;
    this.rows = new Map(symbols.map((pair) => [keyOf(pair), this.rows.get(keyOf(pair)) ?? new Row(pair)]));
    this.list.replaceChildren(...[...this.rows.values()].map((one) => one.element));
    this.list.classList.toggle("mixed", areMixed);
    if (!symbols.length) this.list.append(element("p", { class: "empty" }, "No matching symbol."));
    byId("found").textContent = found > symbols.length ? `${symbols.length} of ${count(found)}` : count(found);
    this.select();
    if (!this.rows.has(this.active) || this.fresh) this.activate([...this.rows.keys()][0] ?? null);
    this.fresh = false;
  }

  // Sets the closes, oldest first.
  lines(all) {
    for (const [provider, symbol, closes] of all) this.rows.get(keyOf([provider, symbol]))?.line(closes);
  }

  // Sets the first price of the span and the volume in it.
  quotes(all) {
    for (const [provider, symbol, first, volume] of all) this.rows.get(keyOf([provider, symbol]))?.quote(first, volume);
  }

  // Marks the symbol of the chart.
  mark(provider, symbol) {
    this.current = keyOf([provider, symbol]);
    this.select();
  }

  select() {
    for (const [key, one] of this.rows) one.element.setAttribute("aria-selected", String(key === this.current));
  }

  activate(key) {
    this.rows.get(this.active)?.element.classList.remove("active");
    this.active = key;
    const one = this.rows.get(key)?.element;
    const searching = document.activeElement === this.input;
    this.input.setAttribute("aria-activedescendant", one && searching ? one.id : "");
    if (!one || !searching) return;
    one.classList.add("active");
    one.scrollIntoView({ block: "nearest" });
  }

  key(event) {
    const keys = [...this.rows.keys()];
    const place = keys.indexOf(this.active);
    if (event.key === "ArrowDown") this.activate(keys[Math.min(place + 1, keys.length - 1)]);
    else if (event.key === "ArrowUp") this.activate(keys[Math.max(place - 1, 0)]);
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

const keyOf = (pair) => JSON.stringify(pair);

let made = 0;

class Row {
  constructor([provider, symbol]) {
    this.last = element("span", { class: "last" });
    this.change = element("span", { class: "change" });
    this.volume = element("span", { class: "volume" });
    this.points = svg("polyline", { "vector-effect": "non-scaling-stroke" });
    const spark = svg("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, this.points);
    const option = { role: "option", id: `option-${(made += 1)}`, "data-symbol": symbol, "data-provider": provider, "data-key": keyOf([provider, symbol]), "aria-selected": "false" };
    const name = element("bdi", { class: "name", title: `${symbol} · ${provider}` }, symbol);
    const from = element("bdi", { class: "provider" }, provider);
    this.element = element("div", option, element("span", { class: "whose" }, name, from), spark, this.last, this.change, this.volume);
  }

  line(closes) {
    this.close = closes[closes.length - 1];
    if (this.close === undefined) return;
    this.last.textContent = price(this.close);
    this.points.setAttribute("points", points(closes));
    this.show();
  }

  quote(first, volume) {
    this.first = first;
    this.volume.textContent = volume ? short(volume) : "";
    this.element.dataset.volume = volume ?? "";
    this.show();
  }

  show() {
    if (this.close === undefined || this.first === undefined) return;
    const gained = change(this.first, this.close);
    this.change.textContent = gained;
    this.element.dataset.direction = gained ? way(this.close - this.first) : "flat";
  }
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

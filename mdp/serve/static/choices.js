// The controls that select what is shown: lengths of bars, features, providers, names of signals, order of the list.

import { byId, element } from "./dom.js";

const MOST_FEATURES = 4;

// Whether the contents of `owner` have changed: unchanged contents are not rebuilt, so that they keep the focus.
function isNews(owner, value) {
  const before = owner.filledWith;
  owner.filledWith = JSON.stringify(value);
  return owner.filledWith !== before;
}

// The lengths of bars, as buttons; `choose` is called with an interval and a rollup.
export class Lengths {
  constructor(choose) {
    this.place = byId("lengths");
    this.current = "";
    this.place.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) choose(button.dataset.interval, button.dataset.rollup);
    });
  }

  show(lengths) {
    if (!isNews(this, lengths)) return;
    this.place.replaceChildren(...lengths.map(([interval, rollup]) =>
      element("button", { type: "button", "data-interval": interval, "data-rollup": rollup }, rollup || interval)));
    this.mark(this.current);
  }

  mark(length) {
    this.current = length;
    for (const button of this.place.children) button.setAttribute("aria-pressed", String(button.textContent === length));
  }
}

// A menu of features; `choose` is called with the names of the checked ones.
export class Features {
  constructor(choose) {
    this.menu = byId("features");
    this.place = byId("feature-names");
    this.chosen = [];
    this.place.addEventListener("change", (event) => {
      const { value, checked } = event.target;
      this.mark(checked ? [...this.chosen, value] : this.chosen.filter((name) => name !== value));
      choose(this.chosen);
    });
    document.addEventListener("pointerdown", (event) => this.menu.contains(event.target) || this.menu.removeAttribute("open"));
    this.menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      this.menu.removeAttribute("open");
      this.menu.querySelector("summary").focus();
    });
  }

  show(names) {
    if (!isNews(this, names)) return;
    this.menu.hidden = !names.length;
    this.place.replaceChildren(...names.map((name) =>
      element("label", {}, element("input", { type: "checkbox", value: name }), " ", element("bdi", {}, name))));
    this.mark(this.chosen);
  }

  mark(names) {
    this.chosen = names;
    for (const box of this.place.querySelectorAll("input")) {
      box.checked = names.includes(box.value);
      box.disabled = !box.checked && names.length >= MOST_FEATURES;
    }
  }
}

// A select of names, with an entry for all of them first; `choose` is called with a name, or with "".
export class Filter {
  constructor(id, all, choose) {
    this.select = byId(id);
    this.all = all;
    this.wanted = "";
    this.select.addEventListener("change", () => choose((this.wanted = this.select.value)));
  }

  // Pairs of a name and its text. The selected one stays, even if it is not in the list now.
  show(options) {
    if (!isNews(this, options)) return;
    const names = options.map(([name]) => name);
    const more = this.wanted && !names.includes(this.wanted) ? [[this.wanted, this.wanted]] : [];
    const made = [["", this.all], ...options, ...more].map(([name, text]) => element("option", { value: name }, text));
    this.select.replaceChildren(...made);
    this.select.value = this.wanted;
  }
}

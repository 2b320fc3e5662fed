// Light, dark, or the system's setting.

const NEXT = { auto: "dark", dark: "light", light: "auto" };
const TITLES = { auto: "Colours: system setting", dark: "Colours: dark", light: "Colours: light" };

// Makes a button change the colours; `changed` is called on each change.
export function switchWith(button, changed) {
  const root = document.documentElement;
  const name = () => root.dataset.colours ?? "auto";
  button.title = TITLES[name()];
  button.addEventListener("click", () => {
    const next = NEXT[name()];
    if (next === "auto") delete root.dataset.colours;
    else root.dataset.colours = next;
    localStorage.setItem("mdp-colours", next);
    button.title = TITLES[next];
    changed();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}

// A colour of the style sheet by name.
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

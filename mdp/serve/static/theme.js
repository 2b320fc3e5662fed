// Runs before the page is drawn, to avoid a flash: applies the colours that were chosen before, if any.
const chosen = localStorage.getItem("mdp-colours");
if (chosen === "light" || chosen === "dark") document.documentElement.dataset.colours = chosen;

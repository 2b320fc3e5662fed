// Before the page is drawn, so that it does not flash: the colours that were chosen here before, if any.
const chosen = localStorage.getItem("mdp-colours");
if (chosen === "light" || chosen === "dark") document.documentElement.dataset.colours = chosen;

// Runs before the page is drawn, so that a reader who chose a theme never sees the other one flash by.
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // The browser keeps nothing for this site: the system's theme it is.
}

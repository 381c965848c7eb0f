/* Sets the colours before the first paint: auto follows the system, light and dark are remembered. */
(() => {
  "use strict";
  const KEY = "chaosweb-theme";
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const WORDS = { auto: "as the system has them", light: "light", dark: "dark" };

  const chosen = () => {
    try {
      const value = localStorage.getItem(KEY);
      return value in WORDS ? value : "auto";
    } catch {
      return "auto";
    }
  };

  const apply = () => {
    const choice = chosen();
    const theme = choice === "auto" ? (system.matches ? "dark" : "light") : choice;
    const changed = root.dataset.bsTheme !== theme;
    root.dataset.bsTheme = theme;
    root.dataset.themeChoice = choice;
    document.querySelectorAll("[data-theme-toggle]").forEach((button) => {
      const text = `Colours: ${WORDS[choice]}`;
      button.setAttribute("aria-label", text);
      button.title = text;
    });
    if (changed) document.dispatchEvent(new CustomEvent("chaosweb:theme"));
  };

  root.classList.add("has-js");
  apply();
  system.addEventListener("change", apply);
  window.addEventListener("storage", (event) => event.key === KEY && apply());
  document.addEventListener("DOMContentLoaded", apply);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const order = Object.keys(WORDS);
    const next = order[(order.indexOf(chosen()) + 1) % order.length];
    try {
      localStorage.setItem(KEY, next);
    } catch {
      /* Private windows may refuse: the choice then lasts for no page. */
    }
    apply();
  });
})();

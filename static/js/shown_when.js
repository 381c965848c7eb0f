/*
 * Hides inputs of the experiment's and the connection's form that have no meaning with what others say.
 *
 * data-shown-when holds, as JSON, the names of other inputs and their values. An input that holds
 * something, or that is wrong, stays. Without this script all inputs are there.
 */
(() => {
  "use strict";
  const form = document.querySelector("#editor, [data-shown-form]");
  if (!form) return;

  const fits = ([name, values]) => {
    const other = form.elements.namedItem(name);
    return !other || values.includes(other.value);
  };

  const show = () => {
    form.querySelectorAll("[data-shown-when]").forEach((field) => {
      const cell = field.closest(".cw-cell") || field.closest(".cw-field");
      if (!cell) return;
      const isMeant = Object.entries(JSON.parse(field.dataset.shownWhen)).every(fits);
      const isKept = field.value.trim() || field.getAttribute("aria-invalid") || document.activeElement === field;
      cell.hidden = !isMeant && !isKept;
    });
  };

  form.addEventListener("change", show);
  document.body.addEventListener("htmx:afterSettle", show);
  show();
})();

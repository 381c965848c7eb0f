/*
 * Helps for the experiment editor; without them its submit buttons do the same with a page load.
 *
 * Rows are added, redrawn, moved and removed in place. What the preview found is shown beside the
 * fields that were touched, so that an empty draft is not red before anything was written.
 */
(() => {
  "use strict";
  const form = document.getElementById("editor");
  if (!form || !window.htmx) return;
  // A text area that somebody made taller has a style attribute, which htmx would copy: barred.
  htmx.config.attributesToSettle = ["class"];
  const touched = new Set();
  const fresh = new Set(); // ids of rows that were added since the page was drawn
  let isChecked = "checked" in form.dataset;

  const rowsOf = (list) => document.getElementById(`rows-${list}`);
  const rowUrl = (list, query) => `${form.dataset.rowUrl.replace("KIND", list)}?${new URLSearchParams(query)}`;
  const refresh = () => htmx.trigger(form, "cw:refresh");
  const announce = (text) => {
    const announcer = document.getElementById("announcer");
    if (announcer) announcer.textContent = text;
  };

  const freshNumber = (list) =>
    1 + Math.max(-1, ...[...form.querySelectorAll(`input[name="${list}-rows"]`)].map((input) => Number(input.value) || 0));

  const focusFirst = (row) => row?.querySelector("input:not([type=hidden]), select, textarea")?.focus();

  const add = async (list, variant) => {
    const number = freshNumber(list);
    await htmx.ajax("GET", rowUrl(list, { variant, number }), {
      source: rowsOf(list), target: rowsOf(list), swap: "beforeend",
    });
    const row = document.getElementById(`row-${list}-${number}`);
    if (row) {
      fresh.add(row.id);
      row.open = true;
      focusFirst(row);
      announce("Added");
    }
    refresh();
  };

  const redraw = async (row, field) => {
    const { list, number } = row.dataset;
    const { id } = row;
    // From the list, not the form: a preview that begins meanwhile would break it off.
    await htmx.ajax("POST", rowUrl(list, { number }), {
      source: rowsOf(list), target: row, swap: "outerHTML", values: {},
    });
    const made = document.getElementById(id);
    if (made) {
      made.open = true;
      document.getElementById(field)?.focus();
    }
    refresh();
  };

  form.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.add) {
      event.preventDefault();
      add(button.dataset.add, button.dataset.variant);
      return;
    }
    const row = button.closest(".cw-editor-row");
    if (row && "remove" in button.dataset) {
      event.preventDefault();
      const next = row.nextElementSibling || row.previousElementSibling;
      const list = row.dataset.list;
      row.remove();
      (next?.querySelector("summary") || document.querySelector(`[data-add="${list}"]`))?.focus();
      announce("Removed");
      refresh();
    } else if (row && button.dataset.move) {
      event.preventDefault();
      const other = button.dataset.move === "up" ? row.previousElementSibling : row.nextElementSibling;
      if (!other) return;
      if (button.dataset.move === "up") other.before(row);
      else other.after(row);
      button.focus();
      announce(`Moved ${button.dataset.move}`);
      refresh();
    }
  });

  form.addEventListener("change", (event) => {
    const { target } = event;
    touched.add(target.id);
    const row = target.closest(".cw-editor-row");
    if (row && "redraws" in target.dataset) {
      event.stopPropagation();
      redraw(row, target.id);
    }
  });

  form.addEventListener("input", (event) => {
    const { target } = event;
    touched.add(target.id);
    if (target.name?.endsWith("-name")) {
      const label = target.closest(".cw-editor-row")?.querySelector(".cw-row-name");
      if (label) label.textContent = target.value || "unnamed";
    }
  });

  // Who leaves a field of a new row has had the chance to fill it.
  form.addEventListener("focusout", ({ target }) => {
    const row = target.closest(".cw-editor-row");
    if (!fresh.has(row?.id) || touched.has(target.id) || !target.matches("input, select, textarea") || !document.hasFocus()) return;
    touched.add(target.id);
    refresh();
  });

  // Enter in a field checks; only the button saves.
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input:not([type=submit])")) {
      event.preventDefault();
      refresh();
    }
  });

  const line = (field, kind, text) => {
    const box = field.closest(".cw-field");
    if (!box) return;
    let place = box.querySelector(`.cw-${kind}`);
    if (!text) {
      place?.remove();
      return;
    }
    if (!place) {
      place = document.createElement("div");
      place.className = `cw-${kind}`;
      if (kind !== "note") place.id = `${field.id}_${kind}`;
      const help = box.querySelector(".cw-help");
      if (help) help.before(place);
      else box.append(place);
    }
    if (kind === "note") {
      place.textContent = text;
      return;
    }
    place.replaceChildren(...text.split("\n").map((each) => {
      const part = document.createElement("div");
      part.textContent = each;
      return part;
    }));
  };

  const mark = (field, text) => {
    const box = field.closest(".cw-field");
    if (!box) return;
    box.classList.toggle("has-errors", Boolean(text));
    line(field, "error", text);
    const others = (field.getAttribute("aria-describedby") || "").split(" ").filter((id) => id && id !== `${field.id}_error`);
    if (text) {
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", [...others, `${field.id}_error`].join(" "));
    } else {
      field.removeAttribute("aria-invalid");
      if (others.length) field.setAttribute("aria-describedby", others.join(" "));
      else field.removeAttribute("aria-describedby");
    }
  };

  const showMarks = () => {
    const marks = document.getElementById("editor-marks");
    if (!marks || form.dataset.view === "yaml") return; // yaml.js has them at their lines
    const errors = new Map();
    const notes = new Map();
    const warnings = new Map();
    marks.querySelectorAll("li").forEach((item) => {
      const found = { error: errors, warning: warnings }[item.dataset.kind] || notes;
      const { field } = item.dataset;
      found.set(field, found.has(field) ? `${found.get(field)}\n${item.textContent}` : item.textContent);
    });
    form.querySelectorAll(".cw-field :is(input, select, textarea)").forEach((field) => {
      if (!field.id || field.type === "hidden") return;
      const isNew = fresh.has(field.closest(".cw-editor-row")?.id);
      if ((isChecked && !isNew) || touched.has(field.id) || field.getAttribute("aria-invalid")) mark(field, errors.get(field.id) || "");
      line(field, "note", notes.get(field.id) || "");
      line(field, "caution", warnings.get(field.id) || "");
    });
    marks.remove();
  };

  // What the environment answered stays until the draft differs: leaving the field that was written
  // last, to press the button, would have the plain preview of the same draft drawn over it.
  let reached = "";
  const written = () => new URLSearchParams(new FormData(form)).toString();
  const isReach = ({ elt }) => elt.value === "reach";
  form.addEventListener("htmx:beforeRequest", ({ detail }) => {
    if (isReach(detail)) reached = written();
  });
  form.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (isReach(detail) && !detail.successful) reached = "";
  });
  form.addEventListener("htmx:confirm", (event) => {
    if (event.detail.elt !== form) return;
    if (reached && reached === written()) event.preventDefault();
    else reached = "";
  });

  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "preview") showMarks();
  });
  showMarks(); // a page that was checked brings its own

  // A link to a field opens what hides it and puts the cursor there.
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    const target = link && document.getElementById(decodeURIComponent(link.hash.slice(1)));
    if (!target || !form.contains(target)) return;
    event.preventDefault();
    fresh.delete(target.closest(".cw-editor-row")?.id); // who follows a problem wants to see it
    reveal(target);
  });

  const reveal = (target) => {
    for (let node = target; node && node !== form; node = node.parentElement) {
      if (node.tagName === "DETAILS") node.open = true;
    }
    target.scrollIntoView({ block: target.matches("input, select, textarea") ? "center" : "start" });
    (target.tagName === "DETAILS" ? target.querySelector("summary") : target).focus({ preventScroll: true });
  };

  const spot = document.getElementById(form.dataset.spot || "");
  if (spot) reveal(spot);
  else document.getElementById("faults")?.focus();
})();

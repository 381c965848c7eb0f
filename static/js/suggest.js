/*
 * Suggestions while somebody writes: what the environment's systems have for a field, and `${…}`.
 *
 *   ChaosSuggest.ask({what, alias, given, typed}, signal)   options, note, origin; null when aborted
 *   ChaosSuggest.say(text)                                  tell screen readers, politely
 *
 * In the form, inputs with data-suggest become comboboxes (ARIA 1.2); they come and go with their
 * rows. Typing `${` in any text offers the document's parameters. Without this script the inputs are
 * plain ones, with a list of every alias.
 */
window.ChaosSuggest = (() => {
  "use strict";
  const form = document.getElementById("editor");
  const NO_ANSWER = { options: [], note: "No suggestions: ChaosWeb did not answer.", origin: "", left_out: 0 };

  const ask = async ({ what, alias = "", given = {}, typed = "" }, signal) => {
    const environment = document.getElementById("environment")?.value || "";
    const query = new URLSearchParams({ what, environment, alias, typed, given: JSON.stringify(given) });
    try {
      const answer = await fetch(`${form.dataset.suggestUrl}?${query}`, { signal, credentials: "same-origin", headers: { accept: "application/json" } });
      return answer.ok ? await answer.json() : NO_ANSWER;
    } catch {
      return signal?.aborted ? null : NO_ANSWER; // not reached, or signed out: the field still takes any text
    }
  };

  let said = "";
  const say = (text) => {
    const announcer = document.getElementById("announcer");
    if (announcer && text !== said) announcer.textContent = text;
    said = text;
  };

  return { ask, say };
})();

(() => {
  "use strict";
  const form = document.getElementById("editor");
  if (!form || form.dataset.view !== "form") return;
  const { ask, say } = window.ChaosSuggest;
  const ASK_AFTER_MS = 150;
  const PATIENCE_MS = 200; // what comes sooner needs no “asking”
  const ROOM_PX = 260;
  const BAR_PX = 80; // the bar with the buttons, at the window's end
  const WRITABLE = "input[type=text], input:not([type]), textarea";
  const REFERENCE = /\$\{([\w-]*)$/;

  let open = null; // {input, from, to, options, active, box, list, foot}
  let waiting = 0;
  let patience = 0;
  let asked = null; // what aborts the question that is on its way
  let dismissed = null; // the input whose list was closed with Escape
  let isPicking = false;

  const made = (name, className, text) => {
    const element = document.createElement(name);
    element.className = className;
    if (text) element.textContent = text;
    return element;
  };
  const labelOf = (input) => (input.labels?.[0]?.firstChild?.textContent || input.name).trim();
  const listId = (input) => `${input.id}_suggestions`;
  const prefixOf = (input) => {
    const row = input.closest(".cw-editor-row");
    return row ? `${row.dataset.list}-${row.dataset.number}-` : "";
  };

  /* ---- What is asked ---- */

  const givenBeside = (input, prefix) => {
    const given = {};
    form.querySelectorAll(`[name^="${prefix}with-"]`).forEach(({ name, value }) => {
      if (name === input.name || !value.trim()) return;
      const path = name.slice(`${prefix}with-`.length).split("-");
      const last = path.pop();
      path.reduce((node, key) => (node[key] ||= {}), given)[last] = value;
    });
    return given;
  };

  const questionOf = (input, typed) => {
    const prefix = prefixOf(input);
    const what = input.dataset.suggest;
    const through = what.startsWith("preset:") ? "source" : "via";
    return { what, typed, alias: form.elements[prefix + through]?.value || "", given: givenBeside(input, prefix) };
  };

  /* The part of the text that a suggestion stands for: a line of several, or all. */
  const spanOf = (input) => {
    if (input.tagName !== "TEXTAREA") return { from: 0, to: input.value.length };
    const from = input.value.lastIndexOf("\n", input.selectionStart - 1) + 1;
    const end = input.value.indexOf("\n", input.selectionStart);
    return { from, to: end < 0 ? input.value.length : end };
  };

  const parameters = () =>
    [...form.querySelectorAll("#rows-parameters > .cw-editor-row")].map((row) => {
      const text = (key) => row.querySelector(`[name="${prefixOf(row)}${key}"]`)?.value.trim() || "";
      return { value: text("name"), type: SAME[text("type")] || text("type"), detail: [text("type"), text("default")].filter(Boolean).join(" · ") };
    }).filter(({ value }) => value);

  /* What a field takes, as its text tells before anybody wrote: a parameter's type; empty if unknown. */
  const TYPES = [
    ["duration", /^\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d)(\d.*)?$/],
    ["percentage", /^\d+(\.\d+)?\s*%$/],
    ["size", /^\d+(\.\d+)?\s*[KMGT]?i?B$/i],
    ["rate", /^\d+(\.\d+)?\s*([KMGT]?i?bps|[KMGT]?i?b(it)?\/s|\/s)$/i],
    ["number", /^-?\d+(\.\d+)?$/],
  ];
  const SAME = { integer: "number" };

  const typeOf = (input, known) => {
    const sample = (input.defaultValue || input.placeholder).trim();
    const name = sample.match(/^\$\{([\w-]+)\}$/)?.[1];
    const type = name ? known.find(({ value }) => value === name)?.type : TYPES.find(([, shape]) => shape.test(sample))?.[0];
    return SAME[type] || type || "";
  };

  /* ---- The list ---- */

  const isTextbox = (input) => input.getAttribute("role") !== "combobox";

  /* Takes the list away; a question that is on its way stays. */
  const fold = () => {
    if (!open) return;
    const { input, box } = open;
    box.remove();
    open = null;
    input.removeAttribute("aria-activedescendant");
    if (isTextbox(input)) ["aria-controls", "aria-haspopup", "aria-autocomplete"].forEach((name) => input.removeAttribute(name));
    else input.setAttribute("aria-expanded", "false");
  };

  const close = () => {
    clearTimeout(waiting);
    clearTimeout(patience);
    asked?.abort();
    asked = null;
    fold();
  };

  const unfold = (input, span) => {
    if (open?.input !== input) {
      fold();
      const box = made("div", "cw-suggest");
      const list = made("ul", "cw-suggest-list");
      const foot = made("p", "cw-suggest-foot");
      Object.assign(list, { id: listId(input), role: "listbox", ariaLabel: `Suggestions for ${labelOf(input)}` });
      box.append(list, foot);
      (input.closest(".cw-input") || input.parentElement).append(box);
      const { top, bottom } = input.getBoundingClientRect();
      box.classList.toggle("is-above", window.innerHeight - bottom < ROOM_PX + BAR_PX && top > ROOM_PX);
      open = { input, box, list, foot, options: [], active: -1 };
      box.addEventListener("mousedown", (event) => event.preventDefault()); // the cursor stays in the input
      list.addEventListener("click", (event) => {
        const option = event.target.closest("[role=option]");
        if (option) pick([...list.children].indexOf(option));
      });
    }
    return Object.assign(open, span);
  };

  const activate = (place) => {
    const { input, list, options } = open;
    open.active = place;
    [...list.children].forEach((option, number) => option.setAttribute("aria-selected", String(number === place)));
    if (place < 0 || !options.length) {
      input.removeAttribute("aria-activedescendant");
      return;
    }
    input.setAttribute("aria-activedescendant", list.children[place].id);
    list.children[place].scrollIntoView({ block: "nearest" });
  };

  const marked = (value, typed) => {
    const shown = made("span", "cw-suggest-value");
    const at = typed ? value.toLowerCase().indexOf(typed.toLowerCase()) : -1;
    if (at < 0) shown.append(value);
    else shown.append(value.slice(0, at), made("b", "", value.slice(at, at + typed.length)), value.slice(at + typed.length));
    return shown;
  };

  const show = (input, span, { options, note = "", origin = "", left_out: more = 0 }, { typed = "", active = -1 } = {}) => {
    const { list, foot, box } = unfold(input, span);
    open.options = options;
    list.hidden = !options.length;
    list.replaceChildren(...options.map(({ value, detail }, number) => {
      const option = made("li", "cw-suggest-option");
      Object.assign(option, { id: `${listId(input)}_${number}`, role: "option" });
      option.append(marked(value, typed));
      if (detail) option.append(made("span", "cw-suggest-detail", detail));
      return option;
    }));
    const counted = more ? `${more} more fit: write on` : "";
    foot.textContent = note || [origin, counted].filter(Boolean).join(" · ");
    foot.hidden = !foot.textContent;
    box.classList.toggle("is-note", Boolean(note));
    if (isTextbox(input)) {
      input.setAttribute("aria-autocomplete", "list");
      input.setAttribute("aria-haspopup", "listbox");
      input.setAttribute("aria-controls", list.id);
    } else input.setAttribute("aria-expanded", String(options.length > 0));
    activate(options.length ? Math.min(active, options.length - 1) : -1);
    say(note || `${options.length} suggestion${options.length === 1 ? "" : "s"}`);
  };

  const offer = async (input, typed, opened = null) => {
    asked?.abort();
    const mine = new AbortController();
    asked = mine;
    clearTimeout(patience);
    patience = setTimeout(() => {
      const { foot, box, list } = unfold(input, spanOf(input));
      foot.textContent = "Asking…";
      foot.hidden = false;
      list.hidden = !list.children.length;
      box.classList.add("is-busy");
    }, PATIENCE_MS);
    const answer = await ask(questionOf(input, typed), mine.signal);
    if (asked !== mine) return;
    clearTimeout(patience);
    asked = null;
    open?.box.classList.remove("is-busy");
    if (!answer || document.activeElement !== input) return;
    const { options, note } = answer;
    const isSettled = options.length === 1 && options[0].value === typed && !opened;
    if (isSettled || (!options.length && !note)) {
      close();
      return;
    }
    const span = spanOf(input);
    const there = options.findIndex(({ value }) => value === input.value.slice(span.from, span.to).trim());
    const active = { first: Math.max(there, 0), last: options.length - 1, none: there }[opened] ?? -1;
    show(input, span, answer, { typed, active });
  };

  const offerParameters = (input, reference) => {
    clearTimeout(waiting);
    asked?.abort();
    asked = null;
    const to = input.selectionStart;
    const typed = reference[1].toLowerCase();
    const known = parameters();
    const wanted = typeOf(input, known);
    const fits = ({ type }) => Number(type === wanted);
    const begins = ({ value }) => Number(value.toLowerCase().startsWith(typed));
    const options = known
      .filter(({ value }) => value.toLowerCase().includes(typed))
      .sort((a, b) => fits(b) - fits(a) || begins(b) - begins(a));
    const none = known.length ? `No parameter is named like “${reference[1]}”.` : "There is no parameter yet: add one under Parameters.";
    const found = { options, note: options.length ? "" : none, origin: "parameters of this experiment" };
    show(input, { from: to - reference[0].length, to, isReference: true }, found, { typed });
  };

  const pick = (place) => {
    const { input, from, to, isReference, options } = open;
    const { value } = options[place];
    close();
    isPicking = true;
    input.focus();
    if (isReference) {
      const rest = input.value.slice(to).match(/^[\w-]*\}/)?.[0].length || 0; // what is closed already
      input.setRangeText(`\${${value}}`, from, to + rest, "end");
    } else input.setRangeText(value, from, to, "end");
    ["input", "change"].forEach((kind) => input.dispatchEvent(new Event(kind, { bubbles: true })));
    isPicking = false;
    say(`${value} chosen`);
  };

  /* ---- Inputs that suggest ---- */

  const enhance = () => {
    form.querySelectorAll("[data-suggest]:not([data-suggesting])").forEach((input) => {
      input.dataset.suggesting = "yes";
      input.removeAttribute("list");
      if (input.tagName === "TEXTAREA") return; // a text of several lines is no combobox
      Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-haspopup": "listbox", "aria-expanded": "false", "aria-controls": listId(input) })
        .forEach(([name, value]) => input.setAttribute(name, value));
      const button = made("button", "cw-suggest-button");
      Object.assign(button, { type: "button", tabIndex: -1, ariaLabel: `Show suggestions for ${labelOf(input)}` });
      button.addEventListener("mousedown", (event) => event.preventDefault());
      button.addEventListener("click", () => {
        const isOpen = open?.input === input;
        close();
        input.focus();
        if (!isOpen) offer(input, "", "none");
      });
      input.after(button);
    });
  };

  const typedIn = (input) => {
    const { from, to } = spanOf(input);
    return input.value.slice(from, to).trim();
  };

  form.addEventListener("input", ({ target: input, isComposing }) => {
    // Editors of code write into inputs that nobody is in.
    if (isPicking || isComposing || !input.matches(WRITABLE) || document.activeElement !== input || dismissed === input) return;
    const reference = input.value.slice(0, input.selectionStart).match(REFERENCE);
    const takesReference = input.id !== "message" && !input.closest("#rows-parameters");
    if (reference && takesReference) offerParameters(input, reference);
    else if ("suggest" in input.dataset && !input.value.includes("${")) {
      clearTimeout(waiting);
      waiting = setTimeout(() => offer(input, typedIn(input)), ASK_AFTER_MS);
    } else close();
  });

  const MOVES = { ArrowDown: 1, ArrowUp: -1 };

  const moved = (event) => {
    const { options, active } = open;
    const { key } = event;
    if (key in MOVES) {
      const from = active < 0 && MOVES[key] < 0 ? 0 : active;
      activate((from + MOVES[key] + options.length) % options.length);
    } else if (active >= 0 && (key === "Home" || key === "End")) activate(key === "Home" ? 0 : options.length - 1);
    else if (active >= 0 && key === "Enter") pick(active);
    else return false;
    return true;
  };

  // Before the form's own keys: Enter picks, and only then checks.
  form.addEventListener("keydown", (event) => {
    const { target: input, key } = event;
    if (event.isComposing || !input.matches(WRITABLE)) return;
    const isOpen = open?.input === input;
    let isHandled = false;
    if (isOpen && (key === "Escape" || (key === "ArrowUp" && event.altKey))) {
      close();
      dismissed = key === "Escape" ? input : null;
      isHandled = true;
    } else if (isOpen && open.options.length && !event.altKey && !event.ctrlKey && !event.metaKey) isHandled = moved(event);
    else if (!isOpen && "suggest" in input.dataset && key in MOVES && input.tagName !== "TEXTAREA") {
      dismissed = null;
      clearTimeout(waiting);
      offer(input, "", event.altKey ? "none" : { ArrowDown: "first", ArrowUp: "last" }[key]);
      isHandled = true;
    }
    if (isHandled) {
      event.preventDefault();
      event.stopPropagation();
    } else if (key === "Enter" || key === "Tab") close();
  }, true);

  form.addEventListener("focusout", () => {
    dismissed = null;
    close();
  });

  document.body.addEventListener("htmx:afterSwap", () => {
    if (open && !open.input.isConnected) close();
    enhance();
  });

  enhance();
})();

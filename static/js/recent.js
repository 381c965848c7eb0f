/*
 * The last 15 minutes of what a row measures: a button opens a panel below it, with a sentence, what
 * stands in the way of a verdict, and a chart. While it is open, it follows what is written.
 *
 *   <form data-recent-url="…" data-recent-environment="environment">      what is posted, to where
 *   <button data-recent data-list="slis" data-number="0">                 which row of it
 *   <button data-recent data-recent-url="…">                              what is stored: asked by GET
 *   data-recent-panel="id"   a panel that several buttons share, one at a time
 *
 * What the source says of a field is shown beside it, apart from the errors of the document itself.
 */
(() => {
  "use strict";
  const AFTER_MS = 900;
  const GIVE_UP_MS = 20000;
  const open = new Map(); // key of a button -> {panel, timer, request}
  const told = new Map(); // id of a field -> what the source says of it
  let count = 0;

  const announce = (text) => {
    const announcer = document.getElementById("announcer");
    if (announcer) announcer.textContent = text;
  };
  const keyOf = (button) => `${button.dataset.recentUrl || ""}|${button.dataset.list}|${button.dataset.number}`;
  const buttonOf = (key) => [...document.querySelectorAll("button[data-recent]")].find((each) => keyOf(each) === key);
  const environment = () => document.getElementById("environment");

  /* ---- What the source says of a field ---- */

  const mark = (id) => {
    const field = document.getElementById(id);
    const box = field?.closest(".cw-field");
    if (!box) return;
    const text = told.get(id);
    const mine = `${id}_source`;
    let place = document.getElementById(mine);
    const others = (field.getAttribute("aria-describedby") || "").split(" ").filter((each) => each && each !== mine);
    if (text) {
      if (!place) {
        place = document.createElement("div");
        place.id = mine;
        place.className = "cw-source-error";
        box.querySelector(".cw-input").after(place);
      }
      if (place.textContent !== text) place.textContent = text;
      box.classList.add("has-errors");
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", [...others, mine].join(" "));
    } else if (place) {
      place.remove();
      if (others.length) field.setAttribute("aria-describedby", others.join(" "));
      else field.removeAttribute("aria-describedby");
      if (box.querySelector(".cw-error")) return;
      box.classList.remove("has-errors");
      field.removeAttribute("aria-invalid");
    }
  };

  const take = (panel, state) => {
    const marks = new Map([...panel.querySelectorAll("[data-recent-marks] > li")].map((each) => [each.dataset.field, each.textContent]));
    (state.marks || []).filter((id) => !marks.has(id)).forEach((id) => {
      told.delete(id);
      mark(id);
    });
    state.marks = [...marks.keys()];
    marks.forEach((text, id) => {
      told.set(id, text);
      mark(id);
    });
    return marks;
  };

  /* ---- The panel ---- */

  const fill = (panel, html) => {
    window.ChaosCharts?.forget(panel);
    const made = document.createElement("template");
    made.innerHTML = html;
    panel.replaceChildren(made.content);
    window.ChaosCharts?.start(panel);
  };

  const skeleton = (panel) => {
    const line = document.createElement("p");
    line.className = "cw-recent-said cw-muted";
    line.textContent = "Reading the last 15 minutes …";
    const chart = document.createElement("div");
    chart.className = "chart chart-recent is-loading";
    panel.replaceChildren(line, chart);
  };

  const fail = (panel, why) => {
    window.ChaosCharts?.forget(panel);
    const box = document.createElement("div");
    box.className = "cw-recent-note is-silent";
    const text = document.createElement("div");
    text.textContent = `The last 15 minutes cannot be shown: ${why}.`;
    const again = document.createElement("button");
    Object.assign(again, { type: "button", className: "btn btn-sm", textContent: "Try again" });
    again.dataset.recentAgain = "";
    box.append(text, again);
    panel.replaceChildren(box);
  };

  const ask = (button, signal) => {
    const headers = { "X-Requested-With": "XMLHttpRequest" };
    if (button.dataset.recentUrl) {
      const query = new URLSearchParams({ environment: environment()?.value || "" });
      return fetch(`${button.dataset.recentUrl}?${query}`, { headers, credentials: "same-origin", signal });
    }
    const form = button.closest("form");
    const body = new FormData(form);
    body.set("list", button.dataset.list);
    body.set("number", button.dataset.number);
    if (environment()) body.set("environment", environment().value);
    return fetch(form.dataset.recentUrl, { method: "POST", body, headers, credentials: "same-origin", signal });
  };

  const load = async (key) => {
    const state = open.get(key);
    const button = buttonOf(key);
    if (!state || !button) return;
    clearTimeout(state.timer);
    state.request?.abort();
    const request = new AbortController();
    state.request = request;
    const { panel } = state;
    panel.setAttribute("aria-busy", "true");
    if (!panel.childElementCount) skeleton(panel);
    const late = setTimeout(() => request.abort("late"), GIVE_UP_MS);
    try {
      const response = await ask(button, request.signal);
      const html = await response.text();
      if (state.request !== request) return;
      if (!response.ok || response.redirected) {
        fail(panel, response.redirected || response.status === 403 ? "sign in again" : `the server answered ${response.status}`);
      } else {
        fill(panel, html);
        const marks = take(panel, state);
        if (state.said === undefined) panel.scrollIntoView({ block: "nearest" });
        const said = panel.querySelector(".cw-recent-said, .cw-recent-note > div")?.textContent || [...marks.values()][0] || "";
        if (said !== state.said) announce(said);
        state.said = said;
      }
    } catch (error) {
      if (state.request !== request) return;
      fail(panel, request.signal.reason === "late" ? "the server takes too long" : "the server does not answer");
    } finally {
      clearTimeout(late);
      if (state.request === request) panel.removeAttribute("aria-busy");
    }
  };

  /** Put a panel below a button's row, across the whole of a table's. */
  const place = (button, panel) => {
    const row = button.closest("tr");
    if (!row) {
      (button.closest(".cw-row-buttons") || button).after(panel);
      return;
    }
    const below = document.createElement("tr");
    below.className = "cw-recent-row";
    const cell = below.insertCell();
    cell.colSpan = row.cells.length;
    cell.append(panel);
    row.after(below);
  };

  const show = (button) => {
    const shared = button.dataset.recentPanel && document.getElementById(button.dataset.recentPanel);
    if (shared) [...open.keys()].forEach((key) => open.get(key).panel === shared && hide(key));
    let panel = shared;
    if (!panel) {
      panel = document.createElement("div");
      panel.className = "cw-recent";
      panel.id = `recent-${count += 1}`;
      place(button, panel);
    }
    panel.hidden = false;
    panel.setAttribute("role", "region");
    panel.setAttribute("aria-label", `${button.textContent.trim()}: the last 15 minutes`);
    button.setAttribute("aria-expanded", "true");
    button.setAttribute("aria-controls", panel.id);
    open.set(keyOf(button), { panel, isShared: Boolean(shared) });
    load(keyOf(button));
  };

  const hide = (key) => {
    const state = open.get(key);
    open.delete(key);
    state.request?.abort();
    clearTimeout(state.timer);
    (state.marks || []).forEach((id) => {
      told.delete(id);
      mark(id);
    });
    window.ChaosCharts?.forget(state.panel);
    if (state.isShared) {
      state.panel.hidden = true;
      state.panel.replaceChildren();
    } else (state.panel.closest(".cw-recent-row") || state.panel).remove();
    const button = buttonOf(key);
    button?.setAttribute("aria-expanded", "false");
    button?.removeAttribute("aria-controls");
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-recent]");
    if (button) {
      const key = keyOf(button);
      // A row that was removed has left its number to another, and its panel nowhere.
      if (open.has(key) && !document.contains(open.get(key).panel)) open.delete(key);
      if (open.has(key)) hide(key);
      else show(button);
      return;
    }
    if (event.target.closest("[data-recent-again]")) {
      open.forEach((state, key) => state.panel.contains(event.target) && load(key));
    }
  });

  /* ---- What is written while it is open ---- */

  const later = (key, delay = AFTER_MS) => {
    const state = open.get(key);
    clearTimeout(state.timer);
    state.timer = setTimeout(() => load(key), delay);
  };
  const concerns = (target, button) => {
    if (target.id === "environment") return true;
    if (button.dataset.recentUrl) return false;
    const row = button.closest(".cw-editor-row");
    if (!row) return target.name === "text";
    return row.contains(target) || /^(parameters-|timing-step)/.test(target.name || "");
  };
  const hear = (event) => {
    if (event.type === "input" && told.has(event.target.id)) {
      told.delete(event.target.id);
      mark(event.target.id);
    }
    open.forEach((state, key) => {
      const button = buttonOf(key);
      if (button && concerns(event.target, button)) later(key, event.type === "change" ? 150 : AFTER_MS);
    });
  };
  document.addEventListener("input", hear);
  document.addEventListener("change", hear);
  document.addEventListener("cw:changed", (event) => {
    open.forEach((state, key) => event.target.contains(buttonOf(key)) && later(key));
  });

  // A row that was drawn anew has lost its panel; a list that was drawn anew, which button is pressed.
  document.addEventListener("htmx:load", () => {
    [...open].forEach(([key, state]) => {
      const button = buttonOf(key);
      if (!button) hide(key);
      else if (!state.isShared && !document.contains(state.panel)) {
        open.delete(key);
        show(button);
      } else {
        button.setAttribute("aria-expanded", "true");
        button.setAttribute("aria-controls", state.panel.id);
      }
    });
  });
  document.addEventListener("htmx:afterSwap", () => told.forEach((_, id) => mark(id)));
})();

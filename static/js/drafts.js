/*
 * Drafts: what was written and not saved is kept in this browser for a few days, per person and
 * experiment, and offered the next time. Nothing is ever restored without being asked for.
 */
(() => {
  "use strict";
  const PREFIX = "chaosweb-draft:";
  const KEPT_MS = 3 * 24 * 3600 * 1000;
  const STORE_AFTER_MS = 500;

  // A browser may refuse to store anything: there are no drafts then, and nothing else changes.
  const attempt = (act) => {
    try {
      return act();
    } catch {
      return null;
    }
  };
  const load = (key) => attempt(() => JSON.parse(localStorage.getItem(PREFIX + key)));
  const store = (key, draft) => attempt(() => localStorage.setItem(PREFIX + key, JSON.stringify(draft)));
  const drop = (key) => attempt(() => localStorage.removeItem(PREFIX + key));
  const linesOf = (text) => text.replaceAll("\r\n", "\n");

  attempt(() =>
    Object.keys(localStorage).filter((key) => key.startsWith(PREFIX)).forEach((key) => {
      const draft = load(key.slice(PREFIX.length));
      if (!(Date.now() - draft?.at < KEPT_MS)) localStorage.removeItem(key);
    }));

  /* A page that was reached by saving. */
  const saved = document.querySelector("[data-drafts-of]");
  if (saved && location.hash.startsWith("#saved")) {
    drop(`${saved.dataset.draftsOf}:${location.hash === "#saved-new" ? "" : saved.dataset.experiment}`);
    history.replaceState(null, "", location.pathname + location.search);
  }

  /* A page that says that somebody else has saved meanwhile. */
  const refused = document.querySelector("form[data-draft-store]");
  if (refused) {
    const { elements } = refused;
    store(refused.dataset.draftStore, {
      text: elements.text.value, view: refused.dataset.view, message: elements.message.value,
      basedOn: refused.dataset.basedOn, at: Date.now(),
    });
  }

  const form = document.getElementById("editor");
  const key = form?.dataset.draftKey;
  if (!key) return;
  const area = form.querySelector("textarea[name=text]");
  const isForm = form.dataset.view === "form";
  const began = linesOf(area.value);
  let isChanged = "changed" in form.dataset;
  let isLeaving = false;
  let isOffered = false;
  let waiting = 0;

  // The form's own text comes with each preview, patched as it would be saved.
  const textNow = () => (isForm ? document.querySelector("#preview .cw-yaml pre code")?.textContent : area.value);

  const keep = () => {
    const text = textNow();
    if (isOffered || !isChanged || text === undefined) return;
    if (!("changed" in form.dataset) && linesOf(text) === began && !form.elements.message.value) {
      drop(key);
      isChanged = isForm;
      return;
    }
    store(key, { text, view: form.dataset.view, message: form.elements.message.value, basedOn: form.elements.based_on.value, at: Date.now() });
  };
  const note = () => {
    isChanged = true;
    clearTimeout(waiting);
    waiting = setTimeout(keep, STORE_AFTER_MS);
  };
  const hear = (event) => event.target.id !== "environment" && note();
  form.addEventListener("input", hear);
  form.addEventListener("change", hear);
  form.addEventListener("cw:changed", note);
  form.addEventListener("cw:refresh", () => isForm && note());
  document.body.addEventListener("htmx:afterSwap", (event) => event.detail.target.id === "preview" && keep());
  form.addEventListener("submit", () => {
    keep();
    isLeaving = true;
  });
  window.addEventListener("pageshow", () => (isLeaving = false));
  window.addEventListener("beforeunload", (event) => {
    if (isChanged && !isLeaving) event.preventDefault();
  });
  if (isChanged) keep();

  /* The offer. */
  const moment = (at) => {
    const written = new Date(at).toISOString();
    const isToday = written.slice(0, 10) === new Date().toISOString().slice(0, 10);
    return `${isToday ? "" : `${written.slice(0, 10)}, `}${written.slice(11, 16)} UTC`;
  };

  const restore = (draft) => {
    const sent = document.createElement("form");
    sent.method = "post";
    sent.hidden = true;
    const values = {
      csrfmiddlewaretoken: form.elements.csrfmiddlewaretoken.value, view: "yaml", text: draft.text,
      message: draft.message || "", based_on: draft.basedOn || "", environment: form.elements.environment.value,
      do: `view:${draft.view === "form" ? "form" : "yaml"}`,
    };
    Object.entries(values).forEach(([name, value]) => {
      const field = document.createElement("textarea");
      Object.assign(field, { name, value });
      sent.append(field);
    });
    document.body.append(sent);
    isLeaving = true;
    sent.submit();
  };

  const offer = (draft) => {
    const box = document.createElement("div");
    box.className = "cw-alert is-blue cw-draft";
    box.setAttribute("role", "status");
    const text = document.createElement("div");
    const strong = document.createElement("strong");
    strong.textContent = `You have an unsaved draft from ${moment(draft.at)}.`;
    text.append(strong);
    if (draft.basedOn && draft.basedOn !== form.elements.based_on.value) {
      text.append(` It began from version ${draft.basedOn}; a newer one has been saved since.`);
    }
    const button = (label, act) => {
      const made = document.createElement("button");
      Object.assign(made, { type: "button", className: "btn btn-sm", textContent: label });
      made.addEventListener("click", act);
      return made;
    };
    const end = () => {
      drop(key);
      isOffered = false;
      box.remove();
      if (isChanged) keep();
    };
    box.append(text, button("Restore", () => restore(draft)), button("Discard", end));
    form.before(box);
    isOffered = true;
  };

  const draft = "changed" in form.dataset ? null : load(key);
  if (draft && typeof draft.text === "string") {
    if (linesOf(draft.text) === began) drop(key);
    else offer(draft);
  }
})();

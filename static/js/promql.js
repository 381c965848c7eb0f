/*
 * PromQL editors over the inputs that hold PromQL, with completion from the picked environment.
 *
 *   <input data-promql>  in a  <form data-promql-url="/environments/ENVIRONMENT/promql/ALIAS/api/v1/labels">
 *
 * The input stays the form's value: it is filled at every change, with the events that it would have
 * had. Tab leaves the field. CodeMirror is loaded once such an input comes into view or has the focus.
 */
(() => {
  "use strict";
  const { dataset, nonce } = document.currentScript;
  const editors = new Map(); // input -> {view, completion, lint, watcher}
  const strategies = new Map(); // where completion comes from -> what completes
  let loading;

  const script = (source, withNonce) =>
    new Promise((resolve, reject) => {
      const made = document.createElement("script");
      made.src = source;
      if (withNonce) made.nonce = nonce;
      made.addEventListener("load", resolve);
      made.addEventListener("error", reject);
      document.head.append(made);
    });
  const ready = () => {
    loading ??= (window.CM ? Promise.resolve() : script(dataset.codemirror))
      .then(() => (window.ChaosCode ? null : script(dataset.code, true)))
      .catch(() => {
        loading = undefined;
        return null; // the plain inputs stay, and do the same
      });
    return loading;
  };

  /* ---- Where completion comes from ---- */

  const baseFor = (input) => {
    const form = input.closest("form[data-promql-url]");
    if (!form) return "";
    const picked = document.getElementById("environment")?.value;
    if (!picked && form.dataset.promqlUrl.includes("/ENVIRONMENT/")) return "";
    const alias = input.closest(".cw-editor-row")?.querySelector("input[name$=source]")?.value.trim() || "metrics";
    return form.dataset.promqlUrl
      .replace("/ENVIRONMENT/", `/${encodeURIComponent(picked)}/`)
      .replace("/ALIAS/", `/${encodeURIComponent(alias)}/`)
      .replace(/\/api\/v1\/labels$/, "");
  };

  const strategyFor = (base) => {
    if (!strategies.has(base)) {
      const made = new window.CM.PromQLExtension();
      if (base) {
        made.setComplete({
          remote: {
            url: base, httpMethod: "GET",
            fetchFn: (address, init) => fetch(address, { ...init, credentials: "same-origin" }),
            httpErrorHandler: () => {}, // functions and what was read before are offered all the same
            cache: { maxAge: 30000 },
          },
        });
      }
      strategies.set(base, made.getComplete());
    }
    return strategies.get(base);
  };

  const languageFor = (base) => {
    const made = new window.CM.PromQLExtension().setComplete({ completeStrategy: strategyFor(base) });
    const own = made.getLinter();
    // A parameter is no PromQL: its value is written in before the query is sent.
    const isChecked = (text) => text.trim() && !text.includes("${");
    made.setLinter({
      promQL() {
        const find = own.promQL();
        return (view) => (isChecked(view.state.doc.toString()) ? find(view) : []);
      },
    });
    return made.asExtension();
  };

  /* ---- One editor ---- */

  const tell = (input, type) => input.dispatchEvent(new Event(type, { bubbles: true }));

  const attributesOf = (input, label) => {
    const found = {
      role: "textbox", "aria-multiline": String(input.tagName === "TEXTAREA"), "aria-autocomplete": "list",
      spellcheck: "false", autocorrect: "off", autocapitalize: "off", id: `${input.id}_editor`,
    };
    if (label) found["aria-labelledby"] = label.id;
    ["aria-describedby", "aria-invalid"].forEach((name) => {
      if (input.hasAttribute(name)) found[name] = input.getAttribute(name);
    });
    if (input.required) found["aria-required"] = "true";
    return found;
  };

  const oneLine = (CM) => CM.EditorState.transactionFilter.of((change) => {
    if (change.newDoc.lines === 1) return change;
    const text = change.newDoc.toString().replace(/\s*\n\s*/g, " ");
    return { changes: { from: 0, to: change.startState.doc.length, insert: text }, selection: { anchor: Math.min(change.newSelection.main.head, text.length) } };
  });

  const make = (input) => {
    if (editors.has(input) || !input.isConnected) return;
    const { CM, ChaosCode } = window;
    const { EditorView, keymap, Compartment, EditorState } = CM;
    const hadFocus = document.activeElement === input;
    const label = document.querySelector(`label[for="${CSS.escape(input.id)}"]`);
    if (label && !label.id) label.id = `${input.id}_label`;
    const isLong = input.tagName === "TEXTAREA";
    const language = new Compartment();
    const carried = new Compartment();
    let base = baseFor(input);
    let written = input.value;
    const view = new EditorView({
      doc: input.value,
      extensions: [
        ChaosCode.plain(),
        language.of(languageFor(base)),
        carried.of(EditorView.contentAttributes.of(attributesOf(input, label))),
        CM.history(), CM.bracketMatching(), CM.closeBrackets(), CM.autocompletion({ aboveCursor: false }), CM.highlightSpecialChars(),
        CM.tooltips({ position: "fixed", parent: document.body }),
        EditorView.lineWrapping, EditorState.tabSize.of(2),
        input.placeholder ? CM.placeholder(input.placeholder) : [],
        isLong ? [] : oneLine(CM),
        keymap.of([
          ...CM.closeBracketsKeymap, ...CM.completionKeymap,
          // As in an input: Enter checks what is written. In a long one it begins a line.
          ...(isLong ? [] : [{ key: "Enter", run: () => { commit(); tell(input, "change"); return true; } }]),
          ...CM.historyKeymap, ...CM.defaultKeymap,
        ]),
        EditorView.updateListener.of((update) => {
          if (!update.docChanged) return;
          input.value = update.state.doc.toString();
          tell(input, "input");
        }),
        EditorView.domEventHandlers({
          blur: () => commit(),
          focus: () => {
            const now = baseFor(input);
            if (now === base) return;
            base = now;
            view.dispatch({ effects: language.reconfigure(languageFor(base)) });
          },
        }),
      ],
    });
    const commit = () => {
      if (input.value === written) return;
      written = input.value;
      tell(input, "change");
    };
    const box = document.createElement("div");
    box.className = `cw-promql${isLong ? " is-long" : ""}`;
    // The input tells what happens; the editor's own events are none of the form's.
    ["input", "change"].forEach((type) => view.dom.addEventListener(type, (event) => event.stopPropagation()));
    box.append(view.dom);
    input.after(box);
    input.classList.add("cw-promql-value");
    input.tabIndex = -1;
    input.setAttribute("aria-hidden", "true");
    input.addEventListener("focus", () => view.focus());
    label?.addEventListener("click", (event) => {
      event.preventDefault();
      view.focus();
    });
    const watcher = new MutationObserver(() =>
      view.dispatch({ effects: carried.reconfigure(EditorView.contentAttributes.of(attributesOf(input, label))) }));
    watcher.observe(input, { attributes: true, attributeFilter: ["aria-describedby", "aria-invalid"] });
    ChaosCode.follow(view);
    editors.set(input, { view, watcher });
    if (hadFocus) {
      view.focus();
      view.dispatch({ selection: { anchor: Math.min(input.selectionEnd ?? 0, view.state.doc.length) } });
    }
  };

  const drop = (root) => {
    editors.forEach(({ view, watcher }, input) => {
      if (root !== input && !root.contains(input)) return;
      watcher.disconnect();
      view.destroy();
      editors.delete(input);
    });
  };

  /* ---- When there is one ---- */

  const seen = new IntersectionObserver((entries) => {
    const shown = entries.filter((entry) => entry.isIntersecting).map((entry) => entry.target);
    shown.forEach((input) => seen.unobserve(input));
    if (shown.length) ready().then(() => window.ChaosCode && shown.forEach(make));
  });
  const start = (root) => root.querySelectorAll?.("[data-promql]").forEach((input) => editors.has(input) || seen.observe(input));

  document.addEventListener("htmx:load", (event) => start(event.detail.elt));
  document.addEventListener("htmx:beforeCleanupElement", (event) => drop(event.target));
  start(document);
})();

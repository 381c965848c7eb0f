/*
 * The YAML view: an editor over the text area, which holds the text and is what the form sends.
 *
 * Completion and the texts of keys come from the published schema (yaml_schema.js), and values of
 * `with` from the environment's systems (suggest.js); what is wrong comes from the server, with the
 * preview, and is marked at its line. Links to #line-12 lead there.
 */
(() => {
  "use strict";
  const area = document.getElementById("yaml-text");
  const form = document.getElementById("editor");
  if (!area || !form || !window.ChaosCode) return;
  const { CM, ChaosCode, ChaosYaml, ChaosSchema, ChaosSuggest } = window;
  const { EditorView, EditorState, keymap } = CM;
  const REFRESH_AFTER_MS = 700;

  const words = JSON.parse(area.dataset.words);
  const environment = document.getElementById("environment");
  const wordsNow = () => ({ ...words, environment: environment?.value || "" });
  // The address changes with the schema, so that whatever the browser has kept is right.
  const schemaSent = fetch(area.dataset.schema, { cache: "force-cache", credentials: "same-origin" })
    .then((answer) => (answer.ok ? answer.json() : null))
    .catch(() => null); // without it there is no completion; everything else works

  let last = { text: null, root: null };
  const rootOf = (state) => {
    const text = state.doc.toString();
    if (last.text !== text) last = { text, root: ChaosYaml.read(text) };
    return last.root;
  };

  /* ---- Texts of keys ---- */

  const element = (name, className, text) => {
    const made = document.createElement(name);
    made.className = className;
    if (text) made.textContent = text;
    return made;
  };

  const explain = (field) => {
    const box = element("div", "cw-yaml-info");
    box.append(element("strong", "", field.title));
    if (field.facts.length) box.append(element("span", "cw-yaml-facts", field.facts.join(" · ")));
    if (field.text) box.append(element("p", "", field.text));
    if (field.choices.length) box.append(element("p", "cw-yaml-choices", field.choices.slice(0, 12).join(", ")));
    if (field.examples.length) box.append(element("p", "cw-yaml-choices", `for example ${field.examples.slice(0, 3).join(", ")}`));
    return box;
  };

  const hover = CM.hoverTooltip(async (view, offset) => {
    const schema = await schemaSent;
    const root = rootOf(view.state);
    const key = schema && ChaosYaml.keyAt(root, offset);
    const field = key && ChaosSchema.describe(schema, key.path, root, wordsNow());
    return field ? { pos: key.from, end: key.to, above: true, create: () => ({ dom: explain(field) }) } : null;
  }, { hoverTime: 350 });

  /* ---- Completion ---- */

  const insert = (written, { goesOn = false } = {}) => (view, _, from, to) => {
    const cursor = written.indexOf("§");
    const text = written.replace("§", "");
    view.dispatch({
      changes: { from, to, insert: text }, userEvent: "input.complete", scrollIntoView: true,
      selection: { anchor: from + (cursor < 0 ? text.length : cursor) },
    });
    if (goesOn) setTimeout(() => CM.startCompletion(view));
  };

  const indented = (text, column) => text.replaceAll("\n", `\n${" ".repeat(column)}`);

  const blocks = (path, column, lead) =>
    ChaosSchema.blocksFor(path).map(([label, text], number) => ({
      label, type: "text", detail: "block", boost: -50 - number,
      apply: insert(lead + indented(text, column + lead.length)),
    }));

  const keyText = ({ name, shape }, { isFlow, column, hasColon }) => {
    if (hasColon) return name;
    if (shape === "text") return `${name}: `;
    if (isFlow) return shape === "array" ? `${name}: [§]` : `${name}: {§}`;
    return `${name}:\n${" ".repeat(column + 2)}${shape === "array" ? "- " : ""}`;
  };

  const keys = (schema, root, found, state, column) => {
    const line = state.doc.lineAt(found.from);
    const hasColon = /^[\w-]*\s*:/.test(line.text.slice(found.from + found.typed.length - line.from));
    return ChaosSchema.keysAt(schema, found.path, root, wordsNow(), found.typed).map((field, number) => ({
      label: field.name, type: field.isRequired ? "keyword" : "property",
      detail: field.facts.filter((fact) => fact !== "object" && fact !== "array").join(" · "),
      info: () => explain(field), boost: 90 - number,
      apply: insert(keyText(field, { isFlow: found.isFlow, column, hasColon }), { goesOn: !hasColon }),
    }));
  };

  const referencesTo = (root, found) => {
    const open = found.typed.lastIndexOf("${");
    if (open < 0 || found.typed.indexOf("}", open) >= 0) return null;
    const isBare = found.isFlow && open === 0;
    return {
      from: found.from + open, validFor: /^\$\{[\w-]*$/,
      options: ChaosSchema.parameters(root).map(({ name, detail }) => ({
        label: `\${${name}}`, detail, type: "variable", apply: insert(isBare ? `"\${${name}}"` : `\${${name}}`),
      })),
    };
  };

  const headed = (text) => ({ name: text, header: () => element("div", "cw-yaml-origin", text) });

  /* A value in the quotes that it needs, or that were begun; those behind the cursor go. */
  const place = (value, typed) => (view, _, from, to) => {
    const quote = /^["']/.test(typed) ? typed[0] : "";
    const end = quote && view.state.sliceDoc(to, to + 1) === quote ? to + 1 : to;
    const text = quote ? JSON.stringify(value) : ChaosSchema.written(value);
    view.dispatch({ changes: { from, to: end, insert: text }, selection: { anchor: from + text.length }, userEvent: "input.complete", scrollIntoView: true });
  };

  const why = element("p", "cw-yaml-why");
  why.hidden = true;
  document.getElementById("yaml-help").before(why);
  const tell = (note) => {
    why.textContent = note;
    why.hidden = !note;
    if (note) ChaosSuggest.say(note);
  };

  /* What the environment's systems have for the value; its note where they have nothing. */
  const suggested = async (context, schema, root, found) => {
    const question = ChaosSchema.questionAt(schema, found.path, root, wordsNow());
    if (!question) return null;
    const stop = new AbortController();
    context.addEventListener("abort", () => stop.abort());
    const answer = await ChaosSuggest.ask({ ...question, typed: found.typed.replace(/^["']/, "") }, stop.signal);
    if (answer) tell(answer.note);
    return answer && { note: answer.note, options: answer.options.map(({ value, detail }) => ({
      label: value, detail, type: "constant", section: headed(answer.origin), apply: place(value, found.typed),
    })) };
  };

  const complete = async (context) => {
    const schema = await schemaSent;
    if (!schema || context.aborted) return null;
    const { state, pos } = context;
    const root = rootOf(state);
    const found = ChaosYaml.contextAt(state.doc.toString(), pos);
    if (found.role !== "value") tell("");
    if (found.role === "none") return null;
    if (found.role === "value") {
      const references = referencesTo(root, found);
      if (references) return references;
    }
    if (!context.explicit && !found.typed && found.role !== "value") return null;
    const live = found.role === "value" ? await suggested(context, schema, root, found) : null;
    if (context.aborted) return null;
    if (live?.options.length) return { from: found.from, options: live.options, filter: false };
    const column = found.from - state.doc.lineAt(found.from).from;
    let options = [];
    if (found.role === "key") options = keys(schema, root, found, state, column);
    if (!options.length) {
      options = ChaosSchema.valuesAt(schema, found.path, root, wordsNow())
        .map(({ value, detail, text }, number) => ({
          label: value, detail, info: text || undefined, type: "constant", boost: 50 - number,
          ...(live?.note && { section: headed(live.note) }),
        }));
    }
    if (!found.isFlow && found.role === "key") {
      const isItem = typeof found.path.at(-1) === "number" && !ChaosYaml.nodeAt(root, found.path)?.entries.size;
      options.push(...(isItem ? blocks(found.path.slice(0, -1), column, "") : blocks(found.path, column, "- ")));
    }
    const list = found.role === "item" ? found.path : found.itemOf;
    if (list && !found.isFlow) options.push(...blocks(list, column, "- "));
    return options.length ? { from: found.from, options, ...(!live && { validFor: /^[\w.-]*$/ }) } : null;
  };

  /* ---- What is wrong ---- */

  let said = "";
  const announce = (diagnostics, state) => {
    const first = diagnostics[0];
    const count = diagnostics.length;
    const text = first
      ? `${count} problem${count === 1 ? "" : "s"} in the YAML; the first in line ${state.doc.lineAt(first.from).number}: ${first.message}`
      : said && "No problem in the YAML";
    if (text && text !== said) document.getElementById("announcer").textContent = text;
    said = first ? text : "";
  };

  const rangeOf = (doc, line, column) => {
    const { from, to, text } = doc.line(Math.min(Math.max(line || 1, 1), doc.lines));
    const start = Math.min(from + Math.max(column - 1, 0), to);
    const rest = text.slice(start - from).replace(/\s+#.*$/, "").trimEnd();
    return { from: start, to: Math.max(start + rest.length, start) };
  };

  const showMarks = (view) => {
    const marks = document.getElementById("editor-marks");
    if (!marks) return;
    const { state } = view;
    const diagnostics = [...marks.querySelectorAll('[data-kind="error"], [data-kind="warning"]')]
      .map(({ dataset, textContent }) => ({ ...rangeOf(state.doc, Number(dataset.line), Number(dataset.column)), severity: dataset.kind, message: textContent }))
      .sort((a, b) => a.from - b.from);
    view.dispatch(CM.setDiagnostics(state, diagnostics));
    announce(diagnostics.filter((each) => each.severity === "error"), state);
    marks.remove();
  };

  const goTo = (view, line, column = 1) => {
    const { from } = rangeOf(view.state.doc, line, column);
    view.dispatch({ selection: { anchor: from }, effects: EditorView.scrollIntoView(from, { y: "center" }) });
    view.focus();
    view.dom.scrollIntoView({ block: "nearest" });
  };

  /* ---- The editor ---- */

  const indentMore = CM.defaultKeymap.find((each) => each.key === "Mod-]").run;
  const indentLess = CM.defaultKeymap.find((each) => each.key === "Mod-[").run;

  let waiting = 0;
  const changed = EditorView.updateListener.of((update) => {
    if (!update.docChanged) return;
    area.value = update.state.doc.toString();
    form.dispatchEvent(new CustomEvent("cw:changed"));
    clearTimeout(waiting);
    waiting = setTimeout(() => window.htmx?.trigger(form, "cw:refresh"), REFRESH_AFTER_MS);
  });

  const view = new EditorView({
    doc: area.value,
    extensions: [
      ChaosCode.base(),
      CM.lineNumbers(), CM.foldGutter(), CM.lintGutter(), CM.history(), CM.drawSelection(),
      CM.highlightActiveLine(), CM.highlightActiveLineGutter(), CM.highlightSpecialChars(), CM.highlightSelectionMatches(),
      CM.bracketMatching(), CM.closeBrackets(), CM.indentOnInput(), CM.indentUnit.of("  "), EditorState.tabSize.of(2),
      CM.tooltips({ parent: document.body }), CM.autocompletion({ override: [complete], icons: false }), hover,
      keymap.of([
        ...CM.closeBracketsKeymap, ...CM.defaultKeymap, ...CM.searchKeymap, ...CM.historyKeymap, ...CM.foldKeymap,
        ...CM.completionKeymap, ...CM.lintKeymap, { key: "Tab", run: indentMore, shift: indentLess },
      ]),
      EditorView.contentAttributes.of({ "aria-label": "The experiment as YAML", "aria-describedby": "yaml-help", spellcheck: "false", tabindex: "0" }),
      changed,
    ],
  });
  area.before(view.dom);
  area.hidden = true;
  document.querySelector('label[for="yaml-text"]').addEventListener("click", () => view.focus());
  // Its own events are not those of the form's inputs, which htmx listens to.
  ["input", "change"].forEach((kind) => view.dom.addEventListener(kind, (event) => event.stopPropagation()));
  ChaosCode.follow(view);
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "preview") showMarks(view);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#line-"]');
    if (!link) return;
    event.preventDefault();
    goTo(view, Number(link.hash.slice(6)), Number(link.dataset.column || 1));
  });

  showMarks(view);
  const spot = form.dataset.spot?.match(/^line-(\d+)$/);
  if (spot) goTo(view, Number(spot[1]));
})();

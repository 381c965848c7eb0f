/*
 * What every editor of code shares: its colours, from the page's own, and the nonce of its styles.
 *
 *   ChaosCode.base()        extensions: YAML, its colours, the theme
 *   ChaosCode.follow(view)  changes the theme with the page's
 */
(() => {
  "use strict";
  const { nonce } = document.currentScript;
  if (!window.CM) return;
  const { CM } = window;
  const { EditorView, tags } = CM;
  const theme = new CM.Compartment();

  const colours = CM.HighlightStyle.define([
    { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--cw-accent)", fontWeight: "560" },
    { tag: [tags.string, tags.special(tags.string)], color: "var(--cw-green)" },
    { tag: [tags.comment, tags.lineComment], color: "var(--cw-text-muted)", fontStyle: "italic" },
    { tag: [tags.labelName, tags.typeName, tags.keyword, tags.meta], color: "var(--cw-violet)" },
    { tag: [tags.punctuation, tags.separator, tags.bracket], color: "var(--cw-text-muted)" },
  ]);
  const themed = () => EditorView.theme({}, { dark: document.documentElement.dataset.bsTheme === "dark" });

  const base = () => [EditorView.cspNonce.of(nonce), CM.yaml(), CM.syntaxHighlighting(colours), theme.of(themed())];
  const follow = (view) =>
    document.addEventListener("chaosweb:theme", () => view.dispatch({ effects: theme.reconfigure(themed()) }));

  window.ChaosCode = { base, follow };
})();

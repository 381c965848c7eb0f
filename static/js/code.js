/*
 * What every editor of code shares: its colours, from the page's own, and the nonce of its styles.
 *
 *   ChaosCode.plain()       extensions: the colours and the theme, for any language
 *   ChaosCode.base()        the same with YAML
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

  // Chromium keeps the looks of what is typed over in a style attribute, which the page's policy bars.
  const typesOver = EditorView.domEventHandlers({
    beforeinput(event, view) {
      const { main } = view.state.selection;
      if (event.inputType !== "insertText" || !event.data || main.empty || view.composing) return false;
      event.preventDefault();
      const insert = () => view.state.update(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
      const isHandled = view.state.facet(EditorView.inputHandler).some((each) => each(view, main.from, main.to, event.data, insert));
      if (!isHandled) view.dispatch(insert());
      return true;
    },
  });

  const plain = () => [typesOver, EditorView.cspNonce.of(nonce), CM.syntaxHighlighting(colours), theme.of(themed())];
  const base = () => [CM.yaml(), ...plain()];
  const follow = (view) => {
    const change = () => {
      if (view.dom.isConnected) view.dispatch({ effects: theme.reconfigure(themed()) });
      else document.removeEventListener("chaosweb:theme", change); // its field is gone
    };
    document.addEventListener("chaosweb:theme", change);
  };

  window.ChaosCode = { base, follow, plain };
})();

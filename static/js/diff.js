/*
 * Two texts side by side, or in one, as often as a page has them; without it the lines that differ.
 *
 *   <div data-diff data-old="#id" data-new="#id"> with buttons [data-diff-mode=unified | split]
 */
(() => {
  "use strict";
  if (!window.ChaosCode) return;
  const { CM, ChaosCode } = window;
  const { EditorState, EditorView } = CM;
  const WIDE = 900;
  const textOf = (selector) => document.querySelector(selector).textContent;

  const draw = (place) => {
    const texts = { old: textOf(place.dataset.old), new: textOf(place.dataset.new) };
    const room = place.querySelector("[data-diff-room]");
    const buttons = [...place.querySelectorAll("[data-diff-mode]")];
    let shown = null;

    const isText = place.dataset.language === "text";
    const reading = (label) => [
      ...(isText ? [EditorView.lineWrapping, ChaosCode.plain()] : [ChaosCode.base()]),
      CM.lineNumbers(), CM.foldGutter(), CM.keymap.of([...CM.defaultKeymap, ...CM.searchKeymap]),
      EditorState.readOnly.of(true), EditorView.contentAttributes.of({ "aria-label": label, "aria-readonly": "true", tabindex: "0" }),
    ];
    const collapseUnchanged = { margin: 3, minSize: 6 };

    const made = {
      split: () => {
        const view = new CM.MergeView({
          a: { doc: texts.old, extensions: reading(place.dataset.oldLabel) },
          b: { doc: texts.new, extensions: reading(place.dataset.newLabel) },
          parent: room, collapseUnchanged,
        });
        [view.a, view.b].forEach(ChaosCode.follow);
        return view;
      },
      unified: () => {
        const view = new EditorView({
          doc: texts.new, parent: room,
          extensions: [
            reading(`${place.dataset.oldLabel} and ${place.dataset.newLabel}`),
            CM.unifiedMergeView({ original: texts.old, mergeControls: false, collapseUnchanged }),
          ],
        });
        ChaosCode.follow(view);
        return view;
      },
    };

    const show = (mode) => {
      shown?.destroy();
      room.replaceChildren();
      shown = made[mode]();
      buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.diffMode === mode)));
    };

    buttons.forEach((button) => button.addEventListener("click", () => show(button.dataset.diffMode)));
    place.querySelector("[data-diff-lines]").hidden = true;
    show(place.clientWidth >= WIDE ? "split" : "unified");
  };

  document.querySelectorAll("[data-diff]").forEach(draw);
})();

#!/bin/sh
# Rebuild static/vendor/ from npm. The outputs are committed: neither the server nor its users
# need node. Run it after changing a version or the list of icons, and commit what it writes.
set -eu

TABLER=1.6.1
ICONS=3.51.0
PLOTLY=4.1.1
INTER=5.3.0
CODEMIRROR="@codemirror/autocomplete@6.20.4 @codemirror/commands@6.11.1 @codemirror/lang-yaml@6.1.3
@codemirror/language@6.13.1 @codemirror/lint@6.9.8 @codemirror/merge@6.12.3 @codemirror/search@6.7.2
@codemirror/state@6.7.6 @codemirror/view@6.43.15 @lezer/highlight@1.2.5
@prometheus-io/codemirror-promql@0.314.0"
ESBUILD=0.28.2

# The icons we use (outline, then filled); templates name them through partials/icon.html.
OUTLINE="activity alert-octagon alert-triangle arrow-left arrow-right ban bell bolt books
check chevron-down chevron-left chevron-right circle-check circle-dashed circle-x clipboard-check
clock copy device-desktop dots download external-link eye file-code filter flag flame flask
ghost-2 git-compare hand-stop heartbeat help-circle history hourglass info-circle layout-dashboard
list-details lock login logout moon pencil player-play player-stop plus radar refresh scale search
server shield shield-check sun tag target topology-star-3 trash trending-up upload user x"
FILLED="player-stop"

root=$(cd "$(dirname "$0")/.." && pwd)
out=$root/static/vendor
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$work"
npm init --yes >/dev/null
npm install --ignore-scripts --no-audit --no-fund --save-exact \
    "@tabler/core@$TABLER" "@tabler/icons@$ICONS" \
    "plotly.js-cartesian-dist-min@$PLOTLY" "@fontsource-variable/inter@$INTER" \
    "esbuild@$ESBUILD" $CODEMIRROR

strip_map() { # A source map that is not there would fail the hashing of static files.
    sed -E -e 's@/\*# sourceMappingURL=[^*]*\*/@@' -e '/^\/\/# sourceMappingURL=/d' "$1" >"$2"
}

rm -rf "$out"
mkdir -p "$out/tabler" "$out/icons" "$out/plotly" "$out/inter" "$out/codemirror"

strip_map node_modules/@tabler/core/dist/css/tabler.min.css "$out/tabler/tabler.min.css"
# The package carries no licence file: its notice stands in the style sheet's head.
{
    printf 'The MIT License (MIT)\n\n'
    sed -n -e 's/^ \* \(Copyright .*\)/\1/p' node_modules/@tabler/core/dist/css/tabler.min.css
    sed -e '1,/^Copyright/d' node_modules/@tabler/icons/LICENSE
} >"$out/tabler/LICENSE"

strip_map node_modules/plotly.js-cartesian-dist-min/plotly-cartesian.min.js \
    "$out/plotly/plotly-cartesian.min.js"
cp node_modules/plotly.js-cartesian-dist-min/LICENSE "$out/plotly/LICENSE"

cp node_modules/@fontsource-variable/inter/files/inter-latin-wght-normal.woff2 "$out/inter/"
cp node_modules/@fontsource-variable/inter/LICENSE "$out/inter/LICENSE"

cp node_modules/@tabler/icons/LICENSE "$out/icons/LICENSE"
OUTLINE=$OUTLINE FILLED=$FILLED SPRITE=$out/icons/sprite.svg node <<'JS'
const fs = require("node:fs");
const words = (text) => text.split(/\s+/).filter(Boolean);
const symbol = (style, name, id, attributes) => {
  const source = fs.readFileSync(`node_modules/@tabler/icons/icons/${style}/${name}.svg`, "utf8");
  const inner = source
    .replace(/^[\s\S]*?<svg[^>]*>/, "").replace(/<\/svg>\s*$/, "")
    .replace(/\s*<path stroke="none" d="M0 0h24v24H0z" fill="none" \/>/, "")
    .replace(/\s*\n\s*/g, "");
  return `<symbol id="${id}" viewBox="0 0 24 24" ${attributes}>${inner}</symbol>`;
};
const line = 'fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round"';
const symbols = [
  ...words(process.env.OUTLINE).map((name) => symbol("outline", name, name, line)),
  ...words(process.env.FILLED).map((name) => symbol("filled", name, `${name}-filled`, 'fill="currentColor"')),
];
fs.writeFileSync(process.env.SPRITE, `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join("\n")}\n</svg>\n`);
JS

cat >editor.js <<'JS'
export {
  EditorView, drawSelection, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars,
  hoverTooltip, keymap, lineNumbers, placeholder, tooltips,
} from "@codemirror/view";
export { Compartment, EditorState, StateEffect, StateField } from "@codemirror/state";
export { defaultKeymap, history, historyKeymap, redo, undo } from "@codemirror/commands";
export {
  HighlightStyle, bracketMatching, foldGutter, foldKeymap, indentOnInput, indentUnit,
  syntaxHighlighting, syntaxTree,
} from "@codemirror/language";
export { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
export {
  autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, startCompletion,
} from "@codemirror/autocomplete";
export { forceLinting, lintGutter, lintKeymap, linter, setDiagnostics } from "@codemirror/lint";
export { yaml } from "@codemirror/lang-yaml";
export { MergeView, unifiedMergeView } from "@codemirror/merge";
export { PromQLExtension } from "@prometheus-io/codemirror-promql";
export { tags } from "@lezer/highlight";
JS
# Its own installer is not run: the program lies in the package of this machine's kind.
node node_modules/esbuild/bin/esbuild editor.js --bundle --minify --format=iife --global-name=CM \
    --target=es2022 --legal-comments=none --metafile=bundle.json --log-level=warning \
    --outfile="$out/codemirror/codemirror.min.js"
# The bundle's licences: one notice for each package that is in it.
OUT=$out/codemirror node <<'JS'
const fs = require("node:fs");
const inputs = Object.keys(JSON.parse(fs.readFileSync("bundle.json")).inputs);
const name = (path) => (path.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)/) || [])[1];
const notice = (each) => {
  const folder = `node_modules/${each}`;
  const { license, version } = JSON.parse(fs.readFileSync(`${folder}/package.json`));
  const file = fs.readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file ? fs.readFileSync(`${folder}/${file}`, "utf8").trim() : "";
  return `${each} ${version} (${license})\n\n${text}`.trim();
};
const packages = [...new Set(inputs.map(name).filter(Boolean))].sort();
fs.writeFileSync(`${process.env.OUT}/LICENSE`, `${packages.map(notice).join("\n\n\n")}\n`);
JS

cat >"$out/README.md" <<MD
# Vendored files

Built by \`scripts/vendor.sh\` from npm packages; do not edit. Each folder holds its licence.

| folder | package | version | licence | source |
|---|---|---|---|---|
| tabler | @tabler/core | $TABLER | MIT | github.com/tabler/tabler |
| icons | @tabler/icons (a sprite of those we use) | $ICONS | MIT | github.com/tabler/tabler-icons |
| plotly | plotly.js-cartesian-dist-min | $PLOTLY | MIT | github.com/plotly/plotly.js |
| inter | @fontsource-variable/inter (latin, upright) | $INTER | OFL-1.1 | github.com/rsms/inter |
| codemirror | @codemirror/*, @prometheus-io/codemirror-promql, bundled by esbuild $ESBUILD | see the script | MIT, Apache-2.0 | github.com/codemirror, github.com/prometheus/prometheus |

htmx comes with django-htmx (\`{% htmx_script %}\`).
MD

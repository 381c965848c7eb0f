/*
 * Reads YAML as it is being written: half a line, an open bracket, a key without its value. Pure.
 *
 *   read(text)          the root node
 *   contextAt(text, n)  what is being written at the offset
 *   nodeAt(root, path)  the node at a path of keys and numbers
 *
 * A node has kind (empty, text, map, seq), path, from (offset), and text, entries (Map of key to
 * {from, to, value}) or items. A context has role (key, value, item or none), path (of the mapping
 * whose key, or the value, is written), typed, from (offset of what was typed), isFlow, and itemOf:
 * the path of the list whose next item could begin here.
 *
 * It is no judge: what is wrong, the server says. The editor's own syntax tree gives up on the line
 * that is being written, which is the one that matters here.
 */
window.ChaosYaml = (() => {
  "use strict";
  const KEY = /^("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s"'#&*!|>%@`,[\]{}][^#:]*?)\s*:(?=\s|$)/;
  const DASH = /^-(?=\s|$)/;
  const PROPERTIES = /^(?:[&!][^\s,[\]{}]*\s+)+/;

  const made = (path, from) => ({ kind: "empty", path, from, text: "", entries: new Map(), items: [] });
  const plain = (written) => {
    if (written.length > 1 && written[0] === '"' && written.endsWith('"')) {
      try {
        return JSON.parse(written);
      } catch {
        return written.slice(1, -1);
      }
    }
    if (written.length > 1 && written[0] === "'" && written.endsWith("'")) return written.slice(1, -1).replaceAll("''", "'");
    return written;
  };
  const addKey = (map, written, from, to) => {
    const key = plain(written);
    const value = made([...map.path, key], to);
    map.entries.set(key, { from, to, value });
    return value;
  };
  const addItem = (seq, from) => {
    const item = made([...seq.path, seq.items.length], from);
    seq.items.push(item);
    return item;
  };
  const become = (node, kind, from) => Object.assign(node, { kind, from });
  const lineEnd = (text, at) => {
    const end = text.indexOf("\n", at);
    return end < 0 ? text.length : end;
  };
  const lastOf = (node) => (node.kind === "seq" ? node.items.at(-1) : [...node.entries.values()].at(-1)?.value);

  /* The end of a quoted text; past the text's end where it is not closed (yet). */
  const quoteEnd = (text, at) => {
    const quote = text[at];
    for (let i = at + 1; i < text.length; i += 1) {
      if (quote === '"' && text[i] === "\\") i += 1;
      else if (text[i] === quote && quote === "'" && text[i + 1] === "'") i += 1;
      else if (text[i] === quote) return i + 1;
      else if (text[i] === "\n" && /^\s*(?:- )*[\w-]+:(?:\s|$)/.test(text.slice(i + 1, lineEnd(text, i + 1)))) return i;
    }
    return text.length + 1;
  };

  /* Reads [ … ] or { … } from its bracket; returns the offset behind it and what was open at the end. */
  const readFlow = (text, start, node, indent) => {
    const open = [];
    let slot = node;
    let key = null; // the mapping's token that waits for its colon
    let typedFrom = start;
    let typed = "";
    let at = start;
    const settle = () => {
      const top = open.at(-1);
      if (top?.kind === "map" && key) addKey(top, key.text, key.from, key.to);
      key = null;
      slot = null;
    };
    const take = (written, from, to) => {
      typed = written;
      typedFrom = from;
      const top = open.at(-1);
      if (top.kind === "map" && !slot) key = { text: written, from, to };
      else {
        const target = slot || addItem(top, from);
        if (target.kind === "empty") Object.assign(become(target, "text", from), { text: plain(written) });
        slot = top.kind === "map" ? target : null;
      }
    };
    while (at < text.length) {
      const c = text[at];
      const top = open.at(-1);
      if (c === "\n") {
        const next = text.slice(at + 1, lineEnd(text, at + 1));
        if (/\S/.test(next) && next.search(/\S/) <= indent && (DASH.test(next.trim()) || KEY.test(next.trim()))) break;
        at += 1;
      } else if (/\s/.test(c)) at += 1;
      else if (c === "#" && /\s/.test(text[at - 1])) at = lineEnd(text, at);
      else if (c === "{" || c === "[") {
        const target = slot || (top ? addItem(top, at) : node);
        become(target, c === "{" ? "map" : "seq", at);
        open.push(target);
        slot = key = null;
        typed = "";
        at += 1;
        typedFrom = at;
      } else if (c === "}" || c === "]") {
        settle();
        open.pop();
        at += 1;
        if (!open.length) return { at, open: null };
        typed = "";
        slot = open.at(-1).kind === "map" ? lastOf(open.at(-1)) : null;
      } else if (c === ",") {
        settle();
        at += 1;
        typed = "";
        typedFrom = at;
      } else if (c === ":" && key && top.kind === "map") {
        slot = addKey(top, key.text, key.from, key.to);
        key = null;
        at += 1;
        typed = "";
        typedFrom = at;
      } else if (c === '"' || c === "'") {
        const end = quoteEnd(text, at);
        take(text.slice(at, Math.min(end, text.length)), at, end);
        at = end;
      } else {
        const rest = text.slice(at, lineEnd(text, at));
        const length = Math.max(1, rest.search(/[,[\]{}]|:(?=[\s,[\]{}]|$)|\s#|$/));
        const written = c === "$" && rest[1] === "{" ? rest.match(/^\$\{[^}]*\}?/)[0] : rest.slice(0, length);
        take(written.trimEnd(), at, at + written.trimEnd().length);
        at += written.length;
      }
    }
    return { at: Math.min(at, text.length), open: open.at(-1), slot, key, typed, typedFrom };
  };

  const scan = (text) => {
    const root = made([], 0);
    const blocks = []; // open block collections with their columns
    let within = null; // what the end of the text interrupts: {flow} or {block: true}
    let at = 0;

    const top = () => blocks.at(-1);
    const slotNow = () => (top() ? lastOf(top().node) : root);
    const leave = (column, isDash) => {
      while (top() && top().column > column) blocks.pop();
      if (top()?.node.kind === "seq" && top().column === column && !isDash) blocks.pop();
    };

    /* Reads a value that begins on this line; returns where the next line begins. */
    const fill = (node, from, indent) => {
      const rest = text.slice(from, lineEnd(text, from));
      const skipped = rest.match(PROPERTIES)?.[0].length || 0;
      const start = from + skipped;
      const c = text[start];
      if (skipped === rest.length || c === "#" || c === "\n" || c === undefined) return lineEnd(text, from) + 1;
      if (c === "{" || c === "[") {
        const flow = readFlow(text, start, node, indent);
        if (flow.open && flow.at >= text.length) within = { flow };
        return lineEnd(text, flow.at) + 1;
      }
      become(node, "text", start);
      if (c === "|" || c === ">") {
        let next = lineEnd(text, start) + 1;
        while (next < text.length) {
          const line = text.slice(next, lineEnd(text, next));
          if (/\S/.test(line) && line.search(/\S/) <= indent) return next;
          next = lineEnd(text, next) + 1;
        }
        const last = text.slice(text.lastIndexOf("\n") + 1);
        within = next >= text.length && (/\S/.test(last) || last.length > indent) ? { block: true } : null;
        return next;
      }
      if (c === '"' || c === "'") {
        const end = quoteEnd(text, start);
        node.text = plain(text.slice(start, Math.min(end, text.length)));
        if (end > text.length) within = { quote: { node, from: start } };
        return lineEnd(text, Math.min(end, text.length)) + 1;
      }
      const line = text.slice(start, lineEnd(text, start));
      node.text = line.replace(/\s+#.*$/, "").trimEnd();
      return lineEnd(text, start) + 1;
    };

    while (at < text.length) {
      const end = lineEnd(text, at);
      const line = text.slice(at, end);
      let column = line.search(/\S/);
      if (column < 0 || line[column] === "#" || /^(---|\.\.\.|%)/.test(line)) {
        at = end + 1;
        continue;
      }
      leave(column, DASH.test(line.slice(column)));
      let slot = top() && top().column === column ? null : slotNow();
      while (DASH.test(line.slice(column))) {
        if (!(top()?.node.kind === "seq" && top().column === column)) {
          const target = slot || slotNow();
          if (!target || target.kind !== "empty") break;
          blocks.push({ node: become(target, "seq", at + column), column });
        }
        slot = addItem(top().node, at + column);
        const gap = line.slice(column + 1).search(/\S/);
        column = gap < 0 ? line.length : column + 1 + gap;
      }
      const rest = line.slice(column);
      const key = rest.match(KEY);
      if (key && slot?.kind === "empty") {
        blocks.push({ node: become(slot, "map", at + column), column });
        slot = null;
      }
      if (key && top()?.node.kind === "map" && top().column === column) {
        const value = addKey(top().node, key[1], at + column, at + column + key[1].length);
        const gap = rest.slice(key[0].length).search(/\S/);
        at = gap < 0 ? end + 1 : fill(value, at + column + key[0].length + gap, column);
      } else if (rest && !key && slot?.kind === "empty") {
        at = fill(slot, at + column, top() ? top().column : -1);
      } else {
        at = end + 1;
      }
    }
    return { root, blocks, within, leave, top, slotNow };
  };

  const read = (text) => scan(text).root;

  const NONE = { role: "none", path: [], typed: "", from: 0, isFlow: false };

  const inFlow = ({ open, slot, key, typed, typedFrom }, offset, text) => {
    const gap = text.slice(typedFrom, offset).match(/^\s*/)[0].length;
    const from = typed ? typedFrom : typedFrom + gap;
    const written = text.slice(from, offset);
    if (open.kind === "map" && slot) return { role: "value", path: slot.path, typed: written, from, isFlow: true };
    if (open.kind === "map") return { role: "key", path: open.path, typed: key ? key.text : "", from: key ? key.from : offset, isFlow: true };
    const number = typed ? open.items.length - 1 : open.items.length;
    return { role: "value", path: [...open.path, number], typed: written, from, isFlow: true };
  };

  /* What is being written at the offset, from what stands before it. */
  const contextAt = (whole, offset) => {
    const text = whole.slice(0, offset);
    const begin = text.lastIndexOf("\n") + 1;
    const line = text.slice(begin);
    const found = scan(text);
    if (/^\s*#/.test(line) || found.within?.block) return NONE;
    if (found.within?.flow) return inFlow(found.within.flow, offset, text);
    if (found.within?.quote) {
      const { node, from } = found.within.quote;
      return { role: "value", path: node.path, typed: text.slice(from), from, isFlow: false };
    }
    if (/\s#/.test(line)) return NONE;
    const lead = line.match(/^\s*(?:-\s+)*/)[0];
    const rest = line.slice(lead.length);
    const key = rest.match(KEY);
    if (key) {
      const written = rest.slice(key[0].length);
      const map = found.top()?.node;
      if (!/^\s/.test(written) || map?.kind !== "map") return NONE;
      const typed = written.trimStart();
      if (/[\]}]$/.test(typed) && /^[[{]/.test(typed)) return NONE;
      return { role: "value", path: [...map.path, plain(key[1])], typed, from: offset - typed.length, isFlow: false };
    }
    if (DASH.test(rest)) return NONE;
    const column = lead.length;
    const hasDash = lead.includes("-");
    const list = hasDash ? null : found.blocks.find((each) => each.node.kind === "seq" && each.column === column);
    if (!hasDash) found.leave(column, false);
    const context = { typed: rest, from: begin + column, isFlow: false, itemOf: list ? list.node.path : null };
    if (hasDash || (found.top()?.column ?? -1) < column) {
      const slot = found.slotNow();
      const isFree = slot && (slot.kind === "empty" || (slot.kind === "text" && slot.from === begin + column));
      if (isFree) return { ...context, role: "key", path: slot.path };
    } else if (found.top().node.kind === "map" && found.top().column === column) {
      return { ...context, role: "key", path: found.top().node.path };
    }
    return list ? { ...context, role: "item", path: list.node.path } : NONE;
  };

  const nodeAt = (root, path) =>
    path.reduce((node, part) => (typeof part === "number" ? node?.items[part] : node?.entries.get(part)?.value), root) || null;

  /* The key that stands at the offset: its path, from and to; null where there is none. */
  const keyAt = (root, offset) => {
    const waiting = [root];
    while (waiting.length) {
      const node = waiting.pop();
      for (const [key, entry] of node.entries) {
        if (entry.from <= offset && offset <= entry.to) return { path: [...node.path, key], from: entry.from, to: entry.to };
        waiting.push(entry.value);
      }
      waiting.push(...node.items);
    }
    return null;
  };

  return { read, contextAt, nodeAt, keyAt };
})();

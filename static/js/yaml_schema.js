/*
 * What the published JSON Schema allows at a place of the document. Pure: the schema, the document
 * as yaml_read.js reads it, and the page's words (aliases, presets) enter; suggestions leave.
 *
 *   keysAt(schema, path, root, words)     keys that may still be written, the required ones first
 *   valuesAt(schema, path, root, words)   values that fit
 *   describe(schema, path, root, words)   title, text and facts of the key at a path; null if unknown
 *   blocksFor(path)                       whole blocks to start an item of a list with
 *   parameters(root)                      the document's parameters and their defaults
 *   questionAt(schema, path, root, words) what the server is asked for the value at a path; or null
 *   written(value)                        a text as YAML has it, in quotes where it needs them
 */
window.ChaosSchema = (() => {
  "use strict";
  const { nodeAt } = window.ChaosYaml;

  const KEPT = "copied"; // what a version keeps beside `use`; nobody writes it
  // Mappings that people write short; the schema knows the long way only.
  const SHORT = { baseline: ["3m", "{last: 30m}"], breaches: ["3 of 5", "1", "5 of 10"] };

  const follow = (root, schema) => {
    let found = schema;
    while (found?.$ref) {
      const { $ref, ...own } = found;
      const target = $ref.split("/").slice(1).reduce((node, part) => node?.[part.replaceAll("~1", "/").replaceAll("~0", "~")], root);
      found = { ...target, ...own };
    }
    return found || {};
  };

  const textAt = (node, key) => {
    const value = node?.entries.get(key)?.value;
    return value?.kind === "text" ? value.text : undefined;
  };

  const holds = (condition, node) =>
    Object.entries(condition.properties || {}).every(([key, wanted]) =>
      "const" in wanted ? textAt(node, key) === String(wanted.const) : (wanted.enum || []).map(String).includes(textAt(node, key)));

  /* Every plain schema that a schema may stand for, with what its conditions add to this node. */
  const expand = (root, schema, node) => {
    const { anyOf, oneOf, allOf, ...own } = follow(root, schema);
    const several = anyOf || oneOf;
    if (several) {
      return several.filter((each) => each.type !== "null").flatMap((each) => expand(root, { ...follow(root, each), ...annotated(own) }, node));
    }
    return [(allOf || []).reduce((whole, part) => {
      const added = part.if ? (holds(part.if, node) ? part.then : part.else) : part;
      if (!added) return whole;
      const { properties, ...rest } = follow(root, added);
      return { ...whole, ...rest, properties: { ...whole.properties, ...properties } };
    }, own)];
  };

  const annotated = ({ title, description, default: fallback }) => ({
    ...(title && { title }), ...(description && { description }),
    ...(fallback !== undefined && fallback !== null && { default: fallback }),
  });

  /* Of several kinds of item, those that know every key that is there already. */
  const fitting = (schemas, node, besides) => {
    const there = [...(node?.entries.keys() || [])].filter((key) => key !== besides);
    const fits = schemas.filter((each) => there.every((key) => !each.properties || key in each.properties));
    return fits.length ? fits : schemas;
  };

  const below = (schema, part) => {
    if (typeof part === "number") return schema.items ? [schema.items] : [];
    if (schema.properties?.[part]) return [schema.properties[part]];
    return typeof schema.additionalProperties === "object" ? [schema.additionalProperties] : [];
  };

  const schemasAt = (schema, path, root) => {
    let node = root;
    let found = fitting(expand(schema, schema, node), node);
    path.forEach((part) => {
      const inner = found.flatMap((each) => below(each, part));
      node = node ? nodeAt(node, [part]) : null;
      found = fitting(inner.flatMap((each) => expand(schema, each, node)), node);
    });
    return found;
  };

  const presetAt = (path, root, words) => {
    const [list, number, key] = path;
    if (list !== "slis" || key !== "with") return null;
    return words.presets?.[textAt(nodeAt(root, [list, number]), "preset")] || null;
  };

  const presetFields = (preset) =>
    Object.entries(preset.fields).map(([name, field]) => ({
      name, isRequired: field.required,
      schema: { type: "string", title: field.title, description: field.description, asks: field.suggests,
        ...(field.default !== "" && { default: field.default }), ...(field.choices.length && { enum: field.choices }) },
    }));

  const fieldsAt = (schema, path, root, words) => {
    const preset = path.length === 3 ? presetAt(path, root, words) : null;
    if (preset) return presetFields(preset);
    const found = new Map();
    const kinds = schemasAt(schema, path, root);
    kinds.forEach((each) => {
      Object.entries(each.properties || {}).forEach(([name, field]) => {
        if (!found.has(name)) found.set(name, { name, isRequired: kinds.every((kind) => kind.required?.includes(name)), schema: field });
      });
    });
    return [...found.values()];
  };

  const shapeOf = (schema, field, name) => {
    if (name in SHORT) return "text";
    const kinds = expand(schema, field, null);
    const types = kinds.map((each) => [each.type].flat()[0]);
    if (name === "with" && !types[0]) return "object"; // of a fault that is not chosen yet
    if (types.includes("object") || kinds.some((each) => each.properties)) return types.includes("string") ? "text" : "object";
    return types[0] === "array" ? "array" : "text";
  };

  const keysAt = (schema, path, root, words, typed = "") => {
    const node = nodeAt(root, path);
    const open = fieldsAt(schema, path, root, words)
      .filter(({ name }) => name === typed || (name !== KEPT && !node?.entries.has(name)));
    return open
      .map((field, place) => ({ ...field, place, shape: shapeOf(schema, field.schema, field.name), ...told(schema, field) }))
      .sort((a, b) => Number(b.isRequired) - Number(a.isRequired) || a.place - b.place);
  };

  const said = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));

  const told = (schema, { name, schema: field, isRequired }) => {
    const kinds = expand(schema, field, null);
    const first = kinds[0] || {};
    const types = [...new Set(kinds.flatMap((each) => each.format || (each.enum ? "one of a few" : each.type) || []))];
    const facts = [];
    if (isRequired) facts.push("required");
    if (types.length) facts.push(types.join(" or "));
    if (first.unit) facts.push(`in ${first.unit}`);
    if (first.minimum !== undefined || first.maximum !== undefined) facts.push(`${first.minimum ?? ""}…${first.maximum ?? ""}`);
    const fallback = field.default ?? first.default;
    const isSaid = fallback !== undefined && fallback !== null && fallback !== "" && said(fallback) !== "[]";
    if (isSaid && typeof fallback !== "object") facts.push(`default ${said(fallback)}`);
    const choices = first.enum || (first.const !== undefined ? [first.const] : []);
    return { title: field.title || first.title || name, text: field.description || first.description || "", facts,
      choices: choices.map(String), examples: (field.examples || first.examples || []).map(said) };
  };

  const describe = (schema, path, root, words) => {
    const name = path.at(-1);
    const field = fieldsAt(schema, path.slice(0, -1), root, words).find((each) => each.name === name);
    if (field) return { name, ...told(schema, field) };
    const [named] = schemasAt(schema, path, root);
    return named ? { name, ...told(schema, { name, schema: named, isRequired: false }) } : null;
  };

  const namesIn = (root, list, besides) =>
    (root.entries.get(list)?.value.items || []).map((item, place) => (place === besides ? undefined : textAt(item, "name"))).filter(Boolean);

  const parameters = (root) =>
    [...(root.entries.get("parameters")?.value.entries || [])].map(([name, { value }]) => ({
      name, detail: [textAt(value, "type"), textAt(value, "default")].filter(Boolean).join(", "),
    }));

  /* The aliases of the chosen environment, or of all; only of one kind where that is known. */
  const aliases = (words, kind) => {
    const bound = words.environment && words.aliases?.[words.environment] ? [words.aliases[words.environment]] : Object.values(words.aliases || {});
    const all = new Map(bound.flatMap((each) => Object.entries(each)));
    return [...all].filter(([, each]) => !kind || each === kind).map(([value, detail]) => ({ value, detail }));
  };

  const referred = (path, root, words) => {
    const [list, number, key, inner] = path;
    const last = path.findLast((part) => typeof part === "string");
    if (list === "guardrails" && key === "sli") return namesIn(root, "slis").map((value) => ({ value, detail: "SLI" }));
    if (list === "method" && key === "start" && (inner === "after" || inner === "with")) {
      return namesIn(root, "method", number).map((value) => ({ value, detail: "action" }));
    }
    if (list === "method" && key === "via") {
      const backend = textAt(nodeAt(root, [list, number]), "fault")?.split(".")[0];
      return aliases(words, words.backends?.[backend] || backend);
    }
    if (last === "source") return aliases(words, "prometheus");
    if (list === "slis" && key === "use") return Object.entries(words.slis || {}).map(([value, detail]) => ({ value, detail }));
    if (list === "slis" && key === "preset") {
      return Object.entries(words.presets || {}).map(([value, preset]) => ({ value, detail: preset.title, text: preset.description }));
    }
    return null;
  };

  const valuesAt = (schema, path, root, words) => {
    const names = referred(path, root, words) || SHORT[path.at(-1)]?.map((value) => ({ value, detail: "" }));
    if (names) return names;
    const preset = path.length === 4 ? presetAt(path.slice(0, 3), root, words) : null;
    const field = preset && presetFields(preset).find((each) => each.name === path[3]);
    const kinds = field ? [field.schema] : schemasAt(schema, path, root);
    const found = new Map();
    const put = (value, detail) => found.has(said(value)) || found.set(said(value), { value: said(value), detail });
    kinds.forEach((each) => {
      const isDefault = (value) => (value === each.default ? "default" : "");
      (each.enum || []).forEach((value) => put(value, isDefault(value)));
      if (each.const !== undefined) put(each.const, "");
      if ([each.type].flat().includes("boolean")) [true, false].forEach((value) => put(value, isDefault(value)));
    });
    if (!found.size) {
      kinds.forEach((each) => {
        if (["string", "number", "boolean"].includes(typeof each.default) && each.default !== "") put(each.default, "default");
        (each.examples || []).filter((value) => typeof value !== "object")
          .flatMap((value) => (each.format ? String(value).split(/, | or /) : [value])).forEach((value) => put(value, "example"));
      });
    }
    return [...found.values()];
  };

  const plainOf = (node) => {
    if (node.kind === "map") return Object.fromEntries([...node.entries].map(([key, { value }]) => [key, plainOf(value)]));
    return node.kind === "seq" ? node.items.map(plainOf) : node.text;
  };

  /* Only fields of `with` ask: of a fault through its driver, of a ready-made SLI through Prometheus. */
  const questionAt = (schema, path, root, words) => {
    const [list, number, key] = path;
    const place = path.slice(0, path.findLastIndex((part) => typeof part === "string") + 1);
    if (key !== "with" || place.length < 4) return null;
    const field = fieldsAt(schema, place.slice(0, -1), root, words).find(({ name }) => name === place.at(-1))?.schema;
    if (!field) return null;
    const item = nodeAt(root, [list, number]);
    const word = field.suggest || expand(schema, field, null).find((each) => each.suggest)?.suggest;
    const what = field.asks || (word && list === "method" ? `${textAt(item, "fault")?.split(".")[0]}:${word}` : "");
    const given = plainOf(nodeAt(root, [list, number, "with"]) || { text: "" });
    if (place.length === 4) delete given[place[3]];
    return what ? { what, alias: textAt(item, field.asks ? "source" : "via") || "", given } : null;
  };

  const PLAIN = /^[A-Za-z_/][\w./-]*$/;
  const MEANS_MORE = /^(?:true|false|null)$/i;
  const written = (value) => (PLAIN.test(value) && !MEANS_MORE.test(value) ? value : JSON.stringify(value));

  // § is where the cursor goes.
  const BLOCKS = {
    slis: [
      ["SLI: ratio of counters", "name: §\nratio:\n  bad: \n  total: \nexpect: holds\nlimit: {max: 1%}\nmargin: {absolute: 0.5%}"],
      ["SLI: quantile of a histogram", "name: §\nquantile:\n  histogram: \n  q: 0.95\nunit: s\nexpect: holds\nmargin: {relative: 20%}"],
      ["SLI: ready-made", "name: §\npreset: \nwith: {}\nexpect: holds\nmargin: {absolute: 0.5%}"],
      ["SLI of a service", "name: §\nuse: \nexpect: holds"],
      ["SLI: PromQL of your own", "name: §\nvalue: \nunit: \nexpect: holds\nmargin: {relative: 20%}"],
    ],
    method: [
      ["Fault", "name: §\nfault: \nvia: \nwith: {}\nduration: 3m"],
      ["Checkpoint: ask a person", "name: §\ncheckpoint: \"\"\ntimeout: 10m"],
      ["Wait", "name: §\nwait: 30s"],
    ],
    guardrails: [
      ["Guardrail on an SLI", "name: §\nsli: \nabove: 20%\nbreaches: 3 of 5\nevery: 5s"],
      ["Guardrail on PromQL of its own", "name: §\npromql: \nunit: \nabove: \nbreaches: 3 of 5\nevery: 5s"],
    ],
    probes: [
      ["Probe of an address", "name: §\nat: [start, end]\nhttp: {url: \"http://\"}\ntolerance: {status: 200}"],
      ["Probe of Prometheus", "name: §\nat: [start, end]\npromql: {query: \"\"}\ntolerance: {max: 0}"],
    ],
  };
  const blocksFor = (path) => (path.length === 1 ? BLOCKS[path[0]] || [] : []);

  return { keysAt, valuesAt, describe, blocksFor, parameters, questionAt, written };
})();

"""The experiment document as the fields of a form, and back, without loss.

Names of fields are the document's paths: ``slis-0-limit-max``. The number is the row's own and
need not be its position; ``slis-rows`` holds the rows in order. Each row carries the item that it
came from (``slis-0-base``), and so does the document (``base``): an input that still shows what the
item holds leaves it as it is, with its type; fields that the form does not know are kept.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.datastructures import MultiValueDict

from experiments.domain import uses
from experiments.domain.errors import SpecError
from experiments.forms.compounds import PREVIOUS
from experiments.forms.kinds import LISTS, SECTIONS, Catalogue, Kinds, Shape
from experiments.forms.leaves import ABSENT, Field, dump, plain, scalar
from experiments.forms.shapes import shape_of

Fields = MultiValueDict[str, str]
_KEPT_EMPTY = frozenset({"ratio", "quantile", "http", "promql"})


def document_to_fields(raw: Any, *, catalogue: Catalogue) -> Fields:
    """Return the form's fields for a raw document (JSON types)."""
    # A version's copies of what services say are no author's: saving takes them anew.
    document = uses.bare(raw) if isinstance(raw, Mapping) else {}
    fields: Fields = MultiValueDict()
    for shape in SECTIONS.values():
        _show(fields, "", shape, document)
    rest = dict(document)
    for key in LISTS:
        items = _items(document, key)
        rest[key] = type(document[key])() if items else document.get(key, ABSENT)
        if rest[key] is ABSENT:
            del rest[key]
        for number, item in enumerate(items):
            put_row(fields, key, str(number), item, catalogue=catalogue)
    fields["base"] = dump(rest)
    return fields


def put_row(fields: Fields, key: str, number: str, item: Any, *, catalogue: Catalogue) -> None:
    """Add a row of the list, at its end, that shows the item (of parameters: name and value)."""
    fields.appendlist(f"{key}-rows", number)
    prefix = f"{key}-{number}-"
    fields[f"{prefix}base"] = dump(item)
    kinds = LISTS[key]
    if kinds.choices:
        fields[f"{prefix}kind"] = kinds.of(item)
    content = _content(key, item)
    decides = kinds.detail_of(kinds.of(item))
    detail = scalar(content.get(decides)) if decides else ""
    _show(fields, prefix, shape_of(key, kinds.of(item), detail, catalogue, content), content)


def fields_to_document(fields: Fields, *, catalogue: Catalogue) -> dict[str, Any]:
    """Return the raw document that the fields mean. Raises nothing: errors are the model's."""
    document = load(fields.get("base"))
    if not isinstance(document, dict):
        document = {"apiVersion": "chaosweb/v1", "kind": "Experiment"}
    for shape in SECTIONS.values():
        _patch(document, fields, "", shape)
    for key, kinds in LISTS.items():
        items = [item_of(fields, kinds, number, catalogue) for number in rows_of(fields, key)]
        if key == "parameters":
            if items:
                document[key] = {name: value for name, value in items if name}
        elif items:
            document[key] = _with_previous(items) if key == "method" else items
    return document


def rows_of(fields: Fields, key: str) -> list[str]:
    """Return the numbers of the list's rows, in order."""
    return list(dict.fromkeys(fields.getlist(f"{key}-rows")))


def item_of(fields: Fields, kinds: Kinds, number: str, catalogue: Catalogue) -> Any:
    """Return the item that a row means; of a parameter its name and value."""
    prefix = f"{kinds.key}-{number}-"
    base = load(fields.get(f"{prefix}base"))
    content = _content(kinds.key, base)
    was = kinds.of(content)
    kind, shape = shape_of_row(fields, kinds, number, catalogue)
    item = copy.deepcopy(content)
    if kind != was:
        others = (each for each, _ in kinds.choices)
        for other in (*others, *kinds.partners, *kinds.lacks.get(kind, ())):
            item.pop(other, None)
    changed = kinds.detail and kind == kinds.detail
    if kind != was or (changed and scalar(content.get(kind)) != fields.get(prefix + kind, "")):
        item.pop("with", None)
    _patch(item, fields, prefix, shape)
    if kind != was and kind in kinds.nested:
        item.setdefault(kind, {})
    if kinds.key == "parameters":
        name = item.pop("name", "")
        is_untouched = isinstance(base, list) and item == {} and not isinstance(base[1], dict)
        return name, (base[1] if is_untouched else item)
    if item or isinstance(base, Mapping):
        return item
    return base if base is not None or fields.get(f"{prefix}base") == "null" else item


def shape_of_row(
    fields: Fields, kinds: Kinds, number: str, catalogue: Catalogue
) -> tuple[str, Shape]:
    """Return the kind of a row, as the form has it now, and its fields."""
    prefix = f"{kinds.key}-{number}-"
    content = _content(kinds.key, load(fields.get(f"{prefix}base")))
    was = kinds.of(content)
    kind = (fields.get(f"{prefix}kind") or "") if f"{prefix}kind" in fields else was
    detail = ""
    decides = kinds.detail_of(kind)
    if decides:
        detail = fields.get(prefix + decides) or ""
        if prefix + decides not in fields:
            detail = scalar(content.get(decides))
    given = content if not kinds.detail or content.get(kinds.detail) == detail else None
    return kind, shape_of(kinds.key, kind, detail, catalogue, given)


def duplicates(fields: Fields) -> list[SpecError]:
    """Return an error for each parameter that is there twice or has no name: a mapping cannot."""
    seen: dict[str, int] = {}
    found = []
    for position, number in enumerate(rows_of(fields, "parameters")):
        name = (fields.get(f"parameters-{number}-name") or "").strip()
        if not name:
            found.append(SpecError(("parameters", position, "name"), "is missing"))
        elif name in seen:
            message = f"“{name}” is already the name of number {seen[name] + 1}; give each its own"
            found.append(SpecError(("parameters", position, "name"), message))
        seen.setdefault(name, position)
    return found


def load(written: str | None) -> Any:
    """Return the value of a hidden field's JSON; None when it is none."""
    try:
        return json.loads(written or "null")
    except (ValueError, RecursionError):
        return None


def names(document: Mapping[str, Any], key: str) -> list[str]:
    """Return the name of each item of the list; empty where it has none."""
    return [scalar(_content(key, item).get("name")) for item in _items(document, key)]


def _items(document: Mapping[str, Any], key: str) -> list[Any]:
    found = document.get(key)
    if key == "parameters":
        return [[name, value] for name, value in found.items()] if isinstance(found, dict) else []
    return found if isinstance(found, list) else []


def _content(key: str, item: Any) -> dict[str, Any]:
    """Return the mapping that a row's inputs show; a parameter's name is one of them."""
    if key == "parameters" and isinstance(item, list) and len(item) == 2:
        return {"name": item[0], **(item[1] if isinstance(item[1], dict) else {})}
    return dict(item) if isinstance(item, dict) else {}


def _with_previous(items: list[Any]) -> list[Any]:
    """Write the name of the action above where a start waits for it."""
    for index, item in enumerate(items):
        start = item.get("start") if isinstance(item, dict) else None
        if isinstance(start, dict) and start.get("after") == [PREVIOUS]:
            above = items[index - 1].get("name", "") if index else ""
            del start["after"]
            if above:
                item["start"] = {"after": [above], **start}
    return items


def _show(fields: Fields, prefix: str, shape: Shape, item: Mapping[str, Any]) -> None:
    for field in shape.fields:
        if field.path == ("kind",):
            continue
        for key, texts in field.shows(_get(item, field.path)).items():
            fields.setlist(prefix + key, texts)


def _patch(item: dict[str, Any], fields: Fields, prefix: str, shape: Shape) -> None:
    for field in shape.fields:
        if field.path == ("kind",):
            continue
        given = {leaf.key: fields.getlist(prefix + leaf.key) for leaf in field.leaves}
        is_posted = any(prefix + key in fields for key in given)
        if not is_posted and field.leaves[0].reads not in ("flag", "checks"):
            continue
        if not _is_same(given, field.shows(_get(item, field.path))):
            _put(item, field, field.takes(given))


def _is_same(given: Mapping[str, list[str]], shown: Mapping[str, list[str]]) -> bool:
    return all(
        [plain(each) for each in texts] == [plain(each) for each in shown[key]]
        for key, texts in given.items()
        if texts or shown[key] != [""]
    )


def _get(item: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    node: Any = item
    for part in path:
        if not isinstance(node, Mapping) or part not in node:
            return ABSENT
        node = node[part]
    return node


def _put(item: dict[str, Any], field: Field, value: Any) -> None:
    parents = list(_parents(item, field.path))
    if value is not ABSENT:
        parents[-1][field.path[-1]] = value
        return
    parents[-1].pop(field.path[-1], None)
    for depth in range(len(parents) - 1, 0, -1):
        name = field.path[depth - 1]
        if not parents[depth] and name not in _KEPT_EMPTY:
            parents[depth - 1].pop(name, None)


def _parents(item: dict[str, Any], path: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    node = item
    yield node
    for part in path[:-1]:
        if not isinstance(node.get(part), dict):
            node[part] = {}
        node = node[part]
        yield node

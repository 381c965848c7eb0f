"""ChaosWeb's own documents, one or many, in YAML or JSON.

A YAML document is kept as its author wrote it. One that stands in a list, or that is written in
JSON, keeps all that it says and is written anew as YAML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from experiments.domain import text as yaml
from experiments.domain.spec import API_VERSION, Experiment
from experiments.importers.base import Draft, Format, Imported, Note, Source, SourceError, Written

_NAMED = re.compile(r"""\bapiVersion["']?\s*:\s*["']?chaosweb/""")
_FIELDS = frozenset(info.alias or name for name, info in Experiment.model_fields.items()) - {
    "apiVersion",
    "kind",
    "metadata",
}
_ENOUGH = 3
_COMMENT = re.compile(r"^#|\s#", re.MULTILINE)


def detect(source: Source) -> float:
    """Return 1 where an apiVersion names ChaosWeb, 0.5 where the fields look like a document's."""
    if _NAMED.search(source.text):
        return 1.0
    looks = [raw for written in source.documents for raw, _ in _each(written) if _is_alike(raw)]
    return 0.5 if looks else 0.0


def _is_alike(raw: Any) -> bool:
    if not isinstance(raw, Mapping):
        return False
    version = raw.get("apiVersion")
    if isinstance(version, str) and version.startswith("chaosweb/"):
        return True
    if version is not None and raw.get("kind") != "Experiment":
        return False
    return len(_FIELDS & set(raw)) >= _ENOUGH


def convert(source: Source) -> Imported:
    """Return a draft for each document of the source."""
    drafts: list[Draft] = []
    kept: list[Note] = []
    changed: list[Note] = []
    lost: list[Note] = []
    errors = list(source.errors)
    for written in source.documents:
        for raw, path in _each(written):
            line, column = written.place(path)
            text = None if written.is_json or path else written.text
            wrong = _unfit(raw, text)
            if wrong:
                errors.append(SourceError(wrong, (), line, column))
                continue
            drafts.append(Draft(raw, written, path, text))
            if text is not None:
                kept.append(Note("the text as it was written, comments and order", line))
                continue
            kept.append(Note("every field and value", line))
            if written.is_json:
                changed.append(Note("written as YAML instead of JSON", line))
            else:
                changed.append(Note("taken out of its list and written anew as YAML", line))
                if _COMMENT.search(written.text):
                    lost.append(Note("the comments of the list", line))
    return Imported(
        FORMAT.name, tuple(drafts), tuple(kept), tuple(changed), tuple(lost), tuple(errors)
    )


def _each(written: Written) -> Iterator[tuple[Any, tuple[int, ...]]]:
    """Yield the documents of a written one, each with its path: a list holds several."""
    if isinstance(written.raw, list):
        for index, raw in enumerate(written.raw):
            yield raw, (index,)
    else:
        yield written.raw, ()


def _unfit(raw: Any, text: str | None) -> str:
    """Return why a value cannot even be tried as a document."""
    if not isinstance(raw, Mapping):
        return "is no document: a document is a mapping of fields"
    version, kind = raw.get("apiVersion"), raw.get("kind")
    if isinstance(version, str) and isinstance(kind, str):
        # What is meant for ChaosWeb is told everything that is wrong with it instead.
        is_meant = kind == "Experiment" or version.startswith("chaosweb/")
        if not is_meant:
            return f"This is a {version[:60]} {kind[:60]}, not a ChaosWeb experiment."
    if text is None and len(json.dumps(raw, ensure_ascii=False).encode()) > yaml.MAX_BYTES:
        return f"is larger than {yaml.MAX_BYTES} bytes"
    return ""


FORMAT = Format(
    name="chaosweb",
    title="A ChaosWeb experiment",
    needs=f"apiVersion: {API_VERSION} and kind: Experiment",
    detect=detect,
    convert=convert,
)

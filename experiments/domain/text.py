"""The author's own YAML text: read as YAML 1.2, so that ``on`` and ``1:30`` stay what they are."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from experiments.domain import json_types
from experiments.domain.errors import InvalidDocumentError, SpecError

MAX_BYTES = 200_000


_CORE = ("null", "bool", "int", "float", "str", "seq", "map")


class _CoreConstructor(SafeConstructor):
    """Builds what the core schema knows; a date stays the text that it was written as."""


_CoreConstructor.yaml_constructors = {
    tag: make
    for tag, make in SafeConstructor.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in _CORE
}
_CoreConstructor.add_constructor(
    "tag:yaml.org,2002:timestamp", SafeConstructor.yaml_constructors["tag:yaml.org,2002:str"]
)


def read(text: str) -> Any:
    """Return the document's JSON types. Raises InvalidDocumentError, naming the line."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise InvalidDocumentError([SpecError((), f"is larger than {MAX_BYTES} bytes")])
    if re.search(r"^%YAML[ \t]+1\.[01]\b", text, re.MULTILINE):
        raise InvalidDocumentError([SpecError((), "asks for YAML 1.1; it is read as YAML 1.2")])
    loader = YAML(typ="safe", pure=True)
    loader.Constructor = _CoreConstructor
    try:
        raw = loader.load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise InvalidDocumentError(
            [SpecError((), f"line {line}: {error.problem or error}")]
        ) from error
    except YAMLError as error:
        raise InvalidDocumentError([SpecError((), str(error))]) from error
    except RecursionError as error:
        raise InvalidDocumentError([SpecError((), "is nested too deeply")]) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # A tag whose value does not fit it (``!!int x``) fails in ruamel's own conversion.
        raise InvalidDocumentError([SpecError((), f"cannot be read: {error}")]) from error
    found = json_types.problems(raw)
    if found:
        raise InvalidDocumentError(found)
    return raw


def write(raw: Any) -> str:
    """Return the document as YAML, fields in their own order."""
    writer = YAML()
    writer.default_flow_style = False
    writer.width = 100
    writer.allow_unicode = True
    writer.indent(mapping=2, sequence=4, offset=2)
    stream = StringIO()
    writer.dump(raw, stream)
    return stream.getvalue()

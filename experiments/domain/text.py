"""The author's own YAML text: read as YAML 1.2, so that ``on`` and ``1:30`` stay what they are."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, SequenceNode
from ruamel.yaml.scanner import Scanner, ScannerError

from experiments.domain import json_types
from experiments.domain.errors import InvalidDocumentError, SpecError

MAX_BYTES = 200_000
_MAX_MERGED = 10_000
"""Fields that ``<<`` may bring in, in all: a few lines of merges of merges make millions."""
_TAB = "found character '\\t' that cannot start any token"

_CORE = ("null", "bool", "int", "float", "str", "seq", "map")


class BoundedScanner(Scanner):
    """Refuses brackets deeper than any document goes: each costs as much as there are open ones."""

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:  # noqa: N803
        """Open one more bracket. Raises ScannerError beyond the bound."""
        if len(self.flow_context) > json_types.MAX_DEPTH:
            raise ScannerError(None, None, "is nested too deeply", self.reader.get_mark())
        super().fetch_flow_collection_start(TokenClass, to_push)


class _CoreConstructor(SafeConstructor):
    """Builds what the core schema knows; a date stays the text that it was written as."""

    _merged = 0

    def flatten_mapping(self, node: Any) -> Any:
        """Bring in what ``<<`` names, counting. Raises ConstructorError beyond the bound."""
        for key, value in node.value:
            if key.tag != "tag:yaml.org,2002:merge":
                continue
            for each in value.value if isinstance(value, SequenceNode) else [value]:
                if isinstance(each, MappingNode):
                    self.flatten_mapping(each)
                    self._merged += len(each.value)
                if self._merged > _MAX_MERGED:
                    told = f"merges more than {_MAX_MERGED} fields"
                    raise ConstructorError(None, None, told, key.start_mark)
        return super().flatten_mapping(node)


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
    loader.Scanner = BoundedScanner
    try:
        raw = loader.load(text)
    except MarkedYAMLError as error:
        raise InvalidDocumentError([_marked(error)]) from error
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


def _marked(error: MarkedYAMLError) -> SpecError:
    told = str(error.problem or error)
    if told == _TAB:
        told = "found a tab, which YAML does not take here: indent with spaces"
    mark = error.problem_mark
    if mark is None:
        return SpecError((), told)
    line, column = mark.line + 1, mark.column + 1
    return SpecError((), f"line {line}: {told}", line, column)


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

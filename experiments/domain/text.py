"""The author's own YAML text: read as YAML 1.2, so that ``on`` and ``1:30`` stay what they are."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import Event
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.parser import Parser
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.scanner import Scanner, ScannerError

from experiments.domain import json_types, nodes
from experiments.domain.errors import InvalidDocumentError, SpecError

MAX_BYTES = 200_000
MAX_EVENTS = 20_000
"""Written values, names, and beginnings and ends of lists and mappings: twice the longest document.

A text of one letter each would otherwise take half a minute and a hundred megabytes to read.
"""
_MOST_TEXTS = 3
"""So many texts are remembered: one takes up to ten megabytes, and a request reads as many."""
_MOST_REMEMBERED = 40_000
"""Characters: the events of a longer text take too much memory to be kept."""
_MAX_MERGED = 10_000
"""Fields that ``<<`` may bring in, in all: a few lines of merges of merges make millions."""
_NO_COLON = "could not find expected ':'"
_TAB = "found character '\\t' that cannot start any token"

CONVERSION_ERRORS = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    OverflowError,
)
"""What ruamel's own conversions raise where a tag does not fit its value (``!!int ""``)."""

_CORE = ("null", "bool", "int", "float", "str", "seq", "map")


class BoundedScanner(Scanner):
    """Refuses brackets deeper than any document goes: each costs as much as there are open ones."""

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:  # noqa: N803
        """Open one more bracket. Raises ScannerError beyond the bound."""
        if len(self.flow_context) > json_types.MAX_DEPTH:
            raise ScannerError(None, None, "is nested too deeply", self.reader.get_mark())
        super().fetch_flow_collection_start(TokenClass, to_push)


_CORE_RESOLVER = VersionedResolver()
"""Reads plain scalars by YAML 1.2: texts that ask for another version are refused before."""
_LONGEST_KEPT = 100


@functools.lru_cache(maxsize=4096)
def _tag(written: str, implicit: tuple[bool, bool]) -> Any:
    return _CORE_RESOLVER.resolve(ScalarNode, written, implicit)


def tag_of(written: str, implicit: tuple[bool, bool]) -> Any:
    """Return the tag that a scalar without one has: a text's, a number's and so on."""
    if len(written) > _LONGEST_KEPT:
        return _CORE_RESOLVER.resolve(ScalarNode, written, implicit)
    return _tag(written, implicit)


class _Resolver(VersionedResolver):
    """Remembers what scalars are: the same keys and values come by thousands of times."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """Return the tag of a node that has none."""
        if kind is ScalarNode:
            return tag_of(value, implicit)
        return super().resolve(kind, value, implicit)


class _CoreConstructor(SafeConstructor):
    """Builds what the core schema knows; a date stays the text that it was written as."""

    _merged = 0

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """Build one value. Raises ConstructorError where its tag does not fit (``!!int x``)."""
        try:
            return super().construct_object(node, deep=deep)
        except CONVERSION_ERRORS as error:
            told = f"cannot be read as !!{str(node.tag).rpartition(':')[2]}"
            raise ConstructorError(None, None, told, node.start_mark) from error

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Build one mapping. Raises ConstructorError for a key that holds lists or mappings."""
        try:
            return super().construct_mapping(node, deep=deep)
        except TypeError as error:
            told = "has a key that is not a text"
            raise ConstructorError(None, None, told, node.start_mark) from error

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


class _Replayed(Parser):
    """Hands out the events of a text that was scanned before."""

    events: tuple[Event, ...] = ()
    _next = 0

    def check_event(self, *choices: type[Event]) -> bool:
        """Tell whether there is another event, of one of these kinds."""
        if self._next >= len(self.events):
            return False
        return not choices or isinstance(self.events[self._next], choices)

    def peek_event(self) -> Event | None:
        """Return the next event without taking it; None behind the last."""
        return self.events[self._next] if self._next < len(self.events) else None

    def get_event(self) -> Event | None:
        """Take the next event; None behind the last."""
        found = self.peek_event()
        self._next += 1
        return found


def events(text: str) -> tuple[Event, ...]:
    """Return what ruamel's parser says of the text. Raises YAMLError, RecursionError.

    Scanning takes most of the time of reading: who needs both values and places shares it. Events
    are shared: nobody may change one.
    """
    return _remembered(text) if len(text) <= _MOST_REMEMBERED else tuple(_scanned(text))


@functools.lru_cache(maxsize=_MOST_TEXTS)
def _remembered(text: str) -> tuple[Event, ...]:
    return tuple(_scanned(text))


def _scanned(text: str) -> Iterator[Event]:
    loader = YAML(typ="safe", pure=True)
    loader.Scanner = BoundedScanner
    for number, event in enumerate(loader.parse(text)):
        if number > MAX_EVENTS:
            told = f"holds more than {MAX_EVENTS} names and values"
            raise ScannerError(None, None, told, event.start_mark)
        yield event


def read(text: str) -> Any:
    """Return the document's JSON types. Raises InvalidDocumentError, naming the line."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise InvalidDocumentError([SpecError((), f"is larger than {MAX_BYTES} bytes", 1, 1)])
    older = re.search(r"^%YAML[ \t]+1\.[01]\b", text, re.MULTILINE)
    if older:
        told = "asks for YAML 1.1; it is read as YAML 1.2"
        raise InvalidDocumentError([_at(text, older.start(), told)])
    loader = YAML(typ="safe", pure=True)
    loader.Constructor = _CoreConstructor
    loader.Resolver = _Resolver
    loader.Parser = _Replayed
    try:
        loader.parser.events = events(text)
        raw = loader.constructor.get_single_data()
    except MarkedYAMLError as error:
        raise InvalidDocumentError([_marked(error)]) from error
    except ReaderError as error:
        told = f"holds the character U+{_code(error.character):04X}, which is not allowed"
        raise InvalidDocumentError([_at(text, error.position, told)]) from error
    except YAMLError as error:
        raise InvalidDocumentError([SpecError((), str(error))]) from error
    except RecursionError as error:
        # Where it became too deep nobody has noted: it is told of the whole text.
        raise InvalidDocumentError([SpecError((), "is nested too deeply", 1, 1)]) from error
    found = json_types.problems(raw)
    if found:
        root = compose(text)
        raise InvalidDocumentError(
            [SpecError(each.path, each.message, *nodes.place(root, each.path)) for each in found]
        )
    return raw


def compose(text: str) -> Any:
    """Return the text's nodes, None where nothing is written. Raises YAMLError, RecursionError."""
    loader = YAML(typ="safe", pure=True)
    loader.Parser = _Replayed
    loader.parser.events = events(text)
    return loader.composer.get_single_node()


def _told(told: str, line: int, column: int) -> SpecError:
    return SpecError((), f"line {line}: {told}", line, column)


def _at(text: str, offset: int, told: str) -> SpecError:
    line, column = text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
    return _told(told, line, column)


def _code(character: Any) -> int:
    """Return the code of what ruamel says it cannot read: a character, or its number."""
    return ord(character) if isinstance(character, str) else int(character)


def _marked(error: MarkedYAMLError) -> SpecError:
    told = str(error.problem or error)
    if told == _TAB:
        told = "found a tab, which YAML does not take here: indent with spaces"
    elif told == _NO_COLON:
        told = "a key needs a colon, as in “probes:”"
    mark = error.problem_mark
    if mark is None:
        return SpecError((), told)
    return _told(told, mark.line + 1, mark.column + 1)


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

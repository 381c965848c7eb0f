"""From bytes to documents: YAML streams, one JSON document, or a JSON list of them.

Nothing is parsed before its size is known, and nothing raises: whatever the bytes are, a Source
comes out, with a fault at a line for each thing that could not be read.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

from experiments.domain import json_types
from experiments.domain import text as yaml
from experiments.domain.errors import InvalidDocumentError
from experiments.importers.base import Source, SourceError, Written

MAX_BYTES = 1_000_000
"""Of one source; each of its documents is held to ``domain.text.MAX_BYTES``."""
MAX_DOCUMENTS = 200
MAX_ERRORS = 200
"""Of one document; the rest are counted."""

_UNKEPT = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"  # as YAML 1.2, 5.1
)
_FOREIGN = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_BLANKS = re.compile(r"[ \t\n\r]*")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$")
_MARK = re.compile(r"(---|\.\.\.)(?=\s|$)")
_BARE = re.compile(r"\s*(#.*)?$")


def read(name: str, content: bytes) -> Source:
    """Return what the bytes hold."""
    if len(content) > MAX_BYTES:
        told = f"is larger than {MAX_BYTES} bytes and was not read"
        return Source(name, "", errors=(SourceError(told),))
    try:
        text = _decoded(content)
    except _UnreadError as error:
        return Source(name, content.decode(errors="replace"), errors=(error.error,))
    found = _UNKEPT.search(text)
    if found:
        told = f"holds the character U+{ord(found[0]):04X}, which no document may hold"
        return Source(name, text, errors=(SourceError(told, (), *_place(text, found.start())),))
    ending = name.lower().rpartition(".")[2]
    if ending == "json" or (text.lstrip()[:1] in ("{", "[") and ending not in ("yaml", "yml")):
        made = _json(name, text)
        # Braces begin flow mappings of YAML as well, unless the file says that it is JSON.
        if not made.errors or ending == "json":
            return made
        as_yaml = _yaml(name, text)
        return as_yaml if as_yaml.documents and not as_yaml.errors else made
    return _yaml(name, text)


class _UnreadError(Exception):
    def __init__(self, error: SourceError) -> None:
        super().__init__(error.message)
        self.error = error


def _decoded(content: bytes) -> str:
    """Return the text. Raises _UnreadError, naming the byte and its line."""
    for mark, encoding in _FOREIGN.items():
        if content.startswith(mark):
            told = f"is {encoding}; save it as UTF-8"
            raise _UnreadError(SourceError(told, line=1, column=1))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The mark at the beginning is no part of what the decoder counts.
        offset = error.start + (3 if content.startswith(codecs.BOM_UTF8) else 0)
        line = content.count(b"\n", 0, offset) + 1
        column = offset - content.rfind(b"\n", 0, offset)
        told = f"is not UTF-8: byte {offset} (0x{content[offset]:02X}) is none of its characters"
        raise _UnreadError(SourceError(told, line=line, column=column)) from error


def _place(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _json(name: str, text: str) -> Source:
    """Read one JSON document, or each of a list, so that a broken one costs no other its place."""
    decoder = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant)
    documents: list[Written] = []
    errors: list[SourceError] = []
    read = 0
    at = _past_blanks(text, 0)
    is_list = text[at : at + 1] == "["
    at = _past_blanks(text, at + 1) if is_list else at
    try:
        while not (is_list and text[at : at + 1] == "]" and not read):
            if read == MAX_DOCUMENTS:
                raise _UnreadError(SourceError(_TOO_MANY, (), *_place(text, at)))
            raw, end = _decode(decoder, text, at)
            line, column = _place(text, at)
            written = Written(raw, text[at:end], line, column, is_json=True)
            problems = json_types.problems(raw)
            if problems:
                errors += _placed(InvalidDocumentError(problems), written)
            else:
                documents.append(written)
            read += 1
            at = _past_blanks(text, end)
            if not is_list or text[at : at + 1] == "]":
                break
            if text[at : at + 1] != ",":
                told = "is not JSON: the list needs a comma or its end here"
                raise _UnreadError(SourceError(told, (), *_place(text, at)))
            at = _past_blanks(text, at + 1)
        at = _past_blanks(text, at + 1) if is_list else at
        if at < len(text):
            told = "is not JSON: there is more behind its end"
            raise _UnreadError(SourceError(told, (), *_place(text, at)))
    except _UnreadError as error:
        # Half a JSON text is no JSON text.
        return Source(name, text, errors=(*errors, error.error))
    return Source(name, text, tuple(documents), tuple(errors))


def _past_blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return found.end() if found else at


def _decode(decoder: json.JSONDecoder, text: str, at: int) -> tuple[Any, int]:
    """Return one value and where it ends. Raises _UnreadError, naming the place."""
    try:
        return decoder.raw_decode(text, at)
    except json.JSONDecodeError as error:
        told, line, column = f"is not JSON: {error.msg}", error.lineno, error.colno
    except _TwiceError as error:
        told = f"the key “{str(error)[:60]}” stands twice in one mapping"
        line, column = _twice(text, at)
    except RecursionError:
        told, (line, column) = "is nested too deeply", _place(text, at)
    except ValueError as error:
        told, (line, column) = f"is not JSON: {error}", _place(text, at)
    raise _UnreadError(SourceError(told, (), line, column))


class _TwiceError(ValueError):
    """A key that stands twice in one mapping."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _TwiceError(key)
            seen.add(key)
    return made


def _constant(word: str) -> float:
    raise ValueError(f"{word} is no number that JSON knows")


def _twice(text: str, at: int) -> tuple[int, int]:
    """Return where the key stands again; YAML's reader, which knows, may read less than JSON's."""
    line, column = _place(text, at)
    rest = " " * (column - 1) + text[at : at + yaml.MAX_BYTES].replace("\t", " ")
    try:
        yaml.read(rest)
    except InvalidDocumentError as error:
        found = error.errors[0]
        if found.line is not None and "duplicate key" in found.message:
            return line + found.line - 1, found.column or 1
    return line, column


def _yaml(name: str, text: str) -> Source:
    documents: list[Written] = []
    errors: list[SourceError] = []
    for number, (line, chunk) in enumerate(_chunks(text)):
        if number == MAX_DOCUMENTS:
            errors.append(SourceError(_TOO_MANY, line=line, column=1))
            break
        try:
            raw = yaml.read(chunk)
        except InvalidDocumentError as error:
            errors += _placed(error, Written(None, chunk, line))
        else:
            documents.append(Written(raw, chunk, line))
    return Source(name, text, tuple(documents), tuple(errors))


_TOO_MANY = f"holds more than {MAX_DOCUMENTS} documents"


def _placed(error: InvalidDocumentError, written: Written) -> Iterator[SourceError]:
    for each in error.errors[:MAX_ERRORS]:
        if each.line is None:
            yield written.error(each)
        else:
            told = each.message.removeprefix(f"line {each.line}: ")
            yield SourceError(told, each.path, written.line + each.line - 1, each.column)
    if len(error.errors) > MAX_ERRORS:
        yield SourceError(f"and {len(error.errors) - MAX_ERRORS} more errors", (), written.line, 1)


def _chunks(text: str) -> Iterator[tuple[int, str]]:
    """Yield each document of a YAML stream: its first line, and its text as it was written.

    A ``---`` at a line's beginning ends a document wherever it stands (YAML 1.2, 9.1.2). Comments
    and directives above one belong to the document below.
    """
    begins, held, is_begun, is_directed = 1, list[str](), False, False
    for number, found in enumerate(_LINE.finditer(text), start=1):
        line = found[0]
        mark = _MARK.match(line)
        if mark and (is_begun or mark[1] == "..."):
            if is_begun:
                yield begins, "".join(held)
            begins, held, is_begun, is_directed = number, [], False, False
        if mark and mark[1] == "...":
            line = line[3:]
        elif mark and not is_directed:
            # Without its mark the document says the same; directives need it.
            line = f"   {line[3:]}" if line[3:].strip() else line[3:]
        is_directed = is_directed or (not is_begun and line[0] == "%")
        is_mark = line[:3] == "---" and not line[3:].strip()
        is_begun = is_begun or not (is_mark or line[0] == "%" or _BARE.match(line))
        held.append(line)
    if is_begun:
        yield begins, "".join(held)

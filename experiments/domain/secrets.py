"""``${secret:name}``: kept by an environment, sent in the header of an HTTP probe, never told.

A document holds the name alone. The value is written in when the request is sent, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from experiments.domain.errors import Path, SpecError

NAME = r"[a-z][a-z0-9_-]{0,62}"
REFERENCE = re.compile(r"\$\{secret:(" + NAME + r")\}")
_OPENING = re.compile(r"\$\{\s*secret\s*:", re.IGNORECASE)
"""What was meant as one, well-formed or not."""
_ELSEWHERE = (
    "holds a secret, which may stand only in the value of a header of an HTTP probe:"
    " probes[].http.headers"
)
_MALFORMED = (
    "holds no proper name of a secret: write ${secret:name}, with small letters, digits, - and _"
)


def is_meant(text: Any) -> bool:
    """Return whether the text holds a secret, or what was meant as one."""
    return isinstance(text, str) and _OPENING.search(text) is not None


def names(text: str) -> list[str]:
    """Return the names of the secrets in a header's value, each once, in order."""
    return list(dict.fromkeys(REFERENCE.findall(text)))


def of_headers(headers: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the secrets of each header that has some."""
    return {header: found for header, value in headers.items() if (found := names(value))}


def of_document(raw: Any) -> list[str]:
    """Return the secrets that a raw document sends, each once, in order."""
    found: dict[str, None] = {}
    for path, text in _texts(raw, ()):
        if _is_header(path):
            found |= dict.fromkeys(names(text))
    return list(found)


def misplaced(raw: Any) -> list[SpecError]:
    """Return an error for each secret that stands where none may, or that has no proper name."""
    errors = []
    for path, text in _texts(raw, ()):
        if not is_meant(text):
            continue
        if not _is_header(path):
            errors.append(SpecError(path, _ELSEWHERE))
        elif is_meant(REFERENCE.sub("", text)):
            errors.append(SpecError(path, _MALFORMED))
    return errors


def _is_header(path: Path) -> bool:
    return len(path) == 5 and path[0] == "probes" and path[2:4] == ("http", "headers")


def _texts(node: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Yield every text with its path; a key's is that of the mapping that it stands in."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if isinstance(key, str):
                yield path, key
            yield from _texts(value, (*path, key))
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from _texts(value, (*path, index))
    elif isinstance(node, str):
        yield path, node

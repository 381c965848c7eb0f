"""The author's own YAML text: read as YAML 1.2, so that ``on`` and ``1:30`` stay what they are."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from experiments.domain.errors import InvalidDocumentError, Path, SpecError

MAX_BYTES = 1_000_000


def read(text: str) -> Any:
    """Return the document's JSON types. Raises InvalidDocumentError, naming the line."""
    if len(text.encode()) > MAX_BYTES:
        raise InvalidDocumentError([SpecError((), f"is larger than {MAX_BYTES} bytes")])
    loader = YAML(typ="safe", pure=True)
    try:
        raw = loader.load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise InvalidDocumentError(
            [SpecError((), f"line {line}: {error.problem or error}")]
        ) from error
    except YAMLError as error:
        raise InvalidDocumentError([SpecError((), str(error))]) from error
    _check_keys(raw, ())
    return raw


def _check_keys(node: Any, path: Path) -> None:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if not isinstance(key, str):
                raise InvalidDocumentError(
                    [SpecError(path, f"the key {key!r} is not a text; put it in quotes")]
                )
            _check_keys(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _check_keys(value, (*path, index))


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

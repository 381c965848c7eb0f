"""Reads bodies off the wire: JSON, or a document as YAML text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, JSONParser


class JsonParser(JSONParser):
    """Reads a JSON body; malformed JSON is told with its line."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the body's JSON types. Raises ParseError."""
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply") from error


class YamlParser(BaseParser):
    """Takes a document as YAML: the same as ``{"text": …}`` in JSON."""

    media_type = "application/yaml"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, str]:
        """Return the text, not yet read as YAML. Raises ParseError when it is not UTF-8."""
        try:
            return {"text": stream.read().decode("utf-8")}
        except UnicodeDecodeError as error:
            raise ParseError(f"the YAML is not UTF-8: {error}") from error


class OldYamlParser(YamlParser):
    """Takes the name that YAML had before RFC 9512."""

    media_type = "application/x-yaml"

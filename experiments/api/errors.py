"""How the API says no: ``{"errors": [{path, where, line, column, message}]}``, or ``{"detail"}``.

The errors of its own::

    InvalidDocumentError
    └── UnfitTextError  400: a document in YAML, whose errors have lines

    APIException (DRF)
    ├── TooLargeError   413: the body is larger than DATA_UPLOAD_MAX_MEMORY_SIZE
    ├── TakenError      409: somebody saved at the same moment
    └── KeyReusedError  422: the idempotency key belongs to another request
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.response import Response
from rest_framework.views import exception_handler

from experiments.domain import patching
from experiments.domain.errors import InvalidDocumentError, SpecError


class TooLargeError(APIException):
    """The body is larger than the server takes."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE


class TakenError(APIException):
    """Somebody else saved at the same moment."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = "Somebody saved under this name at the same moment: look, and try again."


class KeyReusedError(APIException):
    """The idempotency key already stands for another request."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY


def tell(errors: Iterable[SpecError], text: str | None = None) -> list[dict[str, Any]]:
    """Return the errors as JSON: where each is, as a path and as people read it, and what.

    ``line`` and ``column`` are those of the text; None without one.
    """
    told = list(errors)
    return [
        {
            "path": list(error.path),
            "where": error.dotted or "document",
            "line": line,
            "column": column,
            "message": error.message,
        }
        for error, (line, column) in zip(told, _places(told, text), strict=True)
    ]


def _places(errors: list[SpecError], text: str | None) -> Iterator[tuple[int | None, int | None]]:
    """Yield where each error is in the text, from its path where it does not say so itself."""
    found = patching.places(text, [error.path for error in errors]) if text else ()
    for error, place in zip_longest(errors, found):
        yield (error.line, error.column) if error.line or not place else place


class UnfitTextError(InvalidDocumentError):
    """A document that was sent as text and has errors: they are told with their lines."""

    def __init__(self, errors: Iterable[SpecError], text: str) -> None:
        super().__init__(errors)
        self.text = text


@contextmanager
def of_text(text: str | None) -> Iterator[None]:
    """Tell the errors of a document with the lines of the text that it was sent as, if it was."""
    try:
        yield
    except InvalidDocumentError as error:
        if text is None:
            raise
        raise UnfitTextError(error.errors, text) from error


def answer(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the answer to an exception; None lets it through as a fault of ours."""
    if isinstance(error, InvalidDocumentError):
        text = error.text if isinstance(error, UnfitTextError) else None
        return Response({"errors": tell(error.errors, text)}, status.HTTP_400_BAD_REQUEST)
    return exception_handler(error, context)

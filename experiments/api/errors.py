"""How the API says no: ``{"errors": [{path, where, message}]}`` for bodies, else ``{"detail"}``.

The errors of its own::

    APIException (DRF)
    ├── TooLargeError   413: the body is larger than DATA_UPLOAD_MAX_MEMORY_SIZE
    ├── TakenError      409: somebody saved at the same moment
    └── KeyReusedError  422: the idempotency key belongs to another request
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.response import Response
from rest_framework.views import exception_handler

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


def tell(errors: Iterable[SpecError]) -> list[dict[str, Any]]:
    """Return the errors as JSON: where each is, as a path and as people read it, and what."""
    return [
        {
            "path": list(error.path),
            "where": error.dotted or "document",
            "message": error.message,
        }
        for error in errors
    ]


def answer(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the answer to an exception; None lets it through as a fault of ours."""
    if isinstance(error, InvalidDocumentError):
        return Response({"errors": tell(error.errors)}, status.HTTP_400_BAD_REQUEST)
    return exception_handler(error, context)

"""Answers 400 to a request whose NUL reached the database: PostgreSQL stores and compares none.

Pages that have a word of their own for it say that; this is for every other value.
"""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.db import DataError
from django.http import HttpRequest, HttpResponse

_TOLD = "NUL (0x00)"
"""What psycopg says of it, as psycopg.DataError."""


class NulMiddleware:
    """Turns the database's refusal of a NUL that was sent into a bad request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> None:
        """Raise BadRequest where the error is about a NUL of the request; else let it be."""
        if isinstance(error, DataError) and _TOLD in str(error) and _holds_nul(request):
            raise BadRequest("A value holds the character NUL, which cannot be stored") from error


def _holds_nul(request: HttpRequest) -> bool:
    sent = (
        text for data in (request.GET, request.POST) for _, each in data.lists() for text in each
    )
    return "\0" in request.path or any("\0" in str(text) for text in sent)

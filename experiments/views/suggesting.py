"""What a field of the editor may hold, as JSON, while somebody writes it."""

from __future__ import annotations

import json
from typing import Any, cast

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from experiments.models import Environment, User
from experiments.services import people, suggesting

_LONGEST = 200
_LONGEST_GIVEN = 8000


@require_GET
@never_cache
def suggest(request: HttpRequest) -> HttpResponse:
    """Answer ``options`` (value and detail), ``note``, ``origin`` and ``left_out``.

    ``what`` is the field's question, ``environment`` the one picked, ``alias`` the row's
    connection, ``typed`` the text so far; ``given`` are the row's other fields as JSON, without
    the field itself, or every letter would be another question.
    """
    people.require(cast(User, request.user), "author_experiment", "write experiments")
    found = suggesting.suggest(
        environment=Environment.objects.filter(name=_text(request, "environment")).first(),
        what=_text(request, "what"),
        alias=_text(request, "alias").strip(),
        given=_given(request.GET.get("given", "")),
        typed=_text(request, "typed"),
    )
    return JsonResponse(
        {
            "options": [{"value": each.value, "detail": each.detail} for each in found.options],
            "note": found.note,
            "origin": found.origin,
            "left_out": found.left_out,
        }
    )


def _text(request: HttpRequest, name: str) -> str:
    return request.GET.get(name, "")[:_LONGEST]


def _given(written: str) -> dict[str, Any]:
    """Return the row's fields; nothing where they cannot be read, as they only narrow."""
    try:
        found = json.loads(written) if len(written) <= _LONGEST_GIVEN else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}

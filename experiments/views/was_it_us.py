"""“Was it us?”: which faults were live at a moment, for somebody in the middle of an incident."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from experiments.domain.errors import InvalidDocumentError
from experiments.selectors import was_it_us as selector
from experiments.selectors.answering import Question
from experiments.services import faults

_FIELDS = ("service", "environment", "at", "until")
_QUICK = (("15m", "last 15 min"), ("1h", "last hour"), ("6h", "last 6 h"), ("24h", "last 24 h"))


@dataclass(frozen=True, slots=True)
class _Choice:
    """One of the spans that a click chooses."""

    text: str
    url: str
    is_current: bool


@require_safe
@never_cache
def show(request: HttpRequest) -> HttpResponse:
    """Show the form and the answer to its address; without a question, what is live now."""
    given = {name: request.GET.get(name, "").replace("\x00", "").strip() for name in _FIELDS}
    environments = selector.environments()
    context = {
        "given": given,
        "quick": _quick(given),
        "services": selector.services(),
        "environments": environments,
        "is_foreign": given["environment"] not in {"", *(name for name, _ in environments)},
        "address": request.get_full_path(),
    }
    try:
        question = selector.read(given, timezone.now())
    except InvalidDocumentError as error:
        return render(
            request, "was_it_us/show.html", context | {"errors": error.errors}, status=400
        )
    context |= {
        "question": question,
        "answer": selector.answer(question, faults.known()),
        "inputs": _inputs(question),
        "permalink": _permalink(question),
        "is_asked": any(given.values()),
    }
    return render(request, "was_it_us/show.html", context)


def _quick(given: dict[str, str]) -> list[_Choice]:
    kept = {name: given[name] for name in ("service", "environment") if given[name]}
    page = reverse("was_it_us")
    found = [_Choice("now", f"{page}?{urlencode(kept)}", not (given["at"] or given["until"]))]
    for length, text in _QUICK:
        span = {"at": f"-{length}", "until": "now"}
        is_current = all(given[name] == value for name, value in span.items())
        found.append(_Choice(text, f"{page}?{urlencode(kept | span)}", is_current))
    return found


def _inputs(question: Question) -> dict[str, str]:
    """Return what the two inputs of moments show: the answer's own moments, in UTC."""
    if question.is_now:
        return {"at": "", "until": ""}
    span = question.span
    pattern = "%Y-%m-%dT%H:%M" if span.is_minute else "%Y-%m-%dT%H:%M:%S"
    return {
        "at": f"{span.start:{pattern}}",
        "until": "" if span.is_moment else f"{span.end:%Y-%m-%dT%H:%M:%S}",
    }


def _permalink(question: Question) -> str:
    """Return the address that will ask about these very moments whenever it is opened."""
    span = question.span
    asked = {"service": question.service, "environment": question.environment}
    asked["at"] = _exact(span.start, is_minute=span.is_minute)
    if not span.is_moment:
        asked["until"] = _exact(span.end)
    kept = {name: value for name, value in asked.items() if value}
    return f"{reverse('was_it_us')}?{urlencode(kept, safe=':')}"


def _exact(at: datetime, *, is_minute: bool = False) -> str:
    return f"{at:%Y-%m-%dT%H:%M}Z" if is_minute else f"{at:%Y-%m-%dT%H:%M:%S}Z"

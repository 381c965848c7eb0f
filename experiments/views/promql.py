"""The little of Prometheus's HTTP API that the PromQL editor asks for completion; reads only.

It answers as Prometheus does: ``{"status": "success", "data": …}``. What the source refuses, and
that it is silent, is said with ``"status": "error"`` under HTTP 200: nothing is broken here.
"""

from __future__ import annotations

from typing import cast

from django.http import Http404, HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from experiments.models import Environment, User
from experiments.services import people, vocabulary
from experiments.services.vocabulary import Words


@require_safe
def labels(request: HttpRequest, name: str, alias: str) -> JsonResponse:
    """Answer the labels' names, of the series that ``match[]`` selects."""
    return _answer(vocabulary.labels(_environment(request, name), alias, _match(request)))


@require_safe
def values(request: HttpRequest, name: str, alias: str, label: str) -> JsonResponse:
    """Answer the values of a label, of the series that ``match[]`` selects."""
    found = vocabulary.values(_environment(request, name), alias, label, _match(request))
    return _answer(found)


@require_safe
def series(request: HttpRequest, name: str, alias: str) -> JsonResponse:
    """Answer the labels of the series that ``match[]`` selects."""
    return _answer(vocabulary.series(_environment(request, name), alias, _match(request)))


@require_safe
def metadata(request: HttpRequest, name: str, alias: str) -> JsonResponse:
    """Answer what each metric is: type, help and unit."""
    return _answer(vocabulary.metadata(_environment(request, name), alias))


def _environment(request: HttpRequest, name: str) -> Environment:
    people.require(cast(User, request.user), "author_experiment", "write experiments")
    if len(name) > 200:
        raise Http404
    return get_object_or_404(Environment, name=name)


def _match(request: HttpRequest) -> list[str]:
    return [each for each in request.GET.getlist("match[]") if each.strip()]


def _answer(words: Words) -> JsonResponse:
    if words.error:
        return JsonResponse({"status": "error", "errorType": "source", "error": words.error})
    return JsonResponse({"status": "success", "data": words.found})

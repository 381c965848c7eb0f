"""Fragments: what the last 15 minutes show of an SLI or a query, of what is being written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from experiments.domain.errors import InvalidDocumentError
from experiments.domain.services import sli_to_json
from experiments.figures.recent import recent_figure
from experiments.forms import mapping, written
from experiments.forms.editor import Editor
from experiments.forms.kinds import LISTS
from experiments.forms.services import ServiceEditor
from experiments.models import Environment, Service, User
from experiments.services import describing, people, previewing, recent
from experiments.views import posted

Marks = Iterable[tuple[str, str]]
"""Ids of inputs, and what the source says is wrong with each."""


@dataclass(frozen=True, slots=True)
class Look:
    """One item of a document that can be looked at: which list, which place, and its name."""

    list: str
    place: int
    name: str
    what: str


@require_POST
def of_draft(request: HttpRequest) -> HttpResponse:
    """Show what one row of the posted draft measures; stores nothing.

    ``list`` is slis, guardrails or probes; ``number`` the row's number in the form, and in the YAML
    view its place in the list.
    """
    people.require(_person(request), "author_experiment", "write experiments")
    fields = posted.fields(request)
    key, number = fields.get("list") or "", fields.get("number") or ""
    if key not in LISTS or not number.isdecimal() or len(number) > 6:
        raise Http404
    environment = Environment.objects.filter(name=fields.get("environment") or "").first()
    catalogue = previewing.catalogue()
    if fields.get("view") == "yaml":
        state = written.from_text(fields.get("text") or "", catalogue=catalogue)
        if state.unread:
            return _answer(request, recent.Recent(note="Shown once the text can be read."))
        found = recent.of_draft(state.document, environment, key=key, place=int(number))
        return _answer(request, found)
    numbers = mapping.rows_of(fields, key)
    if number not in numbers:
        raise Http404
    place = numbers.index(number)
    raw = mapping.fields_to_document(fields, catalogue=catalogue)
    found = recent.of_draft(raw, environment, key=key, place=place)
    row = Editor(fields, catalogue=catalogue).row(LISTS[key], number, place)
    marks = [
        (row.form.target(row.form.key_for(error.path, row.shape.anchor)), error.message)
        for error in found.refused
    ]
    return _answer(request, found, marks)


@require_POST
def of_service_form(request: HttpRequest) -> HttpResponse:
    """Show what one row of a service's posted form measures; ``number`` is the row's."""
    people.require(_person(request), "author_experiment", "describe services")
    names = list(Environment.objects.values_list("name", flat=True))
    number = request.POST.get("number", "")
    if not number.isdecimal() or len(number) > 4:
        raise Http404
    editor = ServiceEditor(names, data=request.POST)
    editor.is_readable()
    if int(number) >= len(editor.slis.forms):
        raise Http404
    row = editor.slis.forms[int(number)]
    found = recent.of_service(row.raw(), _picked(request.POST.get("environment", "")))
    for error in found.refused:
        row.put(error.path, error.message)
    marks = [
        (row[name].id_for_label, " ".join(map(str, messages)))
        for name, messages in row.errors.items()
        if found.refused and name in row.fields
    ]
    return _answer(request, found, marks)


@require_safe
def of_service(request: HttpRequest, name: str, sli: str) -> HttpResponse:
    """Show what a stored SLI of a service measures in ``?environment=``."""
    service = get_object_or_404(Service, name=name)
    try:
        slis = {each.name: each for each in describing.slis_of(service)}
    except InvalidDocumentError as error:
        raise Http404 from error
    if sli not in slis:
        raise Http404
    raw = sli_to_json(slis[sli])
    return _answer(request, recent.of_stored(raw, _picked(request.GET.get("environment", ""))))


def listed(raw: Mapping[str, Any]) -> list[Look]:
    """Return what can be looked at in a document: its SLIs, and its own PromQL."""
    return [
        Look(key, place, str(item.get("name") or f"{LISTS[key].noun} {place + 1}"), LISTS[key].noun)
        for key in ("slis", "guardrails", "probes")
        for place, item in enumerate(_items(raw.get(key)))
        if isinstance(item, Mapping) and (key == "slis" or item.get("promql"))
    ]


def _items(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []


def _answer(request: HttpRequest, found: recent.Recent, marks: Marks = ()) -> HttpResponse:
    figure = recent_figure(found)
    context: dict[str, Any] = {
        "recent": found,
        "figure": json.dumps(figure, separators=(",", ":")) if figure else "",
        "marks": list(marks),
        "unplaced": () if marks else found.refused,
    }
    return render(request, "partials/recent.html", context)


def _picked(name: str) -> Environment | None:
    return Environment.objects.filter(name=name).first()


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)

"""Pages: experiments that come in as files, and files that go out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_GET, require_http_methods

from experiments.models import Experiment, User
from experiments.selectors import authoring as plans
from experiments.selectors import words
from experiments.services import exporting, importing, people
from experiments.services.importing import Found, OnConflict, Report, Upload

_MOST_SENT = 2_400_000
"""Bytes of a whole request: every file once, carried as base64, and the form around it."""
_EXCERPTS = 50
_AROUND = 1
_WIDTH = 140
_TYPES = {
    "yaml": "application/yaml",
    "json": "application/json",
    "chaosmesh": "application/yaml",
}
_ENDINGS = {"chaosmesh": "chaosmesh.yaml"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an excerpt."""

    number: int
    text: str
    is_here: bool


Told = tuple[importing.SourceError, str, list[Line]]
"""An error, where in its document, and the lines around it."""


@dataclass(frozen=True, slots=True)
class Card:
    """One file's report as the page shows it; ``carried`` is the file, to be sent again."""

    report: Report
    experiments: list[tuple[Found, list[Told]]]
    """Each experiment with its own errors."""
    errors: list[Told]
    """Those of the file itself."""
    kept: list[importing.Note]
    """What was kept of the experiments without errors: nothing is kept of what is left out."""
    has_fitting: bool
    carried: str


@csrf_exempt
@require_http_methods(["GET", "POST"])
def import_(request: HttpRequest) -> HttpResponse:
    """Take files, say what they hold, and store them once that has been seen."""
    # Looking for the token reads the body, so that its size comes first.
    if _length(request) > _MOST_SENT:
        people.require(_person(request), "author_experiment", "write experiments")
        return _form(request, _TOO_LARGE, status=413)
    return _import(request)


@csrf_protect
def _import(request: HttpRequest) -> HttpResponse:
    people.require(_person(request), "author_experiment", "write experiments")
    if request.method == "GET":
        return _form(request)
    uploads = [*_carried(request), *_sent(request)]
    if not uploads:
        return _form(request, "Choose a file, or paste a document.", status=422)
    if sum(len(each.content) for each in uploads) > importing.MAX_BYTES:
        return _form(request, _TOO_LARGE, status=413)
    on_conflict: OnConflict = "refuse" if request.POST.get("on_conflict") == "refuse" else "version"
    if request.POST.get("do") != "store":
        reports = importing.check(uploads, on_conflict=on_conflict)
        return _shown(request, reports, uploads, on_conflict)
    reports = importing.store(uploads, user=_person(request), on_conflict=on_conflict)
    stored = [found for each in reports for found in each.experiments if found.is_stored]
    if not all(report.is_fine for report in reports):
        return _shown(request, reports, uploads, on_conflict, status=200 if stored else 422)
    messages.success(request, _said(stored))
    if len(stored) == 1:
        return redirect("experiment_detail", name=stored[0].name)
    return redirect("experiment_list")


def _said(stored: list[Found]) -> str:
    if not stored:
        return "There was nothing new: every experiment is here already, just so."
    if len(stored) == 1:
        return f"Imported {stored[0].name}, version {stored[0].version}."
    return f"Imported {words.counted(len(stored), 'version')}."


@require_GET
def export(request: HttpRequest) -> HttpResponse:
    """Answer the named experiments as one file; with ``version`` that of a single one."""
    kind = request.GET.get("format", "yaml")
    names = request.GET.getlist("name")
    if kind not in _TYPES:
        raise Http404
    if not names:
        messages.warning(request, "Tick the experiments that you want to download.")
        return redirect("experiment_list")
    number = request.GET.get("version", "")
    if number:
        experiment = get_object_or_404(Experiment, name=names[0])
        is_number = number.isdecimal() and len(number) < 10
        version = plans.version(experiment, int(number)) if is_number else None
        if version is None:
            raise Http404
        versions, file = [version], f"{experiment.name}.v{number}"
    else:
        versions, missing = exporting.newest(names)
        if missing:
            raise Http404
        file = "experiments" if len(versions) > 1 else f"{names[0]}.v{versions[0].number}"
    if kind == "json":
        body = exporting.as_json(versions, is_list=len(versions) > 1)
    elif kind == "chaosmesh":
        body = exporting.as_chaosmesh(versions)
    else:
        body = exporting.as_yaml(versions)
    ending = _ENDINGS.get(kind, kind)
    return HttpResponse(
        body,
        content_type=f"{_TYPES[kind]}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{file}.{ending}"'},
    )


_MOST = f"{importing.MAX_BYTES / 1_000_000:g} MB"
_TOO_LARGE = f"Nothing was read: one import takes {_MOST} in all."


def _form(request: HttpRequest, error: str = "", *, status: int = 200) -> HttpResponse:
    context = {
        "error": error,
        "formats": importing.formats(),
        "most": _MOST,
    }
    return render(request, "exchange/import.html", context, status=status)


def _shown(
    request: HttpRequest,
    reports: list[Report],
    uploads: list[Upload],
    on_conflict: OnConflict,
    *,
    status: int = 200,
) -> HttpResponse:
    found = [each for report in reports for each in report.experiments]
    storable = [each for each in found if each.is_storable and not each.is_stored]
    context = {
        "cards": [_card(*pair) for pair in zip(reports, uploads, strict=True)],
        "on_conflict": on_conflict,
        "storable": storable,
        "stored": [each for each in found if each.is_stored],
        "error_count": sum(len(report.errors) for report in reports),
        "is_fine": all(report.is_fine for report in reports),
    }
    return render(request, "exchange/report.html", context, status=status)


def _card(report: Report, upload: Upload) -> Card:
    lines = report.text.splitlines()
    errors = [
        (error, importing.where(error), _excerpt(lines, error) if number < _EXCERPTS else [])
        for number, error in enumerate(report.errors)
    ]
    is_needed = any(found.is_storable and not found.is_stored for found in report.experiments)
    carried = base64.b64encode(upload.content).decode() if is_needed else ""
    experiments = [
        (found, [each for each in errors if each[0] in found.errors])
        for found in report.experiments
    ]
    own = {id(each) for _, told in experiments for each in told}
    left_out = {found.line for found in report.experiments if found.errors}
    return Card(
        report,
        experiments,
        [each for each in errors if id(each) not in own],
        [note for note in report.kept if note.line not in left_out],
        any(not found.errors for found in report.experiments),
        carried,
    )


def _excerpt(lines: list[str], error: importing.SourceError) -> list[Line]:
    """Return the error's line and its neighbours, cut to what a page can show, tabs visible."""
    if error.line is None or error.line > len(lines):
        return []
    cut = max(0, (error.column or 1) - _WIDTH // 2) if (error.column or 1) > _WIDTH else 0
    numbers = range(max(1, error.line - _AROUND), min(len(lines), error.line + _AROUND) + 1)
    return [
        Line(number, lines[number - 1][cut : cut + _WIDTH].replace("\t", "⇥"), number == error.line)
        for number in numbers
    ]


def _sent(request: HttpRequest) -> Iterator[Upload]:
    """Yield the files that were chosen, then what was pasted."""
    for file in request.FILES.getlist("file"):
        yield Upload(file.name or "a file", file.read(importing.MAX_BYTES + 1))
    text = request.POST.get("text", "")
    if text.strip():
        # Browsers send every line's end as CR LF.
        yield Upload("pasted text", text.replace("\r\n", "\n").encode(errors="replace"))


def _carried(request: HttpRequest) -> Iterator[Upload]:
    """Yield the files of a report that was confirmed. Raises Http404 if they were tampered with."""
    names, contents = request.POST.getlist("carried_name"), request.POST.getlist("carried")
    if len(names) != len(contents):
        raise Http404
    for name, content in zip(names, contents, strict=True):
        try:
            yield Upload(name, base64.b64decode(content, validate=True))
        except (binascii.Error, ValueError) as error:
            raise Http404 from error


def _length(request: HttpRequest) -> int:
    length = request.META.get("CONTENT_LENGTH") or "0"
    return int(length) if length.isdecimal() else 0


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)

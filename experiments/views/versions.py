"""Pages: what changed between two versions of an experiment."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from experiments.domain.differences import differences
from experiments.models import Experiment
from experiments.selectors import authoring as plans


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a unified diff: ``kind`` is added, removed, same or part (where it is)."""

    kind: str
    text: str


@require_GET
def diff(request: HttpRequest, name: str) -> HttpResponse:
    """Compare two versions, ``?from=1&to=3``; without them the newest with the one before."""
    experiment = get_object_or_404(Experiment, name=name)
    versions = plans.versions(experiment)
    if not versions:
        raise Http404
    by_number = {version.number: version for version in versions}
    to = _number(request.GET.get("to"), versions[0].number)
    earlier = [version.number for version in versions if version.number < to]
    before = _number(request.GET.get("from"), earlier[0] if earlier else to)
    if before not in by_number or to not in by_number:
        raise Http404
    old, new = by_number[before], by_number[to]
    return render(
        request,
        "experiments/diff.html",
        {
            "experiment": experiment,
            "versions": versions,
            "old": old,
            "new": new,
            "old_label": f"version {before}",
            "new_label": f"version {to}",
            **compared(old.text, new.text, old.document, new.document),
        },
    )


def compared(
    old_text: str, new_text: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the comparison of two texts shows: the changes in words, and line by line."""
    return {
        "differences": differences(old, new),
        "lines": list(_lines(old_text, new_text)),
        "old_text": old_text,
        "new_text": new_text,
    }


def _lines(old: str, new: str) -> Iterator[Line]:
    made = difflib.unified_diff(old.splitlines(), new.splitlines(), n=3, lineterm="")
    for number, line in enumerate(made):
        if number < 2:
            continue  # the names of the files, which are none
        kinds = {"+": "added", "-": "removed", "@": "part"}
        yield Line(kinds.get(line[:1], "same"), line)


def _number(given: str | None, otherwise: int) -> int:
    if given is None:
        return otherwise
    if not given.isdecimal() or len(given) > 6:
        raise Http404
    return int(given)

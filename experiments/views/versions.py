"""Pages: what changed between two versions of an experiment, and an old one restored."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from experiments.domain import uses
from experiments.domain.differences import differences
from experiments.domain.errors import InvalidDocumentError
from experiments.models import Environment, Experiment, ExperimentVersion, User
from experiments.selectors import authoring as plans
from experiments.services import authoring, previewing, rendering


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a unified diff: ``kind`` is added, removed, same or part (where it is)."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Sides:
    """Two texts to show side by side, and the lines that differ."""

    old: str
    new: str
    lines: tuple[Line, ...]


@require_GET
def diff(request: HttpRequest, name: str) -> HttpResponse:
    """Compare two versions, ``?from=1&to=3``; without them the newest with the one before.

    ``?environment=`` picks where their previews are compared; the only one is picked by itself.
    """
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
    environments = plans.environments()
    place = _place(request.GET.get("environment"), environments)
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
            "environments": environments,
            "environment": place,
            "previews": sides(_rendered(old, place), _rendered(new, place)),
            **compared(old.text, new.text, uses.bare(old.document), uses.bare(new.document)),
        },
    )


@require_POST
def restore(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Store an old version as the next one, if nobody has saved since the page was drawn."""
    experiment = get_object_or_404(Experiment, name=name)
    version = plans.version(experiment, number)
    if version is None:
        raise Http404
    seen = _based_on(request)
    try:
        saved = authoring.restore(
            version=version,
            author=cast(User, request.user),
            message=request.POST.get("message", "").strip()[:200],
            based_on=seen,
        )
    except authoring.ConflictError as error:
        told = (
            f"{error.newest.author or 'Somebody'} saved version {error.newest.number} meanwhile:"
            " look at it, then restore again. Nothing is stored."
        )
        messages.warning(request, told)
        where = reverse("version_diff", args=[name])
        return redirect(f"{where}?from={number}&to={error.newest.number}")
    except InvalidDocumentError as error:
        told = "; ".join(str(each) for each in error.errors[:5])
        messages.error(request, f"Version {number} cannot be restored as it is: {told}.")
        return redirect("version_detail", name, number)
    if saved.number == version.number or saved.number <= seen:
        messages.info(request, f"Nothing differs from version {saved.number}.")
    else:
        messages.success(request, f"Version {number} is restored as version {saved.number}.")
    return redirect("experiment_detail", name)


def compared(
    old_text: str, new_text: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the comparison of two texts shows: the changes in words, and line by line."""
    return {"differences": differences(old, new), "texts": sides(old_text, new_text)}


def sides(old: str, new: str) -> Sides:
    """Return two texts with the lines that differ."""
    return Sides(old, new, tuple(_lines(old, new)))


def _rendered(version: ExperimentVersion, place: Environment | None) -> str:
    return rendering.as_text(previewing.preview(raw=version.document, environment=place))


def _place(given: str | None, environments: list[Environment]) -> Environment | None:
    """Return the environment that was picked; the only one where none was asked for."""
    if given is None:
        return environments[0] if len(environments) == 1 else None
    return next((each for each in environments if each.name == given), None)


def _lines(old: str, new: str) -> Iterator[Line]:
    made = difflib.unified_diff(old.splitlines(), new.splitlines(), n=3, lineterm="")
    for number, line in enumerate(made):
        if number < 2:
            continue  # the names of the files, which are none
        kinds = {"+": "added", "-": "removed", "@": "part"}
        yield Line(kinds.get(line[:1], "same"), line)


def _based_on(request: HttpRequest) -> int:
    """Return the version that the page showed as the newest. Raises BadRequest without one."""
    given = request.POST.get("based_on", "")
    if not given.isdecimal() or len(given) > 6:
        raise BadRequest("based_on must be the number of the newest version")
    return int(given)


def _number(given: str | None, otherwise: int) -> int:
    if given is None:
        return otherwise
    if not given.isdecimal() or len(given) > 6:
        raise Http404
    return int(given)

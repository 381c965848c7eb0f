"""Pages: experiments and their versions."""

from __future__ import annotations

import uuid
from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from experiments.domain import spec
from experiments.domain.errors import InvalidDocumentError, SpecError
from experiments.models import Experiment, ExperimentVersion, Run, User
from experiments.selectors import authoring as plans
from experiments.selectors import schedule
from experiments.services import authoring, drafts, exporting, launching, people, previewing


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """List the experiments with their last verdicts."""
    filters = plans.Filters(
        text=request.GET.get("q", "").strip(),
        service=request.GET.get("service", ""),
        tag=request.GET.get("tag", ""),
        archived=request.GET.get("archived") == "yes",
    )
    listing = plans.listing(filters, request.GET.get("page"))
    return render(
        request,
        "experiments/list.html",
        {"listing": listing, "filters": filters, **_may(request)},
    )


@require_GET
def detail(request: HttpRequest, name: str) -> HttpResponse:
    """Show an experiment: what it watches and does, its versions and runs, and how to run it."""
    experiment = get_object_or_404(Experiment, name=name)
    versions = plans.versions(experiment)
    if not versions:
        raise Http404
    newest = versions[0]
    document = authoring.validate(newest.document).spec
    return render(
        request,
        "experiments/detail.html",
        {
            "experiment": experiment,
            "version": newest,
            "versions": versions,
            "chaosmesh": {each.pk for each in versions if exporting.has_chaosmesh(each)},
            "runs": plans.last_runs(experiment),
            "idempotency_key": uuid.uuid4().hex,
            **_summary(newest, document),
            **_launch(newest, document),
            **_may(request),
        },
    )


@require_GET
def version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Show one version as it was saved; it never changes."""
    experiment = get_object_or_404(Experiment, name=name)
    found = plans.version(experiment, number)
    if found is None:
        raise Http404
    document = authoring.validate(found.document).spec
    return render(
        request,
        "experiments/version.html",
        {
            "experiment": experiment,
            "version": found,
            "newest": plans.versions(experiment)[0],
            "idempotency_key": uuid.uuid4().hex,
            **_summary(found, document),
            **_launch(found, document, _again(request, found)),
            **_may(request),
        },
    )


@require_http_methods(["GET", "POST"])
def duplicate(request: HttpRequest, name: str) -> HttpResponse:
    """Make a new experiment of a version, ``?version=2``; of the newest where none is named."""
    people.require(_person(request), "author_experiment", "write experiments")
    experiment = get_object_or_404(Experiment, name=name)
    number = request.GET.get("version", "")
    if number and not (number.isdecimal() and len(number) < 7):
        raise Http404
    found = plans.version(experiment, int(number)) if number else experiment.versions.first()
    if found is None:
        raise Http404
    errors: tuple[SpecError, ...] = ()
    given = {"name": authoring.free_name(name), "title": f"{experiment.title} (copy)"}
    if request.method == "POST":
        given = {key: request.POST.get(key, "").strip()[:200] for key in given}
        try:
            made = authoring.duplicate(version=found, author=_person(request), **given)
        except InvalidDocumentError as error:
            errors = error.errors
        else:
            messages.success(request, f"{made.experiment} is a copy of {found}; change it here.")
            return redirect("experiment_edit", made.experiment.name)
    context = {
        "experiment": experiment,
        "version": found,
        "given": given,
        "name_errors": [each.message for each in errors if each.path == ("metadata", "name")],
        "errors": [each for each in errors if each.path != ("metadata", "name")],
    }
    status = 422 if errors else 200
    return render(request, "experiments/duplicate.html", context, status=status)


@require_POST
def archive(request: HttpRequest, name: str) -> HttpResponse:
    """Take an experiment out of the list; nothing of it is lost."""
    experiment = get_object_or_404(Experiment, name=name)
    if authoring.archive(experiment=experiment, user=_person(request)):
        messages.success(request, f"{experiment} is archived: it is out of the list, and not run.")
    return redirect("experiment_detail", name)


@require_POST
def unarchive(request: HttpRequest, name: str) -> HttpResponse:
    """Put an experiment back into the list."""
    experiment = get_object_or_404(Experiment, name=name)
    if authoring.unarchive(experiment=experiment, user=_person(request)):
        messages.success(request, f"{experiment} is back in the list.")
    return redirect("experiment_detail", name)


def _again(request: HttpRequest, version: ExperimentVersion) -> Run | None:
    """Return the run of this version that is to be run again, ``?run=12``."""
    given = request.GET.get("run", "")
    if not given.isdecimal() or len(given) > 12:
        return None
    rows = Run.objects.select_related("environment").filter(version=version)
    return rows.filter(pk=int(given)).first()


def _summary(version: ExperimentVersion, document: spec.Experiment | None) -> dict[str, Any]:
    return {
        "document": document,
        "watched": plans.watched(document) if document else [],
        "steps": plans.steps(document) if document else [],
        "schedule": schedule.plan(drafts.settled(version.document)),
    }


def _launch(
    version: ExperimentVersion, document: spec.Experiment | None, again: Run | None = None
) -> dict[str, Any]:
    """Return what the form of a launch shows; ``again`` is a run whose values it begins with."""
    if document is None:
        return {"choices": []}
    values = again.parameters if again else {}
    places = plans.environments()
    lacking = [launching.fits(document, each, plans.bound(each)) for each in places]
    choices = [
        (place, list(dict.fromkeys(lack.message for lack in found)))
        for place, found in zip(places, lacking, strict=True)
    ]
    return {
        "choices": choices,
        "again": again,
        "asked": [(name, each, values.get(name)) for name, each in document.parameters.items()],
        "blast_radius": plans.blast_radius(document),
        "irreversible": plans.irreversible(document, previewing.catalogue()),
    }


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)


def _may(request: HttpRequest) -> dict[str, bool]:
    return {
        "may_author": _person(request).has_perm("experiments.author_experiment"),
        "may_run": _person(request).has_perm("experiments.launch_run"),
    }

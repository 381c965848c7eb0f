"""Pages: experiments and their versions."""

from __future__ import annotations

import uuid
from typing import Any, cast

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from experiments.domain import spec
from experiments.models import Experiment, ExperimentVersion, User
from experiments.selectors import authoring as plans
from experiments.selectors import schedule
from experiments.services import authoring, launching, previewing


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """List the experiments with their last verdicts."""
    filters = plans.Filters(
        text=request.GET.get("q", "").strip(),
        service=request.GET.get("service", ""),
        tag=request.GET.get("tag", ""),
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
            **_summary(found, document),
            **_may(request),
        },
    )


def _summary(version: ExperimentVersion, document: spec.Experiment | None) -> dict[str, Any]:
    return {
        "document": document,
        "watched": plans.watched(document) if document else [],
        "steps": plans.steps(document) if document else [],
        "schedule": schedule.plan(previewing.settled(version.document)),
    }


def _launch(version: ExperimentVersion, document: spec.Experiment | None) -> dict[str, Any]:
    if document is None:
        return {"choices": []}
    choices = [
        (each, list(dict.fromkeys(lack.message for lack in launching.fits(document, each))))
        for each in plans.environments()
    ]
    return {
        "choices": choices,
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

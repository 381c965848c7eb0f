"""Runs: start, list, watch, stop, let go on, and their figures."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotModified,
    HttpResponseRedirect,
    JsonResponse,
)
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from experiments import figures
from experiments.domain.errors import InvalidDocumentError, SpecError
from experiments.domain.states import Status, Verdict
from experiments.models import Environment, Experiment, ExperimentVersion, Run, User
from experiments.selectors import runs as selector
from experiments.services import launching
from experiments.views import run_page

_ON = frozenset({"true", "on", "yes", "1"})
_FOR_EVER = "private, immutable, max-age=31536000"


@require_POST
def start(request: HttpRequest, name: str) -> HttpResponse:
    """Start a run of a version in an environment; say everything that stands in the way."""
    experiment = get_object_or_404(Experiment, name=name)
    version = _version(experiment, request.POST.get("version", ""))
    environment = _environment(request.POST.get("environment", ""))
    errors: tuple[SpecError, ...] = ()
    status, denied = 400, ""
    if environment is None:
        errors = (SpecError(("environment",), "choose the environment to run in"),)
    elif version is None:
        errors = (SpecError(("version",), "there is no such version of this experiment"),)
    else:
        try:
            run = launching.request_run(
                version=version,
                environment=environment,
                user=_user(request),
                idempotency_key=request.POST.get("idempotency_key", "")[:64] or str(uuid.uuid4()),
                parameters=_parameters(request, version),
                is_loss_accepted=request.POST.get("confirm_irreversible") == "yes",
            )
        except PermissionDenied as error:
            status, denied = 403, str(error)
        except InvalidDocumentError as error:
            errors = error.errors
        else:
            if run.version_id == version.pk and run.environment_id == environment.pk:
                return _go(request, reverse("run_detail", args=[run.pk]))
            used = f"this form already started run {run.pk}; open the experiment again"
            errors = (SpecError(("idempotency_key",), used),)
    context = {
        "experiment": experiment,
        "version": version,
        "environment": environment,
        "errors": errors,
        "denied": denied,
    }
    return render(request, "runs/refused.html", context, status=status)


def _version(experiment: Experiment, number: str) -> ExperimentVersion | None:
    versions = experiment.versions.all()
    if not number:
        return versions.first()
    return versions.filter(number=int(number)).first() if number.isdecimal() else None


def _environment(given: str) -> Environment | None:
    """Return the environment of that name, or of that id."""
    found = Environment.objects.filter(name=given).first()
    if found is None and given.isdecimal():
        found = Environment.objects.filter(pk=int(given)).first()
    return found


def _parameters(request: HttpRequest, version: ExperimentVersion) -> dict[str, Any]:
    """Return the values that were filled in; a form can only say yes or no in words."""
    declared = version.document.get("parameters") or {}
    found: dict[str, Any] = {}
    for field, value in request.POST.items():
        if not field.startswith("param_") or not isinstance(value, str) or not value.strip():
            continue
        name = field.removeprefix("param_")
        is_boolean = (declared.get(name) or {}).get("type") == "boolean"
        found[name] = value.strip().lower() in _ON if is_boolean else value.strip()
    return found


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Show the list of runs."""
    filters = selector.Filters.read(request.GET.dict())
    paginator = Paginator(selector.listed(filters), selector.PAGE_SIZE)
    page = paginator.get_page(request.GET.get("page"))
    experiments, environments = selector.choices()
    context = {
        "page": page,
        "rows": selector.rows(page.object_list),
        "filters": filters,
        "statuses": list(Status),
        "verdicts": list(Verdict),
        "experiments": experiments,
        "environments": environments,
        "refresh_url": f"{reverse('run_list')}?{filters.as_query(page.number)}",
    }
    return render(request, "runs/index.html", context)


@require_safe
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show everything about one run."""
    run = _run(pk)
    everything = request.GET.get("journal") == "all"
    context = run_page.context_of(run, timezone.now(), everything=everything)
    return render(request, "runs/detail.html", context)


@require_safe
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the parts of the run page that move; 304 when nothing visible has moved."""
    brief = selector.brief(pk)
    if brief is None:
        raise Http404("There is no such run.")
    waiting = selector.checkpoints(brief) if brief.waiting_for == "checkpoint" else []
    key = run_page.forms_key(brief, waiting)
    known = request.headers.get("If-None-Match", "")
    response: HttpResponse
    if known == run_page.etag(brief, key):
        response = HttpResponseNotModified()
        response["ETag"] = known
        return response
    context = run_page.context_of(_run(pk), timezone.now())
    tag = str(context["etag"])
    # A form that somebody may be pressing just now is replaced only when it is another one.
    is_other = run_page.forms_key_in(known) != run_page.forms_key_in(tag)
    context |= {"oob": True, "with_forms": is_other}
    response = render(request, "runs/live.html", context)
    response["ETag"] = tag
    response["Cache-Control"] = "no-store"
    return response


@require_POST
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop the run and begin to remove its faults; any signed-in person may, as often as wished."""
    run = _run(pk)
    user = _user(request)
    said = request.POST.get("reason", "").replace("\x00", "").strip()[:500]
    reason = f"stopped by {user.username}{f': {said}' if said else ''}"
    if launching.stop_run(run=run, actor=user.username, reason=reason):
        messages.success(request, f"Run {run.pk} is stopped; its faults are being removed.")
    else:
        messages.info(request, f"Run {run.pk} was stopped already, or had ended.")
    return _back(request, reverse("run_detail", args=[run.pk]))


@require_POST
def checkpoint(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """Let the run go on past a checkpoint."""
    run = _run(pk)
    try:
        is_answered = launching.answer_checkpoint(run=run, name=name, user=_user(request))
    except PermissionDenied as error:
        context = {"experiment": run.version.experiment, "run": run, "denied": str(error)}
        return render(request, "runs/refused.html", context, status=403)
    if is_answered:
        messages.success(request, f"Run {run.pk} goes on after {name}.")
    else:
        messages.warning(request, f"Run {run.pk} does not wait at {name} any more.")
    return _go(request, reverse("run_detail", args=[run.pk]))


@require_safe
def figure(request: HttpRequest, pk: int, sli: str) -> HttpResponse:
    """Answer with one figure; that of an ended run, asked for by its version, never changes."""
    run = _run(pk)
    tag = run_page.etag(run, sli)
    is_over = run_page.is_over(run)
    response: HttpResponse
    if request.headers.get("If-None-Match") == tag:
        response = HttpResponseNotModified()
    else:
        response = JsonResponse(_figure(run, sli))
    is_settled = is_over and request.GET.get("v") == str(run.page_version)
    response["ETag"] = tag
    response["Cache-Control"] = _FOR_EVER if is_settled else "private, no-cache"
    if is_over:
        response["X-Final"] = "1"
    return response


def _figure(run: Run, name: str) -> figures.Figure:
    document = run_page.document_of(run)
    if document is None:
        raise Http404("This version of ChaosWeb cannot read the run's document.")
    try:
        return figures.build(run, document, name, timezone.now())
    except KeyError as error:
        raise Http404(f"This run has no SLI {name}.") from error


def _run(pk: int) -> Run:
    run = selector.one(pk)
    if run is None:
        raise Http404("There is no such run.")
    return run


def _user(request: HttpRequest) -> User:
    """Return the signed-in person; the middleware has sent everybody else away."""
    assert isinstance(request.user, User)  # noqa: S101 — LoginRequiredMiddleware is on
    return request.user


def _back(request: HttpRequest, otherwise: str) -> HttpResponse:
    """Go back to the page that asked, if it is one of ours."""
    wanted = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return _go(request, wanted if wanted and is_ours else otherwise)


def _go(request: HttpRequest, url: str) -> HttpResponse:
    if getattr(request, "htmx", False):
        return HttpResponseClientRedirect(url)
    response: HttpResponseRedirect = redirect(url)
    return response

"""Pages: the first steps, from an empty installation to the first run. They store no state."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from drivers.protocol import DriverError, Problem
from experiments.domain.errors import InvalidDocumentError
from experiments.forms.environments import alias_rows
from experiments.forms.first_steps import (
    FirstEnvironmentForm,
    FirstServiceForm,
    RehearsalForm,
    unused_environment,
)
from experiments.models import Connection, Environment
from experiments.services import (
    connecting,
    describing,
    people,
    proposing,
    rehearsing,
)
from experiments.services.proposing import Candidate
from experiments.views.first_steps_page import may, page, person

_SOURCE = "prometheus"


@require_GET
def start(request: HttpRequest) -> HttpResponse:
    """Say what ChaosWeb needs, how far this installation is, and the two ways on."""
    return page(request, "start", {"kinds": connecting.kinds()})


@require_http_methods(["GET", "POST"])
def environment(request: HttpRequest) -> HttpResponse:
    """Describe the first environment; its aliases are proposed from the connections."""
    unused = proposing.unused()
    data = request.POST if request.method == "POST" else None
    # Only what is shown first is proposed: nobody waits for a silent source when saving.
    times = proposing.times(proposing.answering(unused)) if request.method == "GET" else {}
    asked = rehearsing.asked() if any(each.kind == "fake" for each in unused) else None
    values = times | ({"url": asked.url} if asked else {})
    initial = {
        "name": unused_environment(),
        "longest_fault": proposing.longest_fault(times),
        "parameters": "\n".join(f"{name}: {text}" for name, text in values.items()),
        "allowed_hosts": asked.host if asked else "",
    }
    form = FirstEnvironmentForm(data, initial=initial)
    # What was sent counts as it is: a row that equals its proposal is no empty one.
    rows = alias_rows(data, proposed=() if data is not None else proposing.aliases(unused))
    if data is not None:
        people.require(person(request), "administer", "change environments")
        if all([form.is_valid(), rows.is_valid()]):
            saved = connecting.save_environment(
                user=person(request), environment=form.save(commit=False), aliases=rows.bound()
            )
            messages.success(request, f"Environment {saved.name} is saved.")
            return redirect("first_steps_service")
    context = {
        "form": form,
        "rows": rows,
        "has_connections": Connection.objects.exists(),
        "existing": Environment.objects.prefetch_related("aliases__connection"),
        "times": times,
        "is_silent": request.method == "GET"
        and not times
        and any(each.kind == _SOURCE for each in unused),
        "shows_form": data is not None or "new" in request.GET or not Environment.objects.exists(),
    }
    return page(request, "environment", context, status=422 if data is not None else 200)


@require_http_methods(["GET", "POST"])
def service(request: HttpRequest) -> HttpResponse:
    """Describe the first service by what a Prometheus has; its present values are shown."""
    sources = list(Connection.objects.filter(kind=_SOURCE))
    chosen = next((each for each in sources if each.name == request.GET.get("source")), None)
    chosen = chosen or (sources[0] if sources else None)
    candidates: list[Candidate] = []
    untold: tuple[Any, ...] = ()
    if chosen is not None and may(request, "author_experiment"):
        try:
            candidates, untold = proposing.candidates(chosen)
        except DriverError as error:
            untold = (Problem(message=error.message, hint=error.hint, where=chosen.name),)
    data = request.POST if request.method == "POST" else None
    form = FirstServiceForm([each.key for each in candidates], data)
    if data is not None:
        people.require(person(request), "author_experiment", "describe services")
        if chosen is not None and form.is_valid() and _describe(request, form, candidates, chosen):
            return redirect("first_steps_experiment")
    context = {
        "form": form,
        "sources": sources,
        "source": chosen,
        "groups": _groups(candidates),
        "untold": untold,
        "picked": form["of"].value() or "",
    }
    return page(request, "service", context, status=422 if data is not None else 200)


def _groups(candidates: list[Candidate]) -> list[tuple[str, list[str], list[Candidate]]]:
    """Return the candidates by what they are, each with the names of what is read of it."""
    found: dict[str, list[Candidate]] = {}
    for each in candidates:
        found.setdefault(each.kind.title, []).append(each)
    return [(title, [name for name, _ in of[0].now], of) for title, of in found.items()]


def _describe(
    request: HttpRequest,
    form: FirstServiceForm,
    candidates: list[Candidate],
    connection: Connection,
) -> bool:
    """Store the service. Return False, every error at its field, when it cannot be."""
    said = form.cleaned_data
    picked = next(each for each in candidates if each.key == said["of"])
    name = said["name"] or proposing.slug(picked.value)
    slis = proposing.slis(
        picked, title=name, source=proposing.alias_of(connection), wanted=said["take"]
    )
    raw = {"name": name, "owner": said["owner"], "contact": said["contact"], "slis": slis}
    try:
        saved = describing.save(raw=raw, user=person(request))
    except InvalidDocumentError as error:
        for each in error.errors:
            form.put(each.path, each.message)
        return False
    messages.success(request, f"Service {saved.name} is saved.")
    return True


@require_GET
def experiment(request: HttpRequest) -> HttpResponse:
    """Offer the starters that fit an environment; each opens in the editor."""
    environments = list(Environment.objects.order_by("-pk"))
    asked = request.GET.get("environment", "")
    chosen = next((each for each in environments if each.name == asked), None)
    if chosen is None and environments:
        chosen = environments[0]
    fitting, count = proposing.starters(chosen) if chosen else ([], 0)
    context = {
        "environments": environments,
        "environment": chosen,
        "fitting": fitting,
        "targets": connecting.targets(chosen)
        if chosen and may(request, "author_experiment")
        else [],
        "count": count,
    }
    return page(request, "experiment", context)


@require_http_methods(["GET", "POST"])
def rehearsal(request: HttpRequest) -> HttpResponse:
    """Prepare a rehearsal and start it: a whole run in a minute, and nothing is touched."""
    prepared = rehearsing.prepared()
    data = request.POST if request.method == "POST" else None
    form = RehearsalForm(
        data,
        initial={"url": prepared.url if prepared else rehearsing.asked().url},
        is_fixed=prepared is not None and not may(request, "administer"),
    )
    if data is not None:
        people.require(person(request), "launch_run", "launch runs")
        if form.is_valid():
            url = form.cleaned_data["url"]
            if prepared is None or url != prepared.url:
                # This server is about to ask the address: only an admin names another one.
                people.require(person(request), "administer", "change environments")
            problem = rehearsing.unreachable(url)
            if problem:
                form.add_error("url", problem)
            else:
                return _rehearse(request, form, url)
    context = {
        "form": form,
        "prepared": prepared,
        "starter": rehearsing.STARTER,
        "folder": rehearsing.folder(),
        "key": data.get("key", "") if data is not None else str(uuid.uuid4()),
        "may_rehearse": may(request, "launch_run")
        and (may(request, "administer") or prepared is not None),
    }
    return page(request, "rehearsal", context, status=422 if data is not None else 200)


def _rehearse(request: HttpRequest, form: RehearsalForm, url: str) -> HttpResponse:
    place = rehearsing.prepared()
    if place is None or place.url != url:
        place = rehearsing.prepare(user=person(request), url=url)
    key = request.POST.get("key", "")[:64] or str(uuid.uuid4())
    try:
        run = rehearsing.run(user=person(request), place=place, idempotency_key=key)
    except InvalidDocumentError as error:
        for each in error.errors:
            form.add_error(None, f"{each}")
        context = {
            "form": form,
            "prepared": place,
            "starter": rehearsing.STARTER,
            "key": key,
            "may_rehearse": True,
        }
        return page(request, "rehearsal", context, status=422)
    return redirect(reverse("run_detail", args=[run.pk]))

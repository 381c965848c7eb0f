"""Pages: services, what is known of each, and how each is described."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from experiments.domain.errors import InvalidDocumentError
from experiments.forms.services import ROWS, ServiceEditor, with_more_rows
from experiments.models import Environment, Service, User
from experiments.selectors import authoring as plans
from experiments.selectors import services
from experiments.services import describing, faults, openslo, people


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """List the services, described or not, with their last verdicts and live faults."""
    rows = services.listing()
    return render(
        request,
        "services/list.html",
        {
            "described": [row for row in rows if row.service],
            "others": [row for row in rows if not row.service],
            **_may(request),
        },
    )


@require_GET
def detail(request: HttpRequest, name: str) -> HttpResponse:
    """Show a service: whose it is, where it lives, its SLIs, its experiments and what they say."""
    service = services.one(name)
    if service is None and not services.is_used(name):
        raise Http404
    return render(
        request,
        "services/detail.html",
        {
            "name": name,
            "service": service,
            **_slis(service),
            **_looks(service),
            "homes": services.homes(service),
            "live": services.live_faults(name, faults.known()),
            "coverage": services.coverage(name, faults.families(), faults.known()),
            "experiments": plans.of_service(name),
            "runs": services.last_runs(name),
            **_may(request),
        },
    )


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Describe a service; ``?name=`` is one that experiments know already."""
    return _edit(request, None)


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, name: str) -> HttpResponse:
    """Change what is written down of a service."""
    return _edit(request, get_object_or_404(Service, name=name))


@require_http_methods(["GET", "POST"])
def upload(request: HttpRequest) -> HttpResponse:
    """Read services from OpenSLO files: first the report, then what it says is stored."""
    people.require(_person(request), "author_experiment", "describe services")
    context: dict[str, Any] = {"text": "", "report": None, "is_stored": False}
    status = 200
    if request.method == "POST":
        sent = request.FILES.get("file")
        written = request.POST.get("text", "")
        content = sent.read(openslo.MAX_BYTES + 1) if sent else written.encode()
        if request.POST.get("do") == "store":
            report = openslo.store(content, user=_person(request))
        else:
            report = openslo.check(content)
        stored = [found.name for found in report.services if found.is_stored]
        if stored:
            messages.success(request, f"Stored: {', '.join(stored)}.")
        context |= {"report": report, "text": report.text, "is_stored": bool(stored)}
        status = 200 if report.is_fine else 422
    return render(request, "services/import.html", context, status=status)


def _slis(service: Service | None) -> dict[str, Any]:
    """Return the service's SLIs, or why they cannot be read: a later ChaosWeb may know less."""
    if service is None:
        return {"slis": []}
    try:
        return {"slis": services.slis(service, describing.slis_of(service))}
    except InvalidDocumentError as error:
        return {"slis": [], "broken": [str(each) for each in error.errors]}


def _edit(request: HttpRequest, service: Service | None) -> HttpResponse:
    people.require(_person(request), "author_experiment", "describe services")
    environments = list(Environment.objects.all())
    names = [environment.name for environment in environments]
    status, opened = 200, ""
    if request.method == "GET":
        begun = {"name": request.GET.get("name", "")[:63]}
        raw = describing.to_json(service) if service else begun
        editor = ServiceEditor(names, raw=raw)
    elif request.POST.get("more", "") in ROWS:
        opened = request.POST["more"]
        editor = ServiceEditor(names, data=with_more_rows(request.POST, opened))
    else:
        editor = ServiceEditor(names, data=request.POST)
        saved = _saved(request, editor, service)
        if saved is not None:
            messages.success(request, f"Service {saved} is saved.")
            return redirect("service_detail", name=saved.name)
        status = 422
    return render(
        request,
        "services/edit.html",
        {
            "service": service,
            "seen": _seen(request, service, editor),
            "editor": editor,
            "places": [(each, editor.places[each.name]) for each in environments],
            "opened": opened,
            **_looks(service, request.POST.get("environment", "")),
        },
        status=status,
    )


def _looks(service: Service | None, picked: str = "") -> dict[str, Any]:
    """Return where the last minutes can be looked at, and where they are at first."""
    found, first = services.looks_in(service)
    chosen = next((each for each in found if each.name == picked), first)
    return {"looks_in": found, "picked": chosen}


def _seen(request: HttpRequest, service: Service | None, editor: ServiceEditor) -> str:
    """Return what the person has seen of the service: its state as of now once told of it."""
    if service is None:
        return ""
    began = request.POST.get("seen", "")
    return began if began and not editor.errors else describing.stamp(service)


def _saved(request: HttpRequest, editor: ServiceEditor, service: Service | None) -> Service | None:
    """Store what was posted. Return None, every error at its field, when there are errors."""
    is_readable = editor.is_readable()
    raw = editor.raw()
    if service is not None:
        raw["name"] = service.name
    try:
        if is_readable:
            notes = describing.check(raw)
            seen = request.POST.get("seen", "")
            saved = describing.save(raw=raw, user=_person(request), service=service, seen=seen)
            for note in notes:
                messages.warning(request, note)
            return saved
        describing.read(raw)
    except InvalidDocumentError as error:
        editor.place(error.errors)
    return None


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)


def _may(request: HttpRequest) -> dict[str, bool]:
    return {"may_author": _person(request).has_perm("experiments.author_experiment")}

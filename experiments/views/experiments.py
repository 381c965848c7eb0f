"""Pages: experiments, their versions and the editor."""

from __future__ import annotations

import uuid
from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.datastructures import MultiValueDict
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from experiments.domain import spec, text
from experiments.domain.errors import InvalidDocumentError
from experiments.forms import drafts, mapping
from experiments.forms.editor import Editor
from experiments.forms.kinds import LISTS
from experiments.forms.mapping import Fields
from experiments.models import Environment, Experiment, ExperimentVersion, User
from experiments.selectors import authoring as plans
from experiments.selectors import schedule
from experiments.services import authoring, launching, library, people, previewing

_MOST_FIELDS = 4000


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


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Write a new experiment; ``?fault=`` starts from a fault, ``?from=`` from a starter."""
    return _edit(request, None)


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, name: str) -> HttpResponse:
    """Write the next version of an experiment."""
    return _edit(request, get_object_or_404(Experiment, name=name))


@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """Say what the posted draft would do; stores nothing."""
    people.require(_person(request), "author_experiment", "write experiments")
    context = _drawn(_copied(request), request)
    return render(request, "experiments/_preview_answer.html", context)


@require_http_methods(["GET", "POST"])
def row(request: HttpRequest, kind: str) -> HttpResponse:
    """Answer one row of a list: an empty one, or (posted) the row that its fields now make.

    ``kind`` is the list; ``variant`` the kind of row, ``fault`` a fault, ``number`` the row's.
    """
    people.require(_person(request), "author_experiment", "write experiments")
    if kind not in LISTS:
        raise Http404
    catalogue = previewing.catalogue()
    number = request.GET.get("number", "0")
    if not number.isdecimal() or len(number) > 6:
        raise Http404
    if request.method == "POST":
        fields = _copied(request)
    else:
        fields = MultiValueDict()
        item = drafts.item(
            kind,
            request.GET.get("variant", ""),
            catalogue=catalogue,
            fault=request.GET.get("fault", ""),
        )
        mapping.put_row(fields, kind, number, item, catalogue=catalogue)
    editor = Editor(fields, catalogue=catalogue)
    numbers = mapping.rows_of(fields, kind)
    place = numbers.index(number) if number in numbers else len(numbers)
    made = editor.row(LISTS[kind], number, place)
    return render(request, "experiments/_row.html", {"row": made})


def _edit(request: HttpRequest, experiment: Experiment | None) -> HttpResponse:
    people.require(_person(request), "author_experiment", "write experiments")
    catalogue = previewing.catalogue()
    newest = experiment.versions.first() if experiment else None
    context: dict[str, Any] = {"experiment": experiment, "newest": newest}
    status = 200
    if request.method == "GET":
        fault = request.GET.get("fault", "")
        starter = library.one(request.GET.get("from", "")) if newest is None else None
        if newest is not None:
            document = newest.document
        elif starter is not None:
            document = library.fresh(starter)
        else:
            known = fault if fault in catalogue else ""
            document = drafts.document(catalogue=catalogue, fault=known)
        fields = mapping.document_to_fields(document, catalogue=catalogue)
        if starter is not None:
            fields["message"] = f"started from “{starter.title}”"
        context |= _drawn(fields, request, is_fresh=newest is None)
    else:
        fields, action = _copied(request), request.POST.get("do", "save")
        if action == "save":
            saved = _save(request, fields, experiment, context)
            if saved is not None:
                return redirect("experiment_detail", name=saved.experiment.name)
            status = 422
        else:
            opened = drafts.act(fields, action, catalogue=catalogue)
            is_quiet = bool(opened) or action == "redraw" or action.startswith("remove:")
            context |= _drawn(fields, request, opened=opened, is_fresh=is_quiet)
    return render(request, "experiments/edit.html", context, status=status)


def _save(
    request: HttpRequest, fields: Fields, experiment: Experiment | None, context: dict[str, Any]
) -> ExperimentVersion | None:
    """Store the posted document. Return None with the page's context when it has errors."""
    editor = Editor(fields, catalogue=previewing.catalogue())
    environment = _environment(fields)
    asked = previewing.queries(raw=editor.document, environment=environment)
    errors = (*authoring.validate(editor.document).errors, *asked.errors)
    if not errors and not editor.faults:
        try:
            saved = authoring.save(
                raw=editor.document,
                author=_person(request),
                message=(fields.get("message") or "").strip()[:200],
                experiment=experiment,
                # The form posts to its own address, which still names the starter.
                written=None
                if experiment
                else library.written(request.GET.get("from", ""), editor.document),
            )
        except InvalidDocumentError as error:
            errors = error.errors
        else:
            for note in asked.notes:
                messages.warning(request, note)
            messages.success(request, f"Version {saved.number} is saved.")
            return saved
    editor.place(errors)
    context |= _page(
        editor,
        fields,
        environment,
        previewing.preview(raw=editor.document, environment=environment),
    )
    context |= {"was_saved": False, "shows_faults": True}
    return None


def _drawn(
    fields: Fields, request: HttpRequest, *, opened: str = "", is_fresh: bool = False
) -> dict[str, Any]:
    """Return the context of the editor; a fresh draft's missing fields are not yet errors."""
    editor = Editor(fields, catalogue=previewing.catalogue(), opened=[opened] if opened else [])
    environment = _environment(fields, is_first=request.method == "GET")
    shown = previewing.preview(
        raw=editor.document, environment=environment, reach=fields.get("do") == "reach"
    )
    if not is_fresh:
        editor.place(shown.errors)
    return _page(editor, fields, environment, shown) | {"shows_faults": not is_fresh}


def _page(
    editor: Editor, fields: Fields, environment: Environment | None, shown: previewing.Preview
) -> dict[str, Any]:
    return {
        "editor": editor,
        "preview": shown,
        "yaml": text.write(editor.document),
        "environment": environment,
        "environments": plans.environments(),
        "aliases": plans.aliases(),
        "message": fields.get("message") or "",
    }


def _environment(fields: Fields, *, is_first: bool = False) -> Environment | None:
    """Return the environment that the author picked; on the first look, the only one."""
    name = fields.get("environment")
    if name:
        return Environment.objects.filter(name=name).first()
    found = plans.environments() if is_first else []
    return found[0] if len(found) == 1 else None


def _copied(request: HttpRequest) -> Fields:
    """Return the posted fields, to change."""
    if sum(len(texts) for _, texts in request.POST.lists()) > _MOST_FIELDS:
        raise Http404
    return MultiValueDict({name: list(texts) for name, texts in request.POST.lists()})


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

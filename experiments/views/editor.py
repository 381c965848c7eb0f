"""Pages: the editor of experiments, its form and its YAML, and what it would do."""

from __future__ import annotations

import json
from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.datastructures import MultiValueDict
from django.views.decorators.http import require_http_methods, require_POST

from experiments.domain import text
from experiments.domain.errors import InvalidDocumentError, SpecError
from experiments.forms import drafts, mapping, warned, written
from experiments.forms.editor import Editor
from experiments.forms.kinds import LISTS
from experiments.forms.mapping import Fields
from experiments.forms.written import Written
from experiments.models import Environment, Experiment, ExperimentVersion, User
from experiments.selectors import authoring as plans
from experiments.services import authoring, library, people, previewing, querying
from experiments.services.warning import Warned
from experiments.views import completion, conflicts, posted, recent

_TEXTS = ("yaml", "preview")
"""Views that post the document as a text."""
_NO_TEXT = (
    "The YAML cannot hold two parameters of one name, nor one without a name. Mend them here"
    " first; nothing is lost."
)
_NO_FORM = "The form cannot show a text that cannot be read. Mend it here first; nothing is lost."


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Write a new experiment; ``?fault=`` starts from a fault, ``?from=`` from a starter."""
    return _edit(request, None)


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, name: str) -> HttpResponse:
    """Write the next version of an experiment; ``?view=yaml`` opens its text."""
    return _edit(request, get_object_or_404(Experiment, name=name))


@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """Say what the posted draft would do, and what is wrong with it and where; stores nothing.

    With ``do=text`` it answers the draft's YAML alone, as it would be saved: the browser keeps it.
    """
    people.require(_person(request), "author_experiment", "write experiments")
    fields = posted.fields(request)
    state = _posted(fields, "")
    if fields.get("do") == "text":
        return HttpResponse(state.text, content_type="text/plain; charset=utf-8")
    return render(request, "experiments/_preview_answer.html", _drawn(request, state, fields))


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
        fields = posted.fields(request)
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
    newest = experiment.versions.select_related("author").first() if experiment else None
    if request.method == "GET":
        state, message = _opened(request, newest)
        given: Fields = MultiValueDict()
        if request.GET.get("view") == "preview":
            given["view"] = "preview"
        if request.GET.get("environment"):
            given["environment"] = request.GET["environment"]
        context = _drawn(request, state, given, is_fresh=newest is None)
        context |= {"based_on": newest.number if newest else 0, "message": message}
        return render(
            request, "experiments/edit.html", _whole(request, context, experiment, newest)
        )
    fields, action = posted.fields(request), request.POST.get("do", "save")
    verb, _, knowing = action.partition(":")
    if "made" in fields and experiment is not None and verb in ("merge", "save"):
        # The text of two, from the page that shows what somebody else has saved meanwhile.
        theirs = plans.version(experiment, _number(fields) or 0)
        key = _draft_key(request, experiment)
        if theirs is not None:
            shown = conflicts.again(request, fields=fields, theirs=theirs, draft_key=key)
            if shown is not None:
                return shown
    if verb == "save":
        if knowing.isdecimal():  # saved in spite of this version, which the author has seen
            fields["based_on"] = knowing
        return _saved(request, fields, experiment, newest)
    catalogue = previewing.catalogue()
    is_form = fields.get("view") not in _TEXTS
    opened = drafts.act(fields, action, catalogue=catalogue) if is_form else ""
    state = _posted(fields, _kept(request, newest), opened=opened)
    notice, spot = _turned(state, fields, action)
    is_quiet = bool(opened) or action == "redraw" or action.startswith("remove:")
    context = _drawn(request, state, fields, is_fresh=is_quiet)
    context |= {"notice": notice, "spot": spot, "added": opened if action[:4] == "add:" else ""}
    return render(request, "experiments/edit.html", _whole(request, context, experiment, newest))


def _turned(state: Written, fields: Fields, action: str) -> tuple[str, str]:
    """Turn to the view that a button asks for (``view:yaml:12``). Return why not, and the spot."""
    verb, view, spot = (*action.split(":", 2), "", "")[:3]
    if verb != "view":
        return "", ""
    if view != "form" and state.cannot_be_text:
        return _NO_TEXT, ""
    if view == "form" and not state.is_read:
        return _NO_FORM, ""
    if view == "preview":
        fields["came"] = state.view if fields.get("view") != "preview" else _came(fields)
    elif view == "yaml" and state.view == "form":
        state.view = "yaml"
    elif view == "form" and state.view == "yaml":
        state.view, state.base = "form", state.text
    fields["view"] = view if view in ("form", *_TEXTS) else state.view
    return "", f"line-{spot}" if view == "yaml" and spot else spot


def _came(fields: Fields) -> str:
    """Return the view from which the author turned to the preview."""
    return "yaml" if fields.get("came") == "yaml" else "form"


def _opened(request: HttpRequest, newest: ExperimentVersion | None) -> tuple[Written, str]:
    """Return what the editor begins with, and the message that says so."""
    catalogue = previewing.catalogue()
    message = ""
    starter = library.one(request.GET.get("from", "")) if newest is None else None
    if newest is not None:
        document, base = newest.document, newest.text
    elif starter is not None:
        document = library.fresh(starter)
        base = library.written(starter.name, document) or text.write(document)
        message = f"started from “{starter.title}”"
    else:
        fault = request.GET.get("fault", "")
        document = drafts.document(
            catalogue=catalogue,
            fault=fault if fault in catalogue else "",
            has_systems=bool(plans.aliases()),
        )
        base = text.write(document)
    fields = mapping.document_to_fields(document, catalogue=catalogue)
    state = written.from_fields(fields, base=base, catalogue=catalogue)
    if request.GET.get("view") in _TEXTS:
        state.view = "yaml"
    return state, message


def _kept(request: HttpRequest, newest: ExperimentVersion | None) -> str:
    """Return the text that the author began with, for a post that does not bring it."""
    if newest is not None:
        return newest.text
    # The form posts to its own address, which still names the starter.
    return library.text(request.GET.get("from", "")) or ""


def _posted(fields: Fields, kept: str, *, opened: str = "") -> Written:
    """Return the posted document, from the view that was posted."""
    catalogue = previewing.catalogue()
    base = written.lines_like(fields.get("text") or "", kept)
    if fields.get("view") in _TEXTS:
        return written.from_text(base, catalogue=catalogue)
    return written.from_fields(
        fields, base=base or kept, catalogue=catalogue, opened=[opened] if opened else []
    )


def _saved(
    request: HttpRequest,
    fields: Fields,
    experiment: Experiment | None,
    newest: ExperimentVersion | None,
) -> HttpResponse:
    """Store the posted document, or say what is in the way: its errors, or somebody's version."""
    state = _posted(fields, _kept(request, newest))
    environment = _environment(fields)
    errors, notes = _errors(state, environment)
    if not errors and not state.marks:
        try:
            saved = authoring.save(
                raw=state.document,
                author=_person(request),
                message=(fields.get("message") or "").strip()[:200],
                experiment=experiment,
                written=state.text,
                based_on=_number(fields),
            )
        except InvalidDocumentError as error:
            errors = error.errors
        except authoring.ConflictError as error:
            return conflicts.show(
                request,
                mine=state.text,
                view=state.view,
                began=plans.version(error.newest.experiment, _number(fields) or 0),
                theirs=error.newest,
                fields=fields,
                draft_key=_draft_key(request, error.newest.experiment),
            )
        else:
            for note in notes:
                messages.warning(request, note)
            if newest is not None and saved.pk == newest.pk:
                messages.info(request, f"Nothing differs from version {saved.number}.")
            else:
                messages.success(request, f"Version {saved.number} is saved.")
            where = reverse("experiment_detail", args=[saved.experiment.name])
            return redirect(f"{where}#{'saved' if experiment else 'saved-new'}")
    state.place(errors)
    shown = _preview(state, environment)
    context = _page(state, fields, environment, shown)
    context |= {"was_saved": False, "shows_faults": True, "promql_was_read": True}
    return render(
        request, "experiments/edit.html", _whole(request, context, experiment, newest), status=422
    )


def _errors(
    state: Written, environment: Environment | None
) -> tuple[tuple[SpecError, ...], tuple[str, ...]]:
    """Return every error of the document, and what servers did not say."""
    if not state.is_read:
        return state.unread, ()
    asked = querying.queries(raw=state.document, environment=environment)
    return (*authoring.validate(state.document).errors, *asked.errors), asked.notes


def _drawn(
    request: HttpRequest, state: Written, fields: Fields, *, is_fresh: bool = False
) -> dict[str, Any]:
    """Return the context of the editor; a fresh draft's missing fields are not yet errors."""
    environment = _environment(fields, is_first=request.method == "GET")
    action = fields.get("do") or ""
    shown = _preview(state, environment, reach=action == "reach")
    was_read = action == "check" or (action.startswith("view:") and "promql_was_read" in fields)
    if not is_fresh:
        unread = _unread_promql(state, environment) if was_read else ()
        state.place((*shown.errors, *unread))
    return _page(state, fields, environment, shown) | {
        "shows_faults": not is_fresh,
        "promql_was_read": was_read,
    }


def _unread_promql(state: Written, environment: Environment | None) -> tuple[SpecError, ...]:
    """Return what the environment's Prometheus cannot read of the draft."""
    if not state.is_read:
        return ()
    return querying.queries(raw=state.document, environment=environment).errors


def _preview(
    state: Written, environment: Environment | None, *, reach: bool = False
) -> previewing.Preview:
    if not state.is_read:
        return previewing.Preview(state.unread, None, (), (), (), environment=environment)
    return previewing.preview(raw=state.document, environment=environment, reach=reach)


def _page(
    state: Written, fields: Fields, environment: Environment | None, shown: previewing.Preview
) -> dict[str, Any]:
    told = [*(Warned(each.path, each.message, "", "error") for each in shown.lacks)]
    told += [*_in_the_way(shown), *shown.clashes, *shown.warnings]
    told_of = warned.marks(state, told)
    refusing = [each for each in told_of if each.severity == "error"]
    view = "preview" if fields.get("view") == "preview" else state.view
    return {
        "editor": state.editor if state.view == "form" else None,
        "view": view,
        "came": _came(fields) if view == "preview" else state.view,
        "warned": told_of,
        "problem_count": len(state.marks) + len(told_of) + len(shown.notes),
        "error_count": len(state.marks) + len(refusing),
        "warning_count": len(told_of) - len(refusing) + len(shown.notes),
        "base": state.base,
        "yaml": lambda: state.text,
        "marks": state.marks,
        "outline": state.outline,
        "looks": recent.listed(state.document) if state.view == "yaml" and state.is_read else [],
        "is_read": state.is_read,
        "preview": shown,
        "environment": environment,
        "message": fields.get("message") or "",
        "based_on": _number(fields) or 0,
    }


def _in_the_way(shown: previewing.Preview) -> list[Warned]:
    """Return what the backends said against the actions, each at its action's connection."""
    return [
        Warned(("method", action.position, "via"), each.message, each.hint, each.severity)
        for action in shown.actions
        for each in action.problems
    ]


def _whole(
    request: HttpRequest,
    context: dict[str, Any],
    experiment: Experiment | None,
    newest: ExperimentVersion | None,
) -> dict[str, Any]:
    """Return the context of the whole page: what its inputs suggest, and whose it is."""
    environments = plans.environments()
    return context | {
        "experiment": experiment,
        "newest": newest,
        "environments": environments,
        "aliases": plans.aliases(),
        "words_json": json.dumps(completion.words(environments)),
        "draft_key": _draft_key(request, experiment),
        "schema_version": completion.schema_version(),
    }


def _draft_key(request: HttpRequest, experiment: Experiment | None) -> str:
    """Return what a browser keeps an unsaved draft under: the person's, of this experiment."""
    return f"{_person(request).pk}:{experiment.name if experiment else ''}"


def _environment(fields: Fields, *, is_first: bool = False) -> Environment | None:
    """Return the environment that the author picked; on the first look, the only one."""
    name = fields.get("environment")
    if name:
        return Environment.objects.filter(name=name).first()
    found = plans.environments() if is_first else []
    return found[0] if len(found) == 1 else None


def _number(fields: Fields) -> int | None:
    """Return the number of the version that the post is based on; None where it does not say."""
    given = fields.get("based_on") or ""
    return int(given) if given.isdecimal() and len(given) < 7 and int(given) else None


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)

"""Pages: the first connections, each saved and asked at once."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from drivers.protocol import Problem
from experiments.forms.first_steps import FirstConnectionForm
from experiments.models import Connection
from experiments.services import connecting, discovering, people, rehearsing
from experiments.views.first_steps_page import page, person

_SOURCE = "prometheus"


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def source(request: HttpRequest) -> HttpResponse:
    """Connect a Prometheus, and say at once what it answers and what it is good for."""
    return _connect(request, "source", [(_SOURCE, dict(Connection.KINDS)[_SOURCE])], _SOURCE)


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def backend(request: HttpRequest) -> HttpResponse:
    """Connect something to break, of any kind that can inject; ``?kind=`` picks it."""
    kinds = connecting.kinds()
    asked = request.GET.get("kind", "")
    return _connect(request, "backend", kinds, asked if asked in dict(kinds) else kinds[0][0])


def _connect(
    request: HttpRequest, step: str, kinds: list[tuple[str, str]], kind: str
) -> HttpResponse:
    connection = _named(request, [each for each, _ in kinds])
    if connection is not None:
        kind = connection.kind
    form, status, found = None, 200, None
    left: dict[str, Any] = {}
    if request.method == "POST" and request.POST.get("do") == "again" and connection is not None:
        people.require(person(request), "author_experiment", "ask connections")
        found = _asked(connection)
    elif request.method == "POST" and request.POST.get("do") == "flush" and connection is not None:
        people.require(person(request), "administer", "change connections")
        known = get_object_or_404(Connection, name=request.POST.get("source", ""), kind=_SOURCE)
        seconds = connecting.survey(connection).flush_s
        if seconds:
            connecting.set_interval(known, "flush_interval_s", seconds)
        found = _asked(connection)
    elif request.method == "POST":
        people.require(person(request), "administer", "change connections")
        form = FirstConnectionForm(request.POST, instance=connection, kind=kind)
        saved = _saved(request, form)
        if saved is None:
            status = 422
        else:
            connection, found = saved, _asked(saved, form)
            left = form.left_open() if found["is_in_the_way"] else {}
            form = None
    if connection is not None:
        # As it is stored: a refused form has written into its own.
        connection = get_object_or_404(Connection, pk=connection.pk)
    if form is None:
        # Without a shared folder each process would pretend by itself.
        initial = {"state": rehearsing.folder()} if connection is None else left
        form = FirstConnectionForm(instance=connection, kind=kind, initial=initial)
    existing = Connection.objects.filter(kind__in=[each for each, _ in kinds])
    context = {
        "form": form,
        "kinds": kinds,
        "kind": kind,
        "connection": connection,
        "existing": [(each, connecting.summary(each)) for each in existing],
        "found": found,
        "shows_form": connection is not None
        or "new" in request.GET
        or not existing
        or status > 200,
    }
    return page(request, step, context, status=status)


def _named(request: HttpRequest, kinds: list[str]) -> Connection | None:
    name = request.GET.get("connection", "")
    return get_object_or_404(Connection, name=name, kind__in=kinds) if name else None


def _saved(request: HttpRequest, form: FirstConnectionForm) -> Connection | None:
    """Store what was typed. Return None, every error at its field, when it cannot be used."""
    if not form.instance.pk and "name" in form.data:
        _is_known(form)
    if not form.is_valid():
        return None
    filled = form.filled()
    problem = connecting.unusable(filled)
    if problem:
        form.add_error(None, problem)
        return None
    user = person(request)
    return connecting.save_connection(user=user, connection=filled, secrets=form.secrets())


def _is_known(form: FirstConnectionForm) -> None:
    """Take what is sent a second time, after the browser's Back, for the connection that it is."""
    probe = FirstConnectionForm(form.data, instance=Connection(), kind=form.kind)
    probe.fields["name"].validators = []
    probe.full_clean()
    if "addresses" in probe.errors or "url" in probe.errors:
        return
    twin = connecting.same_place(
        Connection(
            name=str(form.data["name"]),
            kind=form.kind,
            options=probe.options(),
        )
    )
    if twin is not None:
        form.instance = twin


def _asked(connection: Connection, form: FirstConnectionForm | None = None) -> dict[str, Any]:
    """Ask the connection at once; take from it the intervals that were left to be found out."""
    if connection.kind == _SOURCE:
        found = discovering.look(connection)
        seconds = found.pace.scrape_s
        is_left = form is not None and form.is_left("scrape_interval_s")
        if seconds is not None and is_left:
            connecting.set_interval(connection, "scrape_interval_s", seconds)
        differs = (
            seconds is not None and abs(connection.scrape_interval_s - seconds) > 0.05 * seconds
        )
        return {
            "is_source": True,
            "reached": found.reached,
            "is_fine": found.reached.is_ok,
            "is_in_the_way": not found.reached.is_ok,
            "pace": found.pace,
            "scrape": discovering.in_words(seconds) if seconds else "",
            "written": discovering.in_words(connection.scrape_interval_s),
            "is_taken": is_left and seconds is not None,
            "differs": differs,
            "ready": found.ready,
        }
    surveyed = connecting.survey(connection)
    if surveyed.flush_s and form is not None and form.is_left("flush_interval_s"):
        connecting.set_interval(connection, "flush_interval_s", surveyed.flush_s)
    is_fine = surveyed.reached.is_ok and surveyed.answering == len(surveyed.members)
    return {
        "is_source": False,
        "reached": surveyed.reached,
        "surveyed": surveyed,
        "is_fine": is_fine,
        "is_in_the_way": not is_fine,
        "slower": _slower(surveyed.flush_s),
        "flush": discovering.in_words(surveyed.flush_s) if surveyed.flush_s else "",
    }


def _slower(flush_s: float | None) -> list[tuple[Connection, list[Problem]]]:
    """Return the sources that say otherwise of how often Envoy's histograms advance."""
    if flush_s is None:
        return []
    told = discovering.in_words(flush_s)
    return [
        (
            each,
            [
                Problem(
                    severity="warning",
                    where=each.name,
                    message=f"Its flush interval is {discovering.in_words(each.flush_interval_s)}"
                    f", but these Envoys flush every {told}.",
                    hint="A run's steps are two flushes at least: with the right one they are as "
                    "short as they can be, and never too short.",
                )
            ],
        )
        for each in Connection.objects.filter(kind=_SOURCE)
        if abs(each.flush_interval_s - flush_s) > 0.05 * flush_s
    ]

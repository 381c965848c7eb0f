"""Pages: environments and connections. Admins edit, everybody else reads."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from experiments.forms.connections import ConnectionForm
from experiments.forms.environments import (
    AliasRows,
    EnvironmentForm,
    alias_rows,
    longest_fault,
)
from experiments.forms.mandatory import GuardrailRows, guardrail_rows, with_more_rows
from experiments.models import Connection, Environment, User
from experiments.selectors import orphans, watchers
from experiments.services import connecting, people, querying, reconciling
from experiments.views import secrets


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """List environments with their aliases, and connections."""
    connections = Connection.objects.prefetch_related("aliases__environment")
    return render(
        request,
        "environments/list.html",
        {
            "environments": Environment.objects.prefetch_related("aliases__connection"),
            "connections": [(each, connecting.summary(each)) for each in connections],
            "may_administer": _may(request),
        },
    )


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Describe a new environment."""
    return _environment(request, None)


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, name: str) -> HttpResponse:
    """Show an environment, and let admins change it."""
    environment = get_object_or_404(Environment, name=name)
    if request.method == "GET" and not _may(request):
        aliases = environment.aliases.select_related("connection")
        return render(
            request,
            "environments/read.html",
            {
                "environment": environment,
                "aliases": aliases,
                "guardrails": watchers.of_environment(environment),
                "longest_fault": longest_fault(environment),
            },
        )
    return _environment(request, environment)


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def connection_new(request: HttpRequest) -> HttpResponse:
    """Describe a new connection; ``?kind=`` picks its fields."""
    return _connection(request, None)


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def connection_edit(request: HttpRequest, name: str) -> HttpResponse:
    """Show a connection, and let admins change it."""
    connection = get_object_or_404(Connection, name=name)
    if request.method == "GET" and not _may(request):
        return render(
            request,
            "environments/connection_read.html",
            {
                "connection": connection,
                "points_at": connecting.summary(connection),
                "orphans": _orphans(connection),
            },
        )
    return _connection(request, connection)


@require_POST
def connection_check(request: HttpRequest, name: str) -> HttpResponse:
    """Ask the connection's server whether it answers."""
    people.require(_person(request), "author_experiment", "ask connections")
    connection = get_object_or_404(Connection, name=name)
    context = {"connection": connection, "reached": connecting.check(connection)}
    if getattr(request, "htmx", False):
        return render(request, "environments/_reached.html", context)
    return render(request, "environments/reached.html", context)


def _environment(request: HttpRequest, environment: Environment | None) -> HttpResponse:
    people.require(_person(request), "administer", "change environments")
    wants_rows = "more" in request.POST
    data: QueryDict | None = request.POST if request.method == "POST" else None
    if wants_rows:
        data = with_more_rows(request.POST)
    form = EnvironmentForm(data, instance=environment)
    rows = alias_rows(data, environment)
    guards = guardrail_rows(data, environment)
    if data is not None and not wants_rows:
        are_valid = all([rows.is_valid(), _are_right(guards, rows)])
        if form.is_valid() and are_valid:
            filled = form.save(commit=False)
            if guards.is_bound:
                filled.guardrails = guards.kept
            saved = connecting.save_environment(
                user=_person(request), environment=filled, aliases=rows.bound()
            )
            messages.success(request, f"Environment {saved.name} is saved.")
            return redirect("environment_edit", name=saved.name)
    context: dict[str, Any] = {
        "form": form,
        "rows": rows,
        "guards": guards,
        "wants_rows": wants_rows,
        "environment": Environment.objects.filter(pk=environment.pk).first()
        if environment
        else None,
        "has_connections": Connection.objects.exists(),
    }
    if environment is not None:
        context |= secrets.context(environment)
    status = 200 if wants_rows else _status(data)
    return render(request, "environments/edit.html", context, status=status)


def _are_right(guards: GuardrailRows, aliases: AliasRows) -> bool:
    """Return whether the rows hold guardrails that the environment's Prometheus can read."""
    if not guards.is_bound:
        return True
    if guards.is_valid():
        sources = None
        if aliases.is_valid():
            bound = dict(aliases.bound())
            sources = {name: each for name, each in bound.items() if each.kind == "prometheus"}
        guards.check(sources)
        if sources is not None and not guards.has_errors:
            guards.place(querying.unreadable(guards.found, sources))
    return not guards.has_errors


def _connection(request: HttpRequest, connection: Connection | None) -> HttpResponse:
    people.require(_person(request), "administer", "change connections")
    data = request.POST if request.method == "POST" else None
    kind = (data or request.GET).get("kind", "") if connection is None else connection.kind
    form = ConnectionForm(data, instance=connection, kind=kind)
    if data is not None and form.is_valid():
        filled = form.filled()
        problem = connecting.unusable(filled)
        if problem:
            form.add_error(None, problem)
        else:
            saved = connecting.save_connection(
                user=_person(request), connection=filled, secrets=form.secrets()
            )
            messages.success(request, f"Connection {saved.name} is saved.")
            return redirect("connection_edit", name=saved.name)
    units = form.units()
    context: dict[str, Any] = {
        "form": form,
        "fields": [(form[name], units.get(name, "")) for name in form.fields],
        "connection": Connection.objects.filter(pk=connection.pk).first() if connection else None,
        "orphans": _orphans(connection),
        "kinds": Connection.KINDS,
        "kind": form.kind,
    }
    return render(request, "environments/connection.html", context, status=_status(data))


def _orphans(connection: Connection | None) -> list[orphans.OrphanRow] | None:
    """Return the connection's orphans; None where there can be none."""
    if connection is None or not reconciling.is_compared(connection):
        return None
    return orphans.of_connection(connection)


def _status(data: Any) -> int:
    return 422 if data is not None else 200


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)


def _may(request: HttpRequest) -> bool:
    return _person(request).has_perm("experiments.administer")

"""Pages: environments and connections. Admins edit, everybody else reads."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from experiments.forms.connections import ConnectionForm
from experiments.forms.environments import EnvironmentForm, alias_rows
from experiments.models import Connection, Environment, User
from experiments.services import connecting, people


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
            {"environment": environment, "aliases": aliases},
        )
    return _environment(request, environment)


@require_http_methods(["GET", "POST"])
def connection_new(request: HttpRequest) -> HttpResponse:
    """Describe a new connection; ``?kind=`` picks its fields."""
    return _connection(request, None)


@require_http_methods(["GET", "POST"])
def connection_edit(request: HttpRequest, name: str) -> HttpResponse:
    """Show a connection, and let admins change it."""
    connection = get_object_or_404(Connection, name=name)
    if request.method == "GET" and not _may(request):
        return render(
            request,
            "environments/connection_read.html",
            {"connection": connection, "points_at": connecting.summary(connection)},
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
    data = request.POST if request.method == "POST" else None
    form = EnvironmentForm(data, instance=environment)
    rows = alias_rows(data, environment)
    if data is not None:
        are_valid = rows.is_valid()
        if form.is_valid() and are_valid:
            saved = connecting.save_environment(
                user=_person(request), environment=form.save(commit=False), aliases=rows.bound()
            )
            messages.success(request, f"Environment {saved.name} is saved.")
            return redirect("environment_edit", name=saved.name)
    context: dict[str, Any] = {
        "form": form,
        "rows": rows,
        "environment": Environment.objects.filter(pk=environment.pk).first()
        if environment
        else None,
        "has_connections": Connection.objects.exists(),
    }
    return render(request, "environments/edit.html", context, status=_status(data))


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
        "kinds": Connection.KINDS,
        "kind": form.kind,
    }
    return render(request, "environments/connection.html", context, status=_status(data))


def _status(data: Any) -> int:
    return 422 if data is not None else 200


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)


def _may(request: HttpRequest) -> bool:
    return _person(request).has_perm("experiments.administer")

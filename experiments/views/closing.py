"""A fault that a person removed by hand, and the comparison of a connection with the ledger."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from experiments.domain.errors import InvalidDocumentError
from experiments.models import Connection, Injection, User
from experiments.selectors import runs as selector
from experiments.selectors import words
from experiments.services import closing, reconciling


@require_POST
def removed(request: HttpRequest, pk: int, action: str) -> HttpResponse:
    """Take a person's word that a fault is gone, and let the run go on."""
    run = selector.brief(pk)
    if run is None:
        raise Http404("There is no such run.")
    injection = get_object_or_404(Injection.objects.select_related("run"), run=run, action=action)
    try:
        closing.close_by_hand(
            injection=injection, user=_person(request), reason=request.POST.get("reason", "")
        )
    except PermissionDenied as error:
        return _refused(request, injection, 403, denied=str(error))
    except InvalidDocumentError as error:
        return _refused(request, injection, 422, errors=error.errors)
    except closing.NotUnconfirmedError as error:
        messages.warning(request, str(error))
    else:
        messages.success(
            request,
            f"{action} counts as removed by hand; its claims stay held until"
            f" {injection.connection} says that it is gone.",
        )
    return redirect("run_detail", pk=run.pk)


def _refused(
    request: HttpRequest, injection: Injection, status: int, **why: object
) -> HttpResponse:
    return render(request, "runs/not_closed.html", {"injection": injection, **why}, status=status)


@require_POST
def compare(request: HttpRequest, name: str) -> HttpResponse:
    """Ask the connection's backend for our faults, and remove those that no run looks after."""
    connection = get_object_or_404(Connection, name=name)
    found = reconciling.compare_now(connection=connection, user=_person(request))
    if found.problem:
        messages.error(request, f"{name} could not be compared with the ledger: {found.problem}")
    elif found.remaining:
        lost = words.counted(found.remaining, "fault")
        verb = "is" if found.remaining == 1 else "are"
        messages.error(
            request, f"{lost} that no run looks after {verb} not confirmed as removed: see below."
        )
    elif found.found:
        lost = words.counted(found.found, "fault")
        messages.success(request, f"{lost} that no run looked after: removed, as read back.")
    else:
        messages.success(request, f"Every fault of ours on {name} is looked after by its run.")
    return redirect("connection_edit", name=connection.name)


def _person(request: HttpRequest) -> User:
    """Return the signed-in person; the middleware has sent everybody else away."""
    assert isinstance(request.user, User)  # noqa: S101 — LoginRequiredMiddleware is on
    return request.user

"""The halt page: look, confirm, halt, resume. Links and webhooks have views of their own."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from experiments.domain.errors import InvalidDocumentError
from experiments.forms.halting import EVERYTHING, StopLinkForm, WebhookForm
from experiments.models import Environment, StopLink, User, Webhook
from experiments.selectors import halting as selector
from experiments.selectors import runs as run_selector
from experiments.selectors import words
from experiments.services import halting, stop_links, webhooks

_SHOWN_RUNS = 50
_REASON_LENGTH = 500
_LIVE = run_selector.Filters(status="live")


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """Show what is halted, what a halt would stop, links and webhooks."""
    if request.GET.get("part") == "left":
        rows = selector.rows(selector.scope_summary(None))
        response = render(request, "halting/_left.html", {"rows": rows})
        response["Cache-Control"] = "no-store"
        return response
    return page(request)


def page(request: HttpRequest, *, status: int = 200, **more: Any) -> HttpResponse:
    """Show the page, with a form that was filled in wrongly or with what was just made."""
    everywhere = selector.scope_summary(None)
    context: dict[str, Any] = {
        "section": "halt",
        "rows": selector.rows(everywhere),
        "everywhere": everywhere,
        "everything": EVERYTHING,
        "chosen": request.GET.get("environment", ""),
        "past": selector.past(),
        "links": [(link, _link_address(request, link)) for link in selector.links(timezone.now())],
        "link_form": StopLinkForm(initial={"scope": request.GET.get("link", ""), "lasts": "1d"}),
    }
    if user_of(request).has_perm("experiments.administer"):
        context |= {
            "webhooks": [
                (each, _webhook_address(request, each), webhooks.is_signed(each))
                for each in selector.webhooks()
            ],
            "webhook_form": WebhookForm(),
        }
    response = render(request, "halting/show.html", context | more, status=status)
    # It holds addresses that stop, and at times a secret.
    response["Cache-Control"] = "no-store"
    return response


@require_safe
def confirm(request: HttpRequest) -> HttpResponse:
    """Say what would be stopped and how many, before anything is."""
    environment, problem = _scope(request.GET.get("environment", ""))
    if problem:
        return page(request, status=400, problem=problem)
    scope = selector.scope_summary(environment)
    runs = selector.stoppable(environment)
    context = {
        "section": "halt",
        "scope": scope,
        "everything": EVERYTHING,
        "reason": request.GET.get("reason", "")[:_REASON_LENGTH],
        "runs": run_selector.rows(run_selector.listed(_LIVE).filter(pk__in=runs)[:_SHOWN_RUNS]),
        "known": selector.active(environment),
    }
    return render(request, "halting/confirm.html", context)


@require_POST
def halt(request: HttpRequest) -> HttpResponse:
    """Halt, and say what happened; any signed-in person may, as often as wished."""
    environment, problem = _scope(request.POST.get("environment", ""))
    if problem:
        return page(request, status=400, problem=problem)
    halted = halting.halt(
        environment=environment,
        actor=user_of(request).username,
        reason=request.POST.get("reason", ""),
    )
    name = selector.name_of(halted.halt)
    begun = "is halted" if halted.is_new else "was halted already"
    messages.success(
        request,
        f"{name[:1].upper()}{name[1:]} {begun}:"
        f" {words.counted(halted.runs_stopped, 'live run')} stopped,"
        f" {words.counted(halted.faults, 'fault')} being removed."
        " New runs are refused until an admin resumes.",
    )
    if halted.failed:
        runs = ", ".join(str(run) for run in halted.failed)
        messages.error(request, f"These runs could not be stopped: {runs}. Halt again at once.")
    return redirect("halt")


@require_POST
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Let runs start again."""
    lifted = get_object_or_404(selector.halts(), pk=pk)
    try:
        is_lifted = halting.resume(
            halt=lifted, user=user_of(request), reason=request.POST.get("reason", "")
        )
    except InvalidDocumentError as error:
        return page(request, status=422, resume_errors=error.errors, resumed=lifted)
    name = selector.name_of(lifted)
    if is_lifted:
        messages.success(request, f"Runs may start again: {name} is no longer halted.")
    else:
        messages.info(request, f"Somebody had resumed already: {name} is not halted.")
    return redirect("halt")


@require_POST
def link_new(request: HttpRequest) -> HttpResponse:
    """Make a stop link."""
    form = StopLinkForm(request.POST)
    if not form.is_valid():
        return page(request, status=422, link_form=form)
    made = stop_links.make(user=user_of(request), **form.given())
    address = _link_address(request, made)
    return page(request, status=201, made_link=made, made_address=address)


@require_POST
def link_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a stop link useless."""
    link = get_object_or_404(selector.links(timezone.now()), pk=pk)
    stop_links.revoke(link=link, user=user_of(request))
    messages.success(request, f"{link} no longer stops anything.")
    return redirect("halt")


@require_POST
def webhook_new(request: HttpRequest) -> HttpResponse:
    """Make a webhook and show its secret, this once."""
    _require_admin(request)
    form = WebhookForm(request.POST)
    if form.is_valid():
        try:
            made, secret = webhooks.make(
                user=user_of(request),
                name=form.cleaned_data["name"],
                environment=form.environment(),
            )
        except InvalidDocumentError as error:
            form.add_error("name", error.errors[0].message)
        else:
            address = _webhook_address(request, made)
            return page(request, status=201, made_webhook=made, secret=secret, address=address)
    return page(request, status=422, webhook_form=form)


@require_POST
def webhook_sign(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep the secret with which PagerDuty signs."""
    webhook = get_object_or_404(selector.webhooks(), pk=pk)
    secret = request.POST.get("secret", "")
    webhooks.keep_signing_secret(webhook=webhook, user=user_of(request), secret=secret)
    done = "is kept" if secret.strip() else "is forgotten"
    messages.success(request, f"PagerDuty's signing secret of {webhook} {done}.")
    return redirect("halt")


@require_POST
def webhook_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a webhook useless."""
    webhook = get_object_or_404(selector.webhooks(), pk=pk)
    webhooks.revoke(webhook=webhook, user=user_of(request))
    messages.success(request, f"Webhook {webhook} no longer halts anything.")
    return redirect("halt")


def _scope(given: str) -> tuple[Environment | None, str]:
    """Return the environment, None for everything, and what is wrong with the choice."""
    if given == EVERYTHING:
        return None, ""
    found = Environment.objects.filter(name=given.replace("\x00", "")).first() if given else None
    if found is None:
        missing = f"There is no environment “{given}”." if given else "Choose what to halt."
        return None, f"{missing} Nothing was halted."
    return found, ""


def _link_address(request: HttpRequest, link: StopLink) -> str:
    return request.build_absolute_uri(reverse("stop_link", args=[stop_links.token_of(link)]))


def _webhook_address(request: HttpRequest, webhook: Webhook) -> str:
    return request.build_absolute_uri(reverse("webhook", args=[webhook.name]))


def _require_admin(request: HttpRequest) -> None:
    if not user_of(request).has_perm("experiments.administer"):
        raise PermissionDenied("Only an admin makes webhooks.")


def user_of(request: HttpRequest) -> User:
    """Return the signed-in person; the middleware has sent everybody else away."""
    return cast(User, request.user)

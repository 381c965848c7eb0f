"""Where alerting systems call to halt: no sign-in, but a secret or a signature.

A plain view: nothing about a request but its secret may keep it from halting, neither the kind of
its body nor the answer that it would accept.
"""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse, UnreadablePostError
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from experiments.services import webhooks

MOST_BYTES = 1024 * 1024
"""A longer body is not read: whoever shows the secret halts without it."""


# No session speaks here, so that there is none to be ridden: the secret is all the authority.
@csrf_exempt
@login_not_required
@require_POST
@never_cache
def call(request: HttpRequest, name: str) -> JsonResponse:
    """Halt, unless the body says that the alarm is over; 503 asks the caller to call again."""
    body = _body(request)
    webhook = webhooks.authenticate(
        name=name,
        authorization=request.headers.get("Authorization", ""),
        signatures=request.headers.get("X-PagerDuty-Signature", ""),
        body=body,
    )
    if webhook is None:
        answer = {"detail": "The webhook or its secret is not known here."}
        return JsonResponse(answer, status=401, headers={"WWW-Authenticate": "Bearer"})
    heard = webhooks.hear(body)
    scope = webhook.environment.name if webhook.environment else None
    if not heard.is_to_halt:
        return JsonResponse({"halted": False, "environment": scope, "ignored": heard.reason})
    halted = webhooks.heed(webhook=webhook, heard=heard)
    answered = {
        "halted": True,
        "environment": scope,
        "since": halted.halt.since,
        "reason": halted.halt.reason,
        "is_new": halted.is_new,
        "runs_stopped": halted.runs_stopped,
        "faults": halted.faults,
        "failed": [{"run": run, "error": why} for run, why in halted.failed.items()],
    }
    return JsonResponse(answered, status=503 if halted.failed else 200)


def _body(request: HttpRequest) -> bytes:
    """Return the body; empty when it is too long or breaks off."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length) > MOST_BYTES:
        return b""
    try:
        return request.body
    except UnreadablePostError:
        return b""

"""Metrics for Prometheus."""

from __future__ import annotations

import logging

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from experiments.selectors.metrics import Metrics

log = logging.getLogger(__name__)

_UNSET = (
    "Set METRICS_TOKEN (or METRICS_TOKEN_FILE) where ChaosWeb runs, and send it as"
    " “Authorization: Bearer …”: without it nobody may read the metrics.\n"
)
_WRONG = "Send the METRICS_TOKEN of this installation as “Authorization: Bearer …”.\n"


@login_not_required
@require_safe
@never_cache
def show(request: HttpRequest) -> HttpResponse:
    """Answer every metric, as OpenMetrics or as Prometheus' own text, whichever is asked for."""
    refusal = _refusal(request)
    if refusal is not None:
        return refusal
    registry = CollectorRegistry()
    registry.register(Metrics(timezone.now()))
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    try:
        body = encode(registry)
    except DatabaseError:
        log.exception("metrics: the database does not answer")
        return _said("the database does not answer\n", 503)
    return HttpResponse(body, content_type=content_type)


def _refusal(request: HttpRequest) -> HttpResponse | None:
    """Return why the metrics stay closed, or None. Without a token they are open to DEBUG alone."""
    token = settings.METRICS_TOKEN
    if not token:
        return None if settings.DEBUG else _said(_UNSET, 403)
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and constant_time_compare(given.strip(), token):
        return None
    response = _said(_WRONG, 401)
    response["WWW-Authenticate"] = 'Bearer realm="metrics"'
    return response


def _said(text: str, status: int) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")

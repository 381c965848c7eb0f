"""Tells people what they must know now: a fault whose removal is not confirmed, and its end.

Sent to NOTIFY_WEBHOOK_URL as JSON whose ``text`` Slack, Mattermost and their kin show. It never
holds up or fails the work that had something to tell: it is sent from a thread of its own, bounded
in time, and a receiver that does not answer is a line of the log.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec

import httpx
from django.conf import settings
from django.db import transaction
from django.urls import reverse

from drivers.protocol import Owned
from experiments.models import Connection, Injection

log = logging.getLogger(__name__)

_WITHIN_S = 5.0
_AT_ONCE = 2
_TELL_AT = frozenset({3, 10, 30})
_TELL_EVERY = 100
_sender = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="notify")


P = ParamSpec("P")


def _harmless(tell: Callable[P, None]) -> Callable[P, None]:
    """Let nothing that goes wrong while telling reach the work that had something to tell."""

    @functools.wraps(tell)
    def guarded(*arguments: P.args, **named: P.kwargs) -> None:
        try:
            tell(*arguments, **named)
        except Exception:  # the edge of telling
            log.exception("%s could not be told", tell.__name__)

    return guarded


def is_worth_telling(failures: int) -> bool:
    """Return whether so many failed removals in a row are told: soon at first, then rarely."""
    return failures in _TELL_AT or (failures > 0 and failures % _TELL_EVERY == 0)


@_harmless
def not_removed(injection: Injection, detail: str) -> None:
    """Tell that the removal of a fault cannot be confirmed, and how it is removed by hand."""
    run = injection.run
    since = injection.injected_at or injection.intent_at
    by_hand = list((injection.plan or {}).get("by_hand", []))
    text = (
        f"ChaosWeb cannot confirm that {injection.action} ({injection.fault}) of run {run.pk} in "
        f"{run.environment} is removed: {detail.rstrip('. ')}. "
        f"It may be broken since {since:%H:%M:%S} UTC. It is tried again. "
        f"By hand: {'; '.join(by_hand) or 'see the run'}"
    )
    _tell(
        {
            "event": "removal_not_confirmed",
            "text": f"{text} {_url(run.pk)}",
            "run": run.pk,
            "environment": run.environment.name,
            "action": injection.action,
            "fault": injection.fault,
            "since": since.isoformat() if since else None,
            "attempts": injection.failures + 1,
            "by_hand": by_hand,
            "url": _url(run.pk),
        }
    )


@_harmless
def removed_after_all(injection: Injection) -> None:
    """Tell that a fault whose removal was doubted is gone."""
    run = injection.run
    _tell(
        {
            "event": "removal_confirmed",
            "text": f"{injection.action} of run {run.pk} in {run.environment} is gone, as read "
            f"back. {_url(run.pk)}",
            "run": run.pk,
            "environment": run.environment.name,
            "action": injection.action,
            "fault": injection.fault,
            "url": _url(run.pk),
        }
    )


@_harmless
def orphan_found(connection: Connection, fault: Owned) -> None:
    """Tell of a fault of ours that no run looks after."""
    where = ", ".join(target.name for target in fault.targets) or "unknown targets"
    _tell(
        {
            "event": "orphan_found",
            "text": f"A fault that no run looks after is on {connection} ({where}): "
            f"{fault.token}. Its removal is tried. {settings.BASE_URL.rstrip('/')}/",
            "connection": connection.name,
            "token": fault.token,
            "by_hand": list(fault.plan.by_hand) if fault.plan else [],
        }
    )


def _url(run_id: int) -> str:
    return f"{settings.BASE_URL.rstrip('/')}{reverse('run_detail', args=[run_id])}"


def _tell(message: dict[str, Any]) -> None:
    if settings.NOTIFY_WEBHOOK_URL:
        url = settings.NOTIFY_WEBHOOK_URL
        transaction.on_commit(lambda: _submit(url, message), robust=True)


def _submit(url: str, message: dict[str, Any]) -> None:
    _sender.submit(_send, url, message)


def _send(url: str, message: dict[str, Any]) -> None:
    try:
        httpx.post(url, json=message, timeout=_WITHIN_S).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # Its address may hold a secret: only what went wrong is told.
        log.error("nobody could be notified (%s): %s", type(error).__name__, message["text"])

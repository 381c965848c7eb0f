"""Webhooks: addresses that an alerting system calls to halt. They can halt, and nothing else.

A caller shows the webhook's secret as a bearer token, or signs the body as PagerDuty does (V3:
``X-PagerDuty-Signature: v1=<hex HMAC-SHA256 of the raw body>``, several separated by commas while a
secret is being changed).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from experiments.domain.errors import InvalidDocumentError, SpecError
from experiments.models import Environment, User, Webhook
from experiments.services import clock, halting, people

_BEARER = "bearer"
_SIGNING = "pagerduty"
_HALTING_EVENTS = frozenset({"incident.triggered", "incident.escalated", "incident.reopened"})
_TITLE_LENGTH = 300
_NOBODYS = secrets.token_urlsafe(32)
"""Compared with where there is no webhook: an unknown name takes as long as a wrong secret."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a body says: whether to halt, and why or why not."""

    is_to_halt: bool
    reason: str


def make(*, user: User, name: str, environment: Environment | None) -> tuple[Webhook, str]:
    """Make a webhook that halts the environment, or everything. Return it and its secret.

    Raises PermissionDenied for anybody but an admin, and InvalidDocumentError for a name that is
    taken, which a revoked webhook's still is.
    """
    people.require(user, "administer", "make webhooks")
    secret = secrets.token_urlsafe(32)
    try:
        with transaction.atomic():
            made = Webhook.objects.create(
                name=name,
                environment=environment,
                secrets={_BEARER: secret},
                created_by=user,
                created_at=clock.now(),
            )
    except IntegrityError as error:
        taken = f"“{name}” is taken, perhaps by one that was revoked: choose another name"
        raise InvalidDocumentError([SpecError(("name",), taken)]) from error
    return made, secret


def keep_signing_secret(*, webhook: Webhook, user: User, secret: str) -> None:
    """Keep the secret with which PagerDuty signs; empty forgets it. Raises PermissionDenied."""
    people.require(user, "administer", "change webhooks")
    kept = {**webhook.secrets, _SIGNING: secret.strip()}
    webhook.secrets = {key: value for key, value in kept.items() if value}
    webhook.save(update_fields=["secrets"])


def is_signed(webhook: Webhook) -> bool:
    """Return whether PagerDuty's signing secret is known."""
    return bool(webhook.secrets.get(_SIGNING))


def revoke(*, webhook: Webhook, user: User) -> bool:
    """Make the webhook useless. Return whether this call did. Raises PermissionDenied."""
    people.require(user, "administer", "revoke webhooks")
    rows = Webhook.objects.filter(pk=webhook.pk, revoked_at__isnull=True)
    return bool(rows.update(revoked_at=clock.now(), secrets={}))


def authenticate(*, name: str, authorization: str, signatures: str, body: bytes) -> Webhook | None:
    """Return the webhook if the caller knows its secret; None for everything else alike."""
    webhook = None
    if "\x00" not in name:
        rows = Webhook.objects.select_related("environment").filter(revoked_at__isnull=True)
        webhook = rows.filter(name=name).first()
    known = webhook.secrets if webhook is not None else {}
    shown = [_fits_bearer(known.get(_BEARER) or _NOBODYS, authorization)]
    for key in (_BEARER, _SIGNING):
        shown.append(_fits_signature(known.get(key) or _NOBODYS, signatures, body))
    return webhook if any(shown) else None


def _fits_bearer(secret: str, authorization: str) -> bool:
    scheme, _, given = authorization.partition(" ")
    is_same = hmac.compare_digest(_bytes(given.strip()), secret.encode())
    return is_same and scheme.lower() == "bearer"


def _fits_signature(secret: str, signatures: str, body: bytes) -> bool:
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()
    found = False
    for signature in signatures.split(","):
        version, _, digest = signature.strip().partition("=")
        found |= hmac.compare_digest(_bytes(digest.lower()), expected) and version == "v1"
    return found


def _bytes(given: str) -> bytes:
    return given.encode("utf-8", "surrogateescape")


def hear(body: bytes) -> Heard:
    """Read what an authenticated caller says. What cannot be read is an alarm: it halts."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return Heard(is_to_halt=True, reason="called without a body that can be read")
    if not isinstance(said, dict):
        return Heard(is_to_halt=True, reason="called without a reason")
    event = said.get("event")
    if isinstance(event, dict) and isinstance(event.get("event_type"), str):
        return _hear_pagerduty(event)
    if isinstance(said.get("alerts"), list):
        return _hear_alertmanager(said)
    title = _first(said, "reason", "summary", "title", "alertname", "message")
    return Heard(is_to_halt=True, reason=title or "called without a reason")


def _hear_pagerduty(event: dict[str, Any]) -> Heard:
    kind = event["event_type"]
    if kind not in _HALTING_EVENTS:
        return Heard(is_to_halt=False, reason=f"{kind[:_TITLE_LENGTH]} halts nothing")
    incident = event.get("data")
    title = _first(incident, "title", "summary") if isinstance(incident, dict) else ""
    return Heard(is_to_halt=True, reason=f"PagerDuty: {title or kind}")


def _hear_alertmanager(said: dict[str, Any]) -> Heard:
    if said.get("status") == "resolved":
        return Heard(is_to_halt=False, reason="a resolved alert halts nothing")
    places = [said.get(name) for name in ("commonLabels", "groupLabels")]
    places += [alert.get("labels") for alert in said["alerts"][:1] if isinstance(alert, dict)]
    names = [_first(place, "alertname") for place in places if isinstance(place, dict)]
    notes = said.get("commonAnnotations")
    summary = _first(notes, "summary", "description") if isinstance(notes, dict) else ""
    told = ": ".join(part for part in (next(filter(None, names), ""), summary) if part)
    return Heard(is_to_halt=True, reason=f"alert {told[:_TITLE_LENGTH] or 'without a name'}")


def _first(said: dict[str, Any], *keys: str) -> str:
    found = (said.get(key) for key in keys)
    return next((text[:_TITLE_LENGTH] for text in found if isinstance(text, str) and text), "")


def heed(*, webhook: Webhook, heard: Heard) -> halting.Halted:
    """Halt what the webhook is for. Idempotent."""
    halted = halting.halt(
        environment=webhook.environment, actor=f"webhook {webhook.name}", reason=heard.reason
    )
    Webhook.objects.filter(pk=webhook.pk).update(last_used_at=clock.now())
    return halted

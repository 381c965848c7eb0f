"""Halts by API and by webhook."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any, NamedTuple

import pytest
from django.test import Client

from experiments.models import Environment, Halt, Run, Webhook
from experiments.services import halting, transitions, webhooks
from tests.api.conftest import client_of, told

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/v1/halts"
HOOK = "/api/v1/webhooks/alerts"
FIRING = {
    "version": "4",
    "status": "firing",
    "commonLabels": {"alertname": "CheckoutFails"},
    "commonAnnotations": {"summary": "5 % of orders fail"},
    "alerts": [{"status": "firing", "labels": {"alertname": "CheckoutFails"}}],
}


def incident(kind: str, title: Any = "Orders fail") -> dict[str, Any]:
    return {"event": {"id": "01", "event_type": kind, "data": {"title": title}}}


# The API.


@pytest.mark.parametrize("role", ["viewer", "author", "operator", "admin"])
def test_anybody_signed_in_halts(role, cast, request_run):
    pk = request_run().json()["id"]
    response = client_of(cast[role]).post(URL, {"reason": "enough"}, format="json")
    assert response.status_code == 201
    body = response.json()
    assert (body["runs_stopped"], body["faults"], body["failed"]) == (1, 0, [])
    assert body["halt"]["environment"] is None
    assert body["halt"]["is_active"] is True
    assert body["halt"]["actor"] == cast[role].username
    assert Run.objects.get(pk=pk).status == "stopped"


def test_a_second_halt_is_the_first(viewer, environment):
    first = viewer.post(URL, {"environment": "rehearsal", "reason": "one"}, format="json")
    second = viewer.post(URL, {"environment": "rehearsal", "reason": "two"}, format="json")
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["halt"] == first.json()["halt"]
    assert second.json()["halt"]["reason"] == "one"


def test_no_run_is_accepted_while_halted(viewer, request_run):
    viewer.post(URL, {"environment": "rehearsal", "reason": "enough"}, format="json")
    response = request_run()
    assert response.status_code == 400
    assert "halted since" in told(response)["environment"]
    assert "vera" in told(response)["environment"]
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {"environment": "nowhere"},
        {"environment": ""},
        {"environment": 7},
        {"enviroment": "rehearsal"},
        ["rehearsal"],
    ],
)
def test_a_mistyped_scope_does_not_halt_everything(viewer, environment, body):
    assert viewer.post(URL, body, format="json").status_code == 400
    assert not Halt.objects.exists()


def test_neither_a_missing_nor_a_long_reason_keeps_anybody_from_halting(viewer):
    assert viewer.post(URL).status_code == 201
    assert viewer.post(URL, {"reason": "x" * 5000}, format="json").status_code == 200


def test_halts_are_listed(viewer, ada, environment):
    halting.halt(environment=environment, actor="vera", reason="one")
    past = halting.halt(environment=None, actor="vera", reason="two").halt
    halting.resume(halt=past, user=ada, reason="mended")
    found = viewer.get(URL).json()["results"]
    assert [(row["environment"], row["is_active"]) for row in found] == [
        (None, False),
        ("rehearsal", True),
    ]
    assert (found[0]["lifted_by"], found[0]["lift_reason"]) == ("ada", "mended")


@pytest.mark.parametrize("role", ["viewer", "author", "operator"])
def test_only_an_admin_resumes(role, cast, environment):
    halt = halting.halt(environment=environment, actor="vera", reason="one").halt
    response = client_of(cast[role]).post(f"{URL}/{halt.pk}/resume", {}, format="json")
    assert response.status_code == 403
    assert "resume" in response.json()["detail"]
    halt.refresh_from_db()
    assert halt.lifted_at is None


def test_an_admin_resumes_with_a_reason(ada, environment):
    halt = halting.halt(environment=environment, actor="vera", reason="one").halt
    client = client_of(ada)
    refused = client.post(f"{URL}/{halt.pk}/resume", {}, format="json")
    assert refused.status_code == 400
    assert "say why" in told(refused)["reason"]
    first = client.post(f"{URL}/{halt.pk}/resume", {"reason": "mended"}, format="json")
    second = client.post(f"{URL}/{halt.pk}/resume", {"reason": "mended"}, format="json")
    assert (first.json()["resumed"], second.json()["resumed"]) == (True, False)
    assert first.json()["halt"]["is_active"] is False
    assert client.post(f"{URL}/999/resume", {"reason": "x"}, format="json").status_code == 404


# The webhook.


class Hook(NamedTuple):
    """A webhook, and the secret that was shown when it was made."""

    row: Webhook
    secret: str


@pytest.fixture
def hook(ada, environment):
    return Hook(*webhooks.make(user=ada, name="alerts", environment=environment))


def call(body: Any = FIRING, secret: str = "", url: str = HOOK, **headers: str) -> Any:
    """Call as an alerting system does: no cookies, no CSRF token."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    if secret:
        headers["Authorization"] = f"Bearer {secret}"
    client = Client(enforce_csrf_checks=True)
    return client.post(url, raw, content_type="application/json", headers=headers)


def signed(body: Any, *keys: str) -> dict[str, str]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    digests = [hmac.new(key.encode(), raw, hashlib.sha256).hexdigest() for key in keys]
    return {"X-PagerDuty-Signature": ",".join(f"v1={digest}" for digest in digests)}


def test_a_firing_alert_halts(hook, request_run):
    pk = request_run().json()["id"]
    response = call(secret=hook.secret)
    assert response.status_code == 200
    body = response.json()
    assert (body["halted"], body["environment"], body["runs_stopped"]) == (True, "rehearsal", 1)
    halt = Halt.objects.get()
    assert halt.actor == "webhook alerts"
    assert halt.reason == "alert CheckoutFails: 5 % of orders fail"
    assert Run.objects.get(pk=pk).ended_by == "halt"
    hook.row.refresh_from_db()
    assert hook.row.last_used_at is not None


def test_an_alert_that_fires_again_changes_nothing(hook):
    call(secret=hook.secret)
    again = call(secret=hook.secret).json()
    assert (again["halted"], again["is_new"], again["runs_stopped"]) == (True, False, 0)
    assert Halt.objects.count() == 1


@pytest.mark.parametrize(
    "body",
    [{**FIRING, "status": "resolved"}, incident("incident.resolved"), incident("pagey.ping")],
)
def test_good_news_is_acknowledged_and_halts_nothing(hook, body):
    response = call(body, secret=hook.secret)
    assert response.status_code == 200
    assert response.json()["halted"] is False
    assert "halts nothing" in response.json()["ignored"]
    assert not Halt.objects.exists()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (incident("incident.triggered"), "PagerDuty: Orders fail"),
        (incident("incident.escalated"), "PagerDuty: Orders fail"),
        (incident("incident.reopened", None), "PagerDuty: incident.reopened"),
        ({"event": {"event_type": "incident.triggered"}}, "PagerDuty: incident.triggered"),
        ({"event": "incident.resolved"}, "called without a reason"),
        ({"summary": "the shop burns"}, "the shop burns"),
        ({"status": "resolved"}, "called without a reason"),
        ({"alerts": []}, "alert without a name"),
        ({"alerts": [7], "commonLabels": 3}, "alert without a name"),
        ([], "called without a reason"),
        (b"", "called without a body that can be read"),
        (b"\xff\x00{", "called without a body that can be read"),
        (b"[" * 100_000, "called without a body that can be read"),
    ],
)
def test_every_other_body_halts(hook, body, reason):
    assert call(body, secret=hook.secret).status_code == 200
    assert Halt.objects.get().reason == reason


def test_no_reason_is_too_long_or_too_strange(hook):
    body = {"title": "\x00\ud800" + "x" * 10_000}
    assert call(body, secret=hook.secret).status_code == 200
    assert len(Halt.objects.get().reason) <= 300


def test_a_body_that_is_too_long_halts_unread(hook):
    body = json.dumps({**FIRING, "status": "resolved", "pad": "x" * 1_100_000}).encode()
    assert call(body, secret=hook.secret).json()["halted"] is True
    Halt.objects.all().delete()
    hook_key = hook.secret
    assert call(body, **signed(body, hook_key)).status_code == 401, (
        "what is not read, is not signed"
    )
    assert not Halt.objects.exists()


def test_whatever_the_caller_accepts_it_halts(hook):
    response = call(secret=hook.secret, Accept="text/html")
    assert response.status_code == 200
    client = Client(enforce_csrf_checks=True)
    headers = {"Authorization": f"bearer {hook.secret}"}
    again = client.post(HOOK, {"reason": "a form"}, headers=headers)
    assert again.json()["halted"] is True


def test_pagerdutys_signature_halts(hook, ada):
    body = incident("incident.triggered")
    webhooks.keep_signing_secret(webhook=hook.row, user=ada, secret=" its-own ")
    assert call(body, **signed(body, "its-own")).status_code == 200
    assert call(body, **signed(body, "old-one", "its-own")).status_code == 200
    assert Halt.objects.count() == 1
    webhooks.keep_signing_secret(webhook=hook.row, user=ada, secret="")
    assert call(body, **signed(body, "its-own")).status_code == 401


def unknown(hook: Any, environment: Environment) -> list[Any]:
    body = incident("incident.triggered")
    good = signed(body, hook.secret)["X-PagerDuty-Signature"]
    return [
        call(body),
        call(body, secret="wrong"),
        call(body, secret=f"{hook.secret}x"),
        call(body, Authorization=hook.secret),
        call(body, Authorization=f"Basic {hook.secret}"),
        call(body, Authorization="Bearer"),
        call(body, **signed(body, "wrong")),
        call(body, **signed({"another": "body"}, hook.secret)),
        call(body, **{"X-PagerDuty-Signature": good.removeprefix("v1=")}),
        call(body, **{"X-PagerDuty-Signature": good.replace("v1", "v0")}),
        call(body, **{"X-PagerDuty-Signature": "v1=é,=,,v1="}),
        call(body, secret=hook.secret, url="/api/v1/webhooks/another"),
        call(body, secret=hook.secret, url="/api/v1/webhooks/a%00b"),
        call(body, secret="None"),
    ]


def test_nobody_else_halts_and_all_are_told_the_same(hook, environment):
    answers = unknown(hook, environment)
    assert {response.status_code for response in answers} == {401}
    assert len({response.content for response in answers}) == 1
    assert not Halt.objects.exists()


def test_a_revoked_webhook_halts_nothing_and_keeps_no_secret(hook, ada):
    assert webhooks.revoke(webhook=hook.row, user=ada)
    body = incident("incident.triggered")
    assert call(body, secret=hook.secret).status_code == 401
    assert call(body, **signed(body, hook.secret)).status_code == 401
    assert Webhook.objects.get().secrets == {}
    assert not Halt.objects.exists()


def test_a_session_is_no_key_and_reading_halts_nothing(hook, ada):
    assert client_of(ada).post(HOOK, {}, format="json").status_code == 401
    assert client_of(ada).get(HOOK).status_code == 405
    assert not Halt.objects.exists()


def test_a_run_that_could_not_be_stopped_asks_the_caller_to_call_again(
    hook, request_run, monkeypatch
):
    pk = request_run().json()["id"]
    monkeypatch.setattr(halting, "_order_free", lambda *_: [])
    monkeypatch.setattr(transitions, "order_stop", lambda **_: 1 / 0)
    response = call(secret=hook.secret)
    assert response.status_code == 503
    assert response.json()["failed"][0]["run"] == pk
    monkeypatch.undo()
    assert call(secret=hook.secret).json()["runs_stopped"] == 1


def test_only_an_admin_makes_webhooks(olga, ada, environment):
    from django.core.exceptions import PermissionDenied

    from experiments.domain.errors import InvalidDocumentError

    with pytest.raises(PermissionDenied):
        webhooks.make(user=olga, name="mine", environment=None)
    made, secret = webhooks.make(user=ada, name="mine", environment=None)
    assert len(secret) > 40
    assert made.environment is None
    with pytest.raises(InvalidDocumentError, match="taken"):
        webhooks.make(user=ada, name="mine", environment=environment)

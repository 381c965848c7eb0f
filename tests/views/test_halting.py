"""The halt page, its confirmation, the banner, stop links and the webhooks' secrets."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from experiments.models import Environment, Halt, Run, StopLink, Webhook
from experiments.services import conducting, halting, stop_links, transitions, webhooks
from tests import factories
from tests.views.conftest import assert_kept_by_csp, assert_sent_to_sign_in, client_of

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", response.content.decode())


def halt(environment: Environment | None = None) -> Halt:
    return halting.halt(environment=environment, actor="charlie", reason="the shop burns").halt


def nothing_can_be_stopped(monkeypatch) -> None:
    monkeypatch.setattr(halting, "_order_free", lambda *_: [])
    monkeypatch.setattr(transitions, "order_stop", lambda **_: 1 / 0)


@pytest.fixture
def boss(admin):
    return client_of(admin)


@pytest.fixture
def link(alice, place):
    return stop_links.make(user=alice, environment=place, lasts=DAY, note="wall display")


@pytest.fixture
def run_link(alice, live):
    return stop_links.make(user=alice, run=live, lasts=DAY)


def address(link: StopLink) -> str:
    return f"/stop/{stop_links.token_of(link)}/"


# Looking, confirming, halting.


@pytest.mark.parametrize("url", ["/halt/", "/halt/confirm/?environment=*"])
def test_an_outsider_is_sent_to_sign_in(outsider, url):
    assert_sent_to_sign_in(outsider.get(url))


@pytest.mark.parametrize(
    "url",
    [
        "/halt/now/",
        "/halt/1/resume/",
        "/halt/links/",
        "/halt/links/1/revoke/",
        "/halt/webhooks/",
        "/halt/webhooks/1/sign/",
        "/halt/webhooks/1/revoke/",
    ],
)
def test_an_outsider_changes_nothing_and_reading_does_neither(outsider, viewer, url):
    assert_sent_to_sign_in(outsider.post(url, {"environment": "*"}))
    assert viewer.get(url).status_code == 405
    assert not Halt.objects.exists()


def test_halting_asks_for_a_token_of_our_own(charlie):
    client = Client(enforce_csrf_checks=True)
    client.force_login(charlie, backend="django.contrib.auth.backends.ModelBackend")
    assert client.post("/halt/now/", {"environment": "*"}).status_code == 403
    assert not Halt.objects.exists()


def test_the_page_counts_what_is_live_by_environment(viewer, live, place):
    factories.environment("quiet")
    html = text(viewer.get("/halt/?environment=staging"))
    assert html.count("1 fault live") >= 2, "the environment's and everything's"
    assert "1 live run" in html
    assert "nothing live" in html
    assert re.search(r'value="staging" required checked', html)
    assert not re.search(r'value="\*" required checked', html)
    assert_kept_by_csp(html)


def test_the_confirmation_names_what_and_how_many_and_does_nothing(viewer, live):
    html = text(viewer.get("/halt/confirm/?environment=staging&reason=burning"))
    assert (
        "Halt staging: 1 live run is stopped, 1 fault is removed,"
        " new runs are refused until an admin resumes." in html
    )
    assert 'value="burning"' in html
    assert f"Run {live.pk}" in html
    assert_kept_by_csp(html)
    everything = text(viewer.get("/halt/confirm/?environment=*"))
    assert "Halt everything: 1 live run is stopped" in everything
    assert not Halt.objects.exists()
    live.refresh_from_db()
    assert live.stop_requested_at is None


@pytest.mark.parametrize("given", ["", "nowhere", "a%00b"])
def test_an_unknown_scope_halts_nothing(viewer, place, given):
    assert viewer.get(f"/halt/confirm/?environment={given}").status_code == 400
    response = viewer.post("/halt/now/", {"environment": given})
    assert response.status_code == 400
    assert "Nothing was halted." in text(response)
    assert not Halt.objects.exists()


def test_a_viewer_halts_and_reads_what_happened(viewer, live):
    response = viewer.post(
        "/halt/now/", {"environment": "staging", "reason": "burning"}, follow=True
    )
    html = text(response)
    assert "Staging is halted: 1 live run stopped, 1 fault being removed." in html
    assert "burning" in html
    assert Halt.objects.get().actor == "charlie"
    live.refresh_from_db()
    assert (live.status, live.stop_ended_by) == ("recovering", "halt")
    again = viewer.post("/halt/now/", {"environment": "staging"}, follow=True)
    assert "Staging was halted already: 0 live runs stopped" in text(again)


def test_a_run_that_could_not_be_stopped_is_told(viewer, live, monkeypatch):
    nothing_can_be_stopped(monkeypatch)
    html = text(viewer.post("/halt/now/", {"environment": "*"}, follow=True))
    assert f"These runs could not be stopped: {live.pk}. Halt again at once." in html
    assert "1 run not stopped: halt again" in html


def test_the_page_tells_the_progress_of_an_active_halt(viewer, live, place):
    halted = halt(place)
    html = text(viewer.get("/halt/"))
    assert "staging is halted" in html
    assert "1 fault being removed" in html
    part = viewer.get("/halt/?part=left")
    assert f'id="halt-state-{halted.pk}" hx-swap-oob="true"' in text(part)
    live.injections.update(phase="recovered", recovered_at=timezone.now())
    Run.objects.filter(pk=live.pk).update(status="stopped")
    assert "every fault is gone, as read back" in text(viewer.get("/halt/?part=left"))


@pytest.mark.parametrize("url", ["/", "/runs/", "/experiments/", "/environments/"])
def test_every_page_says_that_runs_are_halted(viewer, place, url):
    assert "is halted" not in text(viewer.get(url))
    halt(place)
    html = text(viewer.get(url))
    assert "staging is halted" in html
    assert "the shop burns" in html
    assert 'href="/halt/"' in html
    assert_kept_by_csp(html)


def test_a_start_is_refused_with_the_reason(operator, version, place):
    halt()
    experiment = version.experiment
    response = operator.post(f"/experiments/{experiment.name}/run/", {"environment": "staging"})
    assert response.status_code == 400
    assert "halted since" in text(response)
    assert "the shop burns" in text(response)
    assert not Run.objects.exists()


def test_the_overview_offers_no_halt_while_nothing_is_live(viewer, version):
    assert "Halt everything" not in text(viewer.get("/"))


def test_the_live_panel_leads_to_the_confirmation(viewer, live):
    assert 'href="/halt/confirm/?environment=*"' in text(viewer.get("/?part=live"))


def test_names_and_reasons_are_escaped(viewer, place):
    Environment.objects.filter(pk=place.pk).update(title="<b>prod</b>")
    halting.halt(environment=place, actor="<i>eve</i>", reason="<script>alert(1)</script>")
    for url in ("/", "/halt/", "/halt/confirm/?environment=staging"):
        html = text(viewer.get(url))
        assert "<script>alert" not in html
        assert "<b>prod" not in html
        assert "<i>eve" not in html


# Resuming.


def test_only_an_admin_is_offered_to_resume_and_may(viewer, operator, boss, place):
    halted = halt(place)
    url = f"/halt/{halted.pk}/resume/"
    assert url not in text(viewer.get("/halt/"))
    for client in (viewer, operator):
        assert client.post(url, {"reason": "mended"}).status_code == 403
    assert url in text(boss.get("/halt/"))
    refused = boss.post(url, {"reason": "  "})
    assert refused.status_code == 422
    assert "say why runs may start again" in text(refused)
    assert halting.active(place) is not None
    html = text(boss.post(url, {"reason": "mended"}, follow=True))
    assert "Runs may start again: staging is no longer halted." in html
    assert "mended" in html, "it is told among the past halts"
    assert "Somebody had resumed already" in text(boss.post(url, {"reason": "x"}, follow=True))
    assert boss.post("/halt/99/resume/", {"reason": "x"}).status_code == 404


# Making stop links.


def test_who_may_launch_makes_a_link_and_sees_its_address(operator, viewer, live):
    assert "Make a stop link" not in text(viewer.get("/halt/"))
    given = {"scope": f"run:{live.pk}", "lasts": "8h", "note": "standup"}
    assert viewer.post("/halt/links/", given).status_code == 403
    assert not StopLink.objects.exists()
    response = operator.post("/halt/links/", given)
    assert response.status_code == 201
    made = StopLink.objects.get()
    assert (made.run, made.environment, made.note) == (live, None, "standup")
    assert made.expires_at - made.created_at == timedelta(hours=8)
    assert f"http://testserver{address(made)}" in text(response)
    assert response["Cache-Control"] == "no-store"
    assert address(made) in text(operator.get("/halt/")), "it can be shown again"
    assert_kept_by_csp(text(response))


@pytest.mark.parametrize(("scope", "name"), [("environment:staging", "staging"), ("*", None)])
def test_a_link_may_halt(operator, place, scope, name):
    operator.post("/halt/links/", {"scope": scope, "lasts": "30d"})
    made = StopLink.objects.get()
    assert made.run is None
    assert (made.environment.name if made.environment else None) == name


@pytest.mark.parametrize(
    "given",
    [
        {"scope": "", "lasts": "8h"},
        {"scope": "run:999", "lasts": "8h"},
        {"scope": "environment:nowhere", "lasts": "8h"},
        {"scope": "*", "lasts": "9y"},
        {"scope": "*", "lasts": "8h", "note": "n" * 201},
    ],
)
def test_a_wrong_form_makes_no_link(operator, place, given):
    assert operator.post("/halt/links/", given).status_code == 422
    assert not StopLink.objects.exists()


def test_a_revoked_link_is_listed_no_more_and_stops_nothing(operator, viewer, outsider, link):
    assert viewer.post(f"/halt/links/{link.pk}/revoke/").status_code == 403
    operator.post(f"/halt/links/{link.pk}/revoke/")
    assert "wall display no longer stops anything" in text(operator.get("/halt/"))
    response = outsider.post(address(link))
    assert response.status_code == 410
    assert "revoked" in text(response)
    assert not Halt.objects.exists()


# Webhooks.


def test_only_an_admin_sees_and_makes_webhooks(operator, boss, place):
    assert "Webhooks" not in text(operator.get("/halt/"))
    given = {"name": "alerts", "scope": "staging"}
    assert operator.post("/halt/webhooks/", given).status_code == 403
    response = boss.post("/halt/webhooks/", given)
    assert response.status_code == 201
    made = Webhook.objects.get()
    secret = made.secrets["bearer"]
    html = text(response)
    assert secret in html
    assert "webhook_configs" in html
    assert "http://testserver/api/v1/webhooks/alerts" in html
    assert response["Cache-Control"] == "no-store"
    assert_kept_by_csp(html)
    again = text(boss.get("/halt/"))
    assert "/api/v1/webhooks/alerts" in again
    assert secret not in again, "it is shown once"
    taken = boss.post("/halt/webhooks/", given)
    assert taken.status_code == 422
    assert "is taken" in text(taken)


@pytest.mark.parametrize(
    "given", [{"name": "Not A Slug", "scope": "*"}, {"name": "a"}, {"name": "a", "scope": "no"}]
)
def test_a_wrong_form_makes_no_webhook(boss, place, given):
    assert boss.post("/halt/webhooks/", given).status_code == 422
    assert not Webhook.objects.exists()


def test_an_admin_keeps_pagerdutys_secret_and_revokes(boss, operator, admin):
    made, _ = webhooks.make(user=admin, name="alerts", environment=None)
    sign, revoke = (f"/halt/webhooks/{made.pk}/{each}/" for each in ("sign", "revoke"))
    assert operator.post(sign, {"secret": "x"}).status_code == 403
    assert operator.post(revoke).status_code == 403
    html = text(boss.post(sign, {"secret": "signing"}, follow=True))
    assert "signing secret is kept" in html
    assert Webhook.objects.get().secrets["pagerduty"] == "signing"
    assert "no longer halts anything" in text(boss.post(revoke, follow=True))
    assert Webhook.objects.get().revoked_at is not None
    assert boss.post(revoke).status_code == 404


# Bounds.


def test_the_page_asks_a_bounded_number_of_queries(
    boss, version, place, alice, django_assert_max_num_queries, monkeypatch
):
    for index in range(5):
        factories.live(version, place, alice)
        factories.environment(f"more-{index}")
        stop_links.make(user=alice, environment=place, lasts=DAY)
    monkeypatch.setattr(conducting, "tick", lambda **_: None)
    halt(place)
    halt()
    boss.get("/halt/")
    with django_assert_max_num_queries(22):
        assert boss.get("/halt/").status_code == 200

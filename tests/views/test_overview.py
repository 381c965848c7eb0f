"""The overview: what is broken on purpose now, who asked for it, and how to stop it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from django.utils import timezone
from django.utils.html import escape

from experiments.models import Connection, Run, Service
from experiments.views import overview as page
from tests import factories
from tests.views.conftest import assert_kept_by_csp, assert_sent_to_sign_in

pytestmark = pytest.mark.django_db


def text(response: Any) -> str:
    return str(response.content.decode())


@pytest.mark.parametrize("url", ["/", "/?part=live", "/live-badge/"])
def test_an_outsider_is_sent_to_sign_in(outsider, url):
    assert_sent_to_sign_in(outsider.get(url))


def test_a_new_installation_is_told_what_to_do_first(operator):
    html = text(operator.get("/"))
    assert "Nothing is broken on purpose" in html
    assert "First steps" in html
    assert "Connect a Prometheus" in html
    assert_kept_by_csp(html)


def test_a_live_fault_says_what_where_who_and_until_when(viewer, live):
    Service.objects.create(name="carts", contact="#carts-oncall")
    html = text(viewer.get("/"))
    fault = live.injections.get()
    assert "Broken on purpose right now" in html
    assert "back by 90ms" in html
    assert "staging-mesh: carts" in html
    assert f"Run {live.pk}" in html
    assert "alice" in html
    assert f"{fault.recover_by:%H:%M:%S} at the latest" in html
    assert f'data-countdown-to="{fault.recover_by:%Y-%m-%dT%H:%M:%S}' in html
    assert "1 guardrail quiet" in html
    assert "#carts-oncall" in html
    assert_kept_by_csp(html)


def test_a_viewer_can_stop_from_the_overview(viewer, live):
    html = text(viewer.get("/"))
    assert f'action="/runs/{live.pk}/stop/"' in html
    assert "csrfmiddlewaretoken" in html
    response = viewer.post(f"/runs/{live.pk}/stop/", {"next": "/"})
    assert response["Location"] == "/"
    live.refresh_from_db()
    assert live.stop_actor == "charlie"


def test_an_unconfirmed_removal_is_loud_and_says_how_by_hand(viewer, version, place, alice):
    factories.unconfirmed(version, place, alice)
    html = text(viewer.get("/"))
    assert "Its removal is not confirmed: carts is unreachable." in html
    assert "next try" in html
    assert "runtime_modify" in html
    assert 'role="alert"' in html


def test_a_fault_that_is_being_injected_counts_as_live(viewer, version, place, alice):
    run = factories.run(version, place, alice, status="injecting", ago_s=200)
    factories.injection(run, "intent")
    assert "being injected" in text(viewer.get("/"))


def test_a_removed_fault_is_not_live(viewer, finished):
    html = text(viewer.get("/"))
    assert "Nothing is broken on purpose" in html
    assert "The last fault went" in html


def test_live_runs_without_a_fault_are_listed_with_a_stop(viewer, version, place, alice):
    run = factories.run(version, place, alice, status="baseline", ago_s=30)
    html = text(viewer.get("/"))
    assert "Live runs without a live fault" in html
    assert f'action="/runs/{run.pk}/stop/"' in html


def test_last_verdicts_are_told_in_their_sentences(viewer, finished):
    html = text(viewer.get("/"))
    assert escape(finished.judgement["sentence"]) in html


def test_coverage_shows_the_last_verdict_of_real_faults_only(viewer, finished, version, place):
    html = text(viewer.get("/"))
    assert "is-never" in html
    assert 'class="is-held"' not in html
    edge = Connection.objects.create(name="edge", kind="envoy")
    finished.injections.update(connection=edge, fault="envoy.http_delay")
    Service.objects.create(name="payment")
    html = text(viewer.get("/"))
    assert f'<td class="is-{finished.verdict}"><a href="/runs/{finished.pk}/">' in html
    assert '<th scope="row"><a href="/services/payment/">payment</a></th>' in html


def test_titles_are_escaped(viewer, alice, place):
    raw = factories.document("sly", "<script>alert(1)</script>")
    factories.live(factories.version(alice, raw), place, alice)
    html = text(viewer.get("/"))
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html


def test_the_overview_asks_a_bounded_number_of_queries(
    viewer, version, place, alice, django_assert_max_num_queries
):
    for _ in range(6):
        factories.live(version, place, alice)
    for ago in range(12):
        factories.finished(version, place, alice, ago_s=4000 + 100 * ago)
    viewer.get("/")
    with django_assert_max_num_queries(18):
        assert viewer.get("/").status_code == 200
    with django_assert_max_num_queries(10):
        assert viewer.get("/?part=live").status_code == 200


def test_the_live_panel_is_not_sent_twice(viewer, live):
    first = viewer.get("/?part=live")
    assert first.status_code == 200
    assert 'hx-swap-oob="true"' in text(first)
    again = viewer.get("/?part=live", headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 304
    live.injections.update(recover_by=timezone.now() + timedelta(seconds=5))
    moved = viewer.get("/?part=live", headers={"If-None-Match": first["ETag"]})
    assert moved.status_code == 200


def test_the_badge_counts_live_faults_by_environment(viewer, live):
    html = text(viewer.get("/live-badge/"))
    assert "1 fault live" in html
    assert "staging" in html


def test_the_badge_is_calm_without_faults(viewer):
    assert "nothing live" in text(viewer.get("/live-badge/"))


def test_the_navigation_names_the_role(operator):
    assert "alice · operator" in text(operator.get("/"))


def test_a_run_of_somebody_who_has_left_is_shown(viewer, version, place):
    factories.live(version, place, None)
    assert "somebody who has left" in text(viewer.get("/"))


def test_healthz_answers_anybody(outsider):
    response = outsider.get("/healthz")
    assert response.status_code == 200
    assert response.content == b"ok"


def test_healthz_says_when_the_database_is_gone(outsider, monkeypatch):
    class Gone:
        def cursor(self):
            raise DatabaseError("gone")

    monkeypatch.setattr(page, "connection", Gone())
    assert outsider.get("/healthz").status_code == 503


def test_signing_in_leads_to_the_overview_and_out_again(outsider, charlie):
    response = outsider.post("/sign-in/", {"username": "charlie", "password": "charlie"})
    assert response["Location"] == "/"
    assert outsider.get("/").status_code == 200
    assert_sent_to_sign_in(outsider.post("/sign-out/"))
    assert_sent_to_sign_in(outsider.get("/"))
    assert Run.objects.count() == 0

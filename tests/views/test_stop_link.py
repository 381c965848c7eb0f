"""What a stop link shows and does: without sign-in, without cookies."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from experiments.models import Halt, StopLink
from experiments.services import stop_links
from tests import factories
from tests.views.conftest import assert_kept_by_csp
from tests.views.test_halting import DAY, address, link, nothing_can_be_stopped, run_link, text

__all__ = ["link", "run_link"]

pytestmark = pytest.mark.django_db(transaction=True)


def stranger() -> Client:
    return Client(enforce_csrf_checks=True)


def test_a_link_shows_without_sign_in_and_changes_nothing(run_link, live):
    for method in ("get", "head"):
        response = getattr(stranger(), method)(address(run_link))
        assert response.status_code == 200
    response = stranger().get(address(run_link))
    html = text(response)
    assert f"Stop run {live.pk} and recover" in html
    assert "Only carts feels 90 ms" in html
    assert "back by 90ms" in html
    assert "in effect" in html
    assert response["Referrer-Policy"] == "no-referrer"
    assert "no-store" in response["Cache-Control"]
    assert "noindex" in response["X-Robots-Tag"]
    assert not response.cookies
    assert "Refresh" not in response
    assert_kept_by_csp(html)
    live.refresh_from_db()
    assert live.stop_requested_at is None
    run_link.refresh_from_db()
    assert run_link.last_used_at is None


def test_a_link_shows_outsiders_no_secret_and_no_way_in(link, version, place, alice):
    factories.unconfirmed(version, place, alice)
    html = text(stranger().get(address(link)))
    assert "its removal is not confirmed" in html
    for hidden in ("mesh-1:9901", "runtime_modify", "unreachable", "staging-mesh", "/runs/"):
        assert hidden not in html
    assert "cw-nav" not in html
    assert "csrfmiddlewaretoken" not in html


def test_a_runs_link_stops_it_and_then_shows_the_removal(run_link, live):
    response = stranger().post(address(run_link), follow=True)
    html = text(response)
    live.refresh_from_db()
    assert (live.status, live.stop_ended_by) == ("recovering", "person")
    assert live.stop_actor == f"stop link {run_link.pk} (made by alice)"
    assert f"Run {live.pk} is being stopped" in html
    assert "1 fault being removed." in html
    assert response["Refresh"] == "3", "it looks again without JavaScript"
    live.injections.update(phase="recovered", recovered_at=timezone.now())
    over = stranger().get(address(run_link))
    assert "Every fault is gone," in text(over)
    assert "Refresh" not in over
    assert stranger().post(address(run_link)).status_code == 302, "as often as wished"


def test_a_link_halts_its_environment(link, live, place):
    html = text(stranger().post(address(link), follow=True))
    assert "staging is halted" in html
    halted = Halt.objects.get()
    assert (halted.environment, halted.actor) == (
        place,
        "stop link “wall display” (made by alice)",
    )
    assert escape(halted.actor) in html
    live.refresh_from_db()
    assert live.stop_ended_by == "halt"
    assert "<form" not in html, "there is nothing left to press"


def test_a_link_offers_to_halt_again_what_was_not_stopped(link, live, monkeypatch):
    nothing_can_be_stopped(monkeypatch)
    html = text(stranger().post(address(link), follow=True))
    assert "<form" in html
    monkeypatch.undo()
    stranger().post(address(link))
    live.refresh_from_db()
    assert live.stop_requested_at is not None


def test_a_link_of_everything_needs_nothing_live(alice):
    link = stop_links.make(user=alice, lasts=DAY)
    assert "No run is live" in text(stranger().get(address(link)))
    stranger().post(address(link))
    assert Halt.objects.get().environment is None


@pytest.mark.parametrize("status", ["judging", "completed", "refused"])
def test_a_link_of_a_run_with_nothing_left_to_stop_says_so(version, place, alice, status):
    run = factories.run(version, place, alice, status=status, ago_s=600)
    link = stop_links.make(user=alice, run=run, lasts=DAY)
    response = stranger().get(address(link))
    assert response.status_code == 200
    assert "<form" not in text(response)
    assert stranger().post(address(link)).status_code == 302
    run.refresh_from_db()
    assert run.stop_requested_at is None


def test_an_expired_link_says_when_and_stops_nothing(link):
    StopLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    for method in ("get", "post"):
        response = getattr(stranger(), method)(address(link))
        assert response.status_code == 410
        assert "It expired on" in text(response)
        assert response["Referrer-Policy"] == "no-referrer"
    assert not Halt.objects.exists()


@pytest.mark.parametrize("token", ["x", "1.x", "1:x", "1", "é", "1." + "a" * 43])
def test_a_tampered_link_is_not_there_and_stops_nothing(link, token):
    for method in ("get", "post"):
        response = getattr(stranger(), method)(f"/stop/{token}/")
        assert response.status_code == 404
        assert "Nothing was stopped." in text(response)
    assert not Halt.objects.exists()

"""Stop links: signed, limited in time, revocable, and able to stop and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import signing
from django.core.exceptions import PermissionDenied

from experiments.models import Halt, StopLink
from experiments.services import clock, people, stop_links
from tests import factories
from tests.services.worlds import ENDED, document, fault, start

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)


def test_a_runs_link_stops_that_run_and_names_itself_in_the_journal(
    alice, environment, pump, control
):
    run = start(alice, environment, document(fault(duration="5m")))
    pump.run_until(run, "injecting")
    link = stop_links.make(user=alice, run=run, lasts=DAY, note="wall display")
    found = stop_links.read(stop_links.token_of(link))
    assert found == link
    assert stop_links.press(found).runs_stopped == 1
    assert stop_links.press(found).runs_stopped == 0
    pump.run_until(run, *ENDED)
    assert (run.status, run.ended_by) == ("stopped", "person")
    assert run.stop_actor == "stop link “wall display” (made by alice)"
    assert control.live() == set()
    assert not Halt.objects.exists()
    link.refresh_from_db()
    assert link.last_used_at is not None


def test_a_link_halts_its_environment_or_everything(alice, environment, pump):
    run = start(alice, environment, document(timing={"baseline": "30s", "settle": "0s"}))
    link = stop_links.make(user=alice, environment=environment, lasts=DAY)
    assert stop_links.press(link).runs_stopped == 1
    halt = Halt.objects.get()
    assert halt.environment == environment
    assert halt.actor == f"stop link {link.pk} (made by alice)"
    run.refresh_from_db()
    assert run.status == "stopped"
    stop_links.press(stop_links.make(user=alice, lasts=DAY))
    assert Halt.objects.filter(environment__isnull=True).exists()


def test_a_longest_note_fits_every_field(alice, environment, pump):
    run = start(alice, environment)
    link = stop_links.make(user=alice, run=run, lasts=DAY, note="n" * 200)
    assert len(stop_links.actor_of(link)) <= 150
    assert stop_links.press(link).runs_stopped == 1


def test_only_who_may_launch_makes_and_revokes(alice, environment):
    viewer = factories.person("vera", people.VIEWER)
    with pytest.raises(PermissionDenied):
        stop_links.make(user=viewer, environment=environment, lasts=DAY)
    link = stop_links.make(user=alice, environment=environment, lasts=DAY)
    with pytest.raises(PermissionDenied):
        stop_links.revoke(link=link, user=viewer)
    assert stop_links.revoke(link=link, user=alice)
    assert not stop_links.revoke(link=link, user=alice)


def test_a_link_is_useless_once_it_is_over_or_revoked(alice, pump):
    link = stop_links.make(user=alice, lasts=timedelta(hours=8))
    assert stop_links.why_useless(link, clock.now()) == ""
    pump.let_pass(8 * 3600)
    assert stop_links.why_useless(link, clock.now()) == "expired"
    stop_links.revoke(link=link, user=alice)
    link.refresh_from_db()
    assert stop_links.why_useless(link, clock.now()) == "revoked"


def test_no_other_signature_passes(alice, settings):
    link = stop_links.make(user=alice, lasts=DAY)
    token = stop_links.token_of(link)
    name, _, signature = token.partition(".")
    forged = [
        "",
        ".",
        name,
        f"{link.pk + 1}-{name.partition('-')[2]}.{signature}",
        f"{link.pk}-0.{signature}",
        f"{name}.{signature[:-1]}",
        f"{name}.{signature.swapcase()}",
        f"{token}x",
        signing.Signer(sep=".").sign(name),
        signing.Signer(sep=".", salt="experiments.stop_link").sign("all"),
        signing.Signer(sep=".", salt="experiments.stop_link").sign("9" * 40),
        signing.Signer(sep=".", salt="experiments.stop_link").sign("²"),
        # Of a row that had the same id before an older backup was restored.
        signing.Signer(sep=".", salt="experiments.stop_link").sign(f"{link.pk}-1"),
        signing.Signer(sep=".", salt="experiments.stop_link").sign(str(link.pk)),
    ]
    for each in forged:
        with pytest.raises(stop_links.BrokenLinkError):
            stop_links.read(each)
    settings.SECRET_KEY = "another key of at least thirty-two characters"
    with pytest.raises(stop_links.BrokenLinkError):
        stop_links.read(token)


def test_a_link_whose_row_is_gone_is_broken(alice):
    link = stop_links.make(user=alice, lasts=DAY)
    token = stop_links.token_of(link)
    StopLink.objects.all().delete()
    with pytest.raises(stop_links.BrokenLinkError):
        stop_links.read(token)

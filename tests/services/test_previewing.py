"""The preview: what a plan breaks in plain words, and what it would meet in the environment now."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from experiments.models import Connection, Halt
from experiments.services import people, previewing, rendering
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def place():
    return factories.environment()


@pytest.fixture
def alice(db):
    return factories.person("alice", people.OPERATOR)


def fault(name, duration, target="carts", **more):
    action = {"name": name, "fault": "fake.delay", "via": "mesh", "duration": duration}
    return {**action, "with": {"target": target, "fixed_delay": "90ms"}, **more}


def shown(place, *method, reach=False, **changes):
    raw = factories.document(method=list(method), **changes)
    return previewing.preview(raw=raw, environment=place, reach=reach)


def test_the_blast_radius_is_said_for_each_action_and_for_the_whole(place):
    later = fault("two", "40s", "orders", start={"with": ["one"], "delay": "20s"})
    found = shown(place, fault("one", "50s"), later)
    assert found.actions[0].blast == (
        "For 50 s at most, it holds 100% of carts's requests back by 90ms through carts."
    )
    assert found.actions[0].ends == (
        "It is removed 3:50 into the run, and at once when the run is stopped."
    )
    assert found.blast.startswith(
        "For 1 min, from 3:00 to 4:00 of the run, 2 faults are live in staging, both at once: "
    )
    assert found.blast.endswith(
        "Everything is put back when its time is over, and at once on Stop."
    )


def test_times_behind_a_checkpoint_are_said_as_the_latest(place):
    look = {"name": "look", "checkpoint": "Fine?", "timeout": "10m"}
    found = shown(place, look, fault("one", "50s"))
    assert found.actions[0].ends == (
        "It is removed 13:50 into the run at the latest, and at once when the run is stopped."
    )
    assert found.blast.startswith("For up to 50 s,")
    bar = next(bar for bar in found.schedule.bars if bar.label == "look")
    assert bar.when == "3:00 · up to 10 min"
    assert bar.says.endswith("waits for a person")


def test_a_delay_is_drawn_from_where_it_begins_and_said(place):
    later = fault("two", "40s", "orders", start={"with": ["one"], "delay": "20s"})
    bars = {bar.label: bar for bar in shown(place, fault("one", "50s"), later).schedule.bars}
    assert bars["two"].says == "two: from 3:20, 40 s, with one, 20 s later"
    assert float(bars["two"].waits[:-1]) + float(bars["two"].waited[:-1]) == pytest.approx(
        float(bars["two"].left[:-1]), abs=0.02
    )
    assert bars["one"].waits == ""


def test_live_runs_of_the_environment_are_shown_without_asking_any_backend(place, alice):
    run = factories.live(factories.version(alice), place, alice)
    found = shown(place, fault("one", "50s"))
    (live,) = found.live
    assert (live.pk, live.who, live.faults) == (run.pk, "alice", ("slow-carts",))
    assert live.until == run.injections.get().recover_by
    elsewhere = factories.environment("elsewhere")
    assert shown(elsewhere, fault("one", "50s")).live == ()


def test_a_halt_in_force_is_shown(place):
    assert shown(place, fault("one", "50s")).halted == ""
    Halt.objects.create(environment=place, since=timezone.now(), actor="ada", reason="a sale")
    assert "has been halted since" in shown(place, fault("one", "50s")).halted
    assert "a sale" in shown(place, fault("one", "50s")).halted


def test_a_claim_of_another_run_names_who_holds_it_and_until_when(place, alice):
    run = factories.live(factories.version(alice), place, alice)
    mesh = Connection.objects.get(name="staging-mesh")
    key = f"fake:{mesh.name}:carts:fake.delay"
    run.claims.create(key=key, reserved_at=timezone.now() - timedelta(minutes=1))
    (action,) = shown(place, fault("one", "50s"), reach=True).actions
    held = next(claim for claim in action.claims if claim.key == key)
    assert (held.held_by, held.who) == (run.pk, "alice")
    assert held.until == run.injections.get().recover_by


def test_two_actions_that_would_hold_one_claim_at_once_are_told_with_the_mend(place):
    together = [fault("one", "50s"), fault("two", "50s", start={"with": ["one"]})]
    assert shown(place, *together).clashes == (), "known once the backend was asked"
    (clash,) = shown(place, *together, reach=True).clashes
    assert clash.path == ("method", 1, "start")
    assert clash.severity == "error"
    assert clash.hint == "Let two start after one."
    assert shown(place, fault("one", "50s"), fault("two", "50s"), reach=True).clashes == ()


def test_the_text_of_a_preview_changes_only_with_what_would_be_done(place):
    one = rendering.as_text(shown(place, fault("one", "50s")))
    assert one == rendering.as_text(shown(place, fault("one", "50s"), hypothesis="Another one."))
    other = rendering.as_text(shown(place, fault("one", "50s", "orders")))
    changed = set(other.splitlines()) - set(one.splitlines())
    assert changed
    assert all("orders" in line for line in changed)
    assert "Timeline\n  baseline: from 0:00, 3 min" in one

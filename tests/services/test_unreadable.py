"""A run whose document can no longer be read: its faults go, and it ends."""

from __future__ import annotations

import pytest
from django.db import OperationalError

from experiments.domain.errors import InvalidDocumentError, SpecError
from experiments.models import Claim
from experiments.services import conducting, launching, snapshots, sweeping
from tests.services.worlds import ENDED, document, fault, start

pytestmark = pytest.mark.django_db(transaction=True)

SLOW = {"baseline": "20s", "settle": "20s"}


@pytest.fixture
def spoil(monkeypatch):
    """Return what makes every document unreadable, as a fault that an upgrade took away does."""

    def unreadable(run):
        raise InvalidDocumentError([SpecError((), "it was removed")])

    return lambda: monkeypatch.setattr(snapshots, "spec_of", unreadable)


@pytest.mark.parametrize("status", ["requested", "baseline", "injecting", "recovering", "settling"])
def test_it_recovers_and_errs_from_every_status(alice, environment, pump, control, spoil, status):
    raw = document(fault(), fault("two", fault="fake.delay"), timing=SLOW)
    run = start(alice, environment, raw)
    if status == "recovering":
        pump.run_until(run, "injecting")
        control.cut_off("one")
        launching.stop_run(run=run, actor="bob")
        pump.drain()
    elif status != "requested":
        pump.run_until(run, status)
        pump.drain()
    run.refresh_from_db()
    assert run.status == status
    spoil()
    for _ in range(3):
        pump.pass_time(5)
    control.cut_off()
    pump.run_until(run, *ENDED)
    was_stopped = status == "recovering"
    assert run.status == ("stopped" if was_stopped else "errored")
    assert run.ended_by == ("person" if was_stopped else "error")
    assert control.live() == set()
    assert {row.phase for row in run.injections.all()} <= {"recovered", "cancelled"}
    assert not Claim.objects.filter(released_at__isnull=True).exists()
    assert not run.actions.filter(finished_at__isnull=True).exists()
    if status not in ("requested", "baseline"):
        assert run.verdict == "inconclusive"
    if not was_stopped:
        assert "it was removed" in run.reason


def test_it_ends_while_it_is_being_judged(alice, environment, pump, control, spoil):
    run = start(alice, environment)
    pump.drain()
    while run.status != "judging":
        if not pump.waiting:
            pump.let_pass(1)
            sweeping.sweep()
        else:
            pump.step()
        run.refresh_from_db()
    spoil()
    pump.run_until(run, *ENDED)
    assert (run.status, run.ended_by, run.verdict) == ("errored", "error", "inconclusive")


def test_it_does_not_end_before_its_fault_is_gone(alice, environment, pump, control, spoil):
    run = start(alice, environment)
    pump.run_until(run, "injecting")
    pump.drain()
    control.cut_off("one", "two")
    spoil()
    for _ in range(100):
        pump.pass_time(5)
    run.refresh_from_db()
    assert run.status == "recovering"
    assert Claim.objects.filter(released_at__isnull=True).count() == 2
    control.cut_off()
    pump.run_until(run, *ENDED)
    assert control.live() == set()


def test_the_keeper_alone_ends_it_too(alice, environment, pump, control, spoil):
    run = start(alice, environment)
    pump.run_until(run, "injecting")
    pump.drain()
    spoil()
    pump.is_deaf = True
    for _ in range(30):
        pump.keep()
    run.refresh_from_db()
    assert run.status == "errored"
    assert control.live() == set()


def test_a_busy_database_ends_nothing(alice, environment, pump, control, monkeypatch):
    run = start(alice, environment)
    pump.run_until(run, "injecting")
    pump.drain()

    def locked(run):
        raise OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(snapshots, "load", locked)
        pump.pass_time(1)
        pump.pass_time(5)
    run.refresh_from_db()
    assert run.stop_requested_at is None
    assert pump.run_until(run, *ENDED).status == "completed"


def test_one_bad_moment_of_the_engine_recovers_the_run(
    alice, environment, pump, control, monkeypatch
):
    """The tick breaks once: the run is stopped for good, and ends through its usual states."""
    run = start(alice, environment)
    pump.run_until(run, "injecting")
    pump.drain()

    def broken(run):
        raise ZeroDivisionError("once")

    with monkeypatch.context() as patch:
        patch.setattr(snapshots, "load", broken)
        conducting.tick(run_id=run.pk)
    pump.run_until(run, *ENDED)
    assert (run.status, run.ended_by) == ("errored", "error")
    assert "ZeroDivisionError: once" in run.reason
    assert control.live() == set()

"""Every pair of states on a real database: what the table holds moves once, all else not at all."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from django.utils import timezone

from experiments.domain.states import (
    INJECTION_MOVES,
    MAY_EXIST,
    SETTLED,
    TERMINAL,
    TRANSITIONS,
    IllegalMoveError,
    InjectionPhase,
    Status,
)
from experiments.models import Call, Claim, Run
from experiments.services import transitions
from tests import factories
from tests.engine import moves

pytestmark = pytest.mark.django_db

PAIRS = list(product(Status, Status))
ALLOWED = [(old, new) for old, new in PAIRS if new in TRANSITIONS[old]]
REFUSED = [(old, new) for old, new in PAIRS if new not in TRANSITIONS[old]]


@pytest.fixture
def make_run(db):
    by = factories.person("alice", "operator")
    version, place = factories.version(by), factories.environment()

    def make(status):
        run = factories.run(version, place, by, status=status.value, next_due=timezone.now())
        Claim.objects.create(key=f"fake:{run.pk}", run=run, reserved_at=timezone.now())
        Call.objects.create(run=run, kind="judge", due_at=timezone.now())
        return run

    return make


def held(run):
    """Return every field of the run, and how much there is of its journal, claims and calls."""
    return (
        Run.objects.filter(pk=run.pk).values().get(),
        list(run.events.values_list("pk", flat=True)),
        list(run.claims.filter(released_at__isnull=True).values_list("key", flat=True)),
        list(run.calls.filter(finished_at__isnull=True).values_list("kind", flat=True)),
    )


def move(run, new):
    now = timezone.now()
    transitions.move(run=run, to=new, reason=f"to {new}", actor="alice", now=now)
    return now


def test_the_pairs_are_all_pairs():
    assert len(PAIRS) == len(Status) ** 2
    assert len(ALLOWED) == 18
    assert len(REFUSED) == 103


@pytest.mark.parametrize(("old", "new"), ALLOWED)
def test_a_move_of_the_table_is_made_and_explained_once(make_run, old, new):
    run = make_run(old)
    before, events, *_ = held(run)
    now = move(run, new)
    after, since, claims, calls = held(run)
    assert (after["status"], after["status_since"]) == (new, now)
    assert after["page_version"] == before["page_version"] + 1
    line = run.events.exclude(pk__in=events).get()
    assert (line.kind, line.old, line.new) == ("status", old, new)
    assert (line.actor, line.message, line.at) == ("alice", f"to {new}", now)
    assert len(since) == len(events) + 1
    is_over = new in TERMINAL
    assert (after["ended_at"] is not None, after["next_due"] is None) == (is_over, is_over)
    assert after["reason"] == (f"to {new}" if is_over else "")
    assert claims == ([] if is_over else [f"fake:{run.pk}"]), (
        "claims are let go at the end, not before"
    )
    assert calls == ([] if is_over else ["judge"])


@pytest.mark.parametrize("old", Status)
def test_any_other_move_is_refused_and_changes_nothing(make_run, old):
    run = make_run(old)
    before = held(run)
    for new in [new for known, new in REFUSED if known is old]:
        with pytest.raises(IllegalMoveError, match=f"from {old} to {new}"):
            move(run, new)
        assert held(run) == before
        assert run.status == old, "what the caller holds is unchanged too"


def test_a_move_of_a_run_that_has_moved_meanwhile_changes_nothing(make_run):
    for elsewhere in Status:
        run = make_run(elsewhere)
        before = held(run)
        for old, new in ALLOWED:
            if old is elsewhere:
                continue
            run.status = old.value
            with pytest.raises(transitions.LostRaceError, match=f"no longer {old}"):
                move(run, new)
            assert held(run) == before


@pytest.mark.parametrize("phase", sorted(MAY_EXIST))
def test_no_run_ends_while_a_fault_of_it_may_exist(make_run, phase):
    for old, new in [pair for pair in ALLOWED if pair[1] in TERMINAL]:
        run = make_run(old)
        factories.injection(run, phase.value)
        before = held(run)
        with pytest.raises(transitions.LostRaceError, match="may be live"):
            move(run, new)
        assert held(run) == before


@pytest.mark.parametrize("phase", sorted(SETTLED))
def test_a_run_ends_once_its_faults_are_settled(make_run, phase):
    run = make_run(Status.JUDGING)
    factories.injection(run, phase.value)
    move(run, Status.COMPLETED)
    assert run.status == "completed"


def test_every_status_is_reached_and_every_way_ends(make_run):
    """Walk every path of the table: each ends, and each journal is the path that was walked."""

    def ways(status):
        if status in TERMINAL:
            return [[status]]
        return [[status, *rest] for new in sorted(TRANSITIONS[status]) for rest in ways(new)]

    paths = ways(Status.REQUESTED)
    assert {status for path in paths for status in path} == set(Status)
    for path in paths:
        run = make_run(Status.REQUESTED)
        for new in path[1:]:
            move(run, new)
        lines = run.events.filter(kind="status").values_list("old", "new")
        assert list(lines) == list(pairwise(path))
        assert not run.is_live


def test_the_database_notes_every_phase_and_tells_what_the_table_does_not_hold(make_run):
    """The proof of the other tests' proof: the triggers see each change, and only changes."""
    row = factories.injection(make_run(Status.INJECTING), "planned", plan=factories.plan("t"))
    rows = type(row).objects.filter(pk=row.pk)
    moves.install()
    try:
        for old, new in product(InjectionPhase, InjectionPhase):
            rows.update(phase=old.value)
            moves.forget()
            rows.update(phase=new.value)
            rows.update(phase=new.value, failures=1)
            found = list(moves.seen().values())
            if old is new:
                assert found == []
            else:
                assert found == [moves.Seen("phase", row.pk, old.value, new.value, 0)]
                assert bool(moves.wrong(found[0])) == (new not in INJECTION_MOVES[old])
    finally:
        moves.remove()


def test_the_database_notes_what_may_still_exist_as_a_run_moves(make_run):
    run = make_run(Status.JUDGING)
    factories.injection(run, "unsettled")
    moves.install()
    try:
        Run.objects.filter(pk=run.pk).update(status="completed")
        (found,) = moves.seen().values()
    finally:
        moves.remove()
    assert found == moves.Seen("status", run.pk, "judging", "completed", 1)
    assert "may have existed" in moves.wrong(found)

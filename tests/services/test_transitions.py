"""The one door to a run's status, and the journal that nobody can change."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.db import DatabaseError, connection, transaction

from experiments.domain.states import IllegalMoveError, Status
from experiments.models import ExperimentVersion, Run, RunEvent
from experiments.models.experiment import ImmutableError
from experiments.services import transitions
from tests.services.worlds import ENDED, start

pytestmark = pytest.mark.django_db(transaction=True)


def move(run, to, now):
    transitions.move(run=run, to=to, reason="because", actor="alice", now=now)


def test_a_move_changes_the_status_and_says_why(alice, environment, pump):
    run = start(alice, environment)
    move(run, Status.CHECKING, pump.now())
    assert run.status == "checking"
    event = run.events.latest("id")
    assert (event.old, event.new, event.message, event.actor) == (
        "requested",
        "checking",
        "because",
        "alice",
    )


def test_a_move_that_the_table_does_not_hold_is_refused(alice, environment, pump):
    run = start(alice, environment)
    with pytest.raises(IllegalMoveError):
        move(run, Status.INJECTING, pump.now())
    run.refresh_from_db()
    assert run.status == "requested"


def test_whoever_comes_second_moves_nothing_and_writes_nothing(alice, environment, pump):
    run = start(alice, environment)
    late = Run.objects.get(pk=run.pk)
    move(run, Status.CHECKING, pump.now())
    events = run.events.count()
    with pytest.raises(transitions.LostRaceError):
        move(late, Status.STOPPED, pump.now())
    run.refresh_from_db()
    assert run.status == "checking"
    assert run.events.count() == events


def test_the_journal_explains_every_move(alice, environment, pump):
    run = pump.run_until(start(alice, environment), *ENDED)
    moves = list(run.events.exclude(new="").values_list("old", "new", "message", "actor"))
    assert [new for _, new, _, _ in moves] == [
        "requested",
        "checking",
        "baseline",
        "injecting",
        "recovering",
        "settling",
        "judging",
        "completed",
    ]
    assert [old for old, *_ in moves[1:]] == [new for _, new, *_ in moves[:-1]]
    assert all(message and actor for _, _, message, actor in moves)


@pytest.mark.parametrize("model", [RunEvent, ExperimentVersion])
def test_the_database_refuses_to_change_what_is_written_once(model, alice, environment, pump):
    pump.run_until(start(alice, environment), *ENDED)
    table = model._meta.db_table
    field = "message"
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        model.objects.update(**{field: "it was never so"})
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"UPDATE {table} SET {field} = 'it was never so'")
    row = model.objects.first()
    with pytest.raises(ImmutableError):
        row.save()
    with pytest.raises(ImmutableError):
        row.delete()


def test_the_database_refuses_to_delete_what_is_written_once(alice, environment, pump):
    """The tests' own database lacks these triggers, so that it can be emptied: install them."""
    start(alice, environment)
    migration = import_module("experiments.migrations.0002_append_only")
    with transaction.atomic(), connection.cursor() as cursor:
        editor = SimpleNamespace(connection=connection, execute=cursor.execute)
        migration._remove(None, editor)
        migration._install(None, editor)
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            cursor.execute("DELETE FROM experiments_runevent")
        transaction.set_rollback(True)
    assert RunEvent.objects.exists()

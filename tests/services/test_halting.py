"""Halts: nothing starts, everything stops, one broken run keeps nobody, and an admin resumes."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied

from experiments.domain.errors import InvalidDocumentError
from experiments.domain.states import EndedBy
from experiments.models import Environment, Halt, Run, User
from experiments.selectors import halting as selector
from experiments.services import conducting, halting, launching, people, transitions
from tests import factories
from tests.services.worlds import ENDED, document, fault, start

pytestmark = pytest.mark.django_db(transaction=True)

SLOW = {"baseline": "30s", "settle": "30s"}


@pytest.fixture
def ada(db) -> User:
    return factories.person("ada", people.ADMIN)


@pytest.fixture
def elsewhere(db) -> Environment:
    return factories.environment("elsewhere")


def halt(environment=None, reason="checkout is down"):
    return halting.halt(environment=environment, actor="bob", reason=reason)


def two_runs(alice, environment, pump) -> list[Run]:
    """Return two runs whose faults are live."""
    runs = []
    for target in ("one", "two"):
        raw = document(fault(duration="5m") | {"with": {"target": target}})
        runs.append(start(alice, environment, raw, key=target))
    for run in runs:
        pump.run_until(run, "injecting")
    pump.drain()
    return runs


def step_until(pump, run: Run, status: str) -> None:
    """Take single steps until the run stands there, also where it stands for a moment only."""
    for _ in range(1000):
        run.refresh_from_db()
        if run.status == status:
            return
        if pump.waiting:
            pump.step()
        else:
            pump.let_pass(1)
            conducting.tick(run_id=run.pk)
    raise AssertionError(f"{run} is still {run.status}, not {status}")


def test_a_halt_stops_every_run_and_removes_every_fault(alice, environment, pump, control):
    runs = two_runs(alice, environment, pump)
    assert len(control.live()) == 2
    halted = halt()
    assert (halted.is_new, halted.runs_stopped, halted.faults) == (True, 2, 2)
    assert halted.failed == {}
    pump.drain()
    assert control.live() == set()
    for run in runs:
        pump.run_until(run, *ENDED)
        assert (run.status, run.ended_by) == ("stopped", "halt")
        assert run.stop_actor == "bob"
        assert run.reason == "everything was halted by bob: checkout is down"
        assert run.verdict != "held"


def test_a_halt_refuses_new_runs_and_says_who_when_and_why(alice, environment, pump):
    halted = halt(environment).halt
    with pytest.raises(InvalidDocumentError) as refused:
        start(alice, environment)
    (error,) = refused.value.errors
    assert error.path == ("environment",)
    assert "bob" in error.message
    assert "checkout is down" in error.message
    assert f"{halted.since:%H:%M:%S}" in error.message
    assert not Run.objects.exists()


def test_the_same_request_still_finds_its_run_while_halted(alice, environment, pump):
    run = start(alice, environment)
    halt()
    again = launching.request_run(
        version=run.version, environment=environment, user=alice, idempotency_key="k"
    )
    assert again == run


def test_an_environments_halt_leaves_the_others_alone(alice, environment, elsewhere, pump):
    here = start(alice, environment, document(timing=SLOW))
    halted = halt(elsewhere)
    assert halted.runs_stopped == 0
    pump.run_until(here, "baseline")
    start(alice, environment, key="another")
    assert halting.active(environment) is None
    assert halting.active(elsewhere) == halted.halt
    everywhere = halt().halt
    assert halting.active(environment) == everywhere
    assert halting.active(elsewhere) == everywhere, "the wider one is named"


def test_halting_twice_is_one_halt_and_stops_each_run_once(alice, environment, pump):
    run = start(alice, environment, document(timing=SLOW))
    pump.run_until(run, "baseline")
    first = halt(reason="first")
    second = halt(reason="second")
    assert (second.is_new, second.runs_stopped) == (False, 0)
    assert second.halt == first.halt
    assert Halt.objects.get().reason == "first"
    assert run.events.filter(kind="stop").count() == 1


@pytest.mark.parametrize("status", ["requested", "checking", "baseline", "injecting"])
def test_a_halt_stops_a_run_in_every_state_before_recovery(
    alice, environment, pump, control, status
):
    run = start(alice, environment, document(fault(duration="5m"), timing=SLOW))
    step_until(pump, run, status)
    assert halt().runs_stopped == 1
    pump.run_until(run, *ENDED)
    assert (run.status, run.ended_by) == ("stopped", "halt")
    assert control.live() == set()


@pytest.mark.parametrize("status", ["recovering", "settling"])
def test_a_halt_ends_a_run_that_recovers_or_settles_as_stopped(
    alice, environment, pump, control, status
):
    run = start(alice, environment, document(timing=SLOW))
    pump.run_until(run, "injecting")
    step_until(pump, run, status)
    assert halt().runs_stopped == 1
    pump.run_until(run, *ENDED)
    assert (run.status, run.ended_by) == ("stopped", "halt")
    assert control.live() == set()


def test_a_run_that_is_being_judged_ends_by_itself(alice, environment, pump):
    run = start(alice, environment)
    step_until(pump, run, "judging")
    assert halting.scope_summary(None).ending == 1
    assert halt().runs_stopped == 0
    pump.run_until(run, *ENDED)
    assert (run.status, run.ended_by) == ("completed", "plan")


def test_a_run_that_is_requested_while_the_halt_is_committed_ends_before_any_fault(
    alice, environment, pump, control, monkeypatch
):
    """The request saw no halt; the halt's list of runs did not hold the run yet."""
    monkeypatch.setattr(selector, "active", lambda environment: None)
    halt(environment)
    run = start(alice, environment)
    monkeypatch.undo()
    assert run.stop_requested_at is None
    conducting.tick(run_id=run.pk)
    run.refresh_from_db()
    assert (run.status, run.ended_by) == ("stopped", "halt")
    assert run.reason.startswith("before any fault: rehearsal was halted by bob")
    assert control.calls("check") == 0
    assert control.calls("inject") == 0


def test_one_run_that_cannot_be_stopped_keeps_nobody_from_the_others(
    alice, environment, pump, control, monkeypatch, caplog
):
    broken, sound = two_runs(alice, environment, pump)
    order = transitions.order_stop

    def order_stop(*, run, **given):
        if run.pk == broken.pk:
            raise RuntimeError("its row is broken")
        return order(run=run, **given)

    def order_all(*_):
        raise RuntimeError("one of them is broken")

    with monkeypatch.context() as patched:
        patched.setattr(transitions, "order_stop", order_stop)
        patched.setattr(halting, "_order_free", order_all)
        halted = halt()
    assert halted.runs_stopped == 1
    assert halted.failed == {broken.pk: "RuntimeError: its row is broken"}
    assert any(record.levelname == "CRITICAL" for record in caplog.records)
    pump.drain()
    assert sound.injections.get().phase == "recovered"
    assert halt().runs_stopped == 1, "halting again stops what was left"
    pump.drain()
    assert control.live() == set()


def test_one_run_that_cannot_be_advanced_keeps_nobody_from_the_others(
    alice, environment, pump, control, monkeypatch
):
    broken, sound = two_runs(alice, environment, pump)
    tick = conducting.tick

    def fail(*, run_id):
        if run_id == broken.pk:
            raise RuntimeError("no")
        tick(run_id=run_id)

    monkeypatch.setattr(conducting, "tick", fail)
    assert halt().runs_stopped == 2
    monkeypatch.setattr(conducting, "tick", tick)
    sound.refresh_from_db()
    assert sound.injections.get().phase == "recovering"
    for _ in range(4):
        pump.keep()
    assert control.live() == set(), "the keeper found the order"


def test_a_halt_needs_no_queue(alice, environment, pump, control):
    two_runs(alice, environment, pump)
    pump.is_deaf = True
    halt()
    for _ in range(4):
        pump.keep()
    assert control.live() == set()


def test_many_runs_are_stopped_before_the_first_is_advanced(
    alice, environment, pump, monkeypatch, django_assert_max_num_queries
):
    version = start(alice, environment).version
    for _ in range(149):
        factories.run(version, environment, alice)
    ticked = []

    def tick(*, run_id):
        ticked.append(Run.objects.filter(stop_requested_at__isnull=True).count())

    monkeypatch.setattr(conducting, "tick", tick)
    with django_assert_max_num_queries(150 + 30):
        assert halt().runs_stopped == 150
    assert ticked
    assert set(ticked) == {0}, "each stop was committed before; one query of ours per tick"


def test_what_cannot_be_advanced_in_time_is_woken(alice, environment, pump, monkeypatch):
    run = start(alice, environment, document(timing=SLOW))
    pump.run_until(run, "baseline")
    pump.drain()
    monkeypatch.setattr(halting, "_TICKING_S", -1.0)
    halt()
    assert pump.waiting[0] == ("tick", (run.pk,))
    pump.drain()
    run.refresh_from_db()
    assert run.status == "stopped"


def test_texts_of_any_kind_are_kept_within_bounds(environment):
    halted = halting.halt(
        environment=environment, actor="x" * 400, reason="\x00\ud800 " + "y" * 900
    )
    kept = Halt.objects.get(pk=halted.halt.pk)
    assert len(kept.actor) == 150
    assert len(kept.reason) == 500
    assert "\x00" not in kept.reason
    assert halting.halt(environment=None, actor="bob", reason="").halt.reason == halting.NO_REASON


def test_two_who_halt_at_once_share_one_halt(environment, monkeypatch):
    first = halt(environment).halt
    real, asked = Halt.objects.filter, []

    def blind_once(*args, **kwargs):
        asked.append(kwargs)
        return Halt.objects.none() if len(asked) == 1 else real(*args, **kwargs)

    monkeypatch.setattr(Halt.objects, "filter", blind_once)
    second, is_new = halting._commit(environment, "carol", "second")
    assert len(asked) > 1
    monkeypatch.undo()
    assert (second, is_new) == (first, False)
    assert Halt.objects.get().reason == "checkout is down"


def test_a_halted_environment_that_was_renamed_does_not_keep_its_name_from_another(environment):
    first = halt(environment).halt
    Environment.objects.filter(pk=environment.pk).update(name="old-rehearsal")
    another = Environment.objects.create(name="rehearsal")
    second = halting.halt(environment=another, actor="bob", reason="")
    assert second.is_new
    assert halting.active(Environment.objects.get(name="old-rehearsal")) == first


def test_only_an_admin_resumes_and_only_with_a_reason(alice, ada, environment, pump):
    halted = halt(environment).halt
    with pytest.raises(PermissionDenied, match="resume"):
        halting.resume(halt=halted, user=alice, reason="it is mended")
    for reason in ("", "  \n"):
        with pytest.raises(InvalidDocumentError, match="say why"):
            halting.resume(halt=halted, user=ada, reason=reason)
    assert halting.active(environment) == halted
    assert halting.resume(halt=halted, user=ada, reason="it is mended")
    assert (halted.lifted_by, halted.lift_reason) == ("ada", "it is mended")
    assert not halting.resume(halt=halted, user=ada, reason="again")
    assert halting.active(environment) is None
    start(alice, environment)
    assert halt(environment).is_new


def test_the_summary_counts_by_environment(alice, environment, elsewhere, pump):
    two_runs(alice, environment, pump)
    version = Run.objects.earliest("pk").version
    factories.run(version, elsewhere, alice, status="settling", ago_s=400)
    factories.run(version, elsewhere, alice, status="judging", ago_s=400)
    everywhere = halting.scope_summary(None)
    assert (everywhere.runs, everywhere.ending, everywhere.faults) == (3, 1, 2)
    places = {place.environment.name: place for place in everywhere.places}
    assert (places["elsewhere"].runs, places["elsewhere"].ending) == (1, 1)
    here = halting.scope_summary(environment)
    assert (here.runs, here.faults) == (2, 2)
    assert here.consequence.startswith("2 live runs are stopped, 2 faults are removed, new runs")


def test_the_refusal_and_the_banner_name_the_same_halt(environment):
    halted = halt().halt
    assert selector.all_active() == [halted]
    assert selector.refusal(halted).startswith("everything has been halted since")


def test_stops_of_a_halt_are_told_as_such(alice, environment, pump):
    run = start(alice, environment, document(timing=SLOW))
    pump.run_until(run, "baseline")
    halt()
    run.refresh_from_db()
    assert run.stop_ended_by == EndedBy.HALT
    told = run.events.filter(kind="stop").get()
    assert (told.actor, told.message) == (
        "bob",
        "everything was halted by bob: checkout is down",
    )


@pytest.mark.only_on("postgresql")
def test_a_run_that_somebody_holds_does_not_keep_the_others_waiting(alice, environment, pump):
    import threading

    from django.db import connections

    held, free = two_runs(alice, environment, pump)
    is_held, is_done = threading.Event(), threading.Event()

    def hold() -> None:
        with transitions.holding(run_id=held.pk):
            is_held.set()
            is_done.wait(30)
        connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    is_held.wait(10)
    try:
        halted = halt()
        assert halted.runs_stopped == 1
        assert list(halted.failed) == [held.pk]
        free.refresh_from_db()
        assert free.stop_requested_at is not None
    finally:
        is_done.set()
        thread.join()
    assert halt().runs_stopped == 1


def test_a_run_that_the_halt_missed_is_stopped_by_the_keeper(
    alice, environment, pump, control, monkeypatch
):
    run = start(alice, environment, document(fault(duration="10m")))
    pump.run_until(run, "injecting")
    pump.drain()
    with monkeypatch.context() as patched:
        patched.setattr(halting, "_order_free", lambda *_: [])
        patched.setattr(transitions, "order_stop", lambda **_: 1 / 0)
        assert list(halt().failed) == [run.pk]
    assert control.live()
    pump.is_deaf = True
    for _ in range(4):
        pump.keep()
    run.refresh_from_db()
    assert run.stop_ended_by == EndedBy.HALT
    assert control.live() == set()

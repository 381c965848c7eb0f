"""``manage.py halt``: says what and how many, asks, halts, and removes the faults by itself."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from drivers.fake import Step
from experiments.models import Halt, Injection, Orphan, Run
from experiments.services import clock, recovering
from tests import factories
from tests.services.worlds import document, fault, start

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch, pump):
    """Let the command's pauses move the tests' clock instead of taking time."""
    real = recovering.recover_here

    def recover_here(**given: Any) -> recovering.Recovery:
        return real(**given, pause=pump.let_pass)

    monkeypatch.setattr(recovering, "recover_here", recover_here)


def live(alice, environment, pump, key="k", **changes: Any) -> Run:
    run = start(alice, environment, document(fault(duration="5m", **changes)), key=key)
    pump.run_until(run, "injecting")
    pump.drain()
    return run


def command(*args: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("halt", *args, stdout=out, **options)
    return out.getvalue()


def failing(*args: str) -> tuple[str, str]:
    out = io.StringIO()
    with pytest.raises(CommandError) as error:
        call_command("halt", *args, stdout=out)
    return out.getvalue(), str(error.value)


def test_it_halts_and_recovers_with_no_queue_and_no_keeper(alice, environment, pump, control):
    one = live(alice, environment, pump, **{"with": {"target": "one"}})
    two = live(alice, environment, pump, key="two", **{"with": {"target": "two"}})
    waiting = start(
        alice, environment, document(timing={"baseline": "30s", "settle": "0s"}), key="later"
    )
    pump.is_deaf = True
    pump.waiting.clear()
    said = command("--yes", "--reason", "fire drill")
    assert control.live() == set()
    assert "Halt everything: 3 live runs are stopped, 2 faults are removed" in said
    assert f"run {one.pk} one: recovered" in said
    assert f"run {two.pk} one: recovered" in said
    assert "Every fault was read back as gone (2)." in said
    waiting.refresh_from_db()
    assert (waiting.status, waiting.ended_by) == ("stopped", "halt")
    held = Halt.objects.get()
    assert held.reason == "fire drill"
    assert held.actor.startswith("manage.py halt")
    assert not pump.waiting


def test_a_backend_that_fails_a_while_is_asked_again(alice, environment, pump, control):
    live(alice, environment, pump)
    control.script(Step(method="recover", do="fail", times=2))
    said = command("--yes")
    assert control.live() == set()
    assert "recovering after 1 failures" in said
    assert "Every fault was read back as gone (1)." in said


def test_a_fault_that_does_not_go_ends_with_an_error_and_the_commands_by_hand(
    alice, environment, pump, control
):
    run = live(alice, environment, pump)
    row = run.injections.get()
    Injection.objects.filter(pk=row.pk).update(
        plan={**(row.plan or {}), "by_hand": ["undo it --now"]}
    )
    control.script(Step(method="recover", do="fail", times=9999))
    said, error = failing("--yes", "--within", "0.2")
    assert "MAY STILL BE BROKEN" in said
    assert f"run {run.pk} one on fake: recovering" in said
    assert "by hand: undo it --now" in said
    assert "Not everything was read back as gone" in error
    assert control.live() != set()


def test_an_unanswered_fault_that_reads_as_gone_is_told(alice, environment, pump, control):
    run = live(alice, environment, pump)
    run.injections.update(is_unanswered=True)
    said = command("--yes", "--within", "0")
    assert "reads as gone, but a call that was never answered may yet take effect" in said
    assert run.injections.get().phase == "unsettled"
    assert control.live() == set()


def test_an_orphan_in_scope_is_no_success(environment, pump):
    Orphan.objects.create(
        connection=environment.connections.get(kind="fake"),
        token="cw-lost",
        by_hand=["remove cw-lost"],
        first_seen_at=clock.now(),
        last_seen_at=clock.now(),
    )
    said, _ = failing("--yes", "--environment", "rehearsal")
    assert "cw-lost on fake: no run looks after it" in said
    assert "by hand: remove cw-lost" in said


def test_only_the_environment_is_halted(alice, environment, pump, control):
    run = live(alice, environment, pump)
    factories.environment("elsewhere")
    said = command("--yes", "--environment", "elsewhere")
    assert "Halt elsewhere: no run is live, no fault is there to remove" in said
    run.refresh_from_db()
    assert run.stop_requested_at is None
    assert control.live() != set()
    assert Halt.objects.get().scope == "elsewhere"


@pytest.mark.parametrize("name", ["nowhere", ""])
def test_a_name_that_is_none_halts_nothing(environment, name):
    _, error = failing("--yes", "--environment", name)
    assert "There is no environment" in error
    assert "rehearsal" in error
    assert not Halt.objects.exists()


@pytest.mark.parametrize(("answer", "is_halted"), [("yes", True), ("no", False), ("", False)])
def test_it_asks_first(environment, monkeypatch, answer, is_halted):
    monkeypatch.setattr("builtins.input", lambda _: answer)
    if is_halted:
        assert "everything is halted" in command()
    else:
        assert "Nothing was halted" in failing()[1]
    assert Halt.objects.exists() is is_halted


def test_without_anybody_to_answer_nothing_is_halted(environment, monkeypatch):
    def nobody(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", nobody)
    assert "--yes" in failing()[1]
    assert not Halt.objects.exists()


def test_it_may_be_repeated(environment):
    assert "everything is halted since" in command("--yes")
    assert "everything was halted already since" in command("--yes")
    assert Halt.objects.count() == 1

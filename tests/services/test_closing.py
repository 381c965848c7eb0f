"""A fault that a person removed by hand: the run goes on, and the backend has the last word."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied

from drivers.fake import FakeDriver, Step
from drivers.protocol import Handle
from experiments import backends
from experiments.domain.errors import InvalidDocumentError
from experiments.models import Claim, User
from experiments.services import (
    carrying,
    closing,
    held,
    launching,
    people,
    reconciling,
    removing,
)
from tests.services.worlds import ENDED, document, fault, start

pytestmark = pytest.mark.django_db(transaction=True)
WHY = "restarted both proxies"


def held_keys():
    return set(Claim.objects.filter(released_at__isnull=True).values_list("key", flat=True))


@pytest.fixture
def stuck(alice, environment, pump, control):
    """Return a stopped run whose fault cannot be removed: its targets do not answer."""
    run = start(alice, environment, document(fault(duration="5m")))
    pump.run_until(run, "injecting")
    pump.drain()
    control.cut_off("one", "two")
    launching.stop_run(run=run, actor="bob")
    pump.drain()
    injection = run.injections.get()
    assert (injection.phase, injection.failures > 0) == ("recovering", True)
    return run, injection


def close(injection, alice, reason=WHY):
    closing.close_by_hand(injection=injection, user=alice, reason=reason)
    injection.refresh_from_db()


def by_hand(control, *targets):
    """Remove the fault as a person does: nothing of it is left, and everything answers."""
    control.cut_off()
    control.restart(*(targets or ("one", "two")))


def test_the_run_goes_on_and_is_judged_while_the_claims_stay(stuck, alice, pump):
    run, injection = stuck
    claims = held_keys()
    assert claims == set(injection.claims)
    close(injection, alice)
    assert injection.phase == "recovered"
    assert (injection.by_hand_by, injection.by_hand_reason) == ("alice", WHY)
    assert injection.by_hand_at == injection.unchecked_since == pump.now()
    assert injection.due_at is None
    line = run.events.get(kind="by_hand")
    assert line.actor == "alice"
    assert WHY in line.message
    pump.run_until(run, *ENDED)
    assert (run.status, run.verdict) == ("stopped", "inconclusive")
    assert held_keys() == claims, "nobody has seen it gone"


def test_nobody_else_gets_the_claims_until_the_backend_has_answered(
    stuck, alice, environment, pump, control
):
    run, injection = stuck
    close(injection, alice)
    pump.run_until(run, *ENDED)
    by_hand(control)
    second = pump.run_until(start(alice, environment, key="second"), *ENDED)
    assert second.status == "refused"
    assert f"is held by run {run.pk}" in str(second.problems)
    closing.check_closed()
    assert held_keys() == set()
    third = pump.run_until(start(alice, environment, key="third"), *ENDED)
    assert third.status == "completed"


def test_it_is_checked_as_soon_as_the_backend_answers(stuck, alice, pump, control):
    run, injection = stuck
    close(injection, alice)
    pump.run_until(run, *ENDED)
    assert closing.check_closed() == 0, "unreachable is not gone"
    injection.refresh_from_db()
    assert injection.unchecked_since is not None
    assert "does not answer" in injection.last_error
    control.cut_off("two")
    control.restart("one", "two")
    assert closing.check_closed() == 0, "half of it was not read"
    assert held_keys() == set(injection.claims)
    control.cut_off()
    assert closing.check_closed() == 1
    injection.refresh_from_db()
    assert injection.unchecked_since is None
    assert injection.phase == "recovered"
    assert held_keys() == set()
    assert run.events.filter(message__contains="checked: it is gone, as read back").exists()
    assert closing.check_closed() == 0


def test_a_driver_that_raises_tells_nothing(stuck, alice, control):
    _, injection = stuck
    close(injection, alice)
    by_hand(control)
    control.script(Step(method="observe", do="fail", message="The backend is being restarted."))
    assert closing.check_closed() == 0
    injection.refresh_from_db()
    assert injection.unchecked_since is not None
    assert injection.last_error == "The backend is being restarted."


@pytest.mark.parametrize("has_ended", [False, True])
@pytest.mark.parametrize("cut_off", [(), ("two",)])
def test_a_fault_that_is_still_there_is_removed(
    stuck, alice, pump, control, caplog, has_ended, cut_off
):
    run, injection = stuck
    close(injection, alice)
    if has_ended:
        pump.run_until(run, *ENDED)
    control.cut_off(*cut_off)
    assert closing.check_closed() == 1
    injection.refresh_from_db()
    assert (injection.phase, injection.unchecked_since) == ("recovering", None)
    assert "is still there" in caplog.text
    assert held_keys() == set(injection.claims)
    pump.drain()
    if cut_off:
        assert len(control.live()) == 1
        control.cut_off()
    for _ in range(10):
        pump.pass_time(5)
        pump.keep()
    assert control.live() == set()
    injection.refresh_from_db()
    assert injection.phase == "recovered"
    assert held_keys() == set()
    run.refresh_from_db()
    assert run.status == "stopped"
    assert run.events.filter(message__contains="is still there").exists()


def test_the_keeper_alone_does_all_of_it(stuck, alice, pump, control):
    run, injection = stuck
    pump.is_deaf = True
    close(injection, alice)
    control.cut_off()
    for _ in range(10):
        pump.keep()
    assert control.live() == set()
    injection.refresh_from_db()
    assert (injection.phase, injection.unchecked_since) == ("recovered", None)
    run.refresh_from_db()
    assert run.status == "stopped"
    assert held_keys() == set()


def test_an_unanswered_inject_is_read_until_it_can_no_longer_come(
    alice, environment, pump, control
):
    """The person is right, and a moment later the call that nobody answered takes effect."""
    control.script(Step(method="inject", do="lose", effect="late", seconds=70))
    run = start(alice, environment, document(fault(duration="5m")))
    pump.drain()
    control.script(Step(method="recover", do="hang", times=50))
    launching.stop_run(run=run, actor="bob")
    pump.drain()
    injection = run.injections.get()
    assert (injection.phase, injection.is_unanswered) == ("recovering", True)
    close(injection, alice)
    for _ in range(5):
        pump.let_pass(10)
        assert closing.check_closed() == 0, "it reads as gone, and may still come"
    pump.let_pass(30)
    assert closing.check_closed() == 1
    injection.refresh_from_db()
    assert injection.phase == "recovering"


def test_an_unanswered_inject_that_never_comes_is_let_go_in_the_end(stuck, alice, pump, control):
    _, injection = stuck
    type(injection).objects.filter(pk=injection.pk).update(is_unanswered=True)
    close(injection, alice)
    by_hand(control)
    assert closing.check_closed() == 0
    assert held_keys()
    pump.let_pass(removing.SETTLE_READS_S[-1])
    assert closing.check_closed() == 1
    assert held_keys() == set()


def test_a_removal_on_its_way_cannot_undo_what_the_person_said(
    stuck, alice, pump, control, monkeypatch
):
    run, injection = stuck
    recover = FakeDriver.recover

    def slow(self, plan, handle):
        monkeypatch.setattr(FakeDriver, "recover", recover)
        close(injection, alice)
        return recover(self, plan, handle)

    monkeypatch.setattr(FakeDriver, "recover", slow)
    pump.let_pass(30)
    carrying.carry(injection_id=injection.pk)
    injection.refresh_from_db()
    assert injection.phase == "recovered"
    assert injection.unchecked_since is not None
    pump.run_until(run, *ENDED)


def test_another_action_of_the_run_keeps_its_claims_and_so_does_the_unchecked_one(
    alice, environment, pump, control
):
    target = {"with": {"target": "one"}}
    raw = document(fault("one", duration="5m", **target), fault("two", duration="5m", **target))
    raw["method"][1]["start"] = {"after": ["one"]}
    run = start(alice, environment, raw)
    pump.run_until(run, "injecting")
    pump.drain()
    control.cut_off("one")
    launching.stop_run(run=run, actor="bob")
    pump.drain()
    first = run.injections.get(action="one")
    assert first.claims == run.injections.get(action="two").claims
    close(first, alice)
    pump.run_until(run, *ENDED)
    removing.release_claims(injection=run.injections.get(action="two"), now=pump.now())
    assert held_keys() == set(first.claims)


class TestRefused:
    def test_without_the_permission(self, stuck):
        _, injection = stuck
        bob = User.objects.create_user("bob", password="x")
        people.give_role(user=bob, role="author")
        with pytest.raises(PermissionDenied):
            closing.close_by_hand(injection=injection, user=bob, reason=WHY)
        injection.refresh_from_db()
        assert injection.phase == "recovering"

    @pytest.mark.parametrize("reason", ["", "  ", "\x00", "x" * 501])
    def test_without_a_reason_that_can_be_kept(self, stuck, alice, reason):
        _, injection = stuck
        with pytest.raises(InvalidDocumentError) as caught:
            closing.close_by_hand(injection=injection, user=alice, reason=reason)
        assert caught.value.errors[0].dotted == "reason"
        injection.refresh_from_db()
        assert injection.phase == "recovering"

    def test_while_the_fault_is_in_effect(self, alice, environment, pump, control):
        run = start(alice, environment)
        pump.run_until(run, "injecting")
        pump.drain()
        with pytest.raises(closing.NotUnconfirmedError, match="no removal of it has failed"):
            closing.close_by_hand(injection=run.injections.get(), user=alice, reason=WHY)
        assert control.live()

    def test_before_a_removal_has_failed(self, alice, environment, pump, control):
        run = start(alice, environment)
        pump.run_until(run, "injecting")
        pump.drain()
        launching.stop_run(run=run, actor="bob")
        injection = run.injections.get()
        assert (injection.phase, injection.failures) == ("recovering", 0)
        with pytest.raises(closing.NotUnconfirmedError):
            closing.close_by_hand(injection=injection, user=alice, reason=WHY)

    def test_twice(self, stuck, alice):
        _, injection = stuck
        close(injection, alice)
        with pytest.raises(closing.NotUnconfirmedError, match="alice said already"):
            closing.close_by_hand(injection=injection, user=alice, reason="again")
        assert injection.by_hand_reason == WHY

    def test_once_it_is_gone(self, alice, environment, pump, control):
        run = pump.run_until(start(alice, environment), *ENDED)
        with pytest.raises(closing.NotUnconfirmedError, match="as read back"):
            closing.close_by_hand(injection=run.injections.get(), user=alice, reason=WHY)


def test_reconciling_finds_an_unchecked_fault_and_has_it_removed(stuck, alice, pump, control):
    run, injection = stuck
    close(injection, alice)
    pump.run_until(run, *ENDED)
    control.cut_off()
    pump.let_pass(1)
    assert reconciling.reconcile() == 0, "the ledger looks after it: it is no orphan"
    injection.refresh_from_db()
    assert (injection.phase, injection.unchecked_since) == ("recovering", None)
    pump.drain()
    assert control.live() == set()
    assert held_keys() == set()


class TestBackAfterTheEnd:
    """A fault that comes back after its run has ended holds its claims until it is gone."""

    def came_back(self, alice, environment, pump):
        run = pump.run_until(start(alice, environment), *ENDED)
        injection = run.injections.get()
        pump.let_pass(1)
        backends.driver(injection.connection).inject(held.plan_of(injection))
        return run, injection

    def test_nobody_injects_over_it(self, alice, environment, pump, control):
        run, injection = self.came_back(alice, environment, pump)
        assert held_keys() == set()
        assert reconciling.reconcile() == 1
        assert held_keys() == set(injection.claims)
        assert run.events.filter(message__contains="again").exists()
        second = start(alice, environment, key="second")
        pump.waiting.rotate(-1)  # the second run's check comes before the removal
        pump.run_until(second, *ENDED)
        pump.drain()
        assert control.live() == set()
        assert held_keys() == set()
        injection.refresh_from_db()
        assert injection.phase == "recovered"

    def test_what_another_run_holds_by_now_is_told(self, alice, environment, pump, control):
        run, injection = self.came_back(alice, environment, pump)
        driver, plan = backends.driver(injection.connection), held.plan_of(injection)
        driver.recover(plan, Handle(token=plan.token))
        raw = document(fault(duration="5m", **{"with": {"target": "one"}}))
        second = pump.run_until(start(alice, environment, raw, key="second"), "injecting")
        taken = set(second.injections.get().claims)
        assert taken < set(injection.claims)
        assert closing.reopen(
            injection=injection, reason="found again", actor="reconcile", now=pump.now()
        )
        assert held_keys() == set(injection.claims)
        line = run.events.get(message__contains="by now")
        assert f"held by run {second.pk}" in line.message
        pump.drain()
        injection.refresh_from_db()
        assert injection.phase == "recovered"
        assert held_keys() == taken, "what the second run holds is its own"

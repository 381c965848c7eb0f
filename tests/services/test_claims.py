"""What a run holds: reserved before the baseline, released when its removal is verified."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.fake import Step
from experiments.domain.states import Status
from experiments.models import Claim, Injection
from experiments.services import transitions
from tests.engine import moves
from tests.services.worlds import ENDED, document, fault, start

pytestmark = pytest.mark.django_db(transaction=True)

ONE: dict[str, Any] = {"with": {"target": "one"}}
TWO: dict[str, Any] = {"with": {"target": "two"}}


def held() -> set[str]:
    rows = Claim.objects.filter(released_at__isnull=True)
    return {row.key.removeprefix("fake:fake:") for row in rows}


def test_claims_are_reserved_before_the_baseline(alice, environment, pump):
    run = start(alice, environment, document(timing={"baseline": "1h", "settle": "0s"}))
    pump.drain()
    run.refresh_from_db()
    assert run.status == "baseline"
    assert held() == {"one:fake.abort", "two:fake.abort"}


def test_a_second_run_of_the_same_thing_is_refused_and_told_who_holds_it(
    alice, environment, pump, control
):
    raw = document(timing={"baseline": "1h", "settle": "0s"})
    first = start(alice, environment, raw, key="first")
    pump.drain()
    second = pump.run_until(start(alice, environment, document(), key="second"), *ENDED)
    assert second.status == "refused"
    assert f"is held by run {first.pk}" in second.reason
    assert not second.injections.exists()
    assert control.calls("inject") == 0
    first.refresh_from_db()
    assert first.status == "baseline"
    assert {claim.run_id for claim in Claim.objects.filter(released_at__isnull=True)} == {first.pk}


def test_all_claims_are_reserved_or_none(alice, environment, pump):
    raw = document(fault(**TWO), timing={"baseline": "1h", "settle": "0s"})
    start(alice, environment, raw, key="first")
    pump.drain()
    second = pump.run_until(start(alice, environment, document(), key="second"), *ENDED)
    assert second.status == "refused"
    assert held() == {"two:fake.abort"}


def test_two_runs_of_different_things_go_on_beside_each_other(alice, environment, pump):
    one = start(alice, environment, document(fault(**ONE)), key="one")
    two = start(alice, environment, document(fault(**TWO)), key="two")
    assert pump.run_until(one, *ENDED).status == "completed"
    assert pump.run_until(two, *ENDED).status == "completed"


def test_a_claim_is_free_again_once_its_removal_is_verified(alice, environment, pump):
    raw = document(fault("a", **ONE), {"name": "pause", "wait": "1h"})
    run = start(alice, environment, raw, key="first")
    pump.run_until(run, "injecting")
    for _ in range(15):
        pump.pass_time(1)
    assert run.injections.get().phase == "recovered"
    assert held() == set()
    second = start(alice, environment, document(fault(**ONE)), key="second")
    assert pump.run_until(second, *ENDED).status == "completed"


def test_actions_of_one_run_may_share_a_claim_one_after_another(alice, environment, pump, control):
    run = start(alice, environment, document(fault("a"), fault("b")))
    pump.run_until(run, "injecting")
    for _ in range(12):
        pump.pass_time(1)
    assert [row.phase for row in run.injections.all()] == ["recovered", "active"]
    assert held() == {"one:fake.abort", "two:fake.abort"}, "the second still needs them"
    assert pump.run_until(run, *ENDED).status == "completed"
    assert held() == set()


@pytest.mark.parametrize(
    "start_of_b",
    [
        {"with": ["a"]},
        {"delay": "1m"},
        {"after": ["pause"]},
    ],
)
def test_actions_of_one_run_may_not_share_a_claim_at_once(alice, environment, pump, start_of_b):
    raw = document(
        fault("a"),
        {"name": "pause", "wait": "1s", "start": {"with": ["a"]}},
        fault("b", start=start_of_b),
    )
    run = pump.run_until(start(alice, environment, raw), *ENDED)
    assert run.status == "refused"
    assert "a and b would both hold fake:fake:one:fake.abort" in run.reason
    assert held() == set()


def test_an_order_that_the_list_does_not_show_is_seen_through(alice, environment, pump):
    raw = document(
        fault("c", start={"after": ["b"]}),
        {"name": "b", "wait": "1s", "start": {"after": ["a"]}},
        fault("a", start={}),
    )
    assert pump.run_until(start(alice, environment, raw), *ENDED).status == "completed"


def test_no_status_ends_a_run_while_a_fault_may_be_live(alice, environment, pump, control):
    """A fault that comes back while the run is being judged keeps it, and its claims."""
    control.script(Step(method="recover", do="fail", times=9))
    run = start(alice, environment, document(timing={"baseline": "0s", "settle": "20s"}))
    pump.run_until(run, "settling")
    Injection.objects.filter(run=run).update(phase="recovering", due_at=pump.now())
    Claim.objects.filter(run=run).update(released_at=None)
    control.script(Step(method="recover", do="fail", times=9))
    for _ in range(30):
        pump.pass_time(1)
    run.refresh_from_db()
    assert run.status == "settling"
    assert held() == {"one:fake.abort", "two:fake.abort"}
    pump.run_until(run, *ENDED)
    assert held() == set()


def test_transitions_refuse_to_end_a_run_with_a_live_fault(alice, environment, pump, control):
    run = start(alice, environment)
    pump.run_until(run, "judging", *ENDED)
    type(run).objects.filter(pk=run.pk).update(status="judging")
    run.refresh_from_db()
    Injection.objects.filter(run=run).update(phase="unsettled")
    moves.forget()  # nothing of ours ever brings a run here
    with pytest.raises(transitions.LostRaceError, match="may be live"):
        transitions.move(
            run=run,
            to=Status.COMPLETED,
            reason="",
            actor="engine",
            now=pump.now(),
        )
    run.refresh_from_db()
    assert run.status == "judging"

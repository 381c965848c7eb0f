"""What every driver promises, on every backend that can be had."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.protocol import DriverError, FaultRequest, Handle, Plan
from tests.drivers.conftest import EARLIER, FOREIGN, Rig


def request_of(rig: Rig, token: str = "tok-1", percentage: float = 100) -> FaultRequest:
    return FaultRequest(rig.params(percentage), token)


def test_check_finds_nothing_wrong_with_a_healthy_backend(rig: Rig) -> None:
    assert rig.driver.check(request_of(rig)) == []


def test_check_warns_of_a_foreign_value(rig: Rig) -> None:
    rig.set_value(EARLIER)
    assert [each.severity for each in rig.driver.check(request_of(rig))] == ["warning"]


def test_check_and_prepare_refuse_what_another_injection_holds(rig: Rig) -> None:
    rig.driver.inject(rig.driver.prepare(request_of(rig)))
    assert "error" in {each.severity for each in rig.driver.check(request_of(rig, "tok-2"))}
    with pytest.raises(DriverError, match="tok-1") as caught:
        rig.driver.prepare(request_of(rig, "tok-2"))
    assert not caught.value.retryable


def word_of(rig: Rig) -> str:
    """Return what the fault's field suggests, as its model says."""
    field = type(rig.params()).model_json_schema()["properties"][rig.suggests]
    return str(field["suggest"])


def test_what_is_suggested_is_accepted_and_hits_something(rig: Rig) -> None:
    found = rig.driver.suggest(word_of(rig), {})
    assert found
    for each in found:
        fields: dict[str, Any] = {rig.suggests: each.value}
        request = FaultRequest(rig.params(**fields), "tok-1")
        assert "error" not in {problem.severity for problem in rig.driver.check(request)}
        assert rig.driver.resolve(request).targets
    assert len({each.value for each in found}) == len(found)


def test_suggesting_takes_what_is_half_written_and_knows_no_other_word(rig: Rig) -> None:
    written = {rig.suggests: ["wr"], "percentage": "${share", "no_such_field": None}
    assert rig.driver.suggest(word_of(rig), written) == rig.driver.suggest(word_of(rig), {})
    assert rig.driver.suggest("no such word", written) == []


def test_suggesting_changes_nothing(rig: Rig) -> None:
    rig.set_value(EARLIER)
    rig.driver.suggest(word_of(rig), {})
    assert rig.value() == EARLIER
    assert rig.driver.owned() == []


def test_suggesting_needs_one_target_that_answers(rig: Rig) -> None:
    expected = {each.value for each in rig.driver.suggest(word_of(rig), {})}
    rig.cut_off()
    if rig.targets == 1:
        with pytest.raises(DriverError) as caught:
            rig.driver.suggest(word_of(rig), {})
        assert caught.value.retryable
    else:
        assert {each.value for each in rig.driver.suggest(word_of(rig), {})} <= expected


def test_preview_makes_no_call_and_shows_every_target(rig: Rig) -> None:
    rig.cut_off()
    preview = rig.driver.preview(request_of(rig))
    rig.join_again()
    assert len(preview.documents) == rig.targets
    assert preview.sentence
    assert preview.undo


def test_resolve_names_the_targets(rig: Rig) -> None:
    assert len(rig.driver.resolve(request_of(rig)).targets) == rig.targets


def test_a_plan_survives_the_ledger(rig: Rig) -> None:
    plan = Plan.model_validate_json(rig.driver.prepare(request_of(rig)).model_dump_json())
    handle = Handle.model_validate_json(rig.driver.inject(plan).model_dump_json())
    assert rig.driver.observe(plan, handle).phase == "active"
    assert plan.claims
    assert len(plan.by_hand) == rig.targets


def test_prepare_changes_nothing(rig: Rig) -> None:
    plan = rig.driver.prepare(request_of(rig))
    assert rig.value() is None
    assert rig.driver.owned() == []
    assert rig.driver.observe(plan, None).phase == "pending"


def test_inject_observe_recover(rig: Rig) -> None:
    plan = rig.driver.prepare(request_of(rig))
    handle = rig.driver.inject(plan)
    assert rig.faulted(20) == 20 * rig.targets
    seen = rig.driver.observe(plan, handle)
    assert (seen.phase, seen.requested_share, seen.delivered_share) == ("active", 1.0, 1.0)
    assert {each.phase for each in seen.targets} == {"active"}
    assert (seen.is_lost, seen.is_unknown) == (False, False)
    assert seen.exposed == seen.affected
    assert rig.driver.recover(plan, handle).phase == "gone"
    assert rig.faulted(20) == 0
    assert rig.value() is None
    assert rig.driver.owned() == []
    assert rig.driver.observe(plan, handle).phase == "gone"


def test_recover_restores_an_earlier_value(rig: Rig) -> None:
    rig.set_value(EARLIER)
    plan = rig.driver.prepare(request_of(rig))
    handle = rig.driver.inject(plan)
    assert rig.value() != EARLIER
    assert rig.driver.recover(plan, handle).phase == "gone"
    assert rig.value() == EARLIER


def test_injecting_twice_is_injecting_once(rig: Rig) -> None:
    rig.set_value(EARLIER)
    plan = rig.driver.prepare(request_of(rig))
    assert rig.driver.inject(plan) == rig.driver.inject(plan)
    rig.driver.recover(plan, None)
    assert rig.value() == EARLIER


@pytest.mark.parametrize("was", [None, EARLIER])
def test_preparing_again_does_not_take_the_fault_for_what_was_there(
    rig: Rig, was: str | None
) -> None:
    rig.set_value(was)
    first = rig.driver.prepare(request_of(rig))
    rig.driver.inject(first)
    second = rig.driver.prepare(request_of(rig))
    assert (second.undo, second.by_hand) == (first.undo, first.by_hand)
    handle = rig.driver.inject(second)
    assert rig.driver.observe(second, handle).phase == "active"
    assert rig.driver.recover(second, handle).phase == "gone"
    assert rig.value() == was
    assert rig.driver.owned() == []


def test_preparing_again_sees_no_earlier_value_in_one_that_replaced_the_fault(rig: Rig) -> None:
    rig.set_value(EARLIER)
    first = rig.driver.prepare(request_of(rig))
    rig.driver.inject(first)
    rig.set_value(FOREIGN)
    second = rig.driver.prepare(request_of(rig))
    assert second.undo == first.undo
    with pytest.raises(DriverError) as caught:
        rig.driver.inject(second)
    assert not caught.value.retryable
    assert rig.value() == FOREIGN


def test_inject_refuses_a_value_that_came_after_the_plan(rig: Rig) -> None:
    plan = rig.driver.prepare(request_of(rig))
    rig.set_value(FOREIGN)
    with pytest.raises(DriverError) as caught:
        rig.driver.inject(plan)
    assert not caught.value.retryable
    assert rig.value() == FOREIGN
    assert rig.driver.owned() == []


def test_recover_leaves_a_foreign_value(rig: Rig) -> None:
    plan = rig.driver.prepare(request_of(rig))
    handle = rig.driver.inject(plan)
    rig.set_value(FOREIGN)
    seen = rig.driver.observe(plan, handle)
    assert (seen.targets[0].phase, seen.is_lost) == ("foreign", True)
    seen = rig.driver.recover(plan, handle)
    assert (seen.phase, seen.targets[0].phase) == ("gone", "foreign")
    assert FOREIGN in seen.message
    assert rig.value() == FOREIGN
    assert rig.driver.owned() == []


def test_recovering_twice_and_before_injecting_is_safe(rig: Rig) -> None:
    rig.set_value(EARLIER)
    plan = rig.driver.prepare(request_of(rig))
    assert rig.driver.recover(plan, None).phase == "gone"
    handle = rig.driver.inject(plan)
    assert rig.driver.recover(plan, handle).phase == "gone"
    assert rig.driver.recover(plan, handle).phase == "gone"
    assert rig.value() == EARLIER


def test_recover_leaves_the_fault_of_another_injection(rig: Rig) -> None:
    mine = rig.driver.prepare(request_of(rig, "tok-1"))
    theirs = rig.driver.prepare(request_of(rig, "tok-2"))
    rig.driver.inject(theirs)
    with pytest.raises(DriverError, match="tok-2"):
        rig.driver.inject(mine)
    assert rig.driver.recover(mine, None).phase == "gone"
    assert rig.driver.observe(theirs, Handle(token="tok-2")).phase == "active"


def test_owned_rebuilds_a_plan_that_recovers(rig: Rig) -> None:
    rig.set_value(EARLIER)
    plan = rig.driver.prepare(request_of(rig))
    rig.driver.inject(plan)
    (owned,) = rig.driver.owned()
    assert (owned.token, len(owned.targets)) == ("tok-1", rig.targets)
    assert owned.plan is not None
    assert (owned.plan.fault, owned.plan.claims) == (plan.fault, plan.claims)
    assert rig.driver.observe(owned.plan, Handle(token="tok-1")).phase == "active"
    assert rig.driver.recover(owned.plan, None).phase == "gone"
    assert rig.value() == EARLIER
    assert rig.driver.owned() == []


def test_a_restart_loses_the_fault_and_it_can_be_injected_again(rig: Rig) -> None:
    plan = rig.driver.prepare(request_of(rig))
    handle = rig.driver.inject(plan)
    rig.restart()
    seen = rig.driver.observe(plan, handle)
    assert seen.phase == ("gone" if rig.targets == 1 else "partly")
    assert (seen.is_lost, seen.is_unknown) == (True, False)
    assert seen.targets[0].phase == "gone"
    handle = rig.driver.inject(plan)
    assert rig.driver.observe(plan, handle).phase == "active"
    assert rig.driver.recover(plan, handle).phase == "gone"


def test_an_unreachable_target_is_never_reported_gone(rig: Rig) -> None:
    plan = rig.driver.prepare(request_of(rig))
    handle = rig.driver.inject(plan)
    rig.cut_off()
    assert rig.driver.check(request_of(rig))
    with pytest.raises(DriverError) as caught:
        rig.driver.prepare(request_of(rig, "tok-1"))
    assert caught.value.retryable
    seen = rig.driver.observe(plan, handle)
    assert (seen.is_lost, seen.is_unknown) == (False, rig.targets == 1)
    seen = rig.driver.recover(plan, handle)
    assert seen.phase == "partly"
    assert seen.targets[0].phase == "unreachable"
    rig.join_again()
    assert rig.driver.recover(plan, handle).phase == "gone"
    assert rig.value() is None


def test_nothing_is_injected_while_one_target_is_unreachable(rig: Rig) -> None:
    plan = rig.driver.prepare(request_of(rig))
    rig.cut_off()
    with pytest.raises(DriverError) as caught:
        rig.driver.inject(plan)
    assert caught.value.retryable
    rig.join_again()
    assert rig.driver.owned() == []

"""What becomes of a fault whose sentinels somebody deleted or rewrote, on a real Envoy."""

from __future__ import annotations

import pytest

from drivers.envoy.payload import inject_values, target_plans
from drivers.protocol import DriverError, Handle
from tests.drivers.conftest import PERCENT_KEY, abort, opened
from tests.servers.envoy import RunningEnvoy

STATUS_KEY = "fault.http.abort.http_status"


def delete_sentinels(envoy: RunningEnvoy, *, of: str = "") -> None:
    """Delete our sentinels, as somebody who leaves the overrides would."""
    held = [key for key in envoy.overrides() if key.startswith("chaosweb.") and key.endswith(of)]
    assert held
    envoy.modify(**dict.fromkeys(held, ""))


@pytest.mark.parametrize("of", ["", PERCENT_KEY])
@pytest.mark.parametrize("was", ["", "1"])
def test_an_override_whose_sentinel_somebody_deleted_is_ours_still(
    envoy: RunningEnvoy, of: str, was: str
) -> None:
    envoy.modify(**{PERCENT_KEY: was})
    before = envoy.overrides()
    driver = opened(envoy)
    plan = driver.prepare(abort())
    handle = driver.inject(plan)
    delete_sentinels(envoy, of=of)
    assert envoy.get().status_code == 503
    seen = driver.observe(plan, handle)
    assert (seen.phase, seen.is_lost) == ("active", False)
    assert (seen.targets[0].phase, seen.targets[0].detail) == ("active", "Its sentinel is missing.")
    seen = driver.recover(plan, handle)
    assert (seen.phase, seen.message) == ("gone", "")
    assert envoy.overrides() == before
    assert driver.observe(plan, handle).phase == "gone"


def test_a_part_without_its_sentinel_is_never_called_gone(envoy: RunningEnvoy) -> None:
    driver = opened(envoy)
    plan = driver.prepare(abort())
    handle = driver.inject(plan)
    delete_sentinels(envoy)
    envoy.modify(**{STATUS_KEY: ""})
    seen = driver.observe(plan, handle)
    assert (seen.phase, seen.is_lost) == ("partly", True)
    assert seen.targets[0].detail == "Part of it is still there."
    envoy.modify(**{STATUS_KEY: "404"})
    seen = driver.observe(plan, handle)
    assert (seen.phase, seen.targets[0].phase) == ("partly", "foreign")
    assert PERCENT_KEY not in seen.message
    seen = driver.recover(plan, handle)
    assert (seen.phase, seen.targets[0].phase) == ("gone", "foreign")
    assert envoy.overrides() == {STATUS_KEY: "404"}


def test_a_value_like_ours_is_a_strangers_where_nothing_was_injected(envoy: RunningEnvoy) -> None:
    driver = opened(envoy)
    plan = driver.prepare(abort())
    envoy.modify(**{PERCENT_KEY: "100"})
    assert driver.observe(plan, None).targets[0].phase == "foreign"
    seen = driver.recover(plan, None)
    assert (seen.phase, seen.targets[0].phase) == ("gone", "foreign")
    assert envoy.overrides() == {PERCENT_KEY: "100"}


def test_the_same_value_of_another_injection_is_left(envoy: RunningEnvoy) -> None:
    driver = opened(envoy)
    mine, theirs = driver.prepare(abort("tok-1")), driver.prepare(abort("tok-2"))
    handle = driver.inject(mine)
    delete_sentinels(envoy)
    envoy.modify(**inject_values(theirs.token, theirs.fault, target_plans(theirs)[0]))
    assert driver.observe(mine, handle).targets[0].phase == "foreign"
    assert driver.recover(mine, handle).phase == "gone"
    assert driver.observe(theirs, Handle(token="tok-2")).phase == "active"


@pytest.mark.parametrize("text", ["", "mine"])
def test_prepare_refuses_a_value_of_its_token_whose_sentinel_does_not_tell(
    envoy: RunningEnvoy, text: str
) -> None:
    driver = opened(envoy)
    driver.inject(driver.prepare(abort()))
    before = envoy.overrides()
    envoy.modify(**{f"chaosweb.tok-1.{PERCENT_KEY}": text})
    with pytest.raises(DriverError, match="already injected under this token") as caught:
        driver.prepare(abort())
    assert not caught.value.retryable
    assert PERCENT_KEY in caught.value.message
    assert envoy.overrides()[PERCENT_KEY] == before[PERCENT_KEY]

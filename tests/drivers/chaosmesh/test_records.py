"""Objects of Chaos Mesh are read as what they do, never as more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from drivers.chaosmesh import diagnosis, records
from drivers.protocol import Plan

NOW = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)


def event(operation: str, message: str = "", second: int = 0) -> dict[str, Any]:
    kind = "Failed" if message else "Succeeded"
    at = f"2026-01-01T12:00:{second:02d}Z"
    return {"type": kind, "operation": operation, "message": message, "timestamp": at}


def record(phase: str, name: str = "a", *events: dict[str, Any], injected: int = 0, **more: Any):
    return {
        "id": f"shop/{name}",
        "selectorKey": ".",
        "phase": phase,
        "injectedCount": injected,
        "recoveredCount": 0,
        "events": list(events),
        **more,
    }


def body(*found: dict[str, Any], desired: str = "Run", going: str = "", **conditions: str):
    return {
        "metadata": {"deletionTimestamp": going} if going else {},
        "status": {
            "conditions": [{"type": key, "status": value} for key, value in conditions.items()],
            "experiment": {"desiredPhase": desired, "containerRecords": list(found)},
        },
    }


def plan(matching: int | None = 4, share: float | None = 0.5) -> Plan:
    return Plan(
        token="cw-1",
        fault="chaosmesh.pod_failure",
        documents=(),
        targets=(),
        claims=(),
        requested_share=share,
        details={
            "resource": "PodChaos",
            "namespace": "shop",
            "name": "cw-1",
            "matching": matching,
        },
    )


def seen(made: dict[str, Any], *events: str, lost: Any = (), one_shot: bool = False):
    told = [{"type": "Warning", "message": each} for each in events]
    return records.observation(plan(), made, told, set(lost), is_one_shot=one_shot)


HIT = record("Injected", "a", event("Apply"), injected=1)
FAILED = record(
    "Not Injected/Wait",
    "b",
    event("Apply", "no daemon", 1),
    event("Apply", "no daemon", 9),
)


@pytest.mark.parametrize(
    ("made", "phase", "is_lost"),
    [
        (body(HIT), "active", False),
        (body(HIT, record("Not Injected", "b")), "partly", True),
        (body(HIT, FAILED), "partly", True),
        (body(FAILED), "failed", True),
        (body(record("Not Injected/Wait", "b", event("Apply", "x", 1))), "pending", False),
        (body(record("Not Injected", "b")), "pending", False),
        (body(record("Not Injected", "a", injected=1), desired="Stop"), "gone", True),
        (body(record("Injected/Wait", "a", injected=1), desired="Stop"), "active", False),
        (body(), "pending", False),
        (body(Selected="True"), "failed", True),
        ({}, "pending", False),
    ],
)
def test_records_say_how_far_it_is(made: dict[str, Any], phase: str, is_lost: bool) -> None:
    found = seen(made)
    assert (found.phase, found.is_lost) == (phase, is_lost)


def test_partial_injection_is_counted_against_what_matched() -> None:
    found = seen(body(HIT, FAILED))
    assert (found.exposed, found.affected, found.delivered_share) == (4.0, 1.0, 0.25)
    assert found.requested_share == 0.5
    assert "1 of 2 targets are hit" in found.message
    assert "no daemon" in found.message


def test_selecting_nothing_is_a_failure_with_what_chaos_mesh_says() -> None:
    found = seen(body(), "Failed to select targets: no pod is selected")
    assert (found.phase, found.exposed, found.affected) == ("failed", 0.0, 0.0)
    assert found.delivered_share is None
    assert "no pod is selected" in found.message


def test_a_pod_that_vanished_is_hit_no_longer_but_a_killed_one_was() -> None:
    assert seen(body(HIT), lost=["shop/a"]).phase == "gone"
    assert seen(body(HIT), lost=["shop/a"], one_shot=True).phase == "active"


def test_the_other_side_of_a_network_does_not_count_as_hit_twice() -> None:
    other = record("Injected", "z", injected=1, selectorKey=".Target")
    found = seen(body(HIT, other))
    assert (found.phase, found.affected) == ("active", 1.0)
    assert found.targets[1].name == "shop/z (the other side)"


def test_a_later_success_ends_a_series_of_failures() -> None:
    tried = record("Not Injected/Wait", "a", event("Apply", "x", 1), event("Apply", "", 2))
    (found,) = records.read(body(tried)).records
    assert (found.failure("Apply"), found.failing_s()) == ("", 0.0)


def words(made: dict[str, Any], lost: Any = (), **more: str) -> str:
    return diagnosis.words(records.read(made), set(lost), now=NOW, **more)


BEGUN = "2026-01-01T12:00:10Z"


def test_a_hanging_deletion_is_explained_by_whom_it_waits_for() -> None:
    daemon = record("Not Injected/Wait", "a", event("Apply", "cannot find daemonIP on node n1", 20))
    said = words(body(daemon, desired="Stop", going=BEGUN))
    assert "shop/a (Not Injected/Wait): no chaos-daemon runs on its node." in said
    assert "nothing would stay" in said
    refused = record("Injected/Wait", "a", event("Recover", "boom", 20), injected=1)
    said = words(body(refused, desired="Stop", going=BEGUN))
    assert "Chaos Mesh says: boom." in said
    assert "nothing would stay" not in said
    assert "the pod is not there any more" in words(body(refused, going=BEGUN), lost=["shop/a"])


def test_a_deletion_that_nobody_works_on_is_told() -> None:
    hit = body(HIT, going=BEGUN)
    assert "Nobody works on its deletion" in words(hit)
    assert "Nobody works" not in words(body(HIT, going="2026-01-01T12:00:25Z"))
    assert "cannot ask Chaos Mesh's webhook" in words(hit, webhook="connection refused")
    assert words(hit, controller="It has no ready pod.").startswith("It has no ready pod.")
    done = body(record("Not Injected", "a", event("Recover", "", 20)), going=BEGUN)
    assert "has not let go of it" in words(done)

"""A run from request to verdict: real workers, a real Envoy, and the processes that may die."""

from __future__ import annotations

import pytest

from tests.system.conftest import BOTH_DATABASES
from tests.system.stack import Stack
from tests.system.world import Mesh, World


def test_a_run_faults_real_requests_and_leaves_the_runtime_as_it_was(
    stack: Stack, world: World, mesh: Mesh
) -> None:
    by_hand = {"fault.http.abort.http_status": "418", "fault.http.abort.abort_percent": "0"}
    mesh.envoy.modify(**{key.replace(".", "__"): value for key, value in by_hand.items()})
    before = mesh.envoy.overrides()
    with mesh.traffic() as traffic:
        run = world.start()
        faulted = traffic.wait_for(503, 30)
        during = mesh.envoy.overrides()
        traffic.wait_for(200, 30, since=faulted.at)
        seen = world.finish(run)
        statuses = [answer.status for answer in traffic.answers()]
    assert set(statuses) == {200, 503}
    assert statuses[-1] == 200
    assert "".join(map(str, statuses)).count("200503") == 1, "one fault, without a gap"
    assert during["fault.http.abort.abort_percent"] == "100"
    assert during["fault.http.abort.http_status"] == "503"
    assert mesh.envoy.overrides() == before == by_hand
    assert (seen["status"], seen["verdict"]) == ("completed", "held"), seen["journal"]
    assert [each["phase"] for each in seen["injections"]] == ["recovered"]
    assert seen["held"] == 0


@BOTH_DATABASES
def test_a_killed_control_worker_leaves_no_fault_behind(
    stack: Stack, world: World, mesh: Mesh
) -> None:
    run = world.start_fault(mesh, duration="4s")
    stack.kill("control")
    assert world.show(run)["injections"][0]["phase"] == "active"
    assert mesh.is_faulted()
    stack.heal()
    mesh.wait_until_clear()
    assert_ended_as_planned(world, run, mesh)


@BOTH_DATABASES
def test_a_killed_queue_that_stays_away_leaves_no_fault_behind(
    stack: Stack, world: World, mesh: Mesh
) -> None:
    run = world.start_fault(mesh, duration="2s")
    stack.kill("valkey")
    mesh.wait_until_clear()
    assert_ended_as_planned(world, run, mesh)
    assert not stack.is_alive("valkey")


@pytest.mark.parametrize("dies", ["beat", "looks"])
def test_a_fault_ends_without(dies: str, stack: Stack, world: World, mesh: Mesh) -> None:
    run = world.start_fault(mesh, duration="2s")
    stack.kill(dies)
    mesh.wait_until_clear()
    assert_ended_as_planned(world, run, mesh)
    assert not stack.is_alive(dies)


def assert_ended_as_planned(world: World, run: int, mesh: Mesh) -> None:
    seen = world.finish(run)
    journal = "\n".join(seen["journal"])
    assert seen["status"] == "completed", journal
    assert seen["ended_by"] == "plan", journal
    assert [each["phase"] for each in seen["injections"]] == ["recovered"], journal
    assert seen["held"] == 0, journal
    assert mesh.envoy.overrides() == {}, journal

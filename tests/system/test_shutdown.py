"""Processes that are told to end: what they do is finished or handed over, and runs go on."""

from __future__ import annotations

import os
import signal

from tests.system.stack import Stack
from tests.system.test_runs import assert_ended_as_planned
from tests.system.world import Mesh, World, eventually

_OURS = ("web", "control", "looks", "beat")


def end(stack: Stack, *names: str) -> None:
    """Tell the processes to end, all at once, and see each of them gone by itself."""
    for name in names:
        os.kill(stack.pid(name), signal.SIGTERM)
    for name in names:
        eventually(lambda name=name: not stack.is_alive(name), f"{name} ends")


def test_a_deployment_does_not_disturb_a_run(stack: Stack, world: World, mesh: Mesh) -> None:
    run = world.start_fault(mesh, duration="8s")
    end(stack, *_OURS)
    assert mesh.is_faulted(), "ending ChaosWeb ends no fault: its plan does"
    assert world.show(run)["injections"][0]["phase"] == "active"
    stack.heal()
    mesh.wait_until_clear()
    assert_ended_as_planned(world, run, mesh)


def test_a_fault_that_ends_while_workers_restart_is_removed(
    stack: Stack, world: World, mesh: Mesh
) -> None:
    run = world.start_fault(mesh, duration="2s")
    end(stack, "control", "beat")
    stack.heal()
    mesh.wait_until_clear()
    assert_ended_as_planned(world, run, mesh)


def test_a_worker_that_waits_for_a_backend_still_ends_and_another_takes_over(
    stack: Stack, world: World, mesh: Mesh
) -> None:
    run = world.start_fault(mesh, duration="2s")
    mesh.envoy.pause()
    try:
        eventually(
            lambda: world.show(run)["injections"][0]["phase"] == "recovering", "it is to be removed"
        )
        end(stack, "control")
    finally:
        mesh.envoy.resume()
    assert mesh.envoy.overrides(), "the fault is still there"
    stack.heal()
    mesh.wait_until_clear()
    seen = world.finish(run)
    assert seen["status"] in ("completed", "stopped"), seen["journal"]
    assert [each["phase"] for each in seen["injections"]] == ["recovered"]
    assert mesh.envoy.overrides() == {}
    assert seen["held"] == 0

"""What people send to the web server, while the queue behind it hangs or is gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.system.stack import Stack
from tests.system.web import Web
from tests.system.world import Mesh, World

STOP_ANSWERS_WITHIN_S = 2.0
"""Promised to whoever presses Stop, whatever the queue does."""


@pytest.mark.parametrize("harm", ["pause", "kill"])
def test_stop_answers_and_the_fault_goes_while_the_queue_does_not_answer(
    harm: str, stack: Stack, world: World, mesh: Mesh
) -> None:
    with Web(stack) as web:
        run = world.start_fault(mesh, duration="10m")
        getattr(stack, harm)("valkey")
        for press in (web.stop, web.press_stop):
            answer, took_s = timed(press, run)
            assert answer.status_code in (200, 302), answer.text[:500]
            assert took_s < STOP_ANSWERS_WITHIN_S
        mesh.wait_until_clear()
        seen = world.finish(run)
    journal = "\n".join(seen["journal"])
    assert (seen["status"], seen["ended_by"]) == ("stopped", "person"), journal
    assert seen["injections"][0]["phase"] == "recovered", journal
    assert mesh.envoy.overrides() == {}


def test_a_start_answers_while_the_queue_hangs_and_the_run_comes_to_its_end(
    stack: Stack, world: World, mesh: Mesh
) -> None:
    world.save(world.document(duration="1s"))
    with Web(stack) as web:
        stack.pause("valkey")
        answer = web.start(world.name, world.name, "once")
        assert answer.status_code == 201, answer.text
        mesh.wait_until_faulted()
        assert world.finish(answer.json()["id"])["status"] == "completed"


def test_two_starts_with_one_key_at_the_same_moment_are_one_run(
    stack: Stack, world: World, mesh: Mesh
) -> None:
    world.save(world.document(duration="1s"))
    before = stack.ask("runs")
    with Web(stack) as one, Web(stack) as two, ThreadPoolExecutor(2) as pool:

        def press(web: Web) -> httpx.Response:
            return web.start(world.name, world.name, "build-4711")

        answers = list(pool.map(press, (one, two)))
    assert {answer.status_code for answer in answers} <= {200, 201}, [a.text for a in answers]
    first, second = (answer.json()["id"] for answer in answers)
    assert first == second
    assert stack.ask("runs") == before + 1
    seen = world.finish(first)
    assert seen["status"] == "completed"
    assert sum("is in effect" in line for line in seen["journal"]) == 1


def timed(act: Callable[[int], httpx.Response], run: int) -> tuple[httpx.Response, float]:
    began = time.monotonic()
    return act(run), time.monotonic() - began

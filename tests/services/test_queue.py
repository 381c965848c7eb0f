"""A wake is bounded in time and never fails whoever asked for it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from django.db import transaction
from kombu import pools

from experiments import queue

# Not timed: a guard against hanging for good.
GUARD_S = 30


@pytest.fixture(autouse=True)
def pump() -> None:
    """Take the place of the pump: here the real queue is woken."""


@pytest.fixture(autouse=True)
def control() -> None:
    """Nothing is injected here."""


@pytest.fixture(autouse=True)
def fresh(monkeypatch) -> Iterator[None]:
    monkeypatch.setattr(queue, "_blocked_until", 0.0)
    pools.reset()
    yield
    pools.reset()


@pytest.fixture
def hung() -> Iterator[tuple[str, list[socket.socket]]]:
    """Run a server that accepts and never answers."""
    callers: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    callers.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0", callers
        server.shutdown(socket.SHUT_RDWR)
    thread.join(GUARD_S)
    for caller in callers:
        caller.close()


def returns(act) -> None:
    """Run the act in a thread and assert that it comes back without an error."""
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    thread.join(GUARD_S)
    assert not thread.is_alive(), "it never came back"
    assert errors == []


def wake() -> None:
    queue._send("tick", (1,), queue.CONTROL)


def test_an_absent_queue_fails_nobody_and_is_left_alone_for_a_while(settings, monkeypatch):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    returns(wake)
    monkeypatch.setattr(queue, "_producers", lambda: pytest.fail("asked again"))
    returns(wake)


def test_a_hung_queue_fails_nobody_and_is_left_alone_for_a_while(settings, hung):
    settings.REDIS_URL, callers = hung
    returns(wake)
    assert callers, "it was asked"
    asked = len(callers)
    returns(wake)
    assert len(callers) == asked


def test_the_queue_is_asked_again_after_the_pause(settings, hung, monkeypatch):
    settings.REDIS_URL, callers = hung
    returns(wake)
    asked = len(callers)
    monkeypatch.setattr(queue, "_blocked_until", 0.0)
    returns(wake)
    assert len(callers) > asked


def test_a_pool_that_is_used_up_fails_nobody(settings, hung, monkeypatch):
    settings.REDIS_URL, _ = hung
    settings.QUEUE_TIMEOUT_S = 0.1
    producers = queue._producers()
    taken = [producers.acquire(block=True, timeout=1) for _ in range(producers.limit)]
    returns(wake)
    for producer in taken:
        producer.release()


@pytest.mark.django_db(transaction=True)
def test_whatever_happens_to_a_wake_stays_with_it(monkeypatch):
    def broken() -> None:
        raise RuntimeError("a bug of a library")

    monkeypatch.setattr(queue, "_producers", broken)
    queue.wake("tick", 1)


@pytest.mark.django_db(transaction=True)
def test_a_wake_waits_for_the_commit_and_is_dropped_with_a_rollback(monkeypatch):
    sent: list[str] = []
    monkeypatch.setattr(queue, "_send", lambda task, args, lane: sent.append(f"{task} {args}"))
    with transaction.atomic():
        queue.wake("tick", 1)
        assert sent == []
    assert sent == ["tick (1,)"]
    with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012
        queue.wake("tick", 2)
        raise ZeroDivisionError
    assert sent == ["tick (1,)"]

"""One Prometheus with twenty minutes of history, and an environment that reads it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.core.cache import cache

from experiments.models import Alias, Connection, Environment
from tests.servers.history import SCRAPE_S, history
from tests.servers.prometheus import prometheus


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    with prometheus(openmetrics=history(time.time())) as found:
        yield found


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    """Answers are kept for half a minute: no test sees another's."""
    cache.clear()


def bound(url: str, name: str = "staging", **options: float) -> Environment:
    """Return an environment with this server as its ``metrics``."""
    made = Environment.objects.create(name=name)
    metrics = Connection.objects.create(
        name=f"{name}-metrics",
        kind="prometheus",
        options={"url": url, **options},
        scrape_interval_s=SCRAPE_S,
        flush_interval_s=1,
    )
    Alias.objects.create(environment=made, name="metrics", connection=metrics)
    return made


@pytest.fixture
def place(db: None, url: str) -> Environment:
    return bound(url)


@dataclass
class Mute:
    """A server that takes every connection and answers none."""

    url: str
    asked: int = 0


@pytest.fixture
def mute() -> Iterator[Mute]:
    listening = socket.create_server(("127.0.0.1", 0))
    found = Mute(f"http://127.0.0.1:{listening.getsockname()[1]}")
    held: list[socket.socket] = []

    def take() -> None:
        while True:
            try:
                held.append(listening.accept()[0])
            except OSError:  # closed at the end of the test
                return
            found.asked += 1

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    yield found
    # Closing alone would not wake the thread that waits for a connection.
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()
    for each in held:
        each.close()

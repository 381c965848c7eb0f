"""Wakes a task by name, after commit, bounded in time. A failed wake never fails a request.

Whatever is woken is also found by the sweep and by the keeper: a lost wake costs seconds, no more.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu import Connection, pools
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

CONTROL = "control"
TICKS = "ticks"
LOOKS = "looks"
_LOOK_EXPIRES_S = 10.0
"""A look that waited for so long was dispatched again meanwhile."""
_PAUSE_S = 3.0
"""After a failed wake the queue is left alone for this long: nobody waits again and again."""

_blocked_until = 0.0


def _producers() -> Any:
    """Return the pool of producers whose every call is bounded by QUEUE_TIMEOUT_S."""
    limit = settings.QUEUE_TIMEOUT_S
    connection = Connection(
        settings.REDIS_URL,
        connect_timeout=limit,
        transport_options={
            "socket_timeout": limit,
            "socket_connect_timeout": limit,
            "max_retries": 0,
            "visibility_timeout": 3600,
        },
    )
    return pools.producers[connection]


def wake(task: str, *args: Any, queue: str = CONTROL) -> None:
    """Send the task once the transaction has committed; at once outside of one."""
    # Robust: what happens to a wake never comes back to whoever has just committed.
    transaction.on_commit(lambda: _send(task, args, queue), robust=True)


def _send(task: str, args: tuple[Any, ...], queue: str) -> None:
    global _blocked_until
    if time.monotonic() < _blocked_until:
        return
    try:
        with _producers().acquire(block=True, timeout=settings.QUEUE_TIMEOUT_S) as producer:
            current_app.send_task(
                f"experiments.tasks.{task}",
                args=args,
                queue=queue,
                producer=producer,
                retry=False,
                ignore_result=True,
                expires=_LOOK_EXPIRES_S if queue == LOOKS else None,
            )
    except (KombuError, RedisError, OSError) as error:
        _blocked_until = time.monotonic() + _PAUSE_S
        log.warning("the queue does not answer, the keeper takes over: %s", error)

"""Thin tasks: ids in, one service call."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from celery import shared_task
from django.db import InterfaceError, OperationalError

from experiments.services import (
    calling,
    carrying,
    conducting,
    observing,
    sweeping,
    watching,
)

log = logging.getLogger(__name__)


def _task(act: Callable[..., None]) -> Any:
    """Make a task; a database that is away is one line of the log: whatever is due comes again."""

    @functools.wraps(act)
    def guarded(*arguments: Any) -> None:
        try:
            act(*arguments)
        except (OperationalError, InterfaceError) as error:
            log.warning("%s: the database does not answer: %s", act.__name__, error)

    return shared_task(guarded)


@_task
def tick(run_id: int) -> None:
    """Advance one run."""
    conducting.tick(run_id=run_id)


@_task
def tick_all(run_ids: list[int]) -> None:
    """Advance several runs, one after the other."""
    for run_id in run_ids:
        conducting.tick(run_id=run_id)


@_task
def sweep() -> None:
    """Dispatch what is due."""
    sweeping.sweep()


@_task
def watch(run_ids: list[int]) -> None:
    """Feed the guardrails and charts of several runs."""
    watching.watch(run_ids=run_ids)


@_task
def observe(injection_ids: list[int]) -> None:
    """Observe several live faults."""
    observing.observe(injection_ids=injection_ids)


@_task
def carry(injection_id: int) -> None:
    """Make the outside call that an injection's phase asks for."""
    carrying.carry(injection_id=injection_id)


@_task
def make_call(run_id: int, kind: str) -> None:
    """Make an outside call of a run."""
    calling.make(run_id=run_id, kind=kind)

"""Thin tasks: ids in, one service call."""

from __future__ import annotations

from celery import shared_task

from experiments.services import (
    calling,
    carrying,
    conducting,
    observing,
    reconciling,
    sweeping,
    watching,
)


@shared_task
def tick(run_id: int) -> None:
    """Advance one run."""
    conducting.tick(run_id=run_id)


@shared_task
def tick_all(run_ids: list[int]) -> None:
    """Advance several runs, one after the other."""
    for run_id in run_ids:
        conducting.tick(run_id=run_id)


@shared_task
def sweep() -> None:
    """Dispatch what is due."""
    sweeping.sweep()


@shared_task
def watch(run_ids: list[int]) -> None:
    """Feed the guardrails and charts of several runs."""
    watching.watch(run_ids=run_ids)


@shared_task
def observe(injection_ids: list[int]) -> None:
    """Observe several live faults."""
    observing.observe(injection_ids=injection_ids)


@shared_task
def carry(injection_id: int) -> None:
    """Make the outside call that an injection's phase asks for."""
    carrying.carry(injection_id=injection_id)


@shared_task
def make_call(run_id: int, kind: str) -> None:
    """Make an outside call of a run."""
    calling.make(run_id=run_id, kind=kind)


@shared_task
def reconcile() -> None:
    """Compare what backends hold with the ledger."""
    reconciling.reconcile()

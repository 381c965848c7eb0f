"""What the guardrails of a run have it do: stop, or wait for a person while one is without data.

They are on duty from the baseline until the last fault ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from experiments.domain.method import Guardrail
from experiments.domain.states import EndedBy, Status
from experiments.engine import guardrails
from experiments.engine.snapshot import ActionState, RunSnapshot, StopOrder
from experiments.engine.steps import Finish, Open

_ON_DUTY = (Status.BASELINE, Status.INJECTING)
_CHECKPOINT = timedelta(seconds=guardrails.CHECKPOINT_S)


def stop(run: RunSnapshot, now: datetime) -> StopOrder | None:
    """Return the order of the first guardrail that stops the run, or None."""
    if run.status not in _ON_DUTY:
        return None
    open_ones = waiting(run)
    for guardrail in run.spec.guardrails:
        ruling = _rule(run, guardrail, now)
        if ruling.state == "quiet":
            continue
        reason = ruling.reason
        if ruling.state == "no_data" and guardrail.no_data == "checkpoint":
            state = open_ones.get(guardrail.name)
            if state is None or now < state.started_at + _CHECKPOINT:
                continue
            minutes = guardrails.CHECKPOINT_S / 60
            reason = f"{reason}; nobody let the run go on without it within {minutes:.0f} minutes"
        elif ruling.state == "no_data" and guardrail.no_data == "ignore":
            continue
        return StopOrder(
            EndedBy.GUARDRAIL,
            f"guardrail {guardrail.name}",
            reason,
            is_on_data=ruling.state == "breached",
        )
    return None


def checkpoints(run: RunSnapshot, now: datetime) -> Iterator[Open | Finish]:
    """Open a checkpoint for each guardrail that lost its data; close those whose data are back."""
    for guardrail, name, state, following in _asking(run):
        ruling = _rule(run, guardrail, now)
        if state is not None and state.finished_at is None:
            if ruling.state == "quiet":
                yield Finish(name, "data came back")
        elif ruling.state == "no_data" and (
            state is None
            or guardrails.has_come_back(
                guardrail, run.guardrails.get(guardrail.name, ()), state.started_at, run.pace
            )
        ):
            yield Open(following, ruling.reason)


def waiting(run: RunSnapshot) -> dict[str, ActionState]:
    """Return the open checkpoint of each guardrail that is without data, by guardrail."""
    return {
        guardrail.name: state
        for guardrail, _, state, _ in _asking(run)
        if state is not None and state.finished_at is None
    }


def time_outs(run: RunSnapshot) -> Iterator[datetime]:
    """Return when each open checkpoint of a guardrail stops the run."""
    for state in waiting(run).values():
        yield state.started_at + _CHECKPOINT


def blind_at(run: RunSnapshot, now: datetime) -> datetime | None:
    """Return when the next guardrail would be blind: that happens by the passing of time alone."""
    if run.status not in _ON_DUTY or run.watched_since is None or run.stop is not None:
        return None
    moments = [
        guardrails.blind_at(
            guardrail,
            run.guardrails.get(guardrail.name, ()),
            watched_since=run.watched_since,
            pace=run.pace,
        )
        for guardrail in run.spec.guardrails
        if guardrail.no_data != "ignore"
    ]
    return min((moment for moment in moments if moment > now), default=None)


def _rule(run: RunSnapshot, guardrail: Guardrail, now: datetime) -> guardrails.Ruling:
    if run.watched_since is None:
        return guardrails.Ruling("quiet")
    return guardrails.rule(
        guardrail,
        run.guardrails.get(guardrail.name, ()),
        watched_since=run.watched_since,
        now=now,
        pace=run.pace,
    )


def _asking(run: RunSnapshot) -> Iterator[tuple[Guardrail, str, ActionState | None, str]]:
    """Yield the guardrails that ask a person, each with its newest and its next checkpoint."""
    names = {guardrail.name for guardrail in run.spec.guardrails}
    for guardrail in run.spec.guardrails:
        if guardrail.no_data == "checkpoint":
            others = names - {guardrail.name}
            yield guardrail, *guardrails.newest_checkpoint(guardrail.name, others, run.actions)

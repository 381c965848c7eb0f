"""What the page behind a stop link shows: enough to decide, and nothing that is secret."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.models import Halt, Injection, Run, StopLink
from experiments.selectors import halting, ledger, words

_MOST_FAULTS = 20
_MOST_RUNS = 20


@dataclass(frozen=True, slots=True)
class FaultLine:
    """One fault as outsiders see it: no addresses, no targets, no errors of backends."""

    sentence: str
    state: str
    is_unconfirmed: bool
    run: Run
    environment: str


@dataclass(frozen=True, slots=True)
class State:
    """What a link stops, and how far that has come."""

    run: Run | None
    scope: halting.Scope | None
    halt: Halt | None
    """The halt that holds in the link's scope."""
    runs: tuple[Run, ...]
    faults: tuple[FaultLine, ...]
    fault_count: int

    @property
    def is_pressed(self) -> bool:
        """Return whether the stop was ordered, by whomever."""
        if self.run is not None:
            return not self.run.is_live or self.run.stop_requested_at is not None
        return self.halt is not None

    @property
    def is_needed(self) -> bool:
        """Return whether there is something left that the link can stop."""
        if self.run is not None:
            return self.run.status in halting.STOPPABLE_VALUES and not self.is_pressed
        assert self.scope is not None  # noqa: S101 — a link without a run has a scope
        return self.halt is None or self.scope.runs > 0

    @property
    def is_over(self) -> bool:
        """Return whether everything is stopped and every fault read back as gone."""
        return self.is_pressed and not self.is_needed and not self.fault_count

    @property
    def is_moving(self) -> bool:
        """Return whether the page has to be looked at again by itself."""
        return self.is_pressed and bool(self.fault_count)

    @property
    def promise(self) -> str:
        """Say what pressing does."""
        if self.run is not None:
            return (
                f"Ends run {self.run.pk} now and removes"
                f" {words.counted(self.fault_count, 'live fault')}."
            )
        assert self.scope is not None  # noqa: S101 — a link without a run has a scope
        what = self.scope.consequence
        return f"{what[:1].upper()}{what[1:]}."


def state_of(link: StopLink, catalogue: ledger.Catalogue) -> State:
    """Return what the link stops, as it stands now."""
    if link.run is not None:
        rows = ledger.live().filter(run=link.run)
        return State(
            run=link.run,
            scope=None,
            halt=None,
            runs=(link.run,),
            faults=tuple(_line(row, catalogue) for row in rows),
            fault_count=rows.count(),
        )
    rows = halting.faults(link.environment)
    runs = halting.stoppable(link.environment).select_related("version__experiment", "environment")
    return State(
        run=None,
        scope=halting.scope_summary(link.environment),
        halt=halting.active(link.environment),
        runs=tuple(runs[:_MOST_RUNS]),
        faults=tuple(_line(row, catalogue) for row in rows[:_MOST_FAULTS]),
        fault_count=rows.count(),
    )


def _line(row: Injection, catalogue: ledger.Catalogue) -> FaultLine:
    fault = ledger.in_words(row, catalogue)
    return FaultLine(
        sentence=fault.sentence,
        state=fault.state,
        is_unconfirmed=fault.is_unconfirmed,
        run=row.run,
        environment=str(row.run.environment),
    )

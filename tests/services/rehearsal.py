"""A rehearsal backend and sources that are watched: what reached them, when, and whether it might.

Whatever must never happen is written into ``broken`` as it happens, in whichever thread: nothing of
ours can swallow it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from django.db import connection

from drivers import fake, fake_backend
from drivers.fake import FakeControl, FakeDriver, Step
from drivers.fake_backend import FakeState, slot_of
from drivers.http import HttpAnswer
from drivers.prometheus_answers import Answer, Sample
from drivers.protocol import ConnectionConfig, Plan
from experiments import backends
from experiments.domain.states import SETTLED
from experiments.models import Halt, Injection, LiveSeries, Orphan, Run
from tests.pump import Pump
from tests.services.processes import current, watching
from tests.services.worlds import Metrics

LATE_S = 90.0
"""A lost answer that takes effect within this is always seen: the last of the read-backs comes two
minutes after the first."""

Health = Literal["well", "sick", "silent", "absent"]
_LEVELS: dict[str, float | None] = {"well": 1.0, "sick": 80.0, "silent": None, "absent": 1.0}


@dataclass
class Sources(Metrics):
    """One Prometheus: well, sick (beyond every limit), silent (no series) or absent."""

    health: Health = "well"
    start_probes: dict[str, bool] = field(default_factory=dict)
    """Whether each start probe passed when it was last asked, by the run's key."""

    def __post_init__(self) -> None:
        self.value = lambda at: _LEVELS[self.health]

    def instant(self, query: str, at: float | None = None) -> Answer[Sample]:
        kind, _, key = query.partition("_")
        if kind == "start":
            self.start_probes[key] = self.health == "well"
        self._answer("instant")
        level = _LEVELS[self.health]
        return Answer() if level is None else Answer([Sample({}, at or 0.0, level)])

    def _answer(self, what: str) -> None:
        self.error = "the source does not answer" if self.health == "absent" else ""
        super()._answer(what)


class Loud(logging.Handler):
    """Keeps what was told at CRITICAL, and every exception that somebody caught and logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.critical: list[str] = []
        self.exceptions: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.CRITICAL:
            self.critical.append(record.getMessage())
        if record.exc_info:
            formatted = logging.Formatter().formatException(record.exc_info)
            self.exceptions.append(f"{record.getMessage()}\n{formatted}")


class Rehearsal:
    """The backend ``fake`` and its control, with a watch on every call that reaches it."""

    def __init__(self, pump: Pump) -> None:
        fake.forget()
        backends.forget()
        self.pump = pump
        self.sources = Sources()
        self.http_status = 200
        self.control = FakeControl(
            ConnectionConfig("fake", "fake"), clock=pump.seconds, sleep=pump.let_pass
        )
        self.loud = Loud()
        self.broken: list[str] = []
        self.loose: set[str] = set()
        """Faults that came after their removal was read back for long enough: not yet found."""
        self.listed: set[str] = set()
        """What the backend has told whoever compared it with the ledger."""
        self.is_clock_forward = False
        """Our clock was set forward: what we waited for was shorter than we think."""
        self._overdue: set[str] = set()

    def marks(self) -> dict[str, str]:
        """Return whose fault is where, by slot."""
        with self.control._open() as state:
            return {slot: mark.token for slot, mark in state.marks.items()}

    def coming(self) -> set[str]:
        """Return the faults that a lost call will bring within the time that we read for."""
        with self.control._open() as state:
            late = {each.plan.token for each in state.late if each.method == "inject"}
        return set() if self.is_clock_forward else late - self._overdue

    def heal(self) -> None:
        """Let everything answer as it should; what is on its way stays on its way."""
        self.control.cut_off()
        with self.control._open() as state:
            state.script.clear()
        self.sources.health = "well"
        self.http_status = 200

    def set_foreign(self, target: str, fault: str) -> None:
        """Have somebody else set a value where faults of ours go."""
        with self.control._open() as state:
            state.values[slot_of(target, fault)] = "theirs"

    # What the patches below report.

    def _about_to_inject(self, plan: Plan) -> None:
        process = current()
        is_late = process is not None and process.is_late
        with watching():
            row = Injection.objects.select_related("run").get(token=plan.token)
            gate = row.run.calls.filter(kind="gate").first()
        if row.run.injecting_at is None:
            self.broken.append(f"{plan.token} was injected before its run was injecting")
        if gate is not None and not (gate.outcome or {}).get("is_ok"):
            self.broken.append(f"{plan.token} was injected before its gate had passed")
        key = row.run.idempotency_key
        if not self.sources.start_probes.get(key, True):
            self.broken.append(f"{plan.token} was injected though a start probe had failed")
        if row.run.stop_requested_at is not None and not is_late:
            self.broken.append(f"{plan.token} was injected after its run had been stopped")

    def _landed(self, plan: Plan) -> None:
        """Note a fault that took effect; tell of one that took the place of another."""
        with watching():
            row = Injection.objects.get(token=plan.token)
        if row.phase in SETTLED:
            self.loose.add(plan.token)

    def _apply(self, state: FakeState, plan: Plan) -> None:
        before = {slot: mark.token for slot, mark in state.marks.items()}
        fake_backend_apply(state, plan)
        for target in plan.targets:
            was = before.get(slot_of(target.name, plan.fault), plan.token)
            if was != plan.token and not {was, plan.token} & self.loose:
                self.broken.append(f"{plan.token} took {target.name} while {was} was there")
        self._landed(plan)

    def _lose(
        self, state: FakeState, step: Step, method: str, plan: Plan | None, now: float
    ) -> None:
        is_late = method == "inject" and step.effect == "late" and step.seconds > LATE_S
        if plan is not None and is_late:
            self._overdue.add(plan.token)
        fake_backend_lose(state, step, method, plan, now)

    def fetch(self, *, url: str, **_: Any) -> HttpAnswer:
        """Answer a probe; one whose address is ``/start-<key>`` is a run's start probe."""
        where, _, key = url.rpartition("/")[2].partition("-")
        if where == "start":
            self.sources.start_probes[key] = self.http_status == 200
        return HttpAnswer(self.http_status, {}, "ok", 0.01)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Patch the driver and the sources for as long as a machine runs."""
        with pytest.MonkeyPatch.context() as patch:
            for method in ("prepare", "inject", "observe", "recover", "owned"):
                patch.setattr(FakeDriver, method, self._points(method))
            for module in (fake, fake_backend):
                patch.setattr(module, "apply", self._apply)
                patch.setattr(module, "lose", self._lose)
            patch.setattr(backends, "prometheus", lambda connection: self.sources)
            patch.setattr(backends, "fetch", self.fetch)
            ours = logging.getLogger("experiments")
            ours.addHandler(self.loud)
            try:
                yield
            finally:
                ours.removeHandler(self.loud)

    def _points(self, method: str) -> Any:
        real = _REAL[method]

        def called(driver: FakeDriver, *args: Any) -> Any:
            process = current()
            if process is not None:
                process.reach(f"before {method}")
            if method == "inject":
                self._about_to_inject(args[0])
            answer = real(driver, *args)
            if method == "owned":
                self.listed |= {each.token for each in answer}
            if process is not None:
                process.reach(f"after {method}")
            return answer

        return called


_REAL: Mapping[str, Any] = {
    name: getattr(FakeDriver, name) for name in ("prepare", "inject", "observe", "recover", "owned")
}
fake_backend_apply = fake_backend.apply
fake_backend_lose = fake_backend.lose


def forget_runs() -> None:
    """Empty every table that knows of a run, so that one example cannot meet another's."""
    tables = [each.related_model._meta.db_table for each in Run._meta.related_objects]
    tables += [model._meta.db_table for model in (Orphan, Halt, LiveSeries, Run)]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"TRUNCATE {', '.join(dict.fromkeys(tables))} CASCADE")
        else:
            for table in dict.fromkeys(tables):
                cursor.execute(f"DELETE FROM {table}")

"""The newest bins of every measure that somebody watches: one query each, however many watch it.

Workers share them through LiveSeries: whoever finds a row older than it is wanted claims it, asks
the source and commits; everybody else takes what is there. Nothing waits for a source that hangs
but the one worker that asked it, and that one not for long.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

from django.db.models import Min, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from drivers.protocol import DriverError
from experiments.analysis.series import HistogramSeries, fits
from experiments.analysis.series import Series as Bins
from experiments.domain.slis import Sli, key_of
from experiments.domain.spec import Experiment
from experiments.domain.states import LIVE
from experiments.models import Connection, LiveSeries, Run, Series
from experiments.services import clock, locking, measuring, snapshots

log = logging.getLogger(__name__)

_LEASE_S = 10.0
_READS_AT_ONCE = 8
"""So many needs of one source are asked for at the same time."""
_ROUND_S = 6.0
"""What a round has not begun by then keeps what was known, and is asked for in the next one."""
_LEAD_STEPS = 2
_MOST_BINS = 4000
_FRESH = 0.9
"""A source that gave nothing is asked again after so much of the interval."""
_FORGOTTEN_AFTER = timedelta(days=1)

_Answer = tuple[measuring.Measured, bool]


@dataclass(frozen=True, slots=True)
class Need:
    """One measure that somebody watches: from when on, how often, and in which bins."""

    sli: Sli
    source: Connection
    since: float
    every_s: float
    step_s: float
    scrape_s: float

    @property
    def key(self) -> str:
        """Return under which key it is shared."""
        return key_of(
            self.sli.measure,
            connection_id=self.source.pk,
            edited_at=self.source.updated_at,
            step_s=self.step_s,
        )


def needs_of(run: Run, document: Experiment, sources: Mapping[str, Connection]) -> list[Need]:
    """Return what the run watches, in the order of ``document.measures``."""
    pace = snapshots.pace_of(document, sources)
    since = (run.baseline_at or run.requested_at).timestamp()
    return [
        Need(
            sli,
            sources[sli.source],
            since - _LEAD_STEPS * pace.step_s,
            every_of(document, pace.step_s),
            pace.step_s,
            pace.scrape_s,
        )
        for sli in document.measures
    ]


def every_of(document: Experiment, step_s: float) -> float:
    """Return how often, in seconds, the document's measures are read while a run goes on."""
    return max(1.0, min([step_s, *(float(guardrail.every) for guardrail in document.guardrails)]))


def read(needs: Iterable[Need]) -> dict[str, measuring.Measured]:
    """Return what each key says now; asks the sources for what is too old. Never raises for them.

    A key that somebody else is asking for is answered with what was known before.
    """
    wanted = _widest(needs)
    now = clock.now()
    known = LiveSeries.objects.in_bulk(list(wanted), field_name="key")
    stale = {key: need for key, need in wanted.items() if not _is_fresh(known.get(key), need, now)}
    if stale:
        _create(need for key, need in stale.items() if key not in known)
        _Round(known, _oldest()).ask(stale)
        known = LiveSeries.objects.in_bulk(list(wanted), field_name="key")
    return {key: _measured(known.get(key)) for key in wanted}


def _widest(needs: Iterable[Need]) -> dict[str, Need]:
    """Return one need for each key: from the earliest moment on, and the most often asked."""
    found: dict[str, Need] = {}
    for need in needs:
        other = found.setdefault(need.key, need)
        if need.since < other.since or need.every_s < other.every_s:
            found[need.key] = replace(
                need,
                since=min(need.since, other.since),
                every_s=min(need.every_s, other.every_s),
            )
    return found


def _is_fresh(row: LiveSeries | None, need: Need, now: datetime) -> bool:
    if row is None or row.read_at is None:
        return False
    if row.problem:
        return now - row.read_at < timedelta(seconds=need.every_s * _FRESH)
    # Nothing is new before the next bin can be read.
    newest = (moment.timestamp() - need.scrape_s for moment in (row.read_at, now))
    read, readable = (math.floor(moment / need.step_s) for moment in newest)
    return read == readable


def _create(needs: Iterable[Need]) -> None:
    """Make the rows that there are none of. In one order everywhere: two workers never deadlock."""
    LiveSeries.objects.bulk_create(
        [
            LiveSeries(key=need.key, connection=need.source, kind=need.sli.measure.kind)
            for need in sorted(needs, key=lambda need: need.key)
        ],
        ignore_conflicts=True,
    )


def _oldest() -> float:
    """Return since when the oldest live run watches, unix seconds; infinity when there is none."""
    live = Run.objects.filter(status__in=[status.value for status in LIVE]).order_by()
    found = live.aggregate(at=Min(Coalesce("baseline_at", "requested_at")))["at"]
    return found.timestamp() if found is not None else math.inf


@dataclass
class _Line:
    """The needs of one source that wait to be asked for, the longest waiting first."""

    needs: deque[Need] = field(default_factory=deque)
    asked: int = 0
    silent: str = ""
    """Why the source does not answer; the others are then told so without asking it."""


class _Round:
    """One round of asking: this thread claims and commits, others only wait for the sources.

    A need is claimed just before it is asked for, so that no claim lapses while it waits in line.
    """

    def __init__(self, known: Mapping[str, LiveSeries], oldest: float) -> None:
        self._known = known
        self._oldest = oldest
        self._ends_at = time.monotonic() + _ROUND_S
        self._waiting: dict[Future[_Answer], tuple[_Line, LiveSeries]] = {}

    def ask(self, stale: Mapping[str, Need]) -> None:
        """Ask for every need that nobody else is asking for, as long as the round lasts."""
        lines: dict[int, _Line] = {}
        for need in sorted(stale.values(), key=self._order):
            lines.setdefault(need.source.pk, _Line()).needs.append(need)
        if len(stale) == 1:
            self._go_on(lines, _at_once)
            return
        with ThreadPoolExecutor(_READS_AT_ONCE * len(lines), "source") as pool:
            self._go_on(lines, pool.submit)

    def _order(self, need: Need) -> tuple[float, str]:
        row = self._known.get(need.key)
        read_at = row.read_at if row is not None else None
        return (read_at.timestamp() if read_at is not None else 0.0, need.key)

    def _go_on(self, lines: Mapping[int, _Line], submit: Callable[..., Future[_Answer]]) -> None:
        while True:
            for line in lines.values():
                self._begin(line, submit)
            if not self._waiting:
                return
            for done in wait(self._waiting, return_when=FIRST_COMPLETED).done:
                self._end(done)

    def _begin(self, line: _Line, submit: Callable[..., Future[_Answer]]) -> None:
        while line.needs and line.asked < _READS_AT_ONCE:
            if not line.silent and time.monotonic() >= self._ends_at:
                return
            need = line.needs.popleft()
            row = self._claimed(need)
            if row is None:
                continue
            if line.silent:
                _commit(row, measuring.Measured(None, line.silent))
                continue
            line.asked += 1
            earlier = _stored(row)
            if earlier is not None:
                # Bins from before the oldest run that is live are nobody's.
                oldest = min(need.since, self._oldest - _LEAD_STEPS * need.step_s)
                earlier = earlier.since(oldest)
            self._waiting[submit(_answer, need, earlier)] = (line, row)

    def _claimed(self, need: Need) -> LiveSeries | None:
        """Claim a need. Return its row; None where somebody else asks for it or has asked."""
        now = clock.now()
        free = locking.free(now)
        row = self._known.get(need.key)
        # Read by somebody else since we looked: theirs is as new as ours would be.
        same = Q(read_at=row.read_at) if row is not None else Q(read_at__isnull=True)
        claimed = LiveSeries.objects.filter(free, same, key=need.key).update(
            attempt_deadline=now + timedelta(seconds=_LEASE_S)
        )
        return LiveSeries.objects.filter(key=need.key).first() if claimed else None

    def _end(self, done: Future[_Answer]) -> None:
        line, row = self._waiting.pop(done)
        line.asked -= 1
        found, is_silent = done.result()
        if is_silent:
            line.silent = line.silent or found.problem
        _commit(row, found)


def _at_once(act: Callable[..., _Answer], *given: Any) -> Future[_Answer]:
    """Do it in this thread, as a pool would in another."""
    done: Future[_Answer] = Future()
    done.set_result(act(*given))
    return done


def _answer(need: Need, earlier: Bins | None) -> _Answer:
    """Return what the source says, and whether it is no use to ask it for anything else."""
    try:
        return _read(need, earlier), False
    except DriverError as error:
        # What no other attempt would mend, as a wrong query, says nothing about the others.
        return measuring.Measured(None, str(error)), error.retryable
    except Exception as error:
        log.exception("%s could not be read", need.sli.name)
        return measuring.Measured(None, f"{type(error).__name__}: {error}"), False


def _commit(row: LiveSeries, found: measuring.Measured) -> None:
    changes: dict[str, Any] = {"problem": found.problem}
    if found.series is not None:
        changes["payload"] = found.series.since(0, most=_MOST_BINS).to_bytes()
    LiveSeries.objects.filter(pk=row.pk).update(
        read_at=clock.now(), attempt_deadline=None, **changes
    )


def _read(need: Need, earlier: Bins | None) -> measuring.Measured:
    """Return what was known with what is new; needs no database. Raises DriverError."""
    if earlier is not None and len(earlier.times):
        # Its newest bins may have been read before their last scrape.
        newest = float(earlier.times[-1]) - _LEAD_STEPS * need.step_s
        found = _newest(need, max(need.since, newest))
        if found.series is None:
            return found
        if fits(earlier, found.series):
            return replace(found, series=cast(Any, earlier).merge(found.series))
        # In other buckets: what was known is of no use for what comes.
    return _newest(need, need.since)


def _newest(need: Need, start: float) -> measuring.Measured:
    end = timezone.now().timestamp() - need.scrape_s
    found = measuring.read_series(need.sli, need.source, start=start, end=end, step_s=need.step_s)
    if isinstance(found.series, HistogramSeries):
        return replace(found, series=found.series.of_newest_buckets())
    return found


def _stored(row: LiveSeries | None) -> Bins | None:
    if row is None or row.payload is None:
        return None
    try:
        return measuring.read_stored(row.kind, bytes(row.payload))
    except ValueError:
        log.exception("live series %s is damaged: it is read anew", row.key)
        return None


def _measured(row: LiveSeries | None) -> measuring.Measured:
    if row is None or row.read_at is None:
        return measuring.Measured(None, "it was not read yet")
    return measuring.Measured(_stored(row), row.problem)


def of_run(
    run: Run, document: Experiment, names: Iterable[str] | None = None
) -> dict[str, measuring.Measured]:
    """Return what is known now of a live run's SLIs, from its baseline on; asks no source."""
    sources = snapshots.sources_of(run)
    wanted = None if names is None else set(names)
    needs = {
        need.sli.name: need
        for need in needs_of(run, document, sources)[: len(document.slis)]
        if wanted is None or need.sli.name in wanted
    }
    rows = LiveSeries.objects.in_bulk([need.key for need in needs.values()], field_name="key")
    return {
        name: measuring.Measured(
            found.series.since(need.since) if found.series is not None else None, found.problem
        )
        for name, need in needs.items()
        for found in (_measured(rows.get(need.key)),)
    }


def keep(
    run: Run,
    document: Experiment,
    measured: Mapping[str, measuring.Measured],
    *,
    now: datetime,
    totals: Callable[[str], dict[str, Any]] = lambda name: {},
) -> None:
    """Store the series with the run, for good: one row for each SLI."""
    for sli in document.slis:
        found = measured.get(sli.name)
        if found is None or found.series is None:
            continue
        Series.objects.update_or_create(
            run=run,
            sli=sli.name,
            defaults={
                "kind": sli.measure.kind,
                "payload": found.series.to_bytes(),
                "problem": found.problem,
                "queries": list(measuring.queries(sli, found.series.step_s)),
                "totals": totals(sli.name),
                "updated_at": now,
            },
        )


def forget() -> int:
    """Drop what nobody has watched for a day. Return how many rows went."""
    before = clock.now() - _FORGOTTEN_AFTER
    never = Q(read_at__isnull=True, attempt_deadline__lt=before)
    gone, _ = LiveSeries.objects.filter(Q(read_at__lt=before) | never).delete()
    return gone

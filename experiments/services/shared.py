"""The newest bins of every measure that somebody watches: one query each, however many watch it.

Workers share them through LiveSeries: whoever finds a row older than it is wanted claims it, asks
the source and commits; everybody else takes what is there. Nothing waits for a source that hangs
but the one worker that asked it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connections
from django.db.models import Q
from django.utils import timezone

from drivers.protocol import DriverError
from experiments.analysis.series import Series as Bins
from experiments.domain.slis import Sli, key_of
from experiments.domain.spec import Experiment
from experiments.models import Connection, LiveSeries, Run, Series
from experiments.services import clock, measuring, snapshots

log = logging.getLogger(__name__)

_LEASE_S = 10.0
_LEAD_STEPS = 2
_MOST_BINS = 4000
_FRESH = 0.9
"""A source that gave nothing is asked again after so much of the interval."""
_FORGOTTEN_AFTER = timedelta(days=1)


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
        return key_of(self.sli.measure, connection_id=self.source.pk, step_s=self.step_s)


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
    by_source: dict[int, list[Need]] = {}
    for key in _claim(stale, known, now):
        by_source.setdefault(wanted[key].source.pk, []).append(wanted[key])
    if len(by_source) == 1:
        _ask(next(iter(by_source.values())))
    elif by_source:
        with ThreadPoolExecutor(max_workers=8, thread_name_prefix="source") as pool:
            list(pool.map(_ask_apart, by_source.values()))
    if by_source:
        known = LiveSeries.objects.in_bulk(list(wanted), field_name="key")
    return {key: _measured(known.get(key)) for key in wanted}


def _widest(needs: Iterable[Need]) -> dict[str, Need]:
    """Return one need for each key: from the earliest moment on, and the most often asked."""
    found: dict[str, Need] = {}
    for need in needs:
        other = found.get(need.key)
        if other is None or (need.every_s, need.since) < (other.every_s, other.since):
            found[need.key] = need
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


def _claim(stale: Mapping[str, Need], known: Mapping[str, LiveSeries], now: datetime) -> list[str]:
    LiveSeries.objects.bulk_create(
        [
            LiveSeries(key=key, connection=need.source, kind=need.sli.measure.kind)
            for key, need in stale.items()
            if key not in known
        ],
        ignore_conflicts=True,
    )
    free = Q(attempt_deadline__isnull=True) | Q(attempt_deadline__lte=now)
    ours = []
    for key in stale:
        row = known.get(key)
        # Read by somebody else since we looked: theirs is as new as ours would be.
        same = Q(read_at=row.read_at) if row is not None else Q(read_at__isnull=True)
        claimed = LiveSeries.objects.filter(free, same, key=key).update(
            attempt_deadline=now + timedelta(seconds=_LEASE_S)
        )
        if claimed:
            ours.append(key)
    return ours


def _ask_apart(needs: list[Need]) -> None:
    try:
        _ask(needs)
    finally:
        connections.close_all()


def _ask(needs: list[Need]) -> None:
    """Read the needs of one source. One that does not answer is asked once in a round."""
    silent = ""
    for need in needs:
        row = LiveSeries.objects.get(key=need.key)
        earlier = _stored(row)
        found = measuring.Measured(None, silent)
        if not silent:
            try:
                found = _newest(need, earlier)
            except DriverError as error:
                silent = str(error)
                found = measuring.Measured(None, silent)
            except Exception as error:
                log.exception("%s could not be read", need.sli.name)
                found = measuring.Measured(None, f"{type(error).__name__}: {error}")
        changes: dict[str, Any] = {"problem": found.problem}
        if found.series is not None:
            merged = _merge(earlier, found.series).since(0, most=_MOST_BINS)
            changes["payload"] = merged.to_bytes()
        LiveSeries.objects.filter(pk=row.pk).update(
            read_at=clock.now(), attempt_deadline=None, **changes
        )


def _newest(need: Need, earlier: Bins | None) -> measuring.Measured:
    end = timezone.now().timestamp() - need.scrape_s
    start = need.since
    if earlier is not None and len(earlier.times):
        # Its newest bins may have been read before their last scrape.
        start = max(start, float(earlier.times[-1]) - _LEAD_STEPS * need.step_s)
    return measuring.read_series(need.sli, need.source, start=start, end=end, step_s=need.step_s)


def _merge(earlier: Bins | None, later: Any) -> Any:
    return later if earlier is None else earlier.merge(later)


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
    gone, _ = LiveSeries.objects.filter(Q(read_at__lt=before)).delete()
    return gone

"""Feeds guardrails and live charts while runs go on: many runs at once, one read of each measure.

A look commits each guardrail's new samples. It decides nothing: a run whose guardrail speaks is
made due, and its tick decides.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from django.db import transaction
from django.db.models import F, Max

from experiments import queue
from experiments.analysis.series import Floats
from experiments.domain.errors import InvalidDocumentError
from experiments.domain.method import Guardrail
from experiments.domain.slis import Sli
from experiments.domain.spec import Experiment
from experiments.domain.states import LIVE, Status
from experiments.engine import guardrails
from experiments.engine.snapshot import Pace, Sample
from experiments.models import Call, Reading, Run
from experiments.services import clock, locking, measuring, shared, snapshots, transitions

log = logging.getLogger(__name__)

LEASE_S = 10.0
"""A source is given 5 s. Shorter than any guardrail's patience: a dead worker blinds none."""
_RECENT = timedelta(minutes=10)
_LIVE = sorted(status.value for status in LIVE)
_GUARDED = (Status.BASELINE, Status.INJECTING)


@dataclass(frozen=True, slots=True)
class _Watched:
    run: Run
    document: Experiment
    pace: Pace
    needs: list[shared.Need]

    @property
    def every_s(self) -> float:
        return shared.every_of(self.document, self.pace.step_s)

    def need(self, guardrail: Guardrail) -> shared.Need:
        """Return what the guardrail watches; the needs are in the order of the measures."""
        count = len(self.document.slis)
        if guardrail.promql is None:
            return next(need for need in self.needs[:count] if need.sli.name == guardrail.sli)
        return next(need for need in self.needs[count:] if need.sli.name == guardrail.name)


def due(*, now: datetime, grace_s: float = 0.0, limit: int = 2000) -> list[int]:
    """Return the runs whose look is due and nobody has been asked for, the longest waiting first.

    Those that are returned count as asked for; after a while they are returned again.
    """
    before = now - timedelta(seconds=grace_s)
    free = locking.free(now)
    unasked = locking.unasked(now)
    with transaction.atomic():
        rows = locking.skip_locked(
            Call.objects.filter(
                free, unasked, kind="watch", finished_at__isnull=True, due_at__lte=before
            )
        )
        found = list(rows.order_by("due_at").values_list("pk", "run_id")[:limit])
        Call.objects.filter(pk__in=[pk for pk, _ in found]).update(woken_at=now)
    return [run_id for _, run_id in found]


def watch(*, run_ids: Iterable[int]) -> int:
    """Look at the runs that are due and claimed by nobody. Return how many were."""
    now = clock.now()
    lease = now + timedelta(seconds=LEASE_S)
    claimed = _claim(list(run_ids), now, lease)
    if not claimed:
        return 0
    try:
        watched = _load(claimed)
        measured = shared.read(need for each in watched for need in each.needs)
        _commit(watched, measured, lease)
    finally:
        # Whatever could not be looked at is free again, and looked at in its turn.
        Call.objects.filter(pk__in=claimed, attempt_deadline=lease).update(
            attempt_deadline=None, due_at=clock.now() + timedelta(seconds=locking.REWAKE_S)
        )
    return len(claimed)


def _claim(run_ids: list[int], now: datetime, lease: datetime) -> list[int]:
    """Claim the runs' looks for as long as the lease; its moment says whose they are."""
    free = locking.free(now)
    with transaction.atomic():
        rows = locking.skip_locked(
            Call.objects.filter(
                free,
                run_id__in=run_ids,
                kind="watch",
                finished_at__isnull=True,
                due_at__lte=now,
                run__status__in=_LIVE,
            )
        )
        found = list(rows.values_list("pk", flat=True))
        Call.objects.filter(pk__in=found).update(
            attempt=F("attempt") + 1, attempt_deadline=lease, woken_at=now
        )
    return found


def _load(claimed: list[int]) -> list[_Watched]:
    runs = list(
        Run.objects.filter(calls__in=claimed)
        .select_related("version", "environment")
        .defer("version__document", "version__text", "judgement")
    )
    sources = snapshots.sources_of_all(runs)
    found = []
    for run in runs:
        try:
            document = snapshots.spec_of(run)
            pace = snapshots.pace_of(document, sources[run.pk])
            needs = shared.needs_of(run, document, sources[run.pk])
        except (InvalidDocumentError, KeyError) as error:
            # Its tick ends it: here it only must not keep the others from being looked at.
            log.warning("run %s cannot be watched: %s", run.pk, error)
        else:
            found.append(_Watched(run, document, pace, needs))
    return found


def _commit(
    watched: list[_Watched], measured: Mapping[str, measuring.Measured], lease: datetime
) -> None:
    newest = _newest(watched, measured)
    values: dict[str, Floats] = {}
    readings: list[Reading] = []
    speaking: list[int] = []
    blind: dict[datetime | None, list[int]] = {}
    moment = clock.now()
    for each in list(watched):
        try:
            rows, speaks, blind_at = _look(each, measured, values, newest, moment)
        except Exception:  # one broken run must never keep the others from being looked at
            log.exception("run %s cannot be watched", each.run.pk)
            watched.remove(each)
            continue
        readings += rows
        blind.setdefault(blind_at, []).append(each.run.pk)
        if speaks:
            speaking.append(each.run.pk)
    ids = [each.run.pk for each in watched]
    with transitions.holding_all(ids):
        now = clock.now()
        Reading.objects.filter(run_id__in=ids, kind="guardrail", is_breach__isnull=True).delete()
        Reading.objects.bulk_create(readings, ignore_conflicts=True)
        by_interval: dict[float, list[int]] = {}
        for each in watched:
            by_interval.setdefault(each.every_s, []).append(each.run.pk)
        for every_s, pks in by_interval.items():
            Call.objects.filter(run_id__in=pks, kind="watch", attempt_deadline=lease).update(
                due_at=now + timedelta(seconds=every_s), attempt_deadline=None, failures=0, error=""
            )
        transitions.touch_all(ids)
        for blind_at, pks in blind.items():
            Run.objects.filter(pk__in=pks, status__in=_GUARDED).update(blind_at=blind_at)
        for run_id in speaking:
            transitions.make_due(run_id=run_id, now=now)
            queue.wake("tick", run_id)


def _newest(
    watched: list[_Watched], measured: Mapping[str, measuring.Measured]
) -> dict[tuple[int, str], datetime]:
    """Return when the newest sample with data of each run's guardrails was.

    A run may have a hundred thousand samples: nearly always one of the last minutes is the newest.
    Of the others only those matter that are not older than every bin that was read.
    """
    found = _newest_since([each.run.pk for each in watched], clock.now() - _RECENT)
    lacking = [
        each
        for each in watched
        if any((each.run.pk, rule.name) not in found for rule in each.document.guardrails)
    ]
    starts = [
        float(series.times[0])
        for each in lacking
        for need in each.needs
        if (series := measured[need.key].series) is not None and len(series.times)
    ]
    if starts:
        oldest = datetime.fromtimestamp(min(starts), UTC)
        found |= _newest_since([each.run.pk for each in lacking], oldest)
    return found


def _newest_since(ids: list[int], oldest: datetime) -> dict[tuple[int, str], datetime]:
    rows = (
        Reading.objects.filter(
            run_id__in=ids, kind="guardrail", is_breach__isnull=False, at__gte=oldest
        )
        .order_by()
        .values_list("run_id", "name")
        .annotate(newest=Max("at"))
    )
    return {(run_id, name): at for run_id, name, at in rows}


def _look(
    each: _Watched,
    measured: Mapping[str, measuring.Measured],
    values: dict[str, Floats],
    newest: Mapping[tuple[int, str], datetime],
    now: datetime,
) -> tuple[list[Reading], bool, datetime | None]:
    """Return the run's new samples, whether a guardrail speaks, and when the next one is blind."""
    run = each.run
    since = run.baseline_at or now
    found: list[Reading] = []
    speaks = False
    silences: list[datetime] = []
    for guardrail in each.document.guardrails:
        need = each.need(guardrail)
        sli, key = need.sli, need.key
        seen = measured[key]
        last = newest.get((run.pk, guardrail.name), since)
        samples: list[Sample] = []
        if seen.series is not None:
            if key not in values:
                values[key] = measuring.bin_values(sli, seen.series)
            bins = seen.series.times, values[key]
            samples = _samples(guardrail, sli, bins, since=since, last=last)
        found += [
            Reading(
                run=run,
                kind="guardrail",
                name=guardrail.name,
                at=sample.at,
                value=sample.value,
                is_breach=sample.is_breach,
                note=sample.note,
            )
            for sample in samples
            if sample.at > last
        ]
        if seen.problem:
            found.append(
                Reading(run=run, kind="guardrail", name=guardrail.name, at=now, note=seen.problem)
            )
        ruling = guardrails.rule(guardrail, samples, watched_since=since, now=now, pace=each.pace)
        speaks |= ruling.state == "breached"
        if guardrail.no_data != "ignore":
            speaks |= ruling.state == "no_data"
            silences.append(
                guardrails.blind_at(guardrail, samples, watched_since=since, pace=each.pace)
            )
    is_on_duty = run.status in _GUARDED and run.stop_requested_at is None
    blind_at = min((moment for moment in silences if moment > now), default=None)
    # A run that waits for a person may go on by itself once data have come back.
    is_due = is_on_duty and (speaks or run.waiting_for == "checkpoint")
    return found, is_due, blind_at if is_on_duty else None


def _samples(
    guardrail: Guardrail,
    sli: Sli,
    bins: tuple[Floats, Floats],
    *,
    since: datetime,
    last: datetime,
) -> list[Sample]:
    """Return a sample for each bin with data that is new, and for as many as a ruling needs.

    A bin read twice is one sample; those from before the baseline are none.
    """
    times, values = bins
    edge = guardrail.above if guardrail.above is not None else guardrail.below
    bound = sli.in_unit(edge if edge is not None else 0.0)
    counted = np.flatnonzero(np.isfinite(values) & (times > since.timestamp()))
    fresh = int(np.count_nonzero(times[counted] > last.timestamp()))
    counted = counted[-max(fresh, guardrail.breaches.of) :]
    return [
        Sample(
            datetime.fromtimestamp(float(at), UTC),
            float(value),
            guardrails.is_breach(guardrail, float(value), bound),
            measuring.show(sli, float(value)),
        )
        for at, value in zip(times[counted], values[counted], strict=True)
    ]

"""Gathers what the run page shows; the page and its live parts are made of the same."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.urls import reverse

from experiments.domain.errors import InvalidDocumentError
from experiments.domain.spec import Experiment
from experiments.domain.states import LIVE, Status
from experiments.figures import REQUESTS
from experiments.models import Run
from experiments.selectors import evidence, ledger, sli_table, timeline, watchers, words
from experiments.services import faults, snapshots, sofar

_BUSY = "every 2s"
_IDLE = "every 15s"


def document_of(run: Run) -> Experiment | None:
    """Return the run's document; None where today's ChaosWeb no longer reads it."""
    try:
        return snapshots.spec_of(run)
    except InvalidDocumentError:
        return None


def forms_key(run: Run, waiting: list[str]) -> str:
    """Return what decides which forms the page shows: they are replaced only when it changes."""
    stop = "over" if not run.is_live else "stopping" if run.stop_requested_at else "live"
    stop = "judging" if run.status == Status.JUDGING else stop
    return ".".join([stop, *waiting])


def etag(run: Run, key: str) -> str:
    """Return the version of all that is visible on the page."""
    return f'"{run.pk}-{run.page_version}-{run.status}-{key}"'


def forms_key_in(tag: str) -> str:
    """Return the forms' part of an ETag that a browser sent back."""
    return tag.strip('"').split("-", 3)[-1]


def context_of(run: Run, now: datetime, *, everything: bool = False) -> dict[str, Any]:
    """Return everything that the run page shows."""
    document = document_of(run)
    catalogue = faults.known()
    journal = evidence.journal(run, everything=everything)
    waiting = watchers.checkpoint_rows(run, document)
    key = forms_key(run, [row.name for row in waiting])
    tag = etag(run, key)
    may_exist = [row for row in run.injections.all() if ledger.may_be_there(row)]
    live = [ledger.in_words(row, catalogue) for row in may_exist]
    unchecked = sum(fault.is_unchecked for fault in live)
    context: dict[str, Any] = {
        "run": run,
        "raw": run.version.document,
        "document": document,
        "who": words.person(run.requested_by),
        "live": live,
        "is_unconfirmed": any(fault.is_unconfirmed for fault in live),
        "unchecked": unchecked,
        "promise": _promise(run, len(live) - unchecked, unchecked),
        "phases": timeline.phase_steps(run, document, journal.judging_at),
        "journal": journal,
        "evidence": evidence.evidence_rows(run, catalogue),
        "checkpoints": waiting,
        "judgement": run.judgement or {},
        "reasons": _reasons(run),
        "poll": _BUSY
        if run.is_live and not run.waiting_for
        else _IDLE
        if _polls(run, live)
        else "",
        "poll_headers": json.dumps({"If-None-Match": tag}),
        "etag": tag,
    }
    if document is not None:
        context |= _measured(run, document, now)
    else:
        context["slis"] = sli_table.judged_rows(context["judgement"].get("slis", ()), None, {})
    return context


def _polls(run: Run, live: list[ledger.LiveFault]) -> bool:
    return run.is_live or bool(live)


def _promise(run: Run, count: int, unchecked: int) -> str:
    """Say what Stop will do."""
    if run.status == Status.JUDGING:
        gone = "A fault is not checked yet" if unchecked else "Every fault is gone"
        return f"{gone}; the run is being judged."
    if run.stop_requested_at is not None:
        return "Stopping: every fault is being removed."
    if run.status == Status.RECOVERING and count:
        return "Its faults are being removed already; it will end as stopped."
    if count:
        return f"Ends the run now and removes {words.counted(count, 'fault')} at once."
    if run.status in (Status.REQUESTED, Status.CHECKING, Status.BASELINE):
        return "No fault is live yet: the run ends without one."
    if unchecked:
        return "What was removed by hand is not checked yet; the run will end as stopped."
    return "No fault is live; it will end as stopped."


def _reasons(run: Run) -> list[str]:
    """Return the verdict's reasons that its sentence does not already say."""
    judged = run.judgement or {}
    said = judged.get("sentence", "")
    return [reason for reason in judged.get("reasons", ()) if reason not in said]


def _measured(run: Run, document: Experiment, now: datetime) -> dict[str, Any]:
    promised = sofar.promises(document)
    pace = sofar.pace_of(run, document)
    judged = (run.judgement or {}).get("slis")
    if judged:
        rows = sli_table.judged_rows(judged, document, promised)
    else:
        series, problems = sofar.read(run, document)
        seen = sofar.slis(
            run,
            document,
            pace=pace,
            phases=sofar.phases_of(run, document, now),
            series=series,
            problems=problems,
        )
        rows = sli_table.live_rows(document, promised, seen)
    return {
        "slis": rows if run.is_live or judged or run.baseline_at else [],
        "guardrails": watchers.guardrail_rows(run, document, pace, now),
        "probes": watchers.probe_rows(run, document),
        "gantt": timeline.gantt(run, document, now),
        "charts": _charts(run, document, promised, rows),
    }


def _charts(
    run: Run, document: Experiment, promised: dict[str, Any], rows: list[sli_table.SliRow]
) -> list[dict[str, Any]]:
    """Return the charts of the page: one for each SLI, and the request rates."""
    if run.baseline_at is None and not run.is_live:
        return []
    version = "" if run.is_live else f"?v={run.page_version}"
    told = {row.name: row for row in rows}
    charts = []
    for sli in document.slis:
        row = told.get(sli.name)
        charts.append(
            {
                "title": sli.label,
                "note": sli_table.expected(promised[sli.name]),
                "url": reverse("run_figure", args=[run.pk, sli.name]) + version,
                "label": f"{sli.label} over the time of the run",
                "summary": _in_words(row) if row and not run.is_live else "",
            }
        )
    if any(sli.measure.kind != "value" for sli in document.slis):
        charts.append(
            {
                "title": "Requests",
                "note": "per second, as each SLI counts them",
                "url": reverse("run_figure", args=[run.pk, REQUESTS]) + version,
                "label": "requests per second over the time of the run",
                "summary": "",
            }
        )
    return charts


def _in_words(row: sli_table.SliRow) -> str:
    """Say what a chart shows, for those who do not see it."""
    return f"Baseline {row.baseline}, fault {row.fault}, recovery {row.recovery}."


def is_over(run: Run) -> bool:
    """Return whether nothing of the run changes any more."""
    return Status(run.status) not in LIVE

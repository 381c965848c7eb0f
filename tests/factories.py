"""Makes exactly the rows that a test asks for, as the engine would have left them."""

from __future__ import annotations

import copy
import itertools
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from experiments.analysis import verdict
from experiments.analysis.evidence import FaultEvidence, ProbeEvidence, RunEvidence
from experiments.domain.states import LIVE
from experiments.models import (
    ActionRecord,
    Alias,
    Connection,
    Environment,
    Experiment,
    ExperimentVersion,
    Injection,
    Reading,
    Run,
    RunEvent,
    User,
)
from experiments.services import authoring, judging, measuring, people, snapshots
from tests.measurements import Levels, series

_numbers = itertools.count(1)

DOCUMENT: dict[str, Any] = {
    "apiVersion": "chaosweb/v1",
    "kind": "Experiment",
    "metadata": {
        "name": "only-carts-feels-it",
        "title": "Only carts feels 90 ms",
        "service": "carts",
        "tags": ["latency"],
    },
    "hypothesis": "With carts 90 ms slower, carts slows down and nothing else does; nobody fails.",
    "parameters": {"delay": {"type": "duration", "default": "90ms"}},
    "slis": [
        {
            "name": "carts_p95",
            "quantile": {"histogram": 'seconds_bucket{service="carts"}', "q": 0.95},
            "expect": "degrades",
            "margin": {"absolute": "20ms"},
            "limit": {"max": "500ms"},
        },
        {
            "name": "orders_p95",
            "quantile": {"histogram": 'seconds_bucket{service="orders"}', "q": 0.95},
            "margin": {"relative": "20%"},
        },
        {
            "name": "orders_errors",
            "ratio": {
                "bad": 'requests_total{service="orders",code=~"5.."}',
                "total": 'requests_total{service="orders"}',
            },
            "limit": {"max": "1%"},
            "margin": {"absolute": "0.5%"},
            "critical": True,
        },
        {
            "name": "queue_length",
            "value": "sum(queue_length)",
            "unit": "messages",
            "expect": "may_degrade",
            "limit": {"max": 60},
        },
    ],
    "probes": [
        {
            "name": "shop-answers",
            "at": ["start", "end"],
            "http": {"url": "http://front/health"},
            "tolerance": {"status": 200},
        }
    ],
    "timing": {"baseline": "3m", "settle": "1m", "step": "5s"},
    "method": [
        {
            "name": "slow-carts",
            "fault": "fake.delay",
            "via": "mesh",
            "with": {"target": "carts", "fixed_delay": "${delay}"},
            "duration": "3m",
        }
    ],
    "guardrails": [
        {"name": "too-many-errors", "sli": "orders_errors", "above": "20%", "every": "5s"}
    ],
}


def person(name: str, role: str = people.VIEWER) -> User:
    """Return a person of this role, whose password is the name."""
    people.ensure_roles()
    user = User.objects.create_user(name, password=name)
    people.give_role(user=user, role=role)
    return user


def environment(name: str = "staging") -> Environment:
    """Return an environment with a rehearsal (mesh) and a Prometheus that nobody answers at."""
    made = Environment.objects.create(name=name)
    mesh = Connection.objects.create(
        name=f"{name}-mesh", kind="fake", options={"targets": ["carts", "orders"]}
    )
    metrics = Connection.objects.create(
        name=f"{name}-metrics",
        kind="prometheus",
        options={"url": "http://127.0.0.1:1"},
        scrape_interval_s=1,
        flush_interval_s=1,
    )
    Alias.objects.create(environment=made, name="mesh", connection=mesh)
    Alias.objects.create(environment=made, name="metrics", connection=metrics)
    return made


def document(name: str = "only-carts-feels-it", title: str = "", **changes: Any) -> dict[str, Any]:
    """Return the document, with other top-level fields."""
    raw = copy.deepcopy(DOCUMENT) | changes
    raw["metadata"] = {**raw["metadata"], "name": name}
    if title:
        raw["metadata"]["title"] = title
    return raw


def version(author: User, raw: dict[str, Any] | None = None) -> ExperimentVersion:
    """Return a version of the document."""
    raw = raw or document()
    known = Experiment.objects.filter(name=raw["metadata"]["name"]).first()
    return authoring.save(raw=raw, author=author, message="as planned", experiment=known)


def run(
    of: ExperimentVersion,
    place: Environment,
    by: User | None,
    *,
    status: str = "requested",
    ago_s: float = 0.0,
    **fields: Any,
) -> Run:
    """Return a run that was requested ``ago_s`` seconds ago, with the moments of its status."""
    at = timezone.now() - timedelta(seconds=ago_s)
    moments: dict[str, Any] = {}
    reached = ["checking", "baseline", "injecting", "recovering", "settling", "judging"]
    offsets = {"baseline": 3, "injecting": 183, "recovering": 363, "settling": 364}
    past = reached.index(status) if status in reached else len(reached)
    if status in ("requested", "refused"):
        past = -1
    for name in reached[: past + 1]:
        if name in offsets:
            moments[f"{name}_at"] = at + timedelta(seconds=offsets[name])
    if status not in {each.value for each in LIVE}:
        moments["ended_at"] = at + timedelta(seconds=432 if past > 0 else 4)
    values = {
        "requested_at": at,
        "status_since": at,
        "parameters": {"delay": "90ms"},
        "idempotency_key": f"key-{next(_numbers)}",
        **moments,
        **fields,
    }
    made = Run.objects.create(
        version=of, environment=place, requested_by=by, status=status, **values
    )
    note(made, "request", f"{of} requested in {place}", at, actor=by.username if by else "")
    return made


def note(run: Run, kind: str, message: str, at: datetime, actor: str = "engine", **kw: Any) -> None:
    """Write a line of the journal."""
    RunEvent.objects.create(run=run, kind=kind, message=message, at=at, actor=actor, **kw)


def injection(
    run: Run, phase: str = "active", action: str = "slow-carts", **fields: Any
) -> Injection:
    """Return the run's injection in this phase, with plan, handle and observation where it has."""
    token = f"cw-{run.pk}-{next(_numbers)}"
    connection = fields.pop("connection", None) or Connection.objects.get(
        aliases__environment=run.environment, aliases__name="mesh"
    )
    values: dict[str, Any] = {
        "position": 0,
        "fault": "fake.delay",
        "params": {"target": "carts", "fixed_delay": "90ms", "percentage": "100%"},
        "duration_s": 180.0,
        "on_drift": "stop",
        "token": token,
        "claims": [f"fake:{connection.name}:carts:{action}"],
    }
    injected = run.injecting_at or run.requested_at
    if phase in ("active", "recovering", "unsettled", "recovered"):
        values |= {
            "plan": plan(token),
            "handle": {"token": token, "details": {}},
            "intent_at": injected,
            "injected_at": injected,
            "recover_by": injected + timedelta(seconds=180),
            "observation": observed("active"),
            "evidence": observed("active"),
            "observed_at": injected,
        }
    if phase in ("recovering", "unsettled", "recovered"):
        values["recovering_at"] = run.recovering_at or timezone.now()
    if phase in ("unsettled", "recovered"):
        values |= {"gone_at": values["recovering_at"], "observation": observed("gone")}
    if phase == "recovered":
        values["recovered_at"] = values["recovering_at"] + timedelta(seconds=1)
    if phase == "intent":
        values["intent_at"] = injected
    return Injection.objects.create(
        run=run, action=action, phase=phase, connection=connection, **{**values, **fields}
    )


def plan(token: str) -> dict[str, Any]:
    """Return a plan as a driver would have made it."""
    return {
        "token": token,
        "fault": "fake.delay",
        "documents": [
            {"target": "carts", "body": "set carts:delay = 100% 90ms", "language": "text"}
        ],
        "targets": [{"name": "carts", "detail": ""}],
        "claims": ["fake:mesh:carts:delay"],
        "requested_share": 1.0,
        "undo": {"carts": None},
        "by_hand": ["curl -X POST 'http://mesh-1:9901/runtime_modify?chaos.carts.delay='"],
    }


def observed(phase: str) -> dict[str, Any]:
    """Return an observation."""
    return {
        "phase": phase,
        "targets": [{"name": "carts", "phase": phase, "detail": ""}],
        "requested_share": 1.0,
        "delivered_share": 1.0,
        "exposed": 2913.0,
        "affected": 2913.0,
        "message": "",
    }


def readings(run: Run, count: int = 5, *, breaches: int = 0, name: str = "too-many-errors") -> None:
    """Store the newest samples of a guardrail, the last of them breaches."""
    end = run.ended_at or timezone.now()
    for index in range(count):
        is_breach = index >= count - breaches
        Reading.objects.create(
            run=run,
            kind="guardrail",
            name=name,
            at=end - timedelta(seconds=5 * (count - index)),
            value=0.3 if is_breach else 0.003,
            is_breach=is_breach,
            note="30 %" if is_breach else "0.3 %",
        )


def judged(run: Run) -> Run:
    """Give the run the verdict that the judge reaches from its stored series."""
    document = snapshots.spec_of(run)
    now = run.ended_at or timezone.now()
    phases = judging.phases_of(run, document, now)
    stored = {
        row.sli: measuring.read_stored(row.kind, bytes(row.payload)) for row in run.series.all()
    }
    evidence = RunEvidence(
        phases=phases,
        slis=tuple(
            measuring.evidence_of(sli, stored.get(sli.name), {}, "") for sli in document.slis
        ),
        faults=tuple(
            FaultEvidence(
                row.action,
                requested_share=1.0,
                delivered_share=(row.evidence or {}).get("delivered_share"),
                exposed=2913,
                affected=round(2913 * ((row.evidence or {}).get("delivered_share") or 0)),
                took_effect=True,
            )
            for row in run.injections.all()
        ),
        probes=(ProbeEvidence("shop-answers", "end", True, "200 in 4 ms"),),
        ended_by=run.stop_ended_by or "plan",  # type: ignore[arg-type]
        guardrail_on_data=run.is_stopped_on_data,
        settle_s=10.0,
        scrape_interval_s=1.0,
        step_s=5.0,
    )
    found = verdict.judge(evidence, seed=run.pk).to_json()
    found["phases"] = [{"name": p.name, "start": p.start, "end": p.end} for p in phases]
    Run.objects.filter(pk=run.pk).update(verdict=found["verdict"], judgement=found)
    run.refresh_from_db()
    return run


def finished(
    of: ExperimentVersion,
    place: Environment,
    by: User | None,
    *,
    levels: dict[str, Levels] | None = None,
    ago_s: float = 3600.0,
    evidence: dict[str, Any] | None = None,
    **fields: Any,
) -> Run:
    """Return a judged run with ledger, series, readings and journal."""
    status = fields.pop("status", "completed")
    made = run(of, place, by, status=status, ago_s=ago_s, ended_by="plan", **fields)
    given: dict[str, Any] = {"evidence": evidence} if evidence else {}
    injection(made, "recovered", **given)
    assert made.injecting_at is not None
    assert made.recovering_at is not None
    assert made.settling_at is not None
    assert made.baseline_at is not None
    for name, at in (("start", made.injecting_at), ("end", made.settling_at)):
        Reading.objects.create(
            run=made,
            kind=f"probe_{name}",
            name="shop-answers",
            at=at,
            is_breach=False,
            note="200 in 4 ms",
        )
    ActionRecord.objects.create(
        run=made,
        name="slow-carts",
        kind="fault",
        started_at=made.injecting_at,
        finished_at=made.recovering_at,
        outcome="recovered",
    )
    moments = [
        ("checking", "baseline", made.baseline_at, "every backend and source answers"),
        ("baseline", "injecting", made.injecting_at, "the system is healthy: limits met"),
        ("injecting", "recovering", made.recovering_at, "every action has ended"),
        ("recovering", "settling", made.settling_at, "every fault is gone, as read back"),
        ("settling", "judging", made.settling_at + timedelta(seconds=60), "it had its time"),
    ]
    for old, new, at, message in moments:
        note(made, "status", message, at, old=old, new=new)
    series(made, levels)
    readings(made)
    return judged(made)


def live(of: ExperimentVersion, place: Environment, by: User | None, **fields: Any) -> Run:
    """Return a run whose fault is in effect, 65 s after it was injected."""
    made = run(of, place, by, status="injecting", ago_s=248, **fields)
    injection(made)
    assert made.injecting_at is not None
    ActionRecord.objects.create(
        run=made, name="slow-carts", kind="fault", started_at=made.injecting_at
    )
    note(
        made, "status", "the system is healthy", made.injecting_at, old="baseline", new="injecting"
    )
    note(made, "inject", "slow-carts: fake.delay is in effect, as read back", made.injecting_at)
    series(made)
    readings(made)
    return made


def unconfirmed(of: ExperimentVersion, place: Environment, by: User | None) -> Run:
    """Return a run whose fault could not be confirmed as removed."""
    made = run(of, place, by, status="recovering", ago_s=400)
    injection(
        made,
        "recovering",
        failures=4,
        last_error="carts is unreachable",
        due_at=timezone.now() + timedelta(seconds=9),
        observation={**observed("pending"), "message": "carts is unreachable"},
    )
    note(made, "error", "slow-carts: removal is not confirmed (unreachable)", timezone.now())
    series(made)
    return made

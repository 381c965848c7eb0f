"""Guardrails on PromQL of their own, of the environment, and those that ask a person when blind."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.protocol import DriverError
from experiments.domain.errors import InvalidDocumentError
from experiments.models import Connection, Environment, Run, User
from experiments.selectors import timeline, watchers
from experiments.services import gating, launching, pacing, previewing, querying, snapshots
from tests.pump import Pump
from tests.services.worlds import ENDED, Metrics, document, fault, start, watched

pytestmark = pytest.mark.django_db(transaction=True)

OWN = {"name": "busy", "promql": "busy", "unit": "jobs", "above": 50, "breaches": "2 of 3"}
TIMING = {"baseline": "30s", "settle": "5s", "step": "5s"}
ASKS = {"no_data": "checkpoint"}
TWO = (
    fault("one", duration="2m", start={}, **{"with": {"target": "one"}}),
    fault("two", duration="10s", start={"delay": "90s"}, **{"with": {"target": "two"}}),
)


def own(*method: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a document without SLIs that a guardrail on its own PromQL watches."""
    rail = OWN | changes
    return document(*(method or (fault(duration="2m"),)), guardrails=[rail], timing=TIMING)


def injecting(run: Run, pump: Pump, seconds: float = 10) -> Run:
    pump.run_until(run, "injecting")
    pump.pass_time(seconds)
    return run


def lose(metrics: Metrics, pump: Pump, until_s: float = float("inf")) -> None:
    """Let the source have no data from now on, for so many seconds."""
    lost = pump.seconds()
    metrics.value = lambda at: None if lost < at < lost + until_s else 1.0


def opened(run: Run) -> list[str]:
    return list(run.actions.filter(name__startswith="no-data-").values_list("name", flat=True))


def wait_for(run: Run, pump: Pump, name: str, most_s: int = 60) -> None:
    for _ in range(most_s):
        if name in opened(run):
            run.refresh_from_db()
            return
        pump.pass_time(1)
    raise AssertionError(f"{name} never opened")


class TestOwnPromql:
    def test_it_is_watched_without_any_sli_and_stops_the_run(
        self, alice, environment, pump, metrics
    ):
        run = injecting(start(alice, environment, own()), pump)
        began = pump.seconds()
        metrics.value = lambda at: 80.0 if at > began else 1.0
        pump.run_until(run, *ENDED)
        assert (run.status, run.ended_by) == ("stopped", "guardrail")
        assert run.is_stopped_on_data
        assert run.verdict == "deviated"
        assert "2 of the last 3 readings of busy were above 50: 80 jobs" in run.reason

    def test_silence_stops_the_run_and_proves_nothing(self, alice, environment, pump, metrics):
        run = injecting(start(alice, environment, own()), pump)
        lose(metrics, pump)
        pump.run_until(run, *ENDED)
        assert (run.status, run.ended_by, run.verdict) == ("stopped", "guardrail", "inconclusive")

    @pytest.mark.parametrize(
        ("value", "says"),
        [
            (lambda at: None, "busy: no data: busy returned nothing"),
            (lambda at: 80.0, "busy: would stop the run at once: 80 jobs, 80 jobs"),
        ],
    )
    def test_one_that_is_not_fed_or_not_quiet_refuses(
        self, alice, environment, pump, metrics, value, says
    ):
        raw = own()
        raw["timing"] = TIMING | {"baseline": "0s"}
        metrics.value = value
        run = pump.run_until(start(alice, environment, raw), *ENDED)
        assert run.status == "refused"
        assert says in run.reason
        assert not run.injections.filter(intent_at__isnull=False).exists()

    @pytest.mark.parametrize(("no_data", "is_ok"), [("ignore", True), ("checkpoint", False)])
    def test_the_gate_refuses_one_that_became_blind(
        self, alice, environment, pump, metrics, no_data, is_ok
    ):
        raw = own(no_data=no_data)
        raw["timing"] = TIMING | {"baseline": "2m"}
        run = start(alice, environment, raw)
        pump.run_until(run, "baseline")
        pump.pass_time(40)
        lose(metrics, pump)
        pump.let_pass(60)
        outcome = gating.gate(run)
        assert outcome.is_ok is is_ok
        assert is_ok or "busy: is blind: no new data of busy for" in outcome.reason

    def test_promql_that_the_server_cannot_read_refuses(
        self, alice, environment, pump, metrics, monkeypatch
    ):
        def parse(query: str) -> str:
            if query == "busy":
                raise DriverError("unexpected end of input")
            return query

        monkeypatch.setattr(metrics, "parse", parse)
        run = pump.run_until(start(alice, environment, own()), *ENDED)
        assert run.status == "refused"
        assert "Prometheus cannot read busy: unexpected end of input" in run.reason
        assert run.problems[0]["where"] == "guardrails.busy"

    def test_the_editor_is_told_of_it_at_its_field(self, environment, metrics, monkeypatch):
        def parse(query: str) -> str:
            if query == "busy":
                raise DriverError("unexpected end of input")
            return query

        monkeypatch.setattr(metrics, "parse", parse)
        (error,) = querying.queries(raw=own(), environment=environment).errors
        assert error.dotted == "guardrails[0].promql"
        assert "unexpected end of input" in error.message

    def test_its_source_must_be_a_prometheus_of_the_environment(self, alice, environment):
        with pytest.raises(InvalidDocumentError) as refused:
            start(alice, environment, own(source="mesh"))
        (error,) = refused.value.errors
        assert error.dotted == "guardrails[0].source"
        assert "is a connection of kind fake, not prometheus" in error.message


class TestOfTheEnvironment:
    @pytest.fixture
    def guarded(self, environment: Environment) -> Environment:
        environment.guardrails = [OWN]
        environment.save()
        return environment

    def test_it_watches_every_run_and_stops_it(self, alice, guarded, pump, metrics):
        run = injecting(start(alice, guarded, document(fault(duration="2m"), timing=TIMING)), pump)
        began = pump.seconds()
        metrics.value = lambda at: 80.0 if at > began else 1.0
        pump.run_until(run, *ENDED)
        assert (run.status, run.stop_actor) == ("stopped", "guardrail busy")

    def test_a_run_keeps_those_it_was_requested_under(self, alice, guarded, pump):
        run = start(alice, guarded, document(fault(duration="2m"), timing=TIMING))
        guarded.guardrails = []
        guarded.save()
        assert [each.name for each in snapshots.spec_of(run).guardrails] == ["busy"]
        later = start(alice, guarded, document(timing=TIMING), key="later")
        assert snapshots.spec_of(later).guardrails == ()

    def test_runs_of_one_version_keep_apart_what_was_added(self, alice, guarded):
        first = start(alice, guarded, document(timing=TIMING))
        guarded.guardrails = [OWN | {"above": 60}]
        guarded.save()
        again = launching.request_run(
            version=first.version, environment=guarded, user=alice, idempotency_key="again"
        )
        bounds = [snapshots.spec_of(run).guardrails[0].above for run in (first, again)]
        assert bounds == [50, 60]

    def test_a_name_of_the_authors_own_gets_a_prefix_and_both_watch(self, alice, guarded, pump):
        run = injecting(start(alice, guarded, own(above=70)), pump)
        rows = watchers.guardrail_rows(
            run,
            snapshots.spec_of(run),
            snapshots.pace_of(snapshots.spec_of(run), snapshots.sources_of(run)),
            pump.now(),
        )
        assert [(row.name, row.is_of_environment, row.state) for row in rows] == [
            ("busy", False, "quiet"),
            ("environment-busy", True, "quiet"),
        ]
        assert rows[1].rule == "busy above 50, 2 of 3"

    def test_an_alias_that_it_needs_must_be_there(self, alice, guarded):
        guarded.aliases.get(name="metrics").delete()
        with pytest.raises(InvalidDocumentError) as refused:
            start(alice, guarded, document())
        (error,) = refused.value.errors
        assert error.dotted == "environment.guardrails[0].source"
        assert "“metrics” is no Prometheus of the environment" in error.message

    def test_the_preview_names_them(self, guarded):
        shown = previewing.preview(raw=own(above=70), environment=guarded)
        assert [(each.name, each.is_of_environment) for each in shown.guardrails] == [
            ("busy", False),
            ("environment-busy", True),
        ]
        alone = previewing.preview(raw=own())
        assert [each.is_of_environment for each in alone.guardrails] == [False]


class TestCheckpoint:
    def test_it_holds_the_next_action_back_until_a_person_lets_it_go_on(
        self, alice: User, environment, pump, metrics, control
    ):
        run = injecting(start(alice, environment, watched(*TWO, **ASKS)), pump)
        lose(metrics, pump)
        wait_for(run, pump, "no-data-too-much")
        assert (run.status, run.waiting_for) == ("injecting", "checkpoint")
        line = run.events.filter(message__startswith="no-data-too-much").get()
        assert "waiting for a person: too-much: no new data of load for 2" in line.message
        pump.pass_time(80)
        assert not run.actions.filter(name="two").exists(), "held back"
        assert len(control.live()) == 1
        pump.pass_time(20)
        assert control.live() == set(), "the live fault ended as planned"
        assert launching.answer_checkpoint(run=run, name="no-data-too-much", user=alice)
        pump.drain()
        run.refresh_from_db()
        assert run.waiting_for == ""
        assert run.actions.filter(name="two").exists()
        pump.run_until(run, *ENDED)
        assert (run.status, run.ended_by) == ("completed", "plan")
        assert opened(run) == ["no-data-too-much"], "accepted until data come back"

    def test_it_closes_by_itself_when_data_come_back_and_opens_again(
        self, alice, environment, pump, metrics
    ):
        long = (fault("one", duration="10m"),)
        run = injecting(start(alice, environment, watched(*long, **ASKS)), pump)
        lose(metrics, pump, until_s=60)
        wait_for(run, pump, "no-data-too-much")
        for _ in range(60):
            pump.pass_time(1)
        run.refresh_from_db()
        assert run.waiting_for == ""
        assert run.actions.get(name="no-data-too-much").outcome == "data came back"
        assert run.events.filter(message="no-data-too-much: data came back").count() == 1
        lose(metrics, pump)
        wait_for(run, pump, "no-data-too-much-2")
        assert run.waiting_for == "checkpoint"

    def test_unanswered_it_stops_the_run_and_disproves_nothing(
        self, alice, environment, pump, metrics, control
    ):
        long = (fault("one", duration="1h"),)
        run = injecting(start(alice, environment, watched(*long, **ASKS)), pump)
        lose(metrics, pump)
        wait_for(run, pump, "no-data-too-much")
        for _ in range(59):
            pump.pass_time(10)
        run.refresh_from_db()
        assert run.status == "injecting"
        pump.run_until(run, *ENDED)
        assert (run.status, run.ended_by, run.verdict) == ("stopped", "guardrail", "inconclusive")
        assert "nobody let the run go on without it within 10 minutes" in run.reason
        assert not run.is_stopped_on_data
        assert control.live() == set()
        assert run.waiting_for == ""

    def test_a_stop_ends_the_waiting(self, alice, environment, pump, metrics, control):
        run = injecting(start(alice, environment, watched(*TWO, **ASKS)), pump)
        lose(metrics, pump)
        wait_for(run, pump, "no-data-too-much")
        launching.stop_run(run=run, actor="bob")
        pump.run_until(run, *ENDED)
        assert run.actions.get(name="no-data-too-much").outcome == "stopped"
        assert (run.waiting_for, control.live()) == ("", set())

    def test_pages_show_what_it_asks_and_until_when(self, alice, environment, pump, metrics):
        run = injecting(start(alice, environment, watched(*TWO, **ASKS)), pump)
        lose(metrics, pump)
        wait_for(run, pump, "no-data-too-much")
        plan = snapshots.spec_of(run)
        (row,) = watchers.checkpoint_rows(run, plan)
        assert row.question == "too-much sees no data of load. Go on without it?"
        assert row.until is not None
        assert (row.until - row.since).total_seconds() == 600
        drawn = timeline.gantt(run, plan, pump.now())
        assert drawn is not None
        assert drawn.tracks[-1].label == "no-data-too-much"
        assert drawn.tracks[-1].note == "guardrail without data"
        (unread,) = watchers.checkpoint_rows(run, None)
        assert (unread.question, unread.until) == ("no-data-too-much", None)

    def test_two_checkpoints_wait_until_both_are_answered(self, alice, environment, pump, metrics):
        look = {"name": "look", "checkpoint": "Fine?", "timeout": "1h", "start": {}}
        run = injecting(start(alice, environment, watched(TWO[0], look, **ASKS)), pump)
        lose(metrics, pump)
        wait_for(run, pump, "no-data-too-much")
        launching.answer_checkpoint(run=run, name="look", user=alice)
        run.refresh_from_db()
        assert run.waiting_for == "checkpoint"
        launching.answer_checkpoint(run=run, name="no-data-too-much", user=alice)
        run.refresh_from_db()
        assert run.waiting_for == ""


def test_a_guardrail_faster_than_its_source_is_warned_of(alice, environment, pump):
    raw = watched(every="2s")
    run = start(alice, environment, raw)
    pump.run_until(run, "injecting")
    (problem,) = run.problems
    assert problem["severity"] == "warning"
    assert problem["where"] == "guardrails.too-much"
    assert problem["message"] == (
        "too-much reads every 2s but its source gives a new value every 5s: "
        "2 breaches take at least 10s."
    )
    shown = previewing.preview(raw=raw, environment=environment)
    assert problem["message"] in [each.message for each in shown.warnings]
    plan = snapshots.spec_of(start(alice, environment, watched(), key="calm"))
    assert pacing.unfed(plan, snapshots.pace_of(plan, snapshots.sources_of(run))) == []


def test_a_slow_source_of_a_guardrail_sets_the_step(alice, environment):
    Connection.objects.filter(name="metrics").update(scrape_interval_s=10)
    raw = own()
    raw["timing"] = {"baseline": "0s", "settle": "0s"}
    run = start(alice, environment, raw)
    plan = snapshots.spec_of(run)
    assert snapshots.pace_of(plan, snapshots.sources_of(run)).step_s == 50

"""The calls that are no injection's: check, gate, watch with its guardrails, judge."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.fake import Step
from experiments.models import Claim
from experiments.services import calling, checking, judging, watching
from tests.services.worlds import ENDED, document, start, watched

pytestmark = pytest.mark.django_db(transaction=True)


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("a bug")


def run_through(alice: Any, environment: Any, pump: Any, raw: Any) -> Any:
    return pump.run_until(start(alice, environment, raw), *ENDED)


def test_a_check_that_finds_an_error_refuses(alice, environment, pump, control):
    control.cut_off("one")
    run = run_through(alice, environment, pump, document())
    assert run.status == "refused"
    assert "cannot be reached" in run.reason
    assert run.problems[0]["where"] == "one"
    assert not Claim.objects.exists()


def test_a_check_that_cannot_ask_refuses_and_says_why(alice, environment, pump, control):
    control.script(Step(method="check", do="fail", message="No way in."))
    run = run_through(alice, environment, pump, document())
    assert run.status == "refused"
    assert "No way in." in run.reason


def test_a_check_that_breaks_is_tried_again_and_then_refuses(alice, environment, pump, monkeypatch):
    monkeypatch.setattr(checking, "_ask", broken)
    run = run_through(alice, environment, pump, document())
    assert run.status == "refused"
    assert "RuntimeError: a bug" in run.reason
    assert run.calls.get(kind="check").failures == 2


def test_an_outcome_that_cannot_be_kept_never_hangs_the_run(alice, environment, pump, monkeypatch):
    kind = calling._KINDS["check"]
    monkeypatch.setitem(
        calling._KINDS, "check", calling._Kind(kind.make, 60, broken, kind.give_up, 2)
    )
    run = run_through(alice, environment, pump, document())
    assert run.status == "refused"
    assert "a bug" in run.reason
    assert not run.injections.exists()


def test_a_sick_system_is_refused_before_the_first_fault(
    alice, environment, pump, control, metrics
):
    metrics.value = lambda at: 120.0
    run = run_through(alice, environment, pump, watched(above=1000))
    assert run.status == "refused"
    assert "above its limit" in run.reason
    assert control.calls("inject") == 0
    assert not Claim.objects.filter(released_at__isnull=True).exists()
    assert run.injections.get().phase == "cancelled"


def test_a_source_without_data_is_refused_before_the_first_fault(
    alice, environment, pump, control, metrics
):
    metrics.value = lambda at: None
    run = run_through(alice, environment, pump, watched(no_data="ignore"))
    assert run.status == "refused"
    assert "no data" in run.reason
    assert control.calls("inject") == 0


def test_a_failed_start_probe_refuses(alice, environment, pump, control):
    raw = document()
    raw["probes"][0] |= {"at": ["start", "end"], "tolerance": {"status": 204}}
    run = run_through(alice, environment, pump, raw)
    assert run.status == "refused"
    assert "start probe failed" in run.reason
    assert control.calls("inject") == 0


def test_a_guardrail_that_sees_breaches_stops_the_run_on_data(
    alice, environment, pump, control, metrics
):
    run = start(alice, environment, watched())
    pump.run_until(run, "injecting")
    began = pump.seconds()
    metrics.value = lambda at: 80.0 if at > began else 1.0
    pump.run_until(run, *ENDED)
    assert (run.status, run.ended_by) == ("stopped", "guardrail")
    assert run.is_stopped_on_data
    assert "2 of the last 3 readings of load were above 50" in run.reason
    assert (run.stop_requested_at or pump.now()).timestamp() - began < 30
    assert control.live() == set()


def test_one_breach_alone_stops_nothing(alice, environment, pump, metrics):
    run = start(alice, environment, watched())
    pump.run_until(run, "injecting")
    spike = round(pump.seconds() / 5) * 5 + 10
    metrics.value = lambda at: 80.0 if at == spike else 1.0
    assert pump.run_until(run, *ENDED).status == "completed"


@pytest.mark.parametrize(("no_data", "status"), [("stop", "stopped"), ("ignore", "completed")])
def test_a_guardrail_without_data_stops_or_not_as_it_says(
    alice, environment, pump, metrics, no_data, status
):
    run = start(alice, environment, watched(no_data=no_data))
    pump.run_until(run, "injecting")
    began = pump.seconds()
    metrics.value = lambda at: None if at > began else 1.0
    pump.run_until(run, *ENDED)
    assert run.status == status
    assert not run.is_stopped_on_data
    assert run.verdict != "held", "missing data is never a pass"
    if no_data == "stop":
        assert "no new data of load" in run.reason


def test_a_source_that_does_not_answer_is_no_data_too(alice, environment, pump, metrics):
    run = start(alice, environment, watched())
    pump.run_until(run, "injecting")
    metrics.error = "Connection refused."
    pump.run_until(run, *ENDED)
    assert (run.status, run.ended_by) == ("stopped", "guardrail")
    assert not run.is_stopped_on_data
    assert "Connection refused." in run.reason


def test_a_watch_that_breaks_stops_nothing_by_itself_but_its_guardrail_does(
    alice, environment, pump, monkeypatch
):
    run = start(alice, environment, watched())
    pump.run_until(run, "injecting")
    monkeypatch.setattr(watching, "_look", broken)
    pump.run_until(run, *ENDED)
    assert (run.status, run.ended_by) == ("stopped", "guardrail")


def test_a_breach_in_the_baseline_refuses(alice, environment, pump, control, metrics):
    run = start(alice, environment, watched())
    pump.run_until(run, "baseline")
    metrics.value = lambda at: 80.0
    pump.run_until(run, *ENDED)
    assert run.status == "refused"
    assert "before any fault" in run.reason
    assert control.calls("inject") == 0


def test_a_judge_without_its_source_tries_again_and_then_judges_what_was_kept(
    alice, environment, pump, metrics
):
    run = start(alice, environment, watched(no_data="ignore"))
    pump.run_until(run, "settling")
    metrics.error = "Connection refused."
    pump.run_until(run, *ENDED)
    call = run.calls.get(kind="judge")
    assert call.failures == 3
    assert run.status == "completed"
    assert run.verdict == "inconclusive"


def test_a_judge_that_comes_back_in_time_judges_the_data(alice, environment, pump, metrics):
    run = start(alice, environment, watched())
    pump.run_until(run, "settling")
    metrics.error = "Connection refused."
    for _ in range(200):
        pump.pass_time(0.25)
        run.refresh_from_db()
        if run.calls.filter(kind="judge", failures=2).exists():
            break
    metrics.error = ""
    pump.run_until(run, *ENDED)
    assert run.status == "completed"
    assert run.calls.get(kind="judge").failures == 2
    assert not run.series.get().problem


def test_a_judge_that_breaks_ends_the_run_without_a_pass(
    alice, environment, pump, control, monkeypatch
):
    monkeypatch.setattr(judging, "_judge", broken)
    run = run_through(alice, environment, pump, document())
    assert (run.status, run.ended_by, run.verdict) == ("errored", "error", "inconclusive")
    assert "could not be judged: RuntimeError: a bug" in run.reason
    assert control.live() == set()


def test_a_call_that_is_not_due_or_taken_is_not_made(alice, environment, pump, control):
    run = start(alice, environment)
    pump.step()
    call = run.calls.get(kind="check")
    assert calling._claim(run.pk, "check") is not None
    assert calling._claim(run.pk, "check") is None, "somebody makes it"
    pump.let_pass(61)
    claimed = calling._claim(run.pk, "check")
    assert claimed is not None, "nobody came back"
    assert claimed[2] == call.attempt + 2


def test_whoever_lost_a_call_commits_nothing(alice, environment, pump, monkeypatch):
    run = start(alice, environment)
    pump.step()
    check = checking.check

    def slow(run):
        monkeypatch.setattr(
            calling,
            "_KINDS",
            calling._KINDS
            | {"check": calling._Kind(check, 60, checking.commit, calling._refused, 2)},
        )
        found = check(run)
        pump.let_pass(61)
        calling.make(run_id=run.pk, kind="check")
        return found

    kind = calling._Kind(slow, 60, checking.commit, calling._refused, 2)
    monkeypatch.setitem(calling._KINDS, "check", kind)
    pump.run_until(run, *ENDED)
    assert run.status == "completed"
    assert run.injections.count() == 1

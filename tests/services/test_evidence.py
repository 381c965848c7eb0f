"""No verdict without evidence: what was lost, never made or never counted is not held."""

from __future__ import annotations

import pytest

from drivers.fake import Step
from experiments.services import authoring
from tests.services.worlds import ENDED, document, fault, start

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def healthy(monkeypatch):
    """Answer every HTTP probe with 200."""
    from drivers.http import HttpAnswer
    from experiments import backends

    asked = []

    def fetch(**request):
        asked.append(request["url"])
        return HttpAnswer(status=200, headers={}, text="ok", elapsed_s=0.01)

    monkeypatch.setattr(backends, "fetch", fetch)
    return asked


def test_a_fault_that_is_there_to_its_end_holds(alice, environment, pump, control, healthy):
    control.deliver(1.0)
    run = pump.run_until(start(alice, environment, document(fault(duration="1m"))), *ENDED)
    assert (run.status, run.verdict) == ("completed", "held")


def test_a_fault_that_was_lost_early_is_not_held(alice, environment, pump, control, healthy):
    control.deliver(1.0)
    raw = document(fault(duration="1m", on_drift="ignore"))
    run = pump.run_until(start(alice, environment, raw), "injecting")
    pump.drain()
    pump.pass_time(4)
    control.restart("one", "two")
    pump.run_until(run, *ENDED)
    assert run.status == "completed"
    assert run.verdict == "inconclusive"
    assert "missing on its backend" in run.judgement["sentence"]
    phase = next(each for each in run.judgement["phases"] if each["name"] == "fault")
    assert phase["end"] - phase["start"] < 30


def test_a_fault_that_nobody_could_observe_is_not_held(alice, environment, pump, control, healthy):
    control.script(Step(method="observe", do="fail", times=999))
    run = pump.run_until(start(alice, environment, document(fault(duration="20s"))), *ENDED)
    assert run.status == "completed"
    assert run.verdict == "inconclusive"


def test_a_probe_throughout_is_made_without_any_sli(alice, environment, pump, control, healthy):
    control.deliver(1.0)
    raw = document(fault(duration="1m"))
    raw["probes"][0] |= {"at": ["throughout"], "every": "5s"}
    run = pump.run_until(start(alice, environment, raw), *ENDED)
    assert run.readings.filter(kind="probe_throughout").count() > 5
    assert run.verdict == "held"


def test_the_baseline_ends_where_the_fault_may_have_begun(
    alice, environment, pump, control, healthy
):
    control.script(Step(method="inject", do="fail", times=3))
    raw = document(fault(duration="20s"), timing={"baseline": "30s", "settle": "0s"})
    run = pump.run_until(start(alice, environment, raw), *ENDED)
    injection = run.injections.get()
    assert injection.injected_at > injection.intent_at
    baseline = run.judgement["phases"][0]
    assert baseline["end"] == injection.intent_at.timestamp()


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("method", 0, "duration"), "8d", "at most 7d"),
        (("timing", "step"), "1ms", "at least 100ms"),
        (("probes", 0, "http", "timeout"), "1m", "at most 30s"),
        (("probes", 0, "tolerance", "min"), "nan", "finite"),
        (("probes", 0, "at"), ["start"], "only before the fault"),
    ],
)
def test_what_could_never_be_judged_or_ended_is_refused(place, value, says):
    raw = document()
    node = raw
    for part in place[:-1]:
        node = node[part]
    node[place[-1]] = value
    errors = authoring.validate(raw).errors
    assert any(says in error.message for error in errors), errors

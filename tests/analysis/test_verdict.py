"""The parts compose by precedence: deviated, not_exercised, inconclusive, held."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.analysis.evidence import FaultEvidence, ProbeEvidence, ValueSeries
from experiments.analysis.judgement import FaultJudgement, Judgement, SliJudgement
from experiments.analysis.verdict import compose, judge
from tests.analysis.worlds import (
    STEP,
    TOOK,
    ar1,
    histograms,
    latency_sli,
    phases,
    ratio_sli,
    ratios,
    run,
    value_sli,
    values,
)

FINE = SliJudgement("fine", "as_expected", "fine was fine.")
OPEN = SliJudgement("open", "undecided", "open is open.")
WORSE = SliJudgement("worse", "deviates", "worse deviated.")
BROKEN = SliJudgement("broken", "deviates", "broken broke.", limit_broken=True)
BETTER = SliJudgement("better", "better_than_predicted", "better was better.")
THERE = FaultJudgement("slow", "took_effect", "slow took effect.")
ABSENT = FaultJudgement("slow", "not_exercised", "slow was absent.")
ODD = FaultJudgement("slow", "doubtful", "slow was odd.")


def probe(at: str, passed: bool | None) -> ProbeEvidence:
    return ProbeEvidence("shop-answers", at, passed)  # type: ignore[arg-type]


PLAN = {"ended_by": "plan"}
BREACH = {"ended_by": "guardrail", "guardrail_on_data": True}
STARVED = {"ended_by": "guardrail", "guardrail_on_data": False}
STOPS = [STARVED, *({"ended_by": how} for how in ("person", "halt", "backend", "error"))]


@pytest.mark.parametrize(
    ("slis", "faults", "probes", "end", "verdict"),
    [
        ([FINE], [THERE], [], PLAN, "held"),
        ([FINE, BETTER], [THERE], [probe("end", True)], PLAN, "held"),
        ([], [THERE], [probe("throughout", True)], PLAN, "held"),
        ([], [THERE], [], PLAN, "inconclusive"),
        ([FINE, OPEN], [THERE], [], PLAN, "inconclusive"),
        ([FINE], [THERE, ODD], [], PLAN, "inconclusive"),
        ([FINE], [THERE], [probe("end", None)], PLAN, "inconclusive"),
        ([FINE], [THERE], [probe("start", False)], PLAN, "inconclusive"),
        ([FINE], [THERE], [probe("end", False)], PLAN, "deviated"),
        ([FINE], [THERE], [probe("throughout", False)], PLAN, "deviated"),
        ([FINE], [THERE], [], BREACH, "deviated"),
        ([FINE], [ABSENT], [], PLAN, "not_exercised"),
        ([FINE], [THERE, ABSENT], [], PLAN, "not_exercised"),
        ([FINE], [], [], PLAN, "not_exercised"),
        ([], [ABSENT], [probe("end", True)], PLAN, "not_exercised"),
        ([WORSE, OPEN], [THERE], [], PLAN, "deviated"),
        ([WORSE], [ABSENT], [], PLAN, "deviated"),
        ([FINE], [ABSENT], [probe("end", False)], PLAN, "deviated"),
        ([OPEN], [ABSENT], [probe("end", None)], PLAN, "not_exercised"),
        *[([FINE], [THERE], [], stop, "inconclusive") for stop in STOPS],
        *[([WORSE], [THERE], [], stop, "inconclusive") for stop in STOPS],
        *[([BROKEN], [THERE], [], stop, "deviated") for stop in STOPS],
        *[([FINE], [ABSENT], [], stop, "not_exercised") for stop in STOPS],
        *[([FINE], [THERE], [probe("end", False)], stop, "deviated") for stop in STOPS],
    ],
)
def test_precedence(slis, faults, probes, end, verdict) -> None:
    found = compose(run(probes=tuple(probes), **end), tuple(slis), tuple(faults))
    assert found.verdict == verdict
    assert found.sentence.endswith(".")
    assert found.reasons or verdict == "held"


def test_a_critical_deviation_is_told_first_and_the_rest_counted() -> None:
    critical = replace(BROKEN, critical=True)
    found = compose(run(), (WORSE, critical), (ABSENT,))
    assert found.sentence == "broken broke. And 1 more deviated. Yet slow was absent."


def test_better_than_predicted_and_not_recovered_are_told_without_deciding() -> None:
    slow = replace(FINE, recovered=False)
    found = compose(run(), (slow, BETTER), (THERE,))
    assert found.verdict == "held"
    assert "better did better than predicted" in found.sentence
    assert "fine was not back within its baseline band when watching ended." in found.reasons


def test_a_stopped_run_tells_a_deviation_that_does_not_count() -> None:
    found = compose(run(ended_by="person"), (WORSE,), (THERE,))
    assert found.sentence.startswith("No verdict: A person stopped the run")
    assert any("unreliable" in reason for reason in found.reasons)


def shop(seed: int = 1, slow: float = 1.0):
    rng = np.random.default_rng(seed)
    medians = [0.04] * 60 + [0.04 * slow] * 60 + [0.04] * 20
    total = rng.poisson(100, 140)
    return run(
        # p95 lies in the bucket 60 to 80 ms: a margin of 20 % would be narrower than it.
        latency_sli(histograms(rng, medians), margin_relative=0.3),
        ratio_sli(ratios(rng.binomial(total, 0.01), total), margin_absolute=0.01),
        phases=phases(60, 60, 20),
    )


def test_a_calm_shop_holds_and_a_slow_one_deviates() -> None:
    calm = judge(shop())
    assert calm.verdict == "held"
    assert calm.sentence == "2 SLIs were as predicted under slow-carts."
    slow = judge(shop(slow=2.0))
    assert slow.verdict == "deviated"
    assert slow.sentence.startswith("orders_p95 rose from")


def test_the_same_evidence_gives_the_same_judgement() -> None:
    assert judge(shop()).to_json() == judge(shop()).to_json()
    assert judge(shop(), seed=2).to_json() != judge(shop()).to_json()


def test_a_judgement_is_plain_json() -> None:
    evidence = shop(slow=2.0)
    silent = value_sli(None, problem="no data")
    capped = latency_sli(
        histograms(np.random.default_rng(1), [5.0] * 140), name="capped", margin_relative=0.1
    )
    judgement = judge(replace(evidence, slis=(*evidence.slis, silent, capped)))
    plain = judgement.to_json()
    text = json.dumps(plain, allow_nan=False)
    assert json.loads(text) == plain
    assert plain["slis"][-1]["effect"]["absolute_high"] is None
    assert plain["slis"][0]["phases"]["baseline"]["n_bins"] == 60


def test_judging_nothing_at_all_is_not_exercised() -> None:
    assert judge(run(phases=(), faults=())).verdict == "not_exercised"


def judged_values(series: ValueSeries, **changes: object) -> Judgement:
    return judge(run(value_sli(series, margin_absolute=100.0), **changes))


CALM = values(10 + ar1(np.random.default_rng(3), 120, 0.2))


@given(
    st.lists(st.booleans(), min_size=60, max_size=60),
    st.sampled_from(["baseline", "fault"]),
)
@settings(max_examples=40, deadline=None)
def test_missing_data_never_hold(holes: list[bool], where: str) -> None:
    gaps = np.zeros(120, dtype=bool)
    gaps[:60] = holes if where == "baseline" else False
    gaps[60:] = holes if where == "fault" else False
    seen = np.where(gaps, np.nan, CALM.values)
    found = judged_values(ValueSeries(CALM.times, seen, step_s=STEP, window_s=STEP))
    if gaps.sum() >= 12:
        assert found.verdict == "inconclusive"
    absent = ValueSeries(CALM.times[~gaps], CALM.values[~gaps], step_s=STEP, window_s=STEP)
    assert judged_values(absent).verdict == found.verdict


@given(st.floats(0, 1) | st.none(), st.integers(0, 50) | st.none(), st.booleans() | st.none())
@settings(max_examples=60, deadline=None)
def test_held_needs_a_fault_that_was_there(share, affected, took) -> None:
    fault = FaultEvidence("f", share, None, 50, affected, took)
    found = judged_values(CALM, faults=(fault,))
    if found.verdict == "held":
        assert share != 0
        assert affected != 0
        assert took or affected


@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_runs_without_effect_rarely_deviate(phi: float) -> None:
    rng = np.random.default_rng(21)
    verdicts = []
    for _ in range(120):
        slis = tuple(
            value_sli(values(10 + ar1(rng, 120, phi)), name=f"sli{at}", margin_absolute=0.05)
            for at in range(2)
        )
        verdicts.append(judge(run(*slis)).verdict)
    assert verdicts.count("deviated") / len(verdicts) <= 0.1


def test_runs_with_a_small_real_effect_rarely_hold() -> None:
    rng = np.random.default_rng(22)
    held = 0
    for _ in range(150):
        noise = ar1(rng, 120, 0.3)
        noise[60:] += 1.0
        held += judge(run(value_sli(values(10 + noise), margin_absolute=0.9))).verdict == "held"
    assert held / 150 <= 0.05


def test_calm_runs_hold_and_harmed_runs_deviate_often_enough() -> None:
    rng = np.random.default_rng(23)
    calm, harmed = 0, 0
    for _ in range(60):
        noise = ar1(rng, 120, 0.3)
        calm += judge(run(value_sli(values(10 + noise)))).verdict == "held"
        noise[60:] += 2.0
        harmed += judge(run(value_sli(values(10 + noise)))).verdict == "deviated"
    assert calm / 60 >= 0.9
    assert harmed / 60 >= 0.9


def test_bursty_errors_without_effect_rarely_deviate() -> None:
    rng = np.random.default_rng(24)
    deviated = 0
    for _ in range(150):
        share = rng.beta(0.5, 24.5, 120)
        bad = rng.binomial(40, share)
        sli = ratio_sli(ratios(bad, [40] * 120), margin_absolute=0.001)
        deviated += judge(run(sli)).verdict == "deviated"
    assert deviated / 150 <= 0.06


def test_two_faults_must_both_be_there() -> None:
    idle = FaultEvidence("kill-one", 1.0, None, 3, 0, True)
    found = judged_values(CALM, faults=(TOOK, idle))
    assert found.verdict == "not_exercised"
    assert "kill-one affected none of 3" in found.sentence

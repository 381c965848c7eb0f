"""Warnings of a plan: each with its field and a mend that is right; and what is refused."""

from __future__ import annotations

import pytest

from experiments.domain.errors import InvalidDocumentError
from experiments.models import Environment
from experiments.services import authoring, launching, people, previewing, warning
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def place():
    return factories.environment()


def plan(**changes):
    raw = factories.document(**changes)
    raw["parameters"] = {}
    raw["method"][0]["with"]["fixed_delay"] = "90ms"
    return raw


def fault(name, duration, **more):
    action = {"name": name, "fault": "fake.delay", "via": "mesh", "duration": duration}
    return {**action, "with": {"target": "carts", "fixed_delay": "90ms"}, **more}


def warned(raw, place):
    shown = previewing.preview(raw=raw, environment=place)
    assert shown.errors == ()
    return shown.warnings


class TestLongestFault:
    def test_a_longer_fault_is_refused_at_its_field_and_says_the_limit(self, place):
        place.longest_fault_s = 60
        raw = plan()
        document = authoring.validate(raw).or_raise()
        (error,) = launching.fits(document, place)
        assert error.path == ("method", 0, "duration")
        assert error.message == (
            "slow-carts lasts 3m, and staging lets no fault last longer than 1m: make it 1m or"
            " shorter"
        )
        raw["method"][0]["duration"] = "1m"
        assert launching.fits(authoring.validate(raw).or_raise(), place) == []

    def test_the_preview_has_it_as_a_problem_and_marks_the_bar(self, place):
        place.longest_fault_s = 60
        shown = previewing.preview(raw=plan(), environment=place)
        assert [error.path for error in shown.lacks] == [("method", 0, "duration")]
        bars = {bar.label: bar.warnings for bar in shown.schedule.bars}
        assert bars["slow-carts"] == (shown.lacks[0].message,)
        assert bars["baseline"] == ()

    def test_a_value_given_at_launch_is_held_against_it_too(self, place):
        Environment.objects.filter(pk=place.pk).update(longest_fault_s=60)
        place.refresh_from_db()
        alice = factories.person("alice", people.OPERATOR)
        raw = plan(timing={"baseline": "0s", "settle": "0s"})
        raw["parameters"] = {"lasts": {"type": "duration", "default": "30s"}}
        raw["method"][0]["duration"] = "${lasts}"
        version = factories.version(alice, raw)
        asked = {"version": version, "environment": place, "user": alice}
        with pytest.raises(InvalidDocumentError) as refused:
            launching.request_run(**asked, idempotency_key="1", parameters={"lasts": "2m"})
        assert "lasts 2m" in str(refused.value)
        assert launching.request_run(**asked, idempotency_key="2").pk


class TestGuardrails:
    def test_one_that_speaks_after_the_fault_is_over_is_warned_of(self, place):
        raw = plan(method=[fault("brief", "15s"), fault("long", "3m")])
        (found,) = [each for each in warned(raw, place) if each.path[0] == "guardrails"]
        assert found.path == ("guardrails", 0, "breaches")
        said = "It can stop the run after 15 s at the earliest (3 breaches, 5 s apart)."
        assert said in found.message
        assert "brief is over by then" in found.message
        assert "long" not in found.message

    def test_the_offered_reading_is_fast_enough(self, place):
        raw = plan(method=[fault("brief", "30s"), fault("long", "3m")])
        raw["guardrails"][0]["every"] = "10s"
        (found,) = [each for each in warned(raw, place) if each.path[0] == "guardrails"]
        assert "Read it every 9.9 s or more often" in found.hint
        raw["guardrails"][0]["every"] = "9.9s"
        assert not [each for each in warned(raw, place) if each.path[0] == "guardrails"]

    def test_one_of_the_environment_is_warned_of_as_such(self, place):
        place.guardrails = [{"name": "busy", "promql": "x", "above": 1, "every": "2m"}]
        place.save()
        (found,) = [each for each in warned(plan(), place) if each.path[0] == "environment"]
        assert found.where == "environment.guardrails[0].breaches"
        assert "3 breaches, 120 s apart" in found.message

    def test_one_that_reads_faster_than_its_source_names_its_field(self, place):
        raw = plan()
        raw["guardrails"][0]["every"] = "1s"
        (found,) = [each for each in warned(raw, place) if each.path[-1] == "every"]
        assert found.path == ("guardrails", 0, "every")
        assert "gives a new value every 5s" in found.message


class TestGate:
    def test_a_step_of_auto_comes_from_the_environments_sources(self, place):
        raw = plan(timing={"baseline": "2m", "settle": "1m", "step": "auto"})
        (found,) = warned(raw, place)
        assert found.path == ("timing", "baseline")
        assert "24 bins of 5 s" in found.message
        assert found.hint == "It can with at least 2 min 30 s.", "a shorter step cannot be filled"
        raw["timing"]["baseline"] = "150s"
        assert warned(raw, place) == ()
        assert warned(plan(timing={"baseline": "2m", "step": "auto"}), None) == ()

    def test_a_baseline_from_history_counts_as_far_as_it_goes_back(self, place):
        timing = {"baseline": {"last": "30m"}, "settle": "1m", "step": "auto"}
        assert warned(plan(timing=timing), place) == ()
        timing["baseline"] = {"last": "1m"}
        (found,) = warned(plan(timing=timing), place)
        assert "The baseline of 1 min has 12 bins" in found.message

    def test_the_offered_step_can_judge(self, place):
        raw = plan(timing={"baseline": "10m", "settle": "1m", "step": "20s"})
        raw["guardrails"] = []
        (found,) = warned(raw, place)
        assert found.path == ("method", 0, "duration")
        assert "with a step of 10.6 s" in found.hint
        raw["timing"]["step"] = "10.5s"
        assert warned(raw, place) == ()

    def test_faults_at_once_count_once_and_each_start_costs_its_first_bins(self, place):
        both = [fault("one", "80s"), fault("two", "80s", start={"with": ["one"], "delay": "10s"})]
        raw = plan(method=both, timing={"baseline": "5m", "settle": "1m", "step": "5s"})
        (found,) = warned(raw, place)
        assert "The fault phase of 1 min 30 s has 14 bins of 5 s" in found.message
        assert "(the first 2 of each fault do not count)" in found.message
        assert "if one lasts at least 5 s longer" in found.hint
        raw["method"][1]["duration"] = "85s"
        assert warned(raw, place) == ()

    def test_faults_with_a_gap_between_them_do_not_fill_it(self, place):
        apart = [fault("one", "40s"), {"name": "rest", "wait": "5m"}, fault("two", "40s")]
        raw = plan(method=apart, timing={"baseline": "5m", "settle": "1m", "step": "5s"})
        (found,) = warned(raw, place)
        assert "The fault phase of 1 min 20 s has 12 bins" in found.message


def test_a_probe_throughout_that_waits_less_than_the_delay_is_warned_of(place):
    raw = plan()
    raw["method"][0]["with"]["fixed_delay"] = "6s"
    assert warned(raw, place) == (), "at the start and the end no fault is live"
    raw["probes"][0]["at"] = ["throughout"]
    (found,) = warned(raw, place)
    assert found.path == ("probes", 0, "http", "timeout")
    assert "shop-answers waits 5s for its answer, and slow-carts holds requests back by 6s" in (
        found.message
    )
    raw["probes"][0]["http"]["timeout"] = "10s"
    assert warned(raw, place) == ()


def test_a_warning_says_its_field_as_people_read_it():
    assert warning.Warned(("method", 2, "duration"), "x").where == "method[2].duration"

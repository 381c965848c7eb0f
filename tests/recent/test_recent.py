"""The last 15 minutes of an SLI, read from a real Prometheus: what is seen, and what is wrong."""

from __future__ import annotations

import json

import plotly.graph_objects as go
import pytest

from experiments.figures.recent import recent_figure
from experiments.models import Environment, Service
from experiments.services import recent
from tests.recent.conftest import bound

pytestmark = [pytest.mark.servers, pytest.mark.django_db]

QUANTILE = {"histogram": 'seconds_bucket{service="orders"}', "q": 0.95}
RATIO = {
    "bad": 'requests_total{service="orders",code=~"5.."}',
    "total": 'requests_total{service="orders"}',
}


def seen(place: Environment | None, key: str = "slis", **item: object) -> recent.Recent:
    raw = {key: [{"name": "it", **item}]}
    return recent.of_draft(raw, place, key=key, place=0)


def drawn(found: recent.Recent) -> go.Figure:
    """Return the figure as plotly itself reads it; it refuses what it does not know."""
    figure = recent_figure(found)
    assert figure is not None
    json.dumps(figure, allow_nan=False)
    return go.Figure(data=figure["data"], layout=figure["layout"])


def told(found: recent.Recent) -> str:
    return " ".join(f"{each.message} {each.hint}" for each in found.problems)


class TestAQuantile:
    def test_it_is_said_with_its_limit_and_what_its_margin_allows(self, place):
        found = seen(
            place,
            title="p95",
            quantile=QUANTILE,
            limit={"max": "500ms"},
            margin={"relative": "20%"},
        )
        assert found.value == pytest.approx(0.0375, rel=0.02)
        assert found.sentence.startswith("p95 is 37.5 ms over the last 15 minutes; its limit is")
        assert "at most 500 ms; a margin of 20 % allows up to 45 ms." in found.sentence

    def test_a_bucket_wider_than_the_margin_is_told_with_what_would_do(self, place):
        found = seen(place, quantile=QUANTILE, margin={"relative": "20%"})
        assert "It lies in the bucket 25 ms to 50 ms" in told(found)
        assert "25 ms wide, the margin 7.5 ms: the verdict could only be inconclusive" in told(
            found
        )
        assert "A margin of 25 ms, or 67 %, would do" in told(found)
        wide = seen(place, quantile=QUANTILE, margin={"absolute": "25ms"})
        assert "bucket" not in told(wide)

    def test_the_figure_has_the_limit_and_the_margin_around_the_value(self, place):
        found = seen(place, quantile=QUANTILE, limit={"max": "60ms"}, margin={"absolute": "10ms"})
        figure = drawn(found)
        lines = [each for each in figure.layout.shapes if each.type == "line"]
        (band,) = [each for each in figure.layout.shapes if each.type == "rect"]
        assert {round(each.y0, 1) for each in lines} == {37.5, 60.0}
        assert (band.y0, band.y1) == pytest.approx((27.5, 47.5), rel=0.01)
        assert [each.name for each in figure.data] == ["p50", "p95", "p99"]
        assert figure.layout.yaxis.title.text == "ms"

    def test_few_requests_are_told_with_how_long_to_watch(self, place):
        found = seen(place, quantile={"histogram": "rare_bucket"}, limit={"max": "1s"})
        assert "A run's bins are 25s long: about 10 requests fall into each" in told(found)
        assert "50 are needed, so that 5 neighbouring bins would be merged" in told(found)
        assert "at least 1h2m30s of baseline" in told(found)

    @pytest.mark.parametrize(("lasts", "is_told"), [("40m", False), ("10m", True)])
    def test_few_requests_are_no_problem_where_the_plan_is_long_enough(self, place, lasts, is_told):
        raw = {
            "slis": [
                {"name": "it", "quantile": {"histogram": "rare_bucket"}, "limit": {"max": "1s"}}
            ],
            "timing": {"baseline": "2h"},
            "method": [{"name": "slow", "fault": "fake.delay", "duration": lasts}],
        }
        found = recent.of_draft(raw, place, key="slis", place=0)
        assert ("neighbouring bins" in told(found)) is is_told

    def test_a_value_above_the_largest_bucket_is_told(self, place):
        found = seen(place, quantile={"histogram": "far_bucket"}, margin={"relative": "20%"})
        assert "It lies above the largest bucket, 100 ms" in told(found)

    def test_buckets_without_an_end_are_told_with_the_query(self, place):
        found = seen(place, quantile={"histogram": "open_bucket"}, limit={"max": "1s"})
        assert "no buckets up to +Inf" in found.note or "open_bucket has 2 series" in found.note
        assert recent_figure(found) is None


class TestARatio:
    def test_it_is_said_in_percent(self, place):
        found = seen(place, ratio=RATIO, limit={"max": "5%"}, margin={"absolute": "0.5%"})
        assert found.value == pytest.approx(0.1 / 10.1, rel=0.02)
        assert "its limit is at most 5 %; a margin of 0.5 points allows up to 1.49 %" in (
            found.sentence
        )
        assert not found.problems
        assert drawn(found).layout.yaxis.title.text == "%"

    def test_more_bad_events_than_events_are_told(self, place):
        ratio = {"bad": "wrong_total", "total": 'requests_total{code="200"}'}
        found = seen(place, ratio=ratio, limit={"max": "5%"})
        assert "more bad events" in told(found)
        assert "is above its limit already: 5 %" in told(found)

    def test_a_gap_is_told_and_drawn_as_one(self, place):
        found = seen(place, ratio={"bad": "gap_total", "total": "gap_total"})
        assert "bins are missing" in told(found)
        assert "In a baseline like this there would be no verdict" in told(found)
        (line,) = drawn(found).data
        assert None in line.y

    def test_a_metric_that_nobody_has_is_told_with_the_nearest(self, place):
        found = seen(place, ratio={"bad": "request_total", "total": "request_total"})
        assert found.note == "No metric is called “request_total” here."
        assert found.hint == "Did you mean “requests_total”?"

    def test_a_bad_metric_that_nobody_has_counts_as_0_and_is_told(self, place):
        found = seen(place, ratio={"bad": "eror_total", "total": "requests_total"})
        assert found.value == 0
        assert "No metric is called “eror_total” here, so the bad events count as 0." in told(found)

    def test_a_value_that_no_series_has_is_told_with_those_there_are(self, place):
        selector = 'requests_total{service="orders",code="404"}'
        found = seen(place, ratio={"bad": selector, "total": selector})
        assert found.note == 'No series of requests_total has code="404" now.'
        assert found.hint == "code is one of 200, 500."

    def test_a_counter_that_stands_still_has_no_value(self, place):
        found = seen(place, ratio={"bad": "still_total", "total": "still_total"})
        assert found.note == "There is no value over the last 15 minutes."
        assert "There was no request in this time" in told(found)


class TestAQuery:
    def test_several_series_are_drawn_and_told(self, place):
        found = seen(place, value="queue_length", limit={"max": 60})
        assert found.sentence == "It gives 2 series over the last 15 minutes."
        assert [line.label for line in found.lines] == ["pod=a", "pod=b"]
        assert "An SLI needs one series" in told(found)
        assert [each.name for each in drawn(found).data] == ["pod=a", "pod=b"]

    def test_what_the_server_cannot_read_is_at_the_field(self, place):
        found = seen(place, value="sum(queue_length", limit={"max": 60})
        (error,) = found.refused
        assert error.path == ("value",)
        assert "unclosed left parenthesis" in error.message

    def test_a_selector_that_the_server_cannot_read_is_at_its_own_field(self, place):
        found = seen(place, ratio={"bad": RATIO["bad"], "total": 'requests_total{code=~"5("}'})
        (error,) = found.refused
        assert error.path == ("ratio", "total")

    def test_nothing_is_told_with_what_would_help(self, place):
        found = seen(place, value="sum(nobody_has_it)", limit={"max": 60})
        assert found.note == "The query returned nothing over the last 15 minutes."
        assert "or vector(0)" in found.hint

    def test_a_guardrail_is_held_against_where_it_stops(self, place):
        query = "sum(queue_length)"
        found = seen(place, "guardrails", promql=query, above=40, unit="messages")
        assert "it stops above 40 messages" in found.sentence
        assert "It is above where it stops a run already: 40 messages." in told(found)
        (limit,) = [each for each in drawn(found).layout.shapes if each.line.dash == "dash"]
        assert limit.y0 == 40
        (said,) = [each.text for each in drawn(found).layout.annotations]
        assert said == "stops above 40 messages"

    def test_a_probe_is_held_against_its_tolerance(self, place):
        check = {"query": "sum(queue_length)"}
        found = seen(place, "probes", promql=check, tolerance={"min": 40})
        assert "it must be at least 40" in found.sentence
        assert found.problems == ()

    def test_more_than_ten_series_are_cut(self, place):
        many = " or ".join(f'label_replace(queue_length, "n", "{n}", "", "")' for n in range(7))
        found = seen(place, "probes", promql={"query": many}, tolerance={"min": 0})
        assert len(found.lines) == recent.MOST_LINES
        assert "more than 10 series; the first 10 are drawn" in found.sentence


class TestWhatCannotBeRead:
    def test_without_an_environment_one_is_to_be_picked(self):
        assert "Pick an environment" in seen(None, ratio=RATIO).note

    def test_an_empty_row_is_no_error(self, place):
        assert seen(place).note == "Say first what it measures."
        assert seen(place, "guardrails").note == "Write its PromQL first."

    def test_fields_that_are_wrong_are_told(self, place):
        found = seen(place, quantile=QUANTILE, limit={"max": "much"})
        assert found.note == "Shown once its fields are right."
        assert "much" in found.wrong[0].message

    def test_an_alias_that_is_no_prometheus_is_told(self, place):
        assert "no connection called “other”" in seen(place, source="other", value="up").note

    def test_a_parameter_is_written_in(self, place):
        raw = {
            "parameters": {"of": {"type": "text", "default": "orders"}},
            "slis": [{"name": "it", "quantile": {"histogram": 'seconds_bucket{service="${of}"}'}}],
        }
        found = recent.of_draft(raw, place, key="slis", place=0)
        assert found.value == pytest.approx(0.0375, rel=0.02)

    def test_a_parameter_without_a_value_is_told(self, place):
        assert "parameter without a value" in seen(place, value="sum(${what})").note

    def test_an_sli_of_a_service_is_what_its_service_measures(self, place):
        named = {"name": "p95", "title": "orders p95", "quantile": QUANTILE, "limit": {"max": "1s"}}
        Service.objects.create(name="orders", slis=[named])
        found = seen(place, use="orders.p95", margin={"absolute": "30ms"})
        assert found.sentence.startswith("orders p95 is 37.5 ms over the last 15 minutes")
        assert "at most 1 s; a margin of 30 ms allows up to 67.5 ms" in found.sentence
        assert seen(place, use="orders.other").note == "No service has an SLI “orders.other”."

    def test_a_row_that_is_gone_is_told(self, place):
        assert recent.of_draft({}, place, key="slis", place=3).note == "There is no such row."

    def test_a_server_that_hangs_is_asked_once(self, db, mute):
        found = seen(bound(mute.url, timeout_s=0.5), ratio=RATIO)
        assert found.is_silent
        assert "did not answer" in found.note or "0.5 s" in found.note
        assert mute.asked == 1

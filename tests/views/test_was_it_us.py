"""“Was it us?”: a moment or a span, a service, and at once what ChaosWeb had broken then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone
from django.utils.html import escape

from experiments.domain.errors import InvalidDocumentError
from experiments.models import Connection, Orphan, Service
from experiments.selectors import spans
from tests import factories
from tests.views.conftest import assert_kept_by_csp, assert_sent_to_sign_in

NOW = datetime(2026, 11, 21, 15, 0, 0, 500, tzinfo=UTC)


def text(response: Any) -> str:
    return " ".join(response.content.decode().split())


def stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}Z"


def clock(at: datetime) -> str:
    return f"{at:%H:%M:%S}"


def ask(client: Any, **query: Any) -> str:
    return text(client.get(f"/was-it-us/?{urlencode(query)}"))


@pytest.fixture
def envoy(place):
    return Connection.objects.create(name="edge", kind="envoy")


@pytest.fixture
def of_service(alice):
    def make(name: str):
        raw = factories.document(f"break-{name}", f"Break {name}")
        raw["metadata"]["service"] = name
        return factories.version(alice, raw)

    return make


@pytest.fixture
def carts(of_service):
    return of_service("carts")


def past(of: Any, place: Any, by: Any, connection: Any, *, ago: timedelta, **fields: Any) -> Any:
    """Return the injection of a run that ended: its fault lived three minutes, ``ago``."""
    run = factories.run(of, place, by, status="completed", ago_s=ago.total_seconds())
    began = run.requested_at
    times = {
        "intent_at": began,
        "injected_at": began,
        "recovering_at": began + timedelta(minutes=3),
        "recovered_at": began + timedelta(minutes=3),
    }
    return factories.injection(run, "recovered", connection=connection, **{**times, **fields})


class TestTime:
    @pytest.mark.parametrize(
        ("at", "until", "start", "end"),
        [
            ("14:02", "", "14:02:00", "14:02:59.999999"),
            ("14:02:07", "", "14:02:07", "14:02:07.999999"),
            ("14:02", "14:30", "14:02:00", "14:30:00"),
            ("14:02", "15:30", "14:02:00", "15:00:00.000500"),
            ("2026-11-21T14:02", "14:30", "14:02:00", "14:30:00"),
            ("2026-11-21 14:02:00", "", "14:02:00", "14:02:00.999999"),
            ("2026-11-21T15:02+01:00", "", "14:02:00", "14:02:59.999999"),
            ("2026-11-21T15:02 01:00", "", "14:02:00", "14:02:59.999999"),
            ("2026-11-21T14:02:00.25Z", "now", "14:02:00.250000", "15:00:00.000500"),
            ("14:02 utc", "2026-11-21T14:30:00Z", "14:02:00", "14:30:00"),
            ("-15m", "now", "14:45:00.000500", "15:00:00.000500"),
            ("1h ago", "30 min ago", "14:00:00.000500", "14:30:00.000500"),
            ("1795269720", "", "14:02:00", "14:02:00.999999"),
            ("1795269720000", "", "14:02:00", "14:02:00.999999"),
            ("", "", "15:00:00.000500", "15:00:00.000500"),
            ("now", "", "15:00:00.000500", "15:00:00.000500"),
            ("2026-11-21", "", "00:00:00", "15:00:00.000500"),
        ],
    )
    def test_is_read_as_people_write_it(self, at, until, start, end):
        span = spans.read({"at": at, "until": until}, NOW)
        assert span.start == datetime.fromisoformat(f"2026-11-21T{start}+00:00")
        assert span.end == datetime.fromisoformat(f"2026-11-21T{end}+00:00")

    def test_a_time_of_day_that_has_not_come_is_yesterdays(self):
        span = spans.read({"at": "23:50", "until": "00:10"}, NOW)
        assert span.start == datetime(2026, 11, 20, 23, 50, tzinfo=UTC)
        assert span.end == datetime(2026, 11, 21, 0, 10, tzinfo=UTC)

    def test_a_whole_day_may_be_asked_about(self):
        span = spans.read({"at": "2026-11-19", "until": "2026-11-20"}, NOW)
        assert span.end == datetime(2026, 11, 20, 23, 59, 59, 999999, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("at", "until", "where", "message"),
        [
            ("yesterday", "", "at", "“yesterday” is no time: write 14:02"),
            ("25:00", "", "at", "is no time"),
            ("2026-02-30", "", "at", "is no time"),
            ("999999999d", "", "at", "is no time"),
            ("0001-01-01T00:00+14:00", "", "at", "is no time"),
            ("1999-12-31", "", "at", "before the year 2000"),
            ("2026-11-22", "", "at", "has not come yet"),
            ("14:02", "2026-11-21T14:00", "until", "before the beginning"),
            ("14:02", "\0soon", "until", "is no time"),
        ],
    )
    def test_what_is_no_time_is_told_with_its_field(self, at, until, where, message):
        with pytest.raises(InvalidDocumentError) as caught:
            spans.read({"at": at, "until": until}, NOW)
        (error,) = caught.value.errors
        assert error.path == (where,)
        assert message in error.message


@pytest.mark.django_db
class TestPage:
    def test_an_outsider_is_sent_to_sign_in(self, outsider):
        assert_sent_to_sign_in(outsider.get("/was-it-us/"))

    def test_without_a_question_it_shows_the_form_and_that_nothing_is_live(self, viewer, carts):
        Service.objects.create(name="payment")
        html = ask(viewer)
        assert "No: no fault of ChaosWeb is live at this moment" in html
        assert 'type="datetime-local"' in html
        assert '<option value="carts">' in html
        assert '<option value="payment">' in html
        assert_kept_by_csp(html)

    def test_a_live_fault_is_a_loud_yes_with_a_stop(self, viewer, carts, place, alice, envoy):
        run = factories.run(carts, place, alice, status="injecting", ago_s=200)
        fault = factories.injection(run, connection=envoy)
        html = ask(viewer, service="carts")
        assert (
            f"Yes: carts has been slowed down in staging since {clock(fault.injected_at)} UTC"
            f" by run {run.pk} (alice), and the fault is still live."
        ) in html
        assert "still live" in html
        assert f'action="/runs/{run.pk}/stop/"' in html
        assert "csrfmiddlewaretoken" in html
        assert '<input type="hidden" name="next" value="/was-it-us/?service=carts">' in html
        assert_kept_by_csp(html)
        response = viewer.post(f"/runs/{run.pk}/stop/", {"next": "/was-it-us/?service=carts"})
        assert response["Location"] == "/was-it-us/?service=carts"
        assert "Stopping" in ask(viewer, service="carts")

    def test_a_past_fault_is_told_from_to_by_whom_and_what_it_showed(
        self, viewer, carts, place, alice, envoy
    ):
        noon = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0)
        began = noon - timedelta(days=2)
        ended = began + timedelta(minutes=3)
        moments = {"intent_at": began, "injected_at": began, "recovered_at": ended}
        fault = past(carts, place, alice, envoy, ago=timedelta(hours=30), **moments)
        type(fault.run).objects.update(verdict="held")
        html = ask(viewer, service="carts", environment="staging", at=stamp(began), until="now")
        assert f"Yes: carts was slowed down in staging from {began.day} {began:%b}" in html
        assert f"12:00:00 to 12:03:00 UTC by run {fault.run_id} (alice)." in html
        assert f'href="/runs/{fault.run_id}/"' in html
        assert "was in effect" in html
        assert "3 min" in html
        assert "held" in html
        assert f'action="/runs/{fault.run_id}/stop/"' not in html

    @pytest.mark.parametrize(
        ("offset_s", "is_found"), [(-2, False), (0, True), (90, True), (180, True), (182, False)]
    )
    def test_only_what_lived_at_the_moment_counts(
        self, viewer, carts, place, alice, envoy, offset_s, is_found
    ):
        began = timezone.now().replace(microsecond=0) - timedelta(hours=2)
        past(
            carts,
            place,
            alice,
            envoy,
            ago=timedelta(hours=2),
            intent_at=began,
            injected_at=began,
            recovered_at=began + timedelta(seconds=180),
        )
        html = ask(viewer, service="carts", at=stamp(began + timedelta(seconds=offset_s)))
        assert ("Yes: carts was slowed down" in html) is is_found
        assert ("No: no fault of ChaosWeb was live for carts" in html) is not is_found

    def test_no_names_the_nearest_fault_before_and_after(self, viewer, carts, place, alice, envoy):
        early = past(carts, place, alice, envoy, ago=timedelta(hours=3))
        at = (early.recovered_at + timedelta(minutes=12)).replace(microsecond=0)
        began = at + timedelta(minutes=105, seconds=1)
        late = past(carts, place, alice, envoy, ago=timedelta(hours=1), intent_at=began)
        html = ask(viewer, service="carts", environment="staging", at=stamp(at))
        assert "No: no fault of ChaosWeb was live for carts in staging at" in html
        assert "The nearest fault of carts in staging ended" in html
        assert f'href="/runs/{early.run_id}/">run {early.run_id}</a>' in html
        assert "The next fault of carts in staging began 1 h 45 min later" in html
        assert f"run {late.run_id}</a>" in html

    def test_what_is_days_away_is_not_near(self, viewer, carts, place, alice, envoy):
        past(carts, place, alice, envoy, ago=timedelta(days=9))
        html = ask(viewer, service="carts", at="-3d")
        assert "Nor was one live within 24 hours of it." in html

    def test_faults_of_other_services_make_it_perhaps(
        self, viewer, carts, of_service, place, alice, envoy
    ):
        run = factories.run(of_service("orders"), place, alice, status="injecting", ago_s=200)
        factories.injection(run, connection=envoy)
        html = ask(viewer, service="carts", environment="staging")
        assert "Perhaps: no fault of ChaosWeb is live for carts in staging at this moment" in html
        assert "but 1 fault of other services is." in html
        assert "Also live then" in html
        assert "Break orders" in html

    def test_another_environment_is_left_out(self, viewer, carts, alice, envoy):
        elsewhere = factories.environment("production")
        factories.injection(
            factories.run(carts, elsewhere, alice, status="injecting", ago_s=200), connection=envoy
        )
        assert "No: " in ask(viewer, service="carts", environment="staging")
        assert "in production since" in ask(viewer, service="carts")

    def test_a_removal_that_is_not_confirmed_is_loud(self, viewer, carts, place, alice, envoy):
        run = factories.unconfirmed(carts, place, alice)
        run.injections.update(connection=envoy)
        html = ask(viewer, service="carts")
        assert "Its removal is not confirmed: it may still be in effect." in html
        assert "may still be broken" in html
        assert "Its removal is not confirmed: carts is unreachable." in html
        assert 'role="alert"' in html
        assert "runtime_modify" in html

    def test_a_fault_closed_by_hand_counts_as_live_until_its_backend_agrees(
        self, viewer, carts, place, alice, envoy
    ):
        fault = past(carts, place, alice, envoy, ago=timedelta(hours=2))
        type(fault).objects.update(
            by_hand_at=fault.recovered_at, by_hand_by="ada", unchecked_since=fault.recovered_at
        )
        html = ask(viewer, service="carts")
        assert "Yes: carts has been slowed down" in html
        assert "ada said that it was removed by hand; its backend has not confirmed it" in html
        assert "runtime_modify" in html
        assert "I removed it by hand" not in html
        type(fault).objects.update(unchecked_since=None)
        assert "No: " in ask(viewer, service="carts")

    def test_an_unanswered_call_may_have_been_in_effect(self, viewer, carts, place, alice, envoy):
        fault = past(
            carts,
            place,
            alice,
            envoy,
            ago=timedelta(hours=2),
            injected_at=None,
            is_unanswered=True,
        )
        html = ask(viewer, service="carts", at=stamp(fault.intent_at), until="now")
        assert "Perhaps: carts may have been slowed down in staging from" in html
        assert "nobody saw whether the fault took effect" in html
        assert "may have been in effect" in html

    def test_what_was_never_sent_does_not_count(self, viewer, carts, place, alice, envoy):
        run = factories.run(carts, place, alice, status="stopped", ago_s=7200)
        factories.injection(
            run,
            "cancelled",
            connection=envoy,
            intent_at=run.requested_at,
            recovered_at=timezone.now(),
        )
        assert "No: " in ask(viewer, service="carts", at="-3h", until="now")

    def test_a_rehearsal_is_shown_and_explains_nothing(self, viewer, carts, place, alice):
        factories.live(carts, place, alice)
        html = ask(viewer, service="carts")
        assert "No: no fault of ChaosWeb is live for carts" in html
        assert "only a rehearsal, which touches nothing real." in html
        assert "a rehearsal, nothing real is touched" in html

    def test_orphans_that_were_there_then_are_shown(self, viewer, place, carts):
        now = timezone.now()
        mesh = Connection.objects.get(name="staging-mesh")
        Orphan.objects.create(
            connection=mesh,
            token="cw-lost",
            targets=[{"name": "carts-pod", "detail": ""}],
            by_hand=["remove --it"],
            first_seen_at=now - timedelta(hours=2),
            last_seen_at=now,
        )
        html = ask(viewer, service="carts", environment="staging")
        assert "1 fault that no run looks after" in html
        assert "carts-pod" in html
        assert "remove --it" in html
        assert "No: " in ask(viewer, at="-5h", until="-3h")
        factories.environment("production")
        assert "No: " in ask(viewer, environment="production")
        Orphan.objects.update(gone_at=now - timedelta(hours=1))
        assert "carts-pod" not in ask(viewer)
        assert "carts-pod" in ask(viewer, at="-90m", until="now")

    def test_several_faults_are_counted(self, viewer, carts, place, alice, envoy):
        for minutes in (20, 40, 50):
            past(carts, place, alice, envoy, ago=timedelta(minutes=minutes))
        html = ask(viewer, service="carts", at="-1h", until="now")
        assert "2 more faults were live then too." in html

    def test_the_link_to_the_answer_holds_the_moments_themselves(self, viewer, carts):
        html = ask(viewer, service="carts", at="-15m", until="now")
        assert "/was-it-us/?service=carts&amp;at=20" in html
        assert 'aria-current="true">last 15 min' in html

    def test_a_wrong_time_keeps_the_form_and_says_what_would_be_right(self, viewer, place):
        response = viewer.get("/was-it-us/?service=carts&at=soon&environment=mars")
        assert response.status_code == 400
        html = text(response)
        assert "“soon” is no time" in html
        assert 'value="carts"' in html
        assert '<option value="mars" selected>' in html

    def test_what_is_typed_is_escaped(self, viewer, place):
        html = ask(viewer, service="<script>alert(1)</script>")
        assert "<script>alert" not in html
        assert escape("<script>alert(1)</script>") in html

    def test_a_name_that_is_too_long_or_holds_nul_does_no_harm(self, viewer, place):
        assert viewer.get("/was-it-us/?service=" + "x" * 64).status_code == 400
        assert viewer.get("/was-it-us/?service=%00&environment=a%00").status_code == 200

    def test_it_asks_a_bounded_number_of_queries(
        self, viewer, carts, of_service, place, alice, envoy, django_assert_max_num_queries
    ):
        orders = of_service("orders")
        for minutes in range(10, 30):
            past(carts, place, alice, envoy, ago=timedelta(minutes=minutes))
            past(orders, place, alice, envoy, ago=timedelta(minutes=minutes))
        viewer.get("/was-it-us/")
        with django_assert_max_num_queries(16):
            html = ask(viewer, service="carts", environment="staging", at="-1h", until="now")
        assert "19 more faults" in html

    def test_a_long_list_is_cut_and_says_so(self, viewer, carts, place, alice, envoy):
        for _ in range(101):
            past(carts, place, alice, envoy, ago=timedelta(minutes=30))
        html = ask(viewer, service="carts", at="-1h", until="now")
        assert "There were more faults than are listed" in html

    def test_overview_menu_and_run_page_lead_to_it(self, viewer, live, finished):
        assert text(viewer.get("/")).count('href="/was-it-us/"') >= 2
        html = text(viewer.get(f"/runs/{live.pk}/"))
        address = f"/was-it-us/?environment=staging&amp;at={stamp(live.injecting_at)}&amp;until=now"
        assert address in html
        query = f"environment=staging&at={stamp(live.injecting_at)}&until=now"
        assert f"Run {live.pk}</a>" in text(viewer.get(f"/was-it-us/?{query}"))

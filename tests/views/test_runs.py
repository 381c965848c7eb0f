"""Runs: starting, listing, watching, stopping, and letting one go on."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from experiments.models import ActionRecord, Reading, Run
from experiments.services import transitions
from tests import factories
from tests.views.conftest import assert_kept_by_csp, assert_sent_to_sign_in, client_of

pytestmark = pytest.mark.django_db


def text(response: Any) -> str:
    return str(response.content.decode())


def start(client: Any, of: Any, place: Any, key: str = "once", **fields: Any) -> Any:
    url = f"/experiments/{of.experiment.name}/run/"
    given = {"environment": place.name, "version": of.number, "idempotency_key": key}
    return client.post(url, given | fields)


class TestOutsider:
    @pytest.mark.parametrize("url", ["", "live/", "figures/carts_p95.json"])
    def test_reads_nothing(self, outsider, live, url):
        assert_sent_to_sign_in(outsider.get(f"/runs/{live.pk}/{url}"))

    def test_does_nothing(self, outsider, live, version, place):
        assert_sent_to_sign_in(outsider.get("/runs/"))
        assert_sent_to_sign_in(outsider.post(f"/runs/{live.pk}/stop/"))
        assert_sent_to_sign_in(outsider.post(f"/runs/{live.pk}/checkpoint/look/"))
        assert_sent_to_sign_in(start(outsider, version, place))
        live.refresh_from_db()
        assert live.stop_requested_at is None
        assert Run.objects.count() == 1


class TestStart:
    def test_an_operator_starts_a_run_and_sees_it(self, operator, alice, version, place):
        response = start(operator, version, place, param_delay="120ms")
        run = Run.objects.get()
        assert response["Location"] == f"/runs/{run.pk}/"
        assert run.parameters == {"delay": "120ms"}
        assert run.requested_by == alice

    def test_the_same_key_gives_the_same_run(self, operator, version, place):
        first, second = start(operator, version, place), start(operator, version, place)
        assert first["Location"] == second["Location"]
        assert Run.objects.count() == 1

    def test_the_environment_may_be_named_by_its_id(self, operator, version, place):
        assert start(operator, version, place, environment=place.pk).status_code == 302

    def test_a_viewer_is_refused_and_told_why(self, viewer, version, place):
        response = start(viewer, version, place)
        assert response.status_code == 403
        assert "You may not launch runs" in text(response)
        assert not Run.objects.exists()

    def test_an_author_is_refused(self, bob, version, place):
        assert start(client_of(bob), version, place).status_code == 403

    def test_every_error_is_listed_with_its_place(self, operator, alice, place):
        raw = factories.document("elsewhere")
        raw["method"][0]["via"] = "edge"
        raw["slis"][0]["source"] = "victoria"
        response = start(operator, factories.version(alice, raw), place)
        assert response.status_code == 400
        html = text(response)
        assert "method[0].via" in html
        assert "slis[0].source" in html
        assert_kept_by_csp(html)

    def test_a_bad_parameter_is_told(self, operator, version, place):
        response = start(operator, version, place, param_delay="soon")
        assert response.status_code == 400
        assert "parameters.delay" in text(response)

    def test_an_unknown_environment_or_version_is_told(self, operator, version, place):
        assert start(operator, version, place, environment="moon").status_code == 400
        assert start(operator, version, place, version=99).status_code == 400

    def test_only_a_post_starts(self, operator, version):
        url = f"/experiments/{version.experiment.name}/run/"
        assert operator.get(url).status_code == 405


class TestList:
    def test_an_empty_list_says_what_to_do(self, viewer):
        assert "No run yet" in text(viewer.get("/runs/"))

    def test_a_row_tells_the_verdict_in_a_sentence(self, viewer, finished):
        html = text(viewer.get("/runs/"))
        assert "Only carts feels 90 ms" in html
        assert "staging" in html
        assert "alice" in html
        assert "7 min 12 s" in html
        assert_kept_by_csp(html)

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("status=live", {"injecting"}),
            ("status=completed", {"completed"}),
            ("status=nonsense", {"injecting", "completed"}),
            ("verdict=held", {"completed"}),
            ("environment=elsewhere", set()),
            ("experiment=only-carts-feels-it", {"injecting", "completed"}),
        ],
    )
    def test_filters_choose(self, viewer, live, finished, query, found):
        rows = viewer.get(f"/runs/?{query}").context["rows"]
        assert {row.run.status for row in rows} == found

    def test_nothing_found_is_said(self, viewer, finished):
        assert "No run matches" in text(viewer.get("/runs/?environment=elsewhere"))

    def test_fifty_rows_ask_a_bounded_number_of_queries(
        self, viewer, version, place, alice, django_assert_max_num_queries
    ):
        for ago in range(60):
            factories.run(version, place, alice, status="completed", ago_s=1000 + ago)
        viewer.get("/runs/")
        with django_assert_max_num_queries(9):
            response = viewer.get("/runs/")
        assert len(response.context["rows"]) == 50
        assert "page=2" in text(response)

    def test_live_rows_are_refreshed_with_their_filters(self, viewer, live):
        html = text(viewer.get("/runs/?status=live"))
        assert 'hx-get="/runs/?status=live&amp;page=1"' in html


class TestPage:
    def test_a_live_run_shows_all_that_a_watcher_needs(self, viewer, live):
        html = text(viewer.get(f"/runs/{live.pk}/"))
        for told in (
            "Stop and recover",
            "removes 1 fault at once",
            "Broken on purpose right now",
            "With carts 90 ms slower",
            "delay = 90ms",
            "/experiments/only-carts-feels-it/v1/",
            "too-many-errors",
            "the newest 5 samples: 5 quiet",
            "what was there before is put back",
            "100 % of 100 % requested",
            "2\u202f913 of 2\u202f913 affected",
            "set carts:delay",
            "runtime_modify",
            "shop-answers",
            "is in effect, as read back",
        ):
            assert told.lower() in html.lower(), told
        assert_kept_by_csp(html)

    def test_badges_of_a_live_run_never_conclude(self, viewer, live):
        html = text(viewer.get(f"/runs/{live.pk}/"))
        found = re.findall(r'class="cw-badge[^>]*>(?:<svg.*?</svg>)?([^<]+)', html)
        badges = [badge.strip() for badge in found]
        assert "within so far" in badges
        assert "worse so far, as expected" in badges
        assert "holds" not in badges
        assert "no verdict yet" not in html

    def test_a_finished_run_tells_its_verdict_and_its_numbers(self, viewer, finished):
        html = text(viewer.get(f"/runs/{finished.pk}/"))
        assert finished.verdict == "held"
        assert "4 SLIs and 1 probe were as predicted" in html
        assert "as expected" in html
        assert "What was seen" in html
        assert "Stop and recover" not in html
        assert f"/runs/{finished.pk}/figures/carts_p95.json?v={finished.page_version}" in html
        assert 'hx-trigger="every' not in html.replace("every 5s", "")
        assert_kept_by_csp(html)

    def test_a_refused_run_says_why(self, viewer, version, place, alice):
        problem = {
            "message": "There is no fault filter.",
            "hint": "Add one.",
            "severity": "error",
            "where": "mesh-1",
        }
        run = factories.run(
            version, place, alice, status="refused", reason="no", problems=[problem]
        )
        html = text(viewer.get(f"/runs/{run.pk}/"))
        assert "Refused before any fault" in html
        assert "There is no fault filter." in html
        assert "Add one." in html
        assert_kept_by_csp(html)

    def test_a_removal_that_is_not_confirmed_is_loud(self, viewer, version, place, alice):
        run = factories.unconfirmed(version, place, alice)
        html = text(viewer.get(f"/runs/{run.pk}/"))
        assert "This may still be broken" in html
        assert "carts is unreachable" in html
        assert "tried 4 times" in html

    def test_a_guardrail_that_stopped_the_run_is_named(self, viewer, finished):
        Run.objects.filter(pk=finished.pk).update(
            status="stopped", stop_actor="guardrail too-many-errors", ended_by="guardrail"
        )
        Reading.objects.filter(kind="guardrail").delete()
        factories.readings(finished, breaches=3)
        html = text(viewer.get(f"/runs/{finished.pk}/"))
        assert "stopped the run" in html
        assert "2 quiet, 3 breach" in html

    def test_guardrails_of_the_environment_are_marked(self, viewer, version, place, alice):
        own = {"name": "pages", "promql": "up", "below": 1, "no_data": "checkpoint"}
        run = factories.live(version, place, alice, guardrails=[own])
        factories.readings(run, name="pages")
        html = text(viewer.get(f"/runs/{run.pk}/"))
        assert html.count("of the environment") == 1
        assert "up below 1, 3 of 5 · without data it asks a person" in html

    def test_titles_hypotheses_and_reasons_are_escaped(self, viewer, alice, place):
        raw = factories.document("sly", "<b>bold</b>", hypothesis="<img src=x>")
        run = factories.live(factories.version(alice, raw), place, alice)
        transitions.journal(
            run=run, kind="note", message="<i>sly</i>", actor="engine", now=timezone.now()
        )
        html = text(viewer.get(f"/runs/{run.pk}/"))
        for bad in ("<b>bold", "<img src=x", "<i>sly"):
            assert bad not in html
        assert "&lt;b&gt;bold" in html

    def test_a_document_that_is_no_longer_read_still_has_its_page(self, viewer, finished):
        Run.objects.filter(pk=finished.pk).update(parameters={"delay": "soon"})
        html = text(viewer.get(f"/runs/{finished.pk}/"))
        assert "no longer reads the document" in html
        assert "4 SLIs and 1 probe were as predicted" in html
        assert viewer.get(f"/runs/{finished.pk}/figures/carts_p95.json").status_code == 404

    @pytest.mark.parametrize(
        "status", ["requested", "checking", "baseline", "recovering", "settling", "judging"]
    )
    def test_every_live_status_has_a_page(self, viewer, version, place, alice, status):
        run = factories.run(version, place, alice, status=status, ago_s=300)
        html = text(viewer.get(f"/runs/{run.pk}/"))
        assert "Stop and recover" in html
        assert 'aria-current="step"' in html

    @pytest.mark.parametrize("status", ["stopped", "errored"])
    def test_an_early_end_has_a_page(self, viewer, version, place, alice, status):
        run = factories.run(version, place, alice, status=status, ago_s=600, reason="it broke")
        assert "it broke" in text(viewer.get(f"/runs/{run.pk}/"))

    def test_an_unknown_run_is_not_found(self, viewer):
        for url in ("", "live/", "figures/x.json"):
            assert viewer.get(f"/runs/99/{url}").status_code == 404

    def test_the_page_asks_a_bounded_number_of_queries(
        self, viewer, live, finished, django_assert_max_num_queries
    ):
        for run in (live, finished):
            viewer.get(f"/runs/{run.pk}/")
            with django_assert_max_num_queries(18):
                viewer.get(f"/runs/{run.pk}/")


class TestLive:
    def test_nothing_is_sent_while_nothing_visible_moved(
        self, viewer, live, django_assert_max_num_queries
    ):
        url = f"/runs/{live.pk}/live/"
        first = viewer.get(url)
        assert first.status_code == 200
        with django_assert_max_num_queries(4):
            again = viewer.get(url, headers={"If-None-Match": first["ETag"]})
        assert again.status_code == 304
        assert again.content == b""
        transitions.touch(run_id=live.pk)
        moved = viewer.get(url, headers={"If-None-Match": first["ETag"]})
        assert moved.status_code == 200
        assert moved["ETag"] != first["ETag"]

    def test_the_page_polls_with_the_version_that_it_shows(self, viewer, live):
        html = text(viewer.get(f"/runs/{live.pk}/"))
        tag = viewer.get(f"/runs/{live.pk}/live/")["ETag"].strip('"')
        assert tag in html
        assert 'hx-trigger="every 2s"' in html

    def test_the_stop_button_is_not_replaced_under_a_finger(self, viewer, live):
        url = f"/runs/{live.pk}/live/"
        first = viewer.get(url)
        transitions.touch(run_id=live.pk)
        moved = text(viewer.get(url, headers={"If-None-Match": first["ETag"]}))
        assert 'id="run-stop"' not in moved
        assert 'id="run-promise"' in moved
        viewer.post(f"/runs/{live.pk}/stop/")
        stopped = text(viewer.get(url, headers={"If-None-Match": first["ETag"]}))
        assert 'id="run-stop"' in stopped

    def test_charts_are_never_part_of_a_poll(self, viewer, live):
        assert "data-figure-url" not in text(viewer.get(f"/runs/{live.pk}/live/"))

    def test_an_ended_run_asks_no_more(self, viewer, finished):
        html = text(viewer.get(f"/runs/{finished.pk}/live/"))
        assert 'id="run-poll"' in html
        assert "hx-trigger" not in html


class TestStop:
    def test_a_viewer_stops_a_run_as_often_as_wished(self, viewer, live):
        url = f"/runs/{live.pk}/stop/"
        first = viewer.post(url, {"reason": "the shop is down"})
        assert first["Location"] == f"/runs/{live.pk}/"
        live.refresh_from_db()
        assert live.stop_actor == "charlie"
        assert live.stop_reason == "stopped by charlie: the shop is down"
        assert live.status == "recovering"
        assert live.injections.get().phase == "recovering"
        assert viewer.post(url).status_code == 302
        assert live.events.filter(kind="stop").count() == 1

    def test_stopping_needs_a_post(self, viewer, live):
        assert viewer.get(f"/runs/{live.pk}/stop/").status_code == 405

    def test_stopping_needs_the_token_of_the_page(self, charlie, live):
        client = client_of(charlie)
        client.handler.enforce_csrf_checks = True
        assert client.post(f"/runs/{live.pk}/stop/").status_code == 403

    def test_an_ended_run_is_not_stopped(self, viewer, finished):
        assert viewer.post(f"/runs/{finished.pk}/stop/").status_code == 302
        finished.refresh_from_db()
        assert finished.stop_requested_at is None

    def test_nobody_is_sent_to_another_site(self, viewer, live):
        response = viewer.post(f"/runs/{live.pk}/stop/", {"next": "https://evil.example/"})
        assert response["Location"] == f"/runs/{live.pk}/"

    def test_htmx_is_redirected_in_its_own_way(self, viewer, live):
        response = viewer.post(f"/runs/{live.pk}/stop/", headers={"HX-Request": "true"})
        assert response["HX-Redirect"] == f"/runs/{live.pk}/"


@pytest.fixture
def waiting(alice, place):
    raw = factories.document("waits")
    question = {"name": "look", "checkpoint": "Does the basket still fill?"}
    raw["method"].append(question | {"start": {"with": ["slow-carts"]}})
    run = factories.live(factories.version(alice, raw), place, alice, waiting_for="checkpoint")
    at = timezone.now() - timedelta(seconds=5)
    ActionRecord.objects.create(run=run, name="look", kind="checkpoint", started_at=at)
    return run


class TestCheckpoint:
    def test_an_operator_lets_the_run_go_on(self, operator, waiting):
        html = text(operator.get(f"/runs/{waiting.pk}/"))
        assert "Does the basket still fill?" in html
        assert "Let it go on" in html
        response = operator.post(f"/runs/{waiting.pk}/checkpoint/look/")
        assert response.status_code == 302
        assert waiting.actions.get(name="look").outcome == "answered by alice"

    def test_a_viewer_reads_the_question_only(self, viewer, waiting):
        html = text(viewer.get(f"/runs/{waiting.pk}/"))
        assert "Does the basket still fill?" in html
        assert "Let it go on" not in html
        response = viewer.post(f"/runs/{waiting.pk}/checkpoint/look/")
        assert response.status_code == 403
        assert waiting.actions.get(name="look").finished_at is None

    def test_an_answer_that_comes_late_is_told(self, operator, live):
        response = operator.post(f"/runs/{live.pk}/checkpoint/look/", follow=True)
        assert "does not wait at look any more" in text(response)


class TestFigure:
    def test_a_live_figure_is_sent_once(self, viewer, live):
        url = f"/runs/{live.pk}/figures/carts_p95.json"
        first = viewer.get(url)
        assert set(first.json()) == {"data", "layout", "config"}
        assert "X-Final" not in first
        assert "immutable" not in first["Cache-Control"]
        again = viewer.get(url, headers={"If-None-Match": first["ETag"]})
        assert again.status_code == 304

    def test_a_finished_figure_never_changes(self, viewer, finished):
        url = f"/runs/{finished.pk}/figures/carts_p95.json"
        kept = viewer.get(f"{url}?v={finished.page_version}")
        assert kept["X-Final"] == "1"
        assert kept["Cache-Control"] == "private, immutable, max-age=31536000"
        assert "immutable" not in viewer.get(url)["Cache-Control"]
        assert "immutable" not in viewer.get(f"{url}?v=999")["Cache-Control"]

    def test_an_unknown_sli_is_not_found(self, viewer, live):
        assert viewer.get(f"/runs/{live.pk}/figures/nothing.json").status_code == 404

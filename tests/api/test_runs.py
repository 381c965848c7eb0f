"""Runs through the API: one key starts one run, anybody stops it, the journal tells all."""

from __future__ import annotations

import pytest

from experiments.models import Run
from experiments.services import authoring, launching
from tests.api.conftest import client_of, told

pytestmark = pytest.mark.django_db(transaction=True)

RUNS = "/api/v1/runs"


def test_the_same_key_starts_one_run(request_run):
    first, again = request_run(), request_run()
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert first.headers["Location"].endswith(f"{RUNS}/{first.json()['id']}")
    assert Run.objects.count() == 1
    assert request_run(key="second").status_code == 201
    assert Run.objects.count() == 2


def test_the_key_may_be_a_field(operator, request_run):
    body = {"experiment": "probe-only", "environment": "rehearsal", "idempotency_key": "first"}
    first = operator.post(RUNS, body, format="json")
    assert first.status_code == 201
    assert request_run().json()["id"] == first.json()["id"]


def test_a_key_belongs_to_one_person(request_run, ada):
    mine, hers = request_run(), request_run(client=client_of(ada))
    assert hers.status_code == 201
    assert mine.json()["id"] != hers.json()["id"]


def test_two_requests_at_once_start_one_run(request_run, monkeypatch):
    """The other request comes in after this one has looked for the key and found nothing."""
    fits, answers = launching.fits, []

    def meanwhile(*args):
        monkeypatch.setattr(launching, "fits", fits)
        answers.append(request_run())
        return fits(*args)

    monkeypatch.setattr(launching, "fits", meanwhile)
    answers.append(request_run())
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert Run.objects.count() == 1


def test_a_retry_still_finds_its_run_after_a_new_version(request_run, olga, version, document):
    first = request_run()
    changed = document | {"hypothesis": "New."}
    authoring.save(raw=changed, author=olga, experiment=version.experiment)
    again = request_run()
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    newer = request_run(key="second").json()
    assert newer["version"] == 2
    assert request_run(key="third", version=1).json()["version"] == 1


@pytest.mark.parametrize("changes", [{"parameters": {"share": "10%"}}, {"version": 2}])
def test_a_key_is_not_used_for_something_else(request_run, olga, version, document, changes):
    changed = document | {"hypothesis": "New."}
    first = request_run()
    authoring.save(raw=changed, author=olga, experiment=version.experiment)
    response = request_run(**changes)
    assert response.status_code == 422
    assert f"run {first.json()['id']}" in response.json()["detail"]
    assert Run.objects.count() == 1


def test_every_error_of_the_request_is_told_at_once(operator, version, environment):
    response = operator.post(
        RUNS,
        {"experiment": "nobody", "environment": "mars", "parameters": [1], "colour": "red"},
        format="json",
    )
    assert response.status_code == 400
    places = told(response)
    assert set(places) == {
        "experiment",
        "environment",
        "parameters",
        "colour",
        "idempotency_key",
    }
    assert "Idempotency-Key" in places["idempotency_key"]
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("changes", "where", "message"),
    [
        ({"parameters": {"share": "150%"}}, "method[0].with.percentage", "outside"),
        ({"parameters": {"other": 1}}, "parameters.other", "is not a parameter"),
        ({"parameters": {"share": "\0"}}, "parameters.share", "no text may hold"),
        ({"version": 7}, "version", "has no version 7"),
        ({"version": 10**30}, "version", "too large"),
        ({"version": 2**63}, "version", "has no version"),
        ({"version": True}, "version", "whole number"),
        ({"experiment": None}, "experiment", "is missing"),
        ({"environment": 5}, "environment", "must be a text"),
    ],
)
def test_a_bad_request_starts_nothing(request_run, changes, where, message):
    response = request_run(**changes)
    assert response.status_code == 400
    assert message in told(response)[where]
    assert not Run.objects.exists()


def test_a_key_that_is_too_long_is_refused(request_run):
    assert "longer than 64" in told(request_run(key="k" * 65))["idempotency_key"]
    assert not Run.objects.exists()


def test_an_environment_that_does_not_fit_is_refused(request_run, environment):
    environment.aliases.all().delete()
    response = request_run()
    assert response.status_code == 400
    assert "no connection" in told(response)["method[0].via"]
    assert not Run.objects.exists()


def test_a_run_is_read_from_request_to_verdict(request_run, viewer, pump):
    run = Run.objects.get(pk=request_run(parameters={"share": "25%"}).json()["id"])
    pump.run_until(run, "injecting")
    pump.drain()
    live = viewer.get(f"{RUNS}/{run.pk}").json()
    assert live["status"] == "injecting"
    assert live["requested_by"] == "olga"
    assert live["parameters"] == {"share": "25%"}
    (injection,) = live["injections"]
    assert injection["phase"] == "active"
    assert injection["requested_share"] == 0.25
    assert injection["injected_at"]
    assert injection["recovered_at"] is None
    assert live["phases"]["injecting_at"]
    pump.run_until(run, "completed")
    ended = viewer.get(f"{RUNS}/{run.pk}").json()
    assert (ended["verdict"], ended["ended_by"]) == ("deviated", "plan")
    assert ended["judgement"]["verdict"] == "deviated"
    assert ended["injections"][0]["recovered_at"]
    assert ended["phases"]["ended_at"]


def test_any_signed_in_person_stops_a_run_once(request_run, viewer, pump):
    run = Run.objects.get(pk=request_run().json()["id"])
    pump.run_until(run, "injecting")
    pump.drain()
    first = viewer.post(f"{RUNS}/{run.pk}/stop", {"reason": "pager"}, format="json")
    assert first.json()["stopped"] is True
    again = viewer.post(f"{RUNS}/{run.pk}/stop")
    assert again.status_code == 200
    assert again.json()["stopped"] is False
    pump.drain()
    pump.run_until(run, "stopped")
    assert run.injections.get().phase == "recovered"
    found = viewer.get(f"{RUNS}/{run.pk}").json()
    assert (found["stop_actor"], found["stop_reason"]) == ("vera", "pager")
    assert viewer.post(f"{RUNS}/{run.pk}/stop").json() == {"stopped": False, "status": "stopped"}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", "{broken"),
        ("application/json", "[1]"),
        ("application/json", '{"reason": "\\ud800\\u0000"}'),
        ("application/json", '{"reason": {"a": 1}}'),
        ("text/xml", "<a/>"),
        ("application/x-www-form-urlencoded", "reason=pager"),
    ],
)
def test_no_body_keeps_a_run_from_being_stopped(request_run, viewer, content_type, body):
    pk = request_run().json()["id"]
    response = viewer.post(f"{RUNS}/{pk}/stop", body, content_type=content_type)
    assert response.status_code == 200
    assert response.json()["stopped"] is True


def test_a_huge_reason_does_not_keep_a_run_from_being_stopped(request_run, viewer, settings):
    pk = request_run().json()["id"]
    response = viewer.post(f"{RUNS}/{pk}/stop", {"reason": "x" * 100_000}, format="json")
    assert response.json()["stopped"] is True
    assert len(Run.objects.get(pk=pk).stop_reason) == 500


def test_the_journal_is_read_on_from_a_line(request_run, viewer, pump):
    run = Run.objects.get(pk=request_run().json()["id"])
    pump.run_until(run, "completed")
    lines = viewer.get(f"{RUNS}/{run.pk}/events").json()["results"]
    assert lines[0]["kind"] == "request"
    assert [line["id"] for line in lines] == sorted(line["id"] for line in lines)
    rest = viewer.get(f"{RUNS}/{run.pk}/events?after={lines[1]['id']}").json()["results"]
    assert rest == lines[2:]
    for wrong in ("x", "-1", "²", "9" * 30):
        response = viewer.get(f"{RUNS}/{run.pk}/events", {"after": wrong})
        assert response.status_code == 400
        assert "is not the id of a line" in response.json()["detail"]


def test_a_checkpoint_is_answered_once(operator, viewer, olga, environment, document, pump):
    look = {"name": "look", "checkpoint": "Go on?", "timeout": "10m"}
    document["method"].append(look | {"start": {"with": ["one"]}})
    document["metadata"] = {"name": "asks"}
    authoring.save(raw=document, author=olga)
    body = {"experiment": "asks", "environment": "rehearsal", "idempotency_key": "c"}
    run = Run.objects.get(pk=operator.post(RUNS, body, format="json").json()["id"])
    address = f"{RUNS}/{run.pk}/checkpoints/look"
    assert operator.post(address).json() == {"answered": False, "status": "requested"}
    pump.run_until(run, "injecting")
    pump.drain()
    assert viewer.post(address).status_code == 403
    assert operator.post(address).json() == {"answered": True, "status": "injecting"}
    assert operator.post(address).json()["answered"] is False
    unknown = operator.post(f"{RUNS}/{run.pk}/checkpoints/other")
    assert unknown.status_code == 404
    assert "no checkpoint “other”" in unknown.json()["detail"]


def test_runs_are_filtered(request_run, viewer):
    request_run()
    stopped = request_run(key="second").json()["id"]
    viewer.post(f"{RUNS}/{stopped}/stop")
    for query, count in (
        ("", 2),
        ("?status=stopped", 1),
        ("?status=requested&status=stopped", 2),
        ("?verdict=inconclusive", 1),
        ("?experiment=probe-only&environment=rehearsal", 2),
        ("?experiment=other", 0),
        ("?environment=%00", 0),
    ):
        response = viewer.get(f"{RUNS}{query}")
        assert response.json()["count"] == count, query
    page = viewer.get(f"{RUNS}?limit=1").json()
    assert (page["count"], len(page["results"])) == (2, 1)
    wrong = viewer.get(f"{RUNS}?status=borken")
    assert wrong.status_code == 400
    assert "“borken” is none of requested" in wrong.json()["detail"]


def test_a_list_of_runs_takes_few_queries(request_run, viewer, django_assert_max_num_queries):
    for key in "abcd":
        request_run(key=key)
    with django_assert_max_num_queries(4):
        assert viewer.get(RUNS).json()["count"] == 4

"""Documents through the API: every error at its place, all at once, and nothing stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from experiments.domain import text
from experiments.models import Experiment, ExperimentVersion
from tests.api.conftest import told

pytestmark = pytest.mark.django_db(transaction=True)

ALL = "/api/v1/experiments"
VALIDATE = "/api/v1/experiments/validate"
LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
VERSIONS = "/api/v1/experiments/probe-only/versions"


def abort(name: str = "one", **changes: Any) -> dict[str, Any]:
    given = {key.rstrip("_"): value for key, value in changes.items()}
    action: dict[str, Any] = {
        "name": name,
        "fault": "fake.abort",
        "via": "mesh",
        "with": {},
        "duration": "10s",
    }
    return action | given


def change(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda raw: raw.update({key: value})


BAD = {
    "unknown fault": (
        change("method", [abort(fault="envoy.http_abrot")]),
        "method[0].fault",
        "“envoy.http_abrot” is not a fault that ChaosWeb knows",
    ),
    "percentage": (
        change("method", [abort(with_={"percentage": 150})]),
        "method[0].with.percentage",
        "outside 0–100 %",
    ),
    "http status": (
        change("method", [abort(with_={"http_status": 99})]),
        "method[0].with.http_status",
        "must be at least 200, not 99",
    ),
    "duration": (
        change("method", [abort(duration="-5s")]),
        "method[0].duration",
        "must be longer than 0s",
    ),
    "nothing to judge": (
        change("probes", []),
        "slis",
        "at least one SLI or probe",
    ),
    "one name twice": (
        change("method", [abort(), abort()]),
        "method[1].name",
        "“one” is already the name of number 1",
    ),
    "circle": (
        change(
            "method",
            [abort("a", start={"after": ["b"]}), abort("b", start={"after": ["a"]})],
        ),
        ".start",
        "goes round in a circle",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_each_error_is_told_at_its_place(what, author, document):
    spoil, where, message = BAD[what]
    spoil(document)
    checked = author.post(VALIDATE, document, format="json")
    assert checked.status_code == 200
    assert checked.json()["valid"] is False
    refused = author.post(ALL, document, format="json")
    assert refused.status_code == 400
    for response in (checked, refused):
        (error,) = response.json()["errors"]
        assert where in error["where"]
        assert message in error["message"]
        assert error["path"]
    assert not Experiment.objects.exists()


def test_all_errors_are_told_at_once(author, document, environment):
    document["probes"] = []
    document["method"] = [
        abort(fault="nobody.knows"),
        abort(with_={"percentage": 150, "http_status": 99}),
        abort("two", duration="-1s"),
        abort("a", start={"after": ["b"]}),
        abort("b", start={"after": ["a"]}),
    ]
    response = author.post(ALL, document, format="json")
    assert response.status_code == 400
    places = set(told(response))
    assert places >= {
        "slis",
        "method[0].fault",
        "method[1].with.percentage",
        "method[1].with.http_status",
        "method[1].name",
        "method[2].duration",
    }
    assert places & {"method[3].start", "method[4].start"}
    assert {"path": ["method", 1, "with", "percentage"]}.items() <= next(
        error for error in response.json()["errors"] if error["where"].endswith("percentage")
    ).items()
    assert not Experiment.objects.exists()


def test_a_good_document_is_valid_and_not_stored(viewer, document):
    for body in (document, {"document": document}, {"text": text.write(document)}):
        response = viewer.post(VALIDATE, body, format="json")
        assert response.json() == {"valid": True, "errors": [], "notes": []}
    yaml = viewer.post(VALIDATE, text.write(document), content_type="application/yaml")
    assert yaml.json()["valid"] is True
    assert not Experiment.objects.exists()


def test_validate_says_what_the_environment_lacks(viewer, document, environment):
    document["method"][0]["via"] = "cluster"
    for response in (
        viewer.post(VALIDATE, {"document": document, "environment": "rehearsal"}, format="json"),
        viewer.post(f"{VALIDATE}?environment=rehearsal", document, format="json"),
    ):
        assert response.status_code == 200
        assert "no connection of rehearsal" in told(response)["method[0].via"]
    unknown = viewer.post(f"{VALIDATE}?environment=mars", document, format="json")
    assert unknown.status_code == 400
    assert told(unknown) == {"environment": "there is no environment “mars”"}


def test_validate_takes_values_as_a_launch_does(viewer, document, environment):
    body = {"document": document, "environment": "rehearsal", "parameters": {"share": "150%"}}
    assert (
        "outside" in told(viewer.post(VALIDATE, body, format="json"))["method[0].with.percentage"]
    )
    body["parameters"] = {"shrae": "10%"}
    assert told(viewer.post(VALIDATE, body, format="json")) == {
        "parameters.shrae": "is not a parameter of this experiment"
    }


def test_json_and_yaml_are_stored_alike(author, document):
    created = author.post(f"{ALL}?message=first", document, format="json")
    assert created.status_code == 201
    assert created.headers["Location"].endswith("/api/v1/experiments/probe-only/versions/1")
    assert created.json()["message"] == "first"
    written = "# why: because\n" + text.write(document | {"hypothesis": "It still answers."})
    second = author.post(VERSIONS, written, content_type="application/yaml; charset=utf-8")
    assert second.status_code == 201
    stored = ExperimentVersion.objects.get(number=2)
    assert stored.text == written
    assert stored.document["hypothesis"] == "It still answers."
    assert author.get(f"{VERSIONS}/2").json()["text"] == written
    assert [row["number"] for row in author.get(VERSIONS).json()["results"]] == [2, 1]
    found = author.get(f"{ALL}/probe-only").json()
    assert (found["versions"], found["newest"]["number"]) == (2, 2)


def test_an_unchanged_document_makes_no_version(author, version, document):
    response = author.post(VERSIONS, {"document": document, "message": "again"}, format="json")
    assert response.status_code == 200
    assert response.json()["number"] == 1
    assert ExperimentVersion.objects.count() == 1


def test_a_taken_name_is_refused(author, version, document):
    response = author.post(ALL, document, format="json")
    assert response.status_code == 400
    assert "is taken" in told(response)["metadata.name"]
    renamed = document | {"metadata": {"name": "other"}}
    moved = author.post(VERSIONS, renamed, format="json")
    assert "must stay “probe-only”" in told(moved)["metadata.name"]


def test_malformed_bodies_are_told_with_their_line(author):
    broken = author.post(ALL, '{\n"a": 1,\n}', content_type="application/json")
    assert broken.status_code == 400
    assert "line 3" in broken.json()["detail"]
    yaml = author.post(ALL, "a: 1\nb: [\n", content_type="application/yaml")
    assert yaml.status_code == 400
    assert told(yaml)["document"].startswith("line 3")
    checked = author.post(VALIDATE, {"text": "a: 1\na: 2\n"}, format="json")
    assert checked.status_code == 200
    assert "line 2: found duplicate key" in told(checked)["document"]
    latin = author.post(ALL, b"a: \xe9", content_type="application/yaml")
    assert latin.status_code == 400
    assert "not UTF-8" in latin.json()["detail"]


@pytest.mark.parametrize(
    ("content_type", "body", "where", "message"),
    [
        ("application/yaml", "hypothesis: !!binary aGk=", "document", "line 1"),
        ("application/yaml", "a: &a [*a]", "a[0][0]", "nested more than"),
        ("application/yaml", "[" * 2000 + "]" * 2000, "document", "nested too deeply"),
        ("application/yaml", LAUGHS, "document", "more than 100000 values"),
        ("application/yaml", 'hypothesis: "a\\0b"', "hypothesis", "no text may hold"),
        ("application/json", '{"hypothesis": "\\u0000"}', "hypothesis", "no text may hold"),
        ("application/json", '{"hypothesis": "\\ud800"}', "hypothesis", "no text may hold"),
        ("application/json", '{"kind": 1e999}', "kind", "not a finite number"),
        ("application/json", '{"a":' * 90 + "1" + "}" * 90, "a.a.a", "nested more than"),
        ("application/json", "[1]", "document", "must be a mapping"),
        ("application/json", '"text"', "document", "must be a mapping"),
        ("application/json", "null", "document", "must be a mapping"),
        ("application/json", '{"text": 5}', "text", "must be a text"),
        ("application/json", '{"text": "a", "document": {}}', "document", "either"),
        ("application/json", '{"document": {}, "mesage": ""}', "mesage", "not a field here"),
    ],
)
def test_what_cannot_be_kept_is_refused(author, content_type, body, where, message):
    response = author.post(ALL, body, content_type=content_type)
    assert response.status_code == 400
    places = told(response)
    assert message in places[where]
    assert not Experiment.objects.exists()


def test_json_without_end_is_refused(author):
    response = author.post(ALL, "[" * 100_000, content_type="application/json")
    assert response.status_code == 400
    assert "JSON parse error" in response.json()["detail"]


def test_a_huge_body_is_refused(author, settings):
    body = json.dumps({"text": "x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)})
    response = author.post(ALL, body, content_type="application/json")
    assert response.status_code == 413
    assert "larger than" in response.json()["detail"]
    form = author.post(ALL, body, content_type="application/x-www-form-urlencoded")
    assert form.status_code == 413


def test_other_content_types_are_refused(author):
    assert author.post(ALL, "<a/>", content_type="text/xml").status_code == 415


def test_what_there_is_not(viewer, version):
    for address in (
        f"{ALL}/nobody",
        f"{ALL}/nobody/versions",
        f"{VERSIONS}/9",
        f"{VERSIONS}/99999999999999999999",
        "/api/v1/runs/1",
        "/api/v1/runs/99999999999999999999/events",
        "/api/v1/nowhere",
        "/api/v1/experiments/",
    ):
        response = viewer.get(address)
        assert response.status_code == 404, address
        assert "There is no" in response.json()["detail"]


def test_lists_come_in_pages(viewer, version):
    response = viewer.get(f"{ALL}?limit=1&offset=0").json()
    assert response["count"] == 1
    assert response["results"][0]["versions"] == 1
    assert viewer.get(f"{ALL}?limit=1&offset=1").json()["results"] == []


def test_an_archived_experiment_is_listed_only_when_asked_for_and_not_run(
    author, operator, environment, document, request_run
):
    assert author.post(f"{ALL}/probe-only/archive", {}, format="json").status_code == 200
    archived = author.get(f"{ALL}/probe-only").json()["archived_at"]
    assert archived is not None

    def listed(query=""):
        return [each["name"] for each in author.get(f"{ALL}{query}").json()["results"]]

    assert listed() == []
    assert listed("?archived=yes") == listed("?archived=all") == ["probe-only"]
    assert author.get(f"{ALL}?archived=perhaps").status_code == 400
    refused = request_run()
    assert refused.status_code == 400
    assert "unarchive it to run it" in str(refused.json())
    assert author.post(f"{ALL}/probe-only/unarchive", {}, format="json").status_code == 200
    assert listed() == ["probe-only"]
    assert listed("?archived=yes") == []
    assert request_run().status_code == 201


def test_only_authors_archive(viewer, request_run, environment):
    request_run()
    for verb in ("archive", "unarchive"):
        response = viewer.post(f"{ALL}/probe-only/{verb}", {}, format="json")
        assert response.status_code == 403
        assert viewer.post(f"{ALL}/none/{verb}", {}, format="json").status_code == 404


def test_a_fault_longer_than_the_environment_allows_is_told_and_refused(
    author, operator, environment, document, request_run
):
    environment.longest_fault_s = 5
    environment.save()
    checked = author.post(f"{ALL}/validate?environment=rehearsal", document, format="json").json()
    assert not checked["valid"]
    assert checked["errors"][0]["where"] == "method[0].duration"
    assert "lets no fault last longer than 5s" in checked["errors"][0]["message"]
    refused = request_run()
    assert refused.status_code == 400
    assert "lets no fault last longer than 5s" in str(refused.json())

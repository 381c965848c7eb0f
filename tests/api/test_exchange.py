"""Experiments in and out through the API, and previews of drafts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.domain import text as yaml
from experiments.models import Experiment, ExperimentVersion
from experiments.services import authoring
from tests.api.conftest import client_of, told
from tests.importers.documents import BAD, GOOD, WRONG, Bad

pytestmark = pytest.mark.django_db

IMPORT = "/api/v1/experiments/import"
TWO = GOOD.replace("name: one,", "name: two,")


def sent(*contents: bytes | str) -> dict[str, Any]:
    files = [
        SimpleUploadedFile(f"{number}.yaml", each.encode() if isinstance(each, str) else each)
        for number, each in enumerate(contents)
    ]
    return {"file": files}


def send(client, content: bytes | str, query: str = "", kind: str = "application/yaml") -> Any:
    return client.generic("POST", f"{IMPORT}{query}", content, content_type=kind)


class TestImport:
    def test_files_are_stored_and_reported(self, author) -> None:
        response = author.post(IMPORT, sent(GOOD, TWO), format="multipart")
        assert response.status_code == 201
        reports = response.json()["files"]
        assert [each["file"] for each in reports] == ["0.yaml", "1.yaml"]
        assert [each["experiments"][0]["stored"] for each in reports] == [True, True]
        assert ExperimentVersion.objects.get(experiment__name="one").text == GOOD
        again = author.post(IMPORT, sent(GOOD, TWO), format="multipart")
        assert again.status_code == 200
        assert ExperimentVersion.objects.count() == 2

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (GOOD, "application/yaml"),
            (GOOD, "application/x-yaml"),
            (GOOD, "text/plain"),
            (json.dumps([yaml.read(GOOD)]), "application/json"),
        ],
    )
    def test_a_bare_body_is_one_file(self, author, body, kind) -> None:
        response = send(author, body, "?file=mine", kind)
        assert response.status_code == 201
        assert response.json()["files"][0]["file"] == "mine"
        assert ExperimentVersion.objects.get().document == yaml.read(GOOD)

    def test_checking_needs_no_role_and_stores_nothing(self, viewer) -> None:
        response = send(viewer, GOOD, "?check=yes")
        assert response.status_code == 200
        assert response.json()["files"][0]["experiments"][0]["becomes"] == "experiment"
        assert not Experiment.objects.exists()

    def test_only_authors_store(self, viewer) -> None:
        response = send(viewer, GOOD)
        assert response.status_code == 403
        assert "write experiments" in response.json()["detail"]
        assert not Experiment.objects.exists()

    def test_what_is_stored_beside_errors_is_told_apart(self, author) -> None:
        wrong = TWO.replace("percentage", "percentge")
        response = author.post(IMPORT, sent(GOOD, wrong), format="multipart")
        assert response.status_code == 207
        good, bad = response.json()["files"]
        assert (good["fine"], bad["fine"]) == (True, False)
        (error,) = bad["errors"]
        assert (error["line"], error["column"], error["where"]) == (
            9,
            66,
            "method[0].with.percentge",
        )
        assert Experiment.objects.get().name == "one"

    @pytest.mark.parametrize("bad", [*BAD, *WRONG], ids=str)
    def test_bad_input_is_a_report_and_stores_nothing(self, author, bad: Bad) -> None:
        response = author.post(
            f"{IMPORT}?check=yes",
            {"file": SimpleUploadedFile(bad.name, bad.content)},
            format="multipart",
        )
        if len(bad.content) > 2_600_000:
            assert response.status_code == 413
            return
        assert response.status_code == 200
        (report,) = response.json()["files"]
        assert bad.says in " ".join(error["message"] for error in report["errors"])
        assert not Experiment.objects.exists()

    def test_a_name_that_exists_may_be_refused(self, author) -> None:
        send(author, GOOD)
        response = send(author, GOOD.replace("It answers", "Still"), "?on_conflict=refuse")
        assert response.status_code == 400
        assert response.json()["files"][0]["errors"][0]["message"] == "“one” is taken"

    @pytest.mark.parametrize(
        ("query", "where"), [("?check=perhaps", "check"), ("?on_conflict=merge", "on_conflict")]
    )
    def test_odd_questions_are_refused(self, author, query, where) -> None:
        response = send(author, GOOD, query)
        assert response.status_code == 400
        assert list(told(response)) == [where]

    def test_nothing_sent_is_told(self, author) -> None:
        assert "file" in told(author.post(IMPORT, {}, format="multipart"))

    def test_a_post_from_elsewhere_is_refused(self, arthur) -> None:
        response = send(client_of(arthur, enforce_csrf_checks=True), GOOD)
        assert response.status_code == 403
        assert not Experiment.objects.exists()


class TestExport:
    @pytest.fixture
    def versions(self, arthur):
        first = authoring.save(raw=yaml.read(GOOD), author=arthur, written=GOOD)
        second = GOOD.replace("It answers", "Still")
        return first, authoring.save(
            raw=yaml.read(second), author=arthur, experiment=first.experiment, written=second
        )

    def test_yaml_is_the_author_s_own_text(self, viewer, versions) -> None:
        response = viewer.get("/api/v1/experiments/one/export")
        assert response["Content-Type"] == "application/yaml; charset=utf-8"
        assert response["Content-Disposition"] == 'attachment; filename="one.v2.yaml"'
        assert response.content.decode() == versions[1].text

    def test_json_is_the_document_of_any_version(self, viewer, versions) -> None:
        response = viewer.get("/api/v1/experiments/one/export?format=json&version=1")
        assert response["Content-Type"].startswith("application/json")
        assert response.json() == versions[0].document
        accepted = viewer.get(
            "/api/v1/experiments/one/export", headers={"Accept": "application/json"}
        )
        assert accepted.json() == versions[1].document

    def test_many_come_as_a_stream_or_a_list(self, viewer, arthur, versions) -> None:
        authoring.save(raw=yaml.read(TWO), author=arthur, written=TWO)
        stream = viewer.get("/api/v1/experiments/export?name=two&name=one").content.decode()
        assert stream == f"{TWO}---\n{versions[1].text}"
        listed = viewer.get("/api/v1/experiments/export?format=json").json()
        assert [each["metadata"]["name"] for each in listed] == ["one", "two"]

    def test_what_is_exported_can_be_imported(self, viewer, author, versions) -> None:
        stream = viewer.get("/api/v1/experiments/export").content
        Experiment.objects.filter(name="one").update(name="was-one")
        response = send(author, stream)
        assert response.status_code == 201
        assert ExperimentVersion.objects.get(experiment__name="one").text == versions[1].text

    @pytest.mark.parametrize(
        "address",
        ["gone/export", "one/export?version=7", "one/export?version=x", "export?name=gone"],
    )
    def test_what_there_is_not_is_told_in_json(self, viewer, versions, address) -> None:
        response = viewer.get(f"/api/v1/experiments/{address}")
        assert response.status_code == 404
        assert response["Content-Type"] == "application/json"
        assert "There is no" in response.json()["detail"]


class TestPreview:
    ADDRESS = "/api/v1/experiments/preview"

    def test_a_draft_is_previewed(self, author, environment, document) -> None:
        body = {"document": document, "environment": "rehearsal"}
        response = author.post(f"{self.ADDRESS}?reach=yes", body, format="json")
        assert response.status_code == 200
        found = response.json()
        assert found["errors"] == []
        (action,) = found["actions"]
        assert (action["name"], action["kind"], action["via"]) == ("one", "fake.abort", "mesh")
        assert action["documents"]
        assert action["was_asked"] is True
        assert action["targets"]
        assert found["schedule"]["fault_s"] == 10.0
        assert not Experiment.objects.exists()

    def test_errors_come_along(self, author, document) -> None:
        del document["hypothesis"]
        found = author.post(self.ADDRESS, {"text": yaml.write(document)}, format="json").json()
        assert [error["where"] for error in found["errors"]] == ["hypothesis"]
        assert found["actions"][0]["note"] == "Pick an environment to see what will be sent."

    def test_only_authors_preview(self, viewer, document) -> None:
        assert viewer.post(self.ADDRESS, document, format="json").status_code == 403

    @pytest.mark.parametrize("body", ["[1]", "3", "a: ["])
    def test_what_is_no_document_is_told(self, author, body) -> None:
        response = author.generic("POST", self.ADDRESS, body, content_type="application/yaml")
        assert response.status_code == 400
        assert response.json()["errors"]

    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(data=st.data())
    def test_whatever_is_wrong_with_a_draft_it_is_previewed(
        self, author, environment, document, data
    ) -> None:
        value: st.SearchStrategy[Any] = st.sampled_from(
            [None, 3, "x", "", [], {}, [3], ["x"], {"x": 1}, True, 1e300, [[]]]
        )
        places = [(key,) for key in document] + [
            ("method", 0, key) for key in ("name", "fault", "via", "with", "duration", "start")
        ]
        draft = json.loads(json.dumps(document))
        for path in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=3)):
            node = draft
            if len(path) > 1:
                method = draft["method"]
                node = method[0] if isinstance(method, list) and method else {}
            if isinstance(node, dict):
                node[path[-1]] = data.draw(value)
        body = {"document": draft, "environment": "rehearsal"}
        response = author.post(self.ADDRESS, body, format="json")
        assert response.status_code == 200, response.content


class TestSchema:
    @pytest.fixture
    def schema(self, viewer) -> dict[str, Any]:
        found: dict[str, Any] = viewer.get("/api/v1/schema/experiment.json").json()
        return found

    def test_editors_can_use_it(self, schema) -> None:
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["$id"] == "http://testserver/api/v1/schema/experiment.json"
        assert schema["title"]
        assert schema["description"]
        jsonschema.Draft202012Validator.check_schema(schema)

    def test_it_takes_the_documents_that_chaosweb_takes(self, schema, document) -> None:
        validator = jsonschema.Draft202012Validator(schema)
        assert list(validator.iter_errors(document)) == []
        assert list(validator.iter_errors(yaml.read(GOOD))) == []
        for path in sorted(Path("demo/documents").glob("*.yaml")):
            told = [error.message for error in validator.iter_errors(yaml.read(path.read_text()))]
            assert told == [], path

    def test_it_takes_short_forms_and_references_as_chaosweb_does(self, schema) -> None:
        validator = jsonschema.Draft202012Validator(schema)
        for old, new in [
            ("baseline: 0s", "baseline: {last: 30m}"),
            ("baseline: 0s", "baseline: '${baseline}'"),
            ("status: 200", "status: '${status}'"),
            ("http://front/", "${front}"),
        ]:
            assert list(validator.iter_errors(yaml.read(GOOD.replace(old, new)))) == [], new
        assert list(validator.iter_errors(yaml.read(GOOD.replace("status: 200", "status: ok"))))

    def test_it_refuses_what_is_plainly_wrong(self, schema) -> None:
        validator = jsonschema.Draft202012Validator(schema)
        for bad in WRONG:
            if bad.name.startswith(("unknown", "newer", "types", "missing")):
                assert list(validator.iter_errors(yaml.read(bad.content.decode()))), bad

"""What no document can be, sent through every door: a clear error, a line, nothing stored.

The table is that of the importers' tests; here it goes through the editor, the API, the pages that
take files and the commands. Memory is measured, as time cannot be on a shared machine.
"""

from __future__ import annotations

import html as escaping
import io
import json
import re
import tracemalloc

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command

from experiments.models import Environment, Experiment, ExperimentVersion, Service
from experiments.services import people
from tests import factories
from tests.importers.documents import BAD, GOOD, WRONG
from tests.views.conftest import client_of

pytestmark = pytest.mark.django_db
NEW = "/experiments/new/"
API = "/api/v1/experiments"
MOST_MEMORY = 40_000_000
"""Bytes of a request, as Python counts them; the sane requests of these tests take about six."""

_STREAMS = ("tab-in-second.yaml", "many.yaml", "not-a-mapping.yaml", "empty.yaml", "blank.yaml")
_FOREIGN = ("text.yaml", "foreign.yaml")
_LONG = [
    ("one-letter.yaml", "[" + "1," * 90_000 + "1]"),
    ("one-key.yaml", "{" + "a," * 90_000 + "b}"),
    ("many-rows.yaml", "slis:\n" + "- {}\n" * 30_000),
    ("many-fields.yaml", "".join(f"k{number}: 1\n" for number in range(16_000))),
]


def _texts():
    """Yield what a text area or a body of YAML can hold: name, text, words, line."""
    for bad in (*BAD, *WRONG):
        if bad.name in (*_STREAMS, *_FOREIGN) or not bad.name.endswith(".yaml"):
            continue
        try:
            yield bad.name, bad.content.decode(), bad.says, bad.line
        except UnicodeDecodeError:
            continue
    for name, text in _LONG:
        yield name, text, "more than 20000 names and values", None


TEXTS = [pytest.param(*each, id=each[0]) for each in _texts() if len(each[1]) < 1_000_000]
REFUSED = {"nul.yaml": "U+0000"}


@pytest.fixture
def writer(db):
    return client_of(factories.person("wanda", people.AUTHOR))


@pytest.fixture
def counted(db):
    """Return what is stored of everything that a document could become."""

    def count():
        return [each.objects.count() for each in (Experiment, ExperimentVersion, Service)]

    return count


@pytest.fixture(autouse=True)
def nothing_is_stored(counted):
    before = counted()
    yield
    assert counted() == before


@pytest.mark.parametrize("name", ["bomb.yaml", "merges.yaml", "one-letter.yaml", "many-rows.yaml"])
def test_what_explodes_takes_little_memory(writer, name):
    text = next(each.values[1] for each in TEXTS if each.id == name)
    posted = {"view": "yaml", "text": text, "do": "save"}
    for act in (
        lambda: writer.post(NEW, posted),
        lambda: writer.post(f"{API}/validate", text, content_type="application/yaml"),
    ):
        tracemalloc.start()
        try:
            act()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < MOST_MEMORY


def words(response):
    return escaping.unescape(re.sub(r"<[^>]+>", " ", response.content.decode()))


@pytest.mark.parametrize(("name", "text", "says", "line"), TEXTS)
def test_the_editor_says_what_is_wrong_and_where(writer, name, text, says, line):
    posted = {"view": "yaml", "text": text, "message": "", "based_on": "0"}
    response = writer.post(NEW, {**posted, "do": "save"})
    assert response.status_code == 422
    told = words(response)
    assert says in told
    if line is not None and not name.startswith("large"):
        assert f"line {line}" in told.lower() or f'data-line="{line}"' in response.content.decode()
    for act in ("check", "view:form", "view:yaml"):
        assert says in words(writer.post(NEW, {**posted, "do": act})), act
    assert says in words(writer.post("/experiments/preview/", posted))


@pytest.mark.parametrize(("name", "text", "says", "line"), TEXTS)
def test_the_api_says_what_is_wrong_and_where(writer, name, text, says, line):
    for to in ("/validate", "/preview", ""):
        for body, kind in (
            (text, "application/yaml"),
            (json.dumps({"text": text}), "application/json"),
        ):
            response = writer.post(API + to, body, content_type=kind)
            assert response.status_code in (200, 400)
            answer = response.json()
            errors = answer["errors"]
            told = [error for error in errors if says in error["message"]]
            if name == "nul.yaml" and not told and kind == "application/json":
                continue
            assert told, answer
            assert len(errors) <= 310
            if line is not None and not name.startswith("large"):
                assert line in [error["line"] for error in told]


WHOLLY_BAD = [bad for bad in (*BAD, *WRONG) if bad.name != "tab-in-second.yaml"]


def test_the_good_document_of_a_file_is_no_reason_to_hide_the_bad_one(writer):
    bad = next(bad for bad in BAD if bad.name == "tab-in-second.yaml")
    told = writer.post(
        f"{API}/import?check=yes", bad.content, content_type="application/yaml"
    ).json()
    [error] = told["files"][0]["errors"]
    assert bad.says in error["message"]
    assert error["line"] == bad.line


@pytest.mark.parametrize("bad", WHOLLY_BAD, ids=str)
def test_every_door_for_files_says_what_is_wrong(writer, bad, tmp_path):
    def upload():
        return SimpleUploadedFile(bad.name, bad.content)

    path = tmp_path / bad.name
    path.write_bytes(bad.content)
    answers = [
        writer.post(f"{API}/import", {"file": upload()}),
        writer.post(f"{API}/import?file={bad.name}", bad.content, content_type="application/yaml"),
    ]
    for answer in answers:
        if answer.status_code == 413:
            assert len(bad.content) > 2_500_000
            continue
        assert answer.status_code == 400
        if not bad.content:
            # Where a form brought it, Django takes an empty file for none.
            assert answer.json().get("errors") or answer.json()["files"][0]["errors"]
            continue
        [file] = answer.json()["files"]
        told = [error for error in file["errors"] if bad.says in error["message"]]
        assert told, file
        assert bad.line is None or bad.line in [error["line"] for error in told]
    page = writer.post("/experiments/import/", {"file": upload(), "do": "check"})
    if page.status_code != 413:
        assert page.status_code in (200, 422)
        assert bad.says in words(page)
    out = io.StringIO()
    with pytest.raises(CommandError, match="had errors"):
        call_command("import", str(path), "--check", stdout=out)
    assert bad.says in json.dumps(json.loads(out.getvalue()), ensure_ascii=False)


@pytest.mark.parametrize("bad", [*BAD, *WRONG], ids=str)
def test_the_doors_for_services_refuse_what_is_no_service(writer, bad, tmp_path):
    path = tmp_path / bad.name
    path.write_bytes(bad.content)
    for act in ("check", "store"):
        sent = {"file": SimpleUploadedFile(bad.name, bad.content), "do": act}
        assert writer.post("/services/import/", sent).status_code == 422
    with pytest.raises(CommandError):
        call_command("services", "import", str(path), "--check", stdout=io.StringIO())


@pytest.mark.parametrize(("name", "text", "says", "line"), TEXTS)
def test_the_values_of_an_environment_are_read_with_the_same_bounds(db, name, text, says, line):
    admin = client_of(factories.person("adele", people.ADMIN))
    fields = {
        "name": "fresh",
        "parameters": text,
        "aliases-TOTAL_FORMS": "0",
        "aliases-INITIAL_FORMS": "0",
    }
    response = admin.post("/environments/new/", fields)
    assert response.status_code == 422, "nothing of the table is one value a line"
    assert not Environment.objects.exists()


ODD = [None, True, 7, -1.5, "", "words", [], [[]], {}, {"x": {}}, "\u0000", "${x}", 10**30]


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize(
    "field", ["name", "title", "owner", "runbook", "dashboards", "places", "slis"]
)
def test_a_service_of_the_wrong_types_is_refused_or_means_nothing(writer, field, value):
    body = {"name": "Not A Name", "title": field, field: value}
    if body["name"] == "words":
        body["name"] = "two words"  # one is a name
    response = writer.post("/api/v1/services", json.dumps(body), content_type="application/json")
    assert response.status_code == 400
    assert response.json()["errors"]


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize("to", ["/validate", "/preview", ""])
@pytest.mark.parametrize("field", ["", "document", "text", "message", "environment", "parameters"])
def test_a_body_of_the_wrong_types_is_an_error(writer, to, field, value):
    body = {"document": {"kind": 1}, field: value} if field else value
    response = writer.post(API + to, json.dumps(body), content_type="application/json")
    assert response.status_code in (200, 400)
    answer = response.json()
    assert answer.get("errors") or answer.get("detail")


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b"{", b"[" * 100_000, b'{"a": NaN}', b'{"a": 1, "a": 2}', b""]
)
def test_a_body_that_is_no_json_is_an_error(writer, body):
    for to in ("/validate", "/preview", ""):
        response = writer.post(API + to, body, content_type="application/json")
        assert response.status_code in (200, 400), body
        answer = response.json()
        assert answer.get("errors") or answer.get("detail")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_body_that_is_not_utf_8_is_an_error(writer, encoding):
    body = GOOD.replace("It answers", "Es wärt").encode(encoding)
    for to in ("/validate", "/preview", ""):
        response = writer.post(API + to, body, content_type="application/yaml")
        assert response.status_code == 400
        assert "UTF-8" in response.json()["detail"]


@pytest.mark.parametrize("to", ["/validate", "/preview", "", "/import"])
def test_five_megabytes_are_refused_unread(writer, to):
    response = writer.post(API + to, b"a: " + b"x" * 5_000_000, content_type="application/yaml")
    assert response.status_code in (400, 413)


def test_five_megabytes_of_a_form_are_refused_unread(writer):
    posted = {"view": "yaml", "text": "x" * 5_000_000, "do": "save"}
    assert writer.post(NEW, posted).status_code in (400, 413, 422)

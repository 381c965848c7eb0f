"""Importing: what is checked stores nothing, what is stored is whole, and everything is told."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import OperationalError

from experiments.domain import text as yaml
from experiments.models import Experiment, ExperimentVersion, User
from experiments.services import authoring, exporting, importing, people
from experiments.services.importing import Upload
from tests.importers.documents import BAD, GOOD, WRONG, Bad

pytestmark = pytest.mark.django_db


def upload(content: str | bytes = GOOD, name: str = "one.yaml") -> Upload:
    return Upload(name, content.encode() if isinstance(content, str) else content)


def named(name: str) -> str:
    return GOOD.replace("name: one,", f"name: {name},")


@pytest.mark.parametrize("bad", [*BAD, *WRONG], ids=str)
def test_bad_input_is_told_at_its_line_and_nothing_is_stored(bad: Bad, alice) -> None:
    (report,) = importing.store([upload(bad.content, bad.name)], user=alice)
    told = [error for error in report.errors if bad.says in error.message]
    assert told, report.errors
    assert bad.line is None or bad.line in [error.line for error in told]
    assert not report.is_fine
    is_partly_good = bad.content.startswith(GOOD.encode()) and b"\n---" in bad.content
    assert Experiment.objects.count() == (1 if is_partly_good else 0)


def test_a_document_is_stored_as_its_author_wrote_it(alice) -> None:
    (report,) = importing.store([upload("# mine\n" + GOOD)], user=alice)
    version = ExperimentVersion.objects.get()
    assert (version.text, version.document) == ("# mine\n" + GOOD, yaml.read(GOOD))
    assert (version.number, version.author) == (1, alice)
    assert version.message == "imported from one.yaml"
    (found,) = report.experiments
    assert (found.becomes, found.version, found.is_stored) == ("experiment", 1, True)


def test_checking_stores_nothing_and_says_what_would_become_of_it(alice) -> None:
    authoring.save(raw=yaml.read(GOOD), author=alice, written=GOOD)
    files = [
        upload(GOOD),
        upload(named("two")),
        upload(GOOD.replace("It answers", "Still")),
        upload(GOOD.replace("It answers", "Ever")),
    ]
    reports = importing.check(files)
    found = [report.experiments[0] for report in reports]
    assert [(each.becomes, each.version) for each in found] == [
        ("nothing", 1),
        ("experiment", 1),
        ("version", 2),
        ("version", 3),
    ]
    assert reports[2].changed[0].words == "“one” exists: this becomes its version 2"
    assert ExperimentVersion.objects.count() == 1
    stored = importing.store(files, user=alice)
    assert [report.experiments[0].version for report in stored] == [1, 1, 2, 3]
    assert [report.experiments[0].is_stored for report in stored] == [False, True, True, True]
    assert ExperimentVersion.objects.count() == 4


def test_comments_alone_make_a_version_and_json_of_the_same_document_makes_none(alice) -> None:
    importing.store([upload()], user=alice)
    as_json = upload(json.dumps(yaml.read(GOOD)), "one.json")
    for _ in range(2):
        (same, commented) = importing.check([as_json, upload("# new\n" + GOOD)])
        assert (same.experiments[0].becomes, commented.experiments[0].becomes) == (
            "nothing",
            "version",
        )
    importing.store([as_json, upload("# new\n" + GOOD)], user=alice)
    newest = ExperimentVersion.objects.order_by("-number")[0]
    assert (newest.number, newest.text) == (2, "# new\n" + GOOD)


def test_a_name_that_exists_may_be_refused(alice) -> None:
    authoring.save(raw=yaml.read(GOOD), author=alice)
    changed = upload(GOOD.replace("It answers", "Still"))
    (report,) = importing.store([changed], user=alice, on_conflict="refuse")
    (error,) = report.errors
    assert (error.message, error.line) == ("“one” is taken", 3)
    assert ExperimentVersion.objects.count() == 1


def test_one_bad_experiment_keeps_no_other_from_being_stored(alice) -> None:
    stream = f"{GOOD}---\n{GOOD.replace('hypothesis', 'hypothesys')}---\nx: [\n---\n{named('two')}"
    (report,) = importing.store([upload(stream)], user=alice)
    assert sorted(Experiment.objects.values_list("name", flat=True)) == ["one", "two"]
    assert [found.is_stored for found in report.experiments] == [True, False, True]
    lines = {error.message: error.line for error in report.errors}
    assert lines["is not a field here; did you mean “hypothesis”?"] == 14
    assert not report.is_fine


def test_json_becomes_yaml(alice) -> None:
    content = json.dumps([yaml.read(GOOD), yaml.read(named("two"))])
    (report,) = importing.store([upload(content, "both.json")], user=alice)
    assert report.is_fine
    assert [note.words for note in report.changed] == ["written as YAML instead of JSON"] * 2
    version = ExperimentVersion.objects.get(experiment__name="two")
    assert yaml.read(version.text) == version.document == yaml.read(named("two"))


def test_what_somebody_saves_at_the_same_moment_is_an_error_not_a_crash(alice, monkeypatch) -> None:
    real = authoring.save

    def raced(**given: Any) -> ExperimentVersion:
        real(raw=yaml.read(GOOD), author=alice)
        return real(**given)

    monkeypatch.setattr(authoring, "save", raced)
    (report,) = importing.store([upload()], user=alice)
    (error,) = report.errors
    assert (error.message, error.line) == ("“one” is taken; choose another name", 3)
    assert ExperimentVersion.objects.count() == 1


def test_files_are_bounded_in_all(alice, monkeypatch) -> None:
    monkeypatch.setattr(importing, "MAX_BYTES", len(GOOD) + 10)
    reports = importing.check([upload(), upload(named("two"))])
    assert reports[0].is_fine
    assert "was not read" in reports[1].errors[0].message
    monkeypatch.setattr(importing, "MAX_FILES", 0)
    assert "was not read" in importing.check([upload()])[0].errors[0].message


def test_thousands_of_errors_are_counted_not_listed() -> None:
    many = GOOD + "".join(f"field{number}: 1\n" for number in range(2000))
    (report,) = importing.check([upload(many)])
    assert len(report.errors) == importing.MAX_ERRORS
    assert any(error.message == "has 1700 more errors" for error in report.errors)


def test_a_name_of_a_file_is_made_fit_for_a_message(alice) -> None:
    importing.store([upload(name="../x\\y/\n\x00" + "n" * 300 + ".yaml")], user=alice)
    message = ExperimentVersion.objects.get().message
    assert message.startswith("imported from nnn")
    assert len(message) <= 200


def test_only_authors_import(alice) -> None:
    people.give_role(user=alice, role="viewer")
    alice = User.objects.get(pk=alice.pk)
    with pytest.raises(PermissionDenied):
        importing.store([upload()], user=alice)
    assert not Experiment.objects.exists()


class TestExport:
    def test_a_stream_reads_back_as_the_same_versions(self, alice) -> None:
        texts = ["# above\n" + GOOD, "%YAML 1.2\n---\n" + named("two"), "---\n" + named("three")]
        for text in texts:
            authoring.save(raw=yaml.read(text), author=alice, written=text)
        versions, missing = exporting.newest([])
        assert (len(versions), missing) == (3, [])
        stream = exporting.as_yaml(versions)
        reports = importing.check([upload(stream)])
        assert [found.becomes for found in reports[0].experiments] == ["nothing"] * 3
        assert "# above" in stream
        assert "# a comment" in stream

    def test_json_reads_back_as_the_same_versions(self, alice) -> None:
        importing.store([upload(), upload(named("two"))], user=alice)
        versions, _ = exporting.newest(["two", "one", "two"])
        assert [version.experiment.name for version in versions] == ["two", "one"]
        listed = exporting.as_json(versions, is_list=True)
        (report,) = importing.check([upload(listed, "all.json")])
        assert [found.becomes for found in report.experiments] == ["nothing", "nothing"]

    def test_names_that_there_are_not_are_told(self, alice) -> None:
        importing.store([upload()], user=alice)
        assert exporting.newest(["one", "gone"])[1] == ["gone"]


class TestCommand:
    def run(self, *args: str) -> tuple[list[dict[str, Any]], str]:
        out, error = io.StringIO(), ""
        try:
            call_command("import", *args, stdout=out)
        except CommandError as caught:
            error = str(caught)
        return [json.loads(line) for line in out.getvalue().splitlines()], error

    @pytest.fixture
    def files(self, tmp_path):
        good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
        good.write_text(GOOD)
        bad.write_text(GOOD.replace("percentage", "percentge"))
        return str(good), str(bad)

    def test_check_prints_a_report_for_each_file_and_stores_nothing(self, files) -> None:
        found, error = self.run("--check", *files)
        assert [each["file"] for each in found] == list(files)
        assert [each["format"] for each in found] == ["chaosweb", "chaosweb"]
        assert found[0]["experiments"][0]["name"] == "one"
        assert found[0]["kept"] == [
            {"line": 1, "message": "the text as it was written, comments and order"}
        ]
        assert found[1]["errors"][0] == {
            "line": 9,
            "column": 66,
            "path": ["method", 0, "with", "percentge"],
            "where": "method[0].with.percentge",
            "message": "is not a field here; did you mean “percentage”?",
        }
        assert error == "1 of 2 files had errors."
        assert not Experiment.objects.exists()

    def test_it_stores_as_the_person_it_is_told(self, files, alice) -> None:
        found, error = self.run(files[0], "--as", "alice")
        assert (error, found[0]["experiments"][0]["stored"]) == ("", True)
        assert ExperimentVersion.objects.get().author == alice

    def test_it_stores_as_the_first_admin_unless_told(self, files, alice) -> None:
        assert self.run(files[0]) == (
            [],
            "There is no admin to import as: name a person with --as.",
        )
        root = User.objects.create_superuser("root")
        assert self.run(files[0])[1] == ""
        assert ExperimentVersion.objects.get().author == root

    def test_it_refuses_whom_there_is_not_and_who_may_not(self, files, alice) -> None:
        assert "no active person “bob”" in self.run(files[0], "--as", "bob")[1]
        people.give_role(user=alice, role="viewer")
        assert "You may not write experiments" in self.run(files[0], "--as", "alice")[1]
        assert not Experiment.objects.exists()

    def test_the_standard_input_is_a_file(self, monkeypatch) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GOOD.encode())))
        found, error = self.run("-", "--check")
        assert (error, found[0]["fine"]) == ("", True)

    def test_a_file_that_cannot_be_opened_is_told(self, tmp_path) -> None:
        found, error = self.run("--check", str(tmp_path / "none"), str(tmp_path))
        messages = [each["errors"][0]["message"] for each in found]
        assert messages == [
            "cannot be opened: No such file or directory",
            "cannot be opened: Is a directory",
        ]
        assert error == "2 of 2 files had errors."

    def test_a_file_can_be_checked_without_a_database(self, files, monkeypatch) -> None:
        def absent(_: str) -> None:
            raise OperationalError("no such table")

        monkeypatch.setattr(importing, "_row", absent)
        found, error = self.run("--check", files[0])
        assert (error, found[0]["experiments"][0]["becomes"]) == ("", None)

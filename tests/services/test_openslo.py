"""OpenSLO files: first a report, then what it says is stored."""

from __future__ import annotations

import json

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command

from experiments.models import Service
from experiments.services import describing, openslo, people
from tests import factories
from tests.importers.openslo_documents import BROKEN, SHOP

ONE = b"""\
apiVersion: openslo/v1
kind: Service
metadata: {name: new}
---
apiVersion: openslo/v1
kind: Service
metadata: {name: carts, displayName: Carts}
"""


@pytest.fixture
def bob(db):
    return factories.person("bob", people.AUTHOR)


def becomes(report):
    return {found.name: (found.becomes, found.is_stored) for found in report.services}


def test_checking_stores_nothing(db):
    report = openslo.check(SHOP.encode())
    assert report.is_fine
    assert becomes(report) == {"orders": ("service", False), "carts": ("service", False)}
    assert not Service.objects.exists()


def test_storing_again_changes_nothing(bob):
    report = openslo.store(SHOP.encode(), user=bob)
    assert becomes(report) == {"orders": ("service", True), "carts": ("service", True)}
    assert [sli["name"] for sli in Service.objects.get(name="carts").slis] == [
        "carts-errors",
        "fresh",
        "queue",
    ]
    again = openslo.store(SHOP.encode(), user=bob)
    assert becomes(again) == {"orders": ("nothing", False), "carts": ("nothing", False)}


def test_what_is_known_of_a_service_stays(bob):
    own = {"name": "own", "value": "own"}
    raw = {
        "name": "carts",
        "title": "My carts",
        "owner": "us",
        "slis": [own, {"name": "queue", "value": "q"}],
    }
    describing.save(raw=raw, user=bob)
    report = openslo.store(SHOP.encode(), user=bob)
    assert becomes(report)["carts"] == ("change", True)
    stored = Service.objects.get(name="carts")
    assert (stored.title, stored.owner) == ("My carts", "us")
    assert stored.slis[0] == own
    assert [sli["name"] for sli in stored.slis] == ["own", "queue", "carts-errors", "fresh"]
    assert stored.slis[1]["value"] == "sum(queue_length)"
    assert any("“carts.queue” exists and is replaced" in note.words for note in report.changed)


def test_a_service_with_errors_keeps_no_other_from_being_stored(bob):
    report = openslo.store(ONE, user=bob)
    assert becomes(report) == {"new": ("", False), "carts": ("service", True)}
    assert not report.is_fine
    assert report.errors[0].line == 1
    assert "is an address of ChaosWeb itself" in report.errors[0].message


def test_a_viewer_stores_nothing(db):
    with pytest.raises(PermissionDenied):
        openslo.store(SHOP.encode(), user=factories.person("charlie"))
    assert not Service.objects.exists()


def test_the_command_prints_the_report(bob, tmp_path, capsys):
    file = tmp_path / "slo.yaml"
    file.write_text(SHOP)
    call_command("services", "import", str(file), "--check")
    assert not Service.objects.exists()
    call_command("services", "import", str(file), "--as", "bob")
    checked, stored = map(json.loads, capsys.readouterr().out.splitlines())
    assert [each["becomes"] for each in checked["services"]] == ["service", "service"]
    assert [each["stored"] for each in stored["services"]] == [True, True]
    assert Service.objects.count() == 2


def test_the_command_fails_on_errors_and_on_files_that_are_not_there(bob, tmp_path):
    file = tmp_path / "slo.yaml"
    file.write_text(BROKEN)
    with pytest.raises(CommandError, match="errors"):
        call_command("services", "import", str(file), "--check")
    with pytest.raises(CommandError, match="cannot be opened"):
        call_command("services", "import", str(tmp_path / "none.yaml"))
    with pytest.raises(CommandError, match="no active person"):
        call_command("services", "import", str(file), "--as", "nobody")

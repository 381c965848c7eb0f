"""A rehearsal is prepared once, reuses what fits, and never takes what is somebody else's."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction

from experiments.models import Connection, Environment, Experiment, Run
from experiments.services import authoring, people, rehearsing
from tests import factories
from tests.services.worlds import ENDED

pytestmark = pytest.mark.django_db(transaction=True)
URL = "http://front/healthz"


@pytest.fixture
def admin(db):
    return factories.person("adele", people.ADMIN)


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """Keep what is pretended where the test's own files are."""
    monkeypatch.setattr(rehearsing, "folder", lambda: str(tmp_path / "rehearsals"))


def test_it_runs_to_its_verdict(admin, pump):
    place = rehearsing.prepare(user=admin, url=URL)
    run = rehearsing.run(user=admin, place=place, idempotency_key="k")
    pump.run_until(run, *ENDED, step_s=2)
    assert (run.status, run.verdict) == ("completed", "held"), run.reason


def test_preparing_again_changes_nothing_but_the_address(admin):
    first = rehearsing.prepare(user=admin, url=URL)
    assert rehearsing.prepare(user=admin, url=URL) == first
    moved = rehearsing.prepare(user=admin, url="http://web:8000/healthz")
    assert moved.environment == first.environment
    moved.environment.refresh_from_db()
    assert moved.environment.allowed_hosts == ["front", "web:8000"]
    assert (Environment.objects.count(), Connection.objects.count()) == (1, 1)


def test_names_that_are_taken_stay_whose_they_are(admin):
    Connection.objects.create(name="rehearsal", kind="envoy")
    theirs = Environment.objects.create(name="rehearsal", title="Theirs")
    place = rehearsing.prepare(user=admin, url=URL)
    assert place.environment != theirs
    assert Connection.objects.get(kind="fake").name == "rehearsal-only"
    theirs.refresh_from_db()
    assert (theirs.title, theirs.parameters) == ("Theirs", {})


def test_what_each_process_would_pretend_by_itself_is_not_taken(admin):
    place = rehearsing.prepare(user=admin, url=URL)
    connection = Connection.objects.get()
    connection.options = {"targets": ["one"]}
    connection.save()
    assert rehearsing.prepared() is None
    assert rehearsing.prepare(user=admin, url=URL).environment != place.environment


def test_an_experiment_that_somebody_has_changed_stays_theirs(admin):
    place = rehearsing.prepare(user=admin, url=URL)
    first = rehearsing.run(user=admin, place=place, idempotency_key="a")
    raw = dict(first.version.document) | {"hypothesis": "Mine."}
    authoring.save(raw=raw, author=admin, experiment=first.version.experiment)
    again = rehearsing.run(user=admin, place=place, idempotency_key="b")
    assert again.version.experiment != first.version.experiment
    assert set(Experiment.objects.values_list("name", flat=True)) == {
        "rehearse-a-run",
        "rehearse-a-run-2",
    }


def test_the_copy_of_a_changed_or_archived_starter_is_run_again(admin):
    place = rehearsing.prepare(user=admin, url=URL)
    first = rehearsing.run(user=admin, place=place, idempotency_key="a")
    authoring.archive(experiment=first.version.experiment, user=admin)
    copied = [
        rehearsing.run(user=admin, place=place, idempotency_key=key).version for key in ("b", "c")
    ]
    assert copied[0] == copied[1] != first.version
    raw = dict(copied[0].document) | {"hypothesis": "Mine."}
    authoring.save(raw=raw, author=admin, experiment=copied[0].experiment)
    other = rehearsing.run(user=admin, place=place, idempotency_key="d").version
    assert rehearsing.run(user=admin, place=place, idempotency_key="e").version == other
    assert Experiment.objects.count() == 3


def test_another_address_leaves_the_secrets_as_they_are_stored(admin, monkeypatch):
    place = rehearsing.prepare(user=admin, url=URL).environment
    find = rehearsing.prepared

    def find_late():
        found = find()
        written = '{"token": "gAAAnone"}'
        with connection.cursor() as cursor:
            cursor.execute("update experiments_environment set secrets = %s", [written])
        return found

    monkeypatch.setattr(rehearsing, "prepared", find_late)
    rehearsing.prepare(user=admin, url="http://web:8000/healthz")
    with connection.cursor() as cursor:
        cursor.execute("select secrets from experiments_environment where id = %s", [place.pk])
        assert cursor.fetchone()[0] == '{"token": "gAAAnone"}'


def test_a_name_that_is_taken_at_the_same_time_is_tried_anew(admin, monkeypatch):
    free, taken = rehearsing._free, []

    def free_late(model):
        name = free(model)
        if not taken:
            taken.append(Connection.objects.create(name=name, kind="envoy"))
        return name

    monkeypatch.setattr(rehearsing, "_free", free_late)
    with transaction.atomic():
        place = rehearsing.prepare(user=admin, url=URL)
    assert place.environment.aliases.get(name="rehearsal").connection.kind == "fake"


def test_only_admins_prepare_and_only_operators_run(admin):
    author = factories.person("bob", people.AUTHOR)
    with pytest.raises(PermissionDenied):
        rehearsing.prepare(user=author, url=URL)
    place = rehearsing.prepare(user=admin, url=URL)
    with pytest.raises(PermissionDenied):
        rehearsing.run(user=author, place=place, idempotency_key="k")
    assert not Run.objects.exists()
    assert not Experiment.objects.exists()


@pytest.mark.parametrize(
    "url", ["front/healthz", "ftp://front", "http://", "", "http://[", "http://\u2100/"]
)
def test_what_is_no_address_is_told(url):
    assert "Write an address" in rehearsing.unreachable(url)

"""Versions: an old one restored, an experiment duplicated, archived and put back."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied

from experiments.domain import text as yaml
from experiments.domain.errors import InvalidDocumentError
from experiments.models import Experiment, Run
from experiments.selectors import authoring as plans
from experiments.services import authoring, launching, people
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def bob(db):
    return factories.person("bob", people.AUTHOR)


@pytest.fixture
def first(bob):
    written = yaml.write(factories.document()).replace("timing:", "# as in March\ntiming:")
    return authoring.save(raw=yaml.read(written), author=bob, written=written)


@pytest.fixture
def second(bob, first):
    written = first.text.replace("settle: 1m", "settle: 2m")
    raw = yaml.read(written)
    return authoring.save(raw=raw, author=bob, experiment=first.experiment, written=written)


def test_an_old_version_is_restored_to_the_letter_as_the_next_one(bob, first, second):
    made = authoring.restore(version=first, author=bob, based_on=second.number)
    assert (made.number, made.message) == (3, "Restores version 1")
    assert (made.text, made.document) == (first.text, first.document)
    told = authoring.restore(version=second, author=bob, message="It was right")
    assert (told.number, told.message, told.text) == (4, "It was right", second.text)
    assert authoring.restore(version=second, author=bob).pk == told.pk, "nothing differs"


def test_a_restore_after_somebody_has_saved_is_a_conflict(bob, first, second):
    with pytest.raises(authoring.ConflictError) as found:
        authoring.restore(version=first, author=bob, based_on=1)
    assert found.value.newest == second
    assert first.experiment.versions.count() == 2


def test_a_duplicate_keeps_comments_and_has_a_name_of_its_own(bob, first):
    made = authoring.duplicate(version=first, author=bob, name="another", title="Another one")
    assert made.experiment.pk != first.experiment.pk
    assert (made.experiment.name, made.experiment.title, made.number) == (
        "another",
        "Another one",
        1,
    )
    assert "# as in March\ntiming:" in made.text
    assert yaml.read(made.text) == made.document
    changed = set(made.text.splitlines()) ^ set(first.text.splitlines())
    assert {line.split(":")[0].strip() for line in changed} == {"name", "title"}


def test_a_name_that_is_taken_is_refused_at_its_field(bob, first):
    with pytest.raises(InvalidDocumentError) as found:
        authoring.duplicate(version=first, author=bob, name=first.experiment.name, title="")
    assert [error.path for error in found.value.errors] == [("metadata", "name")]
    assert Experiment.objects.count() == 1


def test_a_free_name_is_short_enough_and_free(bob, first):
    assert authoring.free_name("only-carts-feels-it") == "only-carts-feels-it-2"
    authoring.duplicate(version=first, author=bob, name="only-carts-feels-it-2", title="")
    assert authoring.free_name("only-carts-feels-it") == "only-carts-feels-it-3"
    assert len(authoring.free_name("x" * 63)) == 63


def test_an_archived_experiment_is_out_of_the_list_until_it_is_put_back(bob, first):
    experiment = first.experiment
    before = Experiment.objects.get().updated_at
    assert authoring.archive(experiment=experiment, user=bob)
    assert not authoring.archive(experiment=experiment, user=bob), "it was already"
    listing = plans.listing(plans.Filters(), None)
    assert list(listing.page) == []
    assert (listing.archived_count, listing.is_empty) == (1, False)
    shown = plans.listing(plans.Filters(archived=True), None)
    assert [row.experiment.name for row in shown.page] == ["only-carts-feels-it"]
    assert Experiment.objects.get().updated_at == before
    assert authoring.unarchive(experiment=experiment, user=bob)
    assert len(list(plans.listing(plans.Filters(), None).page)) == 1
    assert list(plans.listing(plans.Filters(archived=True), None).page) == []


def test_an_archived_experiment_is_not_run_and_says_why(bob, first):
    alice = factories.person("alice", people.OPERATOR)
    authoring.archive(experiment=first.experiment, user=bob)
    first.refresh_from_db()
    with pytest.raises(InvalidDocumentError) as refused:
        launching.request_run(
            version=first, environment=factories.environment(), user=alice, idempotency_key="1"
        )
    (error,) = refused.value.errors
    assert error.path == ("experiment",)
    assert "was archived" in error.message
    assert "unarchive it to run it" in error.message
    assert not Run.objects.exists()


def test_one_that_is_archived_while_a_run_is_requested_is_not_run(bob, first, monkeypatch):
    alice = factories.person("alice", people.OPERATOR)
    fits = launching.fits

    def archive_meanwhile(*asked):
        authoring.archive(experiment=Experiment.objects.get(), user=bob)
        return fits(*asked)

    monkeypatch.setattr(launching, "fits", archive_meanwhile)
    with pytest.raises(InvalidDocumentError, match="was archived"):
        launching.request_run(
            version=first, environment=factories.environment(), user=alice, idempotency_key="1"
        )
    assert not Run.objects.exists()


@pytest.mark.parametrize("act", [authoring.archive, authoring.unarchive])
def test_only_authors_archive(act, first):
    charlie = factories.person("charlie", people.VIEWER)
    with pytest.raises(PermissionDenied):
        act(experiment=first.experiment, user=charlie)

"""A real Prometheus reads what people write: of drafts, of the services they use, of services."""

from __future__ import annotations

import pytest

from experiments.domain.errors import InvalidDocumentError
from experiments.models import Alias, Connection, Environment
from experiments.services import describing, people, querying
from tests import factories
from tests.recent.conftest import bound

pytestmark = pytest.mark.servers
GOOD = {"name": "load", "value": "sum(queue_length)"}
BAD = {"name": "load", "value": "sum(queue_length", "title": "How busy"}


@pytest.fixture
def bob(db):
    return factories.person("bob", people.AUTHOR)


def carts(*slis, **changes):
    return {"name": "carts", "slis": list(slis), **changes}


class TestOfADraft:
    def test_what_a_service_measures_is_read_too_and_told_at_the_reference(self, place, bob):
        describing.save(raw=carts(BAD), user=bob)
        raw = factories.document(slis=[{"name": "busy", "use": "carts.load"}])
        (error,) = querying.queries(raw=raw, environment=place).errors
        assert error.path == ("slis", 0, "use")
        assert "unclosed left parenthesis" in error.message

    def test_a_copy_that_was_sent_along_counts_for_nothing(self, place, bob):
        describing.save(raw=carts(GOOD), user=bob)
        sli = {"name": "busy", "use": "carts.load", "copied": {"value": "sum("}}
        assert querying.queries(raw={"slis": [sli]}, environment=place).errors == ()

    def test_the_source_of_a_document_goes_before_that_of_the_service(self, place, bob):
        describing.save(raw=carts(BAD), user=bob)
        raw = {"slis": [{"name": "busy", "use": "carts.load", "source": "elsewhere"}]}
        assert querying.queries(raw=raw, environment=place) == querying.Queries()

    def test_a_server_that_is_silent_is_told_and_its_queries_count_as_right(self, db):
        silent = bound("http://127.0.0.1:1")
        found = querying.queries(raw={"slis": [BAD]}, environment=silent)
        assert found.errors == ()
        (note,) = found.notes
        assert note.startswith("PromQL was not checked:")


class TestOfAService:
    def test_it_is_read_where_the_service_lives(self, place):
        bound("http://127.0.0.1:1", name="elsewhere")
        found = querying.of_service(carts(BAD, places={"staging": {"where": "here"}}))
        (error,) = found.errors
        assert error.path == ("slis", 0, "value")
        assert error.message.startswith("Prometheus cannot read it:")
        assert found.notes == ()

    def test_without_a_place_every_source_of_that_name_is_asked(self, place):
        bound("http://127.0.0.1:1", name="elsewhere")
        found = querying.of_service(carts(BAD))
        assert len(found.errors) == 1
        assert len(found.notes) == 1, "the silent one is told"

    def test_one_server_of_several_environments_is_asked_once_and_told_once(self, place):
        other = Environment.objects.create(name="other")
        Alias.objects.create(environment=other, name="metrics", connection=Connection.objects.get())
        (error,) = querying.of_service(carts(BAD)).errors
        assert "(in " not in error.message

    def test_a_service_without_slis_asks_nobody(self, db, mute):
        bound(mute.url)
        assert querying.of_service(carts()) == querying.Queries()
        assert mute.asked == 0

    def test_checking_a_description_raises_what_is_wrong_with_its_promql(self, place):
        with pytest.raises(InvalidDocumentError) as refused:
            describing.check(carts(GOOD, {**BAD, "name": "second"}))
        (error,) = refused.value.errors
        assert error.path == ("slis", 1, "value")
        assert describing.check(carts(GOOD)) == ()

"""Saving from the form keeps the author's own text: comments, order and shape."""

import pytest

from experiments.domain import text
from experiments.services import authoring
from tests import factories
from tests.views.conftest import client_of
from tests.views.editing import fields_of

URL = "/experiments/only-carts-feels-it/edit/"


@pytest.fixture
def written():
    """Return the cast's document as somebody wrote it, with reasons."""
    made = text.write(factories.document())
    made = made.replace("apiVersion:", "# Ask the carts team first.\n\napiVersion:", 1)
    made = made.replace("- name: orders_p95", "# calls carts\n  - name: orders_p95   # p95 only", 1)
    return made.replace("default: 90ms", "default: '90ms'   # as in March", 1)


@pytest.fixture
def version(bob, written):
    raw = text.read(written)
    assert raw == factories.document()
    return authoring.save(raw=raw, author=bob, written=written)


def test_an_edit_in_the_form_changes_its_lines_and_no_other(bob, version, written):
    fields = fields_of(version.document, slis__1__margin__value="25%", message="more room")
    response = client_of(bob).post(URL, {**fields, "do": ["save"]})
    assert response.status_code == 302
    newest = version.experiment.versions.first()
    assert newest.number == 2
    assert newest.text == written.replace("relative: 20%", "relative: 25%")
    assert text.read(newest.text) == newest.document


def test_a_removed_row_takes_its_comment_with_it(bob, version):
    fields = fields_of(version.document)
    fields["slis-rows"] = [number for number in fields["slis-rows"] if number != "1"]
    assert client_of(bob).post(URL, {**fields, "do": ["save"]}).status_code == 302
    newest = version.experiment.versions.first()
    assert [sli["name"] for sli in newest.document["slis"]] == [
        "carts_p95",
        "orders_errors",
        "queue_length",
    ]
    assert "calls carts" not in newest.text
    assert "# Ask the carts team first." in newest.text
    assert "'90ms'   # as in March" in newest.text


def test_a_document_without_a_text_is_patched_too(bob, version):
    raw = factories.document(hypothesis="Nobody notices.")
    saved = authoring.save(raw=raw, author=bob, experiment=version.experiment)
    assert text.read(saved.text) == raw
    assert "# calls carts" in saved.text


def test_a_text_of_the_authors_own_is_stored_as_it_is(bob, version, written):
    own = "# anew\n" + written.replace("relative: 20%", "relative: 30%")
    saved = authoring.save(
        raw=text.read(own), author=bob, experiment=version.experiment, written=own
    )
    assert saved.text == own


def test_a_viewer_may_not_edit_the_text(charlie, version):
    fields = fields_of(version.document, slis__1__margin__value="25%")
    assert client_of(charlie).post(URL, {**fields, "do": ["save"]}).status_code == 403
    assert version.experiment.versions.count() == 1

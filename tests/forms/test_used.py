"""An SLI of a service in the experiment form: the reference is the author's, the copy is not."""

from __future__ import annotations

import pytest

from experiments.forms import drafts, mapping
from experiments.forms.editor import Editor
from experiments.services import authoring, describing, faults, people
from tests import factories

P95 = {
    "name": "p95",
    "title": "95 % are faster than",
    "quantile": {"histogram": "s_bucket", "q": 0.95},
    "limit": {"max": "500ms"},
    "margin": {"relative": "20%"},
}
USING = {"name": "slow", "use": "carts.p95", "expect": "degrades"}


@pytest.fixture
def catalogue():
    return faults.known()


@pytest.fixture
def bob(db):
    return factories.person("bob", people.AUTHOR)


@pytest.fixture(autouse=True)
def service(bob):
    return describing.save(raw={"name": "carts", "slis": [P95]}, user=bob)


@pytest.fixture
def version(bob):
    return factories.version(bob, factories.document(slis=[USING], guardrails=[]))


def shown(raw, catalogue):
    return mapping.document_to_fields(raw, catalogue=catalogue)


def document(fields, catalogue):
    return mapping.fields_to_document(fields, catalogue=catalogue)


def leaf(fields, catalogue, key="use"):
    (section,) = [
        each for each in Editor(fields, catalogue=catalogue).sections if each.key == "slis"
    ]
    return next(each for each in section.rows[0].form.main if each.leaf.key == key)


def test_the_form_shows_the_reference_and_never_the_copy(version, catalogue):
    assert "copied" in version.document["slis"][0]
    fields = shown(version.document, catalogue)
    assert fields["slis-0-kind"] == "use"
    assert fields["slis-0-use"] == "carts.p95"
    assert not any("copied" in str(text) for _, texts in fields.lists() for text in texts)
    assert document(fields, catalogue)["slis"] == [USING]


def test_saving_an_untouched_form_makes_no_version(version, bob, catalogue):
    raw = document(shown(version.document, catalogue), catalogue)
    assert authoring.save(raw=raw, author=bob, experiment=version.experiment) == version


def test_it_says_what_the_reference_stands_for(version, catalogue):
    fields = shown(version.document, catalogue)
    said = leaf(fields, catalogue).leaf
    assert said.help.startswith(
        "Stands for the 0.95 quantile of s_bucket, at most 500ms, margin 20% (relative)."
    )
    assert ("carts.p95", "carts.p95 · 95 % are faster than") in said.choices
    assert leaf(fields, catalogue, "limit-max").leaf.placeholder == "500ms, as carts.p95 has it"


def test_a_reference_to_nothing_stays_to_be_mended(catalogue):
    fields = shown(factories.document(slis=[USING | {"use": "carts.p59"}]), catalogue)
    assert 'value="carts.p59" selected' in str(leaf(fields, catalogue).bound)
    editor = Editor(fields, catalogue=catalogue)
    editor.place(authoring.validate(editor.document).errors)
    told = {fault.target: fault.message for fault in editor.faults}
    assert "did you mean “carts.p95”?" in told["id_slis-0-use"]


def test_what_only_the_service_says_leaves_when_a_row_becomes_a_reference(catalogue):
    own = {"name": "x", "value": "up", "unit": "ms", "direction": "higher_is_better", "source": "m"}
    fields = shown(factories.document(slis=[own]), catalogue)
    fields["slis-0-kind"], fields["slis-0-use"] = "use", "carts.p95"
    assert document(fields, catalogue)["slis"] == [{"name": "x", "source": "m", "use": "carts.p95"}]


def test_a_row_becomes_a_measure_of_its_own_again(version, catalogue):
    fields = shown(version.document, catalogue)
    fields["slis-0-kind"], fields["slis-0-value"] = "value", "up"
    assert document(fields, catalogue)["slis"] == [
        {"name": "slow", "expect": "degrades", "value": "up"}
    ]


def test_a_new_row_asks_which(catalogue):
    fields = shown(factories.document(slis=[]), catalogue)
    item = drafts.item("slis", "use", catalogue=catalogue)
    mapping.put_row(fields, "slis", "0", item, catalogue=catalogue)
    assert document(fields, catalogue)["slis"] == [{"name": "", "use": "", "expect": "holds"}]
    assert ("", "choose…") in leaf(fields, catalogue).leaf.choices

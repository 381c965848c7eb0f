"""Any valid document, drawn with every kind of row: form and YAML say exactly the same of it."""

from __future__ import annotations

import copy

import pytest
from django.http import QueryDict
from django.utils.http import urlencode
from hypothesis import HealthCheck, Phase, given, settings

from experiments.domain import patching, spec, text
from experiments.forms import mapping, written
from experiments.services import previewing
from tests.forms import drawn

# The form asks which SLIs services have a name for.
pytestmark = pytest.mark.django_db
CATALOGUE = previewing.catalogue()
NAMED = {"carts": {"p95": {"name": "p95", "value": "p95", "unit": "ms", "limit": {"max": 500}}}}
FEW = settings(
    max_examples=12,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def through_the_form(raw):
    fields = mapping.document_to_fields(copy.deepcopy(raw), catalogue=CATALOGUE)
    sent = urlencode([(key, text) for key, texts in fields.lists() for text in texts])
    return mapping.fields_to_document(QueryDict(sent), catalogue=CATALOGUE)


@FEW
@given(drawn.documents())
def test_what_is_drawn_is_valid(raw):
    assert spec.parse(raw, faults=CATALOGUE, named=NAMED).errors == ()


@FEW
@given(drawn.documents())
def test_the_form_changes_nothing(raw):
    assert through_the_form(raw) == raw


@FEW
@given(drawn.documents())
def test_form_and_yaml_change_nothing(raw):
    made = text.write(raw)
    assert text.read(made) == raw
    again = through_the_form(text.read(made))
    assert text.read(text.write(again)) == raw
    assert patching.patch(made, again).text == made


@FEW
@given(drawn.documents(), drawn.documents())
def test_one_document_is_patched_into_another(one, other):
    assert text.read(patching.patch(text.write(one), other).text) == other


@FEW
@given(drawn.mutated())
def test_no_mutation_makes_the_model_or_the_views_raise(raw):
    found = spec.parse(raw, faults=CATALOGUE, named=NAMED)
    assert (found.spec is None) == bool(found.errors)
    assert all(str(error) for error in found.errors)
    if not isinstance(raw, dict):
        return
    fields = mapping.document_to_fields(copy.deepcopy(raw), catalogue=CATALOGUE)
    state = written.from_fields(fields, base="", catalogue=CATALOGUE)
    state.place(found.errors)
    assert state.text
    assert len(state.marks) >= bool(found.errors)
    assert state.outline

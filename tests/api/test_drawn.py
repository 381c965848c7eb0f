"""Any document through the API and the editor: valid ones unchanged, others never an exception."""

from __future__ import annotations

import json

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings

from experiments.domain import json_types, text, uses
from experiments.models import Experiment, ExperimentVersion, Service
from tests.forms import drawn
from tests.views.editing import fields_of

pytestmark = pytest.mark.django_db
API = "/api/v1/experiments"
FEW = settings(
    max_examples=5,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)


@pytest.fixture
def carts(db):
    slis = [{"name": "p95", "value": "p95", "unit": "ms", "limit": {"max": 500}}]
    return Service.objects.create(name="carts", slis=slis)


class _UndoError(Exception):
    """Ends an example: what it stored is for no other."""


def apart(act):
    """Do something, and leave the database as it was."""
    try:
        with transaction.atomic():
            act()
            raise _UndoError
    except _UndoError:
        pass


@FEW
@given(raw=drawn.documents())
def test_a_valid_document_goes_through_the_api_unchanged(author, carts, raw):
    def there_and_back():
        made = author.post(API, {"document": raw, "message": "drawn"}, format="json")
        assert made.status_code == 201, made.json()
        name = raw["metadata"]["name"]
        got = author.get(f"{API}/{name}").json()["newest"]
        assert uses.bare(got["document"]) == raw
        exported = author.get(f"{API}/{name}/export?format=yaml").content
        assert text.read(exported.decode()) == raw
        again = author.post(f"{API}/import", exported, content_type="application/yaml")
        assert again.status_code == 200, again.json()
        assert again.json()["files"][0]["experiments"][0]["becomes"] == "nothing"
        as_json = author.get(f"{API}/{name}/export?format=json").content
        assert uses.bare(json.loads(as_json)) == raw
        again = author.post(f"{API}/import?file=a.json", as_json, content_type="application/json")
        assert again.json()["files"][0]["experiments"][0]["becomes"] == "nothing"
        ExperimentVersion.objects.all().delete()
        Experiment.objects.all().delete()
        fresh = author.post(f"{API}/import", exported, content_type="application/yaml")
        assert fresh.status_code == 201, fresh.json()
        assert uses.bare(ExperimentVersion.objects.get().document) == raw

    apart(there_and_back)


@FEW
@given(raw=drawn.mutated())
def test_no_mutation_makes_a_door_raise(author, carts, environment, raw):
    def every_door():
        sendable = not json_types.problems(raw)
        body = json.dumps(raw)
        for to in ("/validate", "/preview", "/validate?environment=rehearsal", ""):
            answer = author.post(API + to, body, content_type="application/json")
            assert answer.status_code in (200, 201, 400), (to, answer.json())
        if not sendable or not isinstance(raw, dict):
            return
        posted = {"view": "yaml", "text": text.write(raw), "message": "", "based_on": "0"}
        for act in ("save", "view:form"):
            assert author.post("/experiments/new/", {**posted, "do": act}).status_code in (
                200,
                302,
                422,
            )
        fields = fields_of(raw)
        assert author.post("/experiments/preview/", fields).status_code == 200
        answer = author.post("/experiments/new/", {**fields, "do": ["save"]})
        assert answer.status_code in (200, 302, 422)

    apart(every_door)


@FEW
@given(raw=drawn.anything)
def test_no_json_makes_a_door_raise(author, carts, raw):
    body = json.dumps(raw)
    for to in ("/validate", "/preview", "", "/import"):
        answer = author.post(API + to, body, content_type="application/json")
        # A draft that is a mapping is previewed as far as it can be read.
        assert answer.status_code in ((200, 400) if to in ("/validate", "/preview") else (400,))
        assert answer.status_code == 400 or answer.json()["errors"]
    assert not Experiment.objects.exists()

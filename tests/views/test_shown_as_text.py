"""HTML, scripts and template syntax in every text field are shown as text, on every page."""

from __future__ import annotations

import json

import pytest

from experiments.models import Environment, Experiment, Run, Service
from experiments.services import authoring, people, secrets
from tests import factories
from tests.views.conftest import assert_kept_by_csp, client_of

pytestmark = pytest.mark.django_db
MARK = "cwmark"
EVIL = f"</script><script>{MARK}</script><img src=x onerror={MARK}>'\"{{{{ 7|add:7 }}}}{{% now %}}"


def evil_document():
    raw = factories.document(title=EVIL)
    raw["metadata"]["description"] = EVIL
    raw["metadata"]["service"] = "carts"
    raw["hypothesis"] = EVIL
    raw["parameters"]["delay"]["description"] = EVIL
    raw["parameters"]["word"] = {"type": "text", "default": EVIL, "description": EVIL}
    for sli in raw["slis"]:
        sli["title"] = EVIL
    raw["slis"][3]["unit"] = EVIL
    raw["probes"][0]["http"]["headers"] = {"X-Evil": EVIL}
    raw["probes"][0]["tolerance"]["equals"] = EVIL
    raw["method"].append({"name": "look", "checkpoint": EVIL})
    return raw


@pytest.fixture
def world(db, place):
    """Return an admin, and a world in which every text is evil."""
    adele = factories.person("adele", people.ADMIN)
    Service.objects.create(
        name="carts",
        title=EVIL,
        description=EVIL,
        owner=EVIL[:200],
        contact=EVIL[:200],
        dashboards=[{"title": EVIL[:200], "url": "http://d/"}],
        places={"staging": {"where": EVIL, "labels": {"a": EVIL[:200]}}},
        slis=[{"name": "p95", "title": EVIL, "value": "up", "unit": EVIL, "limit": {"max": 1}}],
    )
    Environment.objects.filter(pk=place.pk).update(
        title=EVIL[:200], description=EVIL, parameters={"word": EVIL}
    )
    place.refresh_from_db()
    secrets.save(user=adele, environment=place, changes={"token": "long-enough"})
    version = authoring.save(raw=evil_document(), author=adele, message=EVIL[:200])
    live = factories.live(version, place, adele)
    done = factories.finished(version, place, adele)
    Run.objects.filter(pk=done.pk).update(reason=EVIL)
    factories.note(live, "note", EVIL, live.requested_at, actor=EVIL[:60])
    factories.note(done, "note", EVIL, done.requested_at, actor=EVIL[:60])
    return adele, version, live, done


PAGES = [
    "/",
    "/experiments/",
    "/experiments/{name}/",
    "/experiments/{name}/v1/",
    "/experiments/{name}/edit/",
    "/experiments/{name}/edit/?view=yaml",
    "/experiments/new/",
    "/runs/",
    "/runs/{live}/",
    "/runs/{done}/",
    "/runs/{live}/live/",
    "/services/",
    "/services/carts/",
    "/services/carts/edit/",
    "/environments/",
    "/environments/staging/",
    "/halt/",
    "/was-it-us/?service=carts",
]


def assert_text(response):
    assert response.status_code == 200
    html = response.content.decode()
    assert f"<script>{MARK}" not in html
    assert "<img src=x" not in html
    assert f"onerror={MARK}>" not in html.replace("&gt;", "")
    assert "14{%" not in html
    assert_kept_by_csp(html.replace(f"onerror={MARK}", ""))
    return html


@pytest.mark.parametrize("path", PAGES)
def test_every_page_shows_it_as_text(world, path):
    adele, version, live, done = world
    where = path.format(name=version.experiment.name, live=live.pk, done=done.pk)
    html = assert_text(client_of(adele).get(where))
    if path not in ("/experiments/new/", "/halt/"):
        assert MARK in html, "the page shows none of it: the test shows nothing"


def test_figures_are_json_and_no_page(world):
    adele, _, live, done = world
    for run in (live, done):
        response = client_of(adele).get(f"/runs/{run.pk}/figures/carts_p95.json")
        assert response["Content-Type"].startswith("application/json")
        assert response["X-Content-Type-Options"] == "nosniff"
        json.loads(response.content)


def test_what_is_wrong_is_shown_as_text(world):
    adele = world[0]
    client = client_of(adele)
    posted = {
        "view": "yaml",
        "text": f"kind: {json.dumps(EVIL)}\n{json.dumps(EVIL)}: 1\n",
        "do": "save",
    }
    page = client.post("/experiments/new/", posted)
    assert page.status_code == 422
    assert MARK in page.content.decode()
    page.status_code = 200
    assert_text(page)
    page = client.post("/experiments/import/", {"text": posted["text"], "do": "check"})
    page.status_code = 200
    assert MARK in assert_text(page)
    assert Experiment.objects.count() == 1

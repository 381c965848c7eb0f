"""Pages of services: found, read, described, and refused to those who may not."""

from __future__ import annotations

import html as markup
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from experiments.domain import text as yaml
from experiments.models import Connection, Environment, Experiment, Service
from experiments.services import authoring, describing
from tests import factories
from tests.importers.openslo_documents import BROKEN, SHOP
from tests.views.conftest import assert_kept_by_csp, assert_sent_to_sign_in, client_of
from tests.views.editing import fields_of

PAGES = (
    "/services/",
    "/services/carts/",
    "/services/new/",
    "/services/carts/edit/",
    "/services/import/",
)
P95 = {
    "name": "p95",
    "title": "95 % are faster than",
    "quantile": {"histogram": 'seconds_bucket{service="carts"}', "q": 0.95},
    "limit": {"max": "500ms"},
    "margin": {"relative": "20%"},
}
BUSY = {
    "name": "busy",
    "preset": "envoy.edge_latency",
    "with": {"listener": "carts", "q": 0.9},
    "source": "other",
    "direction": "higher_is_better",
    "margin": {"absolute": 5},
}
CARTS = {
    "name": "carts",
    "title": "Carts",
    "description": "What is in the basket.",
    "owner": "Orders team",
    "contact": "#orders",
    "runbook": "https://wiki.example/carts",
    "dashboards": [{"title": "Latency", "url": "https://grafana.example/d/1"}],
    "slis": [P95, BUSY],
}


@pytest.fixture
def author(bob):
    return client_of(bob)


@pytest.fixture
def service(bob, place):
    places = {place.name: {"where": "namespace shop", "labels": {"app": "carts"}}}
    return describing.save(raw=CARTS | {"places": places}, user=bob)


def text(response, status=200):
    assert response.status_code == status, response.content[:500]
    html = response.content.decode()
    assert_kept_by_csp(html)
    return html


def sent(html):
    """Return what a browser sends of the page's form as it is."""
    form = html.split('<form class="cw-stack"')[1].split("</form>")[0]
    found = {}
    for tag in re.findall(r"<input[^>]*>", form):
        attrs = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if attrs.get("type") == "checkbox" or "name" not in attrs:
            continue
        found[attrs["name"]] = markup.unescape(attrs.get("value", ""))
    for name, body in re.findall(r'<textarea name="([^"]+)"[^>]*>\n?(.*?)</textarea>', form, re.S):
        found[name] = markup.unescape(body)
    for name, body in re.findall(r'<select name="([^"]+)"[^>]*>(.*?)</select>', form, re.S):
        chosen = re.search(r'<option value="([^"]*)" selected', body)
        first = re.search(r'<option value="([^"]*)"', body)
        assert first is not None
        found[name] = markup.unescape((chosen or first)[1])
    found.pop("csrfmiddlewaretoken")
    return found


@pytest.mark.parametrize("page", PAGES)
def test_the_outsider_is_sent_to_sign_in(outsider, service, page):
    assert_sent_to_sign_in(outsider.get(page))


@pytest.mark.parametrize("page", PAGES[2:])
def test_a_viewer_reads_and_changes_nothing(viewer, service, page):
    assert viewer.get(page).status_code == 403
    assert viewer.post(page, {"name": "x"}).status_code == 403
    for link in ("/services/new/", "/services/carts/edit/", "/services/import/"):
        assert link not in text(viewer.get("/services/"))
        assert link not in text(viewer.get("/services/carts/"))
    assert describing.to_json(Service.objects.get())["title"] == "Carts"


def test_the_list_shows_owners_and_what_nobody_has_described(viewer, author, service, version, bob):
    factories.version(bob, factories.document(name="other") | {"guardrails": []})
    raw = factories.document(name="third")
    raw["metadata"]["service"] = "payment"
    factories.version(bob, raw)
    html = text(viewer.get("/services/"))
    described, others = html.split("Not described yet")
    assert "Orders team" in described
    assert "#orders" in described
    assert '<td class="is-number">2</td>' in described
    assert '<a href="/services/payment/">payment</a>' in others
    assert "Describe it" not in others
    assert "/services/new/?name=payment" in text(author.get("/services/"))
    assert 'value="payment"' in text(author.get("/services/new/?name=payment"))


def test_nothing_at_all_says_how_to_begin(author, viewer):
    assert "/services/new/" in text(author.get("/services/"))
    assert "An author describes them" in text(viewer.get("/services/"))


def test_a_service_says_whom_to_ask_where_it_lives_and_what_is_known(
    viewer, service, finished, place
):
    edge = Connection.objects.create(name="edge", kind="envoy")
    finished.injections.update(connection=edge, fault="envoy.http_delay")
    html = text(viewer.get("/services/carts/"))
    for told in (
        "Orders team",
        "#orders",
        "https://wiki.example/carts",
        "https://grafana.example/d/1",
        "namespace shop",
        "app=carts",
        "use: carts.p95",
        "seconds_bucket{service=&quot;carts&quot;}",
        "higher is better",
        finished.version.experiment.title,
        f"/runs/{finished.pk}/",
        f'class="is-{finished.verdict}"',
    ):
        assert told in html, told


def test_a_live_fault_is_shown_with_the_button_that_stops_it(viewer, service, live):
    assert "1 fault live" in text(viewer.get("/services/"))
    html = text(viewer.get("/services/carts/"))
    assert "Broken on purpose right now" in html
    assert f'action="/runs/{live.pk}/stop/"' in html


def test_a_service_that_only_experiments_know_has_a_page(viewer, version):
    assert "Nobody has described carts yet." in text(viewer.get("/services/carts/"))
    assert viewer.get("/services/nothing/").status_code == 404


@pytest.mark.parametrize("name", ["The Shop", "a/b", "new", "ä"])
def test_any_text_may_be_an_experiment_s_service(viewer, version, name):
    Experiment.objects.update(service=name)
    for page in ("/", "/services/", "/experiments/", "/experiments/only-carts-feels-it/"):
        assert markup.escape(name) in text(viewer.get(page))


def test_the_form_gives_back_what_it_was_given(author, service):
    before = describing.to_json(service)
    page = text(author.get("/services/carts/edit/"))
    response = author.post("/services/carts/edit/", sent(page))
    assert response.status_code == 302
    service.refresh_from_db()
    assert describing.to_json(service) == before


def test_an_author_describes_a_service_from_nothing(author, place):
    fields = sent(text(author.get("/services/new/"))) | {
        "name": "orders",
        "owner": "Orders team",
        "dashboards-1-title": "Errors",
        "dashboards-1-url": "https://grafana.example/d/2",
        "place-0-where": "namespace shop",
        "place-0-labels": 'app=orders, tier="back"',
        "slis-0-name": "errors",
        "slis-0-bad": 'requests_total{code=~"5.."}',
        "slis-0-total": "requests_total",
        "slis-0-limit_max": "1%",
        "slis-1-name": "ready",
        "slis-1-preset": "envoy.edge_errors",
        "slis-1-with_": "listener: orders",
        "slis-1-margin": "0.5%",
        "slis-1-margin_of": "absolute",
    }
    assert author.post("/services/new/", fields)["Location"] == "/services/orders/"
    raw = describing.to_json(Service.objects.get(name="orders"))
    assert raw["dashboards"] == [{"title": "Errors", "url": "https://grafana.example/d/2"}]
    assert raw["places"][place.name]["labels"] == {"app": "orders", "tier": "back"}
    assert raw["slis"] == [
        {
            "name": "errors",
            "ratio": {"bad": 'requests_total{code=~"5.."}', "total": "requests_total"},
            "limit": {"max": "1%"},
        },
        {
            "name": "ready",
            "preset": "envoy.edge_errors",
            "with": {"listener": "orders"},
            "margin": {"absolute": "0.5%"},
        },
    ]


def test_every_error_is_beside_its_field_and_nothing_is_lost(author, service):
    fields = sent(text(author.get("/services/carts/edit/"))) | {
        "title": "Baskets",
        "runbook": "javascript:alert(1)",
        "dashboards-0-url": "",
        "slis-0-q": "7",
        "slis-1-with_": "listener: [",
        "slis-2-name": "p95",
        "slis-2-value": "up",
        "slis-2-bad": "x",
    }
    html = text(author.post("/services/carts/edit/", fields), status=422)
    wrong = set(re.findall(r'id="id_([\w-]+)_error"', html))
    assert wrong >= {"runbook", "dashboards-0-url", "slis-0-q", "slis-1-with_", "slis-2-name"}
    assert 'value="Baskets"' in html
    assert "javascript:alert(1)" in html
    service.refresh_from_db()
    assert service.title == "Carts"


def test_rows_are_added_and_removed_without_javascript(author, service):
    fields = sent(text(author.get("/services/carts/edit/")))
    more = text(author.post("/services/carts/edit/", fields | {"more": "slis"}))
    assert "slis-5-name" in more
    assert "slis-5-name" not in text(author.get("/services/carts/edit/"))
    author.post(
        "/services/carts/edit/",
        fields | {"slis-0-DELETE": "on", "dashboards-0-title": "", "dashboards-0-url": ""},
    )
    service.refresh_from_db()
    assert [sli["name"] for sli in service.slis] == ["busy"]
    assert service.dashboards == []


def test_the_name_of_a_service_stays(author, service):
    fields = sent(text(author.get("/services/carts/edit/"))) | {"name": "baskets"}
    author.post("/services/carts/edit/", fields)
    assert Service.objects.get().name == "carts"


def test_a_place_of_an_environment_that_is_gone_keeps_nobody_from_saving(author, service, place):
    Environment.objects.filter(pk=place.pk).update(name="renamed")
    fields = sent(text(author.get("/services/carts/edit/")))
    assert author.post("/services/carts/edit/", fields).status_code == 302


def test_openslo_is_reported_first_and_stored_then(author):
    file = SimpleUploadedFile("slo.yaml", SHOP.encode())
    report = text(author.post("/services/import/", {"file": file, "do": "check"}))
    for told in ("Kept", "Changed", "Lost", "a new service", "Store it"):
        assert told in report
    assert not Service.objects.exists()
    fields = sent(report.replace('class="cw-code" id="text" name="text"', 'name="text"'))
    stored = text(author.post("/services/import/", {"text": fields["text"], "do": "store"}))
    assert "What was stored" in stored
    assert set(Service.objects.values_list("name", flat=True)) == {"orders", "carts"}


def test_openslo_with_errors_says_where(author):
    html = text(author.post("/services/import/", {"text": BROKEN, "do": "check"}), status=422)
    assert "line 1: is openslo/v2alpha" in html
    assert not Service.objects.exists()


def test_the_experiment_says_when_what_it_uses_has_changed(viewer, bob, service):
    raw = factories.document(slis=[{"name": "slow", "use": "carts.p95"}], guardrails=[])
    version = factories.version(bob, raw)
    page = f"/experiments/{version.experiment.name}/"
    assert '<a href="/services/carts/#sli-p95">carts.p95</a>' in text(viewer.get(page))
    assert "was changed on" not in text(viewer.get(page))
    changed = describing.to_json(service) | {"slis": [P95 | {"margin": {"relative": "9%"}}]}
    describing.save(raw=changed, user=bob, service=service)
    html = text(viewer.get(page))
    assert "carts.p95 was changed on" in html
    assert "save a new version to take it over" in html


def test_the_editor_offers_the_slis_of_services(author, bob, service):
    html = text(author.get("/experiments/row/slis/?variant=use&number=0"))
    assert '<option value="carts.p95">carts.p95 · 95 % are faster than</option>' in html
    assert "slis-0-unit" not in html
    raw = factories.document(slis=[{"name": "slow", "use": "carts.p95"}], guardrails=[])
    version = factories.version(bob, raw)
    page = text(author.get(f"/experiments/{version.experiment.name}/edit/"))
    assert "Stands for the 0.95 quantile of seconds_bucket" in page
    assert "copied" not in page


def test_the_navigation_leads_to_services(viewer, service):
    html = text(viewer.get("/services/carts/"))
    assert '<a href="/services/" aria-current="page">Services</a>' in html


def test_two_who_edit_at_once_do_not_write_over_each_other(author, alice, service):
    fields = sent(text(author.get("/services/carts/edit/")))
    describing.save(
        raw=describing.to_json(service) | {"title": "Hers"}, user=alice, service=service
    )
    html = text(author.post("/services/carts/edit/", fields | {"title": "His"}), status=422)
    assert "somebody else saved Hers meanwhile" in html
    assert Service.objects.get().title == "Hers"
    assert author.post("/services/carts/edit/", sent(html)).status_code == 302
    assert Service.objects.get().title == "His"


def test_a_row_that_cannot_be_read_any_more_says_so(viewer, author, service):
    Service.objects.update(slis=[{"name": "old", "preset": "envoy.gone"}])
    assert "there is no preset “envoy.gone”" in text(viewer.get("/services/carts/"))
    assert "envoy.gone" in text(author.get("/services/carts/edit/"))


USING = {"name": "slow", "use": "carts.p95"}


@pytest.fixture
def used(bob, service):
    """Return a version that uses the service's SLI, with a comment of its author's."""
    raw = factories.document(slis=[USING], guardrails=[])
    written = yaml.write(raw).replace("use: carts.p95", "use: carts.p95   # as the team has it")
    return authoring.save(raw=raw, author=bob, written=written)


def posted(version, view, **changes):
    fields = {**fields_of(version.document, **changes), "text": version.text, "view": view}
    return {**fields, "based_on": version.number, "do": "save"}


@pytest.mark.parametrize("view", ["form", "yaml"])
def test_saving_again_takes_a_changed_sli_over_and_leaves_the_text(
    author, bob, service, used, view
):
    url = f"/experiments/{used.experiment.name}/edit/"
    assert author.post(url, posted(used, view)).status_code == 302
    assert used.experiment.versions.count() == 1
    changed = describing.to_json(service) | {"slis": [P95 | {"margin": {"relative": "9%"}}]}
    describing.save(raw=changed, user=bob, service=service)
    assert author.post(url, posted(used, view)).status_code == 302
    newest = used.experiment.versions.first()
    assert newest.number == 2
    assert newest.text == used.text
    assert newest.document["slis"][0]["copied"]["margin"] == {"relative": "9%"}


def test_the_form_patches_what_was_changed_and_writes_no_copy(author, used):
    url = f"/experiments/{used.experiment.name}/edit/"
    fields = posted(used, "form", slis__0__limit__max="2s")
    assert author.post(url, fields).status_code == 302
    newest = used.experiment.versions.first()
    assert "use: carts.p95   # as the team has it" in newest.text
    assert "copied" not in newest.text
    assert newest.document["slis"][0]["limit"] == {"max": "2s"}


def test_the_yaml_view_says_where_a_reference_leads_nowhere(author, used):
    url = f"/experiments/{used.experiment.name}/edit/"
    fields = posted(used, "yaml") | {"text": used.text.replace("carts.p95", "carts.p59")}
    html = markup.unescape(text(author.post(url, fields), status=422))
    assert "carts has no SLI “p59”; did you mean “carts.p95”?" in html

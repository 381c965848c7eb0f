"""Pages of versions: the view Preview, restore, duplicate, archive, again."""

from __future__ import annotations

import html
import re

import pytest

from experiments.domain import text as yaml
from experiments.models import Experiment, ExperimentVersion, Run
from experiments.services import authoring, people
from tests import factories
from tests.views.conftest import assert_kept_by_csp, assert_sent_to_sign_in, client_of
from tests.views.editing import barred, fields_of

URL = "/experiments/only-carts-feels-it/edit/"
PAGE = "/experiments/only-carts-feels-it/"
PREVIEW = "/experiments/preview/"


@pytest.fixture
def written():
    return yaml.write(factories.document()).replace("timing:", "# as in March\ntiming:", 1)


@pytest.fixture
def version(bob, written):
    return authoring.save(raw=yaml.read(written), author=bob, written=written)


@pytest.fixture
def browser(bob):
    return client_of(bob)


@pytest.fixture
def carol(db):
    return factories.person("carol", people.AUTHOR)


def saved(author, experiment, text, message=""):
    """Save a text as the next version."""
    return authoring.save(
        raw=yaml.read(text), author=author, experiment=experiment, written=text, message=message
    )


def as_sent(text):
    """Return a text as a browser's form sends it."""
    return text.replace("\n", "\r\n")


def shown(response, name="text", last=True):
    """Return what stands in a text area of that name."""
    found = re.findall(
        rf"<textarea[^>]*name=\"{name}\"[^>]*>\n(.*?)</textarea>", response.content.decode(), re.S
    )
    assert found
    return html.unescape(found[-1 if last else 0])


class TestPreviewView:
    def test_it_shows_the_draft_of_the_form_and_keeps_it(self, browser, version, written):
        factories.environment()
        fields = {
            **fields_of(version.document, timing__settle="2m"),
            "view": "form",
            "text": as_sent(written),
            "based_on": 1,
            "environment": "staging",
            "message": "why",
        }
        there = browser.post(URL, {**fields, "do": "view:preview"})
        page = there.content.decode()
        assert there.status_code == 200
        assert (there.context["view"], there.context["came"]) == ("preview", "form")
        assert shown(there) == written.replace("settle: 1m", "settle: 2m")
        assert "For 3 min at most, it holds 100% of carts" in page
        assert "set carts:fake.delay" in page
        assert "What it breaks" in page
        assert not barred(there)
        assert_kept_by_csp(page)
        sent = {"view": "preview", "came": "form", "text": as_sent(shown(there)), "based_on": 1}
        sent |= {"environment": "staging", "message": "why"}
        back = browser.post(URL, {**sent, "do": "view:form"})
        assert back.context["view"] == "form"
        assert 'value="2m"' in back.content.decode()
        text = browser.post(URL, {**sent, "do": "view:yaml"})
        assert shown(text) == written.replace("settle: 1m", "settle: 2m")
        assert browser.post(URL, {**sent, "do": "save"}).status_code == 302
        newest = ExperimentVersion.objects.first()
        assert (newest.text, newest.message) == (shown(text), "why")

    def test_it_opens_by_its_address_and_answers_a_picked_environment(
        self, browser, version, written
    ):
        factories.environment()
        factories.environment("other")
        opened = browser.get(f"{URL}?view=preview")
        assert opened.context["view"] == "preview"
        assert "Pick an environment to see what will be sent." in opened.content.decode()
        sent = {"view": "preview", "came": "yaml", "text": written, "environment": "other"}
        answer = browser.post(PREVIEW, sent)
        assert "set carts:fake.delay" in answer.content.decode()
        assert 'id="editor-nav"' in answer.content.decode()

    def test_a_text_that_cannot_be_read_is_previewed_as_that(self, browser, version):
        sent = {"view": "yaml", "text": "slis: [", "based_on": 1, "do": "view:preview"}
        response = browser.post(URL, sent)
        assert (response.context["view"], response.context["came"]) == ("preview", "yaml")
        assert "Shown once the text can be read." in response.content.decode()
        assert shown(response) == "slis: ["
        stays = browser.post(URL, {**sent, "view": "preview", "do": "view:form"})
        assert stays.context["view"] == "preview"
        assert "cannot show a text that cannot be read" in stays.context["notice"]

    def test_parameters_of_one_name_keep_it_in_the_form(self, browser, version):
        fields = fields_of(version.document)
        fields["parameters-rows"] = ["0", "1"]
        fields["parameters-1-name"] = fields["parameters-0-name"]
        response = browser.post(URL, {**fields, "view": "form", "do": "view:preview"})
        assert response.context["view"] == "form"
        assert "two parameters of one name" in response.context["notice"]

    def test_a_warning_is_at_its_field_and_line_and_is_no_error(self, browser, version, written):
        place = factories.environment()
        place.longest_fault_s = 60
        place.save()
        text = written.replace("baseline: 3m", "baseline: 1m")
        sent = {"view": "yaml", "text": text, "environment": "staging", "based_on": 1}
        page = browser.post(PREVIEW, sent).content.decode()
        line = 1 + text[: text.index("baseline: 1m")].count("\n")
        assert f'<a href="#line-{line}"' in page
        assert 'value="view:form:id_timing-baseline' in page
        assert page.count('data-kind="warning"') == 2
        assert 'data-kind="error"' not in page
        assert "lets no fault last longer than 1m" in page
        fields = {**fields_of(yaml.read(text)), "environment": "staging", "view": "form"}
        page = browser.post(PREVIEW, fields).content.decode()
        assert '<a href="#id_method-0-duration">slow-carts' in page
        assert browser.post(URL, {**sent, "do": "save"}).status_code == 302, "it may be saved"


class TestDiff:
    def test_what_would_be_sent_is_compared_in_the_picked_environment(
        self, viewer, carol, version, written
    ):
        factories.environment()
        factories.environment("other")
        raw = yaml.read(written)
        raw["method"][0]["with"]["target"] = "orders"
        authoring.save(raw=raw, author=carol, experiment=version.experiment)
        unpicked = viewer.get(f"{PAGE}diff/").content.decode()
        assert "Pick an environment above" in unpicked
        page = viewer.get(f"{PAGE}diff/?environment=other").content.decode()
        assert "What would be done and sent" in page
        assert "-    set carts:fake.delay" in page
        assert "+    set orders:fake.delay" in page
        assert_kept_by_csp(page)

    def test_a_comment_alone_would_do_the_same(self, viewer, bob, version, written):
        factories.environment()
        saved(bob, version.experiment, written + "# the end\n")
        page = viewer.get(f"{PAGE}diff/").content.decode()
        assert "Both versions would do and send exactly the same." in page


class TestRestore:
    def test_an_old_version_becomes_the_next_one(self, browser, bob, version, written):
        saved(bob, version.experiment, written.replace("settle: 1m", "settle: 2m"))
        page = browser.get(f"{PAGE}v1/").content.decode()
        assert "Restore as version 3" in page
        assert "Restore as" not in browser.get(f"{PAGE}v2/").content.decode()
        sent = {"based_on": 2, "message": "It was right"}
        assert browser.post(f"{PAGE}v1/restore/", sent)["Location"] == PAGE
        newest = ExperimentVersion.objects.first()
        assert (newest.number, newest.text, newest.message) == (3, written, "It was right")

    def test_after_somebody_saved_it_shows_what_they_saved(self, browser, bob, version, written):
        saved(bob, version.experiment, written.replace("settle: 1m", "settle: 2m"))
        saved(bob, version.experiment, written.replace("settle: 1m", "settle: 3m"))
        response = browser.post(f"{PAGE}v1/restore/", {"based_on": 2}, follow=True)
        assert "saved version 3 meanwhile" in response.content.decode()
        assert response.request["QUERY_STRING"] == "from=1&to=3"
        assert ExperimentVersion.objects.count() == 3

    @pytest.mark.parametrize("sent", [{}, {"based_on": "abc"}, {"based_on": "-1"}])
    def test_without_the_version_that_was_seen_nothing_is_stored(
        self, browser, bob, version, written, sent
    ):
        saved(bob, version.experiment, written.replace("settle: 1m", "settle: 2m"))
        assert browser.post(f"{PAGE}v1/restore/", sent).status_code == 400
        assert ExperimentVersion.objects.count() == 2

    def test_a_viewer_restores_nothing(self, viewer, outsider, bob, version, written):
        saved(bob, version.experiment, written.replace("settle: 1m", "settle: 2m"))
        assert viewer.post(f"{PAGE}v1/restore/", {"based_on": 2}).status_code == 403
        assert_sent_to_sign_in(outsider.post(f"{PAGE}v1/restore/"))
        assert "Restore as" not in viewer.get(f"{PAGE}v1/").content.decode()
        assert ExperimentVersion.objects.count() == 2
        assert client_of(bob).post(f"{PAGE}v9/restore/").status_code == 404


class TestDuplicate:
    def test_it_offers_a_free_name_and_opens_the_copy(self, browser, version):
        page = browser.get(f"{PAGE}duplicate/").content.decode()
        assert 'value="only-carts-feels-it-2"' in page
        assert_kept_by_csp(page)
        sent = {"name": "another", "title": "Another one"}
        response = browser.post(f"{PAGE}duplicate/?version=1", sent)
        assert response["Location"] == "/experiments/another/edit/"
        made = Experiment.objects.get(name="another").versions.get()
        assert "# as in March" in made.text

    @pytest.mark.parametrize("name", ["only-carts-feels-it", "No Name", ""])
    def test_a_name_that_does_not_do_is_told_beside_it(self, browser, version, name):
        response = browser.post(f"{PAGE}duplicate/", {"name": name, "title": "x"})
        assert response.status_code == 422
        assert 'id="name-error"' in response.content.decode()
        assert Experiment.objects.count() == 1

    def test_a_viewer_makes_none(self, viewer, outsider, version):
        assert viewer.get(f"{PAGE}duplicate/").status_code == 403
        assert viewer.post(f"{PAGE}duplicate/", {"name": "x"}).status_code == 403
        assert_sent_to_sign_in(outsider.get(f"{PAGE}duplicate/"))
        assert Experiment.objects.count() == 1

    @pytest.mark.parametrize("query", ["?version=9", "?version=x", "?version=99999999"])
    def test_of_a_version_that_is_none_there_is_none(self, browser, version, query):
        assert browser.get(f"{PAGE}duplicate/{query}").status_code == 404


class TestArchive:
    def test_it_leaves_the_list_and_comes_back(self, browser, operator, version):
        archived = browser.post(f"{PAGE}archive/", follow=True).content.decode()
        assert "out of the list, and not run" in archived
        listed = browser.get("/experiments/").content.decode()
        assert "Only carts feels 90 ms" not in listed
        assert "archived ones (1)" in listed
        assert (
            "Only carts feels 90 ms" in browser.get("/experiments/?archived=yes").content.decode()
        )
        page = operator.get(PAGE).content.decode()
        assert "out of the list, and it cannot be run" in page
        assert page.count("cannot be run") == 1, "said once"
        assert f'action="{PAGE}run/"' not in page
        factories.environment()
        refused = operator.post(f"{PAGE}run/", {"environment": "staging", "version": "1"})
        assert refused.status_code == 400
        assert "was archived" in refused.content.decode()
        assert not Run.objects.exists()
        assert browser.post(f"{PAGE}unarchive/").status_code == 302
        assert "Only carts feels 90 ms" in browser.get("/experiments/").content.decode()

    def test_a_viewer_and_an_outsider_do_not(self, viewer, outsider, version):
        assert viewer.post(f"{PAGE}archive/").status_code == 403
        assert_sent_to_sign_in(outsider.post(f"{PAGE}archive/"))
        assert viewer.get(f"{PAGE}archive/").status_code == 405
        assert Experiment.objects.get().archived_at is None


class TestRunAgain:
    def test_a_run_leads_to_its_version_with_its_values_filled_in(
        self, operator, viewer, alice, bob, version, written
    ):
        place = factories.environment()
        factories.environment("other")
        run = factories.finished(version, place, alice)
        Run.objects.filter(pk=run.pk).update(parameters={"delay": "120ms"})
        saved(bob, version.experiment, written.replace("settle: 1m", "settle: 2m"))
        page = operator.get(f"/runs/{run.pk}/").content.decode()
        link = f"{PAGE}v1/?run={run.pk}#run"
        assert link in page
        assert "Run this version again" in page
        assert "Run this version again" not in viewer.get(f"/runs/{run.pk}/").content.decode()
        form = operator.get(f"{PAGE}v1/?run={run.pk}").content.decode()
        assert '<input type="hidden" name="version" value="1">' in form
        assert '<option value="staging" selected>' in form
        assert 'id="param-delay" value="120ms"' in form

    def test_a_run_of_another_version_fills_in_nothing(
        self, operator, alice, bob, version, written
    ):
        run = factories.finished(version, factories.environment(), alice)
        saved(bob, version.experiment, written.replace("settle: 1m", "settle: 2m"))
        for query in (f"?run={run.pk}", "?run=x", "?run=99999999999999"):
            assert operator.get(f"{PAGE}v2/{query}").context["again"] is None

    def test_a_live_run_offers_no_other(self, operator, live):
        page = operator.get(f"/runs/{live.pk}/").content.decode()
        assert "Run this version again" not in page

"""The YAML view: turning both ways, errors at their lines, exact texts, conflicts and versions."""

from __future__ import annotations

import html
import re

import pytest

from experiments.domain import text as yaml
from experiments.models import Experiment, ExperimentVersion, Service
from experiments.services import authoring, library
from tests import factories
from tests.views.conftest import assert_kept_by_csp, assert_sent_to_sign_in, client_of
from tests.views.editing import barred, error_at, fields_of

URL = "/experiments/only-carts-feels-it/edit/"
NEW = "/experiments/new/"
PREVIEW = "/experiments/preview/"


@pytest.fixture
def written():
    """Return the cast's document as somebody wrote it, with reasons."""
    made = yaml.write(factories.document())
    made = made.replace("apiVersion:", "# Ask the carts team first.\n\napiVersion:", 1)
    return made.replace("- name: orders_p95", "# calls carts\n  - name: orders_p95   # p95 only", 1)


@pytest.fixture
def version(bob, written):
    return authoring.save(raw=yaml.read(written), author=bob, written=written)


@pytest.fixture
def browser(bob):
    return client_of(bob)


def as_sent(text):
    """Return a text as a browser's form sends it."""
    return text.replace("\n", "\r\n")


def as_text(text, do, **more):
    return {"view": "yaml", "text": as_sent(text), "do": do, **more}


def as_form(version, do, **changes):
    fields = fields_of(version.document, **changes)
    return {
        **fields,
        "view": "form",
        "text": as_sent(version.text),
        "based_on": version.number,
        "do": do,
    }


def shown_text(response):
    """Return what stands in the text area."""
    found = re.search(
        r"<textarea[^>]*name=\"text\"[^>]*>\n(.*?)</textarea>", response.content.decode(), re.S
    )
    assert found
    return html.unescape(found[1])


def line_of(text, words):
    return next(number for number, line in enumerate(text.splitlines(), 1) if words in line)


def test_the_editor_opens_in_either_view(browser, version, written):
    form, text = browser.get(URL), browser.get(f"{URL}?view=yaml")
    assert (form.context["view"], text.context["view"]) == ("form", "yaml")
    assert shown_text(text) == shown_text(form) == written
    assert not barred(text)
    assert_kept_by_csp(form.content.decode())
    assert 'name="slis-0-name"' not in text.content.decode()


def test_a_form_edit_is_patched_into_the_text_and_comments_stay(browser, version, written):
    sent = as_form(version, "view:yaml", slis__1__margin__value="25%", message="why")
    response = browser.post(URL, sent)
    assert response.context["view"] == "yaml"
    assert shown_text(response) == written.replace("relative: 20%", "relative: 25%")
    assert 'value="why"' in response.content.decode()


def test_both_ways_and_back_lose_nothing(browser, version, written):
    changed = written.replace("settle: 1m", "settle: 90s  # as in March").replace(
        "q: 0.95", "q: 0.99", 1
    )
    there = browser.post(URL, as_text(changed, "view:form", based_on=1))
    editor = there.context["editor"]
    assert there.context["view"] == "form"
    assert 'value="90s"' in there.content.decode()
    sent = dict(editor.fields.lists())
    sent |= {"view": "form", "text": as_sent(shown_text(there)), "based_on": "1"}
    back = browser.post(URL, {**sent, "do": "view:yaml"})
    assert shown_text(back) == changed
    assert browser.post(URL, {**sent, "do": "save"}).status_code == 302
    assert ExperimentVersion.objects.first().text == changed


def test_a_new_experiment_turns_both_ways(browser, bob):
    fresh = browser.get(f"{NEW}?view=yaml")
    assert shown_text(fresh).startswith("apiVersion: chaosweb/v1")
    assert not fresh.context["shows_faults"]
    text = yaml.write(factories.document("mine")) + "# the end\n"
    assert 'value="mine"' in browser.post(NEW, as_text(text, "view:form")).content.decode()
    assert browser.post(NEW, as_text(text, "save")).status_code == 302
    assert ExperimentVersion.objects.get().text == text


def test_a_starter_opens_with_its_comments(browser, bob):
    starter = next(each for each in library.starters() if "#" in each.text)
    response = browser.get(f"{NEW}?from={starter.name}&view=yaml")
    assert yaml.read(shown_text(response)) == library.fresh(starter)
    assert "#" in shown_text(response)


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("settle: 1m", "settle: 1m\n\tstep: 5s"), "\tstep", "a tab"),
        (("settle: 1m", "settle: 1m\n  settle: 2m"), "settle: 2m", "duplicate key"),
        (("metadata:\n  name", "metadata:\n   name"), "  title", "expected"),
        (("hypothesis: ", 'hypothesis: "'), "hypothesis", ""),
    ],
)
def test_a_text_that_cannot_be_read_stays_with_the_error_at_its_line(
    browser, version, written, change, line, says
):
    broken = written.replace(*change, 1)
    assert broken != written
    response = browser.post(URL, as_text(broken, "view:form"))
    assert response.context["view"] == "yaml"
    assert shown_text(response) == broken
    assert "cannot show a text that cannot be read" in response.content.decode()
    (mark,) = response.context["marks"]
    assert says in mark.message
    if says:
        assert abs(mark.line - line_of(broken, line)) <= 1
    assert f'href="#line-{mark.line}"' in response.content.decode()
    assert not barred(response)


@pytest.mark.parametrize(
    "text", ["", "just words", "[1, 2]", "- a", "# nothing", "a: &x 1\nb: !foo 2"]
)
def test_a_text_that_is_no_document_is_neither_shown_as_a_form_nor_stored(browser, bob, text):
    turned = browser.post(NEW, as_text(text, "view:form"))
    assert (turned.status_code, turned.context["view"]) == (200, "yaml")
    assert turned.context["marks"]
    saved = browser.post(NEW, as_text(text, "save"))
    assert saved.status_code == 422
    assert "Nothing was saved" in saved.content.decode()
    assert not ExperimentVersion.objects.exists()
    assert browser.post(PREVIEW, as_text(text, "")).status_code == 200


def test_a_text_with_errors_opens_in_the_form_with_each_beside_its_field(browser, version, written):
    wrong = written.replace("duration: 3m", "duration: -3m").replace("every: 5s", "evry: 5s")
    response = browser.post(URL, as_text(wrong, "view:form"))
    shown = html.unescape(response.content.decode())
    assert response.context["view"] == "form"
    assert "must be longer than 0s" in error_at(shown, "method-0-duration")
    assert "evry" in str([fault.path for fault in response.context["editor"].faults])
    assert f"line {line_of(wrong, 'duration: -3m')} of the YAML" in shown


def test_the_preview_marks_each_error_at_its_line(browser, version, written):
    wrong = written.replace("duration: 3m", "duration: -3m").replace(
        "sli: orders_errors", "sli: nobody"
    )
    response = browser.post(PREVIEW, as_text(wrong, ""))
    shown = html.unescape(response.content.decode())
    line = line_of(wrong, "duration: -3m")
    column = wrong.splitlines()[line - 1].index("-3m") + 1
    assert f'data-line="{line}" data-column="{column}" data-field="id_method-0-duration"' in shown
    assert [mark.line for mark in response.context["marks"]] == sorted(
        [line, line_of(wrong, "sli: nobody")]
    )
    assert f'href="#line-{line_of(wrong, "timing:")}"' in shown, "the outline leads to lines"
    assert ExperimentVersion.objects.count() == 1


def test_a_problem_leads_to_its_place_in_the_other_view(browser, version, written):
    wrong = written.replace("duration: 3m", "duration: -3m")
    in_text = browser.post(URL, as_text(wrong, "check"))
    assert 'value="view:form:id_method-0-duration"' in in_text.content.decode()
    there = browser.post(URL, as_text(wrong, "view:form:id_method-0-duration"))
    assert 'data-spot="id_method-0-duration"' in there.content.decode()
    in_form = browser.post(URL, as_form(version, "view:yaml:12"))
    assert 'data-spot="line-12"' in in_form.content.decode()


def test_saving_the_text_stores_it_to_the_letter(browser, version, written):
    changed = written.replace("settle: 1m", "settle:   '1m'   # odd, on purpose") + "\n\n# end"
    response = browser.post(URL, as_text(changed, "save", based_on=1, message="mine"))
    assert response.status_code == 302
    assert response["Location"].endswith("/only-carts-feels-it/#saved")
    newest = ExperimentVersion.objects.first()
    assert (newest.number, newest.text, newest.message) == (2, changed, "mine")
    assert newest.document == yaml.read(changed)


def test_a_comment_alone_makes_a_version_and_nothing_at_all_makes_none(browser, version, written):
    browser.post(URL, as_text(written + "# one more reason\n", "save", based_on=1))
    assert ExperimentVersion.objects.first().number == 2
    again = browser.post(
        URL, as_text(written + "# one more reason\n", "save", based_on=2), follow=True
    )
    assert ExperimentVersion.objects.count() == 2
    assert "Nothing differs from version 2" in again.content.decode()


def test_line_ends_stay_as_they_were(browser, bob, written):
    windows = written.replace("\n", "\r\n")
    authoring.save(raw=yaml.read(windows), author=bob, written=windows)
    changed = written.replace("settle: 1m", "settle: 2m")
    assert browser.post(URL, as_text(changed, "save", based_on=1)).status_code == 302
    assert ExperimentVersion.objects.first().text == changed.replace("\n", "\r\n")


def test_errors_in_the_text_store_nothing_and_keep_it(browser, version, written):
    wrong = written.replace("duration: 3m", "duration: -3m")
    response = browser.post(URL, as_text(wrong, "save", based_on=1))
    assert response.status_code == 422
    assert shown_text(response) == wrong
    assert "Nothing was saved" in response.content.decode()
    assert ExperimentVersion.objects.count() == 1


def test_two_parameters_of_one_name_keep_the_person_in_the_form(browser, version):
    raw = factories.document()
    raw["parameters"]["size"] = {"type": "integer", "default": 5}
    fields = {**fields_of(raw, **{"parameters-1-name": "delay"}), "view": "form"}
    response = browser.post(URL, {**fields, "text": version.text, "do": "view:yaml"})
    assert response.context["view"] == "form"
    assert "cannot hold two parameters of one name" in response.content.decode()
    assert 'value="5"' in response.content.decode()


def test_a_huge_text_is_refused_plainly(browser, bob):
    response = browser.post(NEW, as_text("a: " + "x" * 250_000, "check"))
    assert response.status_code == 200
    assert "larger than" in response.content.decode()


@pytest.fixture
def theirs(version, alice, written):
    """Return the version that alice saves while bob is writing."""
    changed = written.replace("hypothesis: With", "hypothesis: Perhaps with")
    return authoring.save(
        raw=yaml.read(changed),
        author=factories.person("carol", "author"),
        message="softer",
        experiment=version.experiment,
        written=changed,
    )


def test_a_version_saved_meanwhile_is_shown_and_nothing_is_stored(
    browser, version, theirs, written
):
    mine = written.replace("settle: 1m", "settle: 2m # mine")
    response = browser.post(URL, as_text(mine, "save", based_on=1, message="longer"))
    shown = html.unescape(response.content.decode())
    assert response.status_code == 409
    assert ExperimentVersion.objects.count() == 2
    assert "carol saved version 2" in shown
    assert "“softer”" in shown
    assert "Save mine as version 3 anyway" in shown
    assert {(each.where, each.field) for each in response.context["differences"]} == {
        ("document", "hypothesis"),
        ("timing", "settle"),
    }
    assert shown_text(response) == mine
    assert_kept_by_csp(shown)


def test_mine_can_be_saved_anyway_and_only_knowing_theirs(browser, version, theirs, written):
    mine = written.replace("settle: 1m", "settle: 2m # mine")
    saved = browser.post(URL, as_text(mine, "save:2", based_on=1))
    assert saved.status_code == 302
    assert ExperimentVersion.objects.first().text == mine
    assert browser.post(URL, as_text(written, "save:2", based_on=1)).status_code == 409


def test_a_conflict_of_the_form_shows_its_patched_text(browser, version, theirs, written):
    response = browser.post(URL, as_form(version, "save", timing__settle="2m"))
    assert response.status_code == 409
    assert shown_text(response) == written.replace("settle: 1m", "settle: 2m")
    assert 'value="view:form"' in response.content.decode()


def test_one_may_go_on_with_ones_own_after_a_conflict(browser, version, theirs, written):
    response = browser.post(URL, as_text(written, "view:yaml", based_on=1))
    assert "Version 2 has been saved since" in response.content.decode()
    assert 'name="based_on" value="1"' in response.content.decode()


def test_copies_of_a_services_slis_are_no_difference_between_the_two(browser, bob):
    named = {"name": "p95", "value": "carts_p95", "unit": "s", "margin": {"relative": "20%"}}
    Service.objects.create(name="carts", slis=[named])
    raw = factories.document(slis=[{"name": "own", "use": "carts.p95"}], guardrails=[])
    for settle in ("1m", "2m"):
        raw["timing"]["settle"] = settle
        authoring.save(raw=raw, author=bob, experiment=Experiment.objects.first())
    mine = ExperimentVersion.objects.last().text.replace("baseline: 3m", "baseline: 4m")
    response = browser.post(URL, as_text(mine, "save", based_on=1))
    assert response.status_code == 409
    told = {name: response.context[name] for name in ("their_changes", "my_changes")}
    assert [each.field for each in told["their_changes"]] == ["settle"]
    assert [each.field for each in told["my_changes"]] == ["baseline"]
    assert len(response.context["differences"]) == 2
    assert "copied" not in shown_text(browser.get(f"{URL}?view=yaml"))
    assert "carts.p95" in html.unescape(browser.get(f"{URL}?view=yaml").content.decode())


def test_the_same_said_twice_is_no_conflict(browser, version, theirs):
    assert browser.post(URL, as_text(theirs.text, "save", based_on=1)).status_code == 302
    assert ExperimentVersion.objects.count() == 2


def test_two_versions_are_compared_in_words_and_lines(viewer, version, theirs):
    response = viewer.get("/experiments/only-carts-feels-it/diff/?from=1&to=2")
    shown = html.unescape(response.content.decode())
    assert "<ins>+hypothesis: Perhaps with" in shown
    assert "<del>-hypothesis: With" in shown
    (found,) = response.context["differences"]
    assert found.field == "hypothesis"
    assert_kept_by_csp(shown)
    newest = viewer.get("/experiments/only-carts-feels-it/diff/")
    assert (newest.context["old"].number, newest.context["new"].number) == (1, 2)


def test_the_experiment_and_its_versions_lead_to_the_comparison(viewer, version, theirs):
    page = viewer.get("/experiments/only-carts-feels-it/").content.decode()
    assert page.count("compare with previous") == 1
    assert 'href="/experiments/only-carts-feels-it/diff/?to=2"' in page
    old = viewer.get("/experiments/only-carts-feels-it/v1/").content.decode()
    assert "diff/?from=1&amp;to=2" in old


@pytest.mark.parametrize("query", ["?from=1&to=9", "?from=x", "?to=-1", "?to=99999999"])
def test_versions_that_are_none_are_not_found(viewer, version, query):
    assert viewer.get(f"/experiments/only-carts-feels-it/diff/{query}").status_code == 404


def test_an_outsider_sees_no_comparison_and_a_viewer_writes_none(
    outsider, viewer, version, written
):
    assert_sent_to_sign_in(outsider.get("/experiments/only-carts-feels-it/diff/"))
    assert viewer.post(URL, as_text(written, "save")).status_code == 403
    assert viewer.post(PREVIEW, as_text(written, "")).status_code == 403
    assert ExperimentVersion.objects.count() == 1

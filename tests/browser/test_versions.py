"""Two who save at once, and the view Preview, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from experiments.domain import text as yaml
from experiments.models import ExperimentVersion
from experiments.services import authoring, people
from tests import factories
from tests.browser.test_editor_views import (
    open_yaml,
    put_cursor,
    sign_in,
    text_of,
    wait_for_draft,
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(120),
]

PAGE = "/experiments/only-carts-feels-it/"


@pytest.fixture
def author(browser, transactional_db):
    return factories.person("bob", people.AUTHOR)


@pytest.fixture
def written():
    made = yaml.write(factories.document())
    return made.replace("apiVersion:", "# Ask the carts team first.\napiVersion:", 1)


@pytest.fixture
def version(author, written):
    factories.environment()
    return authoring.save(raw=yaml.read(written), author=author, written=written)


@pytest.fixture
def signed_in(page: Page, live_server, author):
    page.root = live_server.url
    sign_in(page, author)
    return page


def save_as_carol(version, text):
    """Save a text as somebody else does meanwhile."""
    carol = factories.person("carol", people.AUTHOR)
    authoring.save(raw=yaml.read(text), author=carol, experiment=version.experiment, written=text)


def test_two_who_save_at_once_get_one_text_with_what_both_meant(signed_in, version, written):
    page = signed_in
    open_yaml(page)
    theirs = written.replace("settle: 1m", "settle: 2m").replace("relative: 20%", "relative: 30%")
    save_as_carol(version, theirs)
    put_cursor(page, "settle: 1m")
    for _ in range(2):
        page.keyboard.press("Backspace")
    page.keyboard.type("90s")
    put_cursor(page, "baseline: 3m")
    page.keyboard.type("  # mine")
    page.locator("button[name=do][value=save]").click()
    merged = page.locator("#merged")
    expect(merged).to_contain_text("1 thing changed by both, 1 to choose")
    choice = merged.get_by_role("group", name=re.compile("timing"))
    expect(choice.get_by_role("radio")).to_have_count(3)
    choice.get_by_role("radio", name=re.compile("Yours")).check()
    page.get_by_role("button", name="Put the choices into the text").click()
    expect(merged).not_to_contain_text("to choose")
    expect(choice.get_by_role("radio", name=re.compile("Yours"))).to_be_checked()
    page.locator(".cw-yaml-room .cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("# by hand")
    page.get_by_role("button", name="Save both as version 3").click()
    expect(page.get_by_role("heading", name="Versions")).to_be_visible()
    newest = ExperimentVersion.objects.first()
    wanted = theirs.replace("settle: 2m", "settle: 90s").replace(
        "baseline: 3m", "baseline: 3m  # mine"
    )
    assert newest.text == f"{wanted}# by hand"
    assert page.evaluate("Object.keys(localStorage).filter((one) => one.includes('draft'))") == []


def test_what_is_written_into_the_merged_text_is_a_draft_and_guarded(signed_in, version, written):
    page = signed_in
    open_yaml(page)
    theirs = written.replace("settle: 1m", "settle: 2m")
    save_as_carol(version, theirs)
    put_cursor(page, "settle: 1m")
    for _ in range(2):
        page.keyboard.press("Backspace")
    page.keyboard.type("90s")
    page.locator("button[name=do][value=save]").click()
    expect(page.locator("#merged")).to_contain_text("1 to choose")
    warned = []
    page.once("dialog", lambda dialog: (warned.append(dialog.type), dialog.dismiss()))
    page.get_by_role("radio", name=re.compile("Yours")).check()
    page.get_by_role("link", name="Open theirs").click(no_wait_after=True)
    page.wait_for_timeout(150)
    assert warned == ["beforeunload"], "an answer is lost by leaving"
    page.get_by_role("button", name="Put the choices into the text").click()
    expect(page.locator("#merged")).not_to_contain_text("to choose")
    page.locator(".cw-yaml-room .cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("# by hand")
    wait_for_draft(page, "# by hand")
    page.once("dialog", lambda dialog: (warned.append(dialog.type), dialog.accept()))
    page.get_by_role("link", name="Open theirs").click()
    expect(page.locator(".cw-draft")).to_have_count(2)
    assert warned == ["beforeunload"] * 2
    assert text_of(page) == theirs
    page.locator(".cw-draft").get_by_role("button", name="Restore").first.click()
    expect(page.locator("[name=based_on]")).to_have_value("2")
    expect(page.locator("textarea[name=text]")).to_have_value(
        re.compile("settle: 90s.*# by hand", re.S)
    )


def test_the_preview_has_the_draft_of_the_form_and_gives_it_back(signed_in, version):
    page = signed_in
    page.goto(f"{page.root}{PAGE}edit/")
    page.locator("[name=timing-settle]").fill("2m")
    page.get_by_role("button", name="Preview", exact=True).click()
    shown = page.locator("#preview")
    expect(shown).to_contain_text("What it breaks")
    expect(shown).to_contain_text("set carts:fake.delay")
    expect(page.locator("button[value='view:preview']")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Check against the environment").click()
    expect(shown).to_contain_text("What it hits now")
    expect(shown).to_contain_text("is free")
    bar = shown.locator(".cw-gantt-row", has_text="settle")
    bar.focus()
    expect(bar).to_have_attribute("aria-label", re.compile("settle: from 6:00, 2 min"))
    page.get_by_role("button", name="Form", exact=True).click()
    expect(page.locator("[name=timing-settle]")).to_have_value("2m")


def test_a_warning_leads_to_its_field_and_is_marked_there(signed_in, version):
    page = signed_in
    page.goto(f"{page.root}{PAGE}edit/")
    page.locator("[name=timing-baseline-length]").fill("1m")
    link = page.locator("#preview a", has_text="Baseline").first
    expect(link).to_be_visible()
    field = page.locator(".cw-field:has(.cw-caution)").first
    expect(field).to_contain_text("It can with at least 2 min 30 s.")
    link.click()
    expect(field.locator("input, select").first).to_be_focused()
    page.get_by_role("button", name="YAML", exact=True).click()
    page.locator("#preview a[href^='#line-']").first.click()
    expect(page.locator(".cm-activeLine")).to_contain_text("baseline: 1m")
    expect(page.locator(".cm-lint-marker-warning")).to_have_count(1)
    expect(page.locator(".cm-lint-marker-error")).to_have_count(0)
    assert "baseline: 1m" in text_of(page)


def test_two_versions_are_compared_by_what_they_would_send(signed_in, version, author, written):
    page = signed_in
    text = written.replace("duration: 3m", "duration: 4m")
    authoring.save(raw=yaml.read(text), author=author, experiment=version.experiment, written=text)
    page.goto(f"{page.root}{PAGE}diff/")
    expect(page.locator(".cm-mergeView")).to_have_count(2)
    sent = page.locator("[data-diff]", has_text="What would be done and sent")
    sent.get_by_role("button", name="In one").click()
    expect(sent.locator(".cm-deletedChunk").first).to_contain_text("slow-carts: from 3:00, 3 min")
    expect(page.locator(".cm-mergeView")).to_have_count(1)

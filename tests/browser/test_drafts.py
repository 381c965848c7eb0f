"""Drafts in a real browser: one for each new experiment, none lost to another tab, all listed."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser import test_editor_views as views
from tests.browser.test_editor_views import EDIT, open_yaml, put_cursor, text_of, wait_for_draft

pytestmark = views.pytestmark
author, written, version, signed_in = views.author, views.written, views.version, views.signed_in

NEW = "/experiments/new/"
LIST = "/experiments/"
CARD = "[data-draft-list]"


@pytest.fixture
def page(browser):
    """Return a page of a context that may have other tabs."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    complaints = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert complaints == []


def in_another_tab(page: Page) -> Page:
    other = page.context.new_page()
    other.root = page.root
    other.set_default_timeout(10_000)
    return other


def drafts(page: Page) -> list[str]:
    return page.evaluate(
        "Object.keys(localStorage).filter((key) => key.startsWith('chaosweb-draft:'))"
    )


def write_new(page: Page, name: str, query: str = "") -> None:
    """Begin a new experiment under a name, and leave it unsaved."""
    page.goto(f"{page.root}{NEW}{query}")
    page.locator("[name=metadata-name]").fill(name)
    wait_for_draft(page, name)


def leave(page: Page, path: str) -> None:
    page.once("dialog", lambda dialog: dialog.accept())
    page.goto(page.root + path)


def test_each_new_experiment_has_a_draft_of_its_own(signed_in, version):
    page = signed_in
    write_new(page, "first-one")
    page.once("dialog", lambda dialog: dialog.accept())
    write_new(page, "second-one", "?fault=fake.delay")
    page.once("dialog", lambda dialog: dialog.accept())
    page.goto(page.root + LIST)
    expect(page.locator(f"{CARD} .cw-row-title")).to_have_text(["second-one", "first-one"])
    page.locator(CARD).get_by_role("link", name="Resume").last.click()
    expect(page.locator("[name=metadata-name]")).to_have_value("first-one")
    assert len(drafts(page)) == 2
    leave(page, NEW)
    expect(page.locator(".cw-draft")).to_have_count(2)
    expect(page.locator("[name=metadata-name]")).not_to_have_value("first-one")


def test_the_list_discards_and_is_gone_without_drafts(signed_in, version):
    page = signed_in
    write_new(page, "first-one")
    leave(page, LIST)
    page.locator(CARD).get_by_role("button", name="Discard the draft first-one").click()
    expect(page.locator(CARD)).to_be_hidden()
    assert drafts(page) == []


def test_saving_takes_its_own_draft_away_and_no_other(signed_in, version, written):
    page = signed_in
    write_new(page, "first-one")
    leave(page, f"{NEW}?view=yaml")
    expect(page.locator(".cm-content")).to_be_visible()
    page.locator(".cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(written.replace("only-carts-feels-it", "another-one"))
    wait_for_draft(page, "another-one")
    assert len(drafts(page)) == 2
    page.locator("button[name=do][value=save]").click()
    expect(page.get_by_role("heading", name="Versions")).to_be_visible()
    [left] = page.evaluate("Object.values(localStorage).filter((one) => one.includes('basedOn'))")
    assert "first-one" in left


def test_two_tabs_do_not_overwrite_each_other(signed_in, version):
    page = signed_in
    open_yaml(page)
    put_cursor(page, "settle: 1m")
    page.keyboard.type(" # of the first tab")
    wait_for_draft(page, "# of the first tab")
    other = in_another_tab(page)
    other.goto(f"{page.root}{EDIT}?view=yaml")
    other.locator(".cw-draft").get_by_role("button", name="Restore").click()
    expect(other.locator("textarea[name=text]")).to_have_value(
        other.locator("textarea[name=text]").input_value()
    )
    put_cursor(other, "baseline: 3m")
    other.keyboard.type(" # of the second tab")
    wait_for_draft(other, "# of the second tab")
    put_cursor(page, "settle: 1m # of the first tab")
    page.keyboard.type(", again")
    wait_for_draft(page, ", again")
    assert len(drafts(page)) == 2
    expect(page.locator(".cw-draft")).to_contain_text("Another tab is writing the same draft")
    assert "# of the second tab" not in text_of(page)
    other.close()


def test_turning_to_the_other_view_alone_is_no_draft(signed_in, version):
    page = signed_in
    page.goto(f"{page.root}{NEW}")
    page.locator("button[name=do][value='view:yaml']").click()
    expect(page.locator(".cm-content")).to_be_visible()
    assert drafts(page) == []
    page.goto(page.root + LIST)
    expect(page.locator(CARD)).to_be_hidden()


def test_a_reload_goes_on_with_the_same_draft(signed_in, version):
    page = signed_in
    write_new(page, "first-one")
    assert "draft=" in page.url
    page.once("dialog", lambda dialog: dialog.accept())
    page.reload()
    page.locator(".cw-draft").get_by_role("button", name="Restore").click()
    expect(page.locator("[name=metadata-name]")).to_have_value("first-one")
    assert len(drafts(page)) == 1

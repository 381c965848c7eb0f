"""What blocks a run, and what is not written yet, as somebody at the form sees it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo
from tests.browser.test_main_job import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

A_WHILE_MS = 30_000


@pytest.fixture
def editor(page: Page, demo: Demo) -> Page:
    """Return a page with a stored experiment in the editor, previewed in the sandbox."""
    page.set_default_timeout(A_WHILE_MS)
    expect.set_options(timeout=A_WHILE_MS)
    sign_in(page, demo)
    page.goto(f"{demo.url}/experiments/only-carts-feels-it/edit/")
    page.locator("#environment").select_option(label="Sandbox")
    return page


def test_a_route_that_is_not_there_is_an_error_on_top_right_after_it_was_written(
    editor: Page,
) -> None:
    page = editor
    row = page.locator("#rows-method > .cw-editor-row").first
    if row.get_attribute("open") is None:
        row.locator("summary").first.click()
    page.locator("[name=method-0-with-route]").fill("nowhere")
    page.get_by_role("button", name="Check against the environment").click()
    problem = page.locator("#p-problems .is-red", has_text="nowhere")
    expect(problem).to_be_visible()
    page.wait_for_load_state("networkidle")
    expect(problem).to_be_visible()
    problem.get_by_role("link").first.click()
    expect(page.locator("[name=method-0-via]")).to_be_focused()


def test_a_new_row_is_red_only_where_somebody_has_been(editor: Page) -> None:
    page = editor
    page.locator("[data-add=slis][data-variant=value]").click()
    row = page.locator("#rows-slis > .cw-editor-row").last
    name = row.locator("[name$=-name]")
    expect(name).to_be_focused()
    expect(page.locator("#p-problems .is-red", has_text="Name: is missing")).to_be_visible()
    expect(row.locator("[aria-invalid]")).to_have_count(0)
    page.keyboard.press("Tab")
    expect(name).to_have_attribute("aria-invalid", "true")
    expect(row.locator("[aria-invalid]")).to_have_count(1)

"""In a real browser: the last 15 minutes of a row, and PromQL written with completion."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from experiments.domain import text as yaml
from experiments.models import Environment, Experiment
from experiments.services import authoring, describing, people
from tests import factories
from tests.browser.test_editor_views import sign_in
from tests.recent.conftest import bound
from tests.servers.history import history
from tests.servers.prometheus import prometheus

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(120),
]
EDIT = "/experiments/only-carts-feels-it/edit/"
SLI = {
    "name": "orders_p95",
    "quantile": {"histogram": 'seconds_bucket{service="orders"}', "q": 0.95},
    "margin": {"relative": "20%"},
    "limit": {"max": "60ms"},
}
VALUE = {"name": "load", "value": "sum(queue_length)", "unit": "messages", "limit": {"max": 60}}


@pytest.fixture(scope="module")
def source() -> Iterator[str]:
    with prometheus(openmetrics=history(time.time())) as url:
        yield url


@pytest.fixture
def place(transactional_db, source) -> Environment:
    return bound(source)


@pytest.fixture
def editor(page, live_server, place):
    """Return the editor of an experiment with a quantile and a query, in its form."""
    bob = factories.person("bob", people.AUTHOR)
    raw = factories.document(slis=[SLI, VALUE], guardrails=[], probes=[])
    authoring.save(raw=raw, author=bob, written=yaml.write(raw))
    page.root = live_server.url
    sign_in(page, bob)
    page.goto(page.root + EDIT)
    return page


def row_of(page: Page, number: int) -> Locator:
    row = page.locator(f"#row-slis-{number}")
    if row.get_attribute("open") is None:
        row.locator("summary").first.click()
    return row


def look(row: Locator) -> Locator:
    """Open the panel with the keyboard, and return it once its chart is drawn."""
    row.locator("[data-recent]").press("Enter")
    panel = row.locator(".cw-recent")
    expect(panel.locator(".main-svg").first).to_be_visible()
    return panel


def test_a_row_shows_its_last_15_minutes_with_limit_and_margin(editor):
    row = row_of(editor, 0)
    panel = look(row)
    expect(panel).to_contain_text("is 37.5 ms over the last 15 minutes")
    expect(panel).to_contain_text("the verdict could only be inconclusive")
    expect(panel.locator(".annotation")).to_contain_text("limit 60 ms")
    expect(panel.locator(".shapelayer path")).to_have_count(3)
    expect(row.locator("[data-recent]")).to_have_attribute("aria-expanded", "true")
    expect(editor.locator("#announcer")).to_contain_text("37.5 ms over the last 15 minutes")
    # It follows what is written while it is open.
    row.locator("#id_slis-0-margin-value").fill("70%")
    expect(panel).to_contain_text("a margin of 70 % allows up to 63.8 ms")
    expect(panel).not_to_contain_text("inconclusive")
    row.locator("[data-recent]").press("Enter")
    expect(panel).to_have_count(0)
    expect(row.locator("[data-recent]")).to_have_attribute("aria-expanded", "false")


def test_without_an_environment_it_says_to_pick_one(editor):
    row = row_of(editor, 0)
    editor.locator("#environment").select_option("")
    row.locator("[data-recent]").click()
    expect(row.locator(".cw-recent")).to_contain_text("Pick an environment")
    editor.locator("#environment").select_option("staging")
    expect(row.locator(".cw-recent .main-svg").first).to_be_visible()


def test_promql_is_completed_from_the_environment_and_tab_leaves(editor):
    row = row_of(editor, 1)
    code = row.locator(".cm-content")
    expect(code).to_have_text("sum(queue_length)")
    code.click()
    editor.keyboard.press("Control+a")
    editor.keyboard.type("max(reque")
    options = editor.locator(".cm-tooltip-autocomplete")
    expect(options).to_contain_text("requests_total")
    editor.wait_for_timeout(150)  # an Enter right after the list has opened is a line break
    editor.keyboard.press("Enter")
    expect(code).to_have_text("max(requests_total)")
    editor.keyboard.type("{")
    expect(options).to_contain_text("service")
    editor.keyboard.press("Escape")
    editor.keyboard.press("Tab")
    expect(code).not_to_be_focused()
    assert row.locator("textarea[name='slis-1-value']").input_value() == "max(requests_total{})"
    # What the form sends is what was written.
    editor.locator("button[name=do][value=save]").click()
    expect(editor.get_by_role("heading", name="Versions")).to_be_visible()
    newest = Experiment.objects.get().versions.latest("number")
    assert newest.document["slis"][1]["value"] == "max(requests_total{})"


def test_a_query_that_the_server_cannot_read_is_told_beside_its_field(editor):
    row = row_of(editor, 1)
    look(row)
    code = row.locator(".cm-content")
    code.click()
    editor.keyboard.press("Control+a")
    editor.keyboard.type("sum(queue_length) by")
    told = row.locator("#id_slis-1-value_source")
    expect(told).to_contain_text("Prometheus cannot read it")
    expect(code).to_have_attribute("aria-invalid", "true")
    expect(code).to_have_attribute("aria-describedby", re.compile("id_slis-1-value_source"))
    editor.keyboard.press("Control+a")
    editor.keyboard.type("sum(queue_length)")
    expect(row.locator(".cw-recent")).to_contain_text("is 42 messages over the last 15 minutes")
    expect(told).to_have_count(0)
    expect(code).not_to_have_attribute("aria-invalid", "true")


def test_a_parameter_in_a_query_is_not_marked_as_wrong(editor):
    row = row_of(editor, 1)
    code = row.locator(".cm-content")
    code.click()
    editor.keyboard.press("Control+a")
    editor.keyboard.type("sum(queue_length) +")
    wrong = row.locator(".cm-lintRange-error, .cm-lintPoint-error")
    expect(wrong).not_to_have_count(0)
    editor.keyboard.type(" ${delay")
    expect(wrong).to_have_count(0)


def test_the_label_leads_into_the_editor_and_names_it(editor):
    row = row_of(editor, 1)
    row.get_by_text("PromQL", exact=True).click()
    expect(row.get_by_role("textbox", name="PromQL")).to_be_focused()


def test_the_yaml_view_shows_one_at_a_time(editor):
    editor.goto(f"{editor.root}{EDIT}?view=yaml")
    buttons = editor.locator("#looks button")
    buttons.nth(0).click()
    panel = editor.locator("#looked")
    expect(panel).to_contain_text("is 37.5 ms over the last 15 minutes")
    buttons.nth(1).click()
    expect(panel).to_contain_text("is 42 messages over the last 15 minutes")
    expect(buttons.nth(0)).to_have_attribute("aria-expanded", "false")
    expect(panel.locator(".main-svg").first).to_be_visible()


def test_a_service_shows_what_its_slis_measure(editor):
    bob = factories.person("eve", people.AUTHOR)
    describing.save(raw={"name": "orders", "slis": [SLI]}, user=bob)
    editor.goto(f"{editor.root}/services/orders/")
    editor.locator("[data-recent]").click()
    expect(editor.locator(".cw-recent")).to_contain_text("is 37.5 ms over the last 15 minutes")
    expect(editor.locator(".cw-recent .main-svg").first).to_be_visible()

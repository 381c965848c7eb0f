"""What the live system suggests while somebody writes, with the keyboard, in a real browser."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from playwright.sync_api import Locator, Page, expect

from drivers import fake
from experiments import backends
from experiments.models import Environment
from experiments.services import people
from tests import factories
from tests.browser.conftest import Demo
from tests.browser.test_main_job import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

A_WHILE_MS = 30_000


@pytest.fixture
def sandbox(page: Page, demo: Demo) -> Page:
    """Return a page of the demo, in a new experiment with an abort, previewed in the sandbox."""
    page.set_default_timeout(A_WHILE_MS)
    sign_in(page, demo)
    page.goto(f"{demo.url}/experiments/new/?fault=envoy.http_abort")
    page.locator("#environment").select_option(label="Sandbox")
    return page


@pytest.fixture
def staging(page: Page, live_server, transactional_db) -> Page:
    """Return a page in which an author writes where Prometheus is out of reach."""
    fake.forget()
    backends.forget()
    cache.clear()
    factories.environment()
    client = Client()
    author = factories.person("bob", people.AUTHOR)
    client.force_login(author, backend="django.contrib.auth.backends.ModelBackend")
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    url = live_server.url
    page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": url}])
    page.set_default_timeout(A_WHILE_MS)
    # Previews are not what this is about: on a slow machine each would abort the one before.
    page.route(re.compile("/experiments/preview/"), lambda route: route.fulfill(status=204))
    page.goto(f"{url}/experiments/new/?fault=fake.abort")
    page.locator("#environment").select_option("staging")
    return page


def field(page: Page, name: str) -> Locator:
    return page.locator(f"[name={name}]")


def write(page: Page, name: str, text: str) -> Locator:
    """Empty the field and type the text into it."""
    found = field(page, name)
    found.fill("")
    found.press_sequentially(text)
    return found


def options(page: Page) -> Locator:
    return page.locator(".cw-suggest [role=option]")


def active(page: Page) -> str:
    """Return the text of the option that the focused input points at."""
    shown = page.evaluate(
        "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))"
        "?.querySelector('.cw-suggest-value').textContent"
    )
    return str(shown or "")


def rewrite(page: Page, key: str, text: str) -> None:
    """Put the cursor behind a key of the YAML, delete its value, and type the text."""
    line = page.locator(".cm-line", has_text=f"{key}:")
    value = line.inner_text().partition(": ")[2]
    line.click()
    page.keyboard.press("End")
    for _ in value:
        page.keyboard.press("Backspace")
    page.keyboard.type(text)


@pytest.mark.servers
def test_the_route_of_a_fault_is_picked_from_the_mesh(sandbox: Page) -> None:
    page = sandbox
    write(page, "method-0-via", "me")
    expect(options(page)).to_have_text([re.compile("^mesh")])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(field(page, "method-0-via")).to_have_value("mesh")

    route = write(page, "method-0-with-route", "ca")
    expect(options(page)).to_have_text([re.compile("^carts"), re.compile("^catalogue")])
    expect(options(page).first).to_contain_text("listener · abort and delay armed")
    expect(route).to_have_attribute("aria-expanded", "true")
    assert active(page) == ""
    page.keyboard.press("ArrowDown")
    assert active(page) == "carts"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(route).to_have_value("catalogue")
    expect(route).to_have_attribute("aria-expanded", "false")
    expect(page.locator("#preview")).to_contain_text("request to catalogue")


@pytest.mark.servers
def test_a_ready_made_sli_is_filled_from_prometheus(sandbox: Page) -> None:
    page = sandbox
    listener = field(page, "slis-0-with-listener")
    listener.fill("")
    listener.focus()
    page.keyboard.press("ArrowDown")
    expect(options(page)).to_have_count(6)
    assert active(page) == "carts"
    page.keyboard.press("End")
    assert active(page) == "payment"
    page.keyboard.press("ArrowDown")
    assert active(page) == "carts"
    expect(page.locator(".cw-suggest-foot")).to_contain_text("envoy_http_conn_manager_prefix")
    options(page).filter(has_text="orders").click()
    expect(listener).to_have_value("orders")
    expect(listener).to_be_focused()

    # Another preset is another row's fields: what comes with the swap suggests as well.
    field(page, "slis-0-preset").select_option("envoy.upstream_errors")
    write(page, "slis-0-with-cluster", "cat")
    expect(options(page)).to_have_text(["catalogue"])


@pytest.mark.servers
def test_the_yaml_view_completes_with_the_same(sandbox: Page) -> None:
    page = sandbox
    field(page, "method-0-via").fill("mesh")
    field(page, "method-0-with-route").fill("x")
    field(page, "slis-0-with-listener").fill("y")
    page.get_by_role("button", name="YAML", exact=True).click()
    offered = page.locator(".cm-tooltip-autocomplete")
    for key, name in (("route", "carts"), ("listener", "orders")):
        rewrite(page, key, name[:2])
        expect(offered.get_by_role("option").first).to_contain_text(name)
        offered.get_by_role("option").first.click()
        expect(page.locator("#yaml-text")).to_have_value(re.compile(f"{key}: {name}\n"))


def test_parameters_are_offered_where_a_reference_is_begun(staging: Page) -> None:
    page = staging
    share = write(page, "method-0-with-percentage", "${")
    expect(page.locator(".cw-suggest-foot")).to_have_text(
        "There is no parameter yet: add one under Parameters."
    )
    page.keyboard.press("Escape")
    for number, name in enumerate(("share", "delay")):
        page.locator("[data-add=parameters]").click()
        field(page, f"parameters-{number}-name").fill(name)
    field(page, "parameters-0-type").select_option("percentage")
    field(page, "parameters-0-default").fill("50%")

    share.fill("")
    share.press_sequentially("${sh")
    expect(options(page)).to_have_text([re.compile("share.*percentage · 50%")])
    expect(page.locator("[role=option][aria-selected=true]")).to_have_count(0)
    page.keyboard.press("ArrowDown")
    assert active(page) == "share"
    page.keyboard.press("Enter")
    expect(share).to_have_value("${share}")
    expect(page.locator(".cw-suggest")).to_have_count(0)

    # What fits the field goes first: a share of requests takes no duration.
    share.fill("")
    share.press_sequentially("${")
    expect(options(page)).to_have_text([re.compile("share"), re.compile("delay.*duration")])
    duration = field(page, "method-0-duration")
    duration.fill("")
    duration.press_sequentially("${")
    expect(options(page)).to_have_text([re.compile("delay.*duration"), re.compile("share")])
    page.keyboard.press("Escape")

    # Within a longer text, only the reference is written; what is closed already stays one.
    field(page, "hypothesis").fill("With  more, all is well.")
    field(page, "hypothesis").evaluate("(area) => { area.focus(); area.setSelectionRange(5, 5); }")
    page.keyboard.type("${")
    expect(options(page)).to_have_count(2)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(field(page, "hypothesis")).to_have_value("With ${delay} more, all is well.")


def test_a_system_out_of_reach_says_so_and_the_field_takes_any_text(staging: Page) -> None:
    page = staging
    listener = write(page, "slis-0-with-listener", "or")
    note = page.locator(".cw-suggest-foot")
    expect(note).to_contain_text("No suggestions: ")
    expect(note).to_contain_text("127.0.0.1:1")
    expect(page.locator("#announcer")).to_contain_text("No suggestions: ")
    expect(options(page)).to_have_count(0)
    expect(listener).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Escape")
    expect(note).to_have_count(0)
    listener.press_sequentially("ders")
    expect(listener).to_have_value("orders")
    expect(page.locator(".cw-suggest")).to_have_count(0)

    page.locator("#environment").select_option("")
    write(page, "method-0-with-target", "c")
    expect(note).to_have_text("Pick an environment under “Preview in” to see what it has.")


def test_a_combobox_is_one_to_keyboard_and_screen_reader(staging: Page) -> None:
    page = staging
    field(page, "method-0-via").fill("mesh")
    target = page.get_by_role("combobox", name="Target")
    expect(target).to_have_attribute("aria-autocomplete", "list")
    expect(target).not_to_have_attribute("list", re.compile(""))
    target.focus()
    page.keyboard.press("Alt+ArrowDown")
    named = page.get_by_role("listbox", name="Suggestions for Target")
    expect(named).to_be_visible()
    assert named.get_attribute("id") == target.get_attribute("aria-controls")
    assert active(page) == ""
    expect(page.locator("#announcer")).to_have_text("2 suggestions")
    page.keyboard.press("ArrowUp")
    assert active(page) == "orders"
    expect(options(page).nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Home")
    assert active(page) == "carts"

    page.keyboard.press("Escape")
    expect(named).to_have_count(0)
    expect(target).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(named).to_be_visible()
    assert active(page) == "orders"
    page.keyboard.press("Tab")
    expect(named).to_have_count(0)
    expect(target).to_have_value("")

    page.get_by_role("button", name="Show suggestions for Target").click()
    options(page).first.click()
    expect(target).to_have_value("carts")
    expect(target).to_be_focused()


def test_enter_still_checks_while_nothing_is_chosen(staging: Page) -> None:
    page = staging
    field(page, "method-0-via").fill("mesh")
    target = write(page, "method-0-with-target", "r")
    expect(options(page)).to_have_count(2)
    with page.expect_response(re.compile("/experiments/preview/")):
        page.keyboard.press("Enter")
    expect(target).to_have_value("r")
    expect(page.locator(".cw-suggest")).to_have_count(0)


def test_the_yaml_view_says_why_nothing_is_suggested(staging: Page) -> None:
    page = staging
    field(page, "slis-0-with-listener").fill("y")
    page.get_by_role("button", name="YAML", exact=True).click()
    rewrite(page, "listener", "yz")
    why = page.locator(".cw-yaml-why")
    expect(why).to_contain_text("No suggestions: ")
    expect(why).to_contain_text("127.0.0.1:1")
    expect(page.locator("#yaml-text")).to_have_value(re.compile("listener: yz"))


def test_without_javascript_the_aliases_are_a_plain_list(browser, live_server, staging) -> None:
    assert Environment.objects.count() == 1
    context = browser.new_context(java_script_enabled=False)
    context.add_cookies(staging.context.cookies())
    page = context.new_page()
    page.goto(f"{live_server.url}/experiments/new/?fault=fake.abort")
    via = field(page, "method-0-via")
    expect(via).to_have_attribute("list", "aliases")
    expect(page.get_by_role("button", name=re.compile("Show suggestions"))).to_have_count(0)
    via.fill("mesh")
    expect(via).to_have_value("mesh")
    context.close()

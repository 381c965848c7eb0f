"""The first steps as a person does them: connect, describe, choose, and rehearse to a verdict."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo
from tests.browser.test_main_job import A_RUN_MS, A_WHILE_MS, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.timeout(600)]


def prometheus_of(page: Page, demo: Demo) -> str:
    """Return where the demo's Prometheus answers, as its own connection says."""
    page.goto(f"{demo.url}/connections/sandbox-metrics/")
    return page.locator("#id_url").input_value()


def test_a_newcomer_connects_describes_and_chooses(page: Page, demo: Demo) -> None:
    sign_in(page, demo)
    address = prometheus_of(page, demo)
    page.goto(f"{demo.url}/environments/")
    page.get_by_role("link", name="First steps").click()
    page.get_by_role("link", name=re.compile("Connect a Prometheus")).first.click()
    page.get_by_role("link", name="Connect another").click()
    page.get_by_label("Name", exact=True).fill("my-metrics")
    page.get_by_label("URL").fill("http://127.0.0.1:1")
    page.get_by_role("button", name="Connect and check").click()
    main = page.locator("main")
    expect(main).to_contain_text("my-metrics is saved, but cannot be used yet")
    expect(page.get_by_label("URL")).to_have_value("http://127.0.0.1:1")
    expect(page.get_by_role("link", name=re.compile("Go on nonetheless"))).to_be_visible()
    page.get_by_label("URL").fill(address)
    page.locator("summary", has_text="Intervals").click()
    page.get_by_label(re.compile("Scrape interval")).fill("")
    page.get_by_role("button", name="Connect and check").click()
    expect(main).to_contain_text("my-metrics answers")
    expect(main).to_contain_text("400ms, as its list of targets says of job envoy. Taken over.")
    expect(main).to_contain_text(re.compile(r"Envoy listener: 6\s+carts, catalogue"))
    page.get_by_role("link", name=re.compile("^Go on: connect something")).click()

    page.get_by_role("link", name="Connect another").click()
    page.get_by_label("Name", exact=True).fill("my-mesh")
    page.get_by_label("Admin addresses").fill(f"{demo.mesh_admin}\n127.0.0.1:1")
    page.get_by_role("button", name="Connect and check").click()
    expect(main).to_contain_text("1 of 2 ready")
    expect(main).to_contain_text("127.0.0.1:1 cannot be reached")
    page.get_by_label("Admin addresses").fill(demo.mesh_admin)
    page.get_by_role("button", name="Connect and check").click()
    expect(main).to_contain_text("my-mesh is ready")
    page.get_by_role("button", name=re.compile("Take 400ms over for my-metrics")).click()
    expect(main).not_to_contain_text("Its flush interval is 5s")
    page.get_by_role("link", name=re.compile("^Go on: describe an environment")).click()

    page.get_by_role("link", name="Describe another").click()
    expect(page.locator("#id_aliases-0-name")).to_have_value("mesh")
    expect(page.locator("#id_aliases-1-name")).to_have_value("metrics")
    page.get_by_label("Name", exact=True).fill("mine")
    page.get_by_role("button", name="Save environment").click()

    page.goto(f"{demo.url}/first-steps/service/?source=my-metrics")
    page.get_by_label("edge", exact=True).first.check()
    page.get_by_role("button", name="Save service").click()
    expect(main).to_contain_text("Service edge is saved.")

    page.goto(f"{demo.url}/first-steps/experiment/?environment=mine")
    expect(main).to_contain_text("Here a fault can hit")
    page.get_by_role("link", name=re.compile("Start from this")).first.click()
    expect(page.locator("select[name=environment]")).to_have_value("mine")
    page.locator("button[name=do][value=save]").click()
    expect(page.get_by_role("heading", name="Run it")).to_be_visible(timeout=A_WHILE_MS)


def test_a_newcomer_rehearses_to_a_verdict(page: Page, demo: Demo) -> None:
    sign_in(page, demo)
    page.goto(f"{demo.url}/first-steps/rehearsal/")
    page.get_by_role("button", name="Rehearse now").click()
    page.wait_for_url(re.compile(r"/runs/\d+/$"))
    main = page.locator("main")
    expect(main).to_contain_text("is in effect, as read back", timeout=A_RUN_MS)
    expect(main).to_contain_text("held", timeout=A_RUN_MS)
    page.reload()
    expect(main).to_contain_text("gone, as read back", timeout=A_WHILE_MS)

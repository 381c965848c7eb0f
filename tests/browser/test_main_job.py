"""The main job as a person does it: sign in, write an experiment, run it, stop one."""

from __future__ import annotations

import json
import re
import urllib.request

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.timeout(600)]

A_WHILE_MS = 30_000
A_RUN_MS = 240_000


def sign_in(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}/")
    page.get_by_label("Name", exact=False).first.fill("demo")
    page.get_by_label("Password", exact=False).first.fill(demo.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="What we know").first).to_be_attached()


def write_experiment(
    page: Page, demo: Demo, *, name: str, baseline: str, duration: str, settle: str
) -> None:
    """Fill the form of a new experiment, leaving its share at 150 %."""
    page.goto(f"{demo.url}/experiments/new/")
    page.locator("[name=metadata-name]").fill(name)
    page.locator("[name=metadata-title]").fill(f"Orders survives a failing carts ({name})")
    page.locator("[name=metadata-service]").fill("orders")
    page.locator("[name=hypothesis]").fill("When half of the calls to carts fail, orders copes.")
    page.locator("[name=slis-0-name]").fill("orders_errors")
    page.locator("[name=slis-0-with-listener]").fill("orders")
    page.locator("[name=slis-0-margin-value]").fill("2%")
    page.locator("[name=slis-0-limit-max]").fill("5%")
    page.locator("[name=method-0-name]").fill("carts-fails")
    page.locator("[name=method-0-fault]").select_option("envoy.http_abort")
    expect(page.locator("[name=method-0-with-http_status]")).to_be_visible(timeout=A_WHILE_MS)
    page.locator("[name=method-0-with-route]").fill("carts")
    page.locator("[name=method-0-with-http_status]").fill("503")
    page.locator("[name=method-0-with-percentage]").fill("150%")
    page.locator("[name=method-0-duration]").fill(duration)
    page.locator("[name=timing-baseline-length]").fill(baseline)
    page.locator("[name=timing-settle]").fill(settle)
    page.locator("[name=timing-step]").fill("2s")
    page.get_by_role("button", name="guardrail", exact=False).first.click()
    guardrail = page.locator("[name=guardrails-0-name]")
    expect(guardrail).to_be_visible(timeout=A_WHILE_MS)
    guardrail.fill("nearly-everything-fails")
    page.locator("[name=guardrails-0-sli]").fill("orders_errors")
    page.locator("[name=guardrails-0-above]").fill("90%")


def save(page: Page) -> None:
    page.locator("button[name=do][value=save]").click()


def mend_and_save(page: Page) -> None:
    """Save with a share of 150 %, read the error at its field, and save what is right."""
    save(page)
    wrong = page.locator("[name=method-0-with-percentage]")
    expect(wrong).to_have_attribute("aria-invalid", "true", timeout=A_WHILE_MS)
    expect(wrong).to_have_value("150%")
    expect(page.locator("main")).to_contain_text("150% is outside 0–100 %")
    wrong.fill("50%")
    save(page)
    expect(page.get_by_role("heading", name="Run it")).to_be_visible(timeout=A_WHILE_MS)


def launch(page: Page) -> None:
    page.locator("select[name=environment]").select_option(label="Sandbox")
    page.get_by_role("button", name=re.compile("^Run")).click()
    page.wait_for_url(re.compile(r"/runs/\d+/$"))


def overrides(demo: Demo) -> dict[str, str]:
    """Return the overrides in the mesh Envoy's admin layer."""
    with urllib.request.urlopen(f"http://{demo.mesh_admin}/runtime?format=json") as answer:
        entries = json.load(answer)["entries"]
    return {key: entry["final_value"] for key, entry in entries.items()}


def test_a_person_writes_runs_and_reads_an_experiment(page: Page, demo: Demo) -> None:
    sign_in(page, demo)
    write_experiment(page, demo, name="half-of-carts", baseline="64s", duration="40s", settle="6s")
    mend_and_save(page)
    launch(page)
    main = page.locator("main")
    expect(main).to_contain_text("baseline", timeout=A_WHILE_MS)
    expect(page.locator(".chart .main-svg").first).to_be_visible(timeout=A_RUN_MS)
    expect(main).to_contain_text("is in effect, as read back", timeout=A_RUN_MS)
    expect(main).to_contain_text("deviated", timeout=A_RUN_MS)
    expect(main).to_contain_text(re.compile(r"orders_errors rose from 0 % to \d"))
    page.reload()
    expect(page.locator(".chart .main-svg").first).to_be_visible(timeout=A_WHILE_MS)
    expect(main).to_contain_text("gone, as read back")


def test_a_person_stops_a_run_and_the_fault_goes(page: Page, demo: Demo) -> None:
    before = overrides(demo)
    sign_in(page, demo)
    write_experiment(page, demo, name="to-be-stopped", baseline="0s", duration="5m", settle="0s")
    mend_and_save(page)
    launch(page)
    expect(page.locator("main")).to_contain_text("is in effect, as read back", timeout=A_RUN_MS)
    assert overrides(demo)["chaos.carts.abort_percent"] == "50"
    page.get_by_role("button", name="Stop").first.click()
    expect(page.locator("main")).to_contain_text("is gone, as read back", timeout=A_WHILE_MS)
    expect(page.locator("main")).to_contain_text("stopped by demo", timeout=A_WHILE_MS)
    assert overrides(demo) == before
    page.goto(f"{demo.url}/")
    expect(page.locator("main")).to_contain_text("Nothing is broken on purpose")

"""What axe-core finds on every page, light and dark, wide and narrow: nothing serious."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from django.urls import URLPattern, get_resolver
from playwright.sync_api import Browser, BrowserContext, Page, expect

from demo.roster import ROOT
from tests.browser.conftest import Demo
from tests.browser.test_main_job import A_WHILE_MS, launch, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.timeout(600)]

EXPERIMENT = "/experiments/only-carts-feels-it/"
PAGES = {
    "overview": ["/"],
    "was_it_us": ["/was-it-us/"],
    "experiment_list": ["/experiments/", "/experiments/?q=nothing-has-this-name"],
    "experiment_new": [
        "/experiments/new/",
        "/experiments/new/?view=yaml",
        "/experiments/new/?from=rehearse-a-run",
    ],
    "experiment_import": ["/experiments/import/"],
    "experiment_detail": [EXPERIMENT],
    "experiment_edit": [f"{EXPERIMENT}edit/", f"{EXPERIMENT}edit/?view=yaml"],
    "version_detail": [f"{EXPERIMENT}v1/"],
    "version_diff": [f"{EXPERIMENT}diff/"],
    "catalogue": ["/catalogue/"],
    "fault_detail": ["/catalogue/envoy.http_delay/"],
    "library": ["/library/"],
    "starter_detail": ["/library/slow-callee/"],
    "service_list": ["/services/"],
    "service_new": ["/services/new/"],
    "service_import": ["/services/import/"],
    "service_detail": ["/services/carts/"],
    "service_edit": ["/services/carts/edit/"],
    "run_list": ["/runs/"],
    "experiment_duplicate": [f"{EXPERIMENT}duplicate/"],
    "first_steps": ["/first-steps/"],
    "first_steps_rehearsal": ["/first-steps/rehearsal/"],
    "first_steps_source": ["/first-steps/source/"],
    "first_steps_backend": ["/first-steps/backend/"],
    "first_steps_environment": ["/first-steps/environment/"],
    "first_steps_service": ["/first-steps/service/"],
    "first_steps_experiment": ["/first-steps/experiment/"],
    "environment_list": ["/environments/"],
    "environment_new": ["/environments/new/"],
    "environment_edit": ["/environments/sandbox/"],
    "connection_new": ["/connections/new/"],
    "connection_edit": ["/connections/sandbox-mesh/"],
    "connection_rights": [],  # needs a cluster, which `make test` does not have
    "halt": ["/halt/"],
}
"""Addresses of every page that can be opened, by its name in urls.py."""
ELSEWHERE = {
    "run_detail": "test_a_run_and_the_way_to_end_it",
    "halt_confirm": "test_a_run_and_the_way_to_end_it",
    "sign_in": "test_signing_in",
    "stop_link": "needs a link's secret; its page has the same parts as the halt's",
}
NO_PAGES = {
    # files, fragments, JSON and text
    *("experiment_export", "connection_check", "live_badge", "run_live", "run_figure", "healthz"),
    *("metrics", "editor_row", "experiment_preview", "experiment_suggest", "experiment_recent"),
    *("service_form_recent", "service_recent", "promql_labels", "promql_values"),
    *("promql_metadata", "promql_series", "webhook"),
    # forms without a page of their own: they lead elsewhere, or back to their page with an error
    *("sign_out", "run_start", "run_stop", "run_checkpoint", "fault_removed", "halt_now"),
    *("halt_resume", "stop_link_new", "stop_link_revoke", "webhook_new", "webhook_sign"),
    *("webhook_revoke", "connection_compare", "experiment_archive", "experiment_unarchive"),
    *("environment_secrets", "version_restore"),
}
LOOKS = [("light", 1280), ("dark", 1280), ("light", 390)]


@cache
def axe() -> str:
    return (ROOT / "tests" / "vendor" / "axe-core" / "axe.min.js").read_text()


def violations(page: Page) -> list[str]:
    """Return what axe-core finds that is serious or critical, one line for each place."""
    page.evaluate(axe())
    found: list[dict[str, Any]] = page.evaluate(
        "axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations)"
    )
    return [
        f"{page.url} {rule['id']}: {rule['help']}: {node['target']} {node['failureSummary']}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@pytest.fixture(params=LOOKS, ids=[f"{scheme}-{width}" for scheme, width in LOOKS])
def look(browser: Browser, demo: Demo, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """Open a signed-in browser of one width and colour."""
    scheme, width = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    sign_in(page, demo)
    page.close()
    yield context
    context.close()


def test_every_page_is_listed() -> None:
    named = {
        each.name
        for each in get_resolver("experiments.urls").url_patterns
        if isinstance(each, URLPattern)
    }
    assert named == {*PAGES, *ELSEWHERE, *NO_PAGES}


def test_no_page_has_a_serious_violation(look: BrowserContext, demo: Demo) -> None:
    page = look.new_page()
    found = []
    for path in (path for paths in PAGES.values() for path in paths):
        answer = page.goto(f"{demo.url}{path}")
        assert answer is not None, path
        assert answer.status == 200, path
        page.wait_for_load_state("networkidle")
        found += violations(page)
    assert found == []


def test_an_editor_with_errors_and_everything_open(look: BrowserContext, demo: Demo) -> None:
    page = look.new_page()
    page.goto(f"{demo.url}{EXPERIMENT}edit/")
    page.locator("[name=method-0-with-percentage]").fill("150%")
    page.locator("button[name=do][value=check]").last.click()
    expect(page.locator("#faults")).to_contain_text("150% is outside")
    page.evaluate(
        "document.querySelectorAll('main details').forEach((each) => { each.open = true })"
    )
    assert violations(page) == []


def test_pages_that_refuse(look: BrowserContext, demo: Demo) -> None:
    page = look.new_page()
    page.goto(f"{demo.url}/nothing/is/here/")
    assert violations(page) == []


def test_signing_in(browser: Browser, demo: Demo) -> None:
    page = browser.new_page()
    page.goto(f"{demo.url}/sign-in/")
    assert violations(page) == []
    page.close()


def test_a_run_and_the_way_to_end_it(look: BrowserContext, demo: Demo) -> None:
    page = look.new_page()
    page.goto(f"{demo.url}/experiments/edge-answers-503/")
    launch(page)
    page.wait_for_load_state("networkidle")
    try:
        assert violations(page) == []
        page.goto(f"{demo.url}/halt/confirm/")
        assert violations(page) == []
        page.go_back()
    finally:
        page.get_by_role("button", name=re.compile("^Stop")).first.click()
        confirm = page.get_by_role("dialog").get_by_role("button", name=re.compile("^Stop"))
        if confirm.count():
            confirm.click()
        expect(page.locator("main")).to_contain_text(
            re.compile("stopped", re.I), timeout=A_WHILE_MS
        )
    page.reload()
    page.wait_for_load_state("networkidle")
    assert violations(page) == []

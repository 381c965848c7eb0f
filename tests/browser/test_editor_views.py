"""The editor's views in a real browser: typing, completion, errors, drafts, differences."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Page, expect

from experiments.domain import text as yaml
from experiments.models import ExperimentVersion
from experiments.services import authoring, library, people
from tests import factories

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(120),
]

EDIT = "/experiments/only-carts-feels-it/edit/"


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
    """Return the page, signed in as the author; ``root`` is the server's address."""
    page.root = live_server.url
    sign_in(page, author)
    return page


def sign_in(page, author):
    client = Client()
    client.force_login(author, backend="django.contrib.auth.backends.ModelBackend")
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": page.root}])
    page.set_default_timeout(10_000)


def open_yaml(page: Page, address: str = EDIT) -> None:
    page.goto(f"{page.root}{address}?view=yaml")
    expect(page.locator(".cm-content")).to_be_visible()


def put_cursor(page: Page, words: str) -> None:
    """Put the cursor at the end of the first line that holds the words."""
    lines = text_of(page).splitlines()
    number = next(number for number, line in enumerate(lines, 1) if words in line)
    links = page.locator("#editor-nav a").evaluate_all("all => all.map((each) => each.hash)")
    near = max(
        line for line in (int(link.removeprefix("#line-")) for link in links) if line <= number
    )
    page.locator(f"#editor-nav a[href='#line-{near}']").first.click()
    for _ in range(number - near):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("End")


def accept(page: Page) -> None:
    """Take the marked completion; an Enter right after the list has opened is a line break."""
    page.wait_for_timeout(150)
    page.keyboard.press("Enter")


def wait_for_draft(page: Page, words: str) -> None:
    """Wait until a draft with the words is kept; the page's own policy bars waiting in it."""
    for _ in range(100):
        if any(words in draft for draft in page.evaluate("Object.values(localStorage)")):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"no draft with “{words}”")


def text_of(page: Page) -> str:
    return page.locator("textarea[name=text]").input_value()


def test_typing_is_completed_from_the_schema_and_saved_to_the_letter(signed_in, version, written):
    page = signed_in
    open_yaml(page)
    put_cursor(page, "via: mesh")
    page.keyboard.press("Enter")
    page.keyboard.type("on")
    options = page.locator(".cm-tooltip-autocomplete")
    expect(options).to_contain_text("on_drift")
    accept(page)
    expect(options).to_contain_text("reinject")
    page.keyboard.press("Escape")
    page.keyboard.type("ignore  # on purpose")
    wanted = written.replace("via: mesh\n", "via: mesh\n    on_drift: ignore  # on purpose\n")
    assert text_of(page) == wanted
    page.locator("button[name=do][value=save]").click()
    expect(page.get_by_role("heading", name="Versions")).to_be_visible()
    assert ExperimentVersion.objects.first().text == wanted


def test_completion_knows_names_faults_and_references(signed_in, version):
    page = signed_in
    open_yaml(page)
    options = page.locator(".cm-tooltip-autocomplete")
    put_cursor(page, "target: carts")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Space")
    expect(options).to_contain_text("percentage")
    expect(options).not_to_contain_text("http_status")
    page.keyboard.type("percentage: $")
    page.keyboard.type("{")
    expect(options).to_contain_text("${delay}")
    page.keyboard.press("Escape")
    put_cursor(page, "sli: orders_errors")
    for _ in range(len("orders_errors")):
        page.keyboard.press("Backspace")
    page.keyboard.press("Control+Space")
    expect(options).to_contain_text("queue_length")
    page.keyboard.press("Escape")
    page.locator(".cm-line", has_text="via: mesh").first.locator("span", has_text="via").hover()
    expect(page.locator(".cm-tooltip-hover")).to_contain_text("Alias of a connection")


def test_an_error_is_marked_at_its_line_and_the_summary_leads_there(signed_in, version):
    page = signed_in
    open_yaml(page)
    put_cursor(page, "settle: 1m")
    page.keyboard.press("Backspace")
    page.keyboard.type(" parsecs")
    problem = page.locator("#preview a[href^='#line-']").first
    expect(problem).to_be_visible()
    expect(page.locator(".cm-lint-marker-error")).to_have_count(1)
    expect(page.locator(".cm-lintRange-error")).to_have_text("1 parsecs")
    expect(page.locator("#announcer")).to_contain_text("1 problem in the YAML")
    page.locator(".cm-scroller").evaluate("each => each.scrollTop = 0")
    problem.click()
    expect(page.locator(".cm-activeLine")).to_contain_text("parsecs")
    page.get_by_role("button", name=re.compile("show in the form")).first.click()
    field = page.locator("[name=timing-settle]")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")


def test_the_views_turn_without_losing_a_comment(signed_in, version, written):
    page = signed_in
    open_yaml(page)
    put_cursor(page, "settle: 1m")
    page.keyboard.type("  # as in March")
    page.get_by_role("button", name="Form", exact=True).click()
    page.locator("[name=timing-settle]").fill("2m")
    page.get_by_role("button", name="YAML", exact=True).click()
    expect(page.locator(".cm-content")).to_be_visible()
    assert text_of(page) == written.replace("settle: 1m", "settle: 2m  # as in March")


def test_the_keyboard_indents_and_can_leave(signed_in, version, written):
    page = signed_in
    open_yaml(page)
    put_cursor(page, "settle: 1m")
    page.keyboard.press("Tab")
    assert text_of(page) == written.replace("  settle: 1m", "    settle: 1m")
    page.keyboard.press("Shift+Tab")
    assert text_of(page) == written
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(page.locator("#yaml-help a")).to_be_focused()


def test_a_draft_survives_a_closed_tab_and_is_only_offered(signed_in, version, written):
    page = signed_in
    open_yaml(page)
    put_cursor(page, "settle: 1m")
    page.keyboard.type(" # unsaved")
    wait_for_draft(page, "# unsaved")
    warned = []
    page.once("dialog", lambda dialog: (warned.append(dialog.type), dialog.accept()))
    page.goto(f"{page.root}{EDIT}?view=yaml")
    assert warned == ["beforeunload"]
    offer = page.locator(".cw-draft")
    expect(offer).to_contain_text("You have an unsaved draft from")
    assert text_of(page) == written, "nothing is restored unasked"
    offer.get_by_role("button", name="Restore").click()
    expect(page.locator("textarea[name=text]")).to_have_value(re.compile("# unsaved"))
    page.locator("button[name=do][value=save]").click()
    expect(page.get_by_role("heading", name="Versions")).to_be_visible()
    assert (
        page.evaluate(
            "Object.keys(localStorage).filter((key) => key.startsWith('chaosweb-draft:'))"
        )
        == []
    )


def test_a_draft_of_the_form_is_kept_too_and_can_be_discarded(signed_in, version):
    page = signed_in
    page.goto(f"{page.root}{EDIT}")
    page.locator("[name=timing-settle]").fill("3m")
    wait_for_draft(page, "settle: 3m")
    page.once("dialog", lambda dialog: dialog.accept())
    page.goto(f"{page.root}{EDIT}")
    page.locator(".cw-draft").get_by_role("button", name="Discard").click()
    expect(page.locator(".cw-draft")).to_have_count(0)
    page.reload()
    expect(page.locator("[name=timing-settle]")).to_have_value("1m")
    expect(page.locator(".cw-draft")).to_have_count(0)


def test_somebody_elses_version_is_shown_beside_mine(signed_in, version, written):
    page = signed_in
    open_yaml(page)
    theirs = written.replace("baseline: 3m", "baseline: 4m")
    carol = factories.person("carol", people.AUTHOR)
    authoring.save(
        raw=yaml.read(theirs), author=carol, experiment=version.experiment, written=theirs
    )
    put_cursor(page, "settle: 1m")
    page.keyboard.type(" # mine")
    page.locator("button[name=do][value=save]").click()
    expect(page.get_by_role("alert")).to_contain_text("carol saved version 2")
    expect(page.locator(".cm-mergeView")).to_be_visible()
    page.get_by_role("button", name="In one").click()
    expect(page.locator(".cm-deletedChunk").first).to_contain_text("4m")
    page.get_by_role("link", name="Open theirs").click()
    expect(page.locator(".cw-draft")).to_contain_text("It began from version 1")
    assert ExperimentVersion.objects.count() == 2


# A text with the cursor at “|”, and what is being written there.
PLACES = [
    ("|", "key", [], ""),
    ("api|", "key", [], "api"),
    ("metadata:\n  name: x\n  ti|", "key", ["metadata"], "ti"),
    ("slis:\n  - |", "key", ["slis", 0], ""),
    ("slis:\n  - name: x\n    |\n    unit: s", "key", ["slis", 0], ""),
    ("slis:\n- name: x\n  exp|\n- name: y", "key", ["slis", 0], "exp"),
    ("slis:\n  - name: x\n  |", "item", ["slis"], ""),
    ("slis:\n  - name: x\n    expect: ho|", "value", ["slis", 0, "expect"], "ho"),
    ("method:\n  - {name: a, |", "key", ["method", 0], ""),
    ("method:\n  - {name: a, fault: fa|, via: x}", "value", ["method", 0, "fault"], "fa"),
    ("method:\n  - {name: a, with: {ta|", "key", ["method", 0, "with"], "ta"),
    ('method:\n  - with: {delay: "${d|', "value", ["method", 0, "with", "delay"], '"${d'),
    ("method:\n  - start: {after: [b, c|]}", "value", ["method", 0, "start", "after", 1], "c"),
    ("hypothesis: |".replace("|", ">\n  some words|"), "none", [], ""),
    ("# a comm|", "none", [], ""),
    ("kind: Experiment  # wh|", "none", [], ""),
]


def test_the_place_of_the_cursor_is_known_while_the_text_is_incomplete(signed_in, version):
    page = signed_in
    open_yaml(page)
    found = page.evaluate(
        """(texts) => texts.map((text) => {
          const at = text.indexOf("|");
          const { role, path, typed } = ChaosYaml.contextAt(text.replace("|", ""), at);
          return [text, role, path, typed];
        })""",
        [text for text, *_ in PLACES],
    )
    assert [tuple(each) for each in found] == PLACES


def test_every_starter_is_read_as_the_server_reads_it_and_every_key_is_known(signed_in, version):
    page = signed_in
    open_yaml(page)
    starters = library.starters()
    read, unknown = page.evaluate(
        """async (texts) => {
          const area = document.getElementById("yaml-text");
          const schema = await (await fetch(area.dataset.schema)).json();
          const words = JSON.parse(area.dataset.words);
          const fields = (entries) =>
            Object.fromEntries(entries.map(([key, { value }]) => [key, shown(value)]));
          const shown = (node) => node.kind === "seq" ? node.items.map(shown)
            : node.kind === "map" ? fields([...node.entries])
            : node.kind === "text" ? "text" : null;
          const unknown = [];
          texts.forEach((text) => {
            const root = ChaosYaml.read(text);
            const look = (node) => {
              node.items.forEach(look);
              node.entries.forEach(({ from, value }) => {
                const { path } = ChaosYaml.keyAt(root, from);
                if (!ChaosSchema.describe(schema, path, root, words)) unknown.push(path.join("."));
                look(value);
              });
            };
            look(root);
          });
          return [texts.map((text) => shown(ChaosYaml.read(text))), unknown];
        }""",
        [starter.text for starter in starters],
    )
    assert read == [shape(yaml.read(starter.text)) for starter in starters]
    assert unknown == []


def shape(value):
    """Return a value with every scalar as the word text."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    return None if value is None else "text"


def test_without_javascript_the_text_area_and_the_buttons_do_it_all(
    browser, live_server, version, written, author
):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.root = live_server.url
    sign_in(page, author)
    page.goto(f"{page.root}{EDIT}")
    page.get_by_role("button", name="YAML", exact=True).click()
    page.locator("#yaml-text").fill(written.replace("settle: 1m", "settle: -1m  # hm"))
    page.locator("button[name=do][value=save]").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was saved: 1 problem")
    expect(page.get_by_role("alert")).to_contain_text("line 57")
    page.locator("#faults").get_by_role("button", name=re.compile("show in the form")).click()
    page.locator("[name=timing-settle]").fill("2m")
    page.locator("button[name=do][value=save]").click()
    expect(page.get_by_role("heading", name="Versions")).to_be_visible()
    assert ExperimentVersion.objects.first().text == written.replace(
        "settle: 1m", "settle: 2m  # hm"
    )
    page.get_by_role("link", name=re.compile("compare with previous")).click()
    expect(page.locator(".cw-diff ins").first).to_contain_text("settle: 2m  # hm")
    context.close()

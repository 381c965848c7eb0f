"""Two who save at once: both changes come together, overlaps are asked, nothing is lost."""

from __future__ import annotations

import re

import pytest

from experiments.domain import text as yaml
from experiments.models import ExperimentVersion, Service
from experiments.services import authoring, people
from tests import factories
from tests.views.conftest import assert_kept_by_csp, client_of
from tests.views.test_versions import as_sent, saved, shown

PAGE = "/experiments/only-carts-feels-it/"
URL = f"{PAGE}edit/"


@pytest.fixture
def written():
    return yaml.write(factories.document()).replace("timing:", "# as in March\ntiming:", 1)


@pytest.fixture
def version(bob, written):
    return authoring.save(raw=yaml.read(written), author=bob, written=written)


@pytest.fixture
def browser(bob):
    return client_of(bob)


@pytest.fixture
def carol(db):
    return factories.person("carol", people.AUTHOR)


def merge_post(response, do, **changes):
    """Return the fields that the merge form of a conflict page sends."""
    context = response.context
    fields = {
        "view": "yaml",
        "came": context["view"],
        "began": context["based_on"],
        "based_on": context["theirs"].number,
        "chosen": context["chosen"],
        "mine": as_sent(shown(response, "mine")),
        "made": as_sent(shown(response, "made")),
        "text": as_sent(shown(response)),
        "message": context["message"],
        "do": do,
    }
    return fields | changes


class TestConflict:
    def test_changes_that_do_not_touch_come_together_and_are_saved_as_seen(
        self, browser, carol, version, written
    ):
        theirs = written.replace("baseline: 3m", "baseline: 4m  # theirs")
        saved(carol, version.experiment, theirs)
        mine = written.replace("relative: 20%", "relative: 25%  # mine")
        sent = {"view": "yaml", "text": as_sent(mine), "based_on": 1, "do": "save"}
        response = browser.post(URL, {**sent, "message": "why"})
        page = response.content.decode()
        assert response.status_code == 409
        assert "both fit together" in page
        assert_kept_by_csp(page)
        both = theirs.replace("relative: 20%", "relative: 25%  # mine")
        assert shown(response) == both
        assert ExperimentVersion.objects.count() == 2, "nothing is stored before it was seen"
        done = browser.post(URL, merge_post(response, "save"))
        assert done.status_code == 302
        newest = ExperimentVersion.objects.first()
        assert (newest.number, newest.text, newest.message) == (3, both, "why")

    def test_what_both_changed_is_asked_and_saved_only_once_it_was_answered(
        self, browser, carol, version, written
    ):
        saved(carol, version.experiment, written.replace("settle: 1m", "settle: 2m"))
        mine = written.replace("settle: 1m", "settle: 3m").replace("baseline: 3m", "baseline: 5m")
        sent = {"view": "yaml", "text": mine, "based_on": 1, "do": "save"}
        response = browser.post(URL, sent)
        (asked,) = response.context["asked"]
        assert (asked.conflict.where, asked.conflict.field, asked.chosen) == (
            "timing",
            "settle",
            "",
        )
        page = response.content.decode()
        for value in ("1m", "2m", "3m"):
            assert f"<code>{value}</code>" in page
        assert page.count(f'name="{asked.name}"') == 3
        unanswered = browser.post(URL, merge_post(response, "save"))
        assert unanswered.status_code == 422
        assert "Choose for each thing" in unanswered.content.decode()
        answered = {asked.name: "mine"}
        early = browser.post(URL, merge_post(response, "save", **answered))
        assert early.status_code == 422, "what is saved was seen before"
        assert "The text has your choices now" in early.content.decode()
        together = browser.post(URL, merge_post(response, "merge", **answered))
        assert together.status_code == 200
        assert "settle: 3m" in shown(together)
        assert "baseline: 5m" in shown(together)
        assert shown(together) == shown(early)
        assert ExperimentVersion.objects.count() == 2
        assert browser.post(URL, merge_post(together, "save", **answered)).status_code == 302
        assert ExperimentVersion.objects.first().document["timing"]["settle"] == "3m"

    def test_a_text_of_mine_that_cannot_be_read_is_told_and_what_was_written_comes_back(
        self, browser, carol, version, written
    ):
        saved(carol, version.experiment, written.replace("settle: 1m", "settle: 2m"))
        mine = written.replace("baseline: 3m", "baseline: 5m")
        sent = {"view": "yaml", "text": mine, "based_on": 1, "do": "save"}
        response = browser.post(URL, sent)
        for do in ("save", "merge"):
            broken = browser.post(URL, merge_post(response, do, mine="["))
            assert broken.status_code == 422
            assert "cannot be read, so the two cannot be put together" in broken.content.decode()
            assert shown(broken, last=False) == shown(response)
        assert ExperimentVersion.objects.count() == 2

    def test_what_was_written_into_the_text_by_hand_stays_when_choices_are_made(
        self, browser, carol, version, written
    ):
        saved(carol, version.experiment, written.replace("settle: 1m", "settle: 2m"))
        mine = written.replace("settle: 1m", "settle: 3m")
        response = browser.post(URL, {"view": "yaml", "text": mine, "based_on": 1, "do": "save"})
        (asked,) = response.context["asked"]
        by_hand = shown(response).replace("baseline: 3m", "baseline: 6m  # by hand")
        sent = merge_post(response, "merge", text=as_sent(by_hand), **{asked.name: "mine"})
        together = browser.post(URL, sent)
        assert "baseline: 6m  # by hand" in shown(together)
        assert "settle: 3m" in shown(together)
        broken = browser.post(URL, sent | {"text": "slis: ["})
        assert shown(broken) == "slis: ["
        assert "cannot be read" in broken.context["notice"]
        assert shown(broken, "mine") == mine

    def test_a_third_who_saves_meanwhile_makes_one_more_conflict_and_nothing_is_lost(
        self, browser, carol, version, written
    ):
        second = written.replace("baseline: 3m", "baseline: 4m")
        saved(carol, version.experiment, second)
        mine = written.replace("relative: 20%", "relative: 25%")
        response = browser.post(URL, {"view": "yaml", "text": mine, "based_on": 1, "do": "save"})
        dave = factories.person("dave", people.AUTHOR)
        saved(dave, version.experiment, second.replace("settle: 1m", "settle: 2m"))
        again = browser.post(URL, merge_post(response, "save"))
        assert again.status_code == 409
        assert "dave saved version 3" in re.sub(r"<[^>]+>|\s+", " ", again.content.decode())
        document = yaml.read(shown(again))
        assert document["timing"] == {"baseline": "4m", "settle": "2m", "step": "5s"}
        assert document["slis"][1]["margin"] == {"relative": "25%"}
        assert ExperimentVersion.objects.count() == 3
        assert browser.post(URL, merge_post(again, "save")).status_code == 302
        assert ExperimentVersion.objects.first().document["slis"][1]["margin"] == {
            "relative": "25%"
        }

    def test_errors_of_the_merged_text_come_back_with_it(self, browser, carol, version, written):
        saved(carol, version.experiment, written.replace("settle: 1m", "settle: 2m"))
        mine = written.replace("baseline: 3m", "baseline: 5m")
        response = browser.post(URL, {"view": "yaml", "text": mine, "based_on": 1, "do": "save"})
        wrong = shown(response).replace("baseline: 5m", "baseline: soon")
        refused = browser.post(URL, merge_post(response, "save", text=as_sent(wrong)))
        assert refused.status_code == 422
        assert shown(refused) == wrong
        assert refused.context["based_on"] == 2
        assert ExperimentVersion.objects.count() == 2

    def test_copies_of_services_slis_are_in_no_conflict(self, browser, bob, carol):
        named = {"name": "p95", "value": "x", "unit": "s", "limit": {"max": "1s"}}
        service = Service.objects.create(name="carts", slis=[named])
        raw = factories.document(slis=[{"name": "own", "use": "carts.p95"}], guardrails=[])
        text = yaml.write(raw)
        first = authoring.save(raw=raw, author=bob, written=text)
        service.slis = [named | {"value": "y"}]
        service.save()
        second = saved(carol, first.experiment, text.replace("settle: 1m", "settle: 2m"))
        assert first.document["slis"] != second.document["slis"], "each has its own copy"
        mine = text.replace("expect: holds", "").replace("baseline: 3m", "baseline: 4m")
        response = browser.post(URL, {"view": "yaml", "text": mine, "based_on": 1, "do": "save"})
        assert response.status_code == 409
        assert response.context["asked"] == []
        assert "copied" not in response.content.decode()
        assert browser.post(URL, merge_post(response, "save")).status_code == 302
        newest = ExperimentVersion.objects.first()
        assert newest.document["timing"] == {"baseline": "4m", "settle": "2m", "step": "5s"}
        assert newest.document["slis"][0]["copied"]["value"] == "y"
        page = browser.get(f"{PAGE}diff/?from=1&to=2").content.decode()
        assert "copied" not in page

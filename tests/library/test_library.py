"""Every starter experiment is complete, valid, and as good to read as to run."""

from __future__ import annotations

import re

import pytest

from drivers.units import Duration
from experiments.domain import text
from experiments.models import Alias, Connection, Environment
from experiments.services import authoring, faults, launching, library, people, previewing
from tests import factories

STARTERS = library.starters()
NAMES = [each.name for each in STARTERS]
REAL = [each for each in STARTERS if not each.is_rehearsal]
OPTIONS = {
    "envoy": {"addresses": ["127.0.0.1:9901"]},
    "fake": {"targets": ["one"]},
    "kubernetes": {"access": "token", "server": "https://127.0.0.1:6443", "namespaces": ["shop"]},
    "prometheus": {"url": "http://127.0.0.1:9090"},
}

SECRETS = {"kubernetes": {"token": "of-no-cluster"}}
SCRAPE_S = 5.0

every = pytest.mark.parametrize("starter", STARTERS, ids=NAMES)
every_real = pytest.mark.parametrize("starter", REAL, ids=[each.name for each in REAL])


def comments(written: str) -> list[str]:
    return re.findall(r"(?:^|\s)(#.*)$", written, re.MULTILINE)


def environment_for(starter: library.Starter) -> Environment:
    """Return an environment whose sources are scraped as often as the starters say they need."""
    made = Environment.objects.create(name="anywhere", allowed_hosts=["127.0.0.1:8000"])
    for alias, kind in starter.connections:
        connection = Connection.objects.create(
            name=alias,
            kind=kind,
            options=OPTIONS[kind],
            secrets=SECRETS.get(kind, {}),
            scrape_interval_s=SCRAPE_S,
        )
        Alias.objects.create(environment=made, name=alias, connection=connection)
    return made


def test_there_are_enough_for_every_backend() -> None:
    backends = [backend for each in STARTERS for backend in each.backends]
    assert set(backends) == set(faults.kinds())
    assert backends.count("envoy") >= 14
    assert backends.count("chaosmesh") >= 3
    assert set(NAMES) == {path.stem for path in library._DOCUMENTS.glob("*.yaml")}
    assert len(set(NAMES)) == len(NAMES)


def test_every_level_and_family_is_there() -> None:
    assert {each.level for each in STARTERS} == set(library.LEVELS)
    # What only Chaos Mesh can do (disks, clocks, DNS, machines) is in its own documents.
    wanted = {
        model.family
        for kind, model in faults.known().items()
        if kind.split(".")[0] not in ("fake", "chaosmesh")
    }
    assert set(library.families()) >= wanted


def test_first_steps_come_first() -> None:
    levels = [list(library.LEVELS).index(each.level) for each in STARTERS]
    assert levels == sorted(levels)


@every
def test_it_is_valid_and_says_what_it_believes(starter) -> None:
    parsed = authoring.validate(text.read(starter.text))
    assert parsed.errors == ()
    document = parsed.or_raise()
    assert document.hypothesis.endswith(".")
    assert document.slis or document.probes
    assert document.metadata.title
    assert document.metadata.tags
    assert "${" not in document.hypothesis, "a parameter without a default"


@every
def test_it_teaches(starter) -> None:
    assert len(comments(starter.text)) >= 3
    assert starter.text.startswith("# ")
    assert starter.summary.endswith((".", "?"))
    assert starter.learn.endswith(".")
    assert all(parameter.description for parameter in starter.document.parameters.values())
    assert all(parameter.default is not None for parameter in starter.document.parameters.values())


@every_real
def test_what_breaks_something_real_is_guarded_and_can_be_adapted(starter) -> None:
    document = starter.document
    assert document.guardrails
    assert document.parameters
    assert all(float(action.duration) <= float(Duration("15m")) for action in document.faults)
    assert starter.schedule is not None
    assert starter.schedule.total_s <= 3600
    assert starter.scrape_s is None or starter.scrape_s >= SCRAPE_S


@every
@pytest.mark.django_db
def test_its_preview_has_no_problem_in_a_fitting_environment(starter) -> None:
    place = environment_for(starter)
    shown = previewing.preview(raw=starter.raw, environment=place)
    assert (shown.errors, shown.lacks, shown.warnings, shown.notes) == ((), (), (), ())
    assert len(shown.actions) == len(starter.document.faults)
    for action in shown.actions:
        assert action.documents, action.name
        assert (action.note, action.problems) == ("", ())
    assert launching.fits(starter.document, place) == []


@every
@pytest.mark.django_db
def test_a_copy_of_it_is_saved_under_a_name_of_its_own_with_its_comments(starter) -> None:
    author = factories.person("bob", people.AUTHOR)
    for expected in (starter.name, f"{starter.name}-2", f"{starter.name}-3"):
        raw = library.fresh(starter)
        raw["hypothesis"] = "Another sentence."
        assert raw["metadata"]["name"] == expected
        saved = authoring.save(raw=raw, author=author, written=library.written(starter.name, raw))
        assert saved.experiment.name == expected
        assert text.read(saved.text) == saved.document == raw
        assert comments(saved.text) == comments(starter.text)
    assert starter.raw["metadata"]["name"] == starter.name, "the library's own copy is untouched"


@pytest.mark.django_db
def test_a_number_never_makes_a_name_too_long(monkeypatch) -> None:
    author = factories.person("bob", people.AUTHOR)
    name = "a" * 63
    factories.version(author, factories.document(name))
    assert library._unused(name) == "a" * 61 + "-2"


def test_what_nobody_knows_is_none() -> None:
    assert library.one("no-such") is None
    assert library.text("no-such") is None
    assert library.written("", {}) is None


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (library.Filters(), set(NAMES)),
        (library.Filters(text="RETRIES multiplying"), {"retry-storm"}),
        (library.Filters(text="retries no-such-word"), set()),
        (library.Filters(backend="fake"), {"rehearse-a-run", "rehearse-a-game-day"}),
        (library.Filters(backend="fake", family="abort"), {"rehearse-a-game-day"}),
        (
            library.Filters(level="game-day"),
            {
                "one-zone-fails",
                "two-services-at-once",
                "game-day-in-two-steps",
                "isolated-pods",
                "node-drained",
            },
        ),
        (library.Filters(level="no-such"), set()),
    ],
    ids=str,
)
def test_the_library_can_be_searched(filters, names) -> None:
    assert {each.name for each in library.search(filters)} == names


@pytest.mark.parametrize("kind", sorted(faults.known()))
def test_a_fault_finds_the_starters_that_use_it(kind) -> None:
    found = library.using(kind)
    assert all(f"fault: {kind}" in each.text for each in found)
    assert {each.name for each in STARTERS if f"fault: {kind}" in each.text} == {
        each.name for each in found
    }

"""The documents say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chaosweb import settings
from demo.scenarios import SCENARIOS
from experiments import models
from experiments.domain import text
from experiments.domain.states import TRANSITIONS, Status, Verdict
from experiments.services import authoring
from experiments.services.people import ROLES

ROOT = Path(__file__).resolve().parent.parent
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")


def test_the_state_table_is_the_transition_table() -> None:
    section = ARCHITECTURE.split("## A run")[1].split("## An injection")[0]
    rows = re.findall(r"^\| (\w+) \| .+ \| (.+) \|$", section, re.MULTILINE)
    told = {
        name: set() if moves == "–" else set(moves.split(", "))
        for name, moves in rows
        if name != "status"
    }
    assert told == {str(old): {str(new) for new in moves} for old, moves in TRANSITIONS.items()}
    assert set(told) == {str(status) for status in Status}


def test_the_glossary_names_what_the_database_holds() -> None:
    words = ARCHITECTURE.split("## Words")[1]
    for model in (
        models.Environment,
        models.Connection,
        models.Service,
        models.Experiment,
        models.ExperimentVersion,
        models.Run,
        models.Injection,
        models.Claim,
    ):
        assert model.__name__ in words
    for verdict in Verdict:
        assert f"`{verdict}`" in words


def test_every_variable_and_role_is_documented() -> None:
    source = Path(settings.__file__).read_text(encoding="utf-8")
    variables = re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', source)
    assert len(variables) > 8
    for variable in set(variables) - {"DEBUG", "STATIC_ROOT", "HASHED_STATIC"}:
        assert f"`{variable}`" in OPERATING, variable
    for role in ROLES:
        assert f"`{role}`" in OPERATING


@pytest.mark.parametrize(
    "page", ["README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_every_link_leads_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+?)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), f"{page}: {target}"


def test_the_example_of_the_document_is_valid() -> None:
    page = (ROOT / "docs" / "document.md").read_text(encoding="utf-8")
    example = re.search(r"(?:^    .*\n|^\n)+?(?=^\*\*parameters)", page, re.MULTILINE)
    assert example is not None
    written = "\n".join(line.removeprefix("    ") for line in example[0].splitlines())
    assert authoring.validate(text.read(written)).errors == ()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: f"{each.name}.v{each.version}")
def test_every_seeded_document_is_valid(scenario) -> None:
    assert authoring.validate(text.read(scenario.text)).errors == ()

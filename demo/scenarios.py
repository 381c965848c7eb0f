"""The seeded experiments: which document, which verdict it must come to, and in which order."""

from dataclasses import dataclass
from pathlib import Path

_DOCUMENTS = Path(__file__).parent / "documents"


@dataclass(frozen=True)
class Scenario:
    """One run of the demo. ``name`` and ``version`` tell the document's file."""

    name: str
    version: int
    expected_verdict: str

    @property
    def text(self) -> str:
        """Return the document as its author wrote it."""
        return (_DOCUMENTS / f"{self.name}.v{self.version}.yaml").read_text(encoding="utf-8")


SCENARIOS = (
    Scenario("only-carts-feels-it", 1, "deviated"),
    Scenario("only-carts-feels-it", 2, "held"),
    Scenario("carts-answers-503", 1, "deviated"),
    Scenario("edge-answers-503", 1, "held"),
    Scenario("a-fault-of-nothing", 1, "not_exercised"),
)

SERVICES = {
    "front": ("Storefront team", "#storefront"),
    "orders": ("Orders team", "#orders"),
    "carts": ("Orders team", "#orders"),
    "catalogue": ("Catalogue team", "#catalogue"),
    "payment": ("Payments team", "#payments"),
}
"""Owner and contact of each service of the shop."""

BY_HAND = {"mesh": {"chaos.carts.delay_ms": "1", "chaos.carts.abort_percent": "0"}}
"""Overrides that somebody made by hand before: each must be there again after every run."""

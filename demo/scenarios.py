"""The seeded experiments: which document, which verdict it must come to, and in which order."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

_OWNERS = {
    "front": ("Storefront team", "#storefront"),
    "orders": ("Orders team", "#orders"),
    "carts": ("Orders team", "#orders"),
    "catalogue": ("Catalogue team", "#catalogue"),
    "payment": ("Payments team", "#payments"),
}
"""Owner and contact of each service of the shop."""


def _service(name: str) -> dict[str, Any]:
    owner, contact = _OWNERS[name]
    return {
        "owner": owner,
        "contact": contact,
        "places": {"sandbox": {"where": f"the mesh Envoy, listener {name} and route {name}"}},
        "slis": [
            {
                "name": "p95",
                "title": f"{name} p95",
                "preset": "envoy.edge_latency",
                "with": {"listener": name, "q": 0.95},
                "limit": {"max": "500ms"},
                "margin": {"relative": "40%"},
            },
            {
                "name": "errors",
                "title": f"{name} errors",
                "preset": "envoy.edge_errors",
                "with": {"listener": name},
                "limit": {"max": "1%"},
                "margin": {"absolute": "0.5%"},
            },
        ],
    }


SERVICES = {name: _service(name) for name in _OWNERS}
"""Each service of the shop as it is described: its owner, its place and its named SLIs."""

BY_HAND = {"mesh": {"chaos.carts.delay_ms": "1", "chaos.carts.abort_percent": "0"}}
"""Overrides that somebody made by hand before: each must be there again after every run."""

"""The library of starter experiments: what there is, and a fresh copy of one to start from.

The documents are in ``experiments/library/documents``. They are read once per process, and by the
same model as every other document.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from experiments import backends
from experiments.analysis.gate import LEAST_BINS
from experiments.domain import patching, presets, spec
from experiments.domain import text as yaml
from experiments.models import Connection, Experiment
from experiments.selectors import schedule
from experiments.services import authoring, drafts, judging, snapshots

Level = Literal["first", "everyday", "game-day"]
LEVELS: Mapping[Level, str] = MappingProxyType(
    {"first": "First steps", "everyday": "Everyday", "game-day": "Game day"}
)
"""The levels in the order of learning, with what pages call them."""

_DOCUMENTS = Path(__file__).resolve().parent.parent / "library" / "documents"
_LONGEST_NAME = 63


class _Front(BaseModel):
    """What a file says of its experiment, before the experiment itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: Level
    summary: str = Field(min_length=1)
    learn: str = Field(min_length=1)
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Starter:
    """One starter experiment. ``text`` is the YAML with its comments, ``raw`` what it means."""

    name: str
    level: Level
    summary: str
    learn: str
    needs: tuple[str, ...]
    text: str
    raw: Mapping[str, Any]
    document: spec.Experiment
    families: tuple[str, ...]
    schedule: schedule.Schedule | None

    @property
    def title(self) -> str:
        """Return what pages call it."""
        return self.document.title

    @property
    def level_title(self) -> str:
        """Return its level, as pages call it."""
        return LEVELS[self.level]

    @property
    def backends(self) -> tuple[str, ...]:
        """Return the kinds of connection that its faults need."""
        return tuple(dict.fromkeys(kind.split(".")[0] for kind in self.faults))

    @property
    def faults(self) -> tuple[str, ...]:
        """Return the kinds of fault that it injects."""
        return tuple(dict.fromkeys(action.fault for action in self.document.faults))

    @property
    def is_rehearsal(self) -> bool:
        """Return whether it touches nothing real."""
        return self.backends == ("fake",)

    @property
    def connections(self) -> tuple[tuple[str, str], ...]:
        """Return the aliases that an environment must have for it, each with its kind."""
        found = {
            action.via: backends.connection_kind(action.fault) for action in self.document.faults
        }
        others = self.document.aliases - set(found)
        return (*found.items(), *((alias, "prometheus") for alias in sorted(others)))

    @property
    def scrape_s(self) -> int | None:
        """Return the longest scrape interval, in seconds, at which a run of it can be judged.

        None where nothing is compared with a baseline.
        """
        if not self.document.slis or self.document.timing.step is not None or not self.schedule:
            return None
        fault_steps = LEAST_BINS["fault"] + judging.SETTLE_STEPS
        shorter = min(
            self.schedule.watched_s / LEAST_BINS["baseline"], self.schedule.fault_s / fault_steps
        )
        every_second = Connection(scrape_interval_s=1.0, flush_interval_s=0.1)
        sources = dict.fromkeys(self.document.aliases, every_second)
        return int(shorter / snapshots.least_step(self.document, sources))

    @property
    def words(self) -> str:
        """Return everything that a search looks at, in small letters."""
        ready = (sli.preset for sli in self.document.slis if sli.preset is not None)
        parts = (
            self.name,
            self.title,
            self.summary,
            self.learn,
            self.document.hypothesis,
            *self.document.metadata.tags,
            *self.families,
            *self.faults,
            *(presets.PRESETS[name].title for name in ready),
        )
        return " ".join(parts).lower()


@dataclass(frozen=True, slots=True)
class Filters:
    """What the library is narrowed to; an empty field narrows nothing."""

    text: str = ""
    backend: str = ""
    family: str = ""
    level: str = ""

    @property
    def is_any(self) -> bool:
        """Return whether anything is narrowed."""
        return bool(self.text or self.backend or self.family or self.level)


@cache
def starters() -> tuple[Starter, ...]:
    """Return every starter: the first steps first, and of each level the shortest.

    Raises InvalidDocumentError on a broken file.
    """
    found = [_read(path) for path in sorted(_DOCUMENTS.glob("*.yaml"))]
    levels = list(LEVELS)
    lengths = {each.name: each.schedule.total_s if each.schedule else 0.0 for each in found}
    return tuple(
        sorted(found, key=lambda each: (levels.index(each.level), lengths[each.name], each.title))
    )


def one(name: str) -> Starter | None:
    """Return the starter of that name."""
    return next((each for each in starters() if each.name == name), None)


def search(filters: Filters) -> list[Starter]:
    """Return the starters that have every word of the text, and fit the other filters."""
    wanted = filters.text.lower().split()
    return [
        each
        for each in starters()
        if all(word in each.words for word in wanted)
        and filters.backend in ("", *each.backends)
        and filters.family in ("", *each.families)
        and filters.level in ("", each.level)
    ]


def families() -> tuple[str, ...]:
    """Return the families of the starters' faults, by name."""
    return tuple(sorted({family for each in starters() for family in each.families}))


def kinds() -> tuple[str, ...]:
    """Return the kinds of connection that some starter needs for its faults, by name."""
    return tuple(sorted({kind for each in starters() for kind in each.backends}))


def using(fault: str) -> list[Starter]:
    """Return the starters that inject the fault."""
    return [each for each in starters() if fault in each.faults]


def fresh(starter: Starter) -> dict[str, Any]:
    """Return the document to start from, under a name that no experiment has yet."""
    raw = deepcopy(dict(starter.raw))
    raw["metadata"]["name"] = _unused(starter.name)
    return raw


def text(name: str) -> str | None:
    """Return the YAML of a starter with its comments; None when there is no such starter."""
    found = one(name)
    return found.text if found else None


def written(name: str, document: Mapping[str, Any]) -> str | None:
    """Return the document as YAML with the comments of the starter that it was made from.

    None when there is no such starter.
    """
    base = text(name)
    return None if base is None else patching.patch(base, document).text


def _unused(name: str) -> str:
    """Return the name, or the name with the first number that makes it unused."""
    taken = set(Experiment.objects.filter(name__startswith=name).values_list("name", flat=True))
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        ending = f"-{number}"
        candidate = name[: _LONGEST_NAME - len(ending)] + ending
    return candidate


def _read(path: Path) -> Starter:
    head, _, body = path.read_text(encoding="utf-8").partition("\n---\n")
    front = _Front.model_validate(yaml.read(head))
    raw = yaml.read(body)
    document = authoring.validate(raw).or_raise()
    kinds_ = (action.fault for action in document.faults)
    return Starter(
        name=document.metadata.name,
        level=front.level,
        summary=front.summary,
        learn=front.learn,
        needs=front.needs,
        text=body,
        raw=raw,
        document=document,
        families=tuple(dict.fromkeys(backends.faults()[kind].family for kind in kinds_)),
        schedule=schedule.plan(drafts.settled(raw)),
    )

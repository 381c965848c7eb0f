"""What the import of one Chaos Mesh document knows: the driver's reader, and the notes made."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from drivers.units import Duration
from experiments.domain.errors import Path
from experiments.importers.base import Note, SourceError, Written

VIA = "cluster"
"""The alias that imported faults are injected through."""
DEFAULT_S = 60.0
"""How long a fault lasts that said nothing: in Chaos Mesh it would last until somebody ends it."""
_LONGEST = 60
_CRON = ("schedule", "concurrencyPolicy", "historyLimit", "startingDeadlineSeconds")


class Remark(Protocol):
    """One thing about a spec: where, and what."""

    @property
    def path(self) -> Path:
        """Return where."""

    @property
    def words(self) -> str:
        """Return what."""


class Read(Protocol):
    """What the driver's reader makes of a spec; without a fault there are errors."""

    @property
    def fault(self) -> str:
        """Return the kind of fault; empty where there are errors."""

    @property
    def raw(self) -> Mapping[str, Any]:
        """Return its parameters."""

    @property
    def duration_s(self) -> float | None:
        """Return how long it lasts; None where the spec does not say."""

    @property
    def changed(self) -> Sequence[Remark]:
        """Return what it says otherwise."""

    @property
    def lost(self) -> Sequence[Remark]:
        """Return what it does not keep."""

    @property
    def errors(self) -> Sequence[Remark]:
        """Return why there is no fault."""

    @property
    def sentence(self) -> str:
        """Return what the fault does, in words."""

    @property
    def namespaces(self) -> Sequence[str]:
        """Return where the pods are that it may hit."""


class Reader(Protocol):
    """The driver's way from manifests to faults."""

    def read(self, manifest: Mapping[str, Any]) -> Read:
        """Return what an object with a fault means."""

    def read_spec(
        self, resource: str, given: Any, *, name: str = ..., namespace: str = ..., at: Path = ...
    ) -> Read:
        """Return what the spec of a kind means, wherever it stands."""


@dataclass(slots=True)
class Found:
    """One action of the method, with what is known of it beside."""

    action: dict[str, Any]
    sentence: str = ""
    namespaces: Sequence[str] = ()


@dataclass(slots=True)
class Book:
    """The notes of one document."""

    written: Written
    reader: Reader
    kept: list[Note] = field(default_factory=list)
    changed: list[Note] = field(default_factory=list)
    lost: list[Note] = field(default_factory=list)
    errors: list[SourceError] = field(default_factory=list)
    probes: list[dict[str, Any]] = field(default_factory=list)
    within: Path = ()
    """Where in what was written the document stands: in a list there are several."""

    def line(self, path: Path) -> int:
        """Return the line of the source on which a path of the document stands."""
        return self.written.place((*self.within, *path))[0]

    def lose(self, path: Path, words: str) -> None:
        """Note what is lost."""
        self.lost.append(Note(words, self.line(path)))

    def change(self, path: Path, words: str) -> None:
        """Note what is said otherwise."""
        self.changed.append(Note(words, self.line(path)))

    def wrong(self, path: Path, words: str) -> None:
        """Note why the document cannot become an experiment."""
        place = self.written.place((*self.within, *path))
        self.errors.append(SourceError(words, path, *place))

    def lose_cron(self, holder: Mapping[str, Any], at: Path) -> None:
        """Note that a schedule's times are lost."""
        given = [f"{key}: {holder[key]}" for key in _CRON if holder.get(key) is not None]
        if given:
            told = "an experiment has no times of its own, a schedule of ChaosWeb has"
            self.lose((*at, "schedule"), f"{', '.join(given)}; {told}")

    def fault(self, read: Read, name: str, kind: str, lasts_s: float | None = None) -> list[Found]:
        """Return the action that a fault becomes; none, with errors, where it cannot."""
        for remark in read.changed:
            self.change(remark.path, remark.words)
        for remark in read.lost:
            self.lose(remark.path, remark.words)
        for remark in read.errors:
            self.wrong(remark.path, remark.words)
        if not read.fault:
            return []
        seconds = lasts_s if lasts_s is not None else read.duration_s
        if seconds is None:
            seconds = DEFAULT_S
            told = f"{kind} says no duration: it is watched for {Duration(seconds)}"
            self.change((), told)
        action = {
            "name": name,
            "fault": read.fault,
            "via": VIA,
            "with": dict(read.raw),
            "duration": str(Duration(seconds)),
        }
        return [Found(action, read.sentence, read.namespaces)]


def clean_name(text: str) -> str:
    """Return a name as documents have it: small letters, digits, ``-`` and ``_``."""
    name = re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")[:_LONGEST].strip("-_")
    return f"was-{name}" if name.startswith("no-data-") else name or "fault"


def payload_of(holder: Mapping[str, Any], kind: str) -> tuple[str, Any]:
    """Return the key and the spec of a kind within a Schedule or a template; None without one."""
    for key, value in holder.items():
        if str(key).lower() == kind.lower():
            return str(key), value
    return f"{kind[:1].lower()}{kind[1:]}", None

"""How far a new installation has come: computed from what there is, kept nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from django.db.models import Q

from experiments.models import Connection, Environment, Experiment, Run, Service, User

State = Literal["done", "next", "later", "optional"]
_NAMED = 5
_CONNECTIONS = ("source", "backend")


@dataclass(frozen=True, slots=True)
class Step:
    """One of the first steps: what it is for, and how far it is."""

    name: str
    title: str
    text: str
    url_name: str
    action: str
    state: State
    found: str = ""
    """What there is already, in words."""
    needs: str = ""
    """The permission that it takes; empty: any signed-in person may."""

    is_saved_only: bool = False
    """Whether what is there counts as done once it is saved: nobody asks it now."""
    is_failing: bool = False
    """Whether what is there has just been asked, and cannot be used."""

    @property
    def is_done(self) -> bool:
        """Tell whether there is nothing left to do here."""
        return self.state == "done" and not self.is_failing

    @property
    def says(self) -> str:
        """Return how far it is, in a word."""
        if self.is_failing:
            return "saved, not answering"
        return "saved" if self.is_saved_only else "done"


@dataclass(frozen=True, slots=True)
class _Draft:
    name: str
    title: str
    text: str
    action: str
    found: str
    needs: str
    is_optional: bool = False


def steps(backend_kinds: Sequence[str], *, failing: str = "") -> list[Step]:
    """Return the steps in the order of doing them; the first that is needed and open is next.

    ``backend_kinds`` are the kinds of connection that can inject; ``failing`` names the step whose
    connection has just been asked in vain.
    """
    drafts = _drafts(backend_kinds)
    found: list[Step] = []
    has_next = False
    for draft in drafts:
        state: State = "later"
        if draft.found:
            state = "done"
        elif draft.is_optional:
            state = "optional"
        elif not has_next:
            state, has_next = "next", True
        found.append(
            Step(
                draft.name,
                draft.title,
                draft.text,
                "experiment_list" if draft.name == "run" else f"first_steps_{draft.name}",
                draft.action,
                state,
                draft.found,
                draft.needs,
                is_saved_only=draft.name in _CONNECTIONS,
                is_failing=draft.name == failing and state == "done",
            )
        )
    return found


def admins() -> tuple[str, ...]:
    """Return the names of some people who may change connections and environments."""
    may = Q(is_superuser=True) | Q(groups__name="admin")
    found = User.objects.filter(may, is_active=True).order_by("username").distinct()
    return tuple(found.values_list("username", flat=True)[:_NAMED])


def _drafts(backend_kinds: Sequence[str]) -> list[_Draft]:
    names = list(Connection.objects.order_by("name").values_list("name", "kind"))
    sources = [name for name, kind in names if kind == "prometheus"]
    backends = [name for name, kind in names if kind in backend_kinds]
    return [
        _Draft(
            "source",
            "Connect a Prometheus",
            "ChaosWeb reads latency and errors from it, before, during and after each fault.",
            "Connect a Prometheus",
            _listed(sources),
            "administer",
        ),
        _Draft(
            "backend",
            "Connect something to break",
            "What injects the faults: what you run, or a rehearsal that touches nothing.",
            "Connect it",
            _listed(backends),
            "administer",
        ),
        _Draft(
            "environment",
            "Describe an environment",
            "It gives the connections the names that experiments call them by, and sets limits.",
            "Describe an environment",
            _listed(list(Environment.objects.values_list("name", flat=True))),
            "administer",
        ),
        _Draft(
            "service",
            "Describe a service",
            "Whose it is, whom to call, and how it is measured. Experiments use it by name.",
            "Describe a service",
            _listed(list(Service.objects.values_list("name", flat=True))),
            "author_experiment",
            is_optional=True,
        ),
        _Draft(
            "experiment",
            "Write an experiment",
            "Start from one of the library that fits what is connected, and say what you believe.",
            "Choose a starter",
            _listed(list(Experiment.objects.order_by("pk").values_list("name", flat=True))),
            "author_experiment",
        ),
        _Draft(
            "run",
            "Run it",
            "Start it from the experiment's page, and watch.",
            "Choose an experiment",
            _ran(),
            "launch_run",
        ),
    ]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _ran() -> str:
    count = Run.objects.count()
    return f"{count} run{'' if count == 1 else 's'}" if count else ""

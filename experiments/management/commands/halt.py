"""Halt from a shell, and remove the faults in this very process."""

from __future__ import annotations

import getpass
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from experiments.models import Environment, Injection
from experiments.selectors import words
from experiments.services import halting, recovering

_WITHIN_S = 60.0


class Command(BaseCommand):
    """Refuse new runs, stop all, and recover without queue, beat or workers."""

    help = (
        "Halt an environment, or everything: refuse new runs, stop the live ones, and remove their"
        " faults from this process. Ends with 0 only if every fault was read back as gone."
    )
    # Nothing that is wrong with pages or settings may keep anybody from halting.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--environment", metavar="NAME", help="halt this one, not everything")
        parser.add_argument("--reason", default="", help="everybody reads it, on every page")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument(
            "--within",
            type=float,
            default=_WITHIN_S,
            metavar="SECONDS",
            help="how long to wait for the faults to be gone (%(default)g)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        environment = _environment(options["environment"])
        scope = halting.scope_summary(environment)
        self.stdout.write(f"Halt {scope.name}: {scope.consequence}.")
        for place in scope.live_places:
            runs = place.runs + place.ending
            live, faults = words.counted(runs, "live run"), words.counted(place.faults, "fault")
            self.stdout.write(f"  {place.environment}: {live}, {faults}")
        if not options["yes"]:
            _ask()
        halted = halting.halt(environment=environment, actor=_actor(), reason=options["reason"])
        begun = "is halted" if halted.is_new else "was halted already"
        self.stdout.write(
            f"{scope.name} {begun} since {halted.halt.since:%Y-%m-%d %H:%M:%S} UTC."
            f" Stopped now: {halted.runs_stopped}; faults to remove: {halted.faults}."
        )
        found = recovering.recover_here(
            halt=halted.halt, within_s=options["within"], tell=self._tell
        )
        self._report(found)

    def _tell(self, line: str) -> None:
        self.stdout.write(f"  {line}")
        self.stdout.flush()

    def _report(self, found: recovering.Recovery) -> None:
        for row in found.unsettled:
            self.stdout.write(
                f"  {_name(row)}: reads as gone, but a call that was never answered may yet take"
                " effect. Look again in two minutes, or keep a keeper running."
            )
        if found.is_confirmed:
            gone = len(found.gone) + len(found.unsettled)
            self.stdout.write(f"Every fault was read back as gone ({gone}).")
            return
        self.stdout.write("MAY STILL BE BROKEN:")
        for row in found.left:
            self.stdout.write(f"  {_name(row)}: {row.phase}: {row.last_error or 'no answer yet'}")
            self._by_hand((row.plan or {}).get("by_hand", ()))
        for row in found.unchecked:
            self.stdout.write(f"  {_name(row)}: closed by hand, and not yet read back as gone")
            self._by_hand((row.plan or {}).get("by_hand", ()))
        for orphan in found.orphans:
            self.stdout.write(f"  {orphan}: no run looks after it")
            self._by_hand(orphan.by_hand)
        for run in found.not_stopped:
            self.stdout.write(f"  run {run.pk} could not be stopped")
        raise CommandError(
            "Not everything was read back as gone. Run this again, or use the commands above;"
            " `manage.py keeper` goes on trying."
        )

    def _by_hand(self, commands: Any) -> None:
        for command in commands:
            self.stdout.write(f"      by hand: {command}")


def _environment(name: str | None) -> Environment | None:
    if name is None:
        return None
    found = Environment.objects.filter(name=name).first()
    if found is None:
        known = ", ".join(Environment.objects.values_list("name", flat=True)) or "none"
        raise CommandError(f"There is no environment “{name}” (there are: {known}).")
    return found


def _ask() -> None:
    try:
        answer = input("Halt? Type yes: ")
    except EOFError:
        answer = ""
    if answer.strip().lower() != "yes":
        raise CommandError("Nothing was halted. (--yes does not ask.)")


def _actor() -> str:
    try:
        return f"manage.py halt ({getpass.getuser()})"
    except (KeyError, OSError):
        return "manage.py halt"


def _name(row: Injection) -> str:
    return f"run {row.run_id} {row.action} on {row.connection}"

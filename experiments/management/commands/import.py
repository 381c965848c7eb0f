"""Import experiments from files, or only check them."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.management.base import BaseCommand, CommandError

from experiments.services import importing
from experiments.services.importing import Report, Upload


class Command(BaseCommand):
    """Print one JSON report a line for each file; store what has no errors, unless ``--check``."""

    help = (
        "Import experiments from YAML or JSON files ('-' is the standard input). Prints one JSON"
        " object a line for each file: the format, the experiments found, what was kept, changed"
        " and lost, and every error with its place. Ends with 0 only if there was no error."
    )
    # A file can be checked where nothing else is set up.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE")
        parser.add_argument("--check", action="store_true", help="store nothing")
        parser.add_argument(
            "--as",
            dest="username",
            default="",
            metavar="USERNAME",
            help="whose versions they become (the first admin's unless told)",
        )
        parser.add_argument(
            "--on-conflict",
            choices=importing.ON_CONFLICT,
            default="version",
            help="a name that exists: make its next version (default), or refuse it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        failed = 0
        user = None
        if not options["check"]:
            try:
                user = importing.author_named(options["username"])
            except LookupError as error:
                raise CommandError(str(error)) from error
        uploads, unread = [], {}
        for name in options["files"]:
            try:
                uploads.append(Upload(name, _content(name)))
            except OSError as error:
                unread[name] = f"cannot be opened: {error.strerror}"
        try:
            reports = (
                importing.check(uploads, on_conflict=options["on_conflict"])
                if user is None
                else importing.store(uploads, user=user, on_conflict=options["on_conflict"])
            )
        except PermissionDenied as error:
            raise CommandError(f"{options['username'] or user}: {error}") from error
        reports += [importing.unread(name, why) for name, why in unread.items()]
        for report in reports:
            failed += not report.is_fine
            self._tell(report)
        if failed:
            raise CommandError(f"{failed} of {len(reports)} files had errors.")

    def _tell(self, report: Report) -> None:
        self.stdout.write(json.dumps(report.to_json(), ensure_ascii=False))


def _content(name: str) -> bytes:
    """Return what the file holds, and a byte more than is taken if it is longer. Raises OSError."""
    most = importing.MAX_BYTES + 1
    if name == "-":
        return sys.stdin.buffer.read(most)
    with Path(name).open("rb") as file:
        return file.read(most)

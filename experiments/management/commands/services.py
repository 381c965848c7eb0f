"""Bring services in from OpenSLO files, or only check these."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.management.base import BaseCommand, CommandError

from experiments.services import importing, openslo


class Command(BaseCommand):
    """Print the report of a file as JSON; store its services, unless ``--check``."""

    help = (
        "services import FILE: read services and their SLIs from an OpenSLO v1 file ('-' is the"
        " standard input). Prints one JSON object: the services, what was kept, changed and lost,"
        " and every error. Ends with 0 only if there was no error."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=("import",))
        parser.add_argument("file", metavar="FILE")
        parser.add_argument("--check", action="store_true", help="store nothing")
        parser.add_argument(
            "--as",
            dest="username",
            default="",
            metavar="USERNAME",
            help="as whom to store (the first admin unless told)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            content = _content(options["file"])
        except OSError as error:
            told = f"{options['file']} cannot be opened: {error.strerror}"
            raise CommandError(told) from error
        if options["check"]:
            report = openslo.check(content)
        else:
            try:
                user = importing.author_named(options["username"])
                report = openslo.store(content, user=user)
            except (LookupError, PermissionDenied) as error:
                raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(report.to_json(), ensure_ascii=False))
        if not report.is_fine:
            raise CommandError(f"{options['file']} has {len(report.errors)} errors.")


def _content(name: str) -> bytes:
    """Return what the file holds, and a byte more than is taken if it is longer. Raises OSError."""
    most = openslo.MAX_BYTES + 1
    if name == "-":
        return sys.stdin.buffer.read(most)
    with Path(name).open("rb") as file:
        return file.read(most)

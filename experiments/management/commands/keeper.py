"""Run the keeper alone, on a second machine: recovery without queue, beat or workers."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from experiments import keeper


class Command(BaseCommand):
    """Look after everything overdue until told to stop."""

    help = "Recover overdue faults and advance overdue runs straight from the database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="look once, then end")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            count = keeper.run_once(reconcile=True)
            self.stdout.write(f"{count} overdue")
            return
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        keeper.Keeper.start()
        self.stdout.write(f"keeping, every {settings.KEEPER_EVERY_S:g} s")
        ended.wait()
        keeper.Keeper.stop()

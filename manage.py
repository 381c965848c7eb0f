#!/usr/bin/env python
"""Run ChaosWeb's commands."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chaosweb.settings")
    if sys.argv[1:2] == ["demo"]:
        # The demo needs no settings of anybody's: it makes its own before Django reads them.
        from demo import command

        try:
            command.prepare()
        except ValueError as error:
            sys.exit(str(error))
    execute_from_command_line(sys.argv)

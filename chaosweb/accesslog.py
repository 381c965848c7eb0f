"""The web server's access log, without the addresses that are secrets themselves."""

from __future__ import annotations

import re
from typing import Any

from gunicorn.glogging import Logger

_SECRET = re.compile(r"(/stop/)[^/?\s\"]+")


class MaskedLogger(Logger):  # type: ignore[misc]
    """Gunicorn's logger; the token of a stop link never reaches the log."""

    def atoms(self, *arguments: Any) -> dict[str, Any]:
        """Return what a line of the access log may name."""
        found: dict[str, Any] = super().atoms(*arguments)
        return {
            name: _SECRET.sub(r"\1…", value) if isinstance(value, str) else value
            for name, value in found.items()
        }

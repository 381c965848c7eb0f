"""Strict reading of environment variables: a bad one stops the start, and says which.

A secret ``NAME`` may come from the file that ``NAME_FILE`` names.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_PATIENCE = "-c idle_in_transaction_session_timeout=5000 -c lock_timeout=6500"
"""PostgreSQL, in milliseconds. Every transaction of ours is a few statements without a wait; who
waits for one that hangs gets it once the server has ended that one."""


def text(name: str, default: str | None = None) -> str:
    """Return the variable. Raises ImproperlyConfigured when it is unset and has no default."""
    value = os.environ.get(name, default)
    if value is None:
        raise ImproperlyConfigured(f"Set the environment variable {name}.")
    return value


def secret(name: str, default: str | None = None) -> str:
    """Return the variable, or the content of the file that NAME_FILE names."""
    path = os.environ.get(f"{name}_FILE")
    if path is None:
        return text(name, default)
    if name in os.environ:
        raise ImproperlyConfigured(f"Set either {name} or {name}_FILE, not both.")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE: {path} cannot be read: {error}") from error


def flag(name: str, *, default: bool) -> bool:
    """Return a yes or a no."""
    value = os.environ.get(name, "yes" if default else "no").strip().lower()
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off", ""):
        return False
    raise ImproperlyConfigured(f"{name} must be yes or no, not “{value}”.")


def words(name: str, default: str = "") -> list[str]:
    """Return a list, separated by commas."""
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def database(name: str, default: str) -> dict[str, object]:
    """Return Django's settings of ``postgres://user:password@host:port/name`` or ``sqlite:path``.

    SQLite runs with a write-ahead log, full synchronisation and immediate transactions, so that
    several processes may share it and a committed intent survives a power cut.
    """
    url = secret(name, default)
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        path = unquote(url.removeprefix("sqlite:"))
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": "/" + path.lstrip("/") if path.startswith("/") else path,
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
            },
        }
    if parts.scheme in ("postgres", "postgresql"):
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": unquote(parts.hostname or ""),
            "PORT": str(parts.port or ""),
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": {
                "connect_timeout": 5,
                # A worker that hangs in a transaction loses it: nobody may wait for it for long.
                "options": _PATIENCE,
                **dict(parse_qsl(parts.query)),
            },
        }
    raise ImproperlyConfigured(
        f"{name} must begin with postgres:// or sqlite:, not “{parts.scheme}:”."
    )

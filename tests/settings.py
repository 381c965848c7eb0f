"""Settings for tests: those of the product, with generated secrets and a database of their own."""

from __future__ import annotations

import os
import secrets
import tempfile
from typing import Any

os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(48))
os.environ.setdefault("HASHED_STATIC", "no")
os.environ.setdefault("LOG_LEVEL", "WARNING")
# No queue unless a test starts one: a wake is refused at once, as on a machine without Redis.
os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:1/0")
os.environ.setdefault("DATABASE_URL", f"sqlite:{tempfile.gettempdir()}/chaosweb-unused.db")

from chaosweb.settings import *  # noqa: F403

# A file, not SQLite's shared memory: there two threads meet locks that no time-out waits for.
_database: dict[str, Any] = DATABASES["default"]  # noqa: F405
if _database["ENGINE"].endswith("sqlite3"):
    _database["TEST"] = {"NAME": f"{tempfile.gettempdir()}/chaosweb-test-{os.getpid()}.db"}
    _database["OPTIONS"] |= {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"}

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_ROOT = BASE_DIR / "static"  # noqa: F405 — nothing is collected, and nothing warns of it

"""What every test may use."""

from __future__ import annotations

import pytest
from django.db import connection


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Let the test database be emptied between tests: its journal may be deleted, never changed."""
    with django_db_blocker.unblock():
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                for table in ("experiments_runevent", "experiments_experimentversion"):
                    cursor.execute(f"DROP TRIGGER IF EXISTS {table}_no_delete")

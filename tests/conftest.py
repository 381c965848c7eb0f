"""What every test may use."""

from __future__ import annotations

import pytest
from django.db import connection


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is about the other database: ``tests/system`` runs the services on both."""
    others = [
        item
        for item in items
        if (mark := item.get_closest_marker("only_on")) and mark.args[0] != connection.vendor
    ]
    if others:
        items[:] = [item for item in items if item not in others]
        config.hook.pytest_deselected(items=others)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Let the test database be emptied between tests: its journal may be deleted, never changed."""
    with django_db_blocker.unblock():
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                for table in ("experiments_runevent", "experiments_experimentversion"):
                    cursor.execute(f"DROP TRIGGER IF EXISTS {table}_no_delete")

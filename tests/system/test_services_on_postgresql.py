"""The services' own tests once more, on the database of production."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from demo.roster import ROOT
from tests.servers.postgresql import postgresql, programs
from tests.system.conftest import need

_WHAT = (
    *("claims", "closing", "halting", "keeper", "lost_carriers", "observing", "reconciling"),
    *("shared", "stopping", "transitions", "watching"),
)


@pytest.mark.timeout(600)
def test_locks_leases_and_claims_hold_on_postgresql() -> None:
    need(programs(), "PostgreSQL")
    files = [f"tests/services/test_{name}.py" for name in _WHAT]
    with postgresql() as url:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *files],
            env={**os.environ, "DATABASE_URL": url},
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout[-20_000:]
    assert "skipped" not in done.stdout, done.stdout[-2_000:]

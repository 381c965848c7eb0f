"""A minute of the torture: real processes die and hang while people request and stop runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from demo.roster import ROOT, environment
from tests.servers import envoy as envoys
from tests.servers.postgresql import programs
from tests.system.conftest import need

SEED = 7
SECONDS = 45


@pytest.mark.timeout(280)
def test_a_minute_of_torture_leaves_nothing_behind(tmp_path: Path) -> None:
    need(envoys.binary(), "Envoy")
    need(shutil.which("prometheus"), "Prometheus")
    need(programs(), "PostgreSQL")
    figures = tmp_path / "torture.json"
    arguments = ["--brief", f"--seconds={SECONDS}", f"--seed={SEED}", f"--json={figures}"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.torture", *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    found = json.loads(figures.read_text())
    left = ("faults_left", "runs_stuck", "double_injections", "journal_gaps")
    assert {name: found[name] for name in left} == dict.fromkeys(left, 0)
    # The seed's schedule and its people: with less, nothing would have been tortured.
    assert found["kills"] >= 8, done.stdout
    assert found["faults"] >= 10, done.stdout

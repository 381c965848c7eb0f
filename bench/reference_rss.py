"""How much memory one ``chaos run`` of Chaos Toolkit takes while its fault is there."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from bench import reference

_LIVES_S = 4.0
_SETTLED_S = 2.5


def chaos_run_mb() -> float:
    """Run an experiment that pauses after its one HTTP action; return its resident memory then.

    In 10⁶ bytes. The action is a request to a port where nobody answers: a fault that Chaos Toolkit
    cannot inject takes no less memory than one that it can.
    """
    chaos = reference.install()
    with tempfile.TemporaryDirectory(prefix="cw-chaos-") as folder:
        plan = Path(folder) / "experiment.json"
        plan.write_text(json.dumps(_experiment()))
        process = subprocess.Popen(
            [str(chaos), "--no-version-check", "run", str(plan)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            time.sleep(_SETTLED_S)
            assert process.poll() is None, "chaos run has ended"
            found: float = psutil.Process(process.pid).memory_info().rss / 1e6
        finally:
            process.kill()
            process.wait()
    return found


def _experiment() -> dict[str, Any]:
    provider = {"type": "http", "url": "http://127.0.0.1:9/", "method": "POST", "timeout": 1}
    action = {
        "type": "action",
        "name": "abort",
        "provider": provider,
        "pauses": {"after": _LIVES_S},
    }
    return {"title": "abort", "description": "Abort every request.", "method": [action]}

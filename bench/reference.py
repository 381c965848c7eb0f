"""What ChaosWeb is measured beside: a bare POST to Envoy, and Chaos Toolkit that makes it."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.system.traffic import Traffic
from tests.system.world import Mesh

_ROOT = Path(__file__).resolve().parent.parent
_VENV = _ROOT / "var" / "bench" / "chaostoolkit"
_PIN = "chaostoolkit==1.19.0"
_PATIENCE_S = 60.0
_ON = "/runtime_modify?fault.http.abort.abort_percent=100&fault.http.abort.http_status=503"
_OFF = "/runtime_modify?fault.http.abort.abort_percent=&fault.http.abort.http_status="


def install() -> Path:
    """Make a virtual environment of its own with Chaos Toolkit; return the program ``chaos``."""
    chaos = _VENV / "bin" / "chaos"
    if not chaos.exists():
        subprocess.run([sys.executable, "-m", "venv", str(_VENV)], check=True)
        pip = [str(_VENV / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, _PIN], check=True)
    return chaos


def bare_post(mesh: Mesh, traffic: Traffic) -> float:
    """Switch the fault on by one POST on a new connection; return milliseconds until it is met."""
    traffic.clear()
    began = time.monotonic()
    _post(mesh, _ON)
    first = traffic.wait_for(503, _PATIENCE_S, since=began)
    _clear(mesh, traffic)
    return 1000 * (first.at - began)


def chaos_run(chaos: Path, mesh: Mesh, traffic: Traffic, folder: Path) -> float:
    """Have Chaos Toolkit make the same POST; return milliseconds from its process's start."""
    plan = folder / "experiment.json"
    plan.write_text(json.dumps(_experiment(mesh)))
    traffic.clear()
    command = [str(chaos), "--no-version-check", "run", "--journal-path", str(folder / "journal")]
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, str(plan)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        first = traffic.wait_for(503, _PATIENCE_S, since=began)
        process.wait(timeout=_PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    _clear(mesh, traffic)
    return 1000 * (first.at - began)


def _experiment(mesh: Mesh) -> dict[str, Any]:
    url = f"http://{mesh.envoy.admin}{_ON}"
    provider = {"type": "http", "url": url, "method": "POST", "timeout": 5}
    return {
        "title": "abort",
        "description": "Abort every request.",
        "method": [{"type": "action", "name": "abort", "provider": provider}],
    }


def _clear(mesh: Mesh, traffic: Traffic) -> None:
    _post(mesh, _OFF)
    done = time.monotonic()
    traffic.wait_for(200, _PATIENCE_S, since=done)
    # A little later than any request that was on its way.
    time.sleep(0.02)


def _post(mesh: Mesh, path: str) -> None:
    connection = http.client.HTTPConnection(mesh.envoy.admin, timeout=5)
    try:
        connection.request("POST", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
    finally:
        connection.close()

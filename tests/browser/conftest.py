"""The whole product as `make demo` starts it, and a real browser before it."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from demo.roster import ROOT
from demo.settings import free_ports, variable_of

_START_WITHIN_S = 120
_STOP_WITHIN_S = 60


@dataclass(frozen=True)
class Demo:
    """A running demo: where it is, and its one-time password."""

    url: str
    password: str
    mesh_admin: str


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Start `manage.py demo --no-runs` on free ports; end it, and everything it started."""
    workdir = tmp_path_factory.mktemp("demo")
    config = free_ports()
    ports = {
        variable_of(each.name): str(getattr(config, each.name))
        for each in dataclasses.fields(config)
        if each.name.endswith("_port")
    }
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    log = workdir / "demo.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-u", "manage.py", "demo", "--no-runs"],
            cwd=ROOT,
            env={**kept, **ports, "DEMO_WORKDIR": str(workdir)},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        said = _wait_for(log, r"one-time password (\S+)[\s\S]*Serving until", process)
        yield Demo(
            url=f"http://127.0.0.1:{config.web_port}",
            password=said[1],
            mesh_admin=f"127.0.0.1:{config.mesh_admin_port}",
        )
    finally:
        process.terminate()
        try:
            process.wait(timeout=_STOP_WITHIN_S)
        finally:
            process.kill()


def _wait_for(log: Path, pattern: str, process: subprocess.Popen[bytes]) -> re.Match[str]:
    deadline = time.monotonic() + _START_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(pattern, log.read_text(errors="replace"))
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"the demo did not start:\n{log.read_text(errors='replace')}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start Debian's Chromium."""
    # Playwright keeps an event loop in this thread, which Django takes for an asynchronous caller.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "yes"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--disable-background-networking", "--disable-quic"],
        )
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a page; whatever it complains about on its console fails the test."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        # A refused form answers 422, or 409: Chromium counts both as errors of its own.
        if message.type == "error" and not re.search(r"status of (422|409)", message.text):
            complaints.append(message.text)

    opened.on("console", hear)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    opened.close()
    assert complaints == []

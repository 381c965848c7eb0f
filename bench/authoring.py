"""Measure how long checks and previews of a large document take, and opening its editor.

    .venv/bin/python -m bench.authoring --json authoring.json

The document has 20 actions and 10 SLIs and is stored in a real installation (gunicorn, SQLite); the
editor's own form is posted, as Chromium fills it. Requests travel over the loopback and are timed
from outside, so each figure holds more than the server's share. Beside them, in the same run: the
smallest page of the same server, the same document read by ruamel.yaml and checked against our
published JSON Schema by the library jsonschema, and the sign-in page opened in Chromium.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx
import jsonschema
from playwright.sync_api import Page, sync_playwright
from ruamel.yaml import YAML

from bench import machine
from tests.system.stack import Stack
from tests.system.world import World

AIMS_MS = {"validate_p95_ms": 50.0, "preview_p95_ms": 50.0, "editor_open_ms": 1000.0}
_WARM_UPS = 5
_SAID = "Ten services bear twenty faults, one pair after another."
_YAML = {"Content-Type": "application/yaml"}
_ROWS = {
    "validate_yaml": "check by the API, YAML",
    "validate_json": "check by the API, JSON",
    "preview_api": "preview by the API, YAML",
    "preview_form": "preview in the editor, from its form",
    "preview_text": "preview in the editor, from its YAML",
    "healthz": "beside it: GET /healthz of the same server",
    "jsonschema": "beside it: ruamel.yaml and jsonschema, in a process of their own",
    "editor_form": "editor opened in Chromium, form",
    "editor_text": "editor opened in Chromium, YAML",
    "sign_in": "beside it: the sign-in page opened in Chromium",
}


def main() -> int:
    """Run the command line and return the exit code: 1 when an aim was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--openings", type=int, default=20)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    asked = parser.parse_args()
    before = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="cw-bench-") as folder, Stack(Path(folder)) as stack:
        times = _measure(stack, asked.requests, asked.openings)
    found: dict[str, Any] = {
        "validate_p95_ms": _worst(times, "validate"),
        "preview_p95_ms": _worst(times, "preview"),
        "editor_open_ms": _worst(times, "editor"),
        "requests": asked.requests,
        "openings": asked.openings,
        **{
            f"{name}_{which}_ms": round(percentile(values, share), 1)
            for name, values in times.items()
            for which, share in (("p50", 0.5), ("p95", 0.95), ("max", 1.0))
        },
        "load_before": before,
        "load_after": os.getloadavg(),
        **machine.describe(),
        "command": " ".join([Path(sys.executable).name, "-m", "bench.authoring", *sys.argv[1:]]),
    }
    _print(found)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if _is_met(found) else 1


def document(name: str) -> dict[str, Any]:
    """Return a document of 20 actions and 10 SLIs, with a bit of everything."""
    services = [f"service-{number}" for number in range(10)]
    slis: list[dict[str, Any]] = []
    for number, service in enumerate(services[:5]):
        listener = {"preset": "envoy.edge_latency", "with": {"listener": service, "q": 0.95}}
        matchers = f'service="{service}",code=~"5.."'
        total = f'requests_total{{service="{service}"}}'
        slis += [
            {"name": f"p95_{number}", **listener, "expect": "holds", "margin": {"relative": "20%"}},
            {
                "name": f"errors_{number}",
                "ratio": {"bad": f"requests_total{{{matchers}}}", "total": total},
                "expect": "may_degrade",
                "limit": {"max": "5%"},
            },
        ]
    method: list[dict[str, Any]] = []
    for number in range(20):
        is_delay = number % 2 == 0
        given = {"fixed_delay": "${delay}"} if is_delay else {"http_status": 503}
        action = {
            "name": f"fault-{number}",
            "fault": "envoy.http_delay" if is_delay else "envoy.http_abort",
            "via": "mesh",
            "with": {"route": services[number % 10], "percentage": "25%", **given},
            "duration": "90s",
        }
        if number % 4 == 1:
            action["start"] = {"with": [f"fault-{number - 1}"], "delay": "15s"}
        method.append(action)
    return {
        "apiVersion": "chaosweb/v1",
        "kind": "Experiment",
        "metadata": {"name": name, "title": "A long game day", "tags": ["bench", "long"]},
        "hypothesis": _SAID,
        "parameters": {"delay": {"type": "duration", "default": "90ms"}},
        "slis": slis,
        "method": method,
        "guardrails": [{"name": "too-many-errors", "sli": "errors_0", "above": "20%"}],
        "probes": [
            {"name": "up", "promql": {"query": "min(up)"}, "tolerance": {"min": 1}},
        ],
        "timing": {"baseline": "3m", "settle": "1m", "step": "5s"},
    }


def _measure(stack: Stack, requests: int, openings: int) -> dict[str, list[float]]:
    world = World(stack, ["127.0.0.1:1"], prometheus="http://127.0.0.1:1")
    world.save(document(world.name))
    edit = f"{stack.web_url}/experiments/{world.name}/edit/"
    cookies = stack.ask("session")
    times: dict[str, list[float]] = {}
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        times["sign_in"] = _opened(page, f"{stack.web_url}/sign-in/", "form", openings)
        page.context.add_cookies(
            [
                {"name": name, "value": value, "url": stack.web_url}
                for name, value in cookies.items()
            ]
        )
        times["editor_form"] = _opened(page, edit, "#preview section", openings)
        form = _fields(page)
        times["editor_text"] = _opened(page, f"{edit}?view=yaml", ".cm-content", openings)
        text = _fields(page)
        chromium.close()
    token = secrets.token_hex(16)
    with httpx.Client(
        base_url=stack.web_url,
        cookies=cookies | {"csrftoken": token},
        headers={"X-CSRFToken": token, "Referer": stack.web_url},
        trust_env=False,
    ) as client:
        written = dict(text)["text"]
        as_json = YAML(typ="safe", pure=True).load(written)
        schema = client.get("/api/v1/schema/experiment.json").json()
        picked = {"environment": world.name}

        def post(path: str, **given: Any) -> None:
            client.post(path, **given).raise_for_status()

        api, editor = "/api/v1/experiments/", "/experiments/preview/"
        asked: dict[str, Callable[[str], Any]] = {
            "validate_yaml": lambda now: post(
                f"{api}validate", content=written.replace(_SAID, now), headers=_YAML
            ),
            "validate_json": lambda now: post(
                f"{api}validate", json={"document": as_json | {"hypothesis": now}}
            ),
            "preview_api": lambda now: post(
                f"{api}preview", content=written.replace(_SAID, now), headers=_YAML, params=picked
            ),
            "preview_form": lambda now: post(editor, data=_posted(form, now) | picked),
            "preview_text": lambda now: post(editor, data=_posted(text, now) | picked),
            "healthz": lambda now: client.get("/healthz").raise_for_status(),
            "jsonschema": lambda now: jsonschema.Draft202012Validator(schema).is_valid(
                YAML(typ="safe", pure=True).load(written.replace(_SAID, now))
            ),
        }
        # In turns, so that a busy moment of the machine falls on all alike.
        for number in range(requests + _WARM_UPS):
            print(f"\r{number + 1}/{requests + _WARM_UPS}", end="", file=sys.stderr, flush=True)
            for name, ask in asked.items():
                # Nobody asks twice about the same text: what is kept between requests is no help.
                now = f"Ten services bear {name} {number}."
                began = time.perf_counter()
                ask(now)
                if number >= _WARM_UPS:
                    times.setdefault(name, []).append(1000 * (time.perf_counter() - began))
        print(file=sys.stderr)
    return times


def _opened(page: Page, url: str, what: str, count: int) -> list[float]:
    """Open the page again and again; return milliseconds until it is loaded and shows ``what``."""
    found = []
    for number in range(count + 1):
        page.goto("about:blank")
        began = time.perf_counter()
        page.goto(url, wait_until="load")
        page.locator(what).first.wait_for(state="visible")
        if number:  # the first time fills the browser's cache
            found.append(1000 * (time.perf_counter() - began))
    return found


def _fields(page: Page) -> list[tuple[str, str]]:
    """Return what the editor would post."""
    made = page.evaluate("[...new FormData(document.getElementById('editor'))]")
    return [
        (name, value) for name, value in made if name not in ("environment", "csrfmiddlewaretoken")
    ]


def _posted(fields: list[tuple[str, str]], now: str) -> dict[str, Any]:
    """Return the fields as httpx posts them, with another hypothesis."""
    grouped: dict[str, Any] = {}
    for name, value in fields:
        is_shown = name == "hypothesis" or (name == "text" and "hypothesis" not in grouped)
        grouped.setdefault(name, []).append(value.replace(_SAID, now) if is_shown else value)
    return grouped


def percentile(values: list[float], share: float) -> float:
    """Return the smallest value that at least this share of the values do not exceed."""
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]


def _worst(times: dict[str, list[float]], what: str) -> float:
    """Return the highest p95 (of openings: median) of all that begin with the word."""
    of = statistics.median if what == "editor" else lambda values: percentile(values, 0.95)
    return round(max(of(values) for name, values in times.items() if name.startswith(what)), 1)


def _print(found: dict[str, Any]) -> None:
    print(f"{found['machine']}\n{found['versions']}\n$ {found['command']}")
    load = "load average {:.2f} before, {:.2f} after".format(
        found["load_before"][0], found["load_after"][0]
    )
    print(f"{found['requests']} requests and {found['openings']} openings of each, {load}\n")
    print(f"{'milliseconds':68} {'p50':>8} {'p95':>8} {'max':>8}")
    for name, label in _ROWS.items():
        shown = (found[f"{name}_{which}_ms"] for which in ("p50", "p95", "max"))
        print(f"{label:68} " + " ".join(f"{value:8.1f}" for value in shown))
    for name, aim in AIMS_MS.items():
        print(f"{name} {found[name]} of {aim:g}: {'met' if found[name] <= aim else 'MISSED'}")


def _is_met(found: dict[str, Any]) -> bool:
    return all(found[name] <= aim for name, aim in AIMS_MS.items())


if __name__ == "__main__":
    sys.exit(main())

"""A signed-in person at the web server, with the JSON API and the pages' forms."""

from __future__ import annotations

import secrets
from typing import Any, Self

import httpx

from tests.system.stack import Stack


class Web:
    """One session; requests share a kept connection. Thread-safe."""

    def __init__(self, stack: Stack, *, timeout_s: float = 20) -> None:
        token = secrets.token_hex(16)
        self._client = httpx.Client(
            base_url=stack.web_url,
            cookies=stack.ask("session") | {"csrftoken": token},
            headers={"X-CSRFToken": token, "Referer": stack.web_url},
            timeout=timeout_s,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def start(self, experiment: str, environment: str, key: str) -> httpx.Response:
        """Request a run by the API."""
        body: dict[str, Any] = {"experiment": experiment, "environment": environment}
        headers = {"Idempotency-Key": key}
        return self._client.post("/api/v1/runs", json=body, headers=headers)

    def stop(self, run: int) -> httpx.Response:
        """Stop a run by the API."""
        return self._client.post(f"/api/v1/runs/{run}/stop", json={})

    def press_stop(self, run: int) -> httpx.Response:
        """Stop a run as the button on its page does."""
        return self._client.post(f"/runs/{run}/stop/", data={})

"""Reads every Envoy's runtime all the time, past its proxy: what it shows is the truth."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx

from bench.torture_audit import Reading, sentinels
from tests.servers.envoy import RunningEnvoy

_EVERY_S = 0.5
_ANSWER_S = 2.0


@contextmanager
def readings(envoys: Mapping[str, RunningEnvoy]) -> Iterator[list[Reading]]:
    """Read while the block runs; the list grows meanwhile. An Envoy that hangs is left out."""
    found: list[Reading] = []
    over = threading.Event()

    def read(name: str, address: str) -> None:
        with httpx.Client(base_url=f"http://{address}", trust_env=False) as client:
            while not over.wait(_EVERY_S):
                asked = time.time()
                try:
                    answer = client.get("/runtime?format=json", timeout=_ANSWER_S)
                except httpx.TransportError:
                    continue
                entries = answer.json()["entries"].items()
                held, _ = sentinels((key, str(entry["final_value"])) for key, entry in entries)
                found.append(Reading(name, asked, time.time(), held))

    threads = [
        threading.Thread(target=read, args=(name, envoy.admin), name=f"reads {name}")
        for name, envoy in envoys.items()
    ]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        over.set()
        for thread in threads:
            thread.join()

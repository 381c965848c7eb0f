"""A client that asks one address again and again, and remembers every answer and its moment."""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: when it was there, by ``time.monotonic``, and its status (0: none came)."""

    at: float
    status: int


class Traffic:
    """Requests over one kept connection, in a thread of its own, while the context is open."""

    def __init__(self, port: int, *, pause_s: float = 0.02) -> None:
        self._port = port
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._answers: list[Answer] = []
        self._thread = threading.Thread(target=self._loop, name="traffic", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def answers(self) -> list[Answer]:
        """Return every answer so far, oldest first."""
        return self._answers.copy()

    def newest(self) -> Answer | None:
        """Return the last answer."""
        return self._answers[-1] if self._answers else None

    def wait_for(self, status: int, within_s: float, *, since: float = 0.0) -> Answer:
        """Return the first answer of the status that came after ``since``."""
        deadline = time.monotonic() + within_s
        position = 0
        while True:
            with self._changed:
                while position < len(self._answers):
                    answer = self._answers[position]
                    position += 1
                    if answer.status == status and answer.at >= since:
                        return answer
                left = deadline - time.monotonic()
                assert left > 0, f"no {status} within {within_s:g} s; newest: {self.newest()}"
                self._changed.wait(left)

    def clear(self) -> None:
        """Forget the answers so far."""
        with self._changed:
            self._answers.clear()

    def _loop(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        while not self._stop.wait(self._pause_s):
            try:
                connection.request("GET", "/")
                response = connection.getresponse()
                response.read()
                status = response.status
            except (OSError, http.client.HTTPException):
                connection.close()
                status = 0
            with self._changed:
                self._answers.append(Answer(time.monotonic(), status))
                self._changed.notify_all()
        connection.close()

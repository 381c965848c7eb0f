"""A proxy before every Envoy's admin interface that notes each change of the runtime, and when.

It passes bytes on as they come, so that a hung Envoy hangs and a dead one refuses. One thing is
harder than without it: a POST whose sender has given up stays with Envoy until Envoy answers, so
that a hung Envoy always applies it late, never drops it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from demo.settings import HOST

_CHUNK = 65_536
_END = b"\r\n\r\n"


@dataclass
class Post:
    """One change of an Envoy's runtime that somebody asked for. Moments are seconds since 1970."""

    envoy: str
    sent_at: float
    values: dict[str, str]
    """What each key was to be; an empty text deletes it."""
    answered_at: float | None = None
    status: int = 0
    """0 while nothing was answered, and for ever where Envoy died."""


@dataclass
class _Line:
    """One connection: what is still to be answered on it."""

    pending: deque[Post] = field(default_factory=deque)
    is_left: bool = False
    """Whether the sender has gone."""


class Proxies:
    """Run a proxy for each Envoy in one thread; ``posts`` is what they saw, oldest first."""

    def __init__(self, ports: dict[str, tuple[int, int]]) -> None:
        """Take (own port, Envoy's admin port) by the Envoy's name."""
        self._ports = ports
        self.posts: list[Post] = []
        self._servers: dict[str, asyncio.Server] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        for name in self._ports:
            self.listen(name)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def address(self, name: str) -> str:
        """Return where the Envoy's admin interface is reached through its proxy."""
        return f"{HOST}:{self._ports[name][0]}"

    def listen(self, name: str) -> None:
        """Take connections again."""
        self._do(self._listen(name))

    def refuse(self, name: str) -> None:
        """Refuse connections, as the kernel does for a process that is dead."""
        self._do(self._refuse(name))

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(timeout=10)

    async def _listen(self, name: str) -> None:
        own, target = self._ports[name]

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(name, target, reader, writer)

        self._servers[name] = await asyncio.start_server(serve, HOST, own, limit=1 << 22)

    async def _refuse(self, name: str) -> None:
        self._servers.pop(name).close()

    async def _close(self) -> None:
        for server in self._servers.values():
            server.close()
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()

    async def _serve(
        self,
        name: str,
        target: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        try:
            back, forth = await asyncio.open_connection(HOST, target, limit=1 << 22)
        except OSError:
            writer.transport.abort()
            return
        line = _Line()
        try:
            await asyncio.gather(
                self._upwards(name, line, reader, forth), self._downwards(line, back, writer)
            )
        except asyncio.CancelledError:
            pass  # the bench is over
        finally:
            forth.close()
            writer.close()

    async def _upwards(
        self, name: str, line: _Line, reader: asyncio.StreamReader, forth: asyncio.StreamWriter
    ) -> None:
        """Pass on what the sender says. Requests have no bodies: each ends with an empty line."""
        head = b""
        try:
            while data := await reader.read(_CHUNK):
                head += data
                while _END in head:
                    request, _, head = head.partition(_END)
                    self._note(name, line, request)
                forth.write(data)
                await forth.drain()
        except OSError:
            pass  # reset by either side: the same as a close
        line.is_left = True
        if not line.pending:
            forth.close()

    async def _downwards(
        self, line: _Line, back: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Pass on what Envoy says; the first bytes after a POST are its answer."""
        try:
            while data := await back.read(_CHUNK):
                if line.pending:
                    post = line.pending.popleft()
                    post.status = int(data.split(b" ", 2)[1])
                    post.answered_at = time.time()
                if line.is_left:
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # reset by either side: the same as a close
        writer.close()

    def _note(self, name: str, line: _Line, request: bytes) -> None:
        method, target, _ = request.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        parts = urlsplit(target)
        if method == "POST" and parts.path == "/runtime_modify":
            values = dict(parse_qsl(parts.query, keep_blank_values=True))
            post = Post(name, time.time(), values)
            line.pending.append(post)
            self.posts.append(post)

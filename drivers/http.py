"""Reads one HTTP address, for probes; and the bounded reading that every HTTP reader shares.

The errors of the readers, below the drivers' own::

    DriverError
    ├── RequestRefusedError     we will not send this: host not allowed, bad URL, bad header; final
    └── SourceUnavailableError  no usable answer: unreachable, too slow, broken, not what it
                                should be; ``retryable`` unless only a person can mend it
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from drivers.protocol import DriverError

MAX_TEXT_BYTES = 64 * 1024
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST"})


class RequestRefusedError(DriverError):
    """We refuse to send this request; sending it again will not help."""


class SourceUnavailableError(DriverError):
    """The source gave no usable answer. Retryable unless told otherwise."""

    def __init__(self, message: str, *, retryable: bool = True, hint: str = "") -> None:
        super().__init__(message, retryable=retryable, hint=hint)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What an address answered.

    ``headers`` have lower-case names, repeated ones joined by a comma. ``text`` holds the first
    64 KiB of the body; ``elapsed_s`` is seconds from the request until that much was read.
    """

    status: int
    headers: Mapping[str, str]
    text: str
    elapsed_s: float
    is_truncated: bool = False


@dataclass(frozen=True, slots=True)
class _AllowedHost:
    host: str
    port: int | None
    is_wildcard: bool

    def matches(self, url: httpx.URL) -> bool:
        host = _bare(url.host)
        if self.port is not None and self.port != _port(url):
            return False
        return host.endswith(f".{self.host}") if self.is_wildcard else host == self.host


class HttpReader:
    """Reads addresses on the hosts that an environment allows. Thread-safe.

    ``allowed_hosts`` holds ``host`` (any port), ``host:port``, ``[ipv6]:port`` or
    ``*.example.com`` (every name below it, not itself). Proxies and ``.netrc`` of the process are
    ignored, as they would lead requests and passwords past the list. Raises RequestRefusedError
    for an entry that is none of these.
    """

    def __init__(self, allowed_hosts: Iterable[str], *, ca_file: str | None = None) -> None:
        self._allowed = tuple(_read_entry(entry) for entry in allowed_hosts)
        # No connection is kept: one that the server had closed meanwhile would fail the next
        # probe although nothing is wrong.
        self._client = open_client(ca_file=ca_file, keep_alive=False)

    def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        timeout_s: float = 5.0,
        follow: int = 0,
    ) -> HttpAnswer:
        """Send one request and return the answer, whatever its status; never tries twice.

        ``follow`` is how many redirects to follow, none by default, and only on the same server:
        what the headers hold goes to no other host, port or scheme (but from http to https).
        ``timeout_s`` bounds the whole exchange in seconds. Raises RequestRefusedError before
        anything is sent, SourceUnavailableError when no whole answer came in time.
        """
        started_s = time.monotonic()
        request = self._build(url, method.upper(), headers or {}, body)
        deadline_s = started_s + timeout_s
        while True:
            with sending(self._client, request, deadline_s) as response:
                following = response.next_request
                if following is None or follow <= 0:
                    raw, is_truncated = read_at_most(response, MAX_TEXT_BYTES, deadline_s)
                    return HttpAnswer(
                        status=response.status_code,
                        headers=dict(response.headers.items()),
                        text=_decode(raw, response.charset_encoding),
                        elapsed_s=time.monotonic() - started_s,
                        is_truncated=is_truncated,
                    )
            if not _is_same_server(request.url, following.url):
                # The headers may hold a secret, which is for the host that the document names.
                raise RequestRefusedError(
                    f"{_place(request)} redirects to another server,"
                    f" {following.url.host}:{_port(following.url)}.",
                    hint="Probe that address itself, if its host is allowed.",
                )
            self._permit(following.url)
            request, follow = following, follow - 1

    def close(self) -> None:
        """Free the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _build(
        self, url: str, method: str, headers: Mapping[str, str], body: str | None
    ) -> httpx.Request:
        if method not in METHODS:
            raise RequestRefusedError(
                f"A probe cannot send {method}.", hint=f"Use one of {', '.join(sorted(METHODS))}."
            )
        try:
            target = httpx.URL(url)
        except (httpx.InvalidURL, TypeError) as error:
            raise RequestRefusedError(f"“{url}” is not a URL: {error}.") from error
        self._permit(target)
        try:
            return self._client.build_request(
                method,
                target,
                # A packed answer could unpack to far more than its bound.
                headers={"accept-encoding": "identity", **headers},
                content=body.encode() if body is not None else None,
            )
        except (UnicodeError, TypeError, AttributeError):
            # What they say quotes the header, which may hold a password.
            raise RequestRefusedError(
                "A header cannot be sent.", hint="Names and values must be plain ASCII text."
            ) from None

    def _permit(self, url: httpx.URL) -> None:
        if url.scheme not in ("http", "https") or not is_connectable(url):
            raise RequestRefusedError(
                f"“{url}” cannot be probed.", hint="Write http://host/path or https://host/path."
            )
        if url.userinfo:
            raise RequestRefusedError(
                "The URL holds a name or password.", hint="Send an Authorization header instead."
            )
        if not any(entry.matches(url) for entry in self._allowed):
            raise RequestRefusedError(
                f"The host {url.host}:{_port(url)} is not allowed here.",
                hint="An administrator can add it to the environment's allowed hosts.",
            )


def open_client(
    *,
    ca_file: str | None = None,
    keep_alive: bool = True,
    headers: Mapping[str, str] | None = None,
    auth: httpx.Auth | None = None,
) -> httpx.Client:
    """Open a client that trusts the system's authorities, or those of ``ca_file``.

    Raises RequestRefusedError when ``ca_file`` or a header cannot be used.
    """
    try:
        trust = ssl.create_default_context(cafile=ca_file)
        return httpx.Client(
            verify=trust,
            trust_env=False,
            follow_redirects=False,
            headers=dict(headers or {}),
            auth=auth,
            limits=httpx.Limits(
                max_connections=50,
                max_keepalive_connections=20 if keep_alive else 0,
                # Below the idle time-outs of common proxies, so that we hang up first.
                keepalive_expiry=30.0,
            ),
        )
    except (OSError, UnicodeError, TypeError, AttributeError) as error:
        raise RequestRefusedError(
            f"The connection's options cannot be used: {error}.",
            hint="Check ca_file and headers.",
        ) from error


def is_connectable(url: httpx.URL) -> bool:
    """Return whether a URL names a host and a port that exists; httpx accepts any number."""
    return bool(url.host) and 0 < _port(url) < 65536


@contextmanager
def sending(
    client: httpx.Client, request: httpx.Request, deadline_s: float
) -> Iterator[httpx.Response]:
    """Send, yield the response with its body unread, and close it.

    ``deadline_s`` is on ``time.monotonic()``. Raises SourceUnavailableError, or
    RequestRefusedError when the request itself is malformed.
    """
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise SourceUnavailableError(f"{_place(request)} was not asked: the time was used up.")
    request.extensions["timeout"] = httpx.Timeout(left_s).as_dict()
    try:
        response = client.send(request, stream=True)
    except httpx.LocalProtocolError:
        # What it says quotes the header, which may hold a password.
        raise RequestRefusedError(
            "The request cannot be sent: a header holds what HTTP does not allow.",
            hint="Names of headers are letters, digits and -; values have no line breaks.",
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _unavailable(request, error) from error
    try:
        yield response
    finally:
        response.close()


def read_at_most(response: httpx.Response, max_bytes: int, deadline_s: float) -> tuple[bytes, bool]:
    """Return the body's first ``max_bytes`` and whether there was more.

    The deadline (seconds on ``time.monotonic()``) is looked at between pieces, so a body that
    trickles is given up at most one read later. Headers that trickle are bounded only in size,
    as httpx bounds each read and not their sum. Raises SourceUnavailableError.
    """
    pieces, size = [], 0
    try:
        for piece in response.iter_bytes():
            pieces.append(piece)
            size += len(piece)
            if size > max_bytes:
                return b"".join(pieces)[:max_bytes], True
            if time.monotonic() > deadline_s:
                raise SourceUnavailableError(f"{_place(response.request)} answers too slowly.")
    except httpx.HTTPError as error:
        raise _unavailable(response.request, error) from error
    return b"".join(pieces), False


def _unavailable(request: httpx.Request, error: Exception) -> SourceUnavailableError:
    place = _place(request)
    if isinstance(error, httpx.TimeoutException):
        return SourceUnavailableError(f"{place} did not answer in time.")
    detail = str(error) or type(error).__name__
    if isinstance(error, httpx.ConnectError):
        return SourceUnavailableError(f"{place} cannot be reached: {detail}.")
    return SourceUnavailableError(f"{place} broke off its answer: {detail}.")


def _place(request: httpx.Request) -> str:
    """Name the address without its query, which may be long or private."""
    return str(request.url.copy_with(query=None, fragment=None, userinfo=b""))


def _bare(host: str) -> str:
    return host.lower().rstrip(".")


def _is_same_server(one: httpx.URL, other: httpx.URL) -> bool:
    """Return whether both are one server; https on its usual port is that of http on its own."""
    if _bare(one.host) != _bare(other.host):
        return False
    places = [(url.scheme, _port(url)) for url in (one, other)]
    return places[0] == places[1] or places == [("http", 80), ("https", 443)]


def _port(url: httpx.URL) -> int:
    if url.port is not None:
        return url.port
    return 443 if url.scheme == "https" else 80


def _decode(raw: bytes, charset: str | None) -> str:
    try:
        return raw.decode(charset or "utf-8", errors="replace")
    except (LookupError, ValueError):
        # A charset that Python does not know, or that is no text encoding.
        return raw.decode("utf-8", errors="replace")


_ENTRY = re.compile(r"(\*\.)?([\w.-]+|\[[0-9a-fA-F:.]+\])(?::(\d{1,5}))?")


def _read_entry(entry: str) -> _AllowedHost:
    match = _ENTRY.fullmatch(entry.strip())
    if match is None or not match[2].strip("."):
        raise RequestRefusedError(
            f"“{entry}” is no host that could be allowed.",
            hint="Write host, host:port or *.example.com.",
        )
    try:
        host = httpx.URL(f"http://{match[2]}").host
    except httpx.InvalidURL as error:
        raise RequestRefusedError(f"“{entry}” is no host: {error}.") from error
    return _AllowedHost(
        host=_bare(host),
        port=int(match[3]) if match[3] else None,
        is_wildcard=match[1] is not None,
    )

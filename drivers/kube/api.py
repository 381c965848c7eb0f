"""Calls to a cluster's API server, each bounded in time, each error told as a driver's.

The errors::

    DriverError
    ├── KubeError              the server refused; ``status`` and ``reason`` are its own
    │   ├── NotFoundError      404
    │   ├── ConflictError      409: exists already, or was changed meanwhile
    │   ├── UnauthorizedError  401: who we are
    │   └── ForbiddenError     403: what we may do
    └── UnknownOutcomeError    a change was sent and not answered, or answered by a broken server
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import httpx

from drivers.kube.access import Access
from drivers.protocol import DriverError, UnknownOutcomeError

TIMEOUT_S = 4.0
CONNECT_TIMEOUT_S = 2.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024
PAGE = 500
BRIEF_PAGE = 5000
_JSON = "application/json"
_BRIEF = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PATCHES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
_MANAGER = {"fieldManager": "chaosweb"}
_NO_QUERY: Mapping[str, str] = MappingProxyType({})

Body = dict[str, Any]


class KubeError(DriverError):
    """The API server refused a call."""

    def __init__(self, message: str, *, status: int, reason: str = "", **more: Any) -> None:
        super().__init__(message, **more)
        self.status = status
        self.reason = reason


class NotFoundError(KubeError):
    """There is no such object, kind or path."""


class ConflictError(KubeError):
    """The object exists already, or was changed by somebody else meanwhile."""


class ForbiddenError(KubeError):
    """The credentials are good, and may not do this."""


class UnauthorizedError(KubeError):
    """The credentials themselves are refused."""


def path(
    group: str, plural: str, *, namespace: str | None = None, name: str | None = None, sub: str = ""
) -> str:
    """Return the path of a collection or an object; ``group`` is ``v1`` or ``apps/v1``."""
    parts = ["api" if "/" not in group else "apis", group]
    parts += ["namespaces", quote(namespace, safe="")] if namespace else []
    parts += [plural] + ([quote(name, safe="")] if name else []) + ([sub] if sub else [])
    return "/" + "/".join(parts)


class Api:
    """One API server. Thread-safe; open one per process and keep it.

    Every call takes ``deadline``, seconds on ``time.monotonic()``; without one it has TIMEOUT_S.
    """

    def __init__(self, access: Access) -> None:
        self.server = access.server
        self._access = access
        self._client = access.client()

    def close(self) -> None:
        """Free the connections."""
        self._client.close()

    def get(self, at: str, *, deadline: float | None = None, **query: str) -> Body:
        """Return one object. Raises NotFoundError, KubeError, DriverError."""
        return self._ask("GET", at, query, deadline=deadline)

    def find(self, at: str, *, deadline: float | None = None, **query: str) -> Body | None:
        """Return one object, None where there is none."""
        try:
            return self.get(at, deadline=deadline, **query)
        except NotFoundError:
            return None

    def all(
        self,
        at: str,
        query: Mapping[str, str] = _NO_QUERY,
        *,
        deadline: float | None = None,
        most: int = 20_000,
        is_brief: bool = False,
    ) -> list[Body]:
        """Return every object of a collection, read in pages; kind and version are left out there.

        ``query`` are selectors: ``labelSelector``, ``fieldSelector``. ``is_brief``: only metadata,
        a tenth of the whole.

        A listing that ran out of its snapshot (410) begins anew once. Raises DriverError beyond
        ``most``.
        """
        try:
            return self._pages(at, query, deadline, most, is_brief=is_brief)
        except KubeError as error:
            if error.status != 410:
                raise
            return self._pages(at, query, deadline, most, is_brief=is_brief)

    def create(self, at: str, body: Body, *, deadline: float | None = None, **query: str) -> Body:
        """Create an object; fields that the server does not know are an error."""
        query = {"fieldValidation": "Strict", **_MANAGER, **query}
        return self._ask("POST", at, query, body, deadline=deadline)

    def replace(self, at: str, body: Body, *, deadline: float | None = None) -> Body:
        """Replace an object; a ``resourceVersion`` in it must still be the newest."""
        query = {"fieldValidation": "Strict", **_MANAGER}
        return self._ask("PUT", at, query, body, deadline=deadline)

    def patch(
        self, at: str, body: Any, *, kind: str = "merge", deadline: float | None = None
    ) -> Body:
        """Change an object: ``merge``, ``strategic`` (a mapping), or ``json`` (operations)."""
        content_type = _PATCHES[kind]
        return self._ask("PATCH", at, _MANAGER, body, deadline=deadline, content_type=content_type)

    def delete(self, at: str, body: Body | None = None, *, deadline: float | None = None) -> Body:
        """Delete an object; ``body`` are DeleteOptions. Raises NotFoundError."""
        return self._ask("DELETE", at, {}, body, deadline=deadline)

    def post(self, at: str, body: Body, *, deadline: float | None = None) -> Body:
        """Ask something that is asked by POST and changes nothing, such as an access review."""
        return self._ask("POST", at, {}, body, deadline=deadline, changes=False)

    def watch(self, at: str, query: Mapping[str, str], *, deadline: float) -> Iterator[Body]:
        """Yield what a watch of a collection tells: ``{"type": "MODIFIED", "object": {…}}``.

        Ends when the server ends it, says nothing any more, or at the deadline, give or take one
        silence as long: it shortens a wait and proves nothing, so read again afterwards. Raises
        KubeError where it is refused, DriverError.
        """
        left = deadline - time.monotonic()
        if left <= 0:
            return
        asked = {**query, "watch": "true", "timeoutSeconds": str(max(1, int(left)))}
        request = self._client.build_request(
            "GET",
            at,
            params=asked,
            headers={"accept": _JSON, **self._access.headers()},
            timeout=httpx.Timeout(left, connect=min(left, CONNECT_TIMEOUT_S)),
        )
        if self._access.server_name:
            request.extensions["sni_hostname"] = self._access.server_name
        try:
            response = self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        try:
            if response.status_code != 200:
                self._answered(request, (response.status_code, response.read()), changes=False)
            for line in response.iter_lines():
                yield json.loads(line)
                if time.monotonic() > deadline:
                    return
        except (httpx.HTTPError, ValueError):
            return  # it said nothing more, or half a line: whoever waits reads for themselves
        finally:
            response.close()

    def _pages(
        self,
        at: str,
        query: Mapping[str, str],
        deadline: float | None,
        most: int,
        *,
        is_brief: bool,
    ) -> list[Body]:
        found: list[Body] = []
        wanted = {**query, "limit": str(BRIEF_PAGE if is_brief else PAGE)}
        accept = _BRIEF if is_brief else _JSON
        while True:
            page = self._ask("GET", at, wanted, deadline=deadline, accept=accept)
            found += page.get("items") or []
            after = (page.get("metadata") or {}).get("continue")
            if not after:
                return found
            if len(found) >= most:
                raise DriverError(
                    f"{at} holds more than {most} objects.", hint="Select fewer of them."
                )
            wanted["continue"] = after

    def _ask(
        self,
        method: str,
        at: str,
        query: Mapping[str, str],
        body: Any = None,
        *,
        deadline: float | None,
        content_type: str = _JSON,
        accept: str = _JSON,
        changes: bool | None = None,
    ) -> Body:
        changes = method != "GET" if changes is None else changes
        left = TIMEOUT_S if deadline is None else min(TIMEOUT_S, deadline - time.monotonic())
        if left <= 0:
            raise DriverError(f"There was no time left to ask {self.server}.", retryable=True)
        until = time.monotonic() + left
        headers = {"accept": accept, **self._access.headers()}
        if body is not None:
            headers["content-type"] = content_type
        request = self._client.build_request(
            method,
            at,
            params=dict(query),
            content=None if body is None else json.dumps(body),
            headers=headers,
            timeout=httpx.Timeout(left, connect=min(left, CONNECT_TIMEOUT_S)),
        )
        if self._access.server_name:
            request.extensions["sni_hostname"] = self._access.server_name
        try:
            return self._answered(request, self._send(request, until, changes), changes)
        except _StaleConnectionError:
            # The server hung up a kept connection; reading twice does no harm.
            try:
                return self._answered(request, self._send(request, until, changes), changes)
            except _StaleConnectionError as error:
                raise self._unreachable(error) from error

    def _send(self, request: httpx.Request, until: float, changes: bool) -> tuple[int, bytes]:
        """Return status and body. A whole answer must have come by ``until``."""
        try:
            response = self._client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise self._unreachable(error) from error
        except httpx.HTTPError as error:
            raise self._lost(error, changes) from error
        pieces, size = [], 0
        try:
            for piece in response.iter_bytes():
                pieces.append(piece)
                size += len(piece)
                if size > MAX_ANSWER_BYTES or time.monotonic() > until:
                    raise self._lost(TimeoutError("its answer is too long"), changes)
        except httpx.HTTPError as error:
            raise self._lost(error, changes) from error
        finally:
            response.close()
        return response.status_code, b"".join(pieces)

    def _answered(self, request: httpx.Request, answer: tuple[int, bytes], changes: bool) -> Body:
        status, raw = answer
        try:
            body = json.loads(raw) if raw else {}
        except ValueError:
            body = None
        if 200 <= status < 300 and isinstance(body, dict):
            return body
        said = body if isinstance(body, dict) else {}
        message = str(said.get("message") or raw[:200].decode(errors="replace")).strip()
        reason = str(said.get("reason") or "")
        what = f"{self.server} answered {status} to {request.method} {request.url.path}: {message}"
        if status in (401, 403):
            refused = UnauthorizedError if status == 401 else ForbiddenError
            raise refused(_told(status, message), status=status, reason=reason, hint=_MENDS[status])
        if status == 404:
            raise NotFoundError(what, status=status, reason=reason)
        if status == 409:
            raise ConflictError(what, status=status, reason=reason, retryable=True)
        if status == 429:
            raise KubeError(what, status=status, reason=reason, retryable=True)
        is_webhook = "failed calling webhook" in message or "denied the request" in message
        if is_webhook:
            hint = "" if "denied" in message else "Is the webhook's own pod running?"
            raise KubeError(what, status=status, reason=reason, retryable=status >= 500, hint=hint)
        if status >= 500 or body is None:
            if changes:
                raise UnknownOutcomeError(what)
            raise KubeError(what, status=status, reason=reason, retryable=True)
        raise KubeError(what, status=status, reason=reason)

    def _unreachable(self, error: Exception) -> DriverError:
        return DriverError(
            f"The API server {self.server} cannot be reached ({_why(error)}).",
            retryable=True,
            hint="Is it running, and is this its address and its certificate authority?",
        )

    def _lost(self, error: Exception, changes: bool) -> DriverError:
        if changes:
            return UnknownOutcomeError(
                f"{self.server} did not answer ({_why(error)}): the change may have taken effect, "
                "or may still."
            )
        if isinstance(error, httpx.ReadError | httpx.RemoteProtocolError):
            return _StaleConnectionError(str(error), retryable=True)
        return self._unreachable(error)


class _StaleConnectionError(DriverError):
    """A kept connection was closed by the server before it answered."""


_MENDS = {
    401: "The token or certificate has expired or is another cluster's: enter a new one.",
    403: "Give the account the right; the connection's page writes the manifest.",
}


def _told(status: int, message: str) -> str:
    who = "The cluster refuses the credentials" if status == 401 else "The account may not do this"
    return f"{who}: {message}"


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__

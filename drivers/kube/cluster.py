"""One cluster as a connection reaches it: its API server, its identity, its allowed namespaces."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from drivers.kube import access, pods
from drivers.kube.api import Api, ForbiddenError, NotFoundError, path
from drivers.kube.pods import Pod
from drivers.kube.scope import Scope, scope_of
from drivers.protocol import ConnectionConfig, DriverError

MAX_PARALLEL = 16

Item = TypeVar("Item")
Result = TypeVar("Result")


class Cluster:
    """The client of one connection, kept with its connections. Thread-safe."""

    def __init__(self, connection: ConnectionConfig) -> None:
        self.name = connection.name
        self.scope: Scope = scope_of(connection)
        self.api = Api(access.read(connection))
        self._identity = ""
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """Close every kept connection."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True)
        self.api.close()

    def identity(self, deadline: float) -> str:
        """Return the uid of kube-system, or the server's address where we may not read that.

        Claims begin with it: two connections to one cluster hold the same things.
        """
        if not self._identity:
            try:
                found = self.api.get(
                    path("v1", "namespaces", name="kube-system"), deadline=deadline
                )
                self._identity = str(found["metadata"]["uid"])
            except (ForbiddenError, NotFoundError):
                self._identity = self.api.server
        return self._identity

    def namespaces(self, deadline: float) -> list[str]:
        """Return the allowed namespaces that exist, those named in full first.

        Raises DriverError where wildcards cannot be looked up; those named in full are not.
        """
        names = list(self.scope.names)
        if self.scope.has_wildcards:
            listed = self.api.all(path("v1", "namespaces"), deadline=deadline)
            found = [str(each["metadata"]["name"]) for each in listed]
            return [each for each in names if each in found] + self.scope.allowed(
                each for each in found if each not in names
            )
        return [each for each in names if self._exists(each, deadline)]

    def home(self, deadline: float) -> str:
        """Return where what we write about things in no namespace is kept. Raises DriverError."""
        for each in self.scope.names:
            if self._exists(each, deadline):
                return each
        found = self.namespaces(deadline) if self.scope.has_wildcards else []
        if not found:
            raise DriverError(
                "The connection allows no namespace that exists.",
                hint="What lies in no namespace is kept track of in one: name one in the "
                "connection's namespaces.",
            )
        return found[0]

    def _exists(self, namespace: str, deadline: float) -> bool:
        try:
            at = path("v1", "namespaces", name=namespace)
            return self.api.find(at, deadline=deadline) is not None
        except ForbiddenError:
            return True  # we may not look; what is done there will tell

    def pods(
        self, namespace: str, deadline: float, *, labels: str = "", node: str = ""
    ) -> list[Pod]:
        """Return the pods of a namespace (empty: of the cluster), by labels or by their node."""
        query = {"labelSelector": labels} if labels else {}
        query |= {"fieldSelector": f"spec.nodeName={node}"} if node else {}
        at = path("v1", "pods", namespace=namespace or None)
        listed = self.api.all(at, query, deadline=deadline)
        return [pods.read(each) for each in listed]

    def staying(self, namespace: str, deadline: float) -> set[str]:
        """Return the uids of the pods of a namespace that are not being deleted."""
        at = path("v1", "pods", namespace=namespace)
        listed = self.api.all(at, deadline=deadline, is_brief=True)
        about = [each["metadata"] for each in listed]
        return {str(each["uid"]) for each in about if "deletionTimestamp" not in each}

    def each(
        self, ask: Callable[[Item], Result], items: Iterable[Item]
    ) -> list[tuple[Item, Result | DriverError]]:
        """Ask for every item, several at once; return each answer or error in the order given."""

        def guarded(item: Item) -> Result | DriverError:
            try:
                return ask(item)
            except DriverError as error:
                return error

        wanted = list(items)
        if len(wanted) < 2:
            return [(item, guarded(item)) for item in wanted]
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(MAX_PARALLEL, f"kubernetes-{self.name}")
            pool = self._pool
        return list(zip(wanted, pool.map(guarded, wanted), strict=True))

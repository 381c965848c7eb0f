"""Reach all Envoys of a connection at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from drivers.envoy.admin import AdminClient
from drivers.protocol import ConnectionConfig, DriverError, UnknownOutcomeError

DEFAULT_TIMEOUT_S = 2.0
MAX_PARALLEL = 32

Result = TypeVar("Result")


class Fleet:
    """The clients of one connection, kept with their connections. Thread-safe."""

    def __init__(self, connection: ConnectionConfig) -> None:
        self.name = connection.name
        self.addresses = _addresses(connection)
        self.timeout_s = _timeout_s(connection)
        self._lock = threading.Lock()
        self._clients: dict[str, AdminClient] = {}
        self._pool: ThreadPoolExecutor | None = None
        for address in self.addresses:
            self.client(address)

    def close(self) -> None:
        """Close every kept connection."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True)
        for client in clients:
            client.close()

    def client(self, address: str) -> AdminClient:
        """Return the client of an address, which a plan may name after the connection does not."""
        with self._lock:
            if address not in self._clients:
                self._clients[address] = AdminClient(address, self.timeout_s)
            return self._clients[address]

    def each(
        self, ask: Callable[[str], Result], addresses: Iterable[str]
    ) -> dict[str, Result | DriverError]:
        """Ask every Envoy at once and return each answer or error, in the order given."""

        def guarded(address: str) -> Result | DriverError:
            try:
                return ask(address)
            except DriverError as error:
                return error

        wanted = list(addresses)
        if len(wanted) < 2:
            return {address: guarded(address) for address in wanted}
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(MAX_PARALLEL, f"envoy-{self.name}")
            pool = self._pool
        return dict(zip(wanted, pool.map(guarded, wanted), strict=True))


def answers(results: Mapping[str, Result | DriverError]) -> dict[str, Result]:
    """Return every answer, or raise the errors as one: final when any of them is."""
    errors = [result for result in results.values() if isinstance(result, DriverError)]
    if not errors:
        return {key: value for key, value in results.items() if not isinstance(value, DriverError)}
    if len(errors) == 1:
        raise errors[0]
    first = next((error for error in errors if not error.retryable), errors[0])
    raise DriverError(
        " ".join(error.message for error in errors), retryable=first.retryable, hint=first.hint
    ) from first


def partial(errors: Sequence[DriverError], total: int) -> DriverError:
    """Return the error of an injection that some Envoys may have taken.

    Final when any of the errors is, and unknown when any of them is: it may be both.
    """
    message = " ".join(error.message for error in errors)
    first = next((error for error in errors if not error.retryable), errors[0])
    is_unknown = any(isinstance(each, UnknownOutcomeError) for each in errors)
    if is_unknown or (first.retryable and len(errors) < total):
        error: DriverError = UnknownOutcomeError(
            message, retryable=first.retryable, hint=first.hint
        )
    else:
        error = DriverError(message, retryable=first.retryable, hint=first.hint)
    error.__cause__ = first
    return error


def _addresses(connection: ConnectionConfig) -> tuple[str, ...]:
    given = connection.options.get("addresses")
    if not isinstance(given, list | tuple) or not given:
        raise DriverError(
            f"Connection {connection.name} has no addresses.",
            hint='Give the Envoys\' admin addresses: {"addresses": ["127.0.0.1:9901"]}.',
        )
    if not all(isinstance(address, str) for address in given):
        raise DriverError(f"Connection {connection.name}: every address must be a text.")
    return tuple(dict.fromkeys(address.strip() for address in given))


def _timeout_s(connection: ConnectionConfig) -> float:
    given = connection.options.get("timeout_s", DEFAULT_TIMEOUT_S)
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given <= 5:
        raise DriverError(
            f"Connection {connection.name}: timeout_s is {given!r}.",
            hint="Give seconds: more than 0, at most 5.",
        )
    return float(given)

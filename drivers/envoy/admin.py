"""Talk to one Envoy's admin interface.

Native errors end here: see ``AdminClient`` for which becomes what.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any

import httpx

from drivers.envoy.config import EnvoyConfig, read_config
from drivers.envoy.payload import Runtime, modify_path, read_runtime, read_stats
from drivers.protocol import DriverError, UnknownOutcomeError

CONNECT_TIMEOUT_S = 1.0
CONFIG_TTL_S = 5.0
"""How long a config may be reused between the calls of one injection."""
NO_ADMIN_LAYER_HINT = (
    "Add {name: admin, admin_layer: {}} as the last of layered_runtime.layers in the bootstrap "
    "and restart Envoy."
)
# A whole config dump of a mesh is megabytes; each of these masks fits one of its messages.
_MASKS = (
    (
        "bootstrap.node.id,bootstrap.node.cluster,bootstrap.layered_runtime,"
        "bootstrap.stats_flush_interval"
    ),
    "static_listeners,dynamic_listeners",
    "static_route_configs,dynamic_route_configs",
    "ecds_filters",
)
# One of these asks for names only: Envoy applies the mask to each cluster.
_CLUSTERS = ("static_clusters", "dynamic_active_clusters")
_ADDRESS = re.compile(r"(?:http://)?((?:[\w.-]+|\[[0-9a-fA-F:.]+\]):\d{1,5})/?")


class AdminClient:
    """One admin address: ``host:port``, ``http://host:port`` or ``unix:/path/admin.sock``.

    Thread-safe; connections are kept alive. Raises DriverError: retryable where nothing was sent
    or a read failed, final where Envoy refused; UnknownOutcomeError where a POST got no answer.
    """

    def __init__(self, address: str, timeout_s: float) -> None:
        self.address = address
        self.timeout_s = timeout_s
        self.socket: str | None = None
        if address.startswith("unix:/"):
            self.socket = "/" + address[len("unix:") :].lstrip("/")
            self.host = "envoy"
        elif (match := _ADDRESS.fullmatch(address)) is not None:
            self.host = match[1]
        else:
            raise DriverError(
                f"“{address}” is no admin address.",
                hint="Write host:port, http://host:port or unix:/path/admin.sock.",
            )
        self.url = f"http://{self.host}"
        # A proxy of the environment must not stand between us and an admin interface.
        self._client = httpx.Client(
            base_url=self.url,
            transport=httpx.HTTPTransport(uds=self.socket) if self.socket else None,
            limits=httpx.Limits(max_connections=8, keepalive_expiry=60),
            trust_env=False,
        )
        self._config: tuple[float, EnvoyConfig] | None = None

    def close(self) -> None:
        """Close the kept connections."""
        self._client.close()

    def config(self, *, fresh: bool = False, deadline: float | None = None) -> EnvoyConfig:
        """Return the Envoy's configuration, at most CONFIG_TTL_S old."""
        kept = self._config
        if kept is not None and not fresh and time.monotonic() - kept[0] < CONFIG_TTL_S:
            return kept[1]
        read_at = time.monotonic()
        parts: list[Mapping[str, Any]] = []
        for mask in _MASKS:
            parts += self._dump(mask, deadline)
        config = read_config(parts)
        self._config = (read_at, config)
        return config

    def clusters(self, deadline: float | None = None) -> list[str]:
        """Return the names of the Envoy's clusters, as configured now."""
        found: list[str] = []
        for resource in _CLUSTERS:
            path = f"/config_dump?resource={resource}&mask=cluster.name"
            answer = self._get(path, deadline, may_miss=True)
            # Envoy answers 400 when it has none of the kind, as without cluster discovery.
            parts = [] if answer.status_code == 400 else self._json(answer).get("configs", [])
            found += [str(part.get("cluster", {}).get("name", "")) for part in parts]
        return [name for name in found if name]

    def runtime(self, admin_layer: str | None, deadline: float | None = None) -> Runtime:
        """Return the runtime as it is now; ``admin_layer`` is that layer's name."""
        answer = self._json(self._get("/runtime?format=json", deadline))
        return read_runtime(answer, admin_layer)

    def version(self) -> str:
        """Return which Envoy it is (``1.40.0``); empty where it does not say."""
        said = str(self._json(self._get("/server_info", None)).get("version", ""))
        return said.split("/")[1] if said.count("/") >= 2 else said

    def counters(self, path: str, deadline: float | None = None) -> dict[str, float]:
        """Return the counters that ``path`` (see ``payload.stats_path``) asks for."""
        return read_stats(self._get(path, deadline).text)

    def modify(self, values: Mapping[str, str], deadline: float | None = None) -> None:
        """Set and delete runtime keys in one snapshot."""
        answer = self._send("POST", modify_path(values), deadline)
        if answer.status_code == 503 and "No admin layer" in answer.text:
            raise DriverError(
                f"{self.address} has no admin layer in its runtime.", hint=NO_ADMIN_LAYER_HINT
            )
        self._demand_ok(answer)

    def _dump(self, mask: str, deadline: float | None) -> list[Mapping[str, Any]]:
        answer = self._get(f"/config_dump?mask={mask}", deadline, may_miss=True)
        # Envoy answers 400 when it has no message with such fields, as without any ECDS filter.
        if answer.status_code == 400:
            return []
        configs = self._json(answer).get("configs", [])
        return [part for part in configs if isinstance(part, dict)]

    def _get(self, path: str, deadline: float | None, *, may_miss: bool = False) -> httpx.Response:
        try:
            answer = self._send("GET", path, deadline)
        except _StaleConnectionError:
            # Envoy restarted or dropped an idle connection. Reading twice does no harm.
            try:
                answer = self._send("GET", path, deadline)
            except _StaleConnectionError as error:
                raise self._unreachable(error) from error
        if not (may_miss and answer.status_code == 400):
            self._demand_ok(answer)
        return answer

    def _send(self, method: str, path: str, deadline: float | None) -> httpx.Response:
        left = self.timeout_s
        if deadline is not None:
            left = min(left, deadline - time.monotonic())
            if left <= 0:
                raise DriverError(f"There was no time left to ask {self.address}.", retryable=True)
        timeout = httpx.Timeout(left, connect=min(left, CONNECT_TIMEOUT_S))
        try:
            return self._client.request(method, path, timeout=timeout)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            self._config = None
            raise self._unreachable(error) from error
        except httpx.HTTPError as error:
            self._config = None
            if method == "POST":
                raise UnknownOutcomeError(
                    f"{self.address} did not answer ({_reason(error)}): the change may have taken "
                    "effect, or may still."
                ) from error
            if isinstance(error, httpx.ReadError | httpx.RemoteProtocolError):
                raise _StaleConnectionError(str(error)) from error
            raise self._unreachable(error) from error
        except (httpx.InvalidURL, UnicodeError) as error:
            raise DriverError(f"{self.address} cannot be asked: {error}") from error

    def _unreachable(self, error: Exception) -> DriverError:
        return DriverError(
            f"{self.address} cannot be reached ({_reason(error)}).",
            retryable=True,
            hint="Is Envoy running, and is this its admin address?",
        )

    def _demand_ok(self, answer: httpx.Response) -> None:
        if answer.is_success:
            return
        path = answer.request.url.path
        hint = ""
        if answer.status_code == 403:
            hint = "allow_paths of the admin interface must have /runtime, /stats and /config_dump."
        elif answer.status_code == 404:
            hint = "Is this an Envoy's admin address?"
        raise DriverError(
            f"{self.address} answered {answer.status_code} to {path}: {answer.text[:200].strip()}",
            retryable=answer.status_code >= 500,
            hint=hint,
        )

    def _json(self, answer: httpx.Response) -> Mapping[str, Any]:
        try:
            found = json.loads(answer.content)
        except ValueError as error:
            raise self._strange() from error
        if not isinstance(found, dict):
            raise self._strange()
        return found

    def _strange(self) -> DriverError:
        return DriverError(
            f"{self.address} does not answer like an Envoy.", hint="Is this its admin address?"
        )


class _StaleConnectionError(Exception):
    """A kept connection broke while reading."""


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__

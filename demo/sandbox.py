"""Compose the sandbox: Valkey, the shop, both Envoys, Prometheus and the load, as one context."""

import secrets
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

from demo import prometheus, roster
from demo.fetch import FetchError, fetch, fetch_json
from demo.processes import Supervisor
from demo.settings import ENVOYS, HOST, SERVICES, DemoConfig, check_ports

_RATE = "sum by (envoy_http_conn_manager_prefix) (rate(envoy_http_downstream_rq_total[4s]))"


class NotWarm(Exception):  # noqa: N818 (it reads as what is wrong)
    """Traffic did not come up in time; the message says what was seen."""


class Sandbox:
    """Run the whole sandbox while the context is open.

        with Sandbox(DemoConfig.from_env(os.environ), Path("var/demo")) as sandbox:
            sandbox.wait_until_warm()
            sandbox.supervisor.watch()

    More processes may be started through `supervisor`; they stop before the sandbox does.
    """

    def __init__(self, config: DemoConfig, workdir: Path, password: str | None = None) -> None:
        self.config = config
        self.workdir = workdir.resolve()
        self.supervisor = Supervisor()
        self.edge_url = f"http://{HOST}:{config.edge_port}"
        self.edge_admin = f"{HOST}:{config.edge_admin_port}"
        self.mesh_admin = f"{HOST}:{config.mesh_admin_port}"
        self.prometheus_url = f"http://{HOST}:{config.prometheus_port}"
        self._password = password or secrets.token_urlsafe(24)
        self.redis_url = f"redis://:{self._password}@{HOST}:{config.valkey_port}/0"

    def __enter__(self) -> Self:
        """Start everything and return once all of it answers.

        Raises SettingsError (a port is busy), PrometheusMissing or ProcessError; nothing is
        left running then.
        """
        check_ports(self.config, with_web=False)
        processes = roster.processes(self.config, self.workdir, valkey_password=self._password)
        self.supervisor.__enter__()
        try:
            self.supervisor.start(processes)
        except BaseException as error:
            self.supervisor.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.supervisor.__exit__(kind, error, trace)

    def wait_until_warm(self, within_s: float = 30.0) -> None:
        """Wait until Prometheus sees the wanted traffic at the edge and at every service.

        Raises NotWarm when it does not come, ProcessDied when a process ends meanwhile.
        """
        wanted = 0.8 * self.config.load_rate
        deadline = time.monotonic() + within_s
        rates: dict[str, float] = {}
        while any(rates.get(name, 0.0) < wanted for name in ("edge", *SERVICES)):
            self.supervisor.check()
            if time.monotonic() > deadline:
                raise NotWarm(
                    f"After {within_s:g} s not everything got {wanted:g} requests/s: {rates}"
                )
            time.sleep(0.2)
            rates = self.rates()

    def rates(self) -> dict[str, float]:
        """Return requests per second over the last 4 s at the edge and at each service."""
        try:
            samples = prometheus.instant(self.prometheus_url, _RATE)
        except FetchError:
            return {}
        return {each.labels["envoy_http_conn_manager_prefix"]: each.value for each in samples}

    def runtime(self) -> dict[str, dict[str, str]]:
        """Return what is overridden in each Envoy's admin layer: key and value, by Envoy."""
        return {name: self._overrides(name) for name in ENVOYS}

    def override(self, envoy: str, key: str, value: str | int | None) -> None:
        """Set a runtime key of the Envoy `edge` or `mesh`; None removes the override."""
        query = urlencode({key: "" if value is None else value})
        fetch(f"http://{self._admin(envoy)}/runtime_modify?{query}", method="POST")

    def _admin(self, envoy: str) -> str:
        return {"edge": self.edge_admin, "mesh": self.mesh_admin}[envoy]

    def _overrides(self, envoy: str) -> dict[str, str]:
        runtime = fetch_json(f"http://{self._admin(envoy)}/runtime?format=json")
        layer = runtime["layers"].index("admin")
        values = {key: each["layer_values"][layer] for key, each in runtime["entries"].items()}
        return {key: value for key, value in values.items() if value != ""}

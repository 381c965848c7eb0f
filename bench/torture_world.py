"""Everything that the torture needs, started: three Envoys behind proxies, servers, ChaosWeb."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import torture_runs
from bench.torture_blows import Servers
from bench.torture_plan import ENVOYS
from bench.torture_proxy import Proxies
from demo.settings import HOST
from tests.servers import envoy as servers_envoy
from tests.servers.envoy import RunningEnvoy, Upstream
from tests.servers.postgresql import RunningPostgresql
from tests.servers.prometheus import RunningPrometheus
from tests.system.stack import Stack
from tests.system.traffic import Traffic

SCRAPE_S = 1.0
# Below Linux's ephemeral range, above that of `demo.settings`: nobody takes the port of a server
# that is dead for a moment.
_PORTS = range(30_000, 32_700)


@contextmanager
def running(folder: Path) -> Iterator[Servers]:
    """Start all of it, with every experiment saved; end all of it with the block."""
    ports = _free_ports(3 * len(ENVOYS) + 1)
    with ExitStack() as open_:
        upstream = open_.enter_context(Upstream())
        envoys: dict[str, RunningEnvoy] = {}
        doors: dict[str, tuple[int, int]] = {}
        for name in ENVOYS:
            listener, admin, own = ports.pop(), ports.pop(), ports.pop()
            config = servers_envoy.bootstrap(
                [torture_runs.listener(listener)], upstream.port, node_id=name
            )
            envoy = RunningEnvoy(config | {"stats_flush_interval": "1s"}, admin_port=admin)
            envoys[name] = open_.enter_context(envoy)
            doors[name] = (own, admin)
            open_.enter_context(Traffic(listener, pause_s=0.2))
        scraped = {
            "job_name": "envoy",
            "metrics_path": "/stats/prometheus",
            "static_configs": [{"targets": [envoy.admin for envoy in envoys.values()]}],
        }
        prometheus = open_.enter_context(RunningPrometheus(ports.pop(), [scraped], SCRAPE_S))
        proxies = open_.enter_context(Proxies(doors))
        database = open_.enter_context(RunningPostgresql())
        stack = open_.enter_context(
            Stack(folder, database_url=database.url, controls=2, agent="bench.torture_agent")
        )
        _furnish(stack, proxies, prometheus.url)
        yield Servers(stack, envoys, proxies, database, prometheus)


def _furnish(stack: Stack, proxies: Proxies, prometheus: str) -> None:
    meshes = {name: [proxies.address(name)] for name in ENVOYS}
    meshes[torture_runs.FLEET] = [proxies.address(name) for name in ENVOYS]
    stack.ask(
        "world",
        name=torture_runs.ENVIRONMENT,
        meshes=meshes,
        prometheus=prometheus,
        scrape_s=SCRAPE_S,
    )
    chance = random.Random(1)
    for slot in torture_runs.slots():
        for flavour in torture_runs.FLAVOURS:
            stack.ask("save", document=torture_runs.document(slot, flavour, chance))


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("there are not enough free ports")

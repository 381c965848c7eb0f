"""Be the shop: front, orders, carts, payment and three replicas of catalogue in one process.

    front ──▶ catalogue
          └─▶ orders ──▶ carts
                     └─▶ payment

Every arrow passes the mesh Envoy, so that a fault there is felt by the caller. Each service
answers with its name and the time it worked; front and orders turn a failing callee into a 500,
as a service does that has no fallback.

Run it with `python -m demo.shop --config FILE`, where FILE holds a `DemoConfig` as JSON.
"""

import argparse
import asyncio
import gc
import json
import math
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web

from demo.settings import HOST, SERVICES, DemoConfig

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>The sock shop</title>
<style>body { font: 1.1rem/1.5 system-ui; max-width: 40rem; margin: 4rem auto; padding: 0 1rem }
</style>
<h1>The sock shop</h1>
<p>It sells nothing, but it works for its living: <a href="/checkout">check out</a> once and
front asks catalogue and orders, and orders asks carts and payment, each through Envoy.</p>
<p>Break something in ChaosWeb and try again.</p>
</html>
"""


@dataclass(frozen=True)
class Trade:
    """Say how a service earns its living: its own work, and whom it asks, one after another."""

    median_ms: float
    spread: float  # sigma of the lognormal work time: 0.12 puts the 95th percentile 22 % higher
    callees: tuple[str, ...] = ()


# catalogue is asked before orders, so that a failing orders leaves it its traffic.
TRADES = {
    "front": Trade(4.0, 0.12, ("catalogue", "orders")),
    "orders": Trade(6.0, 0.12, ("carts", "payment")),
    "carts": Trade(14.0, 0.12),
    "catalogue": Trade(12.0, 0.12),
    "payment": Trade(18.0, 0.12),
}


class CalleeFailed(Exception):  # noqa: N818 (it reads as what happened)
    """A service that was asked answered an error, or not at all."""


class Service:
    """Answer for one replica of one service."""

    def __init__(self, name: str, replica: int, config: DemoConfig, session: ClientSession) -> None:
        self.name = name
        self._replica = f"{name}-{replica}"
        self._trade = TRADES[name]
        self._session = session
        self._chance = random.Random(f"{config.seed}/{self._replica}")
        self._addresses = {
            callee: f"http://{HOST}:{config.mesh_port(callee)}/checkout"
            for callee in self._trade.callees
        }

    def application(self) -> web.Application:
        """Build the server's routes."""
        application = web.Application()
        application.router.add_get("/health", self.health)
        application.router.add_get("/checkout", self.checkout)
        if self.name == "front":
            application.router.add_get("/", self.page)
        return application

    async def health(self, request: web.Request) -> web.Response:
        """Answer 200 while the process lives; asks nobody else."""
        return web.json_response({"service": self._replica, "status": "ok"})

    async def page(self, request: web.Request) -> web.Response:
        """Show a person what this is."""
        return web.Response(text=_PAGE, content_type="text/html")

    async def checkout(self, request: web.Request) -> web.Response:
        """Work, ask every callee, and answer 200, or 500 if one of them failed."""
        began = time.perf_counter()
        await asyncio.sleep(self._work_s())
        try:
            for callee in self._addresses:
                await self._ask(callee)
        except CalleeFailed as error:
            return web.json_response({"service": self._replica, "error": str(error)}, status=500)
        worked_ms = round((time.perf_counter() - began) * 1000, 1)
        return web.json_response({"service": self._replica, "worked_ms": worked_ms})

    async def _ask(self, callee: str) -> None:
        try:
            async with self._session.get(self._addresses[callee]) as answer:
                await answer.read()
                if answer.status >= 400:
                    raise CalleeFailed(f"{callee} answered {answer.status}")
        except (ClientError, TimeoutError) as error:
            raise CalleeFailed(f"{callee} did not answer ({type(error).__name__})") from error

    def _work_s(self) -> float:
        trade = self._trade
        return self._chance.lognormvariate(math.log(trade.median_ms), trade.spread) / 1000


async def open_shop(config: DemoConfig) -> None:
    """Serve every service until SIGTERM or SIGINT, then finish what was begun."""
    closing = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, closing.set)
    # Longer than any fault a sane experiment injects; shorter than a person's patience.
    session = ClientSession(timeout=ClientTimeout(total=30), connector=TCPConnector(limit=0))
    runners: list[web.AppRunner] = []
    try:
        for name in SERVICES:
            for replica, port in enumerate(config.service_ports(name), start=1):
                service = Service(name, replica, config, session)
                # Envoy closes idle connections after 30 s (demo/envoys.py): were we first, it
                # might send a request into a closing connection and report an error of its own.
                runner = web.AppRunner(
                    service.application(), access_log=None, keepalive_timeout=300
                )
                await runner.setup()
                runners.append(runner)
                await web.TCPSite(runner, HOST, port, shutdown_timeout=1.0).start()
        # What lives now lives to the end: the collector need not stop every service to see it.
        gc.collect()
        gc.freeze()
        sys.stdout.write("The shop is open.\n")
        sys.stdout.flush()
        await closing.wait()
    finally:
        for runner in runners:
            await runner.cleanup()
        await session.close()


def main() -> None:
    """Read the command line and open the shop."""
    parser = argparse.ArgumentParser(prog="python -m demo.shop", description="Serve the demo shop.")
    parser.add_argument("--config", type=Path, required=True, help="a DemoConfig as a JSON file")
    path: Path = parser.parse_args().config
    asyncio.run(open_shop(DemoConfig(**json.loads(path.read_text()))))


if __name__ == "__main__":
    main()

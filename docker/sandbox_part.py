"""Be one part of the demo's sandbox in a container: shop, mesh, edge or load.

The four containers share one network namespace, as the containers of a pod do, so that every
address in demo/ (127.0.0.1) holds. Only what other containers ask is opened to them: the Envoys'
admin interfaces, and the edge's listener.
"""

import argparse
import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from demo import envoys  # noqa: E402 (found through the line above)
from demo.roster import program  # noqa: E402
from demo.settings import HOST, DemoConfig  # noqa: E402

EVERYWHERE = "0.0.0.0"  # noqa: S104 (inside the containers' own network)


def opened(document: envoys.Document, *listeners: str) -> envoys.Document:
    """Return an Envoy's bootstrap whose admin interface and named listeners others can reach."""
    opening = [document["admin"]]
    opening += [
        each for each in document["static_resources"]["listeners"] if each["name"] in listeners
    ]
    for each in opening:
        each["address"]["socket_address"]["address"] = EVERYWHERE
    return document


def shop(config: DemoConfig, workdir: Path) -> tuple[str, ...]:
    """Build the shop's command line."""
    settings = workdir / "shop.json"
    settings.write_text(json.dumps(dataclasses.asdict(config)))
    return (sys.executable, "-m", "demo.shop", "--config", str(settings))


def mesh(config: DemoConfig, workdir: Path) -> tuple[str, ...]:
    """Build the command line of the mesh Envoy."""
    return _envoy(envoys.write(opened(envoys.mesh(config)), workdir / "mesh.json"))


def edge(config: DemoConfig, workdir: Path) -> tuple[str, ...]:
    """Build the command line of the edge Envoy."""
    return _envoy(envoys.write(opened(envoys.edge(config), "edge"), workdir / "edge.json"))


def load(config: DemoConfig, workdir: Path) -> tuple[str, ...]:
    """Build the command line of the load, and hand it the rate through the environment."""
    users = str(max(1, round(config.load_rate)))
    os.environ.update(DEMO_LOAD_RATE=f"{config.load_rate:g}", DEMO_LOAD_USERS=users)
    return (
        program("locust"),
        *("--locustfile", str(ROOT / "demo" / "load.py")),
        *("--host", f"http://{HOST}:{config.edge_port}"),
        *("--users", users, "--spawn-rate", users),
        *("--headless", "--only-summary", "--loglevel", "WARNING"),
    )


PARTS: dict[str, Callable[[DemoConfig, Path], tuple[str, ...]]] = {
    "shop": shop,
    "mesh": mesh,
    "edge": edge,
    "load": load,
}


def main() -> None:
    """Write the part's configuration and become its process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    part: str = parser.parse_args().part
    workdir = Path(tempfile.mkdtemp(prefix=f"{part}-"))
    argv = PARTS[part](DemoConfig.from_env(os.environ), workdir)
    os.chdir(ROOT)
    os.execv(argv[0], argv)  # noqa: S606 (no shell is wanted)


def _envoy(bootstrap: Path) -> tuple[str, ...]:
    return (
        program("envoy"),
        *("-c", str(bootstrap)),
        *("--concurrency", "1", "--log-level", "warning", "--disable-hot-restart"),
    )


if __name__ == "__main__":
    main()

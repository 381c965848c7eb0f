"""Describe ChaosWeb's own processes: the web server, two Celery workers and beat.

They need the sandbox's Valkey, and a database that `manage.py migrate` has made.
"""

import secrets
import signal
from collections.abc import Mapping
from pathlib import Path

from demo.fetch import answers
from demo.processes import Process, log_says
from demo.roster import ROOT, environment, program
from demo.settings import HOST, DemoConfig


def settings(config: DemoConfig, workdir: Path, *, redis_url: str) -> dict[str, str]:
    """Build the environment that chaosweb/settings.py reads, for every process and command."""
    workdir = workdir.resolve()
    url = f"http://{HOST}:{config.web_port}"
    return environment(
        DJANGO_SETTINGS_MODULE="chaosweb.settings",
        SECRET_KEY=_secret_key(workdir / "secret_key"),
        BASE_URL=url,
        DEBUG="no",
        ALLOWED_HOSTS=f"{HOST},localhost",
        CSRF_TRUSTED_ORIGINS=f"{url},http://localhost:{config.web_port}",
        DATABASE_URL=f"sqlite:{workdir / 'chaosweb.sqlite3'}",
        REDIS_URL=redis_url,
        HASHED_STATIC="no",
    )


def processes(config: DemoConfig, workdir: Path, env: Mapping[str, str]) -> tuple[Process, ...]:
    """Describe the processes; `env` is what `settings` built."""
    workdir = workdir.resolve()
    return (
        _web(config, workdir, env),
        _worker("control", workdir, env, queues="control,ticks"),
        _worker("looks", workdir, env, queues="looks"),
        _celery("beat", workdir, env, "beat", "--schedule", str(workdir / "beat-schedule")),
    )


def _web(config: DemoConfig, workdir: Path, env: Mapping[str, str]) -> Process:
    address = f"{HOST}:{config.web_port}"
    return Process(
        name="web",
        argv=(
            program("gunicorn"),
            "chaosweb.wsgi",
            *("--bind", address),
            *("--worker-class", "gthread"),
            *("--workers", "1"),
            *("--threads", "8"),
            "--no-control-socket",  # it would lie in the home directory, shared with others
        ),
        env=env,
        cwd=ROOT,
        log=workdir / "web.log",
        needs=("valkey",),
        ready=lambda: answers(f"http://{address}/"),
        orphan_signal=signal.SIGTERM,
    )


def _worker(name: str, workdir: Path, env: Mapping[str, str], *, queues: str) -> Process:
    return _celery(
        name,
        workdir,
        env,
        "worker",
        *("-Q", queues),
        *("-P", "threads"),
        *("-c", "16"),
        *("-n", f"{name}@%h"),
        ready_text=" ready.",
    )


def _celery(
    name: str,
    workdir: Path,
    env: Mapping[str, str],
    *arguments: str,
    ready_text: str = " is starting",
) -> Process:
    log = workdir / f"{name}.log"
    return Process(
        name=name,
        argv=(program("celery"), "-A", "chaosweb", *arguments, "--loglevel", "INFO"),
        env=env,
        cwd=ROOT,
        log=log,
        needs=("valkey",),
        ready=log_says(log, ready_text),
        stop_within_s=10.0,
        orphan_signal=signal.SIGTERM,
    )


def _secret_key(path: Path) -> str:
    # Kept from run to run: the database holds secrets encrypted with a key made from it.
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(64))
    return path.read_text()

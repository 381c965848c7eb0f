"""Prepare the process that runs `manage.py demo`: its settings come from the demo's own choices.

It must be called before Django reads its settings.
"""

import os
import secrets
from pathlib import Path

from demo import application
from demo.roster import ROOT
from demo.settings import HOST, DemoConfig

PASSWORD_VARIABLE = "DEMO_VALKEY_PASSWORD"


def workdir() -> Path:
    """Return where the demo keeps its database, logs and metrics."""
    return Path(os.environ.get("DEMO_WORKDIR", ROOT / "var" / "demo")).resolve()


def prepare() -> DemoConfig:
    """Set this process's environment as that of the demo's own processes; return the ports.

    Raises SettingsError.
    """
    config = DemoConfig.from_env(os.environ)
    password = os.environ.setdefault(PASSWORD_VARIABLE, secrets.token_urlsafe(24))
    url = f"redis://:{password}@{HOST}:{config.valkey_port}/0"
    os.environ.update(application.settings(config, workdir(), redis_url=url))
    return config

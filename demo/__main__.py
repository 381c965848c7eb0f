"""Start the sandbox alone, without ChaosWeb, print its addresses, and stay until Ctrl-C."""

import argparse
import os
import sys
from pathlib import Path

from demo.processes import ProcessError
from demo.prometheus import PrometheusMissing
from demo.roster import ROOT, ProgramMissing
from demo.sandbox import NotWarm, Sandbox
from demo.settings import DemoConfig, SettingsError


def main() -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--workdir", type=Path, default=ROOT / "var" / "demo")
    workdir: Path = parser.parse_args().workdir
    try:
        with Sandbox(DemoConfig.from_env(os.environ), workdir) as sandbox:
            _say(
                f"shop        {sandbox.edge_url}/checkout\n"
                f"edge admin  http://{sandbox.edge_admin}\n"
                f"mesh admin  http://{sandbox.mesh_admin}\n"
                f"Prometheus  {sandbox.prometheus_url}\n"
                f"Valkey      {sandbox.redis_url}\n"
                f"logs        {sandbox.workdir}\n"
            )
            sandbox.wait_until_warm()
            _say("Traffic flows. Ctrl-C stops everything.\n")
            sandbox.supervisor.watch()
    except (SettingsError, PrometheusMissing, ProgramMissing, ProcessError, NotWarm) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        _say("Stopped.\n")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

"""Start the sandbox and ChaosWeb, run the seeded experiments, and show what came out."""

from __future__ import annotations

import json
import os
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from demo import application, command, envoys, prometheus
from demo.processes import ProcessError
from demo.roster import ProgramMissing
from demo.sandbox import NotWarm, Sandbox
from demo.scenarios import BY_HAND, SCENARIOS, SERVICES
from demo.settings import HOST, DemoConfig, SettingsError, check_ports
from experiments.management import showcase
from experiments.services import demonstrating

_SHARE_TOLERANCE = 0.05


class Command(BaseCommand):
    """Run the main job from end to end on real parts."""

    help = "Start the sandbox and ChaosWeb, run the seeded experiments, and go on serving."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--headless", action="store_true", help="run all five experiments, then stop everything"
        )
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
        parser.add_argument("--no-runs", action="store_true", help="only serve")

    def handle(self, *args: Any, **options: Any) -> None:
        config = DemoConfig.from_env(os.environ)
        workdir = command.workdir()
        missing = (prometheus.PrometheusMissing, ProgramMissing)
        try:
            check_ports(config)
            workdir.mkdir(parents=True, exist_ok=True)
            call_command("migrate", verbosity=0)
            password = os.environ[command.PASSWORD_VARIABLE]
            self.stdout.write("Starting the shop, two Envoys, Prometheus, the load and ChaosWeb …")
            with Sandbox(config, workdir, password) as sandbox:
                env = application.settings(config, workdir, redis_url=sandbox.redis_url)
                sandbox.supervisor.start(application.processes(config, workdir, env))
                sandbox.wait_until_warm(60)
                self._serve(config, sandbox, options)
        except (SettingsError, ProcessError, NotWarm, *missing) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.stdout.write("\nStopped.")

    def _serve(self, config: DemoConfig, sandbox: Sandbox, options: dict[str, Any]) -> None:
        place = demonstrating.Place(
            edge_admin=sandbox.edge_admin,
            mesh_admin=sandbox.mesh_admin,
            prometheus_url=sandbox.prometheus_url,
            edge_url=sandbox.edge_url,
            scrape_interval_s=prometheus.SCRAPE_INTERVAL_MS / 1000,
            flush_interval_s=envoys.FLUSH_INTERVAL_S,
            own_url=f"http://{HOST}:{config.web_port}",
            rehearsals=str(command.workdir() / "rehearsals"),
        )
        environment, versions, password = demonstrating.seed(
            place=place, documents=[each.text for each in SCENARIOS], services=SERVICES
        )
        self.stdout.write(
            f"\n  ChaosWeb   http://{HOST}:{config.web_port}/\n"
            f"  sign in as demo with the one-time password {password}\n"
            f"  the shop   {sandbox.edge_url}/checkout\n"
            f"  metrics    {sandbox.prometheus_url}/\n"
        )
        for envoy, values in BY_HAND.items():
            for key, value in values.items():
                sandbox.override(envoy, key, value)
        wanted = [] if options["no_runs"] else list(zip(SCENARIOS, versions, strict=True))
        results = []
        for scenario, version in wanted if options["headless"] else wanted[:1]:
            before = sandbox.runtime()
            run = showcase.launch(version=version, environment=environment)
            address = f"http://{HOST}:{config.web_port}/runs/{run.pk}/"
            self.stdout.write(f"\n{version} · run {run.pk} · {address}")
            while showcase.follow(run, self.stdout):
                sandbox.supervisor.check()
                time.sleep(0.5)
            showcase.table(run, self.stdout)
            found = showcase.result(run, scenario.expected_verdict)
            results.append(found | {"runtime_before": before, "runtime_after": sandbox.runtime()})
        if options["json"]:
            options["json"].write_text(json.dumps({"runs": results}, indent=2) + "\n")
        if options["headless"]:
            wrong = [line for each in results for line in _wrong(each)]
            if wrong:
                raise CommandError("\n".join(wrong))
            self.stdout.write(f"\n{len(results)} runs, each with its expected verdict.")
            return
        self.stdout.write("\nServing until Ctrl-C.")
        sandbox.supervisor.watch()


def _wrong(result: dict[str, Any]) -> list[str]:
    """Return what is not as it must be after a run."""
    name, wrong = result["experiment"], []
    if result["status"] != "completed":
        wrong.append(f"{name}: ended as {result['status']}: {result['reason']}")
    if result["verdict"] != result["expected_verdict"]:
        verdicts = f"{result['verdict']}, not {result['expected_verdict']}"
        wrong.append(f"{name}: {verdicts}: {result['sentence']}")
    requested, delivered = result["requested_share"], result["delivered_share"]
    if delivered is None or abs(delivered - requested) > _SHARE_TOLERANCE:
        wrong.append(f"{name}: delivered {delivered}, requested {requested}")
    if result["runtime_before"] != result["runtime_after"]:
        wrong.append(f"{name}: Envoy's runtime is {result['runtime_after']}")
    for envoy, values in BY_HAND.items():
        if result["runtime_after"][envoy] != values:
            wrong.append(f"{name}: an override made by hand on {envoy} was lost")
    return wrong

"""Measure both Envoys with Prometheus, and ask it simple questions."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from demo.fetch import fetch_json
from demo.settings import HOST, DemoConfig

SCRAPE_INTERVAL_MS = 400

# What experiments read: answers, latency, faults injected, and the health of replicas.
KEPT = (
    "envoy_http_downstream_rq_(total|xx|completed|active|timeout|time_(bucket|sum|count))",
    "envoy_http_fault_.+",
    "envoy_cluster_upstream_rq",
    "envoy_cluster_upstream_rq_(total|xx|active|timeout|retry.*|time_(bucket|sum|count))",
    "envoy_cluster_upstream_rq_(pending|active)_overflow",
    "envoy_cluster_membership_(healthy|degraded|total)",
    "envoy_cluster_(lb_healthy_panic|health_check_failure|outlier_detection_ejections_active)",
    "envoy_server_(live|uptime|memory_allocated)",
    "envoy_runtime_(num_keys|override_dir_exists|load_success)",
)

# The same, coarser, in Envoy's own names: what it need not print costs nothing on either side.
_PRINTED = "|".join(
    (
        r"^http\..+\.(downstream_rq|fault\.)",
        r"^cluster\..+\.(upstream_rq|membership_|lb_healthy|health_check\.failure)",
        r"^cluster\..+\.outlier_detection\.ejections_active",
        r"^server\.(live|uptime|memory_alloc)",
        r"^runtime\.",
    )
)


class PrometheusMissing(Exception):  # noqa: N818 (it reads as what happened)
    """Prometheus is not installed; the message says what to install."""


@dataclass(frozen=True)
class Sample:
    """One series' value now."""

    labels: dict[str, str]
    value: float


def find() -> str:
    """Return the path of the program `prometheus`; raise PrometheusMissing without it."""
    path = shutil.which("prometheus")
    if path is None:
        raise PrometheusMissing(
            "The program prometheus is not on PATH: install it, "
            "on Debian and Ubuntu with `apt-get install prometheus`."
        )
    return path


def document(config: DemoConfig) -> dict[str, Any]:
    """Build prometheus.yml."""
    targets = {"edge": config.edge_admin_port, "mesh": config.mesh_admin_port}
    interval = f"{SCRAPE_INTERVAL_MS}ms"
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [
            {
                "job_name": "envoy",
                "metrics_path": "/stats/prometheus",
                "params": {"filter": [_PRINTED]},
                "static_configs": [
                    {"targets": [f"{HOST}:{port}"], "labels": {"envoy": name}}
                    for name, port in targets.items()
                ],
                "metric_relabel_configs": [
                    {
                        "source_labels": ["__name__"],
                        "regex": "|".join(KEPT),
                        "action": "keep",
                    },
                    # The scrape itself would be counted as traffic of a service `admin`.
                    {
                        "source_labels": ["envoy_http_conn_manager_prefix"],
                        "regex": "admin",
                        "action": "drop",
                    },
                ],
            }
        ],
    }


def write(config: DemoConfig, path: Path) -> Path:
    """Write prometheus.yml; JSON is YAML."""
    path.write_text(json.dumps(document(config), indent=1))
    return path


def command(config: DemoConfig, config_file: Path, storage: Path) -> tuple[str, ...]:
    """Build the command line; raise PrometheusMissing if there is no such program."""
    return (
        find(),
        f"--config.file={config_file}",
        f"--storage.tsdb.path={storage}",
        "--storage.tsdb.retention.time=12h",
        "--storage.tsdb.retention.size=512MB",
        f"--web.listen-address={HOST}:{config.prometheus_port}",
        "--log.level=warn",
    )


def instant(url: str, query: str) -> list[Sample]:
    """Evaluate PromQL now; raise FetchError if Prometheus does not answer."""
    answer = fetch_json(f"{url}/api/v1/query?{urlencode({'query': query})}")
    return [
        Sample(labels=each["metric"], value=float(each["value"][1]))
        for each in answer["data"]["result"]
    ]

"""Write the bootstraps of the two Envoys: the edge, and the mesh that stands before each service.

    load ──▶ edge ──▶ mesh:front ──▶ front ──▶ mesh:orders ──▶ orders ──▶ mesh:carts ──▶ carts …

Listener, route, conn-manager prefix and cluster all carry the service's name. Every listener has
a fault filter at 0 % with runtime keys of its own (`fault_keys`), which the admin interface sets.
"""

import json
from pathlib import Path
from typing import Any

from demo.settings import HOST, SERVICES, DemoConfig

FLUSH_INTERVAL_S = 0.4

# Milliseconds. One by one where the shop's quantiles lie, so that interpolation within a bucket
# cannot hide or invent a change; above 100 ms Envoy itself records in steps of 10.
BUCKETS_MS = (
    *(1, 2, 4, 6, 8),
    *range(10, 30),
    *range(30, 60, 2),
    *range(60, 100, 5),
    *range(100, 200, 10),
    *(200, 225, 250, 275, 300, 350, 400, 500, 750, 1000, 2000, 5000, 10000),
)

_TYPES = "type.googleapis.com/envoy.extensions"

Document = dict[str, Any]


def fault_keys(name: str) -> dict[str, str]:
    """Name the runtime keys of a listener's fault filter."""
    return {
        "abort_percent_runtime": f"chaos.{name}.abort_percent",
        "abort_http_status_runtime": f"chaos.{name}.abort_status",
        "delay_percent_runtime": f"chaos.{name}.delay_percent",
        "delay_duration_runtime": f"chaos.{name}.delay_ms",
    }


def edge(config: DemoConfig) -> Document:
    """Build the bootstrap of the edge: one listener, all of it to front by way of the mesh."""
    return _bootstrap(
        name="edge",
        admin_port=config.edge_admin_port,
        listeners=[_listener("edge", config.edge_port, cluster="front")],
        clusters=[_cluster("front", (config.mesh_port("front"),))],
    )


def mesh(config: DemoConfig) -> Document:
    """Build the bootstrap of the mesh: one listener and one cluster for each service."""
    return _bootstrap(
        name="mesh",
        admin_port=config.mesh_admin_port,
        listeners=[_listener(name, config.mesh_port(name), cluster=name) for name in SERVICES],
        clusters=[_cluster(name, config.service_ports(name)) for name in SERVICES],
    )


def write(document: Document, path: Path) -> Path:
    """Write a bootstrap where Envoy's `-c` finds it."""
    path.write_text(json.dumps(document, indent=1))
    return path


def _bootstrap(
    *, name: str, admin_port: int, listeners: list[Document], clusters: list[Document]
) -> Document:
    return {
        "node": {"id": f"{name}-1", "cluster": name},
        "admin": {"address": _address(admin_port)},
        # The last layer wins.
        "layered_runtime": {
            "layers": [
                {"name": "base", "static_layer": {}},
                {"name": "admin", "admin_layer": {}},
            ]
        },
        "stats_flush_interval": f"{FLUSH_INTERVAL_S}s",
        "stats_config": {
            "histogram_bucket_settings": [
                {"match": {"suffix": "_rq_time"}, "buckets": list(BUCKETS_MS)}
            ]
        },
        "static_resources": {"listeners": listeners, "clusters": clusters},
    }


def _listener(name: str, port: int, *, cluster: str) -> Document:
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": {
            "name": name,
            "virtual_hosts": [
                {
                    "name": name,
                    "domains": ["*"],
                    "routes": [
                        {
                            "name": name,
                            "match": {"prefix": "/"},
                            # No retry policy: a fault shall be seen, not mended.
                            "route": {"cluster": cluster, "timeout": "15s"},
                        }
                    ],
                }
            ],
        },
        "http_filters": [
            {"name": "envoy.filters.http.fault", "typed_config": _fault_filter(name)},
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"},
            },
        ],
    }
    return {
        "name": name,
        "address": _address(port),
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": manager,
                    }
                ]
            }
        ],
    }


def _fault_filter(name: str) -> Document:
    # Without the abort and delay blocks Envoy ignores the runtime keys.
    return {
        "@type": f"{_TYPES}.filters.http.fault.v3.HTTPFault",
        "abort": {"http_status": 503, "percentage": {"numerator": 0}},
        "delay": {"fixed_delay": "0.001s", "percentage": {"numerator": 0}},
        **fault_keys(name),
    }


def _cluster(name: str, ports: tuple[int, ...]) -> Document:
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    cluster: Document = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "lb_policy": "ROUND_ROBIN",
        "typed_extension_protocol_options": {
            options: {
                "@type": f"type.googleapis.com/{options}",
                "common_http_protocol_options": {"idle_timeout": "30s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": _address(port)}} for port in ports]}
            ],
        },
    }
    if len(ports) > 1:
        cluster["health_checks"] = [
            {
                "timeout": "1s",
                "interval": "1s",
                "no_traffic_interval": "1s",  # 60 s by default
                "healthy_threshold": 2,
                "unhealthy_threshold": 3,
                "http_health_check": {"path": "/health"},
            }
        ]
        # Only healthy replicas are asked, however few; none left answers 503.
        cluster["common_lb_config"] = {
            "healthy_panic_threshold": {"value": 0},
            "update_merge_window": "0s",
        }
    return cluster


def _address(port: int) -> Document:
    return {"socket_address": {"address": HOST, "port_value": port}}

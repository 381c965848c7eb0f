"""Parameters of every fault: the fewest that it takes, and as many as it takes."""

from __future__ import annotations

from typing import Any

Raw = dict[str, Any]

WEB: Raw = {"namespaces": ["shop"], "labels": {"app": "web"}}
EVERY_KEY: Raw = {
    "namespaces": ["shop", "bank"],
    "labels": {"app": "web", "app.kubernetes.io/part-of": "shop"},
    "expressions": ["tier in (cache, db)", "env notin (dev)", "canary", "!legacy"],
    "annotations": {"team": "checkout"},
    "fields": {"spec.serviceAccountName": "web", "status.phase": "Running"},
    "phases": ["Running", "!Failed"],
    "nodes": ["worker-1", "worker-2.example.org"],
    "node_labels": {"zone": "a"},
}
NAMED: Raw = {"pods": ["shop/web-0", "shop/web-1", "bank/db-0"]}
FEW: Raw = {"selector": WEB}
MANY: Raw = {
    "selector": EVERY_KEY,
    "mode": "fixed-percent",
    "value": 50,
    "remote_cluster": "cluster-eu",
}
IN_CONTAINERS: Raw = MANY | {"containers": ["web", "sidecar"]}
TO_TARGET: Raw = MANY | {
    "direction": "both",
    "target": {"selector": NAMED, "mode": "fixed", "value": 2},
    "device": "eth0",
    "target_device": "eth1",
}
TO_OUTSIDE: Raw = MANY | {
    "external_targets": ["10.0.0.1", "10.1.0.0/16", "db.example.org:5432"],
    "target": {"selector": WEB, "mode": "random-max-percent", "value": 30},
}
REORDER: Raw = {"reorder": "5%", "gap": 3, "correlation": "50%"}
HTTP: Raw = FEW | {"port": 8080}
HTTP_MANY: Raw = MANY | {
    "target": "Response",
    "port": 65535,
    "path": "/api/*",
    "method": "GET",
    "code": 200,
    "request_headers": {"x-user": "test"},
    "response_headers": {"server": "nginx"},
    "tls": {
        "secret": "web-tls",
        "namespace": "shop",
        "certificate": "tls.crt",
        "key": "tls.key",
        "authority": "ca.crt",
    },
}
REPLACE: Raw = {"code": 503, "headers": {"retry-after": "1"}, "body": "außer Betrieb\n"}
PATCH: Raw = {"headers": ["set-cookie: a=b", "set-cookie: c=d: e"], "body": '{"ok": false}'}
VOLUME: Raw = {"volume_path": "/data"}
VOLUME_MANY: Raw = IN_CONTAINERS | {
    "volume_path": "/data",
    "path": "/data/**/*.log",
    "percent": "7%",
    "methods": ["read", "write"],
}
JAVA: Raw = {"class_name": "org.shop.Orders", "method": "place"}
AGENT: Raw = IN_CONTAINERS | {"port": 9999, "rule": "my-rule"}
AWS: Raw = {"region": "eu-west-1", "instance": "i-0123456789abcdef0"}
GCP: Raw = {"project": "shop", "zone": "europe-west1-b", "instance": "web-1"}
AZURE: Raw = {"subscription": "s-1", "resource_group": "shop", "machine": "web-1", "secret": "key"}
CLOUD_MANY: Raw = {"secret": "cloud-key", "remote_cluster": "cluster-eu"}
MACHINE: Raw = {"selector": {"namespaces": ["infra"], "labels": {"arch": "amd64"}}}
MACHINE_MANY: Raw = {
    "selector": {
        "namespaces": ["infra"],
        "labels": {"arch": "amd64"},
        "expressions": ["tier in (cache)"],
        "annotations": {"team": "db"},
        "fields": {"metadata.name": "db-1"},
    },
    "mode": "random-max-percent",
    "value": 100,
    "remote_cluster": "cluster-eu",
}
BY_NAME: Raw = {"selector": {"machines": ["infra/db-1", "infra/db-2"]}, "mode": "all"}
BY_ADDRESS: Raw = {"addresses": ["https://10.0.0.5:31768", "10.0.0.6:31767"], "mode": "fixed",
                   "value": 2}  # fmt: skip
PACKETS: Raw = {"device": "eth0"}
PACKETS_MANY: Raw = MACHINE_MANY | {
    "device": "eth0",
    "hostname": "db.example.org",
    "ip_address": "10.0.0.0/16",
    "protocol": "tcp",
    "source_port": "80,8080",
    "egress_port": "8000:8010",
    "correlation": "25%",
}
RULE = "RULE x\nCLASS Main\nMETHOD get\nAT ENTRY\nIF true\nDO return 9\nENDRULE\n"

PARAMETERS: dict[str, tuple[Raw, Raw]] = {
    "pod_kill": (FEW, MANY | {"grace_period": 30}),
    "pod_failure": ({"selector": NAMED}, MANY),
    "container_kill": (FEW | {"containers": ["web"]}, IN_CONTAINERS),
    "network_delay": (
        FEW | {"latency": "90ms"},
        TO_TARGET
        | {"latency": "1.5s", "jitter": "250us", "correlation": "12.5%", "reorder": REORDER},
    ),
    "network_loss": (FEW | {"loss": "0.5%"}, TO_OUTSIDE | {"loss": "100%", "correlation": "1%"}),
    "network_duplicate": (
        FEW | {"duplicate": "10%"},
        TO_TARGET | {"duplicate": "0.0001%", "correlation": "100%"},
    ),
    "network_corrupt": (FEW | {"corrupt": "10%"}, TO_TARGET | {"corrupt": "3%", "correlation": 9}),
    "network_netem": (
        FEW | {"rate": {"rate": "1mbit"}},
        TO_TARGET
        | {
            "delay": {"latency": "1m", "jitter": "1ms", "correlation": "1%", "reorder": REORDER},
            "loss": {"loss": "1%", "correlation": "2%"},
            "duplicate": {"duplicate": "3%", "correlation": "4%"},
            "corrupt": {"corrupt": "5%", "correlation": "6%"},
            "rate": {"rate": "10 Kbps"},
        },
    ),
    "network_partition": (FEW, TO_OUTSIDE),
    "network_bandwidth": (
        FEW | {"rate": "1mbit", "limit": 1, "buffer": 1},
        TO_TARGET
        | {"rate": "100kbps", "limit": 2**31 - 1, "buffer": 9, "peakrate": 7, "minburst": 8},
    ),
    "http_abort": (HTTP, HTTP_MANY),
    "http_delay": (HTTP | {"delay": "90ms"}, HTTP_MANY | {"delay": "1h"}),
    "http_replace": (
        HTTP | {"replace": {"path": "/moved", "method": "PUT", "queries": {"q": "1"}}},
        HTTP_MANY | {"replace": REPLACE},
    ),
    "http_patch": (HTTP | {"patch": {"queries": ["q: x y"]}}, HTTP_MANY | {"patch": PATCH}),
    "http_several": (
        HTTP | {"abort": True, "delay": "1s"},
        HTTP_MANY | {"abort": True, "delay": "1s", "replace": REPLACE, "patch": PATCH},
    ),
    "stress_cpu": (FEW, IN_CONTAINERS | {"workers": 8192, "load": 100, "options": ["--cpu 2"]}),
    "stress_memory": (
        FEW,
        IN_CONTAINERS | {"workers": 2, "size": "50%", "oom_score": -1000, "options": ["--vm-keep"]},
    ),
    "stress_cpu_memory": (
        FEW | {"cpu": {}, "memory": {}},
        IN_CONTAINERS
        | {
            "cpu": {"workers": 2, "load": 1, "options": ["-v"]},
            "memory": {"workers": 3, "size": "256MB", "oom_score": 1000, "options": ["-v"]},
        },
    ),
    "stress_ng": (FEW | {"arguments": "--cpu 1"}, IN_CONTAINERS | {"arguments": "--hdd 1 -v"}),
    "io_latency": (FEW | VOLUME | {"delay": "10ms"}, VOLUME_MANY | {"delay": "1us"}),
    "io_fault": (FEW | VOLUME | {"errno": 5}, VOLUME_MANY | {"errno": 28}),
    "io_attr_override": (
        FEW | VOLUME | {"attr": {"perm": 0}},
        VOLUME_MANY
        | {
            "attr": {
                "ino": 1, "size": 2, "blocks": 3,
                "atime": {"sec": -1, "nsec": 1}, "mtime": {"sec": 2}, "ctime": {"sec": 3},
                "kind": "symlink", "perm": 292, "nlink": 4, "uid": 0, "gid": 0, "rdev": 5,
            }
        },
    ),
    "io_mistake": (
        FEW | VOLUME | {"filling": "zero"},
        VOLUME_MANY | {"filling": "random", "max_occurrences": 9, "max_length": 4096},
    ),
    "time_skew": (
        FEW | {"offset": "-10m"},
        IN_CONTAINERS | {"offset": "1h30m", "clocks": ["CLOCK_REALTIME", "CLOCK_MONOTONIC"]},
    ),
    "dns_error": (FEW, IN_CONTAINERS | {"patterns": ["google.com", "chaos-mesh.*", "github.?om"]}),
    "dns_random": (FEW | {"selector": {"namespaces": ["shop"], "whole_namespace": True}},
                   IN_CONTAINERS | {"patterns": ["*"]}),
    "jvm_latency": (FEW | JAVA | {"latency": "90ms"}, AGENT | JAVA | {"latency": "1h"}),
    "jvm_return": (FEW | JAVA | {"returns": "0"}, AGENT | JAVA | {"returns": '"none"'}),
    "jvm_exception": (
        FEW | JAVA | {"exception": "java.io.IOException()"},
        AGENT | JAVA | {"exception": 'java.io.IOException("x: y")'},
    ),
    "jvm_stress": (FEW | {"cpu_count": 1}, AGENT | {"memory_type": "heap"}),
    "jvm_gc": (FEW, AGENT),
    "jvm_rule_data": (FEW | {"rule_data": RULE}, AGENT | {"rule_data": RULE}),
    "jvm_mysql": (
        FEW | {"connector": "8", "latency": "1s"},
        AGENT
        | {"connector": "5", "database": "shop", "table": "orders", "sql_type": "select",
           "exception": "out of order"},
    ),
    "block_delay": (
        FEW | {"volume": "data", "latency": "10ms"},
        IN_CONTAINERS
        | {"volume": "data", "latency": "1s", "jitter": "1ms", "correlation": "50%"},
    ),
    "kernel_fault": (
        FEW | {"failtype": "slab", "probability": 1},
        MANY
        | {
            "failtype": "bio", "probability": 100, "times": 7, "headers": ["linux/mmzone.h"],
            "callchain": [
                {"funcname": "f"},
                {"funcname": "g", "parameters": "int a", "predicate": "a == 1"},
            ],
        },
    ),
    "ec2_stop": (AWS, AWS | CLOUD_MANY | {"endpoint": "https://ec2.local"}),
    "ec2_restart": (AWS, AWS | CLOUD_MANY),
    "detach_volume": (
        AWS | {"volume": "vol-0a", "device": "/dev/sdf"},
        AWS | CLOUD_MANY | {"volume": "vol-0a", "device": "/dev/sdf"},
    ),
    "node_stop": (GCP, GCP | CLOUD_MANY),
    "node_reset": (GCP, GCP | CLOUD_MANY),
    "disk_loss": (GCP | {"devices": ["data-1"]}, GCP | CLOUD_MANY | {"devices": ["a", "b"]}),
    "vm_stop": (AZURE, AZURE | CLOUD_MANY),
    "vm_restart": (AZURE, AZURE | CLOUD_MANY),
    "disk_detach": (
        AZURE | {"disk": "data-1", "lun": 0},
        AZURE | CLOUD_MANY | {"disk": "data-1", "lun": 63},
    ),
}  # fmt: skip

_STORE: Raw = {"address": "127.0.0.1:6379"}
_STORE_MANY: Raw = MACHINE_MANY | _STORE | {"password": "secret"}
_KAFKA: Raw = {"host": "10.0.0.7"}
_KAFKA_MANY: Raw = MACHINE_MANY | _KAFKA | {
    "port": 9093, "topic": "orders", "user": "u", "password": "p", "message_bytes": 4096,
}  # fmt: skip
_PROGRAM: Raw = MACHINE | {"pid": 1234}
_PROGRAM_MANY: Raw = MACHINE_MANY | {"pid": 1, "port": 9999}

OF_MACHINES: dict[str, tuple[Raw, Raw]] = {
    "network_loss": (MACHINE | PACKETS | {"percent": "10%"}, PACKETS_MANY | {"percent": "0.5%"}),
    "network_corrupt": (BY_NAME | PACKETS | {"percent": 1}, PACKETS_MANY | {"percent": "100%"}),
    "network_duplicate": (BY_ADDRESS | PACKETS | {"percent": 1}, PACKETS_MANY | {"percent": "9%"}),
    "network_delay": (
        MACHINE | PACKETS | {"latency": "90ms"},
        PACKETS_MANY | {"latency": "1s", "jitter": "1ms", "tcp_flags": "SYN,ACK SYN,ACK"},
    ),
    "network_partition": (
        MACHINE | PACKETS | {"hostname": "db.example.org"},
        MACHINE_MANY
        | PACKETS
        | {"ip_address": "10.0.0.9", "hostname": "a.b", "direction": "from", "protocol": "tcp",
           "tcp_flags": "SYN"},
    ),
    "network_dns": (
        MACHINE | {"dns_server": "1.1.1.1"},
        MACHINE_MANY | {"dns_server": "::1", "domain": "db.local", "address": "10.9.9.9"},
    ),
    "network_bandwidth": (
        MACHINE | PACKETS | {"rate": "1mbit", "limit": 1, "buffer": 1},
        MACHINE_MANY
        | PACKETS
        | {"rate": "1gbps", "limit": 2, "buffer": 3, "peakrate": 4, "minburst": 5,
           "hostname": "a.b", "ip_address": "10.0.0.1,10.0.0.2"},
    ),
    "network_flood": (
        MACHINE | {"rate": "10mbit", "ip_address": "10.0.0.9", "port": 5201},
        MACHINE_MANY | {"rate": "1mbps", "ip_address": "::1", "port": 1, "parallel": 8},
    ),
    "network_down": (MACHINE | PACKETS, MACHINE_MANY | PACKETS),
    "stress_cpu": (MACHINE, MACHINE_MANY | {"load": 1, "workers": 8, "options": ["-v"]}),
    "stress_mem": (MACHINE | {"size": "512MiB"}, MACHINE_MANY | {"size": "1GB", "options": ["-v"]}),
    "disk_read_payload": (
        MACHINE | {"size": "1MB"},
        MACHINE_MANY | {"size": "7KiB", "path": "/dev/sda", "processes": 255},
    ),
    "disk_write_payload": (
        MACHINE | {"size": "1kB"},
        MACHINE_MANY | {"size": "3GiB", "path": "/data/a", "processes": 2},
    ),
    "disk_fill": (
        MACHINE | {"size": "1GB"},
        MACHINE_MANY | {"size": "1GB", "path": "/data/a", "by_fallocate": True},
    ),
    "process": (
        MACHINE | {"process": "nginx", "signal": 9},
        MACHINE_MANY | {"process": "12", "signal": 19, "recover_command": "systemctl start nginx"},
    ),
    "clock": (
        _PROGRAM | {"offset": "-10m"},
        MACHINE_MANY | {"pid": 1, "offset": "1s", "clocks": ["CLOCK_REALTIME", "CLOCK_BOOTTIME"]},
    ),
    "file_create": (MACHINE | {"file": "/srv/a"}, MACHINE_MANY | {"directory": "/srv/b"}),
    "file_modify": (
        MACHINE | {"file": "/srv/a", "privilege": 444},
        MACHINE_MANY | {"file": "/srv/a", "privilege": 4755},
    ),
    "file_delete": (MACHINE | {"file": "/srv/a"}, MACHINE_MANY | {"directory": "/srv/b"}),
    "file_rename": (
        MACHINE | {"source": "/srv/a", "destination": "/srv/b"},
        MACHINE_MANY | {"source": "/srv/a", "destination": "/srv/b"},
    ),
    "file_append": (
        MACHINE | {"file": "/srv/a", "text": "x"},
        MACHINE_MANY | {"file": "/srv/a", "text": " yes\n", "count": 3},
    ),
    "file_replace": (
        MACHINE | {"file": "/srv/a", "old": "80", "new": "81"},
        MACHINE_MANY | {"file": "/srv/a", "old": "80", "new": "81", "line": 3},
    ),
    "vm": (MACHINE | {"vm_name": "web-1"}, MACHINE_MANY | {"vm_name": "web-1"}),
    "user_defined": (
        MACHINE | {"attack": "a", "recover": "b"},
        MACHINE_MANY | {"attack": "systemctl stop cron", "recover": "systemctl start cron"},
    ),
    "jvm_exception": (
        _PROGRAM | JAVA | {"exception": "Error()"},
        _PROGRAM_MANY | JAVA | {"exception": "Error()"},
    ),
    "jvm_gc": (_PROGRAM, _PROGRAM_MANY),
    "jvm_latency": (
        _PROGRAM | JAVA | {"latency": "90ms"},
        _PROGRAM_MANY | JAVA | {"latency": "1s"},
    ),
    "jvm_return": (_PROGRAM | JAVA | {"returns": "0"}, _PROGRAM_MANY | JAVA | {"returns": "true"}),
    "jvm_stress": (_PROGRAM | {"memory_type": "stack"}, _PROGRAM_MANY | {"cpu_count": 2}),
    "jvm_rule_data": (_PROGRAM | {"rule_data": RULE}, _PROGRAM_MANY | {"rule_data": RULE}),
    "jvm_mysql": (
        _PROGRAM | {"connector": "8", "exception": "x"},
        _PROGRAM_MANY
        | {"connector": "5", "latency": "1s", "database": "d", "table": "t", "sql_type": "update"},
    ),
    "redis_expiration": (MACHINE | _STORE, _STORE_MANY | {"key": "basket", "expiration": "1s"}),
    "redis_penetration": (MACHINE | _STORE | {"requests": 1}, _STORE_MANY | {"requests": 10000}),
    "redis_cache_limit": (MACHINE | _STORE | {"size": "100mb"}, _STORE_MANY | {"percent": "50%"}),
    "redis_restart": (
        MACHINE | _STORE | {"configuration": "/etc/s.conf"},
        _STORE_MANY
        | {"configuration": "/etc/s.conf", "flush_configuration": True, "redis_path": True},
    ),
    "redis_stop": (
        MACHINE | _STORE,
        _STORE_MANY
        | {"configuration": "/etc/s.conf", "flush_configuration": True, "redis_path": True},
    ),
    "kafka_fill": (
        MACHINE | _KAFKA | {"max_bytes": 1, "reload": "true"},
        _KAFKA_MANY | {"max_bytes": 2**40, "reload": "systemctl reload kafka"},
    ),
    "kafka_flood": (MACHINE | _KAFKA | {"threads": 1}, _KAFKA_MANY | {"threads": 1000}),
    "kafka_io": (
        MACHINE | {"unreadable": True},
        MACHINE_MANY
        | {"topic": "orders", "configuration": "/etc/k", "unreadable": True, "unwritable": True},
    ),
}  # fmt: skip

EVERY: dict[str, tuple[Raw, Raw]] = {
    **{f"chaosmesh.{name}": both for name, both in PARAMETERS.items()},
    **{f"chaosmesh.machine_{name}": both for name, both in OF_MACHINES.items()},
}

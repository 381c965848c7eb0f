"""Objects as an API server answers them."""

from __future__ import annotations

from typing import Any

from drivers.kube import pods
from drivers.kube.pods import Pod

OWNED = {"kind": "ReplicaSet", "name": "web-5d9", "controller": True}


def body(name: str, *, of: dict[str, Any] | None = OWNED, **changes: Any) -> dict[str, Any]:
    """Return a running, ready pod of the Deployment web; ``changes`` by section."""
    about: dict[str, Any] = {
        "namespace": "shop",
        "name": name,
        "uid": f"uid-{name}",
        "labels": {"app": "web", "pod-template-hash": "5d9"},
    }
    about |= {"ownerReferences": [of]} if of else {}
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    spec = {"nodeName": "node-1", "containers": [{"name": "app", "image": "shop:1"}]}
    return {
        "metadata": about | changes.get("metadata", {}),
        "spec": spec | changes.get("spec", {}),
        "status": status | changes.get("status", {}),
    }


def pod(name: str, **changes: Any) -> Pod:
    return pods.read(body(name, **changes))

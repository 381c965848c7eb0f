"""A small Deployment named shop, whose pods kwok runs, for tests of the cluster itself."""

from __future__ import annotations

from typing import Any

from kubernetes import client

from tests.servers.envoy import wait_until
from tests.servers.kubernetes import RunningKubernetes

IMAGE = "shop:1"
WITHIN_S = 60.0


def deploy(cluster: RunningKubernetes, namespace: str, *, replicas: int = 2) -> None:
    """Create a Deployment named shop and wait until its pods are ready."""
    labels = {"app": "shop"}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "shop", "image": IMAGE}]},
        },
    }
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    cluster.create(path, {"metadata": {"name": "shop"}, "spec": spec})
    wait_until(lambda: ready(cluster, namespace) == replicas, "the pods are ready", WITHIN_S)


def ready(cluster: RunningKubernetes, namespace: str) -> int:
    """Return how many pods the Deployment counts as ready."""
    api = client.AppsV1Api(cluster.admin)
    status = api.read_namespaced_deployment_status("shop", namespace).status
    return (status and status.ready_replicas) or 0


def pods(cluster: RunningKubernetes, namespace: str) -> list[Any]:
    return list(client.CoreV1Api(cluster.admin).list_namespaced_pod(namespace).items)


def names(cluster: RunningKubernetes, namespace: str) -> set[str]:
    return {pod.metadata.name for pod in pods(cluster, namespace)}


def images(cluster: RunningKubernetes, namespace: str) -> list[str]:
    return sorted(pod.spec.containers[0].image for pod in pods(cluster, namespace))

"""Workloads of the cluster, connections to it, and a rig for the suite that every driver passes."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drivers.kubernetes.driver import KubernetesDriver
from drivers.kubernetes.faults import ScaleWorkload
from drivers.kubernetes.payload import TOKEN
from drivers.kubernetes.sentinels import OURS
from drivers.protocol import ConnectionConfig, Driver, FaultParams
from tests.servers.envoy import wait_until
from tests.servers.kubernetes import RunningKubernetes

WITHIN_S = 60.0
PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}
MERGE = {"content-type": "application/merge-patch+json"}


def flattened(kubeconfig: Mapping[str, Any]) -> str:
    """Return a kubeconfig as `kubectl config view --flatten --raw` does: it names no files."""
    written = json.loads(json.dumps(kubeconfig))
    parts = [each["cluster"] for each in written["clusters"]]
    for part in (*parts, *(each["user"] for each in written["users"])):
        for key in ("certificate-authority", "client-certificate", "client-key"):
            if key in part:
                kept = Path(part.pop(key)).read_bytes()
                part[f"{key}-data"] = base64.b64encode(kept).decode()
    return json.dumps(written)


def connection(
    cluster: RunningKubernetes, *namespaces: str, kubeconfig: Mapping[str, Any] | None = None
) -> ConnectionConfig:
    """Return a connection that may touch these namespaces; as an administrator by default."""
    return ConnectionConfig(
        "kubernetes",
        "cluster",
        {"access": "kubeconfig", "namespaces": list(namespaces)},
        {"kubeconfig": flattened(kubeconfig or cluster.kubeconfig())},
    )


def workload_path(namespace: str, name: str = "", kind: str = "Deployment") -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/{PLURALS[kind]}" + (f"/{name}" if name else "")


def deploy(
    cluster: RunningKubernetes,
    namespace: str,
    name: str = "web",
    *,
    kind: str = "Deployment",
    replicas: int = 3,
    pod: Mapping[str, Any] | None = None,
    about: Mapping[str, Any] | None = None,
    wait: bool = True,
    **spec: Any,
) -> dict[str, Any]:
    """Create a workload and wait until its pods are ready."""
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "app", "image": "shop:1"}], **(pod or {})},
    }
    body: dict[str, Any] = {
        "metadata": {"name": name, **(about or {})},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }
    if kind != "DaemonSet":
        body["spec"]["replicas"] = replicas
    if kind == "StatefulSet":
        body["spec"]["serviceName"] = name
    made = cluster.create(workload_path(namespace, kind=kind), body)
    if wait:
        wait_until(
            lambda: ready(cluster, namespace, name, kind) == replicas,
            f"{name} has {replicas} ready pods",
            WITHIN_S,
        )
    return made


def read(cluster: RunningKubernetes, path: str) -> dict[str, Any]:
    answer = cluster.http.get(path)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def exists(cluster: RunningKubernetes, path: str) -> bool:
    return cluster.http.get(path).status_code == 200


def change(cluster: RunningKubernetes, path: str, patch: Mapping[str, Any]) -> None:
    """Change an object as a stranger would."""
    cluster.http.patch(path, content=json.dumps(patch), headers=MERGE).raise_for_status()


def ready(
    cluster: RunningKubernetes, namespace: str, name: str = "web", kind: str = "Deployment"
) -> int:
    status = read(cluster, workload_path(namespace, name, kind)).get("status", {})
    return int(status.get("readyReplicas") or status.get("numberReady") or 0)


def pods(cluster: RunningKubernetes, namespace: str, name: str = "web") -> list[dict[str, Any]]:
    """Return the pods of a workload that are not being deleted."""
    found = read(cluster, f"/api/v1/namespaces/{namespace}/pods?labelSelector=app={name}")
    return [each for each in found["items"] if "deletionTimestamp" not in each["metadata"]]


def uids(cluster: RunningKubernetes, namespace: str, name: str = "web") -> set[str]:
    return {each["metadata"]["uid"] for each in pods(cluster, namespace, name)}


def sentinels(cluster: RunningKubernetes, namespace: str) -> list[str]:
    """Return the names of the ConfigMaps that hold our plans there."""
    found = read(cluster, f"/api/v1/namespaces/{namespace}/configmaps?labelSelector={OURS}")
    return [each["metadata"]["name"] for each in found["items"]]


class ScaleRig:
    """Three pods that the fault makes two; “what is set” is a number that is not three."""

    targets = 1
    suggests = "name"
    START = 3

    def __init__(
        self,
        cluster: RunningKubernetes,
        namespace: str,
        kubeconfig: Mapping[str, Any] | None = None,
    ) -> None:
        self.cluster, self.namespace = cluster, namespace
        self.opened = KubernetesDriver(connection(cluster, namespace, kubeconfig=kubeconfig))
        self.driver: Driver = self.opened
        self.path = workload_path(namespace, "web")

    def params(self, percentage: float = 100, **fields: Any) -> FaultParams:
        return ScaleWorkload(
            **{"namespace": self.namespace, "name": "web", "replicas": 2, **fields}
        )

    def set_value(self, value: str | None) -> None:
        replicas = self.START if value is None else int(value)
        change(self.cluster, self.path, {"spec": {"replicas": replicas}})

    def value(self) -> str | None:
        replicas = read(self.cluster, self.path)["spec"]["replicas"]
        return None if replicas == self.START else str(replicas)

    def restart(self) -> None:
        """Apply the workload as its repository has it, as GitOps does."""
        self.set_value(None)

    def cut_off(self) -> None:
        os.kill(self.cluster.apiserver.pid, signal.SIGSTOP)

    def join_again(self) -> None:
        os.kill(self.cluster.apiserver.pid, signal.SIGCONT)

    def faulted(self, count: int) -> int:
        """Wait until the controller has followed, as real requests would find it."""
        wanted = read(self.cluster, self.path)["spec"]["replicas"]

        def has_followed() -> bool:
            now = read(self.cluster, self.path)["status"].get("replicas", 0)
            return int(now) == int(wanted)

        wait_until(has_followed, "the controller has followed", WITHIN_S)
        return count if wanted == 2 else 0

    def wipe(self) -> None:
        """Leave nothing of ours, so that tests may share the workload."""
        change(
            self.cluster,
            self.path,
            {"spec": {"replicas": self.START}, "metadata": {"annotations": {TOKEN: None}}},
        )
        for name in sentinels(self.cluster, self.namespace):
            at = f"/api/v1/namespaces/{self.namespace}/configmaps/{name}"
            self.cluster.http.delete(at).raise_for_status()

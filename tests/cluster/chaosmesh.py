"""What tests of Chaos Mesh's driver share: its requests, and waiting for what they do."""

from __future__ import annotations

import json
import shlex
from typing import Any

from drivers.chaosmesh import objects
from drivers.chaosmesh.driver import ChaosMeshDriver
from drivers.chaosmesh.pod import PodFailure, PodKill
from drivers.protocol import FaultRequest, Handle, Observation, Plan
from tests.cluster.rigs import change, pods
from tests.servers.envoy import wait_until
from tests.servers.kubernetes import RunningKubernetes

IMAGE = "shop:1"
WITHIN_S = 60.0
TOKEN = "cw-0a1b2c3d-7-0-0123456789ab"


def selector(namespace: str, **fields: Any) -> Any:
    return {"namespaces": [namespace], "labels": {"app": "web"}, **fields}


def failing(namespace: str, token: str = TOKEN, **fields: Any) -> FaultRequest:
    return FaultRequest(PodFailure(selector=selector(namespace), **fields), token, 600.0)


def killing(namespace: str, token: str = TOKEN, **fields: Any) -> FaultRequest:
    return FaultRequest(PodKill(selector=selector(namespace), **fields), token, 60.0)


def images(cluster: RunningKubernetes, namespace: str) -> list[str]:
    return sorted(each["spec"]["containers"][0]["image"] for each in pods(cluster, namespace))


def podchaos(cluster: RunningKubernetes, namespace: str) -> list[dict[str, Any]]:
    at = f"/apis/chaos-mesh.org/v1alpha1/namespaces/{namespace}/podchaos"
    found: list[dict[str, Any]] = cluster.http.get(at).raise_for_status().json()["items"]
    return found


def errors(driver: ChaosMeshDriver, request: FaultRequest) -> list[str]:
    return [each.message for each in driver.check(request) if each.severity == "error"]


def injected(driver: ChaosMeshDriver, request: FaultRequest) -> tuple[Plan, Handle]:
    plan = driver.prepare(request)
    handle = driver.inject(plan)
    wait_until(lambda: driver.observe(plan, handle).phase == "active", "it is active", WITHIN_S)
    return plan, handle


def force(cluster: RunningKubernetes, plan: Plan, seen: Observation) -> None:
    """Do what the command says that the observation tells."""
    (said,) = [each for each in plan.by_hand if "patch" in each]
    assert said in seen.message
    change(cluster, objects.place(plan), json.loads(shlex.split(said, comments=True)[-1]))


def recovered(driver: ChaosMeshDriver, plan: Plan, handle: Handle | None) -> Observation:
    wait_until(lambda: driver.recover(plan, handle).phase == "gone", "it is gone", WITHIN_S)
    return driver.recover(plan, handle)


def warned(driver: ChaosMeshDriver, place: str) -> list[str]:
    return [each.message for each in driver.check(failing(place)) if each.severity == "warning"]

"""Controllers and servers that are away: nothing is taken for gone, and everything is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from drivers.chaosmesh.driver import ChaosMeshDriver
from drivers.protocol import DriverError
from tests.cluster.chaosmesh import (
    IMAGE,
    WITHIN_S,
    errors,
    failing,
    images,
    injected,
    podchaos,
    recovered,
    warned,
)
from tests.cluster.rigs import connection, deploy
from tests.servers.envoy import wait_until
from tests.servers.kubernetes import RunningKubernetes
from tests.servers.kubernetes_kwok import PAUSE_IMAGE
from tests.servers.kubernetes_process import Program

pytestmark = pytest.mark.cluster


@pytest.fixture
def place(cluster: RunningKubernetes, chaos_controller: Program, namespace: str) -> str:
    """Return a namespace with three ready pods."""
    deploy(cluster, namespace)
    return namespace


@pytest.fixture
def driver(cluster: RunningKubernetes, namespace: str) -> Iterator[ChaosMeshDriver]:
    opened = ChaosMeshDriver(connection(cluster, namespace))
    yield opened
    opened.close()


def test_a_deletion_that_hangs_is_explained_and_goes_on_by_itself(
    cluster, chaos_controller: Program, place, driver
) -> None:
    plan, handle = injected(driver, failing(place))
    with chaos_controller.away():
        seen = driver.recover(plan, handle)
        assert (seen.phase, seen.targets[0].phase) == ("partly", "active")
        assert "webhook" in seen.message
        assert '"finalizers":[]' in seen.message
        assert "chaos-controller-manager" in seen.message
        assert images(cluster, place) == sorted([PAUSE_IMAGE, IMAGE, IMAGE])
        with pytest.raises(DriverError) as caught:
            driver.inject(plan)
        assert caught.value.retryable
    recovered(driver, plan, handle)
    assert images(cluster, place) == [IMAGE] * 3


def test_a_webhook_that_is_down_is_told_and_nothing_is_created(
    cluster, chaos_controller: Program, place, driver
) -> None:
    plan = driver.prepare(failing(place))
    with chaos_controller.away():
        assert any("webhook does not answer" in each for each in errors(driver, failing(place)))
        with pytest.raises(DriverError, match="webhook") as caught:
            driver.prepare(failing(place))
        assert caught.value.retryable
        with pytest.raises(DriverError, match="webhook"):
            driver.inject(plan)
        assert podchaos(cluster, place) == []


def test_a_server_that_dies_midway_is_never_read_as_gone(cluster, place, driver) -> None:
    plan, handle = injected(driver, failing(place))
    with cluster.apiserver.away():
        seen = driver.observe(plan, handle)
        assert (seen.is_lost, seen.is_unknown) == (False, True)
        seen = driver.recover(plan, handle)
        assert (seen.phase, seen.targets[0].phase) == ("partly", "unreachable")
        assert errors(driver, failing(place)) != []
        with pytest.raises(DriverError) as caught:
            driver.inject(plan)
        assert caught.value.retryable
    recovered(driver, plan, handle)
    assert images(cluster, place) == [IMAGE] * 3


def test_a_cluster_without_webhooks_is_told_and_sent_the_same(cluster, place, driver) -> None:
    kinds = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
    at = "/apis/admissionregistration.k8s.io/v1"
    kept = [cluster.http.get(f"{at}/{kind}/chaos-mesh").raise_for_status().json() for kind in kinds]
    for kind in kinds:
        cluster.http.delete(f"{at}/{kind}/chaos-mesh").raise_for_status()
    try:

        def are_gone() -> bool:
            return any("webhooks are not installed" in said for said in warned(driver, place))

        wait_until(are_gone, "nobody checks", WITHIN_S)
        assert errors(driver, failing(place)) == []
        plan, handle = injected(driver, failing(place))
        recovered(driver, plan, handle)
        assert images(cluster, place) == [IMAGE] * 3
    finally:
        for kind, body in zip(kinds, kept, strict=True):
            about = {"name": body["metadata"]["name"]}
            cluster.create(f"{at}/{kind}", {**body, "metadata": about})
    wait_until(lambda: warned(driver, place) == [], "they are back", WITHIN_S)

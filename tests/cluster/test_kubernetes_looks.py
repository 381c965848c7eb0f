"""What is told of a cluster before anything is asked of it: a survey, and suggestions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from drivers.kubernetes.driver import KubernetesDriver
from tests.cluster.rigs import connection, deploy
from tests.servers.kubernetes import RunningKubernetes

pytestmark = pytest.mark.cluster


@pytest.fixture
def driver(cluster: RunningKubernetes, namespace: str) -> Iterator[KubernetesDriver]:
    opened = KubernetesDriver(connection(cluster, namespace))
    yield opened
    opened.close()


def test_the_survey_tells_versions_namespaces_and_what_may_not_be_done(
    cluster, namespace, driver
) -> None:
    deploy(cluster, namespace)
    (member,) = driver.survey()
    assert member.version.startswith("Kubernetes v1.")
    assert member.problems == ()
    found = {each.value: each.detail for each in member.targets}
    assert found[namespace] == "3 pods, 3 ready"
    assert "Chaos Mesh" in found
    assert [each.target.split(":")[0] for each in member.snippets] == ["viewer", "injector"]


def test_suggestions_are_of_the_allowed_namespaces_and_of_what_is_written(
    cluster, namespace, driver
) -> None:
    deploy(cluster, namespace)
    deploy(cluster, namespace, "store", kind="StatefulSet", replicas=1)

    def values(word: str, **given: Any) -> list[str]:
        return [each.value for each in driver.suggest(word, given)]

    assert values("namespaces") == [namespace]
    assert values("workloads") == ["web"]
    assert values("workloads", workload="StatefulSet", namespace=namespace) == ["store"]
    assert "app=web" in values("pod_labels", selector={"namespace": namespace})
    assert values("containers", name="web") == ["app"]
    assert set(cluster.nodes) <= set(values("nodes"))
    assert len(values("pods")) == 4
    assert values("pods", namespace="kube-system") == values("pods")

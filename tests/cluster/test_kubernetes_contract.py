"""What every driver promises, on a real cluster: as an administrator, and with least rights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from drivers.kubernetes import needs
from drivers.kubernetes.faults import ScaleWorkload
from tests.cluster.rigs import ScaleRig, deploy
from tests.cluster.test_kubernetes_rights import account
from tests.drivers.test_contract import *  # noqa: F403  the suite itself, with the rig of this file
from tests.servers.kubernetes import RunningKubernetes

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def place(cluster: RunningKubernetes) -> str:
    """Return a namespace with three pods."""
    namespace = cluster.namespace("contract")
    deploy(cluster, namespace, replicas=ScaleRig.START)
    return namespace


@pytest.fixture(scope="module")
def limited(cluster: RunningKubernetes, place: str) -> dict[str, Any]:
    """Return an account that may do exactly what the generated manifest says."""
    return account(cluster, needs.manifest([ScaleWorkload.kind], [place], "injector"), place)


@pytest.fixture(params=["administrator", "least rights"])
def rig(
    request: pytest.FixtureRequest, cluster: RunningKubernetes, place: str
) -> Iterator[ScaleRig]:
    kubeconfig = request.getfixturevalue("limited") if request.param == "least rights" else None
    made = ScaleRig(cluster, place, kubeconfig)
    yield made
    made.join_again()
    made.opened.close()
    made.wipe()

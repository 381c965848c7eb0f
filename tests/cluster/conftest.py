"""One cluster for the whole session, with Chaos Mesh's CRDs, controller and webhooks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.servers.kubernetes import RunningKubernetes
from tests.servers.kubernetes_chaosmesh import chaos_mesh
from tests.servers.kubernetes_process import Program


@pytest.fixture(scope="session")
def cluster() -> Iterator[RunningKubernetes]:
    """Run a cluster, without Chaos Mesh."""
    with RunningKubernetes() as running:
        yield running


@pytest.fixture(scope="session")
def chaos_controller(cluster: RunningKubernetes) -> Iterator[Program]:
    """Run Chaos Mesh in that cluster."""
    with chaos_mesh(cluster) as controller:
        yield controller


@pytest.fixture
def namespace(cluster: RunningKubernetes) -> str:
    """Create a namespace that no other test uses."""
    return cluster.namespace(f"test-{uuid.uuid4().hex[:8]}")

"""Every action of every kind, minimal and maximal, before the real server and webhooks."""

from __future__ import annotations

import pytest

from drivers.chaosmesh import payload
from drivers.chaosmesh.faults import FAULTS
from tests.cluster.chaosmesh import (
    TOKEN,
)
from tests.drivers.chaosmesh.parameters import EVERY
from tests.servers.kubernetes import RunningKubernetes

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("which", [0, 1], ids=["minimal", "maximal"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: each.kind)
def test_every_document_is_accepted_by_server_and_webhooks(
    cluster, chaos_controller, documents_in, fault, which
) -> None:
    params = fault.model_validate(EVERY[fault.kind][which])
    body = payload.manifest(
        params,
        name=payload.object_name(TOKEN),
        namespace=documents_in,
        labels=payload.labels("7", TOKEN),
        duration_s=None if fault.is_one_shot else 90.0,
    )
    answer = cluster.http.post(
        f"/apis/chaos-mesh.org/v1alpha1/namespaces/{documents_in}/{fault.plural()}",
        params={"dryRun": "All", "fieldValidation": "Strict"},
        json=body,
    )
    assert answer.status_code == 201, answer.text


@pytest.fixture(scope="module")
def documents_in(cluster: RunningKubernetes) -> str:
    return cluster.namespace("documents")

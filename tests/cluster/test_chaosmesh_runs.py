"""Whole runs through Chaos Mesh: what is not in effect is never a success."""

# ruff: noqa: F811  fixtures that are imported are asked for by the same names

from __future__ import annotations

from typing import Any

import pytest

from experiments.models import Claim, Injection
from tests.cluster.chaosmesh import IMAGE, images, podchaos
from tests.cluster.rigs import deploy, ready
from tests.cluster.test_kubernetes_runs import (  # noqa: F401  fixtures come by their names
    ENDED,
    place,
    pump,
    shop,
    start,
    story,
    until,
)

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]


def chosen(namespace: str) -> dict[str, Any]:
    return {"selector": {"namespaces": [namespace], "labels": {"app": "web"}}}


def test_a_pod_fails_for_the_whole_run_and_is_well_at_its_end(
    cluster,
    chaos_controller,
    namespace,
    start,
    pump,
) -> None:
    deploy(cluster, namespace)
    run = until(pump, start("chaosmesh.pod_failure", chosen(namespace)), *ENDED)
    assert (run.status, run.verdict) == ("completed", "held"), story(run)
    injection: Any = Injection.objects.get()
    assert injection.evidence["delivered_share"] == pytest.approx(1 / 3)
    assert injection.evidence["evidence"]["records"][0]["phase"] == "Injected"
    assert images(cluster, namespace) == [IMAGE] * 3
    assert podchaos(cluster, namespace) == []
    assert not Claim.objects.filter(released_at__isnull=True).exists()


def test_a_pod_is_killed_and_the_run_ends_once_it_is_replaced(
    cluster,
    chaos_controller,
    namespace,
    start,
    pump,
) -> None:
    deploy(cluster, namespace)
    run = until(pump, start("chaosmesh.pod_kill", chosen(namespace)), *ENDED)
    assert (run.status, run.verdict) == ("completed", "held"), story(run)
    assert ready(cluster, namespace) == 3
    assert podchaos(cluster, namespace) == []


def test_a_selection_of_nothing_is_refused_before_anything_is_created(
    cluster,
    chaos_controller,
    namespace,
    start,
    pump,
) -> None:
    run = until(pump, start("chaosmesh.pod_failure", chosen(namespace)), *ENDED)
    assert run.status == "refused", story(run)
    assert "No pod matches" in story(run)
    assert podchaos(cluster, namespace) == []

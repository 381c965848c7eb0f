"""Which pods match, how many of each workload that is, and what to know before."""

from __future__ import annotations

from typing import Any

from drivers.kube.pods import owners
from drivers.kubernetes.matching import Matching, choose, nothing, targets, warnings
from drivers.kubernetes.selection import PodSelection
from tests.drivers.kubernetes.bodies import body, pod

COMPLETED = {"status": {"phase": "Succeeded", "conditions": []}}
GOING = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}


def matching(*pods: Any, **selection: Any) -> Matching:
    chosen = {"namespace": "shop", **(selection or {"labels": {"app": "web"}})}
    return Matching(PodSelection(**chosen), tuple(pods))


def said(found: Matching, count: int) -> list[str]:
    return [each.message for each in warnings(found, count, "deleted")]


def test_a_pod_says_node_phase_readiness_and_workload() -> None:
    assert pod("web-5d9-a").detail == "running, ready on node-1, of Deployment web"
    waiting = pod("web-5d9-b", spec={"nodeName": ""}, status={"phase": "Pending", "conditions": []})
    assert waiting.detail == "pending, not ready, on no node yet, of Deployment web"
    assert pod("web-5d9-c", **COMPLETED).detail.startswith("completed on node-1")
    assert "being deleted" in pod("web-5d9-d", **GOING).detail


def test_a_replicaset_of_a_deployment_counts_as_the_deployment() -> None:
    bare = pod("rs-x", of={"kind": "ReplicaSet", "name": "rs", "controller": True})
    assert str(bare.owner) == "ReplicaSet rs"
    assert str(pod("web-5d9-a").owner) == "Deployment web"
    assert pod("alone", of=None).owner is None
    assert pod("seen", of={"kind": "Lease", "name": "x", "controller": False}).owner is None


def test_what_has_ended_or_goes_is_not_hit() -> None:
    found = matching(pod("a"), pod("b", **COMPLETED), pod("c", **GOING))
    assert [each.name for each in found.pods] == ["a"]
    assert "1 matching pods have completed: they are left out." in said(found, 1)
    assert nothing(found) == []
    (problem,) = nothing(matching(pod("b", **COMPLETED), pod("c", **GOING)))
    assert problem.message == "All 2 pods of app=web in shop have ended or are being deleted."


def test_nothing_that_matches_names_the_labels_that_there_are() -> None:
    (problem,) = nothing(matching(pod("a"), labels={"app": "wbe"}))
    assert problem.severity == "error"
    assert "app=web" in problem.hint


def test_a_single_pod_and_all_pods_are_warned_of() -> None:
    assert said(matching(pod("a")), 1) == [
        "Deployment web in shop has a single pod, which may be deleted."
    ]
    three = matching(pod("a"), pod("b"), pod("c"))
    assert said(three, 2) == []
    assert said(three, 3) == ["All 3 pods of Deployment web in shop may be deleted at once."]


def test_host_network_and_unready_pods_are_warned_of() -> None:
    found = matching(
        pod("a", spec={"hostNetwork": True}),
        pod("b", status={"conditions": [{"type": "Ready", "status": "False"}]}),
        pod("c"),
    )
    assert said(found, 1) == [
        "On the host's network: a.",
        "1 of 3 matching pods are not ready already.",
    ]


def test_shares_count_against_all_of_the_workload() -> None:
    canary = body("d")
    canary["metadata"]["labels"]["track"] = "canary"
    there = (pod("a"), pod("b"), pod("c"))
    found = Matching(
        PodSelection(namespace="shop", pods=["a", "no-such"]), there, missing=("no-such",)
    )
    (share,) = found.shares(found.pods)
    assert str(share) == "1 of 3 pods of Deployment web in shop"
    assert "There is no pod no-such in shop." in said(found, 1)


def test_a_choice_is_by_chance_and_the_same_for_the_same_token() -> None:
    pods = [pod(f"p{number}") for number in range(100)]
    first = choose(pods, 10, "tok-1")
    assert first == choose(list(pods), 10, "tok-1")
    assert len({each.uid for each in first}) == 10
    assert first != choose(pods, 10, "tok-2")
    hit = {each.uid for token in range(200) for each in choose(pods, 1, f"tok-{token}")}
    assert len(hit) > 60


def test_ten_thousand_are_counted_and_a_thousand_listed() -> None:
    found = matching(*(pod(f"p{number}") for number in range(10_000)))
    shown = targets(found, "Many.")
    assert len(shown.targets) == 1000
    assert shown.sentence == "Many. The first 1,000 of 10,000 pods are listed."


def test_pods_are_held_by_what_makes_them() -> None:
    found = owners([pod("a"), pod("b"), pod("alone", of=None)])
    assert list(found) == ["shop/Deployment/web", "shop/Pod/alone"]
    assert len(found["shop/Deployment/web"]) == 2

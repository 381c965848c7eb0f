"""The allow-list of namespaces: nothing by default, and Kubernetes' own only by full name."""

from __future__ import annotations

import pytest

from drivers.kube.scope import SYSTEM, Scope, scope_of
from drivers.protocol import ConnectionConfig, DriverError


def scope(*patterns: str) -> Scope:
    return scope_of(ConnectionConfig("kubernetes", "cluster", {"namespaces": list(patterns)}))


@pytest.mark.parametrize(
    ("patterns", "namespace", "is_allowed"),
    [
        ((), "shop", False),
        (("shop",), "shop", True),
        (("shop",), "shop-2", False),
        (("shop*",), "shop-2", True),
        (("shop-*",), "shop", False),
        (("*",), "anything", True),
        (("*",), "kube-system", False),
        (("kube-*",), "kube-public", False),
        (("kube-*",), "kube-flannel", True),
        (("kube-system",), "kube-system", True),
    ],
)
def test_what_is_allowed(patterns: tuple[str, ...], namespace: str, is_allowed: bool) -> None:
    found = scope(*patterns)
    assert found.allows(namespace) is is_allowed
    assert (found.refusal(namespace) is None) is is_allowed


@pytest.mark.parametrize("namespace", SYSTEM)
def test_a_refusal_says_how_to_mend_it(namespace: str) -> None:
    refused = scope("*").refusal(namespace)
    assert refused is not None
    assert not refused.retryable
    assert "Kubernetes' own" in refused.hint
    elsewhere = scope("shop", "cart-*").refusal("bank")
    assert elsewhere is not None
    assert "It allows shop, cart-*" in elsewhere.hint
    empty = scope().refusal("shop")
    assert empty is not None
    assert "no namespace yet" in empty.message


def test_names_come_first_and_each_once() -> None:
    found = scope(" shop ", "cart-*", "shop", "")
    assert (found.patterns, found.names, found.has_wildcards) == (
        ("shop", "cart-*"),
        ("shop",),
        True,
    )
    assert found.allowed(["cart-1", "bank", "shop", "cart-1"]) == ["cart-1", "shop"]


@pytest.mark.parametrize("given", [["Shop"], ["*shop"], ["a*b"], ["a b"], ["-a"], "shop", [1]])
def test_what_is_no_namespace_is_refused(given: object) -> None:
    with pytest.raises(DriverError):
        scope_of(ConnectionConfig("kubernetes", "cluster", {"namespaces": given}))

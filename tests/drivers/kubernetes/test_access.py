"""A connection's way in: nothing in it runs a program, reads a file or goes through a proxy."""

from __future__ import annotations

import base64
import ssl
from typing import Any

import pytest
import yaml

from drivers.kube import access
from drivers.kube.access import AccessRefusedError
from drivers.kubernetes.driver import KubernetesDriver
from drivers.protocol import ConnectionConfig

SERVER = "https://cluster.example:6443"


def kubeconfig(user: Any = None, **cluster: Any) -> dict[str, Any]:
    return {
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u"}},
            {"name": "two", "context": {"cluster": "c", "user": "no-such"}},
        ],
        "current-context": "one",
        "clusters": [{"name": "c", "cluster": {"server": SERVER, **cluster}}],
        "users": [{"name": "u", "user": user or {"token": "secret-token"}}],
    }


def config(content: Any, **options: Any) -> ConnectionConfig:
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    return ConnectionConfig("kubernetes", "cluster", options, {"kubeconfig": text})


def test_a_kubeconfig_with_a_token_gets_in() -> None:
    found = access.read(config(kubeconfig()))
    assert found.server == SERVER
    assert found.headers() == {"authorization": "Bearer secret-token"}
    assert found.trust.verify_mode is ssl.CERT_REQUIRED
    assert found.trust.check_hostname


def test_only_the_cluster_itself_may_say_that_its_certificate_is_not_checked() -> None:
    found = access.read(config(kubeconfig(**{"insecure-skip-tls-verify": True})))
    assert found.trust.verify_mode is ssl.CERT_NONE
    assert access.read(
        config(kubeconfig(**{"insecure-skip-tls-verify": "yes"}))
    ).trust.check_hostname


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (kubeconfig({"exec": {"command": "aws"}}), "would run a program to sign in (exec)"),
        (kubeconfig({"auth-provider": {"name": "gcp"}}), "would run a program"),
        (kubeconfig({"tokenFile": "/etc/passwd"}), "names a file (tokenFile)"),
        (kubeconfig({"client-key": "/root/key"}), "names a file (client-key)"),
        (kubeconfig(**{"certificate-authority": "/ca"}), "names a file (certificate-authority)"),
        (kubeconfig(**{"proxy-url": "http://proxy"}), "asks for a proxy"),
        (kubeconfig({"username": "bob"}), "neither token nor client certificate"),
        (kubeconfig({"client-certificate-data": "%%"}), "not base64"),
        (kubeconfig(**{"certificate-authority-data": "bm8="}), "cannot be read"),
        (kubeconfig() | {"clusters": [{"name": "c", "cluster": None}]}, "not as they should be"),
        (kubeconfig() | {"clusters": []}, "no cluster “c”; it has none"),
        ("a: &x 1\nb: *x\n", "aliases"),
        ("a: [1\n", "no YAML"),
        ("just text", "no contexts"),
        ("", "There is no kubeconfig"),
        ("x" * (access.MAX_KUBECONFIG_BYTES + 1), "too large"),
    ],
    ids=lambda each: each if isinstance(each, str) and len(each) < 60 else "",
)
def test_what_must_not_be_in_a_kubeconfig_is_refused(content: Any, said: str) -> None:
    with pytest.raises(AccessRefusedError) as caught:
        access.read(config(content))
    assert said in caught.value.message
    assert not caught.value.retryable


def test_a_user_of_another_context_may_not_run_programs_either() -> None:
    content = kubeconfig()
    content["users"].append({"name": "other", "user": {"exec": {"command": "rm"}}})
    with pytest.raises(AccessRefusedError, match="“other” would run a program"):
        access.read(config(content))


def test_a_context_is_chosen_by_name_and_the_known_ones_are_told() -> None:
    with pytest.raises(AccessRefusedError, match="no user “no-such”; it has u"):
        access.read(config(kubeconfig(), context="two"))
    with pytest.raises(AccessRefusedError, match="no context “three”; it has one, two"):
        access.read(config(kubeconfig(), context="three"))


def test_a_token_gets_in_and_is_not_printed() -> None:
    options = {"access": "token", "server": f"{SERVER}/"}
    given = ConnectionConfig("kubernetes", "cluster", options, {"token": " secret-token\n"})
    assert access.read(given).headers() == {"authorization": "Bearer secret-token"}
    assert access.read(given).server == SERVER
    assert "secret-token" not in repr(given)


@pytest.mark.parametrize(
    "server",
    [
        "http://cluster",
        "cluster:6443",
        "",
        "https://me:secret@cluster",
        "https://c/?a=b",
    ],
)
def test_what_is_no_address_of_an_api_server_is_refused(server: str) -> None:
    options = {"access": "token", "server": server}
    with pytest.raises(AccessRefusedError):
        access.read(ConnectionConfig("kubernetes", "cluster", options, {"token": "t"}))


def test_a_token_and_a_way_in_are_needed() -> None:
    options = {"access": "token", "server": SERVER}
    with pytest.raises(AccessRefusedError, match="There is no token"):
        access.read(ConnectionConfig("kubernetes", "cluster", options, {"token": " "}))
    with pytest.raises(AccessRefusedError, match="“ssh” is no way in"):
        access.read(ConnectionConfig("kubernetes", "cluster", {"access": "ssh"}))


def test_outside_a_cluster_there_is_no_account_of_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(AccessRefusedError, match="does not run in a cluster"):
        access.read(ConnectionConfig("kubernetes", "cluster", {"access": "in_cluster"}))


def test_an_unusable_connection_is_refused_when_it_is_opened() -> None:
    with pytest.raises(AccessRefusedError):
        KubernetesDriver(ConnectionConfig("kubernetes", "cluster"))


def test_a_certificate_that_does_not_fit_its_key_is_refused() -> None:
    wrong = base64.b64encode(
        b"-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----"
    ).decode()
    user = {"client-certificate-data": wrong, "client-key-data": wrong}
    with pytest.raises(AccessRefusedError, match="client certificate cannot be used"):
        access.read(config(kubeconfig(user)))

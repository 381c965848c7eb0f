"""Chaos Mesh in a test cluster: its CRDs, its own controller, and its admission webhooks.

The controller runs on this machine as a user of the cluster. There is no chaos-daemon, since there
are no containers: pod-kill and pod-failure are real, every other fault on pods stays a record with
Failed events.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from tests.servers.envoy import free_ports, wait_until
from tests.servers.kubernetes import ADMINISTRATORS, APPLIED_WITHIN_S, RunningKubernetes
from tests.servers.kubernetes_kwok import PAUSE_IMAGE
from tests.servers.kubernetes_process import ROOT, Program, tool

GROUP = "chaos-mesh.org"
VERSION = "v1alpha1"
NAMESPACE = "chaos-mesh"
DATA = ROOT.parent / "shared" / "data" / "chaosmesh"

# Kinds with webhooks, lower-cased, and what they are called in URLs.
_PLURALS = {
    "schedule": "schedules",
    "workflow": "workflows",
    "physicalmachine": "physicalmachines",
    "statuscheck": "statuschecks",
    "remotecluster": "remoteclusters",
    **{
        kind: kind
        for kind in (
            *("podchaos", "iochaos", "timechaos", "networkchaos", "kernelchaos", "stresschaos"),
            *("awschaos", "azurechaos", "gcpchaos", "dnschaos", "jvmchaos", "httpchaos"),
            *("blockchaos", "physicalmachinechaos"),
        )
    },
}


def data(name: str) -> Path:
    """Return a folder of Chaos Mesh's data beside the project: ``crds`` or ``examples``."""
    path = DATA / name
    if not path.is_dir():
        missing = f"Chaos Mesh's {name} are not beside the project, in ../shared/data/chaosmesh"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)  # a clone without them; in CI the line above fails
    return path


def crds() -> dict[str, Path]:
    """Return the file of each CRD by its name; the files are called GROUP_PLURAL.yaml."""
    files = sorted(data("crds").glob("*.yaml"))
    assert files, "there is no CRD"
    return {".".join(reversed(path.stem.split("_"))): path for path in files}


def install_crds(cluster: RunningKubernetes) -> None:
    """Apply Chaos Mesh's CRDs server-side, and wait until they are served.

    NetworkChaos gets one field more: see _with_newer_field.
    """
    place = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    wanted = crds()
    for name, path in wanted.items():
        is_newer = name == f"networkchaos.{GROUP}"
        answer = cluster.http.patch(
            f"{place}/{name}",
            params={"fieldManager": "tests", "force": "true"},
            headers={"Content-Type": "application/apply-patch+yaml"},
            content=_with_newer_field(path) if is_newer else path.read_bytes(),
        )
        assert answer.is_success, f"{name}: {answer.text}"

    def are_served() -> bool:
        found = cluster.http.get(f"/apis/{GROUP}/{VERSION}")
        served = found.json()["resources"] if found.is_success else []
        return {f"{each['name']}.{GROUP}" for each in served} >= wanted.keys()

    wait_until(are_served, "the CRDs are served", APPLIED_WITHIN_S)


def _with_newer_field(path: Path) -> str:
    """Return the CRD of NetworkChaos with the field that the controller's API knows besides.

    The API module that tests/tools/chaos-mesh pins is a month newer than the CRDs. Its webhook sets
    partitionBehavior; pruned, it would look like a changed spec at every update, and be refused.
    """
    crd = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    (version,) = crd["spec"]["versions"]
    fields = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    assert "partitionBehavior" not in fields, "the CRDs have it now: this is not needed any more"
    fields["partitionBehavior"] = {"type": "string", "enum": ["drop", "reject"], "default": "drop"}
    return json.dumps(crd)


@contextmanager
def chaos_mesh(cluster: RunningKubernetes) -> Iterator[Program]:
    """Install Chaos Mesh into a cluster and run its controller, with its webhooks on."""
    install_crds(cluster)
    cluster.namespace(NAMESPACE)
    webhooks, metrics = free_ports(2)
    certificates = cluster.folder / "webhooks"
    certificates.mkdir()
    served = cluster.authority.server("chaos-mesh-webhooks")
    (certificates / "tls.crt").write_bytes(served.certificate.read_bytes())
    (certificates / "tls.key").write_bytes(served.key.read_bytes())
    person = cluster.authority.person("chaos-controller-manager", (ADMINISTRATORS,))
    kubeconfig = cluster.write_kubeconfig("chaos-mesh", cluster.kubeconfig(person))
    trusted = cluster.authority.trusted()

    def is_ready() -> bool:
        with httpx.Client(verify=trusted, trust_env=False) as client:
            client.get(f"https://127.0.0.1:{webhooks}/")  # any answer: it serves with TLS
            return client.get(f"http://127.0.0.1:{metrics}/metrics").is_success

    controller = Program(
        [tool("chaos-controller-manager")],
        folder=cluster.folder,
        is_ready=is_ready,
        env={
            "KUBECONFIG": str(kubeconfig),
            "NAMESPACE": NAMESPACE,
            "WEBHOOK_HOST": "127.0.0.1",
            "WEBHOOK_PORT": str(webhooks),
            "METRICS_HOST": "127.0.0.1",
            "METRICS_PORT": str(metrics),
            "CERTS_DIR": str(certificates),
            "ENABLE_LEADER_ELECTION": "false",
            "CHAOSD_SECURITY_MODE": "false",  # it would read certificates for chaosd
            "CHAOS_DNS_SERVICE_PORT": "9288",  # its default is no number
            "POD_FAILURE_PAUSE_IMAGE": PAUSE_IMAGE,
        },
    )
    try:
        controller.start()
        _register_webhooks(cluster, f"https://127.0.0.1:{webhooks}")
        yield controller
    finally:
        controller.kill()


def _register_webhooks(cluster: RunningKubernetes, url: str) -> None:
    """Register the webhooks of Chaos Mesh's chart, at this machine instead of a Service."""
    authority = base64.b64encode(cluster.authority.pair.certificate.read_bytes()).decode()

    def webhook(name: str, path: str, resource: str) -> dict[str, Any]:
        return {
            "name": name,
            "clientConfig": {"url": url + path, "caBundle": authority},
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 10,
            "rules": [
                {
                    "apiGroups": [GROUP],
                    "apiVersions": [VERSION],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": [resource],
                }
            ],
        }

    def of_kinds(verb: str) -> list[dict[str, Any]]:
        path = f"/{verb}-{GROUP.replace('.', '-')}-{VERSION}-"
        return [
            webhook(f"{verb}.{kind}.{GROUP}", path + kind, plural)
            for kind, plural in _PLURALS.items()
        ]

    configurations = {
        "MutatingWebhookConfiguration": of_kinds("mutate"),
        "ValidatingWebhookConfiguration": [
            *of_kinds("validate"),
            webhook(f"auth.{GROUP}", "/validate-auth", "*"),
        ],
    }
    for kind, webhooks in configurations.items():
        cluster.create(
            f"/apis/admissionregistration.k8s.io/v1/{kind.lower()}s",
            {"metadata": {"name": "chaos-mesh"}, "webhooks": webhooks},
        )

"""Write what is sent to the API server, and the commands that do the same by hand. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import yaml

from drivers.kube.api import path
from drivers.protocol import Document, Json

TOKEN = "chaosweb.dev/token"  # noqa: S105  the name of a label and annotation
FAULT = "chaosweb.dev/fault"
MANAGED_BY = {"app.kubernetes.io/managed-by": "chaosweb"}
PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "Node": "nodes"}

Body = Mapping[str, Any]

_SERVER_SET = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
)
_REVISION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True, slots=True)
class Reference:
    """One object: where it is, and what it is called."""

    group: str
    kind: str
    name: str
    namespace: str = ""

    @property
    def path(self) -> str:
        """Return its path on the API server."""
        plural = PLURALS[self.kind]
        return path(self.group, plural, namespace=self.namespace or None, name=self.name)

    @property
    def label(self) -> str:
        """Return what plans and pages call it: “shop/Deployment/web”, “Node/worker-1”."""
        return "/".join(filter(None, (self.namespace, self.kind, self.name)))

    @property
    def kubectl(self) -> str:
        """Return it as arguments of kubectl: “-n shop deployment/web”."""
        where = f"-n {self.namespace} " if self.namespace else ""
        return f"{where}{self.kind.lower()}/{self.name}"

    def __str__(self) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{self.kind} {self.name}{where}"

    def dump(self) -> dict[str, Json]:
        """Return it as JSON holds it; ``Reference(**dumped)`` reads it back."""
        return asdict(self)


def workload(kind: str, namespace: str, name: str) -> Reference:
    """Return the reference of a Deployment or StatefulSet."""
    return Reference("apps/v1", kind, name, namespace)


def node(name: str) -> Reference:
    """Return the reference of a node."""
    return Reference("v1", "Node", name)


def sentinel_name(token: str) -> str:
    """Return the name of the ConfigMap (and of the NetworkPolicy) of an injection."""
    return f"chaosweb-{token}"


def labels(token: str, fault: str) -> dict[str, str]:
    """Return the labels of everything that we create."""
    return {**MANAGED_BY, TOKEN: token, FAULT: fault}


def marked(token: str | None, version: str) -> dict[str, Any]:
    """Return the metadata of a patch that puts our token on an object, or takes it away.

    With its ``version`` the server refuses it (409) once anything else has changed the object.
    """
    return {"resourceVersion": version, "annotations": {TOKEN: token}}


def holder(body: Body) -> str:
    """Return the token that an object carries, empty for none."""
    return str((body["metadata"].get("annotations") or {}).get(TOKEN, ""))


def stripped(body: Body, kind: str) -> dict[str, Any]:
    """Return an object as somebody would create it: without what the server sets."""
    about = {key: value for key, value in body["metadata"].items() if key not in _SERVER_SET}
    annotations = {
        key: value
        for key, value in (about.get("annotations") or {}).items()
        if key not in (_REVISION, TOKEN)
    }
    about.pop("annotations", None)
    if annotations:
        about["annotations"] = annotations
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": about,
        "spec": body["spec"],
    }


def policy(token: str, fault: str, namespace: str, chosen: Body, direction: str) -> dict[str, Any]:
    """Return the NetworkPolicy that cuts pods off: it selects them and allows nothing."""
    types = {"in": ["Ingress"], "out": ["Egress"], "both": ["Ingress", "Egress"]}[direction]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": sentinel_name(token),
            "namespace": namespace,
            "labels": labels(token, fault),
        },
        "spec": {
            "podSelector": {"matchLabels": dict(chosen)} if chosen else {},
            "policyTypes": types,
        },
    }


def request(target: str, method: str, at: str, body: Json, kind: str = "") -> Document:
    """Return one call as a person would read it."""
    typed = f"\nContent-Type: {kind}" if kind else ""
    said = f"\n\n{json.dumps(body, indent=2)}" if body is not None else ""
    return Document(target=target, body=f"{method} {at}{typed}{said}", language="http")


def manifest(target: str, body: Body) -> Document:
    """Return an object that will be created, as YAML."""
    return Document(target=target, body=as_yaml(body), language="yaml")


def as_yaml(*bodies: Body) -> str:
    """Return objects as one YAML text, in the order of their fields."""
    return "---\n".join(
        yaml.safe_dump(_plain(each), sort_keys=False, allow_unicode=True) for each in bodies
    )


def _plain(value: Any) -> Any:
    """Return the value in parts of its own: YAML would write what is shared as an alias."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def by_hand(*commands: str, home: str, token: str) -> str:
    """Return the commands of kubectl as one line, which ends by removing the sentinel."""
    last = f"delete -n {home} configmap {sentinel_name(token)}"
    return " && ".join(f"kubectl {each}" for each in (*commands, last))


def unmark(of: Reference) -> str:
    """Return the arguments of kubectl that take our token off an object."""
    return f"annotate {of.kubectl} {TOKEN}-"


def quoted(text: str) -> str:
    """Return the text as a shell takes it."""
    return shlex.quote(text)

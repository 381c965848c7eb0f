"""What an account may do: asked of the cluster itself, and written as the least it needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from drivers.kube.api import Api, path


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one resource; ``group`` is empty for the core one.

    ``is_everywhere`` is for what lies in no namespace, such as nodes; ``name`` narrows it to one
    object.
    """

    group: str
    resource: str
    verb: str
    is_everywhere: bool = False
    name: str = ""

    def __str__(self) -> str:
        where = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {where}" + (f" {self.name}" if self.name else "")


@dataclass(frozen=True, slots=True)
class RightRow:
    """One right in one namespace (empty: everywhere), and the faults that need it.

    ``is_allowed`` is None where the cluster could not be asked. What is not ``is_required`` only
    makes checks and suggestions fuller.
    """

    right: Right
    namespace: str
    is_allowed: bool | None
    faults: tuple[str, ...]
    is_required: bool


def rights(group: str, resource: str, *verbs: str, is_everywhere: bool = False) -> list[Right]:
    """Return one right for each verb."""
    return [Right(group, resource, verb, is_everywhere) for verb in verbs]


def allowed(api: Api, right: Right, namespace: str, *, deadline: float | None = None) -> bool:
    """Ask the cluster whether we have the right in the namespace (SelfSubjectAccessReview)."""
    resource, _, sub = right.resource.partition("/")
    asked: dict[str, Any] = {"verb": right.verb, "group": right.group, "resource": resource}
    asked |= {"subresource": sub} if sub else {}
    asked |= {"name": right.name} if right.name else {}
    asked |= {} if right.is_everywhere or not namespace else {"namespace": namespace}
    answer = api.post(
        path("authorization.k8s.io/v1", "selfsubjectaccessreviews"),
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked},
        },
        deadline=deadline,
    )
    return bool((answer.get("status") or {}).get("allowed"))


def manifests(
    name: str,
    needed: Iterable[Right],
    namespaces: Iterable[str],
    *,
    account_in: str,
    account_name: str = "",
) -> list[dict[str, Any]]:
    """Return the account, roles and bindings that give these rights in these namespaces only.

    What lies in no namespace gets a ClusterRole; everything else a Role in each namespace. The
    account is made in the namespace ``account_in``, under the roles' own name unless it is told.
    """
    wanted = sorted(set(needed))
    called = account_name or name
    account = {"kind": "ServiceAccount", "name": called, "namespace": account_in}
    found: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": called, "namespace": account_in},
        }
    ]
    local = [right for right in wanted if not right.is_everywhere]
    for namespace in namespaces if local else ():
        found += _granted("Role", name, local, account, namespace)
    anywhere = [right for right in wanted if right.is_everywhere]
    if anywhere:
        found += _granted("ClusterRole", name, anywhere, account, "")
    return found


def _granted(
    kind: str, name: str, rights_: list[Right], account: Mapping[str, str], namespace: str
) -> list[dict[str, Any]]:
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for right in rights_:
        grouped.setdefault((right.group, right.resource, right.name), []).append(right.verb)
    rules: list[dict[str, Any]] = [
        {
            "apiGroups": [group],
            "resources": [resource],
            **({"resourceNames": [only]} if only else {}),
            "verbs": verbs,
        }
        for (group, resource, only), verbs in grouped.items()
    ]
    about = {"name": name, **({"namespace": namespace} if namespace else {})}
    group = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": f"{group}/v1", "kind": kind, "metadata": about, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": f"{kind}Binding",
            "metadata": about,
            "roleRef": {"apiGroup": group, "kind": kind, "name": name},
            "subjects": [dict(account)],
        },
    ]

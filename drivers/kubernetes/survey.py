"""Look at a whole cluster before anything is asked of it: what is there, and what we may do."""

from __future__ import annotations

from collections.abc import Iterator

from drivers.kube.api import KubeError, path
from drivers.kube.cluster import Cluster
from drivers.kubernetes import needs
from drivers.protocol import Document, DriverError, Member, Problem, Suggestion

CHAOS_MESH = "chaos-mesh.org"
_EXAMPLE = ["shop"]


def survey(cluster: Cluster, deadline: float) -> list[Member]:
    """Return the cluster as the one member, with the manifests of what it takes to use it."""
    try:
        version = str(cluster.api.get("/version", deadline=deadline).get("gitVersion", ""))
    except DriverError as error:
        problem = Problem(message=error.message, hint=error.hint, where=cluster.name)
        return [Member(name=cluster.api.server, problems=(problem,))]
    problems: list[Problem] = []
    namespaces = _namespaces(cluster, problems, deadline)
    targets = tuple(_counted(cluster, namespaces, problems, deadline))
    try:
        problems += _lacking(cluster, namespaces, deadline)
        targets = (*targets, _chaos_mesh(cluster, deadline))
    except DriverError as error:
        problems.append(Problem(message=error.message, hint=error.hint, where=cluster.name))
    return [
        Member(
            name=cluster.api.server,
            version=f"Kubernetes {version}".strip(),
            problems=tuple(problems),
            targets=targets,
            snippets=tuple(snippets(namespaces)),
        )
    ]


def snippets(namespaces: list[str]) -> list[Document]:
    """Return the manifests of a viewer and an injector of every fault."""
    return needs.documents(needs.every_kind(), namespaces or _EXAMPLE)


def _namespaces(cluster: Cluster, problems: list[Problem], deadline: float) -> list[str]:
    """Return the allowed namespaces that exist; add what is wrong with the others."""
    scope = cluster.scope
    if not scope.patterns:
        problems.append(
            Problem(
                message="The connection allows no namespace, so no fault can be injected.",
                hint="Name those that experiments may touch in the connection's namespaces.",
                where=cluster.name,
            )
        )
        return []
    try:
        found = cluster.namespaces(deadline)
    except DriverError as error:
        said = f"Which namespaces there are could not be read: {error.message}"
        hint = "Name them in full, or let the account list namespaces."
        severity = "warning" if scope.names else "error"
        problems.append(
            Problem.model_validate(
                {"message": said, "hint": hint, "severity": severity, "where": cluster.name}
            )
        )
        return list(scope.names)
    absent = [name for name in scope.names if name not in found]
    if absent:
        said = f"There is no namespace {', '.join(absent)}."
        problems.append(Problem(message=said, severity="warning", where=cluster.name))
    if not found:
        said = "None of the allowed namespaces exists."
        problems.append(Problem(message=said, where=cluster.name))
    return found


def _counted(
    cluster: Cluster, namespaces: list[str], problems: list[Problem], deadline: float
) -> Iterator[Suggestion]:
    for name, listed in cluster.each(lambda each: cluster.pods(each, deadline), namespaces):
        if isinstance(listed, DriverError):
            problems.append(Problem(message=listed.message, hint=listed.hint, where=name))
            continue
        ready = sum(pod.is_ready for pod in listed)
        yield Suggestion(value=name, detail=f"{len(listed)} pods, {ready} ready")


def _lacking(cluster: Cluster, namespaces: list[str], deadline: float) -> Iterator[Problem]:
    """Yield one warning for each fault that the account may not inject everywhere."""
    rows = needs.table(cluster, needs.every_kind(), namespaces, deadline)
    for kind in needs.every_kind():
        missing = [
            row
            for row in rows
            if row.is_required and row.is_allowed is False and row.right in needs.of_kind(kind)
        ]
        if missing:
            said = ", ".join(sorted({str(row.right) for row in missing}))
            yield Problem(
                message=f"{kind}: the account may not {said}.",
                hint="Give it the injector's manifest below, or leave this fault out.",
                severity="warning",
                where=", ".join(sorted({row.namespace for row in missing if row.namespace})),
            )


def _chaos_mesh(cluster: Cluster, deadline: float) -> Suggestion:
    """Return whether Chaos Mesh's custom resources are there, and in which version."""
    try:
        group = cluster.api.get(f"/apis/{CHAOS_MESH}", deadline=deadline)
    except KubeError as error:
        if error.status != 404:
            raise
        return Suggestion(value="Chaos Mesh", detail="its custom resources are not there")
    versions = [str(each.get("version")) for each in group.get("versions") or []]
    at = path(f"{CHAOS_MESH}/{versions[0]}", "").rstrip("/")
    kinds = {
        str(each["kind"])
        for each in cluster.api.get(at, deadline=deadline).get("resources") or []
        if "/" not in str(each["name"])
    }
    return Suggestion(value="Chaos Mesh", detail=f"{', '.join(versions)}, {len(kinds)} kinds")

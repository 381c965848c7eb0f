"""Why an object does not go away, in words: its records wait, and for whom."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from drivers.chaosmesh.records import Record, Status, pod_of

SILENT = timedelta(seconds=10)
"""After how long without a word it is said that nobody works on a deletion."""
_MOST_TOLD = 3
_REASONS = (
    (
        "cannot find daemonip",
        "no chaos-daemon runs on its node",
        "See that the DaemonSet chaos-daemon has a pod on every node.",
    ),
    (
        "failed calling webhook",
        "the API server could not ask Chaos Mesh's webhook",
        "See that chaos-controller-manager runs and that its Service has an endpoint.",
    ),
    (
        "connection refused",
        "chaos-daemon or chaosd does not answer there",
        "See that it runs on that node or machine.",
    ),
    (
        "not found",
        "what it was done to is not there any more",
        "A pod that is gone took the fault with it: the object may be removed by force.",
    ),
    (
        "hostnetwork",
        "its pod is on the host's network",
        "Chaos Mesh does not touch such pods, and waits for ever: remove the object by force.",
    ),
)


def words(
    status: Status,
    vanished: Collection[str],
    *,
    now: datetime,
    webhook: str = "",
    controller: str = "",
) -> str:
    """Say why the deletion hangs.

    ``vanished``: pods of the records that are not there; ``webhook``: what the server says when it
    cannot ask one; ``controller``: what is wrong with the controller's deployment.
    """
    waiting = [each for each in status.records if each.phase != "Not Injected"]
    said = []
    if webhook:
        said.append(
            "The API server cannot ask Chaos Mesh's webhook, which its controller serves, so "
            f"nothing is recovered until chaos-controller-manager runs ({webhook})."
        )
    elif controller:
        said.append(controller)
    elif _is_silent(status, now):
        said.append(
            "Nobody works on its deletion: is chaos-controller-manager running, and may it reach "
            "the API server?"
        )
    said += [_of(each, vanished) for each in waiting[:_MOST_TOLD]]
    if len(waiting) > _MOST_TOLD:
        said.append(f"{len(waiting) - _MOST_TOLD} more records wait.")
    if not said:
        said.append("Its records are recovered; Chaos Mesh has not let go of it yet.")
    return " ".join(said)


def _is_silent(status: Status, now: datetime) -> bool:
    """Tell whether nothing was tried since the deletion began, for long enough to say so."""
    since = status.going_since
    if since is None or now - since < SILENT:
        return False
    tried = [each.at for record in status.records for each in record.attempts if each.at]
    return not any(at >= since for at in tried)


def _of(record: Record, vanished: Collection[str]) -> str:
    if pod_of(record) in vanished:
        return (
            f"{record.id} ({record.phase}): the pod is not there any more, and the fault went with "
            "it. If the object stays, remove it by force."
        )
    failed = record.failure("Recover") or record.failure("Apply")
    never = "" if record.was_hit else " It was never in effect there, so nothing would stay."
    if not failed:
        return f"{record.id} ({record.phase}): not recovered yet.{never}"
    told = f"Chaos Mesh says: {failed.rstrip('.')}.{never}"
    for mark, why, hint in _REASONS:
        if mark in failed.lower():
            return f"{record.id} ({record.phase}): {why}. {hint} {told}"
    return f"{record.id} ({record.phase}): {told}"

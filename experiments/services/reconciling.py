"""Compares what the backends hold with the ledger: a fault of ours that nobody looks after goes."""

from __future__ import annotations

import logging
from datetime import datetime

from drivers.protocol import DriverError, Owned
from experiments import backends, queue
from experiments.domain.states import MAY_EXIST, InjectionPhase
from experiments.models import Connection, Injection
from experiments.services import checking, clock, conducting

log = logging.getLogger(__name__)


def reconcile() -> int:
    """Ask every driver for our faults and begin to remove the orphans. Return how many there were.

    An orphan is a fault whose injection the ledger calls recovered or cancelled, or does not know
    (an older backup was restored).
    """
    found = 0
    for connection in Connection.objects.all():
        if not backends.is_driver(connection.kind):
            continue
        asked_at = clock.now()
        try:
            owned = backends.driver(connection).owned()
        except DriverError as error:
            log.warning("%s could not be compared with the ledger: %s", connection, error)
            continue
        for fault in owned:
            found += _look_after(connection, fault, asked_at)
    return found


def _look_after(connection: Connection, fault: Owned, asked_at: datetime) -> bool:
    row = Injection.objects.select_related("run").filter(token=fault.token).first()
    if row is not None and row.phase in MAY_EXIST:
        return False
    if row is not None and row.recovered_at is not None and row.recovered_at >= asked_at:
        return False  # removed while the backend was being asked
    where = ", ".join(target.name for target in fault.targets)
    if row is None and not fault.token.startswith(checking.own_prefix()):
        log.warning("fault %s on %s (%s) is another installation's", fault.token, connection, where)
        return False
    log.critical("orphaned fault %s on %s (%s)", fault.token, connection, where)
    if row is not None and row.phase == InjectionPhase.RECOVERED and row.plan is not None:
        conducting.begin_recovery(
            injection=row, reason="found on its backend", actor="reconcile", now=clock.now()
        )
        queue.wake("carry", row.pk)
        return True
    if fault.plan is None:
        log.critical("orphaned fault %s must be removed by hand", fault.token)
        return True
    try:
        seen = backends.driver(connection).recover(fault.plan, None)
    except DriverError as error:
        log.critical("orphaned fault %s could not be removed: %s", fault.token, error)
    else:
        log.warning("orphaned fault %s: %s after removal", fault.token, seen.phase)
    return True

"""How long a fault lasts of which nobody knows when it began."""

from __future__ import annotations

from datetime import timedelta

import pytest

from experiments.services import carrying
from tests.services.worlds import start

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_fault_that_may_have_begun_at_its_intent_is_timed_from_there(
    alice, environment, pump, control
):
    run = start(alice, environment)
    while not run.injections.filter(phase="intent").exists():
        pump.step()
    pump.waiting.clear()
    # As a carrier leaves it that was killed after the call: nobody knows since when it is there.
    run.injections.update(is_unanswered=True)
    pump.let_pass(4)
    injection = run.injections.get()
    carrying.carry(injection_id=injection.pk)
    injection.refresh_from_db()
    assert injection.phase == "active"
    assert injection.recover_by == injection.intent_at + timedelta(seconds=injection.duration_s)

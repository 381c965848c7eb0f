"""The first injection is carried by whoever made the check: one hop less, and never twice."""

from __future__ import annotations

from datetime import timedelta

import pytest

from experiments.services import carrying
from tests.pump import Pump
from tests.services.worlds import document, fault, start

pytestmark = pytest.mark.django_db(transaction=True)
carry_first = carrying.carry_first


def test_the_check_carries_the_first_injection_itself(alice, environment, control, monkeypatch):
    pump = Pump(monkeypatch)
    monkeypatch.setattr(carrying, "carry_first", carry_first)
    run = start(alice, environment)
    while not run.calls.filter(kind="check", finished_at__isnull=False).exists():
        pump.step()
    injection = run.injections.get()
    assert injection.phase == "active"
    pump.drain()
    assert control.applied(injection.token) == 1, "its wake found nothing left to do"


def test_further_injections_go_through_the_queue(alice, environment, control, monkeypatch):
    pump = Pump(monkeypatch)
    monkeypatch.setattr(carrying, "carry_first", carry_first)
    method = [
        fault("one", **{"with": {"target": "one"}}),
        fault("two", **{"with": {"target": "two"}}, start={"with": ["one"]}),
    ]
    run = start(alice, environment, document(*method))
    while not run.calls.filter(kind="check", finished_at__isnull=False).exists():
        pump.step()
    assert run.injections.get(action="one").phase == "active"
    assert run.injections.get(action="two").phase == "intent"
    pump.drain()
    assert run.injections.get(action="two").phase == "active"


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

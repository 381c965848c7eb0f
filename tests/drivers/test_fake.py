"""The scriptable driver's misbehaviour, which the engine's tests rely on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from drivers.fake import (
    FAULTS,
    FakeAbort,
    FakeControl,
    FakeDelay,
    FakeDriver,
    FakeWipe,
    Step,
    forget,
)
from drivers.protocol import (
    ConnectionConfig,
    Driver,
    DriverError,
    FaultRequest,
    Handle,
    UnknownOutcomeError,
)
from drivers.registry import open_driver
from drivers.units import Percentage

HANDLE = Handle(token="tok-1")


class Time:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Stage:
    def __init__(self, **options: Any) -> None:
        forget()
        connection = ConnectionConfig("fake", "stage", options)
        self.time = Time()
        self.control = FakeControl(connection, clock=self.time.clock, sleep=self.time.sleep)
        self.driver: Driver = open_driver(connection)
        self.request = FaultRequest(FakeAbort(percentage=Percentage(50)), "tok-1")
        self.plan = self.driver.prepare(self.request)


@pytest.mark.parametrize("is_retryable", [True, False])
def test_the_next_calls_fail_as_scripted(is_retryable: bool) -> None:
    stage = Stage()
    stage.control.script(Step(method="inject", do="fail", times=2, retryable=is_retryable))
    for _ in range(2):
        with pytest.raises(DriverError) as caught:
            stage.driver.inject(stage.plan)
        assert caught.value.retryable is is_retryable
    stage.driver.inject(stage.plan)
    assert (stage.control.applied("tok-1"), stage.control.calls("inject")) == (1, 3)


def test_a_lost_answer_may_have_taken_effect_at_once() -> None:
    stage = Stage()
    stage.control.script(Step(method="inject", do="lose", effect="now"))
    with pytest.raises(UnknownOutcomeError):
        stage.driver.inject(stage.plan)
    stage.driver.inject(stage.plan)
    assert stage.control.applied("tok-1") == 1


def test_a_lost_answer_may_take_effect_after_the_recovery() -> None:
    stage = Stage()
    stage.control.script(Step(method="inject", do="lose", effect="late", seconds=5))
    with pytest.raises(UnknownOutcomeError):
        stage.driver.inject(stage.plan)
    assert stage.driver.recover(stage.plan, None).phase == "gone"
    assert stage.control.live() == {"tok-1"}
    stage.time.now = 5.0
    assert stage.driver.observe(stage.plan, None).phase == "active"
    assert stage.driver.recover(stage.plan, None).phase == "gone"
    assert stage.control.live() == set()


def test_a_lost_answer_may_never_take_effect() -> None:
    stage = Stage()
    stage.control.script(Step(method="inject", do="lose"))
    with pytest.raises(UnknownOutcomeError):
        stage.driver.inject(stage.plan)
    assert stage.driver.observe(stage.plan, None).phase == "pending"


def test_a_slow_call_sleeps_and_then_goes_on() -> None:
    stage = Stage()
    stage.control.script(
        Step(method="recover", do="slow", seconds=3), Step(method="recover", do="hang")
    )
    stage.driver.inject(stage.plan)
    assert stage.driver.recover(stage.plan, HANDLE).targets[0].phase == "unreachable"
    assert stage.time.slept == [3]
    assert stage.driver.recover(stage.plan, HANDLE).phase == "gone"


def test_a_recovery_may_be_ignored() -> None:
    stage = Stage()
    stage.driver.inject(stage.plan)
    stage.control.script(Step(method="recover", do="ignore"))
    assert stage.driver.recover(stage.plan, HANDLE).phase == "active"
    assert stage.driver.recover(stage.plan, HANDLE).phase == "gone"


def test_a_hung_backend_raises_from_every_other_method() -> None:
    stage = Stage()
    methods = ("check", "resolve", "prepare", "inject", "owned")
    stage.control.script(*(Step(method=method, do="hang") for method in methods))
    driver, request = stage.driver, stage.request
    calls = (
        lambda: driver.check(request),
        lambda: driver.resolve(request),
        lambda: driver.prepare(request),
        lambda: driver.inject(stage.plan),
        driver.owned,
    )
    for call in calls:
        with pytest.raises(UnknownOutcomeError):
            call()


def test_drift_is_seen_and_a_second_injection_is_counted() -> None:
    stage = Stage()
    stage.driver.inject(stage.plan)
    stage.control.restart("one")
    assert stage.driver.observe(stage.plan, HANDLE).phase == "gone"
    stage.driver.inject(stage.plan)
    assert stage.control.applied("tok-1") == 2


def test_the_delivered_share_is_as_scripted() -> None:
    stage = Stage()
    stage.driver.inject(stage.plan)
    assert stage.driver.observe(stage.plan, HANDLE).delivered_share == 0.5
    stage.control.deliver(0.0)
    assert stage.driver.observe(stage.plan, HANDLE).delivered_share == 0.0
    stage.control.deliver(None, is_idle=True)
    assert stage.driver.observe(stage.plan, HANDLE).delivered_share is None


def test_a_script_may_come_with_the_connection() -> None:
    forget()
    script = [{"method": "check", "do": "fail"}]
    driver = FakeDriver(ConnectionConfig("fake", "scripted", {"script": script}))
    request = FaultRequest(FakeDelay(), "tok-1")
    with pytest.raises(DriverError):
        driver.check(request)
    assert driver.check(request) == []
    with pytest.raises(DriverError, match="script"):
        FakeDriver(ConnectionConfig("fake", "broken", {"script": [{"do": "dance"}]}))


def test_an_unknown_target_is_named_by_check() -> None:
    stage = Stage(targets=["one", "two"])
    found = stage.driver.check(FaultRequest(FakeWipe(target="six"), "tok-1"))
    assert (found[0].message, found[0].hint) == ("There is no six.", "There are: one, two.")
    assert FakeWipe.undo == "none"


def test_several_processes_share_one_backend(tmp_path: Path) -> None:
    options = {"state": str(tmp_path)}
    connection = ConnectionConfig("fake", "shared", options)
    driver = FakeDriver(connection)
    plan = driver.prepare(FaultRequest(FakeAbort(), "tok-1"))
    program = (
        "import json, sys\n"
        "from drivers.fake import FakeDriver\n"
        "from drivers.protocol import ConnectionConfig, Plan\n"
        "options, plan = json.load(sys.stdin)\n"
        "driver = FakeDriver(ConnectionConfig('fake', 'shared', options))\n"
        "driver.inject(Plan.model_validate(plan))\n"
    )
    text = json.dumps([options, plan.model_dump(mode="json")])
    programs = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for each in programs:
        each.communicate(text)
    assert [each.returncode for each in programs] == [0] * 4
    control = FakeControl(connection)
    assert (control.applied("tok-1"), control.calls("inject")) == (1, 4)


def test_every_fault_describes_itself() -> None:
    for fault in FAULTS:
        assert fault.kind.startswith("fake.")
        assert fault().sentence()
        for field in fault.model_json_schema()["properties"].values():
            assert field["title"]
            assert field["description"]

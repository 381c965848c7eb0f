"""What people are told when a removal is not confirmed, on a real receiver."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any

import pytest

from experiments.models import Injection
from experiments.services import launching, notifying, reconciling
from tests.services.worlds import ENDED, start

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def told(settings: Any) -> Iterator[Queue[dict[str, Any]]]:
    """Return what arrives at a receiver of our own."""
    arrived: Queue[dict[str, Any]] = Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            arrived.put(json.loads(self.rfile.read(length)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    settings.NOTIFY_WEBHOOK_URL = f"http://127.0.0.1:{server.server_port}/hook"
    settings.BASE_URL = "https://chaos.example/"
    yield arrived
    server.shutdown()
    server.server_close()
    thread.join()


def broken_run(alice: Any, environment: Any, pump: Any, control: Any) -> Any:
    """Return a run whose fault cannot be removed: its backend was cut off."""
    run = start(alice, environment)
    pump.run_until(run, "injecting")
    pump.drain()
    control.cut_off("one")
    launching.stop_run(run=run, actor="bob")
    for _ in range(8):
        pump.pass_time(2)
    return run


def test_a_removal_that_is_not_confirmed_is_told_with_the_way_out(
    alice, environment, pump, control, told
):
    run = broken_run(alice, environment, pump, control)
    message = told.get(timeout=20)
    assert message["event"] == "removal_not_confirmed"
    assert message["run"] == run.pk
    assert message["url"] == f"https://chaos.example/runs/{run.pk}/"
    assert message["by_hand"] == ["fake restore one", "fake restore two"]
    assert "fake restore one" in message["text"]
    assert message["attempts"] == 3
    assert told.empty(), "once, not with every try"


def test_people_are_told_when_it_is_gone_after_all(alice, environment, pump, control, told):
    run = broken_run(alice, environment, pump, control)
    told.get(timeout=20)
    control.cut_off()
    pump.run_until(run, *ENDED)
    assert told.get(timeout=20)["event"] == "removal_confirmed"


def test_nobody_is_told_of_a_removal_that_goes_well(alice, environment, pump, control, told):
    pump.run_until(start(alice, environment), *ENDED)
    notifying._sender.submit(lambda: None).result(timeout=20)
    assert told.empty()


def test_a_receiver_that_is_gone_harms_nothing(
    alice, environment, pump, control, told, settings, caplog
):
    settings.NOTIFY_WEBHOOK_URL = "http://127.0.0.1:9/secret-part"
    run = broken_run(alice, environment, pump, control)
    control.cut_off()
    pump.run_until(run, *ENDED)
    assert run.status == "stopped"
    notifying._sender.submit(lambda: None).result(timeout=20)
    assert "nobody could be notified" in caplog.text
    assert "secret-part" not in caplog.text


@pytest.mark.parametrize(
    ("failures", "is_told"),
    [(1, False), (3, True), (4, False), (10, True), (100, True), (0, False)],
)
def test_it_is_told_soon_at_first_and_then_rarely(failures, is_told):
    assert notifying.is_worth_telling(failures) is is_told


def test_an_orphan_is_told_once(alice, environment, pump, control, told):
    run = start(alice, environment)
    pump.run_until(run, "injecting")
    pump.drain()
    row = run.injections.get()
    Injection.objects.filter(pk=row.pk).update(token="a-restored-backup-knows-another")
    assert reconciling.reconcile() >= 1
    message = told.get(timeout=20)
    assert message["event"] == "orphan_found"
    assert message["token"] == row.token
    reconciling.reconcile()
    notifying._sender.submit(lambda: None).result(timeout=20)
    assert told.empty()


def test_what_goes_wrong_while_telling_keeps_no_fault(
    alice, environment, pump, control, told, monkeypatch
):
    monkeypatch.setattr(notifying, "_url", lambda run_id: [][run_id])
    run = broken_run(alice, environment, pump, control)
    control.cut_off()
    pump.run_until(run, *ENDED)
    assert run.status == "stopped"
    assert control.live() == set()

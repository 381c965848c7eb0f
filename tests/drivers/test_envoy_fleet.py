"""What an injection into several Envoys says when some take it, refuse it or do not answer."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Literal, Self

import httpx
import pytest

from drivers.envoy.driver import EnvoyDriver
from drivers.envoy.fleet import partial
from drivers.protocol import ConnectionConfig, DriverError, UnknownOutcomeError
from tests.drivers.conftest import PERCENT_KEY, abort, plain_envoy, wipe
from tests.servers.envoy import RunningEnvoy, Upstream, wait_until

REFUSED = DriverError("a refused.", hint="Allow it.")
BUSY = DriverError("b is busy.", retryable=True, hint="Wait.")
LOST = UnknownOutcomeError("c did not answer.")


class Gate:
    """Stands before an Envoy's admin interface: passes reads on, and ``opened`` writes too.

    ``refuse`` answers a write with 403; ``silence`` passes it on and never answers.
    """

    def __init__(self, envoy: RunningEnvoy) -> None:
        self.mode: Literal["opened", "refuse", "silence"] = "opened"
        closing = self._closing = threading.Event()
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.reply(httpx.get(f"http://{envoy.admin}{self.path}", trust_env=False))

            def do_POST(self) -> None:
                if gate.mode == "refuse":
                    self.reply(httpx.Response(403, text="not allowed"))
                    return
                answer = httpx.post(f"http://{envoy.admin}{self.path}", trust_env=False)
                if gate.mode == "silence":
                    closing.wait(30)
                else:
                    self.reply(answer)

            def reply(self, answer: httpx.Response) -> None:
                self.send_response(answer.status_code)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, format: str, *args: object) -> None:
                """Stay quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def pair(envoy_pair: list[RunningEnvoy]) -> Iterator[list[RunningEnvoy]]:
    yield envoy_pair
    for each in envoy_pair:
        wipe(each)


def test_one_envoy_took_it_one_refused_it_and_one_did_not_answer(
    pair: list[RunningEnvoy], upstream: Upstream
) -> None:
    first, second = pair
    with plain_envoy(upstream, node_id="front-4") as third, Gate(second) as no, Gate(third) as mute:
        addresses = [first.admin, no.address, mute.address]
        driver = EnvoyDriver(
            ConnectionConfig("envoy", "mesh", {"addresses": addresses, "timeout_s": 1.0})
        )
        plan = driver.prepare(abort())
        no.mode, mute.mode = "refuse", "silence"
        with pytest.raises(UnknownOutcomeError) as caught:
            driver.inject(plan)
        assert not caught.value.retryable
        assert f"{no.address} answered 403" in caught.value.message
        assert f"{mute.address} did not answer" in caught.value.message
        assert "allow_paths" in caught.value.hint
        # It is there all the same: that is why nobody may take the refusal for the whole answer.
        wait_until(lambda: PERCENT_KEY in third.overrides(), "the unanswered POST takes effect")
        no.mode = mute.mode = "opened"
        assert driver.recover(plan, None).phase == "gone"
        assert [each.overrides() for each in (first, second, third)] == [{}, {}, {}]
        driver.close()


@pytest.mark.parametrize(
    ("errors", "total", "is_unknown", "is_retryable"),
    [
        ([REFUSED, LOST], 3, True, False),
        ([LOST, REFUSED], 2, True, False),
        ([LOST, BUSY], 2, True, True),
        ([LOST], 1, True, True),
        # The others took it, and asking again may help: what is there is not known before that.
        ([BUSY], 2, True, True),
        ([BUSY, BUSY], 2, False, True),
        ([REFUSED, BUSY], 3, False, False),
        ([REFUSED], 1, False, False),
    ],
)
def test_one_error_tells_of_them_all(
    errors: list[DriverError], total: int, is_unknown: bool, is_retryable: bool
) -> None:
    error = partial(errors, total)
    assert isinstance(error, UnknownOutcomeError) is is_unknown
    assert error.retryable is is_retryable
    assert all(each.message in error.message for each in errors)
    assert error.__cause__ in errors

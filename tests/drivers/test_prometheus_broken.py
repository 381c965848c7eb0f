"""The reader against servers that stand for a broken, slow or hidden Prometheus."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import drivers.prometheus
from drivers.prometheus import Prometheus, QueryError, SourceUnavailableError
from drivers.protocol import ConnectionConfig, DriverError
from tests.servers.prometheus import serving

Reply = tuple[int, str, str]
GOOD = (200, "application/json", '{"status":"success","data":{"resultType":"vector","result":[]}}')


class Broken:
    """Answers each request with the next reply; the last one for ever."""

    def __init__(self, *replies: Reply | Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    @contextmanager
    def running(self) -> Iterator[str]:
        broken = self

        class Answers(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                self.rfile.read(length)
                broken.asked.append(
                    (
                        self.command,
                        self.path,
                        {key.lower(): text for key, text in self.headers.items()},
                    )
                )
                several = len(broken.replies) > 1
                reply = broken.replies.pop(0) if several else broken.replies[0]
                if callable(reply):
                    reply(self)
                    return
                status, kind, text = reply
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("location", "https://login.example.com/")
                self.send_header("content-length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        with serving(Answers) as url:
            yield url


def opened(url: str, secrets: dict[str, str] | None = None, **options: Any) -> Prometheus:
    return Prometheus(ConnectionConfig("prometheus", "m", {"url": url, **options}, secrets or {}))


def failure(
    *replies: Reply | Callable[[BaseHTTPRequestHandler], None], **options: Any
) -> DriverError:
    with (
        Broken(*replies).running() as url,
        opened(url, **options) as metrics,
        pytest.raises(DriverError) as caught,
    ):
        metrics.instant("up")
    return caught.value


def error(kind: str, message: str = "so it is") -> str:
    return json.dumps({"status": "error", "errorType": kind, "error": message})


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


@pytest.mark.parametrize(
    ("reply", "kind", "retryable", "says"),
    [
        ((200, "text/html", "<html>Log in</html>"), SourceUnavailableError, False, "login page"),
        ((302, "text/html", ""), SourceUnavailableError, False, "login.example.com"),
        ((404, "text/plain", "404 page not found"), SourceUnavailableError, False, "path prefix"),
        ((401, "text/plain", "no"), SourceUnavailableError, False, "bearer"),
        ((403, "application/json", error("forbidden")), SourceUnavailableError, False, "access"),
        ((429, "text/plain", "slow down"), SourceUnavailableError, True, "429"),
        ((502, "text/html", "bad gateway"), SourceUnavailableError, True, "502"),
        ((503, "text/plain", "starting"), SourceUnavailableError, True, "not ready"),
        ((503, "application/json", error("timeout")), SourceUnavailableError, True, "gave up"),
        ((503, "application/json", error("canceled")), SourceUnavailableError, True, "so it is"),
        ((500, "application/json", error("internal")), SourceUnavailableError, True, "internal"),
        ((400, "application/json", error("bad_data")), QueryError, False, "so it is"),
        ((422, "application/json", error("422")), QueryError, False, "so it is"),
        ((200, "application/json", '{"status":"succ'), SourceUnavailableError, False, "JSON"),
        ((200, "application/json", "[1]"), SourceUnavailableError, False, "JSON"),
        ((200, "application/json", "[" * 100_000), SourceUnavailableError, False, "JSON"),
        ((200, "application/json", '{"status":"success"}'), SourceUnavailableError, False, "form"),
        (
            (200, "application/json", GOOD[2].replace("[]", '[{"metric":{},"value":[1]}]')),
            SourceUnavailableError,
            False,
            "form",
        ),
        (
            (200, "application/json", GOOD[2].replace("[]", '[{"metric":{},"value":[1,"x"]}]')),
            SourceUnavailableError,
            False,
            "form",
        ),
        (
            (200, "application/json", GOOD[2].replace("[]", '[{"metric":{},"histogram":[1,{}]}]')),
            QueryError,
            False,
            "native histograms",
        ),
        ((200, "application/json", GOOD[2].replace("vector", "matrix")), QueryError, False, "[5m]"),
        (hang_up, SourceUnavailableError, True, "broke off"),
    ],
)
def test_each_broken_answer_is_told_apart(
    reply: Reply, kind: type[DriverError], retryable: bool, says: str
) -> None:
    raised = failure(reply)
    assert isinstance(raised, kind)
    assert raised.retryable is retryable
    assert says in str(raised)


@pytest.mark.parametrize("first", [(503, "text/plain", "starting"), hang_up])
def test_one_lost_answer_is_asked_for_again(first: Any) -> None:
    server = Broken(first, GOOD)
    with server.running() as url, opened(url) as metrics:
        assert metrics.instant("up") == []
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("reply", "times"),
    [
        ((503, "text/plain", "starting"), 2),
        (hang_up, 2),
        ((503, "application/json", error("timeout")), 1),
        ((500, "text/plain", "oops"), 1),
        ((400, "application/json", error("bad_data")), 1),
    ],
)
def test_retries_are_bounded(reply: Any, times: int) -> None:
    server = Broken(reply)
    with server.running() as url, opened(url) as metrics, pytest.raises(DriverError):
        metrics.instant("up")
    assert len(server.asked) == times


def test_a_hung_server_is_given_up_without_a_second_try() -> None:
    release = threading.Event()

    def hang(handler: BaseHTTPRequestHandler) -> None:
        release.wait(30)
        handler.close_connection = True

    server = Broken(hang)
    try:
        with (
            server.running() as url,
            opened(url, timeout_s=0.3) as metrics,
            pytest.raises(SourceUnavailableError, match="did not answer in time") as caught,
        ):
            metrics.instant("up")
    finally:
        release.set()
    assert caught.value.retryable
    assert len(server.asked) == 1


def test_a_trickling_answer_is_given_up() -> None:
    release = threading.Event()

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "100000")
        handler.end_headers()
        try:
            while not release.wait(0.02):
                handler.wfile.write(b" ")
        except OSError:
            handler.close_connection = True

    try:
        raised = failure(trickle, timeout_s=0.3)
    finally:
        release.set()
    assert "too slowly" in str(raised)


def test_an_answer_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers.prometheus, "MAX_ANSWER_BYTES", 1024 * 1024)
    raised = failure((200, "application/json", " " * (1024 * 1024 + 1)))
    assert isinstance(raised, QueryError)
    assert "larger than 1 MiB" in str(raised)


def test_warnings_and_infos_stay_with_the_answer() -> None:
    body = json.loads(GOOD[2]) | {"warnings": ["store 2 is down"], "infos": ["no counter"]}
    with Broken((200, GOOD[1], json.dumps(body))).running() as url, opened(url) as metrics:
        answer = metrics.instant("up")
    assert answer == []
    assert answer.warnings == ("store 2 is down",)
    assert answer.infos == ("no counter",)


def test_the_warnings_of_every_slice_stay_with_a_range() -> None:
    def slice_of(number: int) -> Reply:
        row = {"metric": {"pod": "a"}, "values": [[number, str(number)]]}
        content = {"resultType": "matrix", "result": [row]}
        body = {"status": "success", "data": content, "warnings": [f"w{number}", "both"]}
        return (200, "application/json", json.dumps(body))

    with Broken(slice_of(1), slice_of(2)).running() as url, opened(url) as metrics:
        answer = metrics.range("up", 0, 12_000, 1)
    assert answer.warnings == ("w1", "both", "w2")
    [series] = answer
    assert series.values.tolist() == [1, 2]


@pytest.mark.parametrize(
    "missing", [(404, "text/plain", "404 page not found"), (400, "text/plain", "unsupported path")]
)
def test_parse_remembers_that_the_server_cannot_lay_out(missing: Reply) -> None:
    server = Broken(missing, GOOD)
    with server.running() as url, opened(url) as metrics:
        assert metrics.parse("up") == "up"
        assert metrics.parse("up") == "up"
    paths = [urlsplit(path) for _, path, _ in server.asked]
    assert [path.path for path in paths] == [
        "/api/v1/format_query",
        "/api/v1/query",
        "/api/v1/query",
    ]
    assert parse_qs(paths[1].query)["time"] == ["0"]


def test_secrets_and_headers_are_sent_and_the_prefix_is_kept() -> None:
    server = Broken(GOOD)
    with server.running() as url:
        with opened(f"{url}/prefix/", {"bearer": "b"}, headers={"X-Scope-OrgID": "t"}) as metrics:
            metrics.instant("up")
        with opened(url, {"password": "p"}, username="u") as metrics:
            metrics.instant("up")
    (_, path, first), (_, _, second) = server.asked
    assert path.startswith("/prefix/api/v1/query?")
    assert (first["authorization"], first["x-scope-orgid"]) == ("Bearer b", "t")
    assert second["authorization"] == "Basic dTpw"


def test_check_warns_of_a_clock_that_differs() -> None:
    def vector(value: str) -> Reply:
        row = {"metric": {"job": "a", "instance": "b"}, "value": [1, value]}
        content = {"resultType": "vector", "result": [row]}
        return (200, "application/json", json.dumps({"status": "success", "data": content}))

    with Broken(vector("1000"), vector("1")).running() as url, opened(url) as metrics:
        [problem] = metrics.check()
    assert "clock differs" in problem.message
    assert problem.where == url

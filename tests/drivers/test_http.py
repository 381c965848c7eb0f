"""The probe reader against small servers, well-behaved and not."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from drivers.http import (
    MAX_TEXT_BYTES,
    HttpReader,
    RequestRefusedError,
    SourceUnavailableError,
)
from tests.servers.prometheus import serving

release = threading.Event()


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    paths: list[str] = []

    def do_GET(self) -> None:
        self.paths.append(self.path)
        getattr(self, f"answer_{self.path.strip('/')}")()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.answer(201, self.headers.get("x-probe", "").encode() + body)

    def do_HEAD(self) -> None:
        self.send_response(204)
        self.end_headers()

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer_health(self) -> None:
        self.answer(200, "läuft".encode(), X_Shop="open")

    def answer_latin(self) -> None:
        self.answer(200, "läuft".encode("latin-1"), content_type="text/plain; charset=latin-1")

    def answer_unknown(self) -> None:
        self.answer(200, b"ok", content_type="text/plain; charset=klingon")

    def answer_codec(self) -> None:
        self.answer(200, b"ok", content_type="text/plain; charset=hex")

    def answer_broken(self) -> None:
        self.answer(503, b"down")

    def answer_large(self) -> None:
        self.answer(200, b"x" * (MAX_TEXT_BYTES + 1))

    def answer_full(self) -> None:
        self.answer(200, b"x" * MAX_TEXT_BYTES)

    def answer_bomb(self) -> None:
        self.answer(200, gzip.compress(b"x" * 10_000_000), content_encoding="gzip")

    def answer_moved(self) -> None:
        self.answer(302, b"", location="/health")

    def answer_loop(self) -> None:
        self.answer(302, b"", location="/loop")

    def answer_away(self) -> None:
        self.answer(302, b"", location="http://169.254.169.254/health")

    def answer_file(self) -> None:
        self.answer(302, b"", location="file:///etc/passwd")

    def answer_hang(self) -> None:
        release.wait(30)
        self.close_connection = True

    def answer_trickle(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "100000")
        self.end_headers()
        try:
            while not release.wait(0.02):
                self.wfile.write(b"x")
        except OSError:
            self.close_connection = True

    def answer_cut(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "100")
        self.end_headers()
        self.wfile.write(b"half")
        self.close_connection = True

    def answer_nothing(self) -> None:
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    with serving(Shop) as url:
        yield url
        release.set()


@pytest.fixture
def reader() -> Iterator[HttpReader]:
    with HttpReader(["127.0.0.1"]) as opened:
        yield opened


def test_fetch_returns_status_headers_text_and_time(reader: HttpReader, shop: str) -> None:
    answer = reader.fetch(f"{shop}/health")
    assert (answer.status, answer.text, answer.is_truncated) == (200, "läuft", False)
    assert answer.headers["x-shop"] == "open"
    assert answer.elapsed_s > 0


def test_a_bad_status_is_an_answer_not_an_error(reader: HttpReader, shop: str) -> None:
    assert reader.fetch(f"{shop}/broken").status == 503


def test_fetch_sends_method_headers_and_body(reader: HttpReader, shop: str) -> None:
    answer = reader.fetch(shop, method="post", headers={"X-Probe": "p:"}, body="é")
    assert (answer.status, answer.text) == (201, "p:é")
    assert reader.fetch(shop, method="HEAD").status == 204


def test_text_is_decoded_as_it_says_or_as_utf_8(reader: HttpReader, shop: str) -> None:
    assert reader.fetch(f"{shop}/latin").text == "läuft"
    assert reader.fetch(f"{shop}/unknown").text == "ok"
    assert reader.fetch(f"{shop}/codec").text == "ok"


@pytest.mark.parametrize(
    ("path", "is_truncated"), [("full", False), ("large", True), ("bomb", True)]
)
def test_text_is_bounded(reader: HttpReader, shop: str, path: str, is_truncated: bool) -> None:
    answer = reader.fetch(f"{shop}/{path}")
    assert len(answer.text) == MAX_TEXT_BYTES
    assert answer.is_truncated is is_truncated


def test_redirects_are_not_followed_unless_asked(reader: HttpReader, shop: str) -> None:
    answer = reader.fetch(f"{shop}/moved")
    assert (answer.status, answer.headers["location"]) == (302, "/health")
    assert reader.fetch(f"{shop}/moved", follow=1).text == "läuft"
    assert reader.fetch(f"{shop}/loop", follow=3).status == 302


@pytest.mark.parametrize("path", ["away", "file"])
def test_redirects_to_another_host_are_refused(shop: str, path: str) -> None:
    with (
        HttpReader(["127.0.0.1", "169.254.169.254"]) as reader,
        pytest.raises((RequestRefusedError, SourceUnavailableError)),
    ):
        reader.fetch(f"{shop}/{path}", follow=3)


@pytest.mark.parametrize("path", ["hang", "trickle"])
def test_the_time_out_bounds_the_whole_exchange(reader: HttpReader, shop: str, path: str) -> None:
    with pytest.raises(SourceUnavailableError) as caught:
        reader.fetch(f"{shop}/{path}", timeout_s=0.3)
    assert caught.value.retryable


@pytest.mark.parametrize("path", ["cut", "nothing"])
def test_a_broken_answer_is_an_error_and_asked_for_once(
    reader: HttpReader, shop: str, path: str
) -> None:
    before = Shop.paths.count(f"/{path}")
    with pytest.raises(SourceUnavailableError, match="broke off"):
        reader.fetch(f"{shop}/{path}")
    assert Shop.paths.count(f"/{path}") == before + 1


def test_a_port_where_nobody_listens_cannot_be_reached(reader: HttpReader) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(SourceUnavailableError, match="cannot be reached") as caught:
        reader.fetch(f"http://127.0.0.1:{port}/health?token=secret")
    assert "secret" not in str(caught.value)


def test_a_plain_server_asked_for_tls_is_an_error(reader: HttpReader, shop: str) -> None:
    with pytest.raises(SourceUnavailableError):
        reader.fetch(shop.replace("http:", "https:"), timeout_s=2)


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ("front", "http://front/health"),
        ("front", "https://FRONT.:8443/"),
        ("front:80", "http://front/"),
        ("front:443", "https://front/"),
        ("front:8080", "http://front:8080/"),
        ("*.example.com", "http://a.b.example.com/"),
        ("*.Example.com:81", "http://a.example.com:81/"),
        ("[::1]:8080", "http://[::1]:8080/"),
        ("[::1]", "http://[::1]/"),
        ("bücher.example", "http://xn--bcher-kva.example/"),
    ],
)
def test_an_allowed_host_passes(allowed: str, url: str) -> None:
    with HttpReader([allowed]) as reader:
        assert reader._build(url, "GET", {}, None).url.host


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ("front", "http://front.evil.com/"),
        ("front", "http://evilfront/"),
        ("front", "http://front@evil/"),
        ("evil", "http://front@evil/"),
        ("front", "http://evil/?front"),
        ("front", "http://evil#@front"),
        ("front", "http://evil\\@front/"),
        ("front:80", "http://front:81/"),
        ("front:80", "https://front/"),
        ("*.example.com", "http://example.com/"),
        ("*.example.com", "http://badexample.com/"),
        ("127.0.0.1", "http://2130706433/"),
        ("front", "file:///etc/passwd"),
        ("front", "ftp://front/"),
        ("front", "front/health"),
        ("front", "//front/health"),
        ("front", "http:///health"),
        ("front", "http://front:99999/"),
        ("front", "http://front:0/"),
        ("front", "http://front:x/"),
        ("front", "http://front/\n"),
        ("front", ""),
    ],
)
def test_any_other_url_is_refused_before_anything_is_sent(allowed: str, url: str) -> None:
    with HttpReader([allowed]) as reader, pytest.raises(RequestRefusedError) as caught:
        reader.fetch(url, timeout_s=0.5)
    assert not caught.value.retryable


def test_nothing_is_allowed_by_an_empty_list(shop: str) -> None:
    with HttpReader([]) as reader, pytest.raises(RequestRefusedError, match="is not allowed"):
        reader.fetch(shop)


@pytest.mark.parametrize("entry", ["", "*", "*.", "http://front", "front/health", "a b", "front:x"])
def test_an_entry_that_is_no_host_is_refused(entry: str) -> None:
    with pytest.raises(RequestRefusedError):
        HttpReader([entry])


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("DELETE", {}),
        ("GET /x", {}),
        ("GET", {"x": "a\r\nhost: evil"}),
        ("GET", {"bad name": "a"}),
        ("GET", {"x": "日本"}),
        ("GET", {"x": 1}),
    ],
)
def test_a_request_that_is_malformed_is_refused(
    reader: HttpReader, shop: str, method: str, headers: dict[str, str]
) -> None:
    with pytest.raises(RequestRefusedError):
        reader.fetch(f"{shop}/health", method=method, headers=headers)


def test_the_environment_cannot_lead_a_probe_through_a_proxy(
    shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with HttpReader(["127.0.0.1"]) as reader:
        assert reader.fetch(f"{shop}/health").status == 200

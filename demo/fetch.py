"""Fetch small documents from this machine, past any proxy the environment names."""

import json
import socket
import urllib.error
import urllib.request
from typing import Any

from demo.settings import HOST

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class FetchError(Exception):
    """No answer, or an answer other than 2xx."""


def fetch(url: str, *, method: str = "GET", timeout_s: float = 2.0) -> bytes:
    """Return the body of a 2xx answer; raise FetchError otherwise."""
    request = urllib.request.Request(url, method=method)
    try:
        with _opener.open(request, timeout=timeout_s) as answer:
            body: bytes = answer.read()
            return body
    except urllib.error.HTTPError as error:
        said = error.read(200).decode(errors="replace").strip()
        raise FetchError(f"{method} {url} answered {error.code}: {said}") from error
    except OSError as error:
        raise FetchError(f"{method} {url} did not answer: {error}") from error


def fetch_json(url: str, *, timeout_s: float = 2.0) -> Any:
    """Return the parsed JSON of a 2xx answer; raise FetchError otherwise."""
    try:
        return json.loads(fetch(url, timeout_s=timeout_s))
    except ValueError as error:
        raise FetchError(f"GET {url} answered something that is not JSON") from error


def answers(url: str) -> bool:
    """Tell whether the address answers 2xx now."""
    try:
        fetch(url, timeout_s=1.0)
    except FetchError:
        return False
    return True


def valkey_answers(port: int) -> bool:
    """Tell whether a Valkey answers PING, be it only to ask for a password."""
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False
